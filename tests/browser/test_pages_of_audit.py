"""The pages of the audit log are for everybody: wide and on a phone, light and dark, without a complaint."""

import pytest

from tests.browser.filled import fill
from tests.browser.pages import SCREENS, check

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True, serialized_rollback=False)]


@pytest.mark.parametrize("screen", SCREENS, ids=lambda screen: f"{screen[0]}-{screen[1]}")
def test_they_are_for_everybody(browser, live_server, olga, ada, bob, age, screen):
    check(browser, live_server, olga, fill(olga, ada, bob, age)["audit"], screen)
