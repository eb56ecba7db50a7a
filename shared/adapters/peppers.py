"""The pepper of secrets, kept in Secrets Manager. Source: docs/operations.md, "Replace the pepper"."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from shared.adapters.aws.errors import AwsError
from shared.adapters.crypto import SecretHasher
from shared.application.ports import ConnectionLostError, OverloadedError

MIN_LENGTH = 32
MAX_PEPPERS = 2

REREAD_SECONDS = 300.0
"""A container uses the peppers that it has read for this long. Both stay valid longer than that (operations)."""

RETRY_SECONDS = 30.0


class PepperError(Exception):
    """The stored text has no peppers. The message says why, without them."""


class SecretsClient(Protocol):
    """The part of Secrets Manager that is used here (``shared/adapters/aws/services.py``)."""

    def get_secret_value(self, secret_id: str) -> Mapping[str, Any]:
        """Return the current value of a secret."""


def hasher_of(text: str) -> SecretHasher:
    """Return the hasher with the peppers in a text: the first one hashes, a second is accepted, too.

    Raises: PepperError: there is none, there are more, or one is too short.
    """
    peppers = text.split()
    if not 1 <= len(peppers) <= MAX_PEPPERS:
        raise PepperError(
            f"there are {len(peppers)} peppers; there must be one or two, with a space between them"
        )
    if any(len(pepper) < MIN_LENGTH for pepper in peppers):
        raise PepperError(f"a pepper must have at least {MIN_LENGTH} characters")
    first, *others = (pepper.encode() for pepper in peppers)
    return SecretHasher(first, tuple(others))


@dataclass(slots=True, kw_only=True)
class StoredPeppers:
    """The hasher with the peppers of a secret, which is read again from time to time.

    ``report`` gets the failure of a later reading; the peppers that were read before stay in use then.
    """

    client: Callable[[], SecretsClient]
    secret_id: str
    seconds: Callable[[], float]
    report: Callable[[Exception], None]
    _hasher: SecretHasher | None = field(default=None, init=False, repr=False)
    _read_again_at: float = field(default=0.0, init=False)

    def hasher(self) -> SecretHasher:
        """Return the hasher with the current peppers.

        Raises: OverloadedError; ConnectionLostError; PepperError; AwsError: at the first reading only.
        """
        if self._hasher is None:
            self._hasher = self._read()
        elif self.seconds() >= self._read_again_at:
            # Not before the next half minute, so that an outage does not delay every request.
            self._read_again_at = self.seconds() + RETRY_SECONDS
            try:
                self._hasher = self._read()
            except (AwsError, ConnectionLostError, OverloadedError, PepperError) as error:
                self.report(error)
        return self._hasher

    def _read(self) -> SecretHasher:
        value = self.client().get_secret_value(self.secret_id)
        hasher = hasher_of(value.get("SecretString", ""))
        self._read_again_at = self.seconds() + REREAD_SECONDS
        return hasher
