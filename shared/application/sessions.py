"""Sessions: a caller shows a key once and uses a token from then on. Source: docs/design.md section 9.

Only a hash of the token is stored. A session has the rights that its key has at that moment: the key is read with every
request, so its current role counts, and after its removal the session is worth nothing.
"""

from collections.abc import Sequence
from datetime import timedelta

from msgspec import Struct
from msgspec.structs import replace

from shared.application.ports import Ports, SecretHasher
from shared.domain.access import AccessKey, Session
from shared.domain.ids import AccountId

IDLE_TIMEOUT = timedelta(seconds=1800)
"""A session expires when it is not used for this long."""

EXTENDED_EVERY = timedelta(minutes=1)
"""The end of a session in use is moved at most this often, so that not every request costs a write."""


class Expired(Struct, frozen=True, kw_only=True):
    """A session that was not used for too long. ``key_id`` is its key."""

    key_id: str


def open_session(ports: Ports, hasher: SecretHasher, account: AccountId, key_id: str) -> str:
    """Store a new session of a key that has been checked. Return its token, which is not stored."""
    now, token = ports.clock.now(), ports.ids.secret()
    session = Session(
        token_hash=_hashes(hasher, token)[0],
        account_id=account,
        key_id=key_id,
        opened_at=now,
        idle_until=now + IDLE_TIMEOUT,
    )
    ports.access.open_session(session)
    return token


def key_of_session(ports: Ports, hasher: SecretHasher, token: str) -> AccessKey | Expired | None:
    """Return the key of a token as it is now. Return None if the token is unknown or its key is gone.

    The session counts as used. It may end up to a minute earlier than half an hour after its last use.
    """
    found = (ports.access.session(token_hash) for token_hash in _hashes(hasher, token))
    session = next((session for session in found if session is not None), None)
    if session is None:
        return None
    now = ports.clock.now()
    if session.idle_until <= now:
        return Expired(key_id=session.key_id)
    key = ports.access.key(session.key_id)
    # A key with the same id in another account must not open this session.
    if key is None or key.account_id != session.account_id:
        return None
    if now + IDLE_TIMEOUT - session.idle_until >= EXTENDED_EVERY:
        ports.access.extend_session(replace(session, idle_until=now + IDLE_TIMEOUT))
    return key


def close_session(ports: Ports, hasher: SecretHasher, token: str) -> None:
    """End the session of a token. Repeating it changes nothing."""
    for token_hash in _hashes(hasher, token):
        ports.access.close_session(token_hash)


def _hashes(hasher: SecretHasher, token: str) -> Sequence[str]:
    return hasher.hashes(f"session\0{token}")
