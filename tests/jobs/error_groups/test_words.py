"""Which errors are alike: those whose last lines have the same words without what differs each time."""

import pytest
from django.db import connection

pytestmark = pytest.mark.django_db

TRACE = (
    'Traceback (most recent call last):\n  File "worker.py", line 88, in run\nhttp.errors.Timeout: no answer in 10 s\n'
)
ALIKE = {
    TRACE: "http.errors.Timeout: no answer in # s",
    "no answer from https://10.0.4.17:8080/a?b=1 in 3.5 s": "no answer from <url> in # s",
    "KeyError: 'cust-17'": 'KeyError: "…"',
    'no field "name" of customer 17': 'no field "…" of customer #',
    "can't open the door of cust-17": "can't open the door of cust-#",
    "No such file: /var/lib/spool/a17.pdf": "No such file: <path>",
    r"cannot read C:\temp\x.txt": "cannot read <path>",
    "refused by 10.0.4.17:5432": "refused by #",
    "order 3f2504e0-4f89-11d3-9a0c-0305e82c3301 is gone": "order # is gone",
    "blob sha256abc9912ff77 is\t  bad": "blob # is bad",
    "HTTP 503 and/or a timeout": "HTTP # and/or a timeout",
    "  \n": "",
    "é" * 900: "é" * 300,
}


def words(error: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT jobs_error_words(%s)", [error])
        return str(cursor.fetchone()[0])


@pytest.mark.parametrize(("error", "expected"), ALIKE.items(), ids=range(len(ALIKE)))
def test_what_differs_from_one_failure_to_the_next_is_left_out(error: str, expected: str) -> None:
    assert words(error) == expected


def test_words_of_words_are_the_same() -> None:
    for expected in ALIKE.values():
        assert words(expected) == expected


def test_a_long_error_is_known_by_its_end() -> None:
    assert words("x" * 100_000 + "\nValueError: 7") == "ValueError: #"
