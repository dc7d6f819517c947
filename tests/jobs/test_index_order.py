"""Indexes are ascending, so that new entries fill the pages at the end of their stretch and pruning frees pages."""

import re

import pytest
from django.db import connection

pytestmark = pytest.mark.django_db


def test_no_index_of_jobs_descends_but_for_priorities() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE tablename LIKE 'jobs%'")
        definitions = [row[0] for row in cursor.fetchall()]
    descending = {column for one in definitions for column in re.findall(r"(\w+) DESC", one)}
    assert descending == {"priority"}
