"""The checker finds each sort of violation that is planted in a true story, and nothing in the true one."""

from pathlib import Path
from typing import Any

import pytest

from jobs import lifecycle
from jobs.lifecycle import By
from jobs.states import Actor
from tests.cast import enqueue_one
from tests.torture import checker, rows
from tests.torture.journal import Lost
from tests.torture.planted import Plant, Story, raw, sql
from tests.torture.story import story as story_of

pytestmark = pytest.mark.django_db
OLGA = By(Actor.OPERATOR, "olga")


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return Story(tmp_path)


def test_a_true_story_has_no_violation(story: Story) -> None:
    story.log.reported("bob", "complete", story.held, story.lease.attempt + 500, status=409)
    story.log.reported("bob", "heartbeat", story.held, story.lease.attempt)
    story.log.call("person", f"/jobs/{story.done}/retry", {}, 400, {"code": "not_retryable"})
    assert story.checked() == []


# --- New jobs ---------------------------------------------------------------------------------------------------------


def lost(story: Story) -> None:
    sql("DELETE FROM jobs_job WHERE id = %s", story.pending)


def another_payload(story: Story) -> None:
    sql("""UPDATE jobs_job SET payload = '{"op": "one", "i": 7}' WHERE id = %s""", story.pending)


def nobody_asked(story: Story) -> None:
    enqueue_one(payload={"op": "two", "i": 0})


def half_of_a_call(story: Story) -> None:
    story.log.added("two", [], status=0, n=2)
    enqueue_one(payload={"op": "two", "i": 0})


def refused_and_there(story: Story) -> None:
    story.log.added("two", [], status=422, n=1)
    enqueue_one(payload={"op": "two", "i": 0})


def unavailable_and_there(story: Story) -> None:
    story.log.call("producer", "/jobs", {"kind": "sum", "payload": {"op": "two"}}, 503, {"code": "unavailable"})
    enqueue_one(payload={"op": "two"})


def twice_with_a_key(story: Story) -> None:
    first = enqueue_one(payload={"op": "two", "i": 0})
    enqueue_one(payload={"op": "two", "i": 0})
    story.log.added("two", [], status=0, n=1, keyed=True)
    story.log.added("two", [first.pk], keyed=True)


# --- Leases -----------------------------------------------------------------------------------------------------------


def given_twice(story: Story) -> None:
    story.log.given("ada", story.held, story.lease.attempt)


def old_lease_renewed(story: Story) -> None:
    story.log.given("ada", story.held, story.lease.attempt + 1)
    story.log.reported("bob", "heartbeat", story.held, story.lease.attempt)
    # That there is no such row is another violation.
    sql("UPDATE jobs_job SET attempt = attempt + 1 WHERE id = %s", story.held)


def of_another_bot(story: Story) -> None:
    story.log.reported("ada", "heartbeat", story.held, story.lease.attempt)


def lower_attempt(story: Story) -> None:
    story.log.given("ada", story.held, story.lease.attempt - 1)


def row_behind(story: Story) -> None:
    story.log.given("ada", story.held, story.lease.attempt + 1)


def history_behind(story: Story) -> None:
    sql("UPDATE jobs_jobevent SET attempt = 7 WHERE job_id = %s", story.done)


def end_lost(story: Story) -> None:
    sql("UPDATE jobs_job SET attempt = attempt + 1 WHERE id = %s", story.held)


# --- Ends -------------------------------------------------------------------------------------------------------------


def success_undone(story: Story) -> None:
    sql("UPDATE jobs_job SET status = 'pending', finished_at = NULL WHERE id = %s", story.done)


def result_replaced(story: Story) -> None:
    story.log.reported("ada", "complete", story.done, story.second.attempt, result={"again": True})
    sql("""UPDATE jobs_job SET result = '{"again": true}' WHERE id = %s""", story.done)


def failure_not_recorded(story: Story) -> None:
    story.log.reported("bob", "fail", story.held, story.lease.attempt, error="x")


def failure_undone(story: Story) -> None:
    story.lease.fail(retry=False)
    story.log.reported("bob", "fail", story.held, story.lease.attempt, error="x", retry=False)
    sql("UPDATE jobs_job SET status = 'pending', finished_at = NULL WHERE id = %s", story.held)


def not_released(story: Story) -> None:
    story.log.call("bob", "/hello", {"instance": "x"}, 200, {"released": [story.held]})


# --- Refusals ---------------------------------------------------------------------------------------------------------


def refused_complete(story: Story) -> None:
    story.lease.complete("x")
    story.log.reported("bob", "complete", story.held, story.lease.attempt, status=409, result="x")


def refused_fail(story: Story) -> None:
    story.lease.fail()
    story.log.reported("bob", "fail", story.held, story.lease.attempt, status=503, error="x")


def accepted_later(story: Story) -> None:
    story.log.reported("bob", "complete", story.held, story.lease.attempt, status=409, result="x")
    story.lease.complete("x")
    story.log.reported("bob", "complete", story.held, story.lease.attempt, result="x")


def refused_cancel(story: Story) -> None:
    lifecycle.cancel([story.pending], by=OLGA)
    story.log.call("person", f"/jobs/{story.pending}/cancel", {}, 403, {"code": "forbidden"})


def act_lost(story: Story) -> None:
    story.log.call("person", f"/jobs/{story.pending}/cancel", {})


def broken(story: Story) -> None:
    story.log.call("person", "/stuck", None, 500, {"code": "server_error"})


def not_answered(story: Story) -> None:
    reports = {"heartbeats": [{"id": story.held, "attempt": story.lease.attempt}]}
    story.log.call("bob", "/exchange", reports, 200, {"accepted": [], "rejected": [], "jobs": []})


PLANTED: list[tuple[Plant, str]] = [
    (lost, "lost job"), (another_payload, "lost job"), (nobody_asked, "job nobody asked for"),
    (half_of_a_call, "jobs not all or none"), (refused_and_there, "refused write changed something"),
    (unavailable_and_there, "refused write changed something"), (twice_with_a_key, "jobs not all or none"),
    (given_twice, "two valid leases"), (old_lease_renewed, "two valid leases"),
    (of_another_bot, "accepted from another"), (lower_attempt, "attempt not higher"),
    (row_behind, "attempt not higher"), (history_behind, "attempt not higher"),
    (end_lost, "leases and attempts differ"), (success_undone, "accepted end undone"),
    (result_replaced, "accepted end undone"), (failure_not_recorded, "accepted end undone"),
    (failure_undone, "accepted end undone"), (not_released, "accepted end undone"),
    (refused_complete, "refused write changed something"), (refused_fail, "refused write changed something"),
    (accepted_later, "accepted after refused"), (refused_cancel, "refused write changed something"),
    (act_lost, "accepted act lost"), (broken, "answer 500"), (not_answered, "report not answered"),
]  # fmt: skip


@pytest.mark.parametrize(("plant", "rule"), PLANTED, ids=lambda value: getattr(value, "__name__", ""))
def test_a_planted_violation_is_found(story: Story, plant: Plant, rule: str) -> None:
    plant(story)
    assert rule in {violation.rule for violation in story.checked()}


@pytest.mark.parametrize(
    ("change", "status"),
    [("UPDATE bots_bot SET status = 'idle' WHERE name = 'bob'", "idle"),
     ("UPDATE bots_bot SET status = 'busy' WHERE name = 'ada'", "busy")],
)  # fmt: skip
def test_a_bot_that_is_not_as_busy_as_it_is_is_found(story: Story, change: str, status: str) -> None:
    assert rows.not_as_busy(raw()) == []
    sql(change)
    (violation,) = checker.as_busy_as_they_are(rows.not_as_busy(raw()))
    assert (violation.rule, status in violation.text) == ("status not as held", True)


# --- What is not known ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("carried_out", [True, False])
def test_what_was_not_answered_may_have_happened_or_not(story: Story, carried_out: bool) -> None:
    story.log.reported("bob", "complete", story.held, story.lease.attempt, status=0, result="x")
    story.log.added("two", [], status=0, n=1)
    story.log.call("person", f"/jobs/{story.pending}/cancel", {}, 503, {"code": "outcome_unknown"})
    if carried_out:
        story.lease.complete("x")
        enqueue_one(payload={"op": "two", "i": 0})
        lifecycle.cancel([story.pending], by=OLGA)
    assert story.checked() == []


def test_what_a_restore_has_undone_is_not_held_against_it(story: Story) -> None:
    since = 10.0 * 100
    for _ in range(100):
        story.log.call("person", "/stuck", None, 200, {})
    story.log.added("two", [4711])
    story.log.reported("bob", "complete", story.held, story.lease.attempt, result="x")
    assert {violation.rule for violation in story.checked()} == {
        "lost job",
        "jobs not all or none",
        "accepted end undone",
    }
    assert story.checked(Lost(since, since * 10)) == []


def test_the_line_that_a_kill_cut_off_is_left_out(story: Story, tmp_path: Path) -> None:
    with (tmp_path / "all.jsonl").open("a") as file:
        file.write('{"n": 99, "at": 5, "who": "a')
    assert story.checked() == []


def test_a_violation_is_told_with_the_calls_and_the_rows_of_its_job(story: Story, tmp_path: Path) -> None:
    evidence = story.evidence()
    text: Any = story_of(evidence, story.done)
    assert text.index("asked for 3 jobs") < text.index("/fail") < text.index("/complete") < text.index("verb='fail'")
