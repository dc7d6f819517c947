"""`make screenshots`: the pictures in the README and the docs, made from a seeded house. Not a test of anything."""

from pathlib import Path

import pytest

from alerts.incidents import reconcile
from alerts.models import Incident
from bots.models import Bot
from jobs import lifecycle
from jobs.enqueue import insert
from jobs.enqueue.new_job import NewJob
from jobs.models import Job, JobKind
from jobsite.dev import seeding
from tests.browser.people import come_in
from tests.cast import bot_named

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True, serialized_rollback=False)]

#: Of one part of a page: so much is seen of it.
TALLEST = 321
IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"


def test_screenshots(browser, live_server, olga):
    seeding.seed(60_000, 48, lambda n: None)
    stuck = Job.objects.stuck().order_by("heartbeat_at").first()
    bot = Bot.objects.exclude(stuck_job=None).order_by("name").first()
    reconcile.reconcile()
    incident = Incident.objects.filter(cause="stuck").first()
    assert stuck and bot and incident
    pages = {
        "home": "/admin/",
        "jobs": "/admin/jobs/job/?view=held",
        "job": f"/admin/jobs/job/{stuck.pk}/change/",
        "bot": f"/admin/bots/bot/{bot.pk}/change/",
        "kind": "/admin/jobs/jobkind/crm.sync/change/",
        "patterns": "/admin/jobs/jobevent/patterns/",
        "incident": f"/admin/alerts/incident/{incident.pk}/change/",
    }
    for name, url in pages.items():
        _picture(browser, live_server, olga, url, IMAGES / f"{name}.png", 1280, 1300, "light")
    _picture(
        browser,
        live_server,
        olga,
        pages["home"],
        IMAGES / "needs-you.png",
        900,
        900,
        "light",
        only="[aria-labelledby=needs-me-title]",
    )
    _picture(browser, live_server, olga, pages["home"], IMAGES / "home-dark.png", 1280, 900, "dark")
    _picture(browser, live_server, olga, pages["home"], IMAGES / "home-phone.png", 390, 844, "light")


def test_screenshot_of_limits(browser, live_server, olga):
    """As in the demo: three customers, two jobs of each at once. One of them is throttled."""
    JobKind.objects.create(name="wordcount", max_held_per_group=2)
    lifecycle.limits_changed(["wordcount"])
    groups = [*["acme"] * 40, *["beta"] * 10, *["gamma"] * 10]
    insert.enqueue([NewJob("wordcount", {}, group=group) for group in groups])
    lifecycle.claim(bot_named("steady"), limit=5)
    lifecycle.throttle("wordcount", "gamma", 600, by=lifecycle.By.bot(bot_named("swift")), reason="429")
    url = "/admin/jobs/jobkind/wordcount/change/"
    _picture(browser, live_server, olga, url, IMAGES / "limits.png", 900, 2400, "light", only="#limits")


def _picture(browser, live_server, user, url, path, width, height, scheme, only=None):
    """A picture of a page, or of the top of one part of it, with twice the pixels."""
    context = browser.new_context(
        base_url=live_server.url,
        viewport={"width": width, "height": height},
        color_scheme=scheme,
        device_scale_factor=2 if only else 1,
    )
    come_in(context, live_server, user)
    page = context.new_page()
    page.goto(url)
    box = page.locator(only).bounding_box() if only else None
    page.screenshot(path=str(path), clip=box | {"height": min(box["height"], TALLEST)} if box else None)
    context.close()
