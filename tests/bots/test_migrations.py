"""The third grade of health comes to a database with rows in it, and goes again where the rows allow it."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import IntegrityError, connection
from django.db.migrations.executor import MigrationExecutor

from tests.jobsite.empty_database import copied, switch_to

pytestmark = pytest.mark.django_db(transaction=True)

TWO = [("bots", "0001_initial")]
THREE = [("bots", "0003_validate_health_status")]


def migrate(to: list[tuple[str, str]]) -> Any:
    """Bring the database to this state; the models as they were then."""
    executor = MigrationExecutor(connection)
    executor.migrate(to)
    return MigrationExecutor(connection).loader.project_state(to).apps


def ask(sql: str, *params: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall()


def constraint() -> tuple[str, bool]:
    """The constraint as PostgreSQL reports it, and whether it vouches for every row."""
    (row,) = ask(
        "SELECT pg_get_constraintdef(oid), convalidated FROM pg_constraint WHERE conname = 'bot_health_status_valid'"
    )
    return row[0], row[1]


def index() -> list[tuple[Any, ...]]:
    return ask("SELECT indexdef FROM pg_indexes WHERE indexname = 'bot_stuck_job'")


def grades() -> dict[str, str]:
    return dict(ask("SELECT name, health_status FROM bots_bot"))


@pytest.fixture(scope="module")
def two(django_db_setup: None, django_db_blocker: Any) -> Iterator[str]:
    """The name of a database at `bots.0001`, with its jobs in place and rows of both grades; made once."""
    own = connection.settings_dict["NAME"]
    with django_db_blocker.unblock(), copied(own, f"{own}_two"):
        old = migrate(TWO)
        bot = old.get_model("bots", "Bot")
        bot.objects.create(name="ada", health_status="normal")
        bot.objects.create(name="bob", health_status="potentially_stuck", health_reason="silent for 3 m")
        switch_to(own)
        yield f"{own}_two"


@pytest.fixture
def at_two(two: str, transactional_db: None) -> Iterator[None]:
    """A copy of it, which may be changed."""
    with copied(two, f"{two}_now"):
        yield


def test_at_first_postgresql_refuses_unhealthy(at_two: None) -> None:
    assert "unhealthy" not in constraint()[0]
    with pytest.raises(IntegrityError, match="bot_health_status_valid"):
        ask("UPDATE bots_bot SET health_status = 'unhealthy' WHERE name = 'ada' RETURNING id")
    assert grades() == {"ada": "normal", "bob": "potentially_stuck"}


def test_going_back_to_two_grades_leaves_jobs_and_incidents_in_place(at_two: None) -> None:
    for app, name in (
        ("jobs", "0002_squashed_0018_finished_by_kind"),
        ("alerts", "0001_squashed_0004_incident_back_at"),
    ):
        assert ask("SELECT count(*) FROM django_migrations WHERE app = %s AND name = %s", app, name) == [(1,)]
    assert ask("SELECT count(*) FROM pg_proc WHERE proname LIKE 'jobs_guard_%%'") == [(2,)]
    assert index() == []


def test_the_upgrade_keeps_the_rows_and_lets_unhealthy_in(at_two: None) -> None:
    migrate(THREE)
    assert grades() == {"ada": "normal", "bob": "potentially_stuck"}
    ask("UPDATE bots_bot SET health_status = 'unhealthy' WHERE name = 'bob' RETURNING id")
    assert grades()["bob"] == "unhealthy"


def test_after_the_upgrade_postgresql_reports_three_grades_validated(at_two: None) -> None:
    migrate(THREE)
    definition, validated = constraint()
    assert all(f"'{grade}'" in definition for grade in ("normal", "potentially_stuck", "unhealthy"))
    assert validated


def test_the_new_constraint_is_added_without_a_look_at_the_rows(at_two: None) -> None:
    # NOT VALID is what makes the lock short; 0003 looks at the rows under a lock that lets bots work on.
    migrate([("bots", "0002_unhealthy")])
    definition, validated = constraint()
    assert "unhealthy" in definition
    assert not validated


def test_the_upgrade_brings_an_index_over_the_stuck_alone(at_two: None) -> None:
    migrate(THREE)
    ((definition,),) = index()
    assert definition.endswith("USING btree (stuck_job_id) WHERE (stuck_job_id IS NOT NULL)")


def test_it_goes_back_while_rows_have_two_grades_only(at_two: None) -> None:
    migrate(THREE)
    migrate(TWO)
    definition, validated = constraint()
    assert "unhealthy" not in definition
    assert validated
    assert index() == []
    assert grades() == {"ada": "normal", "bob": "potentially_stuck"}


def test_going_back_with_an_unhealthy_bot_is_refused_and_changes_nothing(at_two: None) -> None:
    migrate(THREE)
    ask("UPDATE bots_bot SET health_status = 'unhealthy' WHERE name = 'bob' RETURNING id")
    with pytest.raises(IntegrityError, match="bot_health_status_valid"):
        migrate(TWO)
    assert grades() == {"ada": "normal", "bob": "unhealthy"}
    definition, _ = constraint()
    assert "unhealthy" in definition
    assert len(index()) == 1
    assert ask("SELECT count(*) FROM django_migrations WHERE app = 'bots' AND name = '0002_unhealthy'") == [(1,)]


def test_it_goes_up_to_the_last_migrations_of_all(at_two: None) -> None:
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())
    assert grades() == {"ada": "normal", "bob": "potentially_stuck"}
