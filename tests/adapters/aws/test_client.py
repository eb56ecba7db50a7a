"""Requests to a service: which are sent again, after which wait, and the error that is raised at last."""

import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from shared.adapters.aws.client import (
    CONFLICT_SECONDS,
    FAILURE_SECONDS,
    MAX_ATTEMPTS,
    THROTTLING_SECONDS,
    Answer,
    AwsClient,
    Call,
    Refusal,
    Request,
    Timing,
    json_request,
    refusal_of,
)
from shared.adapters.aws.errors import AwsError, UnansweredError
from shared.adapters.aws.http import HttpReply
from shared.adapters.aws.services import Functions, Kms, Scheduler
from shared.adapters.aws.signing import Credentials, Signer
from shared.application.ports import ConnectionLostError, OverloadedError

LOST = UnansweredError("ReadTimeoutError: too late")
DONE = (200, {"done": True})
BUILD = json_request("Shop.Order", "1.0")

Next = tuple[int, Mapping[str, Any]] | UnansweredError | HttpReply


@dataclass
class Service:
    """A transport that gives these answers in their order, and the waits between them."""

    answers: list[Next]
    sent: list[tuple[str, str, Mapping[str, str], bytes]] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> HttpReply:
        self.sent.append((method, path, headers, body))
        answer = self.answers.pop(0)
        if isinstance(answer, UnansweredError):
            raise answer
        if isinstance(answer, HttpReply):
            return answer
        status, document = answer
        return HttpReply(status=status, headers={}, body=json.dumps(document).encode())

    def close(self) -> None: ...

    def client(self, **changes: Any) -> AwsClient:
        given: dict[str, Any] = {
            "service": "shop",
            "host": "shop.eu-central-1.amazonaws.com",
            "transport": self,
            "signer": Signer("shop", "eu-central-1"),
            "credentials": lambda: Credentials(access_key="AKID", secret_key="secret"),
            "timing": Timing(now=lambda: 0.0, sleep=self.waits.append, random=lambda: 1.0),
            "user_agent": "ritornello/1",
            **changes,
        }
        return AwsClient(**given)

    def order(self, **changes: Any) -> Answer:
        return self.client(**changes).call("Order", {"n": 1}, BUILD)


def refused(code: str, status: int = 400) -> Next:
    return status, {"__type": f"com.amazonaws.shop#{code}", "message": "arn:hush"}


class TestARequest:
    """It is signed JSON, and its answer is JSON."""

    def test_operation_and_members_are_sent(self) -> None:
        service = Service([DONE])

        assert service.order() == {"done": True}

        ((method, path, headers, body),) = service.sent
        assert (method, path, json.loads(body)) == ("POST", "/", {"n": 1})
        assert headers["x-amz-target"] == "Shop.Order"
        assert headers["content-type"] == "application/x-amz-json-1.0"
        assert headers["user-agent"] == "ritornello/1"
        assert headers["authorization"].startswith(
            "AWS4-HMAC-SHA256 Credential=AKID/19700101/eu-central-1/shop/"
        )
        assert "x-amzn-trace-id" not in headers

    def test_an_empty_answer_has_no_members(self) -> None:
        assert Service([HttpReply(status=202, headers={}, body=b"")]).order() == {}

    def test_the_invocation_that_it_belongs_to_is_named(self) -> None:
        service = Service([DONE])

        service.order(trace=lambda: "Root=1-2")

        assert service.sent[0][2]["x-amzn-trace-id"] == "Root=1-2"

    @pytest.mark.parametrize(
        ("path", "sent"), [("/", "/_aws/bus"), ("/schedules/a", "/_aws/bus/schedules/a")]
    )
    def test_the_url_of_a_service_may_have_a_path(self, path: str, sent: str) -> None:
        service = Service([DONE])

        service.client(base="/_aws/bus").call("Order", {}, lambda _: Request(body=b"{}", path=path))

        assert service.sent[0][1] == sent

    def test_each_attempt_is_signed_with_the_current_credentials(self) -> None:
        keys = iter("AB")
        service = Service([refused("ThrottlingException"), DONE])

        service.order(credentials=lambda: Credentials(access_key=next(keys), secret_key="s"))

        signed = [headers["authorization"] for _, _, headers, _ in service.sent]
        assert ["Credential=A/" in signed[0], "Credential=B/" in signed[1]] == [True, True]


class TestRepeats:
    """A request that may succeed the next time is sent again, the same each time."""

    @pytest.mark.parametrize(
        "first",
        [
            refused("ThrottlingException"),
            refused("Throttling"),
            refused("TooManyRequestsException", 429),
            refused("Anything", 429),
            refused("RequestTimeout"),
            refused("InternalFailure", 500),
            refused("Anything", 502),
            refused("ServiceUnavailable", 503),
            refused("Anything", 504),
            LOST,
            HttpReply(status=503, headers={}, body=b"<html>busy</html>"),
        ],
    )
    def test_a_passing_failure_is_repeated(self, first: Next) -> None:
        service = Service([first, DONE])

        assert service.order() == {"done": True}
        assert len({body for *_, body in service.sent}) == 1

    @pytest.mark.parametrize(
        ("code", "status"),
        [
            ("ValidationException", 400),
            ("AccessDeniedException", 400),
            ("ExpiredTokenException", 400),
            ("ConflictException", 409),
            ("ServiceQuotaExceededException", 402),
            ("ResourceNotFoundException", 404),
        ],
    )
    def test_a_final_refusal_is_raised_at_once(self, code: str, status: int) -> None:
        service = Service([refused(code, status)])

        with pytest.raises(AwsError, match=f"shop refused Order: {code} .HTTP {status}. arn:hush") as caught:
            service.order()

        assert (caught.value.code, caught.value.status, len(service.sent)) == (code, status, 1)

    @pytest.mark.parametrize(
        ("answer", "error", "text"),
        [
            (refused("ThrottlingException"), OverloadedError, "shop: ThrottlingException (HTTP 400)"),
            (refused("InternalFailure", 500), ConnectionLostError, "shop: InternalFailure (HTTP 500)"),
            (LOST, ConnectionLostError, "ReadTimeoutError: too late"),
        ],
    )
    def test_a_lasting_failure_is_unavailability(
        self, answer: Next, error: type[Exception], text: str
    ) -> None:
        """The text has no message of the service, which may name things that its reader may not know."""
        service = Service([answer] * MAX_ATTEMPTS)

        with pytest.raises(error) as caught:
            service.order()

        assert str(caught.value) == text
        assert len(service.sent) == MAX_ATTEMPTS

    def test_the_number_of_attempts_can_be_less(self) -> None:
        service = Service([LOST, LOST])

        with pytest.raises(ConnectionLostError):
            service.order(attempts=2)

    def test_a_refusal_may_mean_something_else_to_a_service(self) -> None:
        service = Service([refused("Collision"), DONE])

        service.order(
            refusal=lambda error: Refusal.CONFLICT if error.code == "Collision" else refusal_of(error)
        )

        assert service.waits == [CONFLICT_SECONDS]

    def test_a_lasting_conflict_is_an_overload(self) -> None:
        service = Service([refused("Collision")] * MAX_ATTEMPTS)

        with pytest.raises(OverloadedError, match="Collision"):
            service.order(refusal=lambda _: Refusal.CONFLICT)


class TestWaits:
    """A wait is a random part of a time that doubles."""

    @pytest.mark.parametrize(
        ("answer", "longest"),
        [(refused("ThrottlingException"), THROTTLING_SECONDS), (LOST, FAILURE_SECONDS)],
    )
    def test_the_longest_wait_doubles(self, answer: Next, longest: float) -> None:
        service = Service([answer, answer, answer, DONE])

        service.order()

        assert service.waits == [longest, 2 * longest, 4 * longest]

    @pytest.mark.parametrize("part", [0.0, 0.25, 0.999])
    def test_only_a_part_is_waited(self, part: float) -> None:
        service = Service([LOST, DONE])

        service.order(timing=Timing(now=lambda: 0.0, sleep=service.waits.append, random=lambda: part))

        assert service.waits == [part * FAILURE_SECONDS]


class TestAnswers:
    """An incomplete or damaged answer counts as none."""

    def test_a_damaged_answer_is_fetched_again(self) -> None:
        body = b'{"done": true}'
        checksum = str(zlib.crc32(body))
        damaged = HttpReply(status=200, headers={"x-amz-crc32": checksum}, body=b'{"done": fals}')
        whole = HttpReply(status=200, headers={"x-amz-crc32": checksum}, body=body)

        assert Service([damaged, whole]).order() == {"done": True}

    def test_an_answer_that_is_no_json_is_fetched_again(self) -> None:
        assert Service([HttpReply(status=200, headers={}, body=b"<html>"), DONE]).order() == {"done": True}

    @pytest.mark.parametrize("body", [b"<html>no</html>", b'["no"]', b""])
    def test_a_refusal_without_a_code_has_none(self, body: bytes) -> None:
        with pytest.raises(AwsError) as caught:
            Service([HttpReply(status=403, headers={}, body=body)]).order()

        assert (caught.value.code, caught.value.status) == ("", 403)

    @pytest.mark.parametrize(
        ("headers", "body"),
        [
            ({"x-amzn-errortype": "ConflictException:http://internal.amazon.com/coral/"}, b"{}"),
            ({"x-amzn-errortype": "ConflictException"}, b'{"__type": "Other"}'),
            ({}, b'{"__type": "com.amazonaws.shop#ConflictException"}'),
            ({}, b'{"code": "ConflictException"}'),
        ],
    )
    def test_the_code_stands_in_header_or_body(self, headers: Mapping[str, str], body: bytes) -> None:
        with pytest.raises(AwsError) as caught:
            Service([HttpReply(status=409, headers=headers, body=body)]).order()

        assert caught.value.code == "ConflictException"


class TestObservers:
    """They see each call, each time it is sent, and how it ended."""

    @pytest.mark.parametrize(
        ("answers", "ends"),
        [
            ([LOST, DONE], ["begins", "sends", "sends", "answered"]),
            ([refused("ValidationException")], ["begins", "sends", "ValidationException"]),
            ([LOST, LOST, LOST, LOST], ["begins", "sends", "sends", "sends", "sends", "nothing"]),
        ],
    )
    def test_a_call_is_seen(self, answers: list[Next], ends: list[str]) -> None:
        seen: list[str] = []

        class Diary:
            def begins(self, call: Call) -> None:
                assert (call.service, call.operation, call.request) == ("shop", "Order", {"n": 1})
                call.context["begun"] = True
                seen.append("begins")

            def sends(self, call: Call) -> None:
                assert call.context == {"begun": True}
                seen.append("sends")

            def ends(self, call: Call, answer: Answer | None, error: AwsError | None) -> None:
                assert call.context == {"begun": True}
                seen.append(error.code if error else "answered" if answer else "nothing")

        client = Service(answers).client()
        client.observers.append(Diary())
        try:
            client.call("Order", {"n": 1}, BUILD)
        except (AwsError, ConnectionLostError):
            assert "answered" not in ends

        assert seen == ends


class TestServices:
    """Each operation is sent as its service expects it."""

    @pytest.mark.parametrize(
        ("call", "path", "headers", "body"),
        [
            (
                lambda client: Scheduler(client).create_schedule("a b/1", {"GroupName": "g"}),
                "/schedules/a%20b%2F1",
                {"content-type": "application/json"},
                {"GroupName": "g"},
            ),
            (
                lambda client: Functions(client).invoke_later(
                    "arn:aws:lambda:x:1:function:f:live", {"sid": "i"}
                ),
                "/2015-03-31/functions/arn%3Aaws%3Alambda%3Ax%3A1%3Afunction%3Af%3Alive/invocations",
                {"content-type": "application/json", "x-amz-invocation-type": "Event"},
                {"sid": "i"},
            ),
        ],
    )
    def test_members_are_in_path_header_and_body(
        self,
        call: Callable[[AwsClient], None],
        path: str,
        headers: Mapping[str, str],
        body: Mapping[str, Any],
    ) -> None:
        service = Service([(202, {})])

        call(service.client())

        ((method, sent_path, sent_headers, sent_body),) = service.sent
        assert (method, sent_path, json.loads(sent_body)) == ("POST", path, body)
        assert {name: sent_headers[name] for name in headers} == headers

    def test_binary_members_are_base64(self) -> None:
        service = Service(
            [(200, {"Plaintext": "AAE=", "CiphertextBlob": "/w=="}), (200, {"Plaintext": "AAE="})]
        )
        kms = Kms(service.client())

        assert kms.generate_data_key(key_id="k", context={"settings": "s"}) == (b"\x00\x01", b"\xff")
        assert kms.decrypt(b"\xff", key_id="k", context={"settings": "s"}) == b"\x00\x01"
        assert json.loads(service.sent[1][3]) == {
            "KeyId": "k",
            "CiphertextBlob": "/w==",
            "EncryptionContext": {"settings": "s"},
        }


def test_a_request_has_the_method_post() -> None:
    assert Request(body=b"").method == "POST"
