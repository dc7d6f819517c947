"""Outbound ping: call a URL of an external monitor after each sweep."""

import logging
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from django.conf import settings

logger = logging.getLogger(__name__)

#: Seconds until a ping times out.
TIMEOUT = 5.0


def send(*, failed: bool = False) -> bool:
    """Call `SWEEP_HEARTBEAT_URL`, with `/fail` appended to its path if the sweep failed. True on success.

    Errors are logged, not raised: an unreachable monitor must not fail a sweep. The log names only the host, because
    the path of such a URL is its secret.
    """
    url = urlsplit(settings.SWEEP_HEARTBEAT_URL)
    if not settings.SWEEP_HEARTBEAT_URL:
        return False
    if url.scheme not in ("http", "https") or not url.hostname:
        logger.warning("SWEEP_HEARTBEAT_URL must begin with http:// or https://; no ping was sent")
        return False
    if failed:
        url = url._replace(path=url.path.rstrip("/") + "/fail")
    request = Request(url.geturl(), headers={"User-Agent": "jobsite-sweep"})  # noqa: S310  the scheme is checked above
    try:
        with urlopen(request, timeout=TIMEOUT):  # noqa: S310
            return True
    except HTTPError as error:
        logger.warning("the heartbeat URL at %s answered %d", url.hostname, error.code)
    except (OSError, HTTPException, ValueError) as error:
        logger.warning("the heartbeat URL at %s was not reached: %s", url.hostname, type(error).__name__)
    return False
