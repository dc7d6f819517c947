"""The record of logins is for everybody: wide and on a phone, light and dark, without a complaint."""

import pytest

from tests.browser.filled import PAGES

pytestmark = [pytest.mark.browser, pytest.mark.django_db]


@pytest.mark.parametrize("address", PAGES["logins"])
def test_it_is_for_everybody(visit, address):
    visit(address)
