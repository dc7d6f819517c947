"""`/metrics`: what it says, to whom, and from how many processes."""

import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.db import OperationalError
from django.db.models.functions import Now
from django.test import Client
from django.utils import timezone
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from alerts.delivery import outbox
from alerts.states import Moment
from bots.models import Bot
from jobs import lifecycle
from jobs.lifecycle import By
from jobs.models import JobKind
from jobs.stats import counts, rollup
from jobs.sweep.run import sweep
from jobsite import metrics
from jobsite.models import Site
from tests.cast import bot_named, enqueue_one, make_older, put_in_quarantine, take_one
from tests.far_side import a_channel, an_incident
from tests.served import served

pytestmark = pytest.mark.django_db
TOKEN = "scrape-me-if-you-can"
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(text: str) -> Samples:
    """Each sample by its name and labels, as prometheus_client's own parser reads them."""
    return {
        (s.name, tuple(sorted(s.labels.items()))): s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
    }


@pytest.fixture
def scrape(settings: Any) -> Callable[[], Callable[..., float]]:
    """`scrape()(name, **labels)`: the figure that is told."""
    settings.METRICS_TOKEN = TOKEN

    def ask() -> Callable[..., float]:
        said = Client().get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
        assert said.status_code == 200
        found = samples(said.content.decode())
        return lambda name, **labels: found[name, tuple(sorted(labels.items()))]

    return ask


# --- Who may ------------------------------------------------------------------------------------------------------


def test_nobody_may_read_it_unless_a_setting_allows_it(client: Client, settings: Any) -> None:
    for header in (
        {},
        {"authorization": "Bearer "},
        {"authorization": "Bearer guess"},
        {"authorization": "Basic eA=="},
    ):
        said = client.get("/metrics", headers=header)
        assert said.status_code == 401
        assert said["WWW-Authenticate"].startswith("Bearer")
        assert said.json()["code"] == "unauthorized"
        assert "METRICS_TOKEN" in said.json()["detail"]
    settings.METRICS_OPEN = True
    assert client.get("/metrics").status_code == 200


def test_the_token_opens_it_and_no_part_of_it_does(client: Client, settings: Any) -> None:
    settings.METRICS_TOKEN = TOKEN
    for sent, status in ((TOKEN, 200), (TOKEN[:-1], 401), (TOKEN + "x", 401), ("", 401)):
        assert client.get("/metrics", headers={"authorization": f"Bearer {sent}"}).status_code == status


def test_a_key_opens_it_when_its_user_may_look_at_jobs(
    client: Client, vera_key: str, nora_key: str, ada_token: str
) -> None:
    for token, status in ((vera_key, 200), (nora_key, 401), (ada_token, 401)):
        assert client.get("/metrics", headers={"authorization": f"Bearer {token}"}).status_code == status


def test_it_is_scraped_by_address_and_without_https(settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT, settings.METRICS_OPEN = True, True
    assert Client().get("/metrics", headers={"host": "10.1.2.3:8000"}).status_code == 200
    assert Client().post("/metrics").status_code == 405


# --- What it says -------------------------------------------------------------------------------------------------


def test_jobs_are_told_by_kind_and_by_how_they_are_and_ended(
    ada: Bot, olga: Any, scrape: Callable[[], Callable[..., float]]
) -> None:
    rollup.add_closed_minutes(timezone.now() - timedelta(hours=1))
    take_one(ada).complete()
    take_one(ada).fail(retry=False)
    lifecycle.release([take_one(ada).id], by=By.operator(olga))
    take_one(bot_named("carl"), kind="divide", priority=2_000_000)
    rollup.add_closed_minutes(timezone.now() + timedelta(minutes=5))
    value = scrape()
    assert value("jobsite_jobs", kind="sum", status="pending") == 1
    assert value("jobsite_jobs", kind="divide", status="processing") == 1
    assert value("jobsite_claims_total", kind="sum") == 3
    assert value("jobsite_claims_total", kind="divide") == 1
    assert value("jobsite_jobs_finished_total", kind="sum", status="succeeded") == 1
    assert value("jobsite_jobs_finished_total", kind="sum", status="failed") == 1
    assert value("jobsite_jobs_finished_total", kind="divide", status="failed") == 0
    assert value("jobsite_attempts_failed_total", kind="sum", source="bot") == 1
    assert value("jobsite_releases_total", kind="sum", source="operator") == 1
    assert value("jobsite_job_run_seconds_count", kind="sum") == 1
    assert value("jobsite_job_run_seconds_bucket", kind="sum", le="+Inf") == 1
    assert value("jobsite_job_wait_seconds_count", kind="sum") == 2
    assert math.isclose(value("jobsite_counted_until_timestamp_seconds"), timezone.now().timestamp(), abs_tol=600)


def test_the_oldest_pending_job_is_told_and_a_paused_kind_has_none(scrape: Callable[[], Callable[..., float]]) -> None:
    make_older(enqueue_one(), 10)
    make_older(enqueue_one("divide"), 20)
    rollup.add_closed_minutes()
    JobKind.objects.filter(name="divide").update(paused=True)
    JobKind.objects.filter(name="sum").update(max_pending=500)
    value = scrape()
    assert 600 <= value("jobsite_oldest_pending_seconds", kind="sum") < 1200
    assert value("jobsite_oldest_pending_seconds", kind="divide") == 0
    assert [value("jobsite_kind_paused", kind=kind) for kind in ("sum", "divide")] == [0, 1]
    assert [value("jobsite_kind_max_pending", kind=kind) for kind in ("sum", "divide")] == [500, 0]


def test_bots_are_told_by_status_and_health(ada: Bot, bob: Bot, scrape: Callable[[], Callable[..., float]]) -> None:
    make_older(take_one(ada), 3)
    Bot.objects.filter(pk=bob.pk).update(paused=True)
    put_in_quarantine(bob)
    lifecycle.see(ada, always=True)
    sweep()
    value = scrape()
    assert value("jobsite_bots", status="busy") == 1
    assert value("jobsite_bots", status="idle") == 1
    assert value("jobsite_bots_health", health="potentially_stuck") == 1
    assert value("jobsite_bots_health", health="normal") == 1
    assert value("jobsite_bots_paused") == value("jobsite_bots_quarantined") == 1


def test_slots_are_counted_of_bots_that_give_them(
    ada: Bot, bob: Bot, scrape: Callable[[], Callable[..., float]]
) -> None:
    assert [scrape()("jobsite_slots", slot=slot) for slot in ("all", "free", "lost")] == [0, 0, 0]
    take_one(bob)
    lifecycle.hello(ada, instance="pod-1", identity="pod-1", slots=(4, 1))
    enqueue_one()
    lifecycle.claim(ada, instance="pod-1")
    value = scrape()
    assert [value("jobsite_slots", slot=slot) for slot in ("all", "free", "lost")] == [4, 2, 1]


def test_the_last_sweep_is_told_and_before_the_first_it_was_in_1970(scrape: Callable[[], Callable[..., float]]) -> None:
    assert scrape()("jobsite_sweep_last_run_timestamp_seconds") == 0
    sweep()
    value = scrape()
    assert math.isclose(value("jobsite_sweep_last_run_timestamp_seconds"), timezone.now().timestamp(), abs_tol=600)
    assert value("jobsite_sweep_last_duration_seconds") >= 0


def test_incidents_and_messages_on_their_way_are_told(scrape: Callable[[], Callable[..., float]]) -> None:
    critical = an_incident("ada", about="sum", severity="critical")
    an_incident("bob", about="divide", acknowledged_at=Now())
    an_incident("carl", about="multiply", resolved_at=Now())
    channel = a_channel("json://example.org", failing_since=Now())
    outbox.enqueue_notifications(critical, Moment.OPENED)
    value = scrape()
    assert value("jobsite_incidents_open", cause="stuck", severity="critical") == 1
    assert value("jobsite_incidents_unacknowledged", cause="stuck", severity="critical") == 1
    assert value("jobsite_incidents_open", cause="stuck", severity="warning") == 1
    assert value("jobsite_incidents_unacknowledged", cause="stuck", severity="warning") == 0
    assert value("jobsite_incidents_open", cause="unswept", severity="critical") == 0
    assert (value("jobsite_alerts_waiting"), value("jobsite_channels_failing")) == (1, 1)
    channel.delete()
    value = scrape()
    assert (value("jobsite_alerts_waiting"), value("jobsite_channels_failing")) == (0, 0)


def test_the_epoch_and_that_alerts_are_held_back_are_told(scrape: Callable[[], Callable[..., float]]) -> None:
    value = scrape()
    assert (value("jobsite_epoch"), value("jobsite_alerts_held")) == (0, 0)
    Site.objects.update_or_create(pk=1, defaults={"epoch": 3, "began_at": Now(), "alerts_held_since": Now()})
    value = scrape()
    assert (value("jobsite_epoch"), value("jobsite_alerts_held")) == (3, 1)


def test_requests_are_told_by_the_template_of_their_path(
    client: Client, ada: Bot, ada_token: str, olga_key: str, scrape: Callable[[], Callable[..., float]]
) -> None:
    name = "jobsite_http_request_duration_seconds_count"
    calls = {
        ("POST", "/api/v1/claim", "200"): 2,
        ("GET", "/api/v1/jobs/<job_id>", "404"): 2,
        ("GET", "unmatched", "404"): 2,
        ("other", "unmatched", "404"): 1,
    }

    def counts() -> list[float]:
        value = scrape()

        def of(method: str, route: str, status: str) -> float:
            try:
                return value(name, method=method, route=route, status=status)
            except KeyError:
                return 0

        return [of(*call) for call in calls]

    before = counts()
    for number in (1, 2):
        client.post("/api/v1/claim", b"{}", "application/json", headers={"authorization": f"Bearer {ada_token}"})
        client.get(f"/api/v1/jobs/{number}", headers={"authorization": f"Bearer {olga_key}"})
        client.get(f"/nothing/here/{number}")
    client.generic("FROBNICATE", "/nothing")
    assert [after - b for after, b in zip(counts(), before, strict=True)] == list(calls.values())


def test_every_name_has_a_help_text_and_reads_as_openmetrics_too(client: Client, settings: Any) -> None:
    settings.METRICS_OPEN = True
    client.get("/livez")
    text = client.get("/metrics").content.decode()
    families = list(text_string_to_metric_families(text))
    assert len(families) >= 20
    assert [f.name for f in families if not f.documentation or not f.name.startswith("jobsite_")] == []
    said = client.get("/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
    assert said["Content-Type"].startswith("application/openmetrics-text")
    assert {f.name for f in parse_openmetrics(said.content.decode())} == {f.name for f in families}


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool (Debian: prometheus) is not installed")
def test_promtool_finds_no_fault_with_it(client: Client, settings: Any, ada: Bot) -> None:
    settings.METRICS_OPEN = True
    rollup.add_closed_minutes(timezone.now() - timedelta(hours=1))
    take_one(ada).complete()
    rollup.add_closed_minutes(timezone.now() + timedelta(minutes=5))
    text = client.get("/metrics").content
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")


def test_without_the_database_the_process_still_tells_of_itself(
    client: Client, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone() -> Any:
        raise OperationalError("the database is away")

    settings.METRICS_OPEN = True
    monkeypatch.setattr(metrics, "COLLECTORS", [gone])
    found = samples(client.get("/metrics").content.decode())
    assert found["jobsite_database_up", ()] == 0
    assert ("jobsite_waiters", ()) in found
    assert not [name for name, _ in found if name.startswith("jobsite_bots")]


def test_a_scrape_asks_few_questions_whatever_there_is(
    client: Client, settings: Any, ada: Bot, django_assert_max_num_queries: Any
) -> None:
    settings.METRICS_OPEN = True
    for n in range(30):
        enqueue_one(f"kind-{n}")
    rollup.add_closed_minutes()
    with django_assert_max_num_queries(21):
        client.get("/metrics")


def test_series_are_bounded_however_many_kinds_there_are(client: Client, settings: Any) -> None:
    settings.METRICS_OPEN, settings.METRICS_KINDS = True, 3
    for n in range(20):
        enqueue_one(f"kind-{n}")
    rollup.add_closed_minutes()
    found = samples(client.get("/metrics").content.decode())
    kinds = {dict(labels)["kind"] for _, labels in found if "kind" in dict(labels)}
    assert kinds == {"kind-0", "kind-1", "kind-2", counts.OTHER}
    assert found["jobsite_jobs", (("kind", counts.OTHER), ("status", "pending"))] == 17


# --- Several processes --------------------------------------------------------------------------------------------

OTHER_PROCESS = """
import django
django.setup()
from jobsite import metrics
metrics.observe("GET", "/somewhere", 200, 0.2)
metrics._waiters.set(7)
print("ready", flush=True)
input()
"""


@pytest.mark.django_db(transaction=True)
def test_processes_that_share_a_directory_are_one_and_a_dead_one_keeps_its_counters_only(tmp_path: Path) -> None:
    shared = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "METRICS_OPEN": "1"}
    with served(**shared) as server:
        url = f"http://127.0.0.1:{server.port}/metrics"
        env = os.environ | shared | {"DJANGO_SETTINGS_MODULE": "tests.settings"}
        other = subprocess.Popen(
            [sys.executable, "-c", OTHER_PROCESS], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            cwd=Path(__file__).resolve().parents[2],
        )  # fmt: skip
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
        count = (
            "jobsite_http_request_duration_seconds_count",
            (("method", "GET"), ("route", "/somewhere"), ("status", "200")),
        )
        found = samples(httpx.get(url).text)
        assert (found[count], found["jobsite_waiters", ()]) == (1, 7)
        other.communicate("\n", timeout=30)
        found = samples(httpx.get(url).text)
        assert (found[count], found["jobsite_waiters", ()]) == (1, 0)
        assert found["jobsite_database_pool_limit", ()] == 40
