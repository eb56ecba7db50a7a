"""The pepper in Secrets Manager: read at the first use, read again from time to time, and replaced step by step."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.stub import Stubber
from moto import mock_aws

from shared.adapters.crypto import SecretHasher
from shared.adapters.peppers import (
    REREAD_SECONDS,
    RETRY_SECONDS,
    PepperError,
    StoredPeppers,
    hasher_of,
)
from shared.application.ports import ConnectionLostError, OverloadedError

OLD, NEW = "o" * 32, "n" * 32
NAME = "ritornello-test-pepper"


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
def peppers(client: Any, clock: Clock, failures: list[Exception]) -> StoredPeppers:
    return StoredPeppers(client=lambda: client, secret_id=NAME, seconds=clock, report=failures.append)


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

    def test_a_secret_that_is_missing_stops_the_function(self, client: Any, clock: Clock) -> None:
        peppers = StoredPeppers(
            client=lambda: client, secret_id="not-there", seconds=clock, report=lambda _: None
        )

        with pytest.raises(ClientError, match="ResourceNotFound"):
            peppers.hasher()

    @pytest.mark.parametrize(
        ("code", "error"),
        [
            ("ThrottlingException", OverloadedError),
            ("InternalServiceError", ConnectionLostError),
            ("AccessDeniedException", ClientError),
        ],
    )
    def test_the_failures_of_a_first_reading_differ(
        self, client: Any, peppers: StoredPeppers, code: str, error: type[Exception]
    ) -> None:
        with Stubber(client) as stub:
            stub.add_client_error("get_secret_value", code)
            with pytest.raises(error, match=code):
                peppers.hasher()

        assert peppers.hasher() == hasher_of(OLD)

    def test_a_service_out_of_reach_is_a_lost_connection(self, client: Any, peppers: StoredPeppers) -> None:
        def lose(**_: object) -> None:
            raise EndpointConnectionError(endpoint_url="https://secretsmanager")

        client.meta.events.register_first("before-send.secrets-manager", lose)
        with pytest.raises(ConnectionLostError, match="Secrets Manager"):
            peppers.hasher()

    @pytest.mark.parametrize("code", ["ThrottlingException", "InternalServiceError", "AccessDeniedException"])
    def test_a_later_reading_that_fails_keeps_the_peppers_and_is_reported(
        self, client: Any, peppers: StoredPeppers, clock: Clock, failures: list[Exception], code: str
    ) -> None:
        first = peppers.hasher()
        clock.now = REREAD_SECONDS
        with Stubber(client) as stub:
            stub.add_client_error("get_secret_value", code)
            assert peppers.hasher() is first
            # Not for each request: the stub would have no answer.
            assert peppers.hasher() is first

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
