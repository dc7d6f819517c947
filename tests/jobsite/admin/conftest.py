"""Who asks, and what is there to be asked for."""

import pytest
from django.contrib.auth.models import User

from tests.cast import bot_named, enqueue_one, take_one
from tests.far_side import a_channel, an_incident
from tests.lasting import lasting_rows as lasting_rows  # the fixture


@pytest.fixture(scope="module")
def superuser(lasting_rows):
    """Made once for all tests of a file."""
    return User.objects.create_superuser("root", password="root has a long password")


@pytest.fixture
def root(client, superuser, db):
    """A superuser who is logged in."""
    client.force_login(superuser)
    return client


@pytest.fixture(scope="module")
def filled(lasting_rows):
    """A row of most models; made once for all tests of a file."""
    take_one(bot_named("ada")).fail(retry=False)
    enqueue_one()
    an_incident("ada")
    a_channel("slack://a/b/c")
