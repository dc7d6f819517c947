"""The history of an incident that stays open has an end: lines of the sweep in its middle are folded into one."""

import pytest

from alerts.incidents import folding
from alerts.models import Incident, IncidentNote
from tests.alerts.passing import an_incident, notes_of

pytestmark = pytest.mark.django_db

MOST = folding.FIRST + folding.NEWEST + folding.SLACK


def add(incident: Incident, count: int, by: str = "", of: str = "line") -> None:
    IncidentNote.objects.bulk_create(
        [IncidentNote(incident=incident, by=by, text=f"{of} {n}") for n in range(1, count + 1)]
    )


def test_the_first_and_the_newest_lines_stay() -> None:
    incident = an_incident()
    add(incident, MOST)
    assert folding.fold([incident.pk]) == folding.SLACK
    texts = notes_of(incident)
    assert texts[0] == f"Opened: {incident.reason}"
    assert texts[folding.FIRST - 1] == f"line {folding.FIRST - 1}"
    assert texts[folding.FIRST] == f"{folding.SLACK + 1} lines of the sweep are left out here."
    assert texts[-1] == f"line {MOST}"
    assert len(texts) == folding.FIRST + 1 + folding.NEWEST


def test_a_fold_counts_what_was_folded_before() -> None:
    incident = an_incident()
    for n in range(1, 4):
        add(incident, MOST, of=f"day {n}, line")
        folding.fold([incident.pk])
    texts = notes_of(incident)
    left = 3 * MOST + 1 - folding.FIRST - folding.NEWEST
    assert [text for text in texts if "left out" in text] == [f"{left} lines of the sweep are left out here."]
    assert len(texts) == folding.FIRST + 1 + folding.NEWEST


def test_what_people_wrote_stays_where_it_is() -> None:
    incident = an_incident()
    add(incident, 40)
    add(incident, 3, by="olga", of="remark")
    add(incident, MOST)
    folding.fold([incident.pk])
    texts = notes_of(incident)
    assert texts[folding.FIRST : folding.FIRST + 4] == [
        "remark 1", "remark 2", "remark 3", f"{40 + folding.SLACK + 1} lines of the sweep are left out here.",
    ]  # fmt: skip


def test_a_short_history_is_left_alone_and_so_is_another_incidents() -> None:
    short, other = an_incident(about="sum"), an_incident(about="divide")
    add(short, MOST - 1)
    add(other, MOST)
    assert folding.fold([short.pk]) == 0
    assert len(notes_of(other)) == MOST + 1
