"""Fixtures for bots, people and jobs, and functions that act on them. A pytest plugin."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection

from bots import roster
from bots.models import Bot
from jobs import lifecycle
from jobs.enqueue import insert
from jobs.enqueue.new_job import NewJob
from jobs.lifecycle import By, Report
from jobs.models import Job

#: All times of a job, which `age` moves.
MOMENTS = ("run_at", "claimed_at", "started_at", "heartbeat_at", "deadline_at", "finished_at", "created_at")


@dataclass(frozen=True)
class Lease:
    """A held job: its id and attempt, and its holder."""

    bot: Bot
    id: int
    attempt: int

    @property
    def by(self) -> By:
        return By.bot(self.bot)

    @property
    def job(self) -> Job:
        """The job as it is in the database now."""
        return Job.objects.get(pk=self.id)

    def report(self, **fields: Any) -> Report:
        """A report of the bot on this lease."""
        return Report(self.id, self.attempt, **fields)

    def complete(self, result: Any = None) -> lifecycle.Outcome:
        """The bot completes it."""
        return lifecycle.complete([self.report(result=result)], by=self.by)

    def fail(self, error: str = "it broke", *, retry: bool = True) -> lifecycle.Outcome:
        """The bot fails it."""
        return lifecycle.fail([self.report(error=error, retry=retry)], by=self.by)

    def hand_back(self) -> lifecycle.Outcome:
        """The bot hands it back."""
        return lifecycle.hand_back([self.report()], by=self.by)

    def start(self) -> lifecycle.Outcome:
        """The bot starts it."""
        return lifecycle.start([self.report()], by=self.by)[1]

    def heartbeat(self, **fields: Any) -> lifecycle.Outcome:
        """The bot renews it."""
        return lifecycle.heartbeat([self.report(**fields)], by=self.by)[1]


def enqueue_one(kind: str = "sum", **fields: Any) -> Job:
    """A new pending job."""
    ((job_id, _),) = insert.enqueue([NewJob(**({"kind": kind, "payload": {"numbers": [1, 2]}} | fields))])
    return Job.objects.get(pk=job_id)


def take_one(bot: Bot, *, start: bool = True, **fields: Any) -> Lease:
    """A new job that `bot` has claimed."""
    # With the highest priority, so that the claim takes this job and no other.
    job = enqueue_one(**({"priority": 1_000_000} | fields))
    (claimed,) = lifecycle.claim(bot, start=start)
    assert claimed.id == job.pk
    return Lease(bot, claimed.id, claimed.attempt)


def make_older(job: Job | Lease, minutes: float) -> None:
    """Move all of a job's moments into the past. Nobody has to wait, and no clock has to be replaced."""
    moved = ", ".join(f"{name} = {name} - %(by)s * interval '1 minute'" for name in MOMENTS)
    pk = job.id if isinstance(job, Lease) else job.pk
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE jobs_job SET {moved} WHERE id = %(id)s", {"by": minutes, "id": pk})


def bot_named(name: str, **fields: Any) -> Bot:
    """A registered bot; its token is its attribute `token`."""
    bot, token = roster.register(name=name, **fields)
    bot.token = token  # type: ignore[attr-defined]
    return bot


def database_url() -> str:
    """The URL of the database the tests are in, for a process of its own."""
    params = connection.get_connection_params()
    where = {name: params[name] for name in ("host", "port") if params.get(name)}
    who = quote(params.get("user") or "", safe="") + (":" + quote(params["password"]) if params.get("password") else "")
    return f"postgres://{who}@/{quote(params['dbname'])}?{urlencode(where)}"


# --- Bots -----------------------------------------------------------------------------------------------------


@pytest.fixture
def ada(db: None) -> Bot:
    """A bot that takes any job."""
    return bot_named("ada")


@pytest.fixture
def bob(db: None) -> Bot:
    """Another bot that takes any job."""
    return bot_named("bob")


@pytest.fixture
def ada_token(ada: Bot) -> str:
    return str(ada.token)  # type: ignore[attr-defined]


@pytest.fixture
def bob_token(bob: Bot) -> str:
    return str(bob.token)  # type: ignore[attr-defined]


def put_in_quarantine(*bots: Bot, reason: str = "it hangs") -> None:
    """Put the processes of these bots in quarantine that never call hello. Their next probe is due in 10 s."""
    for bot in bots:
        instance, _ = bot.instances.get_or_create(name="")
        lifecycle.quarantine({instance.pk: reason})


# --- People ---------------------------------------------------------------------------------------------------


def person_named(name: str, codenames: Callable[[str], bool] = lambda codename: True) -> User:
    """A user with those of our permissions, all if not said otherwise."""
    user = User.objects.create_user(name, password=f"{name} has a long password", is_staff=True)
    ours = Permission.objects.filter(content_type__app_label__in=["jobs", "bots", "alerts"])
    user.user_permissions.set([p for p in ours if codenames(p.codename)])
    return user


@pytest.fixture
def olga(db: None) -> User:
    """An operator who may do everything with jobs and bots."""
    return person_named("olga")


@pytest.fixture
def vera(db: None) -> User:
    """A user who may view everything and change nothing."""
    return person_named("vera", lambda codename: codename.startswith("view_"))


@pytest.fixture
def nora(db: None) -> User:
    """A user who may only log in."""
    return person_named("nora", lambda codename: False)


@pytest.fixture
def olga_key(olga: User) -> str:
    return roster.create_key(olga)[1]


@pytest.fixture
def vera_key(vera: User) -> str:
    return roster.create_key(vera)[1]


@pytest.fixture
def nora_key(nora: User) -> str:
    return roster.create_key(nora)[1]


# --- Jobs -----------------------------------------------------------------------------------------------------


@pytest.fixture
def a_job(db: None) -> Callable[..., Job]:
    """`a_job(kind="sum", **fields)`: a new pending job."""
    return enqueue_one


@pytest.fixture
def held_by(db: None) -> Callable[..., Lease]:
    """`held_by(bot, start=True, **fields)`: the lease of a new job that `bot` has claimed."""
    return take_one


@pytest.fixture
def age(db: None) -> Callable[[Job | Lease, float], None]:
    """`age(job, minutes)`: the job is that much older now, in all its moments."""
    return make_older
