"""`docs/lifecycle.md` says what the code does: its lists are the code's, and each verb is tried from every state."""

from datetime import timedelta

import pytest

from bots import health
from jobs import backoff, lifecycle, transitions
from jobs.lifecycle import SWEEP, By
from jobs.models import Job, JobEvent, JobKind
from jobs.states import FINISHED, HELD, Actor, JobStatus, Policy, Verb
from jobs.stats import learned
from jobs.transitions import OPERATIONS, TABLE, Routine
from jobsite.lib import durations
from tests.docs.reading import table, text_of, word, words

DOC = "docs/lifecycle.md"
STATES = {word(row["state"]): row["group"] for row in table(DOC, "state", "group")}
VERBS = {word(row["verb"]): row for row in table(DOC, "verb", "from", "to")}


def values(choices):
    return [str(choice.value) for choice in choices]


def sources(verb):
    row = VERBS[verb]["from"]
    return values(JobStatus) if row == "any" else words(row)


def targets(verb, source):
    row = VERBS[verb]["to"]
    return [source] if row == "same" else words(row)


# --- The lists ------------------------------------------------------------------------------------------------


def test_states_and_their_groups_are_the_codes():
    assert list(STATES) == values(JobStatus)
    assert [state for state, group in STATES.items() if group == "held"] == values(HELD)
    assert [state for state, group in STATES.items() if group == "finished"] == values(FINISHED)


def test_the_verbs_are_those_of_the_table_of_transitions():
    assert list(VERBS) == ["enqueue", *dict.fromkeys(values(t.verb for t in TABLE))]
    assert {t.verb for t in TABLE} == {*Verb, *Routine}


@pytest.mark.parametrize("verb", dict.fromkeys(t.verb for t in TABLE))
def test_each_verb_is_documented_as_the_table_of_transitions_has_it(verb):
    rows, row = transitions.rows(verb), VERBS[verb]
    assert sources(verb) == values(transitions.sources(verb))
    if transitions.targets(verb):
        assert sorted(words(row["to"])) == sorted(values(transitions.targets(verb)))
    else:
        assert row["to"] == "same"
    assert words(row["who may"]) == values(t.actor for t in rows)
    assert {row["counted"]} == {t.counted for t in rows}
    assert row["event"] == (f"`{verb}`" if verb in Verb.values else "none")


def test_permissions_are_those_of_the_table_of_transitions():
    sentence = " ".join(text_of(DOC).partition("An operator needs the permission")[2].partition("Each verb")[0].split())
    assert [word for word in words(sentence) if word.startswith("jobs.")] == [o.permission for o in OPERATIONS.values()]


def test_actors_are_the_codes():
    line = next(line for line in text_of(DOC).splitlines() if line.startswith("Actors"))
    assert words(line) == values(Actor)


def test_policies_are_the_codes():
    assert [word(row["policy"]) for row in table(DOC, "policy")] == values(Policy)


def test_limits_and_defaults_are_the_codes():
    shown = {word(row["field"]): row["default"].strip("`") for row in table(DOC, "field", "default")}
    fields = {field.name: field for field in JobKind._meta.fields}
    assert set(shown) == set(fields) - {"name", "paused", "created_at", "learned_run_within", "limited", "limited_no"}
    for name, default in shown.items():
        real = fields[name].get_default()
        if isinstance(real, timedelta):
            real = durations.words(real)
        assert default == ("empty" if real is None else str(real)), name


def test_figures_in_the_text_are_the_codes(settings):
    text = " ".join(text_of(DOC).split())
    assert health.UNHEALTHY_AT == 3 and "three times the limit" in text
    assert backoff.MAX_DOUBLINGS == 10 and "at most ten times" in text
    assert backoff.JITTER == 0.25 and "up to 25 %" in text
    assert timedelta(minutes=10) == settings.DEFAULT_RUN_WITHIN and "`DEFAULT_RUN_WITHIN_SECONDS`, 10 m" in text
    assert settings.HUNG_BOTS == 3 and "under its third different bot (`HUNG_BOTS`)" in text
    assert learned.ENOUGH == 100 and "once there are 100" in text
    assert learned.TIMES == 3 and learned.SHARE == 0.99 and "three times the 99th percentile" in text
    assert f"the last {learned.BLOCK} to {2 * learned.BLOCK // 1000} 000 run times, at least a minute" in text


# --- Each verb, from each state -------------------------------------------------------------------------------


def bring(status, lease, by):
    """Bring a processing job into `status`."""
    if status == JobStatus.PENDING:
        lifecycle.release([lease.id], by=by)
    elif status == JobStatus.SUCCEEDED:
        lease.complete(1)
    elif status == JobStatus.FAILED:
        lease.fail(retry=False)
    elif status == JobStatus.CANCELLED:
        lifecycle.cancel([lease.id], by=by)


SAY = {
    "start": lambda lease, by: lease.start(),
    "heartbeat": lambda lease, by: lease.heartbeat(),
    "complete": lambda lease, by: lease.complete(2),
    "fail": lambda lease, by: lease.fail("again"),
    "release": lambda lease, by: lifecycle.release([lease.id], by=by),
    "expire": lambda lease, by: lifecycle.expire([lease.id], by=SWEEP, reasons={lease.id: "silent"}),
    "cancel": lambda lease, by: lifecycle.cancel([lease.id], by=by),
    "retry": lambda lease, by: lifecycle.retry([lease.id], by=by),
    "prioritise": lambda lease, by: lifecycle.prioritise([lease.id], priority=5, by=by),
    "flag": lambda lease, by: lifecycle.flag([lease.id], by=SWEEP, reasons={lease.id: "silent"}),
}


@pytest.mark.django_db
@pytest.mark.parametrize("status", values(JobStatus))
@pytest.mark.parametrize("verb", SAY)
def test_a_verb_moves_a_job_as_the_table_says(verb, status, ada, olga, held_by):
    by = By.operator(olga)
    lease = held_by(ada, start=status != JobStatus.CLAIMED)
    bring(status, lease, by)
    assert lease.job.status == status
    seen = set(JobEvent.objects.filter(job=lease.id).values_list("id", flat=True))
    before = lease.job
    SAY[verb](lease, by)
    after = lease.job
    new = JobEvent.objects.filter(job=lease.id).exclude(id__in=seen).exclude(verb=Verb.LATE)
    if status not in sources(verb):
        assert (after.status, list(new)) == (status, [])
        return
    assert after.status in targets(verb, status)
    if verb not in Verb.values:
        assert list(new) == []
    else:
        (event,) = new
        assert (event.verb, event.from_status, event.to_status) == (verb, status, after.status)
        assert event.actor in words(VERBS[verb]["who may"])
    if VERBS[verb]["counted"] == "yes":
        assert after.uncounted == before.uncounted
    if verb == "release":
        assert VERBS[verb]["counted"] == "no" and after.uncounted == before.uncounted + 1
    if verb == "retry":
        assert after.uncounted == after.attempt


@pytest.mark.django_db
@pytest.mark.parametrize("verb", ["fail", "expire"])
def test_the_last_attempt_ends_as_failed(verb, ada, olga, held_by):
    lease = held_by(ada, max_attempts=1)
    SAY[verb](lease, By.operator(olga))
    assert lease.job.status == targets(verb, "processing")[1] == JobStatus.FAILED


@pytest.mark.django_db
def test_claim_goes_where_the_table_says(ada, held_by):
    started, waiting = targets("claim", "pending")
    assert held_by(ada).job.status == started
    assert held_by(ada, start=False).job.status == waiting
    assert sources("claim") == [JobStatus.PENDING]


@pytest.mark.django_db
def test_a_late_result_is_kept_and_can_be_accepted_while_the_job_is_pending(ada, olga, held_by):
    lease = held_by(ada)
    lifecycle.release([lease.id], by=By.operator(olga))
    lease.complete(42)
    late = JobEvent.objects.get(job=lease.id, verb=Verb.LATE)
    assert late.from_status == late.to_status == JobStatus.PENDING
    assert sources("accept") == [JobStatus.PENDING]
    (change,) = lifecycle.accept([lease.id], by=By.operator(olga))
    assert [change.status] == targets("accept", "pending")
    assert Job.objects.get(pk=lease.id).result == 42
