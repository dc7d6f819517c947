"""Sign webhooks, so that the receiver can verify their origin and age (docs/alerts.md). Pure.

A secret that begins with `whsec_` signs as Standard Webhooks 1.0.0 specifies. Channels that are older have other
secrets. They sign as they did, until their secret is rotated.
"""

import hashlib
import hmac
from datetime import UTC, datetime

from standardwebhooks import Webhook

from alerts.states import SECRET_PREFIX


def headers(secret: str, timestamp: int, body: str, id: str) -> dict[str, str]:
    """Return the headers of a webhook. `timestamp`: of this try, in seconds. `id`: the delivery's."""
    sign = _standard if secret.startswith(SECRET_PREFIX) else _former
    return {"Content-Type": "application/json", "User-Agent": "Jobsite"} | sign(secret, timestamp, body, id)


def _standard(secret: str, timestamp: int, body: str, id: str) -> dict[str, str]:
    return {
        "webhook-id": id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": Webhook(secret).sign(id, datetime.fromtimestamp(timestamp, UTC), body),
    }


def _former(secret: str, timestamp: int, body: str, id: str) -> dict[str, str]:
    signed = hmac.new(secret.encode(), f"{timestamp}.{body}".encode(), hashlib.sha256).hexdigest()
    return {"Jobsite-Timestamp": str(timestamp), "Jobsite-Signature": f"v1={signed}", "Jobsite-Delivery": id}
