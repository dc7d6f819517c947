"""Single statements of the pages that are compared with the code, one by one."""

import re
from datetime import timedelta

import pytest
from django.apps import apps

from jobs.models import JobKind
from tests.docs.reading import table, text_of, word

OPERATIONS = "docs/operations.md"
OURS = {"alerts", "bots", "jobs", "jobsite"}


def section(page: str, heading: str) -> str:
    """The text below a heading, up to the next of the same level."""
    level = heading.split()[0]
    _, _, after = text_of(page).partition(f"\n{heading}\n")
    assert after, heading
    return " ".join(re.split(rf"^{level} ", after, maxsplit=1, flags=re.M)[0].split())


def default_of(setting: str) -> str:
    """The default of a setting of ours, as the code writes it."""
    (found,) = re.findall(rf'env\.\w+\("{setting}", default=([^)]+)\)', text_of("jobsite/settings.py"))
    return str(found)


def test_behind_pgbouncer_the_pool_keeps_its_default():
    text = section(OPERATIONS, "## PgBouncer")
    assert f"the default of {default_of('DATABASE_POOL_MAX')} is right" in text
    assert "WEB_THREADS" not in text
    assert "`max_client_conn` is 100" in text


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_probes_answer_to_any_host(path, client):
    assert "with any `Host` header" in section(OPERATIONS, "## Probes")
    stranger = {"Host": "10.9.8.7"}
    assert client.get(path, headers=stranger).status_code == 200
    assert client.get("/api/v1/jobs", headers=stranger).status_code == 400


def test_the_deletion_by_the_first_sweep_is_in_the_upgrade_notes():
    text = section(OPERATIONS, "### Before the first sweep")
    kept = JobKind._meta.get_field("keep_for").get_default()
    assert isinstance(kept, timedelta)
    assert f"more than {kept.days} days ago" in text
    assert f"after {kept.days} days" in section("README.md", "## Install in production")
    assert "[before the first sweep](#before-the-first-sweep)" in section(OPERATIONS, "## Upgrade")


def test_the_header_that_asks_for_https_is_the_one_that_is_sent():
    text = section(OPERATIONS, "### HSTS")
    seconds = int(default_of("HSTS_SECONDS").replace("_", ""))
    assert f"`Strict-Transport-Security: max-age={seconds}`" in text
    assert default_of("HSTS_INCLUDE_SUBDOMAINS") == default_of("HSTS_PRELOAD") == "False"


def test_every_permission_of_ours_is_in_the_table_and_no_other():
    listed = {word(row["permission"]) for row in table("docs/permissions.md", "permission", "viewer")}
    models = [model for app in OURS & set(apps.app_configs) for model in apps.get_app_config(app).get_models()]
    own = {f"{m._meta.app_label}.{code}" for m in models for code, _ in m._meta.permissions}
    plain = {f"{m._meta.app_label}.{verb}_{m._meta.model_name}" for m in models for verb in m._meta.default_permissions}
    assert own <= listed <= own | plain | {name for name in listed if name.startswith("auth.")}
