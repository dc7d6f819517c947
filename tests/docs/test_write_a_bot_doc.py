"""The page for bots in any language: its snippets run one after the other, and end as it says."""

import json
import re
import shutil
import subprocess

import pytest

from jobs.models import Job
from jobs.states import JobStatus
from tests.docs.reading import text_of

DOC = "docs/write-a-bot.md"


@pytest.mark.skipif(not shutil.which("curl") or not shutil.which("sh"), reason="curl and sh are not here")
@pytest.mark.django_db(transaction=True)
def test_the_snippets_run_one_after_the_other(live_server, ada_token, olga_key):
    script = "\necho\n".join(re.findall(r"```sh\n(.*?)```", text_of(DOC), flags=re.S))
    script = script.replace("http://localhost:8000", live_server.url)
    script = re.sub(r"^BOT_TOKEN=\S+", f"BOT_TOKEN={ada_token}", script, flags=re.M)
    script = re.sub(r"^OPERATOR_KEY=\S+", f"OPERATOR_KEY={olga_key}", script, flags=re.M)
    done = subprocess.run(["sh", "-euc", script], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines() if line]
    made, hello, renewed, held, completed, late, goodbye = answers
    job = Job.objects.get(kind="greet")
    assert made["id"] == job.pk
    assert hello["warnings"] == []
    assert renewed["status"] == "processing"
    assert held["lost"] == []
    assert completed["status"] == "succeeded"
    assert (late["code"], late["verb"]) == ("lease_lost", "complete")
    assert goodbye["released"] == []
    assert (job.status, job.result) == (JobStatus.SUCCEEDED, "hello, world")
