"""Who asks, and what is there to be asked for."""

import pytest
from django.contrib.auth.models import User

from tests.cast import enqueue_one, take_one
from tests.far_side import a_channel, an_incident


@pytest.fixture
def root(client, db):
    """A superuser who is logged in."""
    user = User.objects.create_superuser("root", password="root has a long password")
    client.force_login(user)
    return client


@pytest.fixture
def filled(ada):
    """A row of most models."""
    take_one(ada).fail(retry=False)
    enqueue_one()
    an_incident("ada")
    a_channel("slack://a/b/c")
