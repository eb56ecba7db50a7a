"""Secrets of AWS Secrets Manager and of Parameter Store, each below the prefix of its account.

Source: shared/application/ports.py (Secrets); docs/decisions/0046;
https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html;
https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameter.html.
"""

import json
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from threading import Lock
from typing import Any, Final, Protocol, assert_never

from msgspec import Struct

from shared.adapters.aws.errors import AwsError
from shared.application.ports import Clock, SecretRefusedError, SecretValue
from shared.domain.ids import AccountId
from shared.domain.redacted import Redacted
from shared.domain.strategy.secret_names import SecretKind, SecretReference

MAX_AGE: Final = timedelta(minutes=5)
"""How long a value is used after it was read. A rotated secret reaches every call within this time."""

REFUSAL_PAUSE: Final = timedelta(seconds=30)
"""How long a value that a refusal did not find changed is not read again because of refusals."""

MAX_CACHED: Final = 256
"""The number of cached secrets; beyond it the least recently used one is dropped."""

_WHY = {
    "AccessDeniedException": "it may not be read",
    "DecryptionFailure": "it cannot be decrypted",
    "InvalidKeyId": "it cannot be decrypted",
    "ParameterNotFound": "there is none",
    "ResourceNotFoundException": "there is none",
}
_UNESCAPED = re.compile(rb"[^A-Za-z0-9_-]")


class SecretSource(Protocol):
    """Where secrets are read."""

    def fetch(self, kind: SecretKind, account_id: AccountId, name: str) -> str | None:
        """Return the whole text of a secret, or None if it has no text.

        Raises: NoSecretError. UnavailableError.
        """


class NoSecretError(Exception):
    """A secret could not be read, and will not be until something is changed."""


class _Entry(Redacted, Struct):
    HIDDEN = ("text",)

    text: str
    read_at: datetime
    unchanged_at: datetime | None = None


class _Key(Struct, frozen=True):
    kind: SecretKind
    account_id: AccountId
    name: str


class CachedSecrets:
    """``Secrets`` with the values that one container has read.

    The age of a value is measured by ``clock``, not by a monotonic one, which may stand still while a container is
    frozen. A failed reading is not cached.
    """

    def __init__(self, source: SecretSource, clock: Clock) -> None:
        self._source = source
        self._clock = clock
        self._lock = Lock()
        self._entries: OrderedDict[_Key, _Entry] = OrderedDict()

    def read(self, secret: SecretReference) -> SecretValue:
        key = _key(secret)
        with self._lock:
            entry, is_fresh = self._entry(key)
            try:
                return SecretValue(_member(secret, entry.text), is_fresh)
            except SecretRefusedError:
                # The key may have been added since. What cannot be used is not remembered.
                if is_fresh or self._was_in_vain(entry):
                    raise
            entry = self._read_again(key, entry)
        return SecretValue(_member(secret, entry.text), is_fresh=True)

    def renewed(self, secret: SecretReference, *, refused: SecretValue) -> SecretValue:
        key = _key(secret)
        with self._lock:
            entry, is_fresh = self._entry(key)
            if not is_fresh and _member(secret, entry.text) == refused.text and not self._was_in_vain(entry):
                entry, is_fresh = self._read_again(key, entry), True
        return SecretValue(_member(secret, entry.text), is_fresh)

    def _entry(self, key: _Key) -> tuple[_Entry, bool]:
        """Return the cached entry, or a new one if it is too old, and whether it is new."""
        entry = self._entries.get(key)
        # A clock that was set back would make a value look young for long.
        if entry is not None and timedelta() <= self._clock.now() - entry.read_at < MAX_AGE:
            self._entries.move_to_end(key)
            return entry, False
        return self._fetched(key), True

    def _fetched(self, key: _Key) -> _Entry:
        # Before it is read, because it may change while it is on its way.
        read_at = self._clock.now()
        try:
            text = self._source.fetch(key.kind, key.account_id, key.name)
        except NoSecretError as error:
            self._entries.pop(key, None)
            raise SecretRefusedError(f"{key.kind}.{key.name}: {error}") from None
        if not text:
            self._entries.pop(key, None)
            raise SecretRefusedError(f"{key.kind}.{key.name}: it has no text")
        entry = self._entries[key] = _Entry(text, read_at)
        self._entries.move_to_end(key)
        if len(self._entries) > MAX_CACHED:
            self._entries.popitem(last=False)
        return entry

    def _read_again(self, key: _Key, before: _Entry) -> _Entry:
        entry = self._fetched(key)
        # The whole text is compared: a refresh that changed another key of a secret was not in vain.
        if entry.text == before.text:
            entry.unchanged_at = entry.read_at
        return entry

    def _was_in_vain(self, entry: _Entry) -> bool:
        """Return whether a refusal has just led to a read that found the same value."""
        # A service that refuses every call would otherwise double the requests for its secret.
        return entry.unchanged_at is not None and self._clock.now() - entry.unchanged_at < REFUSAL_PAUSE


class SecretsManagerClient(Protocol):
    """The part of Secrets Manager that is used (``shared/adapters/aws/services.py``)."""

    def get_secret_value(self, secret_id: str) -> Mapping[str, Any]:
        """Return the current version of a secret."""


class SsmClient(Protocol):
    """The part of Parameter Store that is used (as above)."""

    def get_parameter(self, name: str) -> Mapping[str, Any]:
        """Return the current version of a parameter."""


class AwsSecrets:
    """A ``SecretSource`` of AWS. The clients are made at their first use."""

    def __init__(
        self,
        *,
        stage: str,
        secrets_manager: Callable[[], SecretsManagerClient],
        ssm: Callable[[], SsmClient],
    ) -> None:
        self._stage = stage
        self._secrets_manager = secrets_manager
        self._ssm = ssm

    def fetch(self, kind: SecretKind, account_id: AccountId, name: str) -> str | None:
        path = f"{prefix_of(self._stage, account_id)}{name}"
        try:
            return self._fetched(kind, path)
        except AwsError as error:
            # The message of the error may name more than its reader may know.
            raise NoSecretError(_WHY.get(error.code, f"it cannot be read: {error.code}")) from error

    def _fetched(self, kind: SecretKind, path: str) -> str | None:
        match kind:
            case SecretKind.SECRET:
                # A binary secret has no SecretString.
                secret: str | None = self._secrets_manager().get_secret_value(path).get("SecretString")
                return secret
            case SecretKind.PARAMETER:
                found = self._ssm().get_parameter(path)
                parameter: str = found["Parameter"]["Value"]
                return parameter
            case _:
                assert_never(kind)


def prefix_of(stage: str, account_id: AccountId) -> str:
    """Return the prefix of the names of an account's secrets."""
    return f"/ritornello/{stage}/{account_segment(account_id)}/"


def account_segment(account_id: AccountId) -> str:
    """Return an account's id as one segment of a path: each byte but letters, digits, ``_`` and ``-`` as ``.xx``."""
    # An id may be any text. Without this, the account "a/b" and the secret "b/..." of the account "a" would meet.
    return _UNESCAPED.sub(lambda found: b".%02x" % found[0][0], account_id.encode()).decode()


def _key(secret: SecretReference) -> _Key:
    return _Key(secret.kind, secret.account_id, secret.name)


def _member(secret: SecretReference, text: str) -> str:
    """Return the part of a secret that a reference names.

    Raises: SecretRefusedError: there is no such part, or it is no text.
    """
    if secret.key is None:
        return text
    # The error of the parser has the whole text, so it is not kept as the context of another one.
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise SecretRefusedError(f"{secret}: the secret is no JSON object")
    value = found.get(secret.key)
    if not isinstance(value, str) or not value:
        why = "has an empty or no text for this key" if secret.key in found else "has no such key"
        raise SecretRefusedError(f"{secret}: the secret {why}")
    return value
