"""The content security policy: on every page, and nothing in a template that it would refuse."""

import re
from pathlib import Path

import pytest
from django.urls import reverse

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
#: What a strict policy refuses: styles and handlers in the page, scripts without a file, htmx's evaluated parts.
INLINE = [
    r"\sstyle=", r"<style", r"\son[a-z]+=", r"<script(?![^>]*\ssrc=)", r"javascript:", r"hx-on", r"hx-vals=[\"']js:",
    r"hx-trigger=\"[^\"]*\[",
]  # fmt: skip


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT / "templates")))
def test_nothing_in_a_template_is_inline(template):
    text = template.read_text(encoding="utf-8")
    assert [pattern for pattern in INLINE if re.search(pattern, text)] == []


def test_nothing_that_is_made_in_python_is_inline():
    for path in [*(ROOT / "jobs").rglob("*.py"), *(ROOT / "bots").rglob("*.py")]:
        assert not re.search(r"<[a-z][^>]*\s(style|on[a-z]+)=", path.read_text(encoding="utf-8")), path


@pytest.mark.django_db
@pytest.mark.parametrize("url", ["/admin/", "/admin/jobs/job/", "/admin/login/", "/api/v1/docs", "/nothing-here"])
def test_every_page_carries_the_policy(client, olga, url):
    client.force_login(olga)
    policy = client.get(url).headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy


@pytest.mark.django_db
def test_htmx_may_evaluate_nothing_and_asks_nobody_else(client, olga):
    client.force_login(olga)
    said = client.get(reverse("admin:index")).content.decode()
    assert '"allowEval":false' in said
    assert '"includeIndicatorStyles":false' in said
    assert '"selfRequestsOnly":true' in said
