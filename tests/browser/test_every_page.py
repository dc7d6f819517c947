"""Every page of the console is for everybody: wide and on a phone, light and dark, and without a complaint."""

from datetime import time, timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.db.models.functions import Now
from django.utils import timezone

from alerts.delivery import outbox
from alerts.incidents import acknowledge, reconcile
from alerts.models import Channel, Delivery, Incident
from alerts.states import Moment
from bots.models import ApiKey, Bot
from jobs import lifecycle
from jobs.lifecycle import By
from jobs.stats import rollup
from jobs.sweep import run
from tests.browser.people import come_in
from tests.cast import bot_named, enqueue_one, take_one
from tests.far_side import a_channel, an_incident

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True, serialized_rollback=False)]

RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
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
    for number, status in enumerate(("sent", "waiting", "given_up", "dropped")):
        incident = an_incident("ada", "bob", about=f"{number}", title="2 bots are stuck on sum jobs")
        outbox.tell(incident, Moment.OPENED)
        Delivery.objects.filter(incident=incident, channel=hook).update(
            status=status, tries=number, error="503 Service Unavailable" if status == "given_up" else ""
        )
        Delivery.objects.filter(incident=incident, channel=chat).update(status="sent", outcome="200 OK: ok", tries=1)
    Channel.objects.create(name="Not used", address="x", enabled=False)
    return chat, hook


@pytest.fixture
def house(db, olga, ada, bob, age):
    """A house with something of everything in it; the addresses of its pages."""
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
    reconcile.watch()
    Bot.objects.filter(name="carl").update(quarantined_at=Now())
    enqueue_one(kind="divide", run_at=timezone.now() - timedelta(hours=2))
    reconcile.watch()
    acknowledge.acknowledge([Incident.objects.get(cause="waiting").pk], by="olga", remark="it is batch night")
    acknowledge.acknowledge([Incident.objects.get(cause="quarantined").pk], by="olga")
    Incident.objects.filter(cause="quarantined").update(resolved_at=Now())
    chat, hook = some_channels()
    ApiKey.objects.create(user=olga, prefix="jsk_", digest=b"x" * 32)
    return [
        "/admin/",
        "/admin/?span=day",
        "/admin/jobs/job/",
        "/admin/jobs/job/?view=stuck",
        "/admin/jobs/job/?view=failed&q=error:address",
        "/admin/jobs/job/?view=scheduled",
        *(f"/admin/jobs/job/{lease.id}/change/" for lease in (stuck, failed, held, done[0], released)),
        f"/admin/jobs/job/{stuck.id}/release/",
        f"/admin/jobs/job/{stuck.id}/prioritise/",
        "/admin/jobs/job/add/?kind=sum",
        "/admin/jobs/job/upload/",
        "/admin/alerts/incident/",
        "/admin/alerts/incident/?status=open",
        *(f"/admin/alerts/incident/{incident.pk}/change/" for incident in Incident.objects.all()),
        "/admin/bots/bot/",
        f"/admin/bots/bot/{ada.pk}/change/",
        f"/admin/bots/bot/{bob.pk}/change/",
        f"/admin/bots/bot/{ada.pk}/rotate/",
        "/admin/bots/bot/add/",
        "/admin/jobs/jobkind/",
        "/admin/jobs/jobkind/sum/change/",
        "/admin/jobs/jobevent/",
        "/admin/jobs/jobevent/patterns/?counted=all",
        "/admin/jobs/jobevent/patterns/?range=24h&bot=carl&counted=all",
        "/admin/jobs/jobevent/patterns/?from=yesterday&bot=zoe",
        "/admin/bots/apikey/",
        f"/admin/jobs/job/{stuck.id}/history/",
        "/admin/password_change/",
        "/admin/alerts/channel/",
        "/admin/alerts/channel/add/",
        f"/admin/alerts/channel/{chat.pk}/change/",
        f"/admin/alerts/channel/{hook.pk}/change/",
        f"/admin/alerts/channel/{hook.pk}/secret/",
        f"/admin/alerts/channel/{hook.pk}/history/",
        "/admin/alerts/delivery/",
        f"/admin/alerts/delivery/{hook.deliveries.earliest('pk').pk}/change/",
    ]


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")])
def test_every_page_is_for_everybody(browser, live_server, house, olga, width, scheme):
    context = browser.new_context(
        base_url=live_server.url, viewport={"width": width, "height": 844}, color_scheme=scheme
    )
    come_in(context, live_server, olga)
    page = context.new_page()
    said = []
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    axe = Axe()
    found = []
    for url in house:
        said.clear()
        assert page.goto(url).status == 200, url
        # Before axe looks: it writes styles of its own into the page, which the policy refuses.
        found.extend(f"{url}: {complaint}" for complaint in said)
        wide = page.evaluate("document.documentElement.scrollWidth")
        if wide > width:
            found.append(f"{url}: {wide} px wide")
        for violation in axe.run(page, options=RULES).response["violations"]:
            nodes = [node["html"][:160] for node in violation["nodes"][:3]]
            found.append(f"{url}: {violation['id']}: {violation['help']}: {nodes}")
    context.close()
    assert not found, "\n".join(found)


def test_the_page_to_log_in_is_for_everybody(page, live_server):
    page.goto("/admin/login/")
    assert Axe().run(page, options=RULES).response["violations"] == []


def test_the_api_docs_work_under_the_policy(page, live_server):
    page.goto("/api/v1/docs")
    page.get_by_text("/api/v1/claim").first.wait_for()
