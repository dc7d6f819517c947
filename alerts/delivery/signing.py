"""How a webhook's receiver knows that a message is ours, and new (docs/alerts.md). Pure."""

import hashlib
import hmac

VERSION = "v1"


def signature(secret: str, timestamp: int, body: str) -> str:
    """`v1=` and HMAC-SHA-256, in hex, of the timestamp in seconds, a dot, and the body as it is sent."""
    signed = f"{timestamp}.{body}".encode()
    return f"{VERSION}={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"


def headers(secret: str, timestamp: int, body: str, id: str) -> dict[str, str]:
    """The headers of a POST. `id` is the message's own name, the same each time it is sent."""
    return {
        "Content-Type": "application/json",
        "User-Agent": "Jobsite",
        "Jobsite-Timestamp": str(timestamp),
        "Jobsite-Signature": signature(secret, timestamp, body),
        "Jobsite-Delivery": id,
    }
