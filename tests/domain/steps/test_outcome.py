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
    fail_call,
    in_doubt,
    judge_call,
    longest,
    no_controller,
    request_of,
)
from shared.domain.strategy.model import InDoubt, Strategy
from tests.factories import (
    NOON,
    Journey,
    a_history,
    a_success,
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
    """Return a strategy with a task ``charge`` whose action ``call`` calls one method, a POST by default."""
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
        event_history=a_history(*entries),
        now=NOON,
        token="token",
    )


def outcome_of(
    call: CallOutcome | None, *, intent: Intent = INTENT, method: dict[str, Any] | None = None, **members: Any
) -> Outcome:
    """Return the outcome of the step ``charge`` with this answer to its call."""
    strategy = strategy_of(step("charge", action="call", **members), method=method)
    return judge_call(at(strategy, attributes={"fee": 39}), intent, call)


def controlled(callback: str, call: CallOutcome | None = None) -> Outcome:
    return outcome_of(call or Answered(status=200, body={"n": 1}), controllerCallback=callback)


class TestClassification:
    """2xx is a success, every other answer a definite error with status and body. Without an answer the call may
    have arrived; a call that was not sent has definitely failed.
    """

    @pytest.mark.parametrize("status", [200, 201, 204, 299])
    def test_a_2xx_answer_is_a_success(self, status: int) -> None:
        assert outcome_of(Answered(status=status, body={"id": 7})) == a_success({"id": 7})

    @pytest.mark.parametrize("status", [100, 199, 300, 302, 400, 404, 410, 429, 500, 503])
    def test_other_answers_are_definite_errors(self, status: int) -> None:
        assert outcome_of(Answered(status=status, body={"code": 1})) == an_error(status, {"code": 1})

    def test_a_timeout_leaves_the_call_unanswered(self) -> None:
        assert outcome_of(TimedOut(why="30 s have passed")) == Outcome(
            success=False, error=StepError(message="no answer: 30 s have passed"), unanswered=True
        )

    @pytest.mark.parametrize("call", [Unreachable(why="no address"), AddressRefused(why="no address")])
    def test_a_call_that_was_not_sent_is_a_definite_error(self, call: CallOutcome) -> None:
        assert outcome_of(call) == Outcome(success=False, error=StepError(message="no address"))

    def test_a_call_that_cannot_be_built_is_a_definite_error(self) -> None:
        why = StepError(message="action call: no")

        assert fail_call(INTENT, CallNotPossibleError(why)) == Outcome(success=False, error=why)

    def test_a_call_in_doubt_is_unanswered(self) -> None:
        assert in_doubt("the runner died") == Outcome(
            success=False, error=StepError(message="the runner died"), unanswered=True
        )

    def test_a_step_without_a_call_succeeds(self) -> None:
        strategy = strategy_of(step("charge", controllerCallback="{}"))

        assert judge_call(at(strategy), INTENT, None) == a_success()

    def test_a_body_nested_too_deep_is_an_error(self) -> None:
        body: list[Any] = []
        for _ in range(128):
            body = [body]
        assert outcome_of(Answered(status=200, body=body)).success

        assert outcome_of(Answered(status=200, body=[body])) == Outcome(
            success=False,
            error=StepError(
                message="api/call returned HTTP 200 with an unusable body: /: must nest at most 128 levels deep",
                status=200,
            ),
        )

    @pytest.mark.parametrize(
        ("body", "why"),
        [
            ({"a": "\ud83d"}, "/a: must not contain half of a surrogate pair"),
            ({"a": [float("inf")]}, "/a/0: must be a number that a double can hold"),
        ],
    )
    def test_a_body_that_no_expression_could_read_is_an_error(self, body: Any, why: str) -> None:
        assert outcome_of(Answered(status=500, body=body)) == Outcome(
            success=False,
            error=StepError(message=f"api/call returned HTTP 500 with an unusable body: {why}", status=500),
        )

    @pytest.mark.parametrize("status", [200, 404, 500])
    def test_a_body_that_was_rejected_is_an_error(self, status: int) -> None:
        for method in ("post", "delete"):
            call = Answered(status=status, unusable="more than 128 KB")
            assert outcome_of(
                call, intent=an_intent("charge", repeat=True), method={"method": method}
            ) == Outcome(
                success=False,
                error=StepError(
                    message=f"api/call returned HTTP {status} with an unusable body: more than 128 KB",
                    status=status,
                ),
            )


class TestARepeat:
    """ "A repeat that was not sent, was blocked or could not be built is no answer (ADR 4)." A definite answer ends
    the doubt.
    """

    REPEAT = an_intent("charge", repeat=True)

    @pytest.mark.parametrize("call", [Unreachable(why="refused"), AddressRefused(why="internal")])
    def test_a_repeat_that_was_not_sent_stays_unanswered(self, call: CallOutcome) -> None:
        assert outcome_of(call, intent=self.REPEAT).unanswered

    def test_a_repeat_that_cannot_be_built_stays_unanswered(self) -> None:
        why = StepError(message="action call: no")

        assert fail_call(self.REPEAT, CallNotPossibleError(why)).unanswered

    @pytest.mark.parametrize("status", [200, 409, 500])
    def test_a_definite_answer_to_a_repeat_ends_the_doubt(self, status: int) -> None:
        assert outcome_of(Answered(status=status), intent=self.REPEAT).unanswered is False

    def test_the_key_stays_until_a_definite_answer(self) -> None:
        retry = {"times": 9, "retryAfter": hours(1)}
        run = Journey(settings(task("charge", step("charge"), retryConfig=retry)))
        for call in (TimedOut(why="late"), Unreachable(why="refused"), AddressRefused(why="internal")):
            run.goes(judge_call(run.context, run.intent, call)).retry()
            assert (run.intent.call_key, run.intent.repeat) == ("i-1-1-1", True)
        run.goes(judge_call(run.context, run.intent, Answered(status=500))).retry()
        assert (run.intent.call_key, run.intent.repeat) == ("i-1-5-1", False)

    @pytest.mark.parametrize("status", [404, 410])
    def test_gone_on_a_repeated_delete_is_success(self, status: int) -> None:
        deleting = {"method": "delete", "responseValidation": {"properties": {"id": {"type": "string"}}}}
        gone = Answered(status=status, body={"code": "gone"})

        assert outcome_of(gone, intent=self.REPEAT, method=deleting) == a_success({"code": "gone"})
        assert outcome_of(gone, intent=INTENT, method=deleting) == an_error(status, {"code": "gone"})

    def test_gone_on_a_repeated_post_is_an_error(self) -> None:
        assert outcome_of(Answered(status=404), intent=self.REPEAT, method={"method": "put"}) == an_error(404)

    def test_another_error_on_a_repeated_delete_is_an_error(self) -> None:
        assert outcome_of(Answered(status=500), intent=self.REPEAT, method={"method": "delete"}) == an_error(
            500
        )


STATUS = {"properties": {"status": {"enum": ["CONFIRMED", "FAILED"]}}, "additionalProperties": True}


WHOLE: dict[str, Any] = {"method": "delete", "wholeAnswer": True}


class TestWholeAnswers:
    """With ``wholeAnswer`` any answer is a success and has its status; a call without an answer fails."""

    @pytest.mark.parametrize(
        ("status", "reason"), [(200, "OK"), (404, "Not Found"), (503, "Service Unavailable"), (599, "")]
    )
    def test_every_answer_is_a_success_with_its_status(self, status: int, reason: str) -> None:
        whole = {"status": status, "reason": reason, "body": {"id": 7}}

        assert outcome_of(Answered(status=status, body={"id": 7}), method=WHOLE) == a_success(whole)

    def test_gone_on_a_repeated_delete_has_its_status(self) -> None:
        outcome = outcome_of(Answered(status=410), intent=an_intent("charge", repeat=True), method=WHOLE)

        assert outcome == a_success({"status": 410, "reason": "Gone", "body": None})

    def test_a_call_without_an_answer_fails(self) -> None:
        assert not outcome_of(TimedOut(why="timeout"), method=WHOLE).success

    def test_an_unusable_body_fails(self) -> None:
        assert not outcome_of(Answered(status=200, unusable="too large"), method=WHOLE).success

    def test_a_body_that_breaks_its_schema_fails(self) -> None:
        schema = {"properties": {"id": {"type": "string"}}}

        outcome = outcome_of(Answered(status=404), method=WHOLE | {"responseValidation": schema})

        assert not outcome.success


class TestResponseValidation:
    """If the body of a success breaks the schema, the step has a definite error with status and body."""

    def test_a_valid_body_is_a_success(self) -> None:
        body = {"status": "CONFIRMED", "id": 7}

        assert outcome_of(
            Answered(status=200, body=body), method={"responseValidation": STATUS}
        ) == a_success(body)

    def test_an_invalid_body_is_an_error(self) -> None:
        outcome = outcome_of(
            Answered(status=201, body={"status": "?"}), method={"responseValidation": STATUS}
        )

        assert (outcome.success, outcome.unanswered, outcome.response) == (False, False, None)
        assert outcome.error is not None
        assert (outcome.error.status, outcome.error.data) == (201, {"status": "?"})
        assert outcome.error.message.startswith("responseValidation: /status: ")

    def test_the_body_of_an_error_is_not_checked(self) -> None:
        assert outcome_of(
            Answered(status=500, body="no JSON"), method={"responseValidation": STATUS}
        ) == an_error(500, "no JSON")


class TestController:
    """A controller sees the answer of a successful call. Its response replaces the answer, and its directives are
    stored. If it fails, or returns fail, the step fails without directives.
    """

    def test_a_controller_sees_the_answer(self) -> None:
        assert controlled('{"response": {"n": response.n + 1.0, "fee": attributes.fee}}') == a_success(
            {"n": 2, "fee": 39}
        )

    def test_the_answer_stays_without_a_response(self) -> None:
        assert controlled("{}") == a_success({"n": 1})

    def test_null_is_a_response_too(self) -> None:
        assert controlled('{"response": null}') == a_success(None)

    def test_directives_of_a_controller_are_stored(self) -> None:
        outcome = controlled('{"cancelInstance": "enough", "attributes": {"fee": attributes.fee * 2.0}}')

        assert outcome == a_success(
            {"n": 1}, directives={"cancelInstance": "enough", "attributes": {"fee": 78}}
        )

    def test_fail_fails_the_step_without_directives(self) -> None:
        assert controlled('{"fail": "declined: " + string(response.n), "cancelInstance": "x"}') == Outcome(
            success=False, response={"n": 1}, error=StepError(message="declined: 1")
        )

    @pytest.mark.parametrize(
        ("callback", "why"),
        [
            ('{"cancel" + "It": "x"}', "controllerCallback: unknown directive 'cancelIt'"),
            ('{"response": response.missing}', "missing"),
        ],
    )
    def test_an_invalid_controller_fails_the_step(self, callback: str, why: str) -> None:
        outcome = controlled(callback)

        assert not outcome.success
        assert outcome.directives is None
        assert outcome.error is not None
        assert why in outcome.error.message

    def test_a_controller_is_not_called_after_a_failed_call(self) -> None:
        assert controlled('{"response": "fine"}', Answered(status=500)) == an_error(500)

    def test_a_controller_without_a_call_sees_the_stack_and_its_event(self) -> None:
        callback = '{"response": [stack.quote.response.fee, event.idempotencyKey, response]}'
        run = Journey(
            settings(
                task("charge", step("quote", nextStep="decide"), step("decide", controllerCallback=callback))
            )
        ).succeeds({"fee": 39})

        assert judge_call(run.context, run.intent, None) == a_success([39, "i-1-1-2", None])


def run_named(name: str, seen: Mapping[str, Any]) -> Any:
    """Call a controller by its name, as if it were registered."""
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
    """A named controller sees the same variables as a callback and runs before it."""

    def judge_call(self, controller: str, callback: str | None = None) -> Outcome:
        more = {} if callback is None else {"controllerCallback": callback}
        settings_of = settings(task("charge", step("only", action="post", **more)))
        run = Journey(settings_of, attributes={"fee": 39.0})
        tasks = run.strategy.definition.tasks
        only = replace(tasks["charge"].steps["only"], controller=controller)
        named = replace(tasks["charge"], steps={"only": only})
        definition = replace(run.strategy.definition, tasks={"charge": named})
        run.strategy = replace(run.strategy, definition=definition)
        return judge_call(run.context, run.intent, Answered(status=200, body={"n": 1}), run=run_named)

    def test_response_and_directives_of_a_named_controller_count(self) -> None:
        orders = {"attributes": {"fee": 50.0, "plan": "gold"}}
        assert self.judge_call("double") == a_success(2, directives=orders)

    def test_a_named_controller_may_return_nothing(self) -> None:
        assert self.judge_call("silent") == a_success({"n": 1})

    def test_the_callback_sees_the_named_controllers_response(self) -> None:
        callback = '{"response": response + 1.0, "attributes": {"fee": 60.0}, "pauseInstance": "x"}'
        orders = {"attributes": {"fee": 60, "plan": "gold"}, "pauseInstance": "x"}
        assert self.judge_call("double", callback) == a_success(3, directives=orders)

    def test_a_failing_callback_drops_all_directives(self) -> None:
        for callback in ('{"fail": "no"}', '{"response": response.missing}'):
            outcome = self.judge_call("double", callback)
            assert (outcome.success, outcome.directives) == (False, None)

    def test_a_failing_named_controller_fails_the_step(self) -> None:
        for name, why in (
            ("raises", "controller raises: LookupError: no such customer"),
            ("odd", "controller odd: a controller must return an object of directives"),
        ):
            assert self.judge_call(name).error == StepError(message=why)

    def test_an_unregistered_controller_fails(self) -> None:
        with pytest.raises(ControllerError, match="controller 'x' is not registered"):
            no_controller("x", {})


class TestRoom:
    """ "Stored responses of an event: at most 192 KB together." Error bodies only up to 96 KB of that, "so that a
    later success has room".
    """

    def judge(self, body: Any, *stored: Outcome, status: int = 200, **members: Any) -> Outcome:
        strategy = strategy_of(step("charge", action="call", **members))
        entries = [an_entry(run=number, outcome=outcome) for number, outcome in enumerate(stored, start=1)]
        return judge_call(at(strategy, *entries), INTENT, Answered(status=status, body=body))

    def test_responses_up_to_192_kb_are_stored(self) -> None:
        assert self.judge("x" * (100 * KB - 2), a_success("x" * (92 * KB - 2))).success

    def test_a_response_beyond_192_kb_is_an_error(self) -> None:
        outcome = self.judge(
            "x" * (100 * KB - 1), a_success("x" * (92 * KB - 2)), controllerCallback='{"cancelInstance": "x"}'
        )

        assert outcome == Outcome(
            success=False,
            error=StepError(
                message="RESPONSE_TOO_LARGE: the responses of one event must take at most 192 KB"
            ),
        )

    def test_a_success_without_a_response_always_has_room(self) -> None:
        assert self.judge(None, a_success("x" * 192 * KB)).success

    def test_an_error_keeps_its_body_while_there_is_room(self) -> None:
        body = "x" * (48 * KB - 2)

        assert self.judge(body, an_error(500, body), status=503) == an_error(503, body)

    def test_an_error_without_room_loses_its_body(self) -> None:
        body = "x" * (48 * KB - 2)

        assert self.judge(body + "x", an_error(500, body), status=503) == an_error(
            503, notes=("RESPONSE_TOO_LARGE: the body of the error was dropped",)
        )

    def test_an_error_without_a_body_stays_as_it_is(self) -> None:
        assert self.judge(None, a_success("x" * 150 * KB), status=503) == an_error(503)

    def test_many_errors_keep_room_for_a_success(self) -> None:
        retry = {"times": 100, "retryAfter": hours(1)}
        run = Journey(settings(task("charge", step("charge"), retryConfig=retry)))
        for _ in range(60):
            failed = judge_call(run.context, run.intent, Answered(status=503, body="x" * 10 * KB))
            run.goes(failed).retry()

        assert judge_call(run.context, run.intent, Answered(status=200, body="x" * 90 * KB)).success


class TestRequest:
    """The call of a step, with its stack as variables; None for a step without an action."""

    def test_a_step_with_an_action_has_a_request(self) -> None:
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

    def test_a_step_without_an_action_has_no_request(self) -> None:
        assert request_of(at(strategy_of(step("charge", controllerCallback="{}"))), INTENT) is None


class TestDoubtPolicy:
    """GET, PUT and DELETE are repeated. For POST and PATCH the method decides; the default is repeat."""

    def policy(self, method: str, **members: Any) -> InDoubt:
        strategy = strategy_of(CALL, method={"method": method, **members})
        return doubt_policy(strategy, strategy.definition.tasks["charge"].steps["charge"])

    @pytest.mark.parametrize("method", ["get", "put", "delete"])
    def test_safe_methods_are_repeated(self, method: str) -> None:
        assert self.policy(method, inDoubt="pause") is InDoubt.RETRY

    @pytest.mark.parametrize("method", ["post", "patch"])
    def test_unsafe_methods_follow_their_setting(self, method: str) -> None:
        assert self.policy(method) is InDoubt.RETRY
        assert self.policy(method, inDoubt="pause") is InDoubt.PAUSE
        assert self.policy(method, inDoubt="fail") is InDoubt.FAIL

    def test_a_step_without_a_call_is_repeated(self) -> None:
        strategy = strategy_of(step("charge", controllerCallback="{}"))

        assert doubt_policy(strategy, strategy.definition.tasks["charge"].steps["charge"]) is InDoubt.RETRY


class TestLongest:
    """A step takes at most its request delay, then token and call, each repeated once."""

    def longest(self, strategy: Strategy) -> timedelta:
        return longest(strategy, strategy.definition.tasks["charge"].steps["charge"])

    def test_a_call_takes_twice_its_timeout(self) -> None:
        assert self.longest(strategy_of(CALL)) == timedelta(seconds=60)
        assert self.longest(strategy_of(CALL, method={"timeoutSeconds": 7})) == timedelta(seconds=14)

    def test_a_token_adds_twice_its_timeout(self) -> None:
        entry = {"environment": "dev", "url": "https://auth.example.com", "method": "post"}

        strategy = strategy_of(CALL, authorization=[entry], credentialPath="token")

        assert self.longest(strategy) == timedelta(seconds=120)

    def test_a_request_delay_is_added(self) -> None:
        document = settings(config={"requestDelayTime": 250})
        strategy = strategy_from(document)

        assert longest(strategy, strategy.definition.tasks["charge"].steps["only"]) == timedelta(
            seconds=60, milliseconds=250
        )

    def test_a_step_without_a_call_takes_a_second(self) -> None:
        assert self.longest(strategy_of(step("charge", controllerCallback="{}"))) == timedelta(seconds=1)


def test_rules_are_not_evaluated_by_the_outcome() -> None:
    rules = [rule("callback", "mail", "attributes.missing == 1.0")]
    run = Journey(settings(task("charge", step("charge", nextStepRules=rules), step("mail"))))

    assert judge_call(run.context, run.intent, Answered(status=200)) == a_success()
