"""Each figure of `/metrics` and Home that is not what the rows say is found."""

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from jobs.sweep import run
from tests.alerts.passing import an_incident
from tests.cast import enqueue_one
from tests.torture import figures
from tests.torture.planted import Story, raw, sql

pytestmark = pytest.mark.django_db


@pytest.fixture
def pages(tmp_path: Path, client: Client, admin_user: User, settings: Any) -> tuple[str, str]:
    """`/metrics` and Home of a true story, after a sweep."""
    settings.METRICS_OPEN = True
    Story(tmp_path)
    run.sweep()
    an_incident()
    client.force_login(admin_user)
    return client.get("/metrics").content.decode(), client.get("/admin/").content.decode()


def test_true_figures_are_no_violation(pages: tuple[str, str]) -> None:
    metrics, home = pages
    assert [*figures.metrics(raw(), metrics), *figures.home(raw(), home)] == []


#: What makes figures of `/metrics` false, by their names.
OF_METRICS = {
    "jobsite_jobs": "UPDATE jobs_job SET kind_id = 'other' WHERE status = 'pending'",
    "jobsite_claims_total": "UPDATE jobs_job SET attempt = attempt + 1",
    "jobsite_bots(": "UPDATE bots_bot SET status = 'down'",
    "jobsite_bots_health": "UPDATE bots_bot SET health_status = 'unhealthy'",
    "jobsite_bots_paused": "UPDATE bots_bot SET paused = true",
    "jobsite_bots_quarantined": "UPDATE bots_instance SET quarantined_at = now(), probe_at = now()",
    "jobsite_kind_paused": "UPDATE jobs_jobkind SET paused = true",
    "jobsite_kind_max_pending": "UPDATE jobs_jobkind SET max_pending = 7",
    "jobsite_incidents_open": "UPDATE alerts_incident SET resolved_at = now()",
    "jobsite_epoch": "UPDATE jobsite_site SET epoch = 9, began_at = now()",
    "jobsite_alerts_held": "UPDATE jobsite_site SET alerts_held_since = now()",
    "jobsite_jobs_finished_total": "UPDATE jobs_rollupstate SET added_until = now() + interval '1 day'",
}


@pytest.mark.parametrize("name", OF_METRICS)
def test_a_false_figure_of_metrics_is_found(pages: tuple[str, str], name: str) -> None:
    sql(OF_METRICS[name])
    assert any(name in f"{violation.text}(" for violation in figures.metrics(raw(), pages[0]))


#: What makes figures of Home false.
OF_HOME = {
    "jobs that are pending": "UPDATE jobs_job SET status = 'cancelled', finished_at = now() WHERE status = 'pending'",
    "released by operators": "UPDATE jobs_jobevent SET verb = 'release', actor = 'operator'",
    "bots;": "INSERT INTO bots_bot (name, kinds) VALUES ('carl', '{}')",
    "bots that are paused": "UPDATE bots_bot SET paused = true WHERE status = 'idle'",
    "succeeded in the chart": "UPDATE jobs_rollupstate SET added_until = now() + interval '1 day'",
}


@pytest.mark.parametrize("name", OF_HOME)
def test_a_false_figure_of_home_is_found(pages: tuple[str, str], name: str) -> None:
    sql(OF_HOME[name])
    assert any(name in violation.text for violation in figures.home(raw(), pages[1]))


def test_a_figure_that_is_absent_is_false(pages: tuple[str, str]) -> None:
    enqueue_one(kind="new.kind")
    assert any("new.kind" in violation.text for violation in figures.metrics(raw(), pages[0]))
    assert list(figures.home(raw(), ""))
