from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.instance.journal import JournalEntry
from shared.domain.instance.run import Intent, Outcome, StepError
from shared.domain.steps.call import (
    AddressRefused,
    Answered,
    CallNotPossibleError,
    CallOutcome,
    TimedOut,
    Unreachable,
)
from shared.domain.steps.controllers import ControllerError
from shared.domain.steps.flow import StepContext
from shared.domain.steps.outcome import (
    doubt_policy,
    in_doubt,
    judged,
    longest,
    no_controller,
    not_possible,
    request_of,
)
from shared.domain.strategy.model import InDoubt, Strategy
from tests.factories import (
    NOON,
    Journey,
    a_success,
    an_audit,
    an_entry,
    an_error,
    an_event,
    an_instance,
    an_intent,
    hours,
    rule,
    settings,
    step,
    strategy_from,
    task,
)

KB = 1024


def strategy_of(*steps: dict[str, Any], method: dict[str, Any] | None = None, **service: Any) -> Strategy:
    """A task ``charge`` whose action ``call`` calls one method, a POST unless it says more."""
    calling = {"key": "call", "url": "/things", "method": "post", **(method or {})}
    services = [
        {
            "key": "api",
            "baseUrls": [{"environment": "dev", "url": "https://api.example.com"}],
            "methods": [calling],
            **service,
        }
    ]
    actions = [{"key": "call", "service": "api", "method": "call"}]
    return strategy_from(settings(task("charge", *steps), services=services, actions=actions))


CALL = step("charge", action="call")
INTENT = an_intent("charge")


def at(strategy: Strategy, *entries: JournalEntry, attributes: dict[str, Any] | None = None) -> StepContext:
    return StepContext(
        strategy=strategy,
        instance=an_instance(attributes=attributes or {}),
        event=an_event(),
        event_history=an_audit(*entries),
        now=NOON,
        token="token",
    )


def came_to(
    call: CallOutcome | None, *, intent: Intent = INTENT, method: dict[str, Any] | None = None, **members: Any
) -> Outcome:
    """What the step ``charge`` comes to, with this answer to its call."""
    strategy = strategy_of(step("charge", action="call", **members), method=method)
    return judged(at(strategy, attributes={"fee": 39}), intent, call)


def controlled(callback: str, call: CallOutcome | None = None) -> Outcome:
    return came_to(call or Answered(status=200, body={"n": 1}), controllerCallback=callback)


class TestClassification:
    """2xx is a success, every other answer a definite error with status and body. No answer is an error that
    leaves open whether the call arrived; what never got out is a definite one."""

    @pytest.mark.parametrize("status", [200, 201, 204, 299])
    def test_success(self, status: int) -> None:
        assert came_to(Answered(status=status, body={"id": 7})) == a_success({"id": 7})

    @pytest.mark.parametrize("status", [100, 199, 300, 302, 400, 404, 410, 429, 500, 503])
    def test_other_answers(self, status: int) -> None:
        assert came_to(Answered(status=status, body={"code": 1})) == an_error(status, {"code": 1})

    def test_no_answer(self) -> None:
        assert came_to(TimedOut(why="30 s have passed")) == Outcome(
            success=False, error=StepError(message="no answer: 30 s have passed"), unanswered=True
        )

    @pytest.mark.parametrize("call", [Unreachable(why="no address"), AddressRefused(why="no address")])
    def test_not_sent(self, call: CallOutcome) -> None:
        assert came_to(call) == Outcome(success=False, error=StepError(message="no address"))

    def test_not_possible(self) -> None:
        why = StepError(message="action call: no")

        assert not_possible(INTENT, CallNotPossibleError(why)) == Outcome(success=False, error=why)

    def test_in_doubt(self) -> None:
        assert in_doubt("the runner died") == Outcome(
            success=False, error=StepError(message="the runner died"), unanswered=True
        )

    def test_a_step_without_a_call_succeeds(self) -> None:
        strategy = strategy_of(step("charge", controllerCallback="{}"))

        assert judged(at(strategy), INTENT, None) == a_success()

    def test_a_body_nested_too_deep_is_an_error(self) -> None:
        body: list[Any] = []
        for _ in range(128):
            body = [body]
        assert came_to(Answered(status=200, body=body)).success

        assert came_to(Answered(status=200, body=[body])) == Outcome(
            success=False,
            error=StepError(
                message="answered 200 with a body that cannot be used: /: nests at most 128 levels deep",
                status=200,
            ),
        )

    @pytest.mark.parametrize(
        ("body", "why"),
        [
            ({"a": "\ud83d"}, "/a: must hold no half of a surrogate pair"),
            ({"a": [float("inf")]}, "/a/0: must be a number that a double can hold"),
        ],
    )
    def test_so_is_one_that_no_expression_could_read(self, body: Any, why: str) -> None:
        assert came_to(Answered(status=500, body=body)) == Outcome(
            success=False,
            error=StepError(message=f"answered 500 with a body that cannot be used: {why}", status=500),
        )

    @pytest.mark.parametrize("status", [200, 404, 500])
    def test_so_is_one_that_was_not_taken(self, status: int) -> None:
        for method in ("post", "delete"):
            call = Answered(status=status, unusable="more than 128 KB")
            assert came_to(
                call, intent=an_intent("charge", repeat=True), method={"method": method}
            ) == Outcome(
                success=False,
                error=StepError(
                    message=f"answered {status} with a body that cannot be used: more than 128 KB",
                    status=status,
                ),
            )


class TestARepeat:
    """A repeated sending that did not get out says nothing about the one before it: that one stays
    unanswered, and its key stays. A definite answer ends it."""

    REPEAT = an_intent("charge", repeat=True)

    @pytest.mark.parametrize("call", [Unreachable(why="refused"), AddressRefused(why="internal")])
    def test_not_sent(self, call: CallOutcome) -> None:
        assert came_to(call, intent=self.REPEAT).unanswered

    def test_not_possible(self) -> None:
        why = StepError(message="action call: no")

        assert not_possible(self.REPEAT, CallNotPossibleError(why)).unanswered

    @pytest.mark.parametrize("status", [200, 409, 500])
    def test_answered(self, status: int) -> None:
        assert came_to(Answered(status=status), intent=self.REPEAT).unanswered is False

    def test_the_key_stays_until_then(self) -> None:
        retry = {"times": 9, "retryAfter": hours(1)}
        run = Journey(settings(task("charge", step("charge"), retryConfig=retry)))
        for call in (TimedOut(why="late"), Unreachable(why="refused"), AddressRefused(why="internal")):
            run.goes(judged(run.context, run.intent, call)).retry()
            assert (run.intent.call_key, run.intent.repeat) == ("i-1-1-1", True)
        run.goes(judged(run.context, run.intent, Answered(status=500))).retry()
        assert (run.intent.call_key, run.intent.repeat) == ("i-1-5-1", False)

    @pytest.mark.parametrize("status", [404, 410])
    def test_gone_on_a_repeated_delete_is_success(self, status: int) -> None:
        deleting = {"method": "delete", "responseValidation": {"properties": {"id": {"type": "string"}}}}
        gone = Answered(status=status, body={"code": "gone"})

        assert came_to(gone, intent=self.REPEAT, method=deleting) == a_success({"code": "gone"})
        assert came_to(gone, intent=INTENT, method=deleting) == an_error(status, {"code": "gone"})

    def test_gone_on_another_repeat_is_not(self) -> None:
        assert came_to(Answered(status=404), intent=self.REPEAT, method={"method": "put"}) == an_error(404)

    def test_another_answer_to_a_repeated_delete_is_what_it_is(self) -> None:
        assert came_to(Answered(status=500), intent=self.REPEAT, method={"method": "delete"}) == an_error(500)


STATUS = {"properties": {"status": {"enum": ["CONFIRMED", "FAILED"]}}, "additionalProperties": True}


WHOLE: dict[str, Any] = {"method": "delete", "wholeAnswer": True}


class TestWholeAnswers:
    """Where the method says so, any answer is a success and told with its status; no answer is none."""

    @pytest.mark.parametrize(
        ("status", "reason"), [(200, "OK"), (404, "Not Found"), (503, "Service Unavailable"), (599, "")]
    )
    def test_any_answer(self, status: int, reason: str) -> None:
        whole = {"status": status, "reason": reason, "body": {"id": 7}}

        assert came_to(Answered(status=status, body={"id": 7}), method=WHOLE) == a_success(whole)

    def test_gone_on_a_repeated_delete(self) -> None:
        outcome = came_to(Answered(status=410), intent=an_intent("charge", repeat=True), method=WHOLE)

        assert outcome == a_success({"status": 410, "reason": "Gone", "body": None})

    def test_no_answer(self) -> None:
        assert not came_to(TimedOut(why="timeout"), method=WHOLE).success

    def test_a_body_that_cannot_be_used(self) -> None:
        assert not came_to(Answered(status=200, unusable="too large"), method=WHOLE).success

    def test_a_body_that_fails_its_schema(self) -> None:
        schema = {"properties": {"id": {"type": "string"}}}

        outcome = came_to(Answered(status=404), method=WHOLE | {"responseValidation": schema})

        assert not outcome.success


class TestResponseValidation:
    """A success whose body breaks the schema is a definite error with status and body."""

    def test_kept_to(self) -> None:
        body = {"status": "CONFIRMED", "id": 7}

        assert came_to(Answered(status=200, body=body), method={"responseValidation": STATUS}) == a_success(
            body
        )

    def test_broken(self) -> None:
        outcome = came_to(Answered(status=201, body={"status": "?"}), method={"responseValidation": STATUS})

        assert (outcome.success, outcome.unanswered, outcome.response) == (False, False, None)
        assert outcome.error is not None
        assert (outcome.error.status, outcome.error.data) == (201, {"status": "?"})
        assert outcome.error.message.startswith("responseValidation: /status: ")

    def test_an_error_is_not_checked(self) -> None:
        assert came_to(
            Answered(status=500, body="no JSON"), method={"responseValidation": STATUS}
        ) == an_error(500, "no JSON")


class TestController:
    """A controller hears the answer of a successful call. Its response takes the answer's place, its orders
    are kept to be applied; fail, and whatever is wrong with it, fails the step, which then orders nothing."""

    def test_it_hears_the_answer(self) -> None:
        assert controlled('{"response": {"n": response.n + 1.0, "fee": attributes.fee}}') == a_success(
            {"n": 2, "fee": 39}
        )

    def test_without_a_response_the_answer_stays(self) -> None:
        assert controlled("{}") == a_success({"n": 1})

    def test_null_is_a_response(self) -> None:
        assert controlled('{"response": null}') == a_success(None)

    def test_its_orders_are_kept(self) -> None:
        outcome = controlled('{"cancelInstance": "enough", "attributes": {"fee": attributes.fee * 2.0}}')

        assert outcome == a_success(
            {"n": 1}, directives={"cancelInstance": "enough", "attributes": {"fee": 78}}
        )

    def test_fail(self) -> None:
        assert controlled('{"fail": "declined: " + string(response.n), "cancelInstance": "x"}') == Outcome(
            success=False, response={"n": 1}, error=StepError(message="declined: 1")
        )

    @pytest.mark.parametrize(
        ("callback", "why"),
        [
            ('{"cancelInstances": "x"}', "controllerCallback: unknown directive 'cancelInstances'"),
            ('{"response": response.missing}', "missing"),
        ],
    )
    def test_what_is_wrong_with_it_fails_the_step(self, callback: str, why: str) -> None:
        outcome = controlled(callback)

        assert not outcome.success
        assert outcome.directives is None
        assert outcome.error is not None
        assert why in outcome.error.message

    def test_it_does_not_hear_of_a_failed_call(self) -> None:
        assert controlled('{"response": "fine"}', Answered(status=500)) == an_error(500)

    def test_alone_it_sees_the_stack_and_its_event(self) -> None:
        callback = '{"response": [stack.quote.response.fee, event.idempotencyKey, response]}'
        run = Journey(
            settings(
                task("charge", step("quote", nextStep="decide"), step("decide", controllerCallback=callback))
            )
        ).succeeds({"fee": 39})

        assert judged(run.context, run.intent, None) == a_success([39, "i-1-1-2", None])


def run_named(name: str, seen: Mapping[str, Any]) -> Any:
    """The controllers that are registered here."""
    match name:
        case "double":
            return {"response": seen["response"]["n"] * 2, "attributes": {"fee": 50.0, "plan": "gold"}}
        case "silent":
            return None
        case "odd":
            return "gold"
        case _:
            raise ControllerError("LookupError: no such customer")


class TestANamedController:
    """It hears what a callback hears and orders what a callback orders, before the callback does."""

    def judged(self, controller: str, callback: str | None = None) -> Outcome:
        more = {} if callback is None else {"controllerCallback": callback}
        settings_of = settings(task("charge", step("only", action="post", **more)))
        run = Journey(settings_of, attributes={"fee": 39.0})
        tasks = run.strategy.definition.tasks
        only = replace(tasks["charge"].steps["only"], controller=controller)
        named = replace(tasks["charge"], steps={"only": only})
        definition = replace(run.strategy.definition, tasks={"charge": named})
        run.strategy = replace(run.strategy, definition=definition)
        return judged(run.context, run.intent, Answered(status=200, body={"n": 1}), run=run_named)

    def test_its_response_and_orders(self) -> None:
        orders = {"attributes": {"fee": 50.0, "plan": "gold"}}
        assert self.judged("double") == a_success(2, directives=orders)

    def test_it_may_order_nothing(self) -> None:
        assert self.judged("silent") == a_success({"n": 1})

    def test_the_callback_sees_its_response_and_has_the_last_word(self) -> None:
        callback = '{"response": response + 1.0, "attributes": {"fee": 60.0}, "pauseInstance": "x"}'
        orders = {"attributes": {"fee": 60, "plan": "gold"}, "pauseInstance": "x"}
        assert self.judged("double", callback) == a_success(3, directives=orders)

    def test_a_callback_that_fails_takes_its_orders_back(self) -> None:
        for callback in ('{"fail": "no"}', '{"response": response.missing}'):
            outcome = self.judged("double", callback)
            assert (outcome.success, outcome.directives) == (False, None)

    def test_what_goes_wrong_with_it_fails_the_step(self) -> None:
        for name, why in (
            ("raises", "controller raises: LookupError: no such customer"),
            ("odd", "controller odd: a controller answers with an object of directives"),
        ):
            assert self.judged(name).error == StepError(message=why)

    def test_where_none_is_registered_the_step_fails(self) -> None:
        with pytest.raises(ControllerError, match="controller 'x' is not registered"):
            no_controller("x", {})


class TestRoom:
    """The stored responses of an event take 192 KB together at most. A success beyond is an error; an error
    beyond half of it loses its body, so that failures never starve the success after them."""

    def judge(self, body: Any, *stored: Outcome, status: int = 200, **members: Any) -> Outcome:
        strategy = strategy_of(step("charge", action="call", **members))
        entries = [an_entry(run=number, outcome=outcome) for number, outcome in enumerate(stored, start=1)]
        return judged(at(strategy, *entries), INTENT, Answered(status=status, body=body))

    def test_up_to_192_kb(self) -> None:
        assert self.judge("x" * (100 * KB - 2), a_success("x" * (92 * KB - 2))).success

    def test_one_byte_more_is_too_large(self) -> None:
        outcome = self.judge(
            "x" * (100 * KB - 1), a_success("x" * (92 * KB - 2)), controllerCallback='{"cancelInstance": "x"}'
        )

        assert outcome == Outcome(
            success=False,
            error=StepError(message="RESPONSE_TOO_LARGE: the responses of an event take 192 KB at most"),
        )

    def test_a_success_without_a_response_always_has_room(self) -> None:
        assert self.judge(None, a_success("x" * 192 * KB)).success

    def test_an_error_keeps_its_body_while_there_is_room(self) -> None:
        body = "x" * (48 * KB - 2)

        assert self.judge(body, an_error(500, body), status=503) == an_error(503, body)

    def test_then_it_loses_it(self) -> None:
        body = "x" * (48 * KB - 2)

        assert self.judge(body + "x", an_error(500, body), status=503) == an_error(
            503, notes=("RESPONSE_TOO_LARGE: the body of the error was left out",)
        )

    def test_an_error_without_a_body_stays_as_it_is(self) -> None:
        assert self.judge(None, a_success("x" * 150 * KB), status=503) == an_error(503)

    def test_many_errors_leave_room_for_a_success(self) -> None:
        retry = {"times": 100, "retryAfter": hours(1)}
        run = Journey(settings(task("charge", step("charge"), retryConfig=retry)))
        for _ in range(60):
            failed = judged(run.context, run.intent, Answered(status=503, body="x" * 10 * KB))
            run.goes(failed).retry()

        assert judged(run.context, run.intent, Answered(status=200, body="x" * 90 * KB)).success


class TestRequest:
    """The call a step makes, over what stands on its stack; None for a step without an action."""

    def test_with_an_action(self) -> None:
        document = settings(
            task("charge", step("quote", nextStep="charge"), step("charge")),
            actions=[
                {
                    "key": "post",
                    "service": "api",
                    "method": "post",
                    "data": {"fee": "{{stack.quote.response.fee}}", "key": "{{event.idempotencyKey}}"},
                }
            ],
        )
        run = Journey(document).succeeds({"fee": 39})
        request = request_of(run.context, run.intent)

        assert request is not None
        assert request.body == {"fee": 39, "key": "i-1-1-2"}
        assert request.call_key == "i-1-1-2"

    def test_without_one(self) -> None:
        assert request_of(at(strategy_of(step("charge", controllerCallback="{}"))), INTENT) is None


class TestDoubtPolicy:
    """GET, PUT and DELETE are repeated; for POST and PATCH the method says what to do, repeat by default."""

    def policy(self, method: str, **members: Any) -> InDoubt:
        strategy = strategy_of(CALL, method={"method": method, **members})
        return doubt_policy(strategy, strategy.definition.tasks["charge"].steps["charge"])

    @pytest.mark.parametrize("method", ["get", "put", "delete"])
    def test_safe_methods(self, method: str) -> None:
        assert self.policy(method, inDoubt="pause") is InDoubt.RETRY

    @pytest.mark.parametrize("method", ["post", "patch"])
    def test_others(self, method: str) -> None:
        assert self.policy(method) is InDoubt.RETRY
        assert self.policy(method, inDoubt="pause") is InDoubt.PAUSE
        assert self.policy(method, inDoubt="fail") is InDoubt.FAIL

    def test_a_step_without_a_call(self) -> None:
        strategy = strategy_of(step("charge", controllerCallback="{}"))

        assert doubt_policy(strategy, strategy.definition.tasks["charge"].steps["charge"]) is InDoubt.RETRY


class TestLongest:
    """A step takes at most its request delay, then token and call, each repeated once."""

    def longest(self, strategy: Strategy) -> timedelta:
        return longest(strategy, strategy.definition.tasks["charge"].steps["charge"])

    def test_a_call(self) -> None:
        assert self.longest(strategy_of(CALL)) == timedelta(seconds=60)
        assert self.longest(strategy_of(CALL, method={"timeoutSeconds": 7})) == timedelta(seconds=14)

    def test_with_a_token(self) -> None:
        entry = {"environment": "dev", "url": "https://auth.example.com", "method": "post"}

        strategy = strategy_of(CALL, authorization=[entry], credentialPath="token")

        assert self.longest(strategy) == timedelta(seconds=120)

    def test_with_a_request_delay(self) -> None:
        document = settings(config={"requestDelayTime": 250})
        strategy = strategy_from(document)

        assert longest(strategy, strategy.definition.tasks["charge"].steps["only"]) == timedelta(
            seconds=60, milliseconds=250
        )

    def test_without_a_call(self) -> None:
        assert self.longest(strategy_of(step("charge", controllerCallback="{}"))) == timedelta(seconds=1)


def test_rules_are_not_asked_here() -> None:
    rules = [rule("callback", "mail", "attributes.missing == 1.0")]
    run = Journey(settings(task("charge", step("charge", nextStepRules=rules), step("mail"))))

    assert judged(run.context, run.intent, Answered(status=200)) == a_success()
