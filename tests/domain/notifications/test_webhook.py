"""Secrets, signatures and delays of webhooks. Source: docs/events.md; https://www.standardwebhooks.com."""

from base64 import b64encode
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from shared.domain.notifications.webhook import (
    RETRY_DELAYS,
    new_secret,
    retry_delay,
    signature_headers,
    signing_key,
)
from tests.full import WEBHOOK


def secret_of(count: int) -> str:
    return "whsec_" + b64encode(b"k" * count).decode()


class TestSecrets:
    """A secret is ``whsec_`` and 24 to 64 bytes in base64."""

    @pytest.mark.parametrize("count", [24, 25, 32, 64])
    def test_a_key_of_24_to_64_bytes_is_valid(self, count: int) -> None:
        assert signing_key(secret_of(count)) == b"k" * count

    @pytest.mark.parametrize(
        "secret",
        [
            "",
            "whsec_",
            secret_of(23),
            secret_of(65),
            secret_of(32).removeprefix("whsec_"),
            secret_of(32) + "!",
            "whsec_€" + "A" * 43,
            secret_of(32)[:-1],
        ],
    )
    def test_anything_else_is_not(self, secret: str) -> None:
        assert signing_key(secret) is None

    def test_a_new_secret_is_valid(self) -> None:
        random = "YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXoxMjM0NTY"  # as long as 32 bytes are in URL-safe base64
        assert signing_key(new_secret(random)) == random.encode()


class TestSignatures:
    """The signature is over id, time and body."""

    def test_the_vector_of_the_standards_libraries(self) -> None:
        key = signing_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
        assert key is not None

        headers = signature_headers(
            key,
            message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
            at=datetime.fromtimestamp(1614265330, UTC),
            body=b'{"test": 2432232314}',
        )

        assert headers == {
            "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "webhook-timestamp": "1614265330",
            "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        }

    def test_the_timestamp_is_in_whole_seconds(self) -> None:
        at = datetime(2026, 1, 31, 12, 0, 0, 999_000, tzinfo=UTC)

        headers = signature_headers(b"k" * 24, message_id="m", at=at, body=b"")

        assert headers["webhook-timestamp"] == "1769860800"


class TestKinds:
    """Without kinds, a webhook takes all."""

    def test_the_named_kinds_are_taken(self) -> None:
        assert WEBHOOK.takes("event.failed")
        assert not WEBHOOK.takes("event.processed")

    def test_no_kinds_are_all(self) -> None:
        assert replace(WEBHOOK, kinds=()).takes("event.processed")


class TestDelays:
    """Nine repetitions take about a day; after the tenth failure none follows."""

    def test_delays_grow_and_sum_to_about_a_day(self) -> None:
        assert list(RETRY_DELAYS) == sorted(RETRY_DELAYS)
        assert timedelta(hours=23) < sum(RETRY_DELAYS, timedelta()) < timedelta(hours=24)
        assert max(RETRY_DELAYS) <= timedelta(hours=12), "SQS hides a message no longer"

    @pytest.mark.parametrize(
        ("failures", "delay"),
        [
            (1, timedelta(seconds=10)),
            (2, timedelta(minutes=1)),
            (9, timedelta(hours=8)),
            (10, None),
            (11, None),
        ],
    )
    def test_each_failure_has_its_delay(self, failures: int, delay: timedelta | None) -> None:
        assert retry_delay(failures) == delay
