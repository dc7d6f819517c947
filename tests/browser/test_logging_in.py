"""The pages to log in, one's own login, the record of logins, and errors: for everybody, wide and on a phone."""

import time

import pyotp
import pytest

from bots.login.models import SecondFactor
from tests.browser.pages import violations

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True, serialized_rollback=False)]
#: What Chromium reports of an answer that is an error on purpose.
STATUS = "the server responded with a status of"


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_each_step_is_for_everybody(browser, live_server, olga, settings, width, scheme):
    settings.OIDC_ISSUER, settings.OIDC_NAME = "http://127.0.0.1:1", "Example ID"
    size = {"width": width, "height": 844}
    context = browser.new_context(base_url=live_server.url, viewport=size, color_scheme=scheme)
    page, found, printed = context.new_page(), [], []
    page.on("console", lambda message: printed.append(message.text) if message.type == "error" else None)

    def inspect(name):
        found.extend(f"{name}: {text}" for text in printed if STATUS not in text)
        if page.evaluate("document.documentElement.scrollWidth") > width:
            found.append(f"{name} is too wide")
        found.extend(f"{name}: {text}" for text in violations(page))
        # Axe writes styles of its own into the page, which the policy refuses.
        printed.clear()

    def enter():
        page.goto("/admin/login/")
        page.fill("#id_username", "olga")
        page.fill("#id_password", "olga has a long password")
        page.click("input[type=submit]")

    page.goto("/admin/login/")
    inspect("login")
    page.goto("/nothing-here")
    inspect("404")
    enter()
    page.goto("/admin/auth/user/")
    inspect("403")
    page.goto("/admin/your-login/")
    inspect("second factor off")
    secret = page.locator("code.token").inner_text().replace(" ", "")
    page.fill("#id_code", pyotp.TOTP(secret).at(time.time()))
    page.click("button[value=on]")
    inspect("recovery codes")
    page.goto("/admin/your-login/")
    inspect("second factor on")
    context.clear_cookies()
    enter()
    inspect("code")
    settings.SECOND_FACTOR_REQUIRED = True
    SecondFactor.objects.all().delete()
    context.clear_cookies()
    enter()
    inspect("set up")
    context.close()
    assert found == []
