"""Calls of webhooks, on real sockets. Source: docs/events.md."""

import base64
import hmac
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any

import pytest

from shared.adapters.delivery_queue import SqsDeliveries, delivery_of
from shared.adapters.http.webhook_caller import HttpWebhookCaller
from shared.application.webhooks import Delivery, WebhookReply
from shared.domain.ids import AccountId
from shared.domain.steps.call import AddressRefused, Answered, TimedOut, Unreachable
from tests.adapters.http.http_stub import Seen, answer, reset, serving

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
KEY = b"k" * 32
MESSAGE: dict[str, Any] = {
    "id": "i-2-instance.paused",
    "kind": "instance.paused",
    "reason": {"message": "Müde"},
}


@pytest.fixture
def caller() -> Iterator[HttpWebhookCaller]:
    made = HttpWebhookCaller(seconds=time.monotonic, allowed=(ip_network("127.0.0.0/8"),))
    yield made
    made.close()


@dataclass
class Queue:
    """An SQS client that keeps the bodies of messages."""

    bodies: list[str] = field(default_factory=list)

    def send_message_batch(self, _url: str, entries: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        self.bodies += [entry["MessageBody"] for entry in entries]
        return {}

    def change_message_visibility(self, url: str, receipt: str, *, seconds: int) -> None:
        raise AssertionError(url, receipt, seconds)


def sent(
    caller: HttpWebhookCaller, reply: bytes, message: dict[str, Any] = MESSAGE
) -> tuple[WebhookReply, Seen]:
    with serving(reply) as hook:
        outcome = caller.post(hook.url("/hook?token=5"), message, key=KEY, at=NOON)
        (request,) = hook.seen
        return outcome, request


class TestTheRequest:
    """A message is posted as JSON, signed over the bytes that arrive."""

    def test_the_signature_is_of_the_body_that_arrives(self, caller: HttpWebhookCaller) -> None:
        _, request = sent(caller, answer())

        headers = {name.lower(): value for name, value in request.headers.items()}
        signed = b"i-2-instance.paused.1769860800." + request.body
        expected = base64.b64encode(hmac.digest(KEY, signed, "sha256")).decode()
        assert headers["webhook-signature"] == f"v1,{expected}"
        assert (headers["webhook-id"], headers["webhook-timestamp"]) == (MESSAGE["id"], "1769860800")

    def test_the_queue_changes_no_byte_of_the_body(self, caller: HttpWebhookCaller) -> None:
        message = {**MESSAGE, "reason": {"message": "Müde \ufffe\uffff \U0001f600"}}
        queue = Queue()
        deliveries = SqsDeliveries(
            client=lambda: queue, url="q", report=lambda error: pytest.fail(str(error))
        )
        deliveries.put([Delivery(account_id=AccountId("acme"), message=message)])

        _, direct = sent(caller, answer(), message)
        _, queued = sent(caller, answer(), dict(delivery_of(queue.bodies[0]).message))

        assert (queued.body, queued.headers["webhook-signature"]) == (
            direct.body,
            direct.headers["webhook-signature"],
        )
        assert json.loads(queued.body) == message

    def test_the_message_is_posted_as_json(self, caller: HttpWebhookCaller) -> None:
        _, request = sent(caller, answer())

        headers = {name.lower(): value for name, value in request.headers.items()}
        assert (request.method, request.target) == ("POST", "/hook?token=5")
        assert headers["content-type"] == "application/json"
        assert json.loads(request.body) == MESSAGE


class TestTheOutcome:
    """Only the status counts. Whatever fails is an outcome."""

    @pytest.mark.parametrize("status", [200, 302, 410, 503])
    def test_a_status_is_returned_without_the_body(self, caller: HttpWebhookCaller, status: int) -> None:
        assert sent(caller, answer(b"x" * 300_000, status))[0] == Answered(status=status)

    def test_a_connection_that_breaks_is_an_outcome(self, caller: HttpWebhookCaller) -> None:
        with serving(reset) as hook:
            assert isinstance(caller.post(hook.url(), MESSAGE, key=KEY, at=NOON), TimedOut)

    def test_nothing_that_listens_is_an_outcome(self, caller: HttpWebhookCaller) -> None:
        with serving() as hook:
            url = hook.url()

        assert isinstance(caller.post(url, MESSAGE, key=KEY, at=NOON), Unreachable)

    def test_a_kept_connection_can_be_closed(self, caller: HttpWebhookCaller) -> None:
        with serving(answer()) as hook:
            for _ in range(2):
                caller.post(hook.url(), MESSAGE, key=KEY, at=NOON)
                caller.close()

            assert hook.connections == 2


class TestInternalAddresses:
    """A webhook at an internal address is refused like any other call."""

    @pytest.mark.parametrize(
        ("address", "host"),
        [
            ("127.0.0.1", "hooks.example.com"),
            ("169.254.169.254", "metadata.example.com"),
            ("10.0.0.8", "intranet.example.com"),
            ("::1", "six.example.com"),
        ],
    )
    def test_a_name_of_an_internal_address_is_refused(self, address: str, host: str) -> None:
        caller = HttpWebhookCaller(seconds=time.monotonic, resolve=lambda _: [address])

        outcome = caller.post(f"https://{host}/", MESSAGE, key=KEY, at=NOON)

        assert outcome == AddressRefused(why=f"{host} is at an internal address")

    def test_a_literal_internal_address_is_refused_without_a_connection(self) -> None:
        with serving(answer()) as hook:
            outcome = HttpWebhookCaller(seconds=time.monotonic).post(hook.url(), MESSAGE, key=KEY, at=NOON)

            assert isinstance(outcome, AddressRefused)
            assert hook.connections == 0
