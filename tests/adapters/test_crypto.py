"""Encryption of settings at rest, and hashes of secrets."""

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws
from msgspec.structs import replace

from dev.aws import session_of
from shared.adapters.aws.errors import AwsError, UnansweredError
from shared.adapters.aws.services import Kms
from shared.adapters.crypto import AesGcmSealer, KmsDataKeys, LocalDataKey, SecretHasher
from shared.adapters.dynamodb.client import PATIENCE
from shared.application.ports import (
    ConnectionLostError,
    KeyRefusedError,
    OverloadedError,
    SealBrokenError,
    Sealer,
)
from tests.adapters.http.replies import answers, fails, refused
from tests.engines import PROMPT, a_sealer, a_session

SETTINGS = '{"secret": "héllo"}'.encode()
CONTEXT = '["acme","s-1",1]'


@pytest.fixture
def kms(session: boto3.Session) -> Iterator[Kms]:
    with mock_aws():
        yield Kms(session_of(session, timing=PROMPT).client("kms", patience=PATIENCE))


@pytest.fixture
def kms_sealer(kms: Kms) -> AesGcmSealer:
    return on_kms(kms)


def on_kms(kms: Kms) -> AesGcmSealer:
    key_id = a_session().client("kms").create_key()["KeyMetadata"]["KeyId"]
    return AesGcmSealer(keys=KmsDataKeys(client=kms, key_id=key_id), entropy=lambda count: b"\x07" * count)


@pytest.fixture(params=["local", "kms"])
def sealer(request: pytest.FixtureRequest) -> Sealer:
    if request.param == "local":
        return a_sealer()
    found: Sealer = request.getfixturevalue("kms_sealer")
    return found


def flipped(base64: str, place: int = 0) -> str:
    """Return the text with one bit of its bytes changed."""
    data = bytearray(b64decode(base64))
    data[place] ^= 1
    return b64encode(data).decode()


class TestSealing:
    """Sealed settings decrypt in their own context, unchanged, or not at all."""

    @pytest.mark.parametrize("plaintext", [SETTINGS, b"", bytes(200_000)])
    def test_sealed_settings_decrypt_unchanged(self, sealer: Sealer, plaintext: bytes) -> None:
        assert sealer.open(sealer.seal(plaintext, context=CONTEXT), context=CONTEXT) == plaintext

    def test_sealed_settings_are_unreadable_and_hashed(self, sealer: Sealer) -> None:
        sealed = sealer.seal(SETTINGS, context=CONTEXT)
        encrypted = b64decode(sealed.encrypted_text)
        assert b"secret" not in encrypted
        assert b64decode(sealed.hash) == hashlib.sha256(encrypted).digest()
        assert len(b64decode(sealed.iv)) == 12

    def test_sealing_twice_gives_different_texts(self) -> None:
        sealer = a_sealer()
        first, second = (sealer.seal(SETTINGS, context=CONTEXT) for _ in range(2))
        assert first.encrypted_text != second.encrypted_text
        assert first.iv != second.iv

    @pytest.mark.parametrize("context", ['["acme","s-1",2]', '["other","s-1",1]', ""])
    def test_sealed_settings_do_not_decrypt_in_another_context(self, sealer: Sealer, context: str) -> None:
        sealed = sealer.seal(SETTINGS, context=CONTEXT)
        with pytest.raises(SealBrokenError):
            sealer.open(sealed, context=context)

    def test_altered_text_is_refused(self, sealer: Sealer) -> None:
        sealed = sealer.seal(SETTINGS, context=CONTEXT)
        altered = replace(sealed, encrypted_text=flipped(sealed.encrypted_text))
        with pytest.raises(SealBrokenError, match="hash"):
            sealer.open(altered, context=CONTEXT)

    def test_altered_text_with_a_hash_to_match_is_refused(self, sealer: Sealer) -> None:
        sealed = sealer.seal(SETTINGS, context=CONTEXT)
        text = flipped(sealed.encrypted_text, -1)
        digest = b64encode(hashlib.sha256(b64decode(text)).digest()).decode()
        with pytest.raises(SealBrokenError, match="altered"):
            sealer.open(replace(sealed, encrypted_text=text, hash=digest), context=CONTEXT)

    @pytest.mark.parametrize("part", ["iv", "hash"])
    def test_an_altered_nonce_or_hash_is_refused(self, sealer: Sealer, part: str) -> None:
        sealed = sealer.seal(SETTINGS, context=CONTEXT)
        altered = replace(sealed, **{part: flipped(getattr(sealed, part))})
        with pytest.raises(SealBrokenError):
            sealer.open(altered, context=CONTEXT)

    @pytest.mark.parametrize("part", ["iv", "hash", "encrypted_text"])
    def test_a_part_that_is_not_base64_is_refused(self, sealer: Sealer, part: str) -> None:
        sealed = replace(sealer.seal(SETTINGS, context=CONTEXT), **{part: "é*"})
        with pytest.raises(SealBrokenError, match="base64"):
            sealer.open(sealed, context=CONTEXT)

    def test_a_nonce_of_another_length_is_refused(self, sealer: Sealer) -> None:
        sealed = replace(sealer.seal(SETTINGS, context=CONTEXT), iv="")
        with pytest.raises(SealBrokenError):
            sealer.open(sealed, context=CONTEXT)


class TestKeys:
    """The keys come from KMS or from the configuration."""

    def test_kms_makes_a_data_key_for_each_version(self, kms: Kms) -> None:
        sealer = on_kms(kms)
        first, second = (sealer.seal(SETTINGS, context=CONTEXT).key for _ in range(2))
        assert first is not None
        assert second is not None
        assert first != second

    def test_a_local_key_is_not_stored(self) -> None:
        assert a_sealer().seal(SETTINGS, context=CONTEXT).key is None

    def test_a_local_key_of_another_length_is_refused(self) -> None:
        with pytest.raises(ValueError, match="32 bytes"):
            LocalDataKey(b"short")

    def test_another_local_key_opens_nothing(self) -> None:
        other = AesGcmSealer(keys=LocalDataKey(bytes(32)), entropy=bytes)
        with pytest.raises(SealBrokenError):
            other.open(a_sealer().seal(SETTINGS, context=CONTEXT), context=CONTEXT)

    def test_neither_kind_of_key_decrypts_settings_of_the_other(self, kms: Kms) -> None:
        sealer, local = on_kms(kms), a_sealer()
        with pytest.raises(SealBrokenError, match="local key"):
            sealer.open(local.seal(SETTINGS, context=CONTEXT), context=CONTEXT)
        with pytest.raises(SealBrokenError, match="KMS key"):
            local.open(sealer.seal(SETTINGS, context=CONTEXT), context=CONTEXT)

    def test_an_altered_wrapped_key_is_refused(self, kms: Kms) -> None:
        sealer = on_kms(kms)
        sealed = sealer.seal(SETTINGS, context=CONTEXT)
        assert sealed.key is not None
        altered = replace(sealed, key=flipped(sealed.key, -1))
        with pytest.raises(SealBrokenError):
            sealer.open(altered, context=CONTEXT)

    @pytest.mark.parametrize(
        "code",
        ["DisabledException", "KMSInvalidStateException", "NotFoundException", "AccessDeniedException"],
    )
    def test_a_key_that_may_not_be_used_is_refused(self, kms: Kms, code: str) -> None:
        sealer = on_kms(kms)
        sealed = sealer.seal(SETTINGS, context=CONTEXT)
        answers(kms.client, refused(code))
        with pytest.raises(KeyRefusedError, match=f"KMS: {code}"):
            sealer.open(sealed, context=CONTEXT)

    def test_another_failure_of_kms_is_not_taken_for_a_broken_seal(self, kms: Kms) -> None:
        sealer = on_kms(kms)
        sealed = sealer.seal(SETTINGS, context=CONTEXT)
        answers(kms.client, refused("InvalidGrantTokenException"))
        with pytest.raises(AwsError, match="InvalidGrantTokenException"):
            sealer.open(sealed, context=CONTEXT)

    @pytest.mark.parametrize(
        ("status", "code", "error"),
        [
            (400, "ThrottlingException", OverloadedError),
            (500, "KMSInternalException", ConnectionLostError),
            (503, "DependencyTimeoutException", ConnectionLostError),
        ],
    )
    def test_an_overloaded_or_failing_kms_is_unavailable(
        self, kms: Kms, status: int, code: str, error: type[Exception]
    ) -> None:
        sealer = on_kms(kms)
        sealed = sealer.seal(SETTINGS, context=CONTEXT)
        answers(kms.client, (status, {"__type": code}))
        with pytest.raises(error, match=f"kms: {code}"):
            sealer.open(sealed, context=CONTEXT)
        with pytest.raises(error, match=f"kms: {code}"):
            sealer.seal(SETTINGS, context=CONTEXT)

    def test_a_lost_connection_to_kms_is_unavailable(self, kms: Kms) -> None:
        sealer = on_kms(kms)
        sealed = sealer.seal(SETTINGS, context=CONTEXT)

        fails(kms.client, UnansweredError("lost"))
        with pytest.raises(ConnectionLostError):
            sealer.open(sealed, context=CONTEXT)

    def test_keys_and_pepper_are_not_printed(self) -> None:
        assert "\\x01" not in repr(a_sealer())
        assert "pepper-1" not in repr(SecretHasher(b"pepper-1"))


class TestSecrets:
    """Only a hash of a secret is stored, and it is useless without the pepper."""

    def test_the_hash_is_hmac_sha256(self) -> None:
        """RFC 4231, test case 2."""
        assert SecretHasher(b"Jefe").hash("what do ya want for nothing?") == (
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        )

    def test_a_secret_matches_its_own_hash_only(self) -> None:
        hasher = SecretHasher(b"pepper")
        assert hasher.matches("sécret", hasher.hash("sécret"))
        assert not hasher.matches("secret", hasher.hash("sécret"))
        assert not hasher.matches("sécret", SecretHasher(b"other").hash("sécret"))
        assert not hasher.matches("sécret", "")
