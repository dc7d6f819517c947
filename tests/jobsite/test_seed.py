"""`manage.py seed` writes a past that the database accepts, and a present by the verbs."""

import pytest
from django.core.management import CommandError, call_command

from bots.models import Bot
from jobs.models import Job, JobEvent, JobRollup
from jobs.states import JobStatus

pytestmark = pytest.mark.django_db


def test_a_seeded_house_has_a_past_and_a_present(settings, capsys):
    settings.DEBUG = True
    call_command("seed", "3000", "--bots", "30")
    assert "Wrote 3000 jobs of the past and 30 bots" in capsys.readouterr().out
    assert Job.objects.finished().count() == 3000
    assert Job.objects.held().count() >= 20
    assert Job.objects.stuck().exists()
    assert Job.objects.pending().count() > 1000
    assert set(Job.objects.values_list("status", flat=True)) == set(JobStatus.values)
    assert Bot.objects.stuck().exists()
    assert JobEvent.objects.filter(actor="operator").exists()
    assert sum(row.succeeded for row in JobRollup.objects.filter(span="hour", kind="")) > 2000
    # And hand-backs of every sort, for the release patterns.
    assert JobRollup.objects.filter(span="bot_day", succeeded__gt=0).exists()
    for way in ("expire", "release"):
        assert JobEvent.objects.filter(verb=way, detail__has_key="claimed_at").exists()
    # Once more adds to it.
    call_command("seed", "100", "--bots", "30")
    assert Job.objects.finished().count() == 3100


def test_a_real_house_is_never_seeded():
    with pytest.raises(CommandError, match="never in production"):
        call_command("seed", "10")
    assert not Job.objects.exists()


@pytest.mark.parametrize("rows", ["0", "-5"])
def test_a_number_that_is_none_is_named(settings, rows):
    settings.DEBUG = True
    with pytest.raises(CommandError, match="positive number"):
        call_command("seed", "--", rows)
