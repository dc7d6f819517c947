"""What the tests of alerts share: who was told what."""

import pytest

from alerts.delivery import outbox


@pytest.fixture
def told(monkeypatch):
    """`[(cause, moment, state, title)]` of everything that was put into the outbox, while that is still a seam."""
    calls = []
    real = outbox.enqueue_notifications

    def tell(incident, moment):
        calls.append((str(incident.cause), str(moment), incident.state, incident.title))
        return real(incident, moment)

    monkeypatch.setattr(outbox, "enqueue_notifications", tell)
    return calls
