"""The webhook of an account: which notifications it takes, how they are signed, and when a failed one is repeated.

Source: docs/events.md; docs/decisions/0041-webhooks-are-signed-and-guarded.md; https://www.standardwebhooks.com.
"""

import binascii
import hmac
from base64 import b64decode, b64encode
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

from msgspec import Struct

from shared.domain.ids import AccountId
from shared.domain.notifications.model import NotificationKind

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - what every secret begins with
MIN_KEY_BYTES: Final = 24
MAX_KEY_BYTES: Final = 64

RETRY_DELAYS: Final = (
    timedelta(seconds=10),
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=15),
    timedelta(hours=1),
    timedelta(hours=2),
    timedelta(hours=4),
    timedelta(hours=8),
    timedelta(hours=8),
)
"""How long each repetition waits for, about a day together. SQS hides a message for twelve hours at most."""


class Webhook(Struct, frozen=True, kw_only=True):
    """Where an account wants its notifications. Its secret is stored beside it, sealed.

    ``kinds`` are the kinds that it takes, empty for all. ``updated_by`` is the id of an access key.
    """

    account_id: AccountId
    url: str
    updated_at: datetime
    updated_by: str
    kinds: tuple[NotificationKind, ...] = ()

    def takes(self, kind: str) -> bool:
        """Return whether it takes notifications of a kind."""
        return not self.kinds or kind in self.kinds


def signing_key(secret: str) -> bytes | None:
    """Return the key of a secret, or None if it is not ``whsec_`` and 24 to 64 bytes in base64."""
    if not secret.startswith(SECRET_PREFIX):
        return None
    try:
        key = b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if MIN_KEY_BYTES <= len(key) <= MAX_KEY_BYTES else None


def new_secret(random: str) -> str:
    """Return a secret made of a random text of 24 to 64 ASCII characters."""
    return SECRET_PREFIX + b64encode(random.encode()).decode()


def signature_headers(key: bytes, *, message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """Return the headers with which a message is sent at an instant: its id, its time, and the signature of both."""
    timestamp = str(int(at.timestamp()))
    signed = f"{message_id}.{timestamp}.".encode() + body
    signature = b64encode(hmac.digest(key, signed, sha256)).decode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{signature}",
    }


def retry_delay(failures: int) -> timedelta | None:
    """Return how long to wait after the k-th failure, or None if no further attempt follows."""
    return RETRY_DELAYS[failures - 1] if failures <= len(RETRY_DELAYS) else None
