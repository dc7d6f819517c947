"""Whose call a request is, as its headers say, before anything is looked up."""

from wsgiref.types import WSGIEnvironment

from bots import tokens
from bots.auth import bearer
from jobsite.lib.connections.places import Caller, Kind
from jobsite.lib.problems import PREFIX

PROBES = ("/livez", "/readyz")


def caller_of(environ: WSGIEnvironment) -> Caller:
    """Return the caller. A bot's repeats are calls to the same path, by the same instance."""
    path = environ["PATH_INFO"]
    if path in PROBES:
        return Caller(Kind.PROBE)
    if not path.startswith(PREFIX):
        return Caller(Kind.PERSON, environ.get("HTTP_COOKIE", ""))
    token = bearer(environ.get("HTTP_AUTHORIZATION", ""))
    if token.startswith(tokens.KEY_PREFIX):
        return Caller(Kind.KEY, token)
    return Caller(Kind.BOT, token, f"{path} {environ.get('HTTP_BOT_INSTANCE', '')} {token}" if token else "")
