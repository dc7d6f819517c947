"""`sweep_stuck --dry-run` says, job by job, what would happen and why, and nothing happens."""

import json
import re
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.core.serializers import serialize
from django.db.models.functions import Now

from bots.models import Bot
from jobs import lifecycle
from jobs.models import Job, JobEvent, JobKind
from jobs.sweep.run import sweep
from tests.cast import bot_named, enqueue_one, make_older, take_one

pytestmark = pytest.mark.django_db


def dry(*arguments):
    out = StringIO()
    call_command("sweep_stuck", "--dry-run", *arguments, stdout=out)
    return out.getvalue()


def everything():
    """All rows a sweep could change."""
    return [serialize("json", model.objects.order_by("pk")) for model in (Job, JobEvent, JobKind, Bot)]


@pytest.fixture
def seen(ada, bob):
    """Nobody is about to be down."""
    Bot.objects.update(last_seen_at=Now())


@pytest.fixture
def all_sorts(seen, ada, bob):
    """A lease for each thing the sweep does; `{what: lease}`."""
    dora = bot_named("dora", kinds=["mul"])
    Bot.objects.filter(pk=dora.pk).update(last_seen_at=Now())
    leases = {
        "back": take_one(ada),
        "used up": take_one(bob, max_attempts=1),
        "given up": take_one(ada, kind="divide"),
        "flagged": take_one(bob, kind="mul"),
        "watched": take_one(ada),
        "in order": take_one(bob),
    }
    JobKind.objects.filter(name="divide").update(when_silent="fail")
    JobKind.objects.filter(name="mul").update(when_silent="flag")
    for what, lease in leases.items():
        make_older(lease, {"watched": 3, "in order": 1}.get(what, 7))
    return leases


def test_piped_it_is_a_line_for_each_job_with_what_would_happen_and_why(all_sorts):
    summary, *lines = dry().splitlines()
    assert summary.startswith("Dry run: checked 5, ")
    ids = {what: lease.id for what, lease in all_sorts.items()}
    assert sorted(lines) == sorted(
        [
            f"sum job {ids['back']}, held by ada: expire → pending: silent for 7 m on sum job {ids['back']}, limit 2 m",
            f"sum job {ids['used up']}, held by bob: expire → failed: "
            f"silent for 7 m on sum job {ids['used up']}, limit 2 m",
            f"divide job {ids['given up']}, held by ada: fail → failed: "
            f"silent for 7 m on divide job {ids['given up']}, limit 2 m",
            f"mul job {ids['flagged']}, held by bob: flag: silent for 7 m on mul job {ids['flagged']}, limit 2 m",
            f"sum job {ids['watched']}, held by ada: wait: silent for 3 m on sum job {ids['watched']}, limit 2 m",
        ]
    )


def test_as_json_the_actions_stand_beside_the_figures_that_are_promised(all_sorts):
    said = json.loads(dry("--json"))
    actions = {act["job"]: act for act in said.pop("actions")}
    out = StringIO()
    call_command("sweep_stuck", "--json", stdout=out)
    assert list(said) == list(json.loads(out.getvalue()))
    assert (said["checked"], said["expired"], said["failed"], said["flagged"]) == (5, 2, 2, 1)
    back = all_sorts["back"].id
    assert actions[back] == {
        "action": "expire", "job": back, "kind": "sum", "bot": "ada", "instance": "", "becomes": "pending",
        "reason": f"silent for 7 m on sum job {back}, limit 2 m",
    }  # fmt: skip


def test_nothing_is_changed(all_sorts):
    before = everything()
    dry()
    dry("--json")
    assert everything() == before


def test_what_is_foreseen_is_what_a_sweep_then_does(all_sorts):
    foreseen = sweep(dry_run=True)
    done = sweep()
    assert foreseen.actions == done.actions
    for name in ("checked", "expired", "failed", "flagged"):
        assert getattr(foreseen, name) == getattr(done, name), name
    for act in foreseen.actions:
        assert act.becomes in (None, Job.objects.get(pk=act.job).status)


def hung_thrice(bot, then, instance):
    """Three jobs expired under this instance, and then the other bot did them, which is not judged yet."""
    lifecycle.hello(bot, instance=instance, identity=instance)
    jobs = [enqueue_one() for _ in range(3)]
    lifecycle.claim(bot, limit=3, instance=instance)
    for job in jobs:
        make_older(job, 7)
    lifecycle.claim(then)
    sweep()
    again = lifecycle.claim(then, limit=3)
    lifecycle.complete([lifecycle.Report(job.id, job.attempt) for job in again], by=lifecycle.By.bot(then))
    lifecycle.attend(bot, instance)
    return ", ".join(str(job.pk) for job in jobs)


def test_a_quarantine_is_foreseen_with_its_reason(seen, ada, bob):
    numbers = hung_thrice(ada, bob, "pod-1")
    before = everything()
    (line,) = [line for line in dry().splitlines() if "quarantine" in line]
    reason = f"3 jobs that others then did expired under it within 1 h: {numbers}"
    assert line == f"bot ada, instance pod-1: quarantine: {reason}"
    assert everything() == before
    sweep()
    assert ada.instances.get(name="pod-1").quarantine_reason == reason
    assert "quarantine" not in dry()


def test_of_one_that_is_in_quarantine_none_is_foreseen(seen, ada, bob):
    hung_thrice(ada, bob, "pod-1")
    lifecycle.quarantine({ada.instances.get(name="pod-1").pk: "it hangs"})
    assert "quarantine" not in dry()


def test_a_job_that_would_have_hung_three_bots_is_foreseen(seen, ada, bob):
    lease = take_one(ada, max_attempts=50)
    for bot in (bob, bot_named("carl")):
        make_older(lease, 7)
        sweep()
        lifecycle.claim(bot)
    make_older(lease, 7)
    before = everything()
    (act,) = [act for act in json.loads(dry("--json"))["actions"] if act["job"]]
    assert (act["action"], act["becomes"]) == ("expire", "failed")
    assert act["reason"].endswith("; the job hung 3 bots: ada, bob, carl")
    assert everything() == before


def test_a_bot_that_would_be_down_is_foreseen(seen, ada):
    assert "down" not in "".join(dry().splitlines()[1:])
    Bot.objects.filter(pk=ada.pk).update(last_seen_at=Now() - timedelta(minutes=3))
    (line,) = dry().splitlines()[1:]
    assert re.fullmatch(r"bot ada: down: not seen for 3 m( \d+ s)?, limit 2 m", line)
    ada.refresh_from_db()
    assert ada.status == "idle"
