"""A real provider of OpenID Connect on this machine, with one person who agrees to everything."""

import base64
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

KEY = RSAKey.generate_key(2048, parameters={"kid": "one"})
OTHER_KEY = RSAKey.generate_key(2048, parameters={"kid": "one"})


class Provider:
    """Its address, who logs in there, and what it does wrong on purpose."""

    def __init__(self) -> None:
        self.claims: dict[str, Any] = {"sub": "s-1", "preferred_username": "zoe", "email": "zoe@example.org"}
        #: Claims in place of the right ones: another audience, say.
        self.wrong: dict[str, Any] = {}
        self.key = KEY
        self.codes: dict[str, dict[str, str]] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.answer(self, urlsplit(self.path).path, parse_qs(urlsplit(self.path).query))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                outer.answer(self, urlsplit(self.path).path, parse_qs(body))

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server.server_address[1]}"

    def answer(self, to: BaseHTTPRequestHandler, path: str, asked: dict[str, list[str]]) -> None:
        one = {name: values[0] for name, values in asked.items()}
        if path == "/authorize":
            code = f"code{len(self.codes)}"
            self.codes[code] = one
            to.send_response(302)
            to.send_header("Location", f"{one['redirect_uri']}?{urlencode({'code': code, 'state': one['state']})}")
            to.end_headers()
            return
        status, body = self.bodies(path, one, to.headers.get("Authorization", ""))
        text = json.dumps(body).encode()
        to.send_response(status)
        to.send_header("Content-Type", "application/json")
        to.send_header("Content-Length", str(len(text)))
        to.end_headers()
        to.wfile.write(text)

    def bodies(self, path: str, one: dict[str, str], authorization: str) -> tuple[int, Any]:
        if path == "/.well-known/openid-configuration":
            return 200, {
                "issuer": self.issuer, "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token", "jwks_uri": f"{self.issuer}/jwks",
                "id_token_signing_alg_values_supported": ["RS256"],
            }  # fmt: skip
        if path == "/jwks":
            return 200, {"keys": [KEY.as_dict(private=False)]}
        asked = self.codes.pop(one["code"], None)
        basic = "Basic " + base64.b64encode(b"jobsite:s3cret-of-jobsite").decode()
        digest = hashlib.sha256(one.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if asked is None or authorization != basic or asked.get("code_challenge") != challenge:
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": "jobsite", "iat": now, "exp": now + 300, "nonce": asked["nonce"]}
        token = jwt.encode({"alg": "RS256", "kid": "one"}, claims | self.claims | self.wrong, self.key)
        return 200, {"access_token": "a", "token_type": "Bearer", "id_token": token}


@contextmanager
def a_provider() -> Iterator[Provider]:
    """A provider that is listening."""
    provider = Provider()
    thread = threading.Thread(target=provider.server.serve_forever, daemon=True)
    thread.start()
    yield provider
    provider.server.shutdown()
    provider.server.server_close()
    thread.join()
