"""What calls of the API are about, made by each test. Files of many cases have `tests.api.places`."""

import pytest
from django.contrib.auth.models import User

from bots.models import Bot
from tests.api.places import Places, places_of


@pytest.fixture
def places(ada: Bot, olga: User) -> Places:
    """The ids for a call's path, by the job that it is about."""
    return places_of(ada, olga)
