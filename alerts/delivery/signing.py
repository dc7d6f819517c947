"""Sign webhooks, so that the receiver can verify their origin and age (docs/alerts.md). Pure."""

import hashlib
import hmac

VERSION = "v1"


def signature(secret: str, timestamp: int, body: str) -> str:
    """Return `v1=` and the hex HMAC-SHA-256 of the timestamp in seconds, a dot, and the body as sent."""
    signed = f"{timestamp}.{body}".encode()
    return f"{VERSION}={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"


def headers(secret: str, timestamp: int, body: str, id: str) -> dict[str, str]:
    """Return the headers of a webhook. `id`: the delivery's id, the same for each try."""
    return {
        "Content-Type": "application/json",
        "User-Agent": "Jobsite",
        "Jobsite-Timestamp": str(timestamp),
        "Jobsite-Signature": signature(secret, timestamp, body),
        "Jobsite-Delivery": id,
    }
