"""The system's clock and entropy: the only module that reads either.

Source: shared/application/ports.py (Clock, Ids).
"""

import random
import secrets
import time
from datetime import UTC, datetime

from shared.domain.ids import InstanceSid
from shared.domain.instance.due import SHARDS


class SystemClock:
    """The machine's ``Clock``."""

    def now(self) -> datetime:
        return _to_milliseconds(datetime.now(UTC))

    def sleep(self, seconds: float) -> None:
        if seconds > 0:
            time.sleep(seconds)


class SystemIds:
    """``Ids`` from the system's entropy. Sids are UUIDs of version 7: unique, sorted by time."""

    def instance_sid(self) -> InstanceSid:
        return InstanceSid(uuid7(time.time_ns() // 1_000_000, secrets.token_bytes(10)))

    def token(self) -> str:
        return secrets.token_urlsafe(18)

    def secret(self) -> str:
        return secrets.token_urlsafe(32)

    def shard(self) -> int:
        return secrets.randbelow(SHARDS)


def epoch_seconds() -> float:
    """Return the seconds since 1970."""
    return time.time()


def wait(seconds: float) -> None:
    """Return after this time."""
    time.sleep(seconds)


def fraction() -> float:
    """Return a number from 0 up to 1 that may be guessed."""
    return random.random()  # noqa: S311 - nothing depends on it being secret


def monotonic() -> float:
    """Return seconds on a clock that never goes back, for deadlines."""
    return time.monotonic()


def entropy(number: int) -> bytes:
    """Return unguessable bytes."""
    return secrets.token_bytes(number)


def reseed() -> None:
    """Give the libraries' generator of random numbers a new seed. Nothing unguessable is drawn from it."""
    random.seed()


def uuid7(milliseconds: int, entropy: bytes) -> str:
    """Return a UUID of version 7 (RFC 9562) for an instant in milliseconds since 1970 and ten random bytes."""
    value = (milliseconds & (1 << 48) - 1) << 80 | int.from_bytes(entropy, "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _to_milliseconds(at: datetime) -> datetime:
    return at.replace(microsecond=at.microsecond // 1000 * 1000)
