"""Tokens: how they are made and how they are recognised. Only their SHA-256 digests are ever kept.

A token carries 256 random bits, so a plain fast hash is as good as a slow one: there is nothing to guess (NIST SP
800-63B section 5.1.1.2 asks for slow hashes of *memorised* secrets).
"""

import hashlib
import secrets
from typing import NamedTuple

BOT_PREFIX = "jsb_"
KEY_PREFIX = "jsk_"
#: How much of a token stays visible, so that people can tell which one it was.
VISIBLE = 10
#: Longer than any token of ours; what is longer is not hashed.
MAX_LENGTH = 200


class Token(NamedTuple):
    """A new token: `text` is shown once, `digest` and `prefix` are stored."""

    text: str
    digest: bytes
    prefix: str


def digest(text: str) -> bytes:
    """The digest under which a token is stored. The same work for a good token and a bad one."""
    return hashlib.sha256(text[:MAX_LENGTH].encode("utf-8", "surrogatepass")).digest()


def new(prefix: str) -> Token:
    """A new token with 256 random bits behind `prefix`."""
    text = prefix + secrets.token_urlsafe(32)
    return Token(text, digest(text), text[:VISIBLE])
