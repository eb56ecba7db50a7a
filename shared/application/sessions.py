"""Sessions: a key shown once, a token from then on. Source: design section 9.

Only a hash of the token is kept. What a session may do is what its key may do at that moment: its role is read with
every request, and a key that was removed leaves nothing.
"""

from dataclasses import dataclass, replace
from datetime import timedelta

from shared.application.ports import Ports, SecretHasher
from shared.domain.access import AccessKey, Session
from shared.domain.ids import AccountId

IDLE_TIMEOUT = timedelta(seconds=1800)
"""A session that is not used for so long has expired."""

EXTENDED_EVERY = timedelta(minutes=1)
"""The end of a session that is in use is moved on at most so often: a request costs no write of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired:
    """A session that was not used for too long. key_id: the key it stood for."""

    key_id: str


def open_session(ports: Ports, hasher: SecretHasher, account: AccountId, key_id: str) -> str:
    """A new session of a key that has been shown; its token, which is kept nowhere."""
    now, token = ports.clock.now(), ports.ids.secret()
    session = Session(
        token_hash=_hash(hasher, token),
        account_id=account,
        key_id=key_id,
        opened_at=now,
        idle_until=now + IDLE_TIMEOUT,
    )
    ports.access.open_session(session)
    return token


def key_of_session(ports: Ports, hasher: SecretHasher, token: str) -> AccessKey | Expired | None:
    """The key a token stands for, as it is now; None for a token nobody knows and for one whose key is gone.

    It counts as used. Its end may be up to a minute nearer than half an hour from its last use.
    """
    session = ports.access.session(_hash(hasher, token))
    if session is None:
        return None
    now = ports.clock.now()
    if session.idle_until <= now:
        return Expired(key_id=session.key_id)
    key = ports.access.key(session.key_id)
    if key is None or key.account_id != session.account_id:
        return None
    if now + IDLE_TIMEOUT - session.idle_until >= EXTENDED_EVERY:
        ports.access.extend_session(replace(session, idle_until=now + IDLE_TIMEOUT))
    return key


def close_session(ports: Ports, hasher: SecretHasher, token: str) -> None:
    """The token opens nothing from now on. Repeating it changes nothing."""
    ports.access.close_session(_hash(hasher, token))


def _hash(hasher: SecretHasher, token: str) -> str:
    return hasher.hash(f"session\0{token}")
