"""The table of transitions: what its rows must agree on, and that the code carries them out."""

import pytest
from django.contrib.auth.models import Permission

from jobs import lifecycle, transitions
from jobs.models import JobEvent
from jobs.release_patterns.samples import SOURCES
from jobs.release_patterns.sums import COLUMNS
from jobs.states import FINISHED, HELD, Actor, JobStatus, Verb
from jobs.transitions import ENDING, OPERATIONS, TABLE, Counted, Outcome, Routine, Transition

EACH = pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.verb} by {row.actor}")
VERBS = dict.fromkeys(row.verb for row in TABLE)


def test_every_verb_has_a_row_and_each_actor_of_it_one() -> None:
    assert set(VERBS) == {*Verb, *Routine}
    assert len({(row.verb, row.actor) for row in TABLE}) == len(TABLE)


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_has_one_past_tense_one_look_and_the_same_states_for_all_actors(verb: str) -> None:
    rows = transitions.rows(verb)
    assert len({(row.past, row.look, row.sources, row.counted, row.subject) for row in rows}) == 1


@pytest.mark.parametrize("verb", VERBS)
def test_no_two_verbs_share_a_past_tense(verb: str) -> None:
    assert [other for other in VERBS if transitions.past(other) == transitions.past(verb)] == [verb]


@EACH
def test_a_lease_that_ends_has_an_outcome_and_an_attempt_that_counts_or_not(row: Transition) -> None:
    ends = set(row.sources) >= set(HELD) and bool(row.targets) and not set(row.targets) & set(HELD)
    assert (row.outcome is not None) == ends
    assert (row.counted in (Counted.YES, Counted.NO)) == ends


@EACH
def test_a_finished_job_is_moved_only_by_a_retry_or_when_its_cancel_is_taken_back(row: Transition) -> None:
    if row.targets and set(row.sources) & set(FINISHED):
        assert row.verb in (Verb.RETRY, Verb.TAKE_BACK)


def test_what_ends_a_lease_other_than_well_leaves_an_event() -> None:
    assert ENDING == (Verb.RELEASE, Verb.EXPIRE, Verb.FAIL, Verb.CANCEL, Verb.DEFER)
    assert {row.verb for row in TABLE if row.outcome} == {*ENDING, Routine.COMPLETE}


def test_the_statistics_have_a_column_for_each_outcome() -> None:
    assert sorted(Outcome) == sorted(COLUMNS)


@pytest.mark.django_db
@EACH
def test_the_statistics_find_the_events_of_an_outcome(row: Transition, a_job) -> None:
    if row.verb in Verb.values:
        job = a_job()
        event = JobEvent.objects.create(
            job=job, attempt=1, verb=row.verb, actor=row.actor, from_status="processing", to_status="pending"
        )
        found = [way for way, events in SOURCES.items() if JobEvent.objects.filter(events, pk=event.pk).exists()]
        assert found == ([row.outcome] if row.outcome in SOURCES else [])


@pytest.mark.django_db
def test_operators_have_a_permission_for_each_operation_and_no_other() -> None:
    ours = Permission.objects.filter(content_type__app_label="jobs", content_type__model="job")
    names = {f"jobs.{codename}": name for codename, name in ours.values_list("codename", "name")}
    own = {permission: name for permission, name in names.items() if not permission.startswith("jobs.view_")}
    for action in ("add", "change", "delete"):
        own.pop(f"jobs.{action}_job")
    assert own == {operation.permission: f"Can {operation.grants}" for operation in OPERATIONS.values()}


@pytest.mark.parametrize("verb", OPERATIONS)
def test_the_lifecycle_has_a_function_for_each_operation(verb: str) -> None:
    assert callable(getattr(lifecycle, verb))
    assert {row.actor for row in TABLE if row.verb == verb} >= {Actor.OPERATOR}


def test_every_state_but_the_last_ones_can_be_left_and_every_state_reached() -> None:
    left = {status for row in TABLE if row.targets for status in row.sources}
    reached = {status for row in TABLE for status in row.targets}
    assert left == set(JobStatus) - {JobStatus.SUCCEEDED}
    assert reached == set(JobStatus)
