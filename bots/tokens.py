"""Create and hash tokens. Only their SHA-256 digests are stored.

A token has 256 random bits, so a fast hash is enough: it cannot be guessed (NIST SP 800-63B section 5.1.1.2 asks for
slow hashes of *memorised* secrets).
"""

import hashlib
import secrets
from typing import NamedTuple

BOT_PREFIX = "jsb_"
KEY_PREFIX = "jsk_"
#: How much of a token stays visible, so that people can identify it.
VISIBLE = 10
#: Longer than any valid token. The rest of a longer text is not hashed.
MAX_LENGTH = 200


class Token(NamedTuple):
    """A new token: `text` is shown once, `digest` and `prefix` are stored."""

    text: str
    digest: bytes
    prefix: str


def digest(text: str) -> bytes:
    """Return the digest under which a token is stored. A wrong token takes the same work as a right one."""
    return hashlib.sha256(text[:MAX_LENGTH].encode("utf-8", "surrogatepass")).digest()


def new(prefix: str) -> Token:
    """Create a token with 256 random bits after `prefix`."""
    text = prefix + secrets.token_urlsafe(32)
    return Token(text, digest(text), text[:VISIBLE])
