"""A site with something of everything in it, and the addresses of its pages by what they are about."""

from datetime import time, timedelta

from django.db.models.functions import Now
from django.utils import timezone

from alerts.delivery import outbox
from alerts.incidents import acknowledge, reconcile
from alerts.models import Channel, Delivery, Incident
from alerts.states import Moment
from bots.audit import Who
from bots.login.models import Login, Outcome, SecondFactor, Way
from bots.models import ApiKey, AuditEntry, Bot
from jobs import lifecycle
from jobs.error_groups import counting
from jobs.lifecycle import By
from jobs.models import ErrorGroup
from jobs.schedules import changes
from jobs.stats import rollup
from jobs.sweep import run
from tests.cast import bot_named, enqueue_one, make_older, put_in_quarantine, take_one
from tests.far_side import a_channel, an_incident
from tests.jobs.schedules.rules import fire, off_for

#: The causes of incidents that come about by themselves.
CAUSES = ("stuck", "waiting", "quarantined")
#: How the deliveries of four incidents ended.
FATES = ("delivery_sent", "delivery_waiting", "delivery_given_up", "delivery_dropped")
#: The addresses of its pages, by what they are about; in braces a row, as `fill` names it. Each section has a file of
#: tests, so that they are spread over all processors.
PAGES = {
    "jobs": [
        "/admin/",
        "/admin/?span=day",
        "/admin/jobs/job/",
        "/admin/jobs/job/?view=stuck",
        "/admin/jobs/job/?view=failed",
        "/admin/jobs/job/?view=failed&q=error:address",
        "/admin/jobs/job/?q=kinds:sum+payload.x&order=error",
        "/admin/jobs/errorgroup/",
        "/admin/jobs/errorgroup/{group}/change/",
        "/admin/jobs/job/?view=scheduled",
        "/admin/jobs/job/add/?kind=sum",
        "/admin/jobs/job/upload/",
    ],
    "one_job": [
        *(f"/admin/jobs/job/{{{name}}}/change/" for name in ("stuck", "failed", "held", "done", "released")),
        "/admin/jobs/job/{stuck}/release/",
        "/admin/jobs/job/{stuck}/prioritise/",
        "/admin/jobs/job/{stuck}/history/",
        "/admin/jobs/job/{failed}/edit/",
        "/admin/jobs/job/take-back/{cancel}/",
    ],
    "bots": [
        "/admin/bots/bot/",
        "/admin/bots/bot/{ada}/change/",
        "/admin/bots/bot/{bob}/change/",
        "/admin/bots/bot/{ada}/rotate/",
        "/admin/bots/bot/add/",
        "/admin/bots/apikey/",
        "/admin/password_change/",
    ],
    "kinds_and_history": [
        "/admin/jobs/jobkind/",
        "/admin/jobs/jobkind/sum/change/",
        "/admin/jobs/schedule/",
        "/admin/jobs/schedule/add/",
        "/admin/jobs/schedule/{nightly}/change/",
        "/admin/jobs/schedule/{nightly}/ledger/",
        "/admin/jobs/jobevent/",
        "/admin/jobs/jobevent/?verb=release&from=yesterday",
        "/admin/jobs/jobevent/patterns/?counted=all",
        "/admin/jobs/jobevent/patterns/?range=24h&bot=carl&counted=all",
        "/admin/jobs/jobevent/patterns/?from=yesterday&bot=zoe",
    ],
    "incidents": [
        "/admin/alerts/incident/",
        "/admin/alerts/incident/?status=open",
        *(f"/admin/alerts/incident/{{incident_{name}}}/change/" for name in (*CAUSES, *FATES)),
    ],
    "channels": [
        "/admin/alerts/channel/",
        "/admin/alerts/channel/add/",
        "/admin/alerts/channel/{chat}/change/",
        "/admin/alerts/channel/{hook}/change/",
        "/admin/alerts/channel/{hook}/secret/",
        "/admin/alerts/channel/{hook}/history/",
        "/admin/alerts/channel/{hook}/retire/",
        "/admin/alerts/delivery/",
        "/admin/alerts/delivery/{delivery}/change/",
    ],
    "audit": [
        "/admin/bots/auditentry/",
        "/admin/bots/auditentry/?verb__exact=release",
        "/admin/bots/auditentry/{act}/change/",
        "/admin/bots/bot/{ada}/history/",
    ],
    "logins": [
        "/admin/bots/login/",
        "/admin/bots/secondfactor/",
    ],
}


def some_channels():
    """A chat that is well and a webhook that is not, with what was told."""
    now = timezone.now()
    chat = a_channel("slack://a/b/c", name="Team chat", shown="Slack, slack://…", sent_at=now, kinds=["sum"])
    hook = a_channel(
        "https://hooks.example.org/jobs",
        name="On call",
        shown="https://hooks.example.org/…",
        failing_since=now - timedelta(hours=3),
        failures=14,
        last_error="503 Service Unavailable: upstream connect error or disconnect/reset before headers",
        again_every=timedelta(hours=1),
        quiet_from=time(22),
        quiet_until=time(7),
    )
    incidents = {}
    for number, fate in enumerate(FATES):
        incident = an_incident("ada", "bob", about=f"{number}", title="2 bots are stuck on sum jobs")
        incidents[f"incident_{fate}"] = incident
        status = fate.removeprefix("delivery_")
        outbox.enqueue_notifications(incident, Moment.OPENED)
        Delivery.objects.filter(incident=incident, channel=hook).update(
            status=status, tries=number, error="503 Service Unavailable" if status == "given_up" else ""
        )
        Delivery.objects.filter(incident=incident, channel=chat).update(status="sent", outcome="200 OK: ok", tries=1)
    Channel.objects.create(name="Not used", address="x", enabled=False)
    return incidents | {"chat": chat, "hook": hook, "delivery": hook.deliveries.earliest("pk")}


def fill(olga):
    """Fill the site. Returns its rows by the names that `PAGES` has for them."""
    ada, bob, carl = bot_named("ada"), bot_named("bob"), bot_named("carl", kinds=["divide"])
    stuck, failed, held = take_one(ada), take_one(bob), take_one(bob)
    done = [take_one(bob) for _ in range(3)]
    for lease in done:
        lease.complete({"text": "x" * 400, "list": list(range(20)), "nothing": None})
        make_older(lease, 4)
    failed.fail("Traceback (most recent call last):\n  File …\nValueError: no address", retry=False)
    held.heartbeat(progress=40, note="half way")
    enqueue_one(kind="divide", payload={"a": {"b": [1, "two"]}})
    released = take_one(carl, kind="divide")
    lifecycle.release([released.id], by=By.operator(olga), reason="carl is slow")
    released.complete("late")
    make_older(stuck, 3)
    run.sweep()
    lifecycle.cancel([enqueue_one().pk], by=By.operator(olga), reason="the wrong filter")
    rollup.add_closed_minutes(timezone.now() + timedelta(minutes=2))
    counting.count_failures()
    reconcile.reconcile()
    put_in_quarantine(Bot.objects.get(name="carl"))
    make_older(enqueue_one(kind="divide"), 120)
    reconcile.reconcile()
    incidents = {f"incident_{cause}": Incident.objects.get(cause=cause) for cause in CAUSES}
    acknowledge.acknowledge([incidents["incident_waiting"].pk], by=Who("olga"), remark="it is batch night")
    acknowledge.acknowledge([incidents["incident_quarantined"].pk], by=Who("olga"))
    Incident.objects.filter(cause="quarantined").update(resolved_at=Now())
    for outcome in Outcome.values:
        Login.objects.create(username="stranger", address="192.0.2.66", way=Way.PASSWORD, outcome=outcome)
    nightly = off_for(timedelta(hours=5, minutes=10), every=3600, catch_up="none", overlap="allow")
    fire()
    changes.pause("nightly", reason="the data moves", by=Who("olga"))
    SecondFactor.objects.create(user=olga, secret="JBSWY3DPEHPK3PXP")
    ApiKey.objects.create(user=olga, prefix="jsk_", digest=b"x" * 32)
    leases = {"stuck": stuck, "failed": failed, "held": held, "done": done[0], "released": released}
    rows = (
        leases
        | incidents
        | some_channels()
        | {"ada": ada, "bob": bob, "nightly": nightly, "act": AuditEntry.objects.latest("pk")}
        | {"group": ErrorGroup.objects.latest("pk"), "cancel": AuditEntry.objects.get(verb="cancel")}
    )
    assert Incident.objects.count() == len([name for name in rows if name.startswith("incident_")])
    return {name: row.id for name, row in rows.items()}
