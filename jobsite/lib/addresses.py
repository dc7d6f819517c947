"""Where a request comes from: the client's address, behind a proxy as that proxy reports it."""

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

from django.conf import settings


def client_address(meta: Mapping[str, Any]) -> str:
    """Return the address of the client, or an empty text.

    With `BEHIND_PROXY` it is the last one of `X-Forwarded-For`, which the proxy itself added: a client can send any
    others. Without it the header is not read.
    """
    address = str(meta.get("REMOTE_ADDR") or "")
    if settings.BEHIND_PROXY:
        address = str(meta.get("HTTP_X_FORWARDED_FOR") or address).rpartition(",")[2].strip()
    try:
        return str(ip_address(address))
    except ValueError:
        return ""
