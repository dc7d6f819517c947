"""A sign of life for a monitor outside this house: a URL that is called after each sweep."""

import logging
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from django.conf import settings

logger = logging.getLogger(__name__)

#: How long one call may take, in seconds.
TIMEOUT = 5.0


def beat(*, failed: bool = False) -> bool:
    """Call `SWEEP_HEARTBEAT_URL`, with `/fail` after its path when the sweep failed. True when it answered well.

    What goes wrong is logged and no more: a monitor that is away is no reason for a sweep to fail. The log names the
    host alone, since the path of such a URL is its secret.
    """
    url = urlsplit(settings.SWEEP_HEARTBEAT_URL)
    if not settings.SWEEP_HEARTBEAT_URL:
        return False
    if url.scheme not in ("http", "https") or not url.hostname:
        logger.warning("SWEEP_HEARTBEAT_URL must begin with http:// or https://; nobody was called")
        return False
    if failed:
        url = url._replace(path=url.path.rstrip("/") + "/fail")
    request = Request(url.geturl(), headers={"User-Agent": "jobsite-sweep"})  # noqa: S310  the scheme was looked at
    try:
        with urlopen(request, timeout=TIMEOUT):  # noqa: S310
            return True
    except HTTPError as error:
        logger.warning("the heartbeat URL at %s answered %d", url.hostname, error.code)
    except (OSError, HTTPException, ValueError) as error:
        logger.warning("the heartbeat URL at %s was not reached: %s", url.hostname, type(error).__name__)
    return False
