"""The pepper in Secrets Manager: read at the first use, read again from time to time, and replaced step by step."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import boto3
import pytest
from moto import mock_aws

from dev.aws import session_of
from shared.adapters.aws.errors import AwsError, UnansweredError
from shared.adapters.aws.services import SecretsManager
from shared.adapters.crypto import SecretHasher
from shared.adapters.dynamodb.client import PATIENCE
from shared.adapters.peppers import (
    REREAD_SECONDS,
    RETRY_SECONDS,
    PepperError,
    StoredPeppers,
    hasher_of,
)
from shared.application.ports import ConnectionLostError, OverloadedError
from tests.adapters.http.replies import Reply, answers, fails, refused
from tests.engines import PROMPT, a_session

OLD, NEW = "o" * 32, "n" * 32
NAME = "ritornello-test-pepper"


def code_of(reply: Reply) -> str:
    return str(reply[1]["__type"]).rpartition("#")[2]


class Clock:
    """Seconds that a test moves forward."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws():
        made = boto3.client("secretsmanager", region_name="eu-central-1")
        made.create_secret(Name=NAME, SecretString=OLD)
        yield made


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def failures() -> list[Exception]:
    return []


@pytest.fixture
def ours(client: Any) -> SecretsManager:
    assert client is not None
    return SecretsManager(session_of(a_session(), timing=PROMPT).client("secretsmanager", patience=PATIENCE))


@pytest.fixture
def peppers(ours: SecretsManager, clock: Clock, failures: list[Exception]) -> StoredPeppers:
    return StoredPeppers(client=lambda: ours, secret_id=NAME, seconds=clock, report=failures.append)


class TestReading:
    """One or two peppers, of which the first hashes."""

    def test_a_single_pepper_hashes_and_is_accepted(self) -> None:
        assert hasher_of(OLD) == SecretHasher(OLD.encode())

    @pytest.mark.parametrize("space", [" ", "\n", " \n "])
    def test_the_first_of_two_hashes_and_both_are_accepted(self, space: str) -> None:
        hasher = hasher_of(f"{NEW}{space}{OLD}\n")

        assert hasher.hash("secret") == SecretHasher(NEW.encode()).hash("secret")
        assert hasher.matches("secret", SecretHasher(OLD.encode()).hash("secret"))
        assert hasher.matches("secret", SecretHasher(NEW.encode()).hash("secret"))

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("", "there are 0 peppers"),
            (" \n", "there are 0 peppers"),
            (f"{OLD} {NEW} {OLD}", "there are 3 peppers"),
            ("short", "at least 32 characters"),
            (f"{NEW} {OLD[1:]}", "at least 32 characters"),
        ],
    )
    def test_anything_else_is_refused_without_being_shown(self, text: str, why: str) -> None:
        with pytest.raises(PepperError, match=why) as refused:
            hasher_of(text)

        assert OLD[1:] not in str(refused.value)


class TestReplacing:
    """Containers read at different times. In each step of a replacement, all of them accept each other's hashes."""

    def test_the_pepper_is_read_once_in_five_minutes(
        self, client: Any, peppers: StoredPeppers, clock: Clock
    ) -> None:
        first = peppers.hasher()
        client.put_secret_value(SecretId=NAME, SecretString=f"{OLD} {NEW}")
        clock.now = REREAD_SECONDS - 1

        assert peppers.hasher() is first

        clock.now = REREAD_SECONDS
        assert peppers.hasher() == hasher_of(f"{OLD} {NEW}")

    def test_every_neighbouring_pair_of_steps_accepts_the_hashes_of_the_other(self) -> None:
        steps = [hasher_of(text) for text in (OLD, f"{OLD} {NEW}", f"{NEW} {OLD}")]

        for before, after in pairwise(steps):
            assert before.matches("secret", after.hash("secret"))
            assert after.matches("secret", before.hash("secret"))

    def test_a_secret_that_was_hashed_before_is_worthless_at_the_end(self) -> None:
        assert not hasher_of(NEW).matches("secret", hasher_of(OLD).hash("secret"))


class TestFailures:
    """Without a pepper nothing is answered. If a later reading fails, the peppers that were read before are used."""

    def test_a_secret_that_is_missing_stops_the_function(self, ours: SecretsManager, clock: Clock) -> None:
        peppers = StoredPeppers(
            client=lambda: ours, secret_id="not-there", seconds=clock, report=lambda _: None
        )

        with pytest.raises(AwsError, match="ResourceNotFound"):
            peppers.hasher()

    @pytest.mark.parametrize(
        ("reply", "error"),
        [
            (refused("ThrottlingException"), OverloadedError),
            ((500, {"__type": "InternalServiceError"}), ConnectionLostError),
            (refused("AccessDeniedException"), AwsError),
        ],
    )
    def test_the_failures_of_a_first_reading_differ(
        self, ours: SecretsManager, peppers: StoredPeppers, reply: Reply, error: type[Exception]
    ) -> None:
        real = ours.client.transport
        answers(ours.client, reply)
        with pytest.raises(error, match=code_of(reply)):
            peppers.hasher()
        ours.client.transport = real

        assert peppers.hasher() == hasher_of(OLD)

    def test_a_service_out_of_reach_is_a_lost_connection(
        self, ours: SecretsManager, peppers: StoredPeppers
    ) -> None:
        fails(ours.client, UnansweredError("secretsmanager is out of reach"))
        with pytest.raises(ConnectionLostError, match="out of reach"):
            peppers.hasher()

    @pytest.mark.parametrize(
        "reply",
        [
            refused("ThrottlingException"),
            (500, {"__type": "InternalServiceError"}),
            refused("AccessDeniedException"),
        ],
    )
    def test_a_later_reading_that_fails_keeps_the_peppers_and_is_reported(
        self,
        ours: SecretsManager,
        peppers: StoredPeppers,
        clock: Clock,
        failures: list[Exception],
        reply: Reply,
    ) -> None:
        first = peppers.hasher()
        clock.now = REREAD_SECONDS
        sent = answers(ours.client, reply)
        assert peppers.hasher() is first
        tries = len(sent)
        # Not for each request.
        assert peppers.hasher() is first

        assert len(sent) == tries > 0
        code = code_of(reply)
        assert [code in str(failure) for failure in failures] == [True]

    def test_a_failed_reading_is_tried_again_after_half_a_minute(
        self, client: Any, peppers: StoredPeppers, clock: Clock, failures: list[Exception]
    ) -> None:
        first = peppers.hasher()
        client.put_secret_value(SecretId=NAME, SecretString="nonsense")
        clock.now = REREAD_SECONDS
        assert peppers.hasher() is first
        client.put_secret_value(SecretId=NAME, SecretString=f"{OLD} {NEW}")
        clock.now += RETRY_SECONDS

        assert peppers.hasher() == hasher_of(f"{OLD} {NEW}")
        assert len(failures) == 1

    def test_peppers_are_not_printed(self, peppers: StoredPeppers) -> None:
        assert OLD not in repr(peppers.hasher())
        assert OLD not in repr(peppers)
