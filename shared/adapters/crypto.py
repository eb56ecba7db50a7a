"""Encryption of settings at rest, and hashes of secrets.

AES-256-GCM with a key of its own for each version of a strategy, made and wrapped by KMS; or with one local
key, where there is no KMS. Source: design section 9.
"""

import hashlib
import hmac
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from botocore.exceptions import ClientError
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.application.ports import SealBrokenError, SealedSettings

KEY_BYTES = 32
NONCE_BYTES = 12

Entropy = Callable[[int], bytes]
"""So many random bytes, fit for keys and nonces."""


class KmsClient(Protocol):
    """The part of KMS's low-level client that is used here."""

    def generate_data_key(
        self, *, KeyId: str, KeySpec: str, EncryptionContext: Mapping[str, str]
    ) -> Mapping[str, Any]:
        """A new data key, plain and encrypted."""

    def decrypt(
        self, *, KeyId: str, CiphertextBlob: bytes, EncryptionContext: Mapping[str, str]
    ) -> Mapping[str, Any]:
        """An encrypted data key made plain again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataKey:
    """A key to encrypt with. wrapped: itself encrypted, to be stored; None where it needs no storing."""

    plain: bytes = field(repr=False)
    wrapped: bytes | None = None


class DataKeys(Protocol):
    """Where data keys come from."""

    def new(self, context: str) -> DataKey:
        """A key for something of that context."""

    def unwrapped(self, wrapped: bytes | None, context: str) -> bytes:
        """The key that was stored. Raises: SealBrokenError: it is none of these, or not of that context."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KmsDataKeys:
    """``DataKeys`` of a KMS key: one for each thing encrypted. It costs a request to make or unwrap one."""

    client: KmsClient
    key_id: str

    def new(self, context: str) -> DataKey:
        made = self.client.generate_data_key(
            KeyId=self.key_id, KeySpec="AES_256", EncryptionContext=_encryption_context(context)
        )
        return DataKey(plain=made["Plaintext"], wrapped=made["CiphertextBlob"])

    def unwrapped(self, wrapped: bytes | None, context: str) -> bytes:
        if wrapped is None:
            raise SealBrokenError("sealed with a local key, which is not the one of this deployment")
        try:
            answer = self.client.decrypt(
                KeyId=self.key_id, CiphertextBlob=wrapped, EncryptionContext=_encryption_context(context)
            )
        except ClientError as error:
            if error.response["Error"]["Code"] in ("InvalidCiphertextException", "IncorrectKeyException"):
                raise SealBrokenError("KMS does not know this data key, or not for this") from error
            raise
        plain: bytes = answer["Plaintext"]
        return plain


@dataclass(frozen=True, slots=True)
class LocalDataKey:
    """``DataKeys`` without KMS: one key of 32 bytes for everything."""

    key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse a key of another length, before anything is sealed with it."""
        if len(self.key) != KEY_BYTES:
            raise ValueError(f"a local key has {KEY_BYTES} bytes")

    def new(self, _: str) -> DataKey:
        return DataKey(plain=self.key)

    def unwrapped(self, wrapped: bytes | None, _: str) -> bytes:
        if wrapped is not None:
            raise SealBrokenError("sealed with a key of KMS, and this deployment has none")
        return self.key


@dataclass(frozen=True, slots=True, kw_only=True)
class AesGcmSealer:
    """A ``Sealer``. The context is associated data: it is not stored, but must be the same to open."""

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
            raise SealBrokenError("the hash is of another text")
        key = self.keys.unwrapped(None if sealed.key is None else _bytes(sealed.key), context)
        try:
            return AESGCM(key).decrypt(nonce, encrypted, context.encode())
        except (InvalidTag, ValueError) as error:
            raise SealBrokenError("altered, moved elsewhere, or sealed under another key") from error


@dataclass(frozen=True, slots=True)
class SecretHasher:
    """Hashes of secrets that are random or checked elsewhere: access keys', strategies'. HMAC-SHA256, hex.

    pepper: known to the deployment and stored nowhere near the hashes; without it they cannot be tried out.
    """

    pepper: bytes = field(repr=False)

    def hash(self, secret: str) -> str:
        """What is stored of a secret."""
        return hmac.new(self.pepper, secret.encode(), hashlib.sha256).hexdigest()

    def matches(self, secret: str, stored: str) -> bool:
        """Whether a secret is the one that was stored; it takes as long where it is not."""
        return hmac.compare_digest(self.hash(secret), stored)


def _encryption_context(context: str) -> dict[str, str]:
    return {"settings": context}


def _text(of: bytes) -> str:
    return b64encode(of).decode()


def _bytes(of: str) -> bytes:
    try:
        return b64decode(of, validate=True)
    except ValueError as error:
        raise SealBrokenError("not in base64") from error
