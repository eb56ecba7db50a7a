"""Encryption of settings at rest, and hashes of secrets.

AES-256-GCM, with one key for each version of a strategy, generated and wrapped by KMS, or with one local key if there
is no KMS. Source: docs/design.md section 9.
"""

import hashlib
import hmac
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

from shared.adapters.aws.errors import AwsError
from shared.application.ports import KeyRefusedError, SealBrokenError, SealedSettings
from shared.domain.redacted import Redacted

KEY_BYTES = 32
NONCE_BYTES = 12

_BROKEN = frozenset({"InvalidCiphertextException", "IncorrectKeyException"})
_REFUSED = frozenset(
    {"DisabledException", "KMSInvalidStateException", "NotFoundException", "AccessDeniedException"}
)

Entropy = Callable[[int], bytes]
"""Returns a number of random bytes, fit for keys and nonces."""


class KmsClient(Protocol):
    """The part of KMS that is used here (``shared/adapters/aws/services.py``)."""

    def generate_data_key(self, *, key_id: str, context: Mapping[str, str]) -> tuple[bytes, bytes]:
        """Return a new data key, plain and encrypted."""

    def decrypt(self, encrypted: bytes, *, key_id: str, context: Mapping[str, str]) -> bytes:
        """Decrypt an encrypted data key."""


class DataKey(Redacted, Struct, frozen=True, kw_only=True):
    """A key to encrypt with. ``wrapped`` is the key encrypted, to be stored; None if it needs no storing."""

    HIDDEN = ("plain",)

    plain: bytes
    wrapped: bytes | None = None


class DataKeys(Protocol):
    """A source of data keys."""

    def new(self, context: str) -> DataKey:
        """Return a new key for something with that context."""

    def unwrapped(self, wrapped: bytes | None, context: str) -> bytes:
        """Return the stored key.

        Raises: SealBrokenError: it is no such key, or has another context. KeyRefusedError.
        """


class KmsDataKeys(Struct, frozen=True, kw_only=True):
    """``DataKeys`` of a KMS key: one data key for each encrypted item. Each use costs a request."""

    client: KmsClient
    key_id: str

    def new(self, context: str) -> DataKey:
        plain, wrapped = self.client.generate_data_key(
            key_id=self.key_id, context=_encryption_context(context)
        )
        return DataKey(plain=plain, wrapped=wrapped)

    def unwrapped(self, wrapped: bytes | None, context: str) -> bytes:
        if wrapped is None:
            raise SealBrokenError("encrypted with a local key; this deployment uses KMS")
        try:
            return self.client.decrypt(wrapped, key_id=self.key_id, context=_encryption_context(context))
        except AwsError as error:
            if error.code in _BROKEN:
                raise SealBrokenError("KMS refuses this data key for this item") from error
            if error.code in _REFUSED:
                raise KeyRefusedError(f"KMS: {error.code}") from error
            raise


class LocalDataKey(Redacted, Struct, frozen=True):
    """``DataKeys`` without KMS: one key of 32 bytes for everything."""

    HIDDEN = ("key",)

    key: bytes

    def __post_init__(self) -> None:
        """Refuse a key of another length before anything is encrypted with it."""
        if len(self.key) != KEY_BYTES:
            raise ValueError(f"a local key must have {KEY_BYTES} bytes")

    def new(self, _: str) -> DataKey:
        return DataKey(plain=self.key)

    def unwrapped(self, wrapped: bytes | None, _: str) -> bytes:
        if wrapped is not None:
            raise SealBrokenError("encrypted with a KMS key; this deployment has none")
        return self.key


class AesGcmSealer(Struct, frozen=True, kw_only=True):
    """A ``Sealer``. The context is associated data: it is not stored, but decryption needs the same."""

    keys: DataKeys
    entropy: Entropy

    def seal(self, plaintext: bytes, *, context: str) -> SealedSettings:
        key, nonce = self.keys.new(context), self.entropy(NONCE_BYTES)
        encrypted = AESGCM(key.plain).encrypt(nonce, plaintext, context.encode())
        return SealedSettings(
            iv=_text(nonce),
            hash=_text(hashlib.sha256(encrypted).digest()),
            encrypted_text=_text(encrypted),
            key=None if key.wrapped is None else _text(key.wrapped),
        )

    def open(self, sealed: SealedSettings, *, context: str) -> bytes:
        nonce, encrypted = _bytes(sealed.iv), _bytes(sealed.encrypted_text)
        if not hmac.compare_digest(hashlib.sha256(encrypted).digest(), _bytes(sealed.hash)):
            raise SealBrokenError("the stored hash does not match the text")
        key = self.keys.unwrapped(None if sealed.key is None else _bytes(sealed.key), context)
        try:
            return AESGCM(key).decrypt(nonce, encrypted, context.encode())
        except (InvalidTag, ValueError) as error:
            raise SealBrokenError("altered, moved to another item, or encrypted under another key") from error


class SecretHasher(Redacted, Struct, frozen=True):
    """HMAC-SHA-256, in hex, of secrets that are random or checked elsewhere: those of access keys and strategies.

    The pepper is known to the deployment and not stored beside the hashes, so a stolen table cannot be searched for
    the secrets. ``others`` are further peppers whose hashes are accepted while the pepper is being replaced.
    """

    HIDDEN = ("pepper", "others")

    pepper: bytes
    others: tuple[bytes, ...] = ()

    def hash(self, secret: str) -> str:
        """Return the hash of a secret, as it is stored."""
        return _hmac(self.pepper, secret)

    def hashes(self, secret: str) -> tuple[str, ...]:
        """Return the hashes under which a secret may be stored; first that of a new one."""
        return tuple(_hmac(pepper, secret) for pepper in (self.pepper, *self.others))

    def matches(self, secret: str, stored: str) -> bool:
        """Return whether a secret is the stored one, in constant time."""
        # All are compared, so that the time does not say under which pepper a secret is stored.
        equal = [hmac.compare_digest(one, stored) for one in self.hashes(secret)]
        return any(equal)


def _hmac(pepper: bytes, secret: str) -> str:
    return hmac.new(pepper, secret.encode(), hashlib.sha256).hexdigest()


def _encryption_context(context: str) -> dict[str, str]:
    return {"settings": context}


def _text(of: bytes) -> str:
    return b64encode(of).decode()


def _bytes(of: str) -> bytes:
    try:
        return b64decode(of, validate=True)
    except ValueError as error:
        raise SealBrokenError("not base64") from error
