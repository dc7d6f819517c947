"""The recipe of the outbox in SQL works as it is written."""

import re
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import User

from bots import roster
from jobs.models import Job
from jobsite_client import Client
from tests.cast import database_url
from tests.docs.reading import text_of

PAGE = "docs/django.md"


@pytest.mark.django_db(transaction=True)
def test_the_recipe_in_sql_sends_each_row_once(live_server: Any, olga: User) -> None:
    recipe = text_of(PAGE).partition("### Without Django")[2]
    create, insert = re.findall(r"```sql\n(.*?)```", recipe, flags=re.S)
    (source,) = re.findall(r"```python\n(.*?)```", recipe, flags=re.S)
    names: dict[str, Any] = {}
    exec(source, names)
    key = roster.create_key(olga)[1]
    with psycopg.connect(database_url(), autocommit=True) as connection, Client(live_server.url, key) as client:
        connection.execute(create)
        try:
            connection.execute(insert)
            with pytest.raises(LookupError), connection.transaction():
                connection.execute(insert)
                raise LookupError("rolled back")
            assert [names["relay"](connection, client) for _ in range(2)] == [1, 0]
        finally:
            connection.execute("DROP TABLE job_outbox")
    assert [(job.kind_id, job.payload) for job in Job.objects.all()] == [("invoice", {"order": 7})]
