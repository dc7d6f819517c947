"""The pages of kinds and of the history are for everybody: wide and on a phone, light and dark, without a complaint."""

import pytest

from tests.browser.filled import PAGES

pytestmark = [pytest.mark.browser, pytest.mark.django_db]


@pytest.mark.parametrize("address", PAGES["kinds_and_history"])
def test_it_is_for_everybody(visit, address):
    visit(address)
