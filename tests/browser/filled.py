"""A site with something of everything in it, and the addresses of its pages by what they are about."""

from datetime import time, timedelta

from django.db.models.functions import Now
from django.utils import timezone

from alerts.delivery import outbox
from alerts.incidents import acknowledge, reconcile
from alerts.models import Channel, Delivery, Incident
from alerts.states import Moment
from bots.audit import Who
from bots.models import ApiKey, AuditEntry, Bot
from jobs import lifecycle
from jobs.lifecycle import By
from jobs.stats import rollup
from jobs.sweep import run
from tests.cast import bot_named, enqueue_one, take_one
from tests.far_side import a_channel, an_incident

#: What the pages are about. A file of tests for each, so that they are spread over all processors.
SECTIONS = ("jobs", "one_job", "bots", "kinds_and_history", "incidents", "channels", "audit")


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
    for number, status in enumerate(("sent", "waiting", "given_up", "dropped")):
        incident = an_incident("ada", "bob", about=f"{number}", title="2 bots are stuck on sum jobs")
        outbox.enqueue_notifications(incident, Moment.OPENED)
        Delivery.objects.filter(incident=incident, channel=hook).update(
            status=status, tries=number, error="503 Service Unavailable" if status == "given_up" else ""
        )
        Delivery.objects.filter(incident=incident, channel=chat).update(status="sent", outcome="200 OK: ok", tries=1)
    Channel.objects.create(name="Not used", address="x", enabled=False)
    return chat, hook


def fill(olga, ada, bob, age):
    """Fill the site. Returns the addresses of its pages: `{section: [address, …]}`."""
    carl = bot_named("carl", kinds=["divide"])
    stuck, failed, held = take_one(ada), take_one(bob), take_one(bob)
    done = [take_one(bob) for _ in range(3)]
    for lease in done:
        lease.complete({"text": "x" * 400, "list": list(range(20)), "nothing": None})
        age(lease, 4)
    failed.fail("Traceback (most recent call last):\n  File …\nValueError: no address", retry=False)
    held.heartbeat(progress=40, note="half way")
    enqueue_one(kind="divide", payload={"a": {"b": [1, "two"]}})
    released = take_one(carl, kind="divide")
    lifecycle.release([released.id], by=By.operator(olga), reason="carl is slow")
    released.complete("late")
    age(stuck, 3)
    run.sweep()
    rollup.add_closed_minutes(timezone.now() + timedelta(minutes=2))
    reconcile.reconcile()
    Bot.objects.filter(name="carl").update(quarantined_at=Now())
    enqueue_one(kind="divide", run_at=timezone.now() - timedelta(hours=2))
    reconcile.reconcile()
    acknowledge.acknowledge([Incident.objects.get(cause="waiting").pk], by=Who("olga"), remark="it is batch night")
    acknowledge.acknowledge([Incident.objects.get(cause="quarantined").pk], by=Who("olga"))
    Incident.objects.filter(cause="quarantined").update(resolved_at=Now())
    chat, hook = some_channels()
    ApiKey.objects.create(user=olga, prefix="jsk_", digest=b"x" * 32)
    addresses = {
        "jobs": [
            "/admin/",
            "/admin/?span=day",
            "/admin/jobs/job/",
            "/admin/jobs/job/?view=stuck",
            "/admin/jobs/job/?view=failed&q=error:address",
            "/admin/jobs/job/?view=scheduled",
            "/admin/jobs/job/add/?kind=sum",
            "/admin/jobs/job/upload/",
        ],
        "one_job": [
            *(f"/admin/jobs/job/{lease.id}/change/" for lease in (stuck, failed, held, done[0], released)),
            f"/admin/jobs/job/{stuck.id}/release/",
            f"/admin/jobs/job/{stuck.id}/prioritise/",
            f"/admin/jobs/job/{stuck.id}/history/",
        ],
        "bots": [
            "/admin/bots/bot/",
            f"/admin/bots/bot/{ada.pk}/change/",
            f"/admin/bots/bot/{bob.pk}/change/",
            f"/admin/bots/bot/{ada.pk}/rotate/",
            "/admin/bots/bot/add/",
            "/admin/bots/apikey/",
            "/admin/password_change/",
        ],
        "kinds_and_history": [
            "/admin/jobs/jobkind/",
            "/admin/jobs/jobkind/sum/change/",
            "/admin/jobs/jobevent/",
            "/admin/jobs/jobevent/patterns/?counted=all",
            "/admin/jobs/jobevent/patterns/?range=24h&bot=carl&counted=all",
            "/admin/jobs/jobevent/patterns/?from=yesterday&bot=zoe",
        ],
        "incidents": [
            "/admin/alerts/incident/",
            "/admin/alerts/incident/?status=open",
            *(f"/admin/alerts/incident/{incident.pk}/change/" for incident in Incident.objects.all()),
        ],
        "channels": [
            "/admin/alerts/channel/",
            "/admin/alerts/channel/add/",
            f"/admin/alerts/channel/{chat.pk}/change/",
            f"/admin/alerts/channel/{hook.pk}/change/",
            f"/admin/alerts/channel/{hook.pk}/secret/",
            f"/admin/alerts/channel/{hook.pk}/history/",
            f"/admin/alerts/channel/{hook.pk}/retire/",
            "/admin/alerts/delivery/",
            f"/admin/alerts/delivery/{hook.deliveries.earliest('pk').pk}/change/",
        ],
        "audit": [
            "/admin/bots/auditentry/",
            "/admin/bots/auditentry/?verb__exact=release",
            f"/admin/bots/auditentry/{AuditEntry.objects.filter(verb='release').latest('pk').pk}/change/",
            f"/admin/bots/bot/{ada.pk}/history/",
        ],
    }
    assert tuple(addresses) == SECTIONS
    return addresses
