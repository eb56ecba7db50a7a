from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from shared.domain.instance.journal import Answer, JournalEntry
from shared.domain.instance.reason import ErrorKind
from shared.domain.instance.run import Certainty, Intent, Outcome, StepError
from shared.domain.steps.call import (
    AddressRefused,
    Answered,
    CallNotPossibleError,
    CallOutcome,
    TimedOut,
    TokenRefused,
    Unreachable,
)
from shared.domain.steps.controllers import ControllerError
from shared.domain.steps.flow import StepContext
from shared.domain.steps.outcome import (
    doubt_policy,
    fail_call,
    in_doubt,
    judge_answer,
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


def strategy_of(
    *steps: dict[str, Any],
    method: dict[str, Any] | None = None,
    retry: dict[str, Any] | None = None,
    **service: Any,
) -> Strategy:
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
    retried = {} if retry is None else {"retryConfig": retry}
    return strategy_from(settings(task("charge", *steps, **retried), services=services, actions=actions))


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


class TestCalls:
    """The answer is classified (``test_classify.py``). A call that could not be built was not sent."""

    def test_the_answer_is_classified(self) -> None:
        assert outcome_of(Answered(status=201, body={"id": 7})) == a_success({"id": 7})
        assert outcome_of(Answered(status=402, body={"code": 1})) == an_error(402, {"code": 1})
        assert outcome_of(Answered(status=504)) == an_error(504, certainty=Certainty.IN_DOUBT)

    def test_a_call_that_cannot_be_built_was_not_sent(self) -> None:
        why = StepError(message="action call: no")

        assert fail_call(INTENT, CallNotPossibleError(why)) == Outcome(
            success=False, error=why, certainty=Certainty.OPEN
        )

    def test_a_repeat_that_cannot_be_built_leaves_the_first_sending_in_doubt(self) -> None:
        why = StepError(message="action call: no")

        assert fail_call(an_intent(repeat=True), CallNotPossibleError(why)).in_doubt

    def test_a_call_in_doubt_is_marked(self) -> None:
        error = StepError(message="the runner crashed", kind=ErrorKind.CRASH)

        assert in_doubt("the runner crashed", ErrorKind.CRASH) == Outcome(
            success=False, error=error, certainty=Certainty.IN_DOUBT
        )

    def test_a_step_without_a_call_succeeds(self) -> None:
        strategy = strategy_of(step("charge", controllerCallback="{}"))

        assert judge_call(at(strategy), INTENT, None) == a_success()


class TestKeys:
    """ "Only after a definite answer may a retry of a POST or PATCH carry a new call key." The repeat mark says that an
    earlier sending may have taken effect.
    """

    def test_the_key_stays_until_a_definite_answer(self) -> None:
        retry = {"times": 19, "retryAfter": hours(1)}
        run = Journey(settings(task("charge", step("charge"), retryConfig=retry)))
        harmless: list[CallOutcome] = [
            Unreachable(why="refused"),
            AddressRefused(why="internal"),
            TokenRefused(why="no token"),
            Answered(status=409),
            Answered(status=425),
        ]
        for call in harmless:
            run.goes(judge_call(run.context, run.intent, call)).retry()
            assert (run.intent.call_key, run.intent.repeat) == ("i-1-1-1", False)
        doubtful: list[CallOutcome] = [
            TimedOut(why="late"),
            *harmless,
            *(Answered(status=status) for status in (302, 408, 500, 502, 504, 520)),
            Answered(status=200, unusable="larger than 128 KB"),
        ]
        for call in doubtful:
            run.goes(judge_call(run.context, run.intent, call)).retry()
            assert (run.intent.call_key, run.intent.repeat) == ("i-1-1-1", True)

        run.goes(judge_call(run.context, run.intent, Answered(status=402))).retry()

        assert (run.intent.call_key, run.intent.repeat) == ("i-1-20-1", False)

    def test_a_rule_that_cannot_be_evaluated_keeps_the_key_of_a_method_that_is_safe_to_repeat(self) -> None:
        """It is called again, and a better answer may come. A POST or PATCH is not called again."""
        retry = {"times": 1, "retryAfter": hours(1)}
        broken = step("charge", action="call", nextStepRules=[rule("callback", "end", "response.missing")])
        end = step("end", controllerCallback="{}")
        run = Journey(strategy_of(broken, end, method={"method": "get"}, retry=retry))

        run.succeeds({"id": 7})
        assert (run.last.success, run.last.certainty) == (False, Certainty.OPEN)

        run.retry()
        assert (run.at, run.intent.call_key, run.intent.repeat) == ("charge", "i-1-1-1", False)

    def test_a_rule_of_a_step_without_a_call_leaves_nothing_open(self) -> None:
        broken = step(
            "look", controllerCallback="{}", nextStepRules=[rule("callback", "end", "response.missing")]
        )
        run = Journey(settings(task("charge", broken, step("end", controllerCallback="{}")))).succeeds()

        assert (run.last.success, run.last.certainty) == (False, Certainty.DEFINITE)


class TestUnusableAnswers:
    """A 2xx "whose controller can't be evaluated" or for which there is no room is in doubt. "A controller's ``fail``,
    and the answer of an asynchronous call, are definite."
    """

    BROKEN = '{"response": response.missing}'
    LARGE: Mapping[str, str] = {"x": "x" * (193 * KB)}

    @pytest.mark.parametrize(
        ("callback", "certainty"),
        [
            (BROKEN, Certainty.IN_DOUBT),
            ('{"un" + "known": "directive"}', Certainty.IN_DOUBT),
            ('{"attributes": {"a": [1]}}', Certainty.IN_DOUBT),
            ('{"fail": "declined"}', Certainty.DEFINITE),
            ("{}", Certainty.DEFINITE),
        ],
    )
    def test_a_controller_that_cannot_be_evaluated_leaves_the_call_in_doubt(
        self, callback: str, certainty: Certainty
    ) -> None:
        assert controlled(callback).certainty is certainty

    def test_an_answer_without_room_leaves_the_call_in_doubt(self) -> None:
        outcome = outcome_of(Answered(status=200, body=self.LARGE))

        assert (outcome.success, outcome.certainty) == (False, Certainty.IN_DOUBT)

    @pytest.mark.parametrize(
        ("status", "certainty"),
        [(200, Certainty.IN_DOUBT), (402, Certainty.DEFINITE), (504, Certainty.IN_DOUBT)],
    )
    def test_a_whole_answer_that_no_controller_could_judge_is_as_its_status(
        self, status: int, certainty: Certainty
    ) -> None:
        call, whole = Answered(status=status, body={}), {"wholeAnswer": True}

        assert outcome_of(call, method=whole, controllerCallback=self.BROKEN).certainty is certainty

    def test_a_whole_answer_that_a_controller_fails_keeps_its_certainty(self) -> None:
        outcome = outcome_of(
            Answered(status=504, body={}), method={"wholeAnswer": True}, controllerCallback='{"fail": "x"}'
        )

        assert (outcome.success, outcome.certainty) == (False, Certainty.OPEN)

    @pytest.mark.parametrize("callback", [BROKEN, '{"fail": "no"}', '{"response": response.big}'])
    def test_an_asynchronous_answer_is_definite_whatever_becomes_of_it(self, callback: str) -> None:
        strategy = strategy_of(
            step("charge", action="call", resumeControllerCallback=callback), method={"async": True}
        )
        waiting = an_intent("charge", visit=2, awaits=True, answers_later=True)
        answer = Answer(
            correlation_id=waiting.correlation_id, key="a", at=NOON, by="gateway", body={"big": self.LARGE}
        )

        outcome = judge_answer(at(strategy), waiting, answer)

        assert (outcome.success, outcome.certainty) == (False, Certainty.DEFINITE)

    def test_a_step_without_a_call_leaves_nothing_in_doubt(self) -> None:
        strategy = strategy_of(step("charge", controllerCallback="{'response': response.missing}"))

        outcome = judge_call(at(strategy), INTENT, None)

        assert (outcome.success, outcome.certainty) == (False, Certainty.DEFINITE)


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
            success=False,
            response={"n": 1},
            error=StepError(message="declined: 1", kind=ErrorKind.CONTROLLER),
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
        assert controlled('{"response": "fine"}', Answered(status=402)) == an_error(402)

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
            assert self.judge_call(name).error == StepError(message=why, kind=ErrorKind.CONTROLLER)

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
                message="RESPONSE_TOO_LARGE: the responses of one event must take at most 192 KB",
                kind=ErrorKind.RESPONSE,
            ),
            certainty=Certainty.IN_DOUBT,
        )

    def test_a_success_without_a_response_always_has_room(self) -> None:
        assert self.judge(None, a_success("x" * 192 * KB)).success

    def test_an_error_keeps_its_body_while_there_is_room(self) -> None:
        body = "x" * (48 * KB - 2)

        assert self.judge(body, an_error(422, body), status=402) == an_error(402, body)

    def test_an_error_without_room_loses_its_body(self) -> None:
        body = "x" * (48 * KB - 2)

        assert self.judge(body + "x", an_error(422, body), status=402) == an_error(
            402, notes=("RESPONSE_TOO_LARGE: the body of the error was dropped",)
        )

    def test_an_error_without_a_body_stays_as_it_is(self) -> None:
        assert self.judge(None, a_success("x" * 150 * KB), status=402) == an_error(402)

    def test_many_errors_keep_room_for_a_success(self) -> None:
        retry = {"times": 100, "retryAfter": hours(1)}
        run = Journey(settings(task("charge", step("charge"), retryConfig=retry)))
        for _ in range(60):
            failed = judge_call(run.context, run.intent, Answered(status=402, body="x" * 10 * KB))
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
    """A step takes at most its request delay, then secrets, token and call, each repeated once."""

    def longest(self, strategy: Strategy) -> timedelta:
        return longest(strategy, strategy.definition.tasks["charge"].steps["charge"])

    def test_a_call_takes_twice_its_timeout(self) -> None:
        assert self.longest(strategy_of(CALL)) == timedelta(seconds=60)
        assert self.longest(strategy_of(CALL, method={"timeoutSeconds": 7})) == timedelta(seconds=14)

    def test_a_token_adds_twice_its_timeout(self) -> None:
        entry = {"environment": "dev", "url": "https://auth.example.com", "method": "post"}

        strategy = strategy_of(CALL, authorization=[entry], credentialPath="token")

        assert self.longest(strategy) == timedelta(seconds=120)

    @pytest.mark.parametrize("key", ["{{secret.a}}", "{{parameter.a}}"])
    def test_secrets_add_twice_their_time(self, key: str) -> None:
        entry = {
            "environment": "dev",
            "url": "https://auth.example.com",
            "method": "post",
            "headers": {"X-Key": key},
        }
        by_token = strategy_of(CALL, authorization=[entry], credentialPath="token")
        document = settings()
        document["actions"] = [{**action, "headers": {"X-Key": key}} for action in document["actions"]]
        by_call = strategy_from(document)

        assert self.longest(by_token) == timedelta(seconds=150)
        assert longest(by_call, by_call.definition.tasks["charge"].steps["only"]) == timedelta(seconds=90)

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
