"""The README is short, links of all pages lead somewhere, and the bot of twelve lines and the story with curl work."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

from bots import roster
from jobs.models import Job
from jobs.states import JobStatus
from tests.cast import enqueue_one
from tests.docs.reading import ROOT, text_of

PAGES = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "UPGRADING.md", "client/README.md"]
PAGES += ["CODE_OF_CONDUCT.md", "bench/README.md", "client-js/README.md"]
PAGES += sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md"))


def test_the_readme_is_short():
    assert len(text_of("README.md").splitlines()) <= 120


@pytest.mark.parametrize("page", PAGES)
def test_links_inside_the_project_lead_somewhere(page):
    here = (ROOT / page).parent
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        found = (here / path).resolve() if path else ROOT / page
        assert found.exists(), target
        if anchor:
            heads = re.findall(r"^#+ (.+)$", found.read_text(encoding="utf-8"), flags=re.M)
            assert anchor in {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}, target


@pytest.mark.parametrize("page", PAGES)
def test_lines_are_not_too_long(page):
    # A row of a table cannot be wrapped.
    assert not [line for line in text_of(page).splitlines() if len(line) > 120 and not line.startswith("|")]


@pytest.mark.skipif(not shutil.which("curl") or not shutil.which("bash"), reason="curl and bash are not here")
@pytest.mark.django_db(transaction=True)
def test_the_story_with_curl_ends_as_it_says(live_server, olga_key):
    chapter = text_of("docs/quick-start.md").split("## Try it with curl")[1].split("\n## ")[0]
    script = "\n".join(re.findall(r"```sh\n(.*?)```", chapter, flags=re.S))
    script = script.replace("http://localhost:8000", live_server.url)
    script = re.sub(r"^OPERATOR=.*$", f'OPERATOR="$BEARER {olga_key}"', script, flags=re.M)
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "HTTP/1.1 409" in done.stdout
    assert '"code": "lease_lost"' in done.stdout
    assert '"verb": "late"' in done.stdout
    job = Job.objects.get(kind="greet")
    assert (job.status, job.attempt, job.result) == (JobStatus.SUCCEEDED, 2, "hello, world")


def run_until_done(code, url, jobs):
    """Run the bot of a page until these jobs have ended, and stop it."""
    _, token = roster.register(name="resizer", kinds=["resize"])
    env = os.environ | {"JOBSITE_TOKEN": token, "PYTHONPATH": str(ROOT / "client")}
    with subprocess.Popen([sys.executable, "-c", code.replace("http://localhost:8000", url)], env=env) as bot:
        try:
            until = time.monotonic() + 60
            while Job.objects.exclude(finished_at=None).count() < len(jobs):
                assert bot.poll() is None
                assert time.monotonic() < until, "the bot did not do its jobs"
                time.sleep(0.05)
            bot.send_signal(signal.SIGTERM)
            assert bot.wait(30) == 0
        finally:
            bot.kill()
    for job in jobs:
        job.refresh_from_db()


def first_python(page):
    return re.findall(r"```python\n(.*?)```", text_of(page), flags=re.S)[0]


@pytest.mark.django_db(transaction=True)
def test_the_bot_of_twelve_lines_does_its_jobs_and_ends_in_good_order(live_server):
    code = first_python("README.md")
    assert len([line for line in code.splitlines() if line]) <= 12
    good, bad = (enqueue_one("resize", payload=payload) for payload in ({"image": "a.png"}, {"text": "a"}))
    run_until_done(code, live_server.url, [good, bad])
    assert (good.status, good.result) == (JobStatus.SUCCEEDED, {"image": "a.png", "width": 640})
    assert (bad.status, bad.attempt, bad.error) == (JobStatus.FAILED, 1, "no image")


@pytest.mark.django_db(transaction=True)
def test_ten_lines_of_the_librarys_readme_are_a_first_bot(live_server):
    code = first_python("client/README.md")
    assert len([line for line in code.splitlines() if line]) <= 10
    job = enqueue_one("resize", payload={"image": "a.png"})
    run_until_done(code, live_server.url, [job])
    assert (job.status, job.result) == (JobStatus.SUCCEEDED, {"image": "a.png", "width": 640})
