from typing import Any

import pytest

from shared.domain.instance.reason import ErrorKind
from shared.domain.instance.run import Certainty, Outcome, StepError
from shared.domain.steps.call import (
    AddressRefused,
    Answered,
    CallOutcome,
    TimedOut,
    TokenRefused,
    Unreachable,
)
from shared.domain.steps.classify import (
    AnswerClass,
    answer_class,
    asks_to_wait,
    certainty_of,
    classify,
    reaches,
)
from shared.domain.strategy.model import Method, Service
from tests.factories import a_success, an_intent

FIRST = an_intent("charge")
REPEAT = an_intent("charge", repeat=True)
STATUS = {"properties": {"status": {"enum": ["CONFIRMED", "DECLINED"]}}}
UNUSABLE = Answered(status=200, unusable="larger than 128 KB")


def a_method(method: str = "post", **members: Any) -> Method:
    return Method(key="call", url="/things", method=method, **members)


def classified(call: CallOutcome, *, repeat: bool = False, **method: Any) -> Outcome:
    called = a_method(**method)
    service = Service(key="api", base_urls={}, methods={"call": called})
    return classify(service, called, REPEAT if repeat else FIRST, call)


class TestClasses:
    """The table of docs/contracts/core.md section 3.5, one row a test.

    "Definite answers are usable 2xx, and 4xx other than 408, 409, 425 and 429." "409, 425, 429 and 503 mean 'refused
    for now'." "A 3xx is treated like 502."
    """

    @pytest.mark.parametrize("status", [200, 201, 202, 204, 226, 299])
    def test_a_usable_2xx_is_a_success(self, status: int) -> None:
        assert answer_class(a_method(), Answered(status=status)) is AnswerClass.SUCCESS

    @pytest.mark.parametrize("status", [200, 201, 204, 299])
    def test_a_2xx_that_cannot_be_used_is_unknown(self, status: int) -> None:
        assert answer_class(a_method(), Answered(status=status), usable=False) is AnswerClass.UNKNOWN

    @pytest.mark.parametrize(
        "status", [400, 401, 402, 403, 404, 406, 407, 410, 412, 418, 422, 424, 426, 428, 431, 451, 499]
    )
    @pytest.mark.parametrize("usable", [True, False])
    def test_a_4xx_is_a_definite_failure_whatever_its_body(self, status: int, usable: bool) -> None:  # noqa: FBT001 - a parameter of the test
        answered = answer_class(a_method(), Answered(status=status), usable=usable)

        assert answered is AnswerClass.DEFINITE_FAILURE

    @pytest.mark.parametrize("status", [409, 425, 429, 503])
    @pytest.mark.parametrize("usable", [True, False])
    def test_four_statuses_refuse_for_now(self, status: int, usable: bool) -> None:  # noqa: FBT001 - a parameter of the test
        answered = answer_class(a_method(), Answered(status=status), usable=usable)

        assert answered is AnswerClass.REFUSED_FOR_NOW

    @pytest.mark.parametrize(
        "status", [408, 500, 501, 502, 504, 505, 507, 511, 520, 524, 599, 600, 999, 100, 199]
    )
    def test_any_other_status_is_unknown(self, status: int) -> None:
        assert answer_class(a_method(), Answered(status=status)) is AnswerClass.UNKNOWN

    @pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308, 399])
    def test_a_redirect_is_like_a_502(self, status: int) -> None:
        assert answer_class(a_method(), Answered(status=status)) is AnswerClass.UNKNOWN

    def test_no_answer_is_unknown(self) -> None:
        assert answer_class(a_method(), TimedOut(why="silence")) is AnswerClass.UNKNOWN

    @pytest.mark.parametrize("call", [Unreachable(why="x"), AddressRefused(why="x")])
    def test_a_call_that_reached_no_service_was_not_sent(self, call: CallOutcome) -> None:
        assert answer_class(a_method(), call) is AnswerClass.NOT_SENT

    def test_a_refused_token_refuses_the_call(self) -> None:
        assert answer_class(a_method(), TokenRefused(why="busy")) is AnswerClass.REFUSED_FOR_NOW

    @pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete"])
    def test_the_class_is_the_same_for_every_method(self, method: str) -> None:
        found = [answer_class(a_method(method), Answered(status=status)) for status in (201, 402, 429, 504)]

        assert found == [
            AnswerClass.SUCCESS,
            AnswerClass.DEFINITE_FAILURE,
            AnswerClass.REFUSED_FOR_NOW,
            AnswerClass.UNKNOWN,
        ]


class TestDefiniteStatuses:
    """ "A method can name its own (``definiteStatuses``)." The neighbours keep their class."""

    OWN = frozenset({302, 408, 409, 429, 500, 503})

    @pytest.mark.parametrize("status", sorted(OWN))
    @pytest.mark.parametrize("usable", [True, False])
    def test_a_named_status_is_a_definite_failure(self, status: int, usable: bool) -> None:  # noqa: FBT001 - a parameter of the test
        method = a_method(definite_statuses=self.OWN)

        assert answer_class(method, Answered(status=status), usable=usable) is AnswerClass.DEFINITE_FAILURE

    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            (303, AnswerClass.UNKNOWN),
            (425, AnswerClass.REFUSED_FOR_NOW),
            (502, AnswerClass.UNKNOWN),
            (201, AnswerClass.SUCCESS),
        ],
    )
    def test_other_statuses_keep_their_class(self, status: int, kind: AnswerClass) -> None:
        assert answer_class(a_method(definite_statuses=self.OWN), Answered(status=status)) is kind


class TestCertainty:
    """The ids change only after a definite answer. A refusal or a repeat that was not sent leaves an earlier sending in
    doubt (ADR 4, ADR 30).
    """

    @pytest.mark.parametrize(
        ("kind", "first", "repeated"),
        [
            (AnswerClass.SUCCESS, Certainty.DEFINITE, Certainty.DEFINITE),
            (AnswerClass.DEFINITE_FAILURE, Certainty.DEFINITE, Certainty.DEFINITE),
            (AnswerClass.REFUSED_FOR_NOW, Certainty.OPEN, Certainty.IN_DOUBT),
            (AnswerClass.NOT_SENT, Certainty.OPEN, Certainty.IN_DOUBT),
            (AnswerClass.UNKNOWN, Certainty.IN_DOUBT, Certainty.IN_DOUBT),
        ],
    )
    def test_the_class_and_an_earlier_sending_decide(
        self, kind: AnswerClass, first: Certainty, repeated: Certainty
    ) -> None:
        assert (certainty_of(kind, FIRST), certainty_of(kind, REPEAT)) == (first, repeated)


class TestWaiting:
    """ "After a 429 or a 503 the event waits." So it does if no token is given for now. Nothing else waits."""

    @pytest.mark.parametrize("status", [429, 503])
    @pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete"])
    def test_two_statuses_ask_to_wait(self, method: str, status: int) -> None:
        assert asks_to_wait(a_method(method), Answered(status=status))
        assert asks_to_wait(a_method(method), Answered(status=status, unusable="larger than 128 KB"))

    @pytest.mark.parametrize("status", [200, 302, 402, 408, 409, 425, 428, 430, 500, 502, 504])
    def test_no_other_status_does(self, status: int) -> None:
        assert not asks_to_wait(a_method(), Answered(status=status))

    def test_a_refused_token_does_whatever_the_method_handles(self) -> None:
        assert asks_to_wait(a_method(), TokenRefused(why="busy"))
        assert asks_to_wait(
            a_method(whole_answer=True, definite_statuses=frozenset({429, 503})), TokenRefused(why="busy")
        )

    @pytest.mark.parametrize("call", [TimedOut(why="x"), Unreachable(why="x"), AddressRefused(why="x")])
    def test_no_lack_of_an_answer_does(self, call: CallOutcome) -> None:
        assert not asks_to_wait(a_method(), call)

    def test_a_method_that_handles_the_status_does_not_wait(self) -> None:
        assert not asks_to_wait(a_method(whole_answer=True), Answered(status=429))
        only_429 = a_method(definite_statuses=frozenset({429}))
        assert (
            asks_to_wait(only_429, Answered(status=429)),
            asks_to_wait(only_429, Answered(status=503)),
        ) == (False, True)


class TestReaching:
    """A call has reached its service if an answer came that is no gateway's. Circuits count by that."""

    @pytest.mark.parametrize(
        "status", [200, 201, 302, 400, 402, 404, 408, 409, 425, 429, 500, 501, 505, 507, 520]
    )
    def test_an_answer_of_the_service(self, status: int) -> None:
        assert reaches(a_method(), Answered(status=status)) is True
        assert reaches(a_method(), Answered(status=status, unusable="larger than 128 KB")) is True

    @pytest.mark.parametrize("status", [502, 503, 504])
    def test_an_error_of_a_gateway(self, status: int) -> None:
        assert reaches(a_method(), Answered(status=status)) is False

    @pytest.mark.parametrize("status", [502, 503, 504])
    def test_a_status_that_the_flow_handles_is_an_answer(self, status: int) -> None:
        named = a_method(definite_statuses=frozenset({status}))
        other = a_method(definite_statuses=frozenset({500}))

        assert reaches(named, Answered(status=status)) is True
        assert reaches(a_method(whole_answer=True), Answered(status=status)) is True
        assert reaches(other, Answered(status=status)) is False

    @pytest.mark.parametrize("call", [TimedOut(why="x"), Unreachable(why="x")])
    def test_no_answer_and_no_connection(self, call: CallOutcome) -> None:
        assert reaches(a_method(), call) is False
        assert reaches(a_method(whole_answer=True), call) is False

    @pytest.mark.parametrize(
        "call", [Unreachable(why="no token", tried=False), AddressRefused(why="x"), TokenRefused(why="x")]
    )
    def test_a_call_that_was_not_tried_says_nothing(self, call: CallOutcome) -> None:
        assert reaches(a_method(), call) is None


class TestOutcomes:
    """The outcome of a step has status, body and certainty."""

    def test_a_success_has_the_body(self) -> None:
        assert classified(Answered(status=201, body={"id": 7})) == a_success({"id": 7})

    @pytest.mark.parametrize(
        ("status", "certainty"),
        [
            (302, Certainty.IN_DOUBT),
            (402, Certainty.DEFINITE),
            (408, Certainty.IN_DOUBT),
            (409, Certainty.OPEN),
            (425, Certainty.OPEN),
            (429, Certainty.OPEN),
            (500, Certainty.IN_DOUBT),
            (502, Certainty.IN_DOUBT),
            (503, Certainty.OPEN),
            (504, Certainty.IN_DOUBT),
        ],
    )
    def test_any_other_answer_is_an_error_with_the_body(self, status: int, certainty: Certainty) -> None:
        error = StepError(
            message=f"api/call returned HTTP {status}", kind=ErrorKind.HTTP, status=status, data={"code": 1}
        )

        assert classified(Answered(status=status, body={"code": 1})) == Outcome(
            success=False, error=error, certainty=certainty
        )

    @pytest.mark.parametrize(
        ("call", "message", "kind", "certainty"),
        [
            (
                TimedOut(why="30 s have passed"),
                "no answer: 30 s have passed",
                ErrorKind.TIMEOUT,
                Certainty.IN_DOUBT,
            ),
            (Unreachable(why="no address"), "no address", ErrorKind.UNREACHABLE, Certainty.OPEN),
            (AddressRefused(why="internal"), "internal", ErrorKind.UNREACHABLE, Certainty.OPEN),
            (TokenRefused(why="no token: 429"), "no token: 429", ErrorKind.UNREACHABLE, Certainty.OPEN),
        ],
    )
    def test_the_lack_of_an_answer_is_an_error(
        self, call: CallOutcome, message: str, kind: ErrorKind, certainty: Certainty
    ) -> None:
        assert classified(call) == Outcome(
            success=False, error=StepError(message=message, kind=kind), certainty=certainty
        )


class TestUnusableAnswers:
    """ "A 2xx that can't be used" may have taken effect. A body says nothing about the effect of another status."""

    @pytest.mark.parametrize(
        ("status", "certainty"),
        [
            (200, Certainty.IN_DOUBT),
            (404, Certainty.DEFINITE),
            (500, Certainty.IN_DOUBT),
            (503, Certainty.OPEN),
        ],
    )
    def test_a_rejected_body_is_an_error(self, status: int, certainty: Certainty) -> None:
        message = f"api/call returned HTTP {status} with an unusable body: larger than 128 KB"

        assert classified(Answered(status=status, unusable="larger than 128 KB")) == Outcome(
            success=False,
            error=StepError(message=message, kind=ErrorKind.RESPONSE, status=status),
            certainty=certainty,
        )

    @pytest.mark.parametrize(
        ("body", "why"),
        [
            ("a\0b", "/: must not contain a NUL character"),
            ({"a": [{"b": "\0"}]}, "/a/0/b: must not contain a NUL character"),
            ({"a\0": 1}, "/: the name 'a\\x00' must not contain a NUL character"),
            ("\ud83d", "/: must not contain half of a surrogate pair"),
            ({"a": "\ud83d"}, "/a: must not contain half of a surrogate pair"),
            ({"a": [float("inf")]}, "/a/0: must be a number that a double can hold"),
        ],
    )
    def test_text_and_numbers_that_cannot_be_stored_are_unusable(self, body: Any, why: str) -> None:
        message = f"api/call returned HTTP 200 with an unusable body: {why}"

        assert classified(Answered(status=200, body=body)) == Outcome(
            success=False,
            error=StepError(message=message, kind=ErrorKind.RESPONSE, status=200),
            certainty=Certainty.IN_DOUBT,
        )

    @pytest.mark.parametrize("body", ["", "\x01", "\\u0000", "ñ€😀", {"a": ["\t"]}, None, 0, False])
    def test_neighbours_of_these_are_usable(self, body: Any) -> None:
        assert classified(Answered(status=200, body=body)) == a_success(body)

    def test_a_body_nested_too_deep_is_unusable(self) -> None:
        body: list[Any] = []
        for _ in range(128):
            body = [body]
        assert classified(Answered(status=200, body=body)).success

        outcome = classified(Answered(status=200, body=[body]))

        assert (outcome.success, outcome.certainty) == (False, Certainty.IN_DOUBT)
        assert outcome.error == StepError(
            message="api/call returned HTTP 200 with an unusable body: /: must nest at most 128 levels deep",
            kind=ErrorKind.RESPONSE,
            status=200,
        )

    def test_a_body_that_breaks_its_schema_is_unusable(self) -> None:
        outcome = classified(Answered(status=201, body={"status": "?"}), response_validation=STATUS)

        assert (outcome.success, outcome.response, outcome.certainty) == (False, None, Certainty.IN_DOUBT)
        assert outcome.error is not None
        assert (outcome.error.status, outcome.error.data) == (201, {"status": "?"})
        assert outcome.error.message.startswith("responseValidation: /status: ")

    def test_a_body_that_keeps_its_schema_is_usable(self) -> None:
        assert classified(
            Answered(status=201, body={"status": "DECLINED"}), response_validation=STATUS
        ) == a_success({"status": "DECLINED"})

    def test_the_body_of_an_error_is_not_validated(self) -> None:
        outcome = classified(Answered(status=402, body="no JSON"), response_validation=STATUS)

        assert outcome.error == StepError(
            message="api/call returned HTTP 402", kind=ErrorKind.HTTP, status=402, data="no JSON"
        )


class TestRepeats:
    """ "404/410 on a repeated DELETE is success." An unsent or refused repeat leaves the first sending in doubt."""

    @pytest.mark.parametrize("status", [404, 410])
    def test_a_repeated_delete_finds_nothing(self, status: int) -> None:
        gone = Answered(status=status, body={"gone": True})

        assert classified(gone, repeat=True, method="delete") == a_success({"gone": True})
        assert not classified(gone, repeat=False, method="delete").success
        assert not classified(gone, repeat=True, method="post").success

    @pytest.mark.parametrize("status", [402, 405, 409, 500])
    def test_another_status_of_a_repeated_delete_is_an_error(self, status: int) -> None:
        assert not classified(Answered(status=status), repeat=True, method="delete").success

    @pytest.mark.parametrize(
        "call",
        [
            Unreachable(why="x"),
            AddressRefused(why="x"),
            TokenRefused(why="x"),
            Answered(status=409),
            Answered(status=429),
            Answered(status=503),
        ],
    )
    def test_the_first_sending_stays_in_doubt(self, call: CallOutcome) -> None:
        assert classified(call, repeat=True).certainty is Certainty.IN_DOUBT

    @pytest.mark.parametrize("status", [201, 402, 404, 422])
    def test_a_definite_answer_ends_the_doubt(self, status: int) -> None:
        assert classified(Answered(status=status), repeat=True).certainty is Certainty.DEFINITE


class TestWholeAnswers:
    """With ``wholeAnswer`` any status is a success, and the flow decides. The ids stay until a definite answer."""

    @pytest.mark.parametrize(
        ("status", "reason", "certainty"),
        [
            (200, "OK", Certainty.DEFINITE),
            (404, "Not Found", Certainty.DEFINITE),
            (409, "Conflict", Certainty.OPEN),
            (503, "Service Unavailable", Certainty.OPEN),
            (504, "Gateway Timeout", Certainty.OPEN),
            (799, "", Certainty.OPEN),
        ],
    )
    def test_the_status_is_data(self, status: int, reason: str, certainty: Certainty) -> None:
        whole = {"status": status, "reason": reason, "body": {"a": 1}}

        assert classified(Answered(status=status, body={"a": 1}), whole_answer=True) == a_success(
            whole, certainty=certainty
        )

    def test_a_named_status_is_definite(self) -> None:
        outcome = classified(Answered(status=504), whole_answer=True, definite_statuses=frozenset({504}))

        assert outcome.certainty is Certainty.DEFINITE

    def test_a_body_that_cannot_be_used_is_an_error(self) -> None:
        assert classified(UNUSABLE, whole_answer=True).certainty is Certainty.IN_DOUBT
        assert not classified(Answered(status=404, unusable="x"), whole_answer=True).success

    def test_every_body_is_validated(self) -> None:
        outcome = classified(
            Answered(status=404, body={"status": "?"}), whole_answer=True, response_validation=STATUS
        )

        assert (outcome.success, outcome.certainty) == (False, Certainty.DEFINITE)

    def test_silence_stays_an_error(self) -> None:
        assert classified(TimedOut(why="x"), whole_answer=True).certainty is Certainty.IN_DOUBT

    def test_a_deleted_thing_is_data(self) -> None:
        outcome = classified(Answered(status=404), repeat=True, method="delete", whole_answer=True)

        assert outcome.response == {"status": 404, "reason": "Not Found", "body": None}
