"""Signature Version 4 of requests without a query.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html.
"""

import hashlib
import hmac
from collections.abc import Mapping
from time import gmtime, strftime
from urllib.parse import quote

from msgspec import Struct

from shared.domain.redacted import Redacted

_ALGORITHM = "AWS4-HMAC-SHA256"


class Credentials(Redacted, Struct, frozen=True, kw_only=True):
    """An access key of AWS. ``token`` is that of a session; None for a key of a user."""

    HIDDEN = ("secret_key", "token")

    access_key: str
    secret_key: str
    token: str | None = None


class Signer:
    """Signs the requests to one service in one Region."""

    def __init__(self, service: str, region: str) -> None:
        self._service = service
        self._region = region
        # The key is good for a day. One assignment replaces it, so that threads need no lock.
        self._derived: tuple[tuple[str, str], bytes] = ("", ""), b""

    def signed(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        credentials: Credentials,
        at: float,
    ) -> dict[str, str]:
        """Return the headers with those that sign them.

        ``path`` is as it is sent, ``headers`` have lower-case names and ``host`` among them, and ``at`` is in seconds
        since 1970.
        """
        instant = strftime("%Y%m%dT%H%M%SZ", gmtime(at))
        day = instant[:8]
        all_headers = {**headers, "x-amz-date": instant}
        if credentials.token is not None:
            all_headers["x-amz-security-token"] = credentials.token
        names = sorted(all_headers)
        signed_names = ";".join(names)
        lines = "".join([f"{name}:{' '.join(all_headers[name].split())}\n" for name in names])
        digest = hashlib.sha256(body).hexdigest()
        # Services other than S3 sign the path encoded once more.
        encoded = path if path == "/" else quote(path, safe="/-_.~")
        canonical = f"{method}\n{encoded}\n\n{lines}\n{signed_names}\n{digest}"
        scope = f"{day}/{self._region}/{self._service}/aws4_request"
        hashed = hashlib.sha256(canonical.encode()).hexdigest()
        text = f"{_ALGORITHM}\n{instant}\n{scope}\n{hashed}"
        signature = hmac.digest(self._key(credentials.secret_key, day), text.encode(), "sha256").hex()
        all_headers["authorization"] = (
            f"{_ALGORITHM} Credential={credentials.access_key}/{scope}, SignedHeaders={signed_names}, "
            f"Signature={signature}"
        )
        return all_headers

    def _key(self, secret: str, day: str) -> bytes:
        of, key = self._derived
        if of != (secret, day):
            key = f"AWS4{secret}".encode()
            for part in (day, self._region, self._service, "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._derived = (secret, day), key
        return key
