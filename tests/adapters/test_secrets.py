"""Secrets of AWS, and their cache. Source: docs/decisions/0046; shared/application/ports.py (Secrets)."""

import json
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws

from dev.aws import session_of
from dev.memory.secrets import MemorySecrets
from dev.memory.world import ManualClock
from shared.adapters.aws.client import AwsClient
from shared.adapters.aws.errors import UnansweredError
from shared.adapters.aws.services import SecretsManager, Ssm
from shared.adapters.dynamodb.client import PATIENCE
from shared.adapters.secrets import (
    MAX_AGE,
    MAX_CACHED,
    REFUSAL_PAUSE,
    AwsSecrets,
    CachedSecrets,
    NoSecretError,
    account_segment,
)
from shared.application.ports import (
    ConnectionLostError,
    OverloadedError,
    SecretRefusedError,
    SecretValue,
    UnavailableError,
)
from shared.domain.ids import AccountId
from shared.domain.strategy.secret_names import SecretKind, SecretReference
from tests.adapters.http.replies import Reply, answers, fails, refused
from tests.engines import PROMPT, a_session

ACME = AccountId("acme")
SECRET, PARAMETER = SecretKind.SECRET, SecretKind.PARAMETER
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
A_SECOND = timedelta(seconds=1)


def named(name: str, key: str | None = None, kind: SecretKind = SECRET) -> SecretReference:
    return SecretReference(account_id=ACME, kind=kind, name=name, key=key)


class Vault:
    """A source in memory, a clock, and the cache of one container."""

    def __init__(self, **texts: str | None) -> None:
        self.source = MemorySecrets({(SECRET, ACME, name): text for name, text in texts.items()})
        self.clock = ManualClock(NOON)
        self.secrets = CachedSecrets(self.source, self.clock)

    def rotate(self, name: str, text: str) -> None:
        self.source.texts[SECRET, ACME, name] = text

    def read(self, name: str = "gateway", key: str | None = None) -> SecretValue:
        return self.secrets.read(named(name, key))

    def refusal(self, name: str = "gateway", key: str | None = None) -> str:
        with pytest.raises(SecretRefusedError) as refused_read:
            self.read(name, key)
        return str(refused_read.value)


class TestCache:
    """A value is read once in five minutes, by the wall clock."""

    def test_a_value_is_read_once_and_then_cached(self) -> None:
        vault = Vault(gateway="one")

        assert vault.read() == SecretValue("one", is_fresh=True)
        assert vault.read() == SecretValue("one", is_fresh=False)
        assert vault.source.fetched == ["secret.gateway"]

    def test_a_rotated_value_is_read_after_five_minutes(self) -> None:
        vault = Vault(gateway="one")
        vault.read()
        vault.rotate("gateway", "two")

        vault.clock.at += MAX_AGE - A_SECOND
        assert vault.read().text == "one"
        vault.clock.at += A_SECOND
        assert vault.read() == SecretValue("two", is_fresh=True)

    def test_the_age_begins_before_the_value_is_read(self) -> None:
        vault = Vault(gateway="one")
        fetch = vault.source.fetch

        class Slow:
            def fetch(self, kind: SecretKind, account_id: AccountId, name: str) -> str | None:
                vault.clock.at += timedelta(seconds=5)
                return fetch(kind, account_id, name)

        secrets = CachedSecrets(Slow(), vault.clock)
        secrets.read(named("gateway"))
        vault.clock.at = NOON + MAX_AGE

        assert secrets.read(named("gateway")).is_fresh

    def test_a_clock_that_was_set_back_makes_no_value_young(self) -> None:
        vault = Vault(gateway="one")
        vault.read()
        vault.clock.at -= timedelta(days=1)

        assert vault.read().is_fresh

    def test_kinds_and_accounts_have_values_of_their_own(self) -> None:
        vault = Vault(gateway="one")
        vault.source.texts[PARAMETER, ACME, "gateway"] = "two"
        vault.source.texts[SECRET, AccountId("other"), "gateway"] = "three"
        other = SecretReference(account_id=AccountId("other"), kind=SECRET, name="gateway")

        assert vault.read().text == "one"
        assert vault.secrets.read(named("gateway", kind=PARAMETER)).text == "two"
        assert vault.secrets.read(other).text == "three"

    def test_the_least_recently_used_value_is_dropped(self) -> None:
        vault = Vault(**{f"s{number}": "x" for number in range(MAX_CACHED + 1)})
        for number in range(MAX_CACHED):
            vault.read(f"s{number}")
        vault.read("s0")
        vault.read(f"s{MAX_CACHED}")

        assert not vault.read("s0").is_fresh
        assert vault.read("s1").is_fresh

    def test_a_failure_is_not_cached(self) -> None:
        vault = Vault()
        assert vault.refusal() == "secret.gateway: there is none"
        vault.rotate("gateway", "one")

        assert vault.read().text == "one"

    def test_a_value_that_cannot_be_read_any_more_is_not_used(self) -> None:
        vault = Vault(gateway="one")
        vault.read()
        vault.source.texts.clear()
        vault.clock.at += MAX_AGE

        assert vault.refusal() == "secret.gateway: there is none"
        assert vault.refusal() == "secret.gateway: there is none"
        assert len(vault.source.fetched) == 3

    def test_an_unavailable_source_is_reported_as_such(self) -> None:
        vault = Vault(gateway="one")
        vault.source.error = OverloadedError("secret: ThrottlingException")

        with pytest.raises(UnavailableError):
            vault.read()


class TestKeys:
    """``#key`` names a text in a secret that is a JSON object. All keys of a secret are read together."""

    def test_a_key_that_was_added_since_is_found_at_once(self) -> None:
        vault = Vault(gateway='{"old": "1"}')
        vault.read(key="old")
        vault.rotate("gateway", '{"old": "1", "new": "2"}')

        assert vault.read(key="new") == SecretValue("2", is_fresh=True)
        assert vault.read(key="new") == SecretValue("2", is_fresh=False)

    def test_a_missing_key_is_read_again_every_half_minute(self) -> None:
        vault = Vault(gateway='{"old": "1"}')
        vault.read(key="old")
        for _ in range(3):
            vault.refusal(key="new")
        assert len(vault.source.fetched) == 2

        vault.clock.at += REFUSAL_PAUSE
        vault.refusal(key="new")

        assert len(vault.source.fetched) == 3

    def test_a_key_is_a_member_of_the_secret(self) -> None:
        vault = Vault(gateway='{"user": "u-1", "key": "k-1"}')

        assert vault.read(key="user").text == "u-1"
        assert vault.read(key="key") == SecretValue("k-1", is_fresh=False)
        assert vault.read().text == '{"user": "u-1", "key": "k-1"}'

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("hush-hush", "secret.gateway#key: the secret is no JSON object"),
            ('["hush-hush"]', "secret.gateway#key: the secret is no JSON object"),
            ("[" * 100_000, "secret.gateway#key: the secret is no JSON object"),
            ('{"kez": "hush-hush"}', "secret.gateway#key: the secret has no such key"),
            ('{"key": 12345678}', "secret.gateway#key: the secret has an empty or no text for this key"),
            ('{"key": ""}', "secret.gateway#key: the secret has an empty or no text for this key"),
        ],
    )
    def test_the_error_has_the_name_and_not_the_value(self, text: str, why: str) -> None:
        assert Vault(gateway=text).refusal(key="key") == why

    @pytest.mark.parametrize("text", [None, ""])
    def test_a_secret_needs_a_text(self, text: str | None) -> None:
        assert Vault(gateway=text).refusal() == "secret.gateway: it has no text"


class TestRenewal:
    """After a refusal by a service a cached value is read again, unless that has just been in vain."""

    def test_a_refused_value_is_read_again(self) -> None:
        vault = Vault(gateway="one")
        vault.read()
        vault.rotate("gateway", "two")

        assert vault.secrets.renewed(named("gateway"), refused=vault.read()).text == "two"
        assert vault.read() == SecretValue("two", is_fresh=False)

    def test_a_value_that_has_changed_since_is_not_read_again(self) -> None:
        vault = Vault(gateway="one")
        refused_value = vault.read()
        vault.rotate("gateway", "two")
        vault.clock.at += MAX_AGE
        vault.read()

        assert vault.secrets.renewed(named("gateway"), refused=refused_value).text == "two"
        assert len(vault.source.fetched) == 2

    def test_after_a_renewal_in_vain_the_next_one_waits(self) -> None:
        vault = Vault(gateway="one")
        for _ in range(3):
            assert vault.secrets.renewed(named("gateway"), refused=vault.read()).text == "one"
        assert len(vault.source.fetched) == 2

        vault.rotate("gateway", "two")
        vault.clock.at += REFUSAL_PAUSE
        assert vault.secrets.renewed(named("gateway"), refused=vault.read()).text == "two"

    def test_a_renewal_that_changed_another_key_was_not_in_vain(self) -> None:
        vault = Vault(gateway='{"a": "1", "b": "1"}')
        vault.read(key="a")
        vault.rotate("gateway", '{"a": "1", "b": "2"}')
        vault.secrets.renewed(named("gateway", "a"), refused=vault.read(key="a"))
        vault.rotate("gateway", '{"a": "2", "b": "2"}')

        assert vault.secrets.renewed(named("gateway", "a"), refused=vault.read(key="a")).text == "2"

    def test_values_are_not_printed(self) -> None:
        vault = Vault(gateway="hush-hush")

        assert "hush" not in repr((vault.read(), *vault.secrets._entries.values()))


class TestAccounts:
    """The id of an account is one segment of the path, whatever it is."""

    @pytest.mark.parametrize(
        ("account", "segment"),
        [
            ("acme", "acme"),
            ("Acme_1-x", "Acme_1-x"),
            ("a/b", "a.2fb"),
            ("..", ".2e.2e"),
            ("a.2fb", "a.2e2fb"),
            ("é", ".c3.a9"),
        ],
    )
    def test_other_characters_are_escaped(self, account: str, segment: str) -> None:
        assert account_segment(AccountId(account)) == segment


@pytest.fixture(params=["moto", pytest.param("roto", marks=pytest.mark.allow_hosts(["127.0.0.1"]))])
def client(request: pytest.FixtureRequest, session: boto3.Session) -> Iterator[Callable[[str], Any]]:
    if request.param == "roto":
        address = request.getfixturevalue("roto_address")
        yield lambda service: session.client(service, endpoint_url=address)
        return
    with mock_aws():
        yield session.client


def on_aws(client: Callable[[str], Any], stage: str = "test") -> AwsSecrets:
    """Return secrets at the address of boto3's clients."""

    def ours(service: str) -> AwsClient:
        url = client(service).meta.endpoint_url
        return session_of(a_session(), timing=PROMPT).client(service, patience=PATIENCE, url=url)

    return AwsSecrets(
        stage=stage,
        secrets_manager=lambda: SecretsManager(ours("secretsmanager")),
        ssm=lambda: Ssm(ours("ssm")),
    )


def with_client(client: AwsClient) -> AwsSecrets:
    return AwsSecrets(stage="test", secrets_manager=lambda: SecretsManager(client), ssm=lambda: Ssm(client))


def a_client(session: boto3.Session) -> AwsClient:
    return session_of(session, timing=PROMPT).client("secretsmanager", patience=PATIENCE)


class TestAws:
    """Secrets are read by their names below the account's prefix, parameters are decrypted."""

    def test_a_secret_is_read_below_the_prefix(self, client: Callable[[str], Any]) -> None:
        name = "/ritornello/test/a.2fb/billing/gateway"
        manager = client("secretsmanager")
        manager.create_secret(Name=name, SecretString="one")
        assert on_aws(client).fetch(SECRET, AccountId("a/b"), "billing/gateway") == "one"

        manager.put_secret_value(SecretId=name, SecretString="two")
        assert on_aws(client).fetch(SECRET, AccountId("a/b"), "billing/gateway") == "two"

    def test_a_parameter_is_decrypted(self, client: Callable[[str], Any]) -> None:
        name = "/ritornello/test/acme/gateway"
        client("ssm").put_parameter(Name=name, Value="one", Type="SecureString")

        assert on_aws(client).fetch(PARAMETER, ACME, "gateway") == "one"

    @pytest.mark.parametrize("kind", [SECRET, PARAMETER])
    def test_a_secret_that_does_not_exist_is_reported(
        self, client: Callable[[str], Any], kind: SecretKind
    ) -> None:
        with pytest.raises(NoSecretError, match=r"^there is none$"):
            on_aws(client).fetch(kind, ACME, "nosuch")

    def test_a_binary_secret_has_no_text(self, client: Callable[[str], Any]) -> None:
        client("secretsmanager").create_secret(Name="/ritornello/test/acme/binary", SecretBinary=b"one")

        assert on_aws(client).fetch(SECRET, ACME, "binary") is None


class TestAwsErrors:
    """If the service fails, it is unavailable. Every other error remains until an operator changes something."""

    def fetch(self, session: boto3.Session, reply: Reply, kind: SecretKind = SECRET) -> None:
        client = a_client(session)
        answers(client, reply)
        with_client(client).fetch(kind, ACME, "gateway")

    @pytest.mark.parametrize(
        ("code", "why"),
        [
            ("ResourceNotFoundException", "there is none"),
            ("ParameterNotFound", "there is none"),
            ("AccessDeniedException", "it may not be read"),
            ("DecryptionFailure", "it cannot be decrypted"),
            ("InvalidKeyId", "it cannot be decrypted"),
            ("InvalidRequestException", "it cannot be read: InvalidRequestException"),
        ],
    )
    @pytest.mark.parametrize("kind", [SECRET, PARAMETER])
    def test_a_refused_secret_has_a_clear_error(
        self, session: boto3.Session, code: str, why: str, kind: SecretKind
    ) -> None:
        with pytest.raises(NoSecretError, match=f"^{why}$") as caught:
            self.fetch(session, refused(code, message="arn:aws:secretsmanager:hush"), kind)

        assert "arn" not in str(caught.value)

    @pytest.mark.parametrize(
        ("reply", "error"),
        [
            (refused("ThrottlingException"), OverloadedError),
            (refused("Throttling"), OverloadedError),
            (refused("LimitExceededException"), OverloadedError),
            ((429, {"__type": "Other"}), OverloadedError),
            ((500, {"__type": "InternalServiceError"}), ConnectionLostError),
            ((503, {"__type": "ServiceUnavailable"}), ConnectionLostError),
        ],
    )
    def test_an_overloaded_or_failing_service_is_unavailable(
        self, session: boto3.Session, reply: Reply, error: type[Exception]
    ) -> None:
        with pytest.raises(error):
            self.fetch(session, reply)

    def test_a_lost_connection_is_unavailable(self, session: boto3.Session) -> None:
        client = a_client(session)
        fails(client, UnansweredError("ReadTimeoutError: too late"))
        with pytest.raises(ConnectionLostError, match="ReadTimeoutError"):
            with_client(client).fetch(SECRET, ACME, "gateway")

    def test_a_message_of_the_service_is_not_shown(self, session: boto3.Session) -> None:
        with pytest.raises(OverloadedError) as caught:
            self.fetch(session, refused("ThrottlingException", message="arn:aws:secretsmanager:hush"))
        assert "arn" not in str(caught.value)

    def test_a_debug_log_has_no_value(self, session: boto3.Session, caplog: pytest.LogCaptureFixture) -> None:
        name = "/ritornello/test/acme/gateway"
        with caplog.at_level(logging.DEBUG), mock_aws():
            session.client("secretsmanager").create_secret(Name=name, SecretString="hush-hush")
            caplog.clear()
            assert on_aws(session.client).fetch(SECRET, ACME, "gateway") == "hush-hush"

        # boto3 makes a client in this test, and logs that.
        assert "hush" not in json.dumps([record.getMessage() for record in caplog.records])
