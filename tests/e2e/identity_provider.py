"""An identity provider on this machine: OpenID Connect discovery, its keys, and tokens signed by them."""

import json
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256

AUDIENCE = "ritornello-e2e"
KEY_ID = "key-1"


class IdentityProvider:
    """A provider with one key. ``issuer`` is its address."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self._key = _new_key()

    def token(self, *, forged: bool = False, **claims: Any) -> str:
        """Return a token with these claims, valid for five minutes unless they say otherwise.

        With ``forged`` it is signed by another key under the same id.
        """
        now = int(time.time())
        payload = {"iss": self.issuer, "aud": AUDIENCE, "iat": now - 1, "exp": now + 300, **claims}
        signed = f"{_encoded({'alg': 'RS256', 'typ': 'JWT', 'kid': KEY_ID})}.{_encoded(payload)}"
        key = _new_key() if forged else self._key
        return f"{signed}.{_base64(key.sign(signed.encode(), PKCS1v15(), SHA256()))}"

    def documents(self) -> dict[str, Mapping[str, Any]]:
        """Return the documents that it serves, by path."""
        numbers = self._key.public_key().public_numbers()
        key = {
            "kty": "RSA",
            "alg": "RS256",
            "use": "sig",
            "kid": KEY_ID,
            "n": _base64(numbers.n.to_bytes(256, "big")),
            "e": _base64(numbers.e.to_bytes(3, "big")),
        }
        return {
            "/.well-known/openid-configuration": {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/keys"},
            "/keys": {"keys": [key]},
        }


@contextmanager
def identity_provider() -> Iterator[IdentityProvider]:
    """Serve a provider at a free port of the loopback interface, for the duration of the block."""
    documents: dict[str, Mapping[str, Any]] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = documents.get(self.path)
            body = json.dumps(found).encode()
            self.send_response(404 if found is None else 200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Write nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider = IdentityProvider(f"http://127.0.0.1:{server.server_port}")
    documents |= provider.documents()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _new_key() -> RSAPrivateKey:
    return generate_private_key(public_exponent=65537, key_size=2048)


def _encoded(value: Mapping[str, Any]) -> str:
    return _base64(json.dumps(value).encode())


def _base64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
