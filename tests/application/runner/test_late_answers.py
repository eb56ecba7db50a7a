"""An answer to an event that was closed while the call was in flight. Source: docs/design.md section 3.11."""

import pytest

from shared.application.answer_event import SentAnswer, answer_event
from shared.domain.ids import CorrelationId
from shared.domain.instance.run import Intent
from shared.domain.instance.verdict import RefusalRule, Refused, Verdict
from shared.domain.lifecycle.commands import Cancel
from shared.domain.steps.call import CallOutcome, ServiceRequest
from tests.application.lives import ANN, Life, settings_with

STEPS = [
    {"key": "charge", "action": "charge-card", "nextStep": "back"},
    {"key": "back", "action": "refund-card", "nextStep": "again"},
    {"key": "again", "action": "charge-card"},
]
BEFORE, FIRST_DATE = "2026-01-01T11:59", "2026-02-28T12:00"


class DiedError(BaseException):
    """The runner crashes at this point."""


def killed_during(call: int) -> tuple[Life, list[CorrelationId]]:
    """Kill an event during a call, whose runner crashes. Return the correlation ids of its calls so far."""
    life = Life(settings_with("/tasks/0/steps", STEPS), to=BEFORE)
    answer = life.shop.call

    def deadly(request: ServiceRequest) -> CallOutcome:
        outcome = answer(request)
        if len(life.requests) == call:
            life.command(Cancel(by=ANN, kill=True))
            raise DiedError
        return outcome

    life.shop.call = deadly  # type: ignore[method-assign]
    with pytest.raises(DiedError):
        life.until(FIRST_DATE)
    history = life.ports.instances.event_history(life.sid, 1)
    assert history.record is not None
    first = history.record.event.progress.first_action
    assert isinstance(first, Intent)
    later = [entry.then.correlation_id for entry in history.entries if isinstance(entry.then, Intent)]
    return life, [first.correlation_id, *later]


def answered(life: Life, correlation: CorrelationId) -> Verdict | None:
    sent = SentAnswer(correlation_id=correlation, key="k", by=ANN, body={"status": "CONFIRMED"})
    return answer_event(life.ports, life.sid, 1, sent)


class TestAnAnswerAfterAKill:
    """The answer to each call that was sent is refused because the event is closed, not because it is unknown."""

    @pytest.mark.parametrize("call", [1, 2, 3])
    def test_the_answer_to_the_call_in_flight_is_refused(self, call: int) -> None:
        life, correlations = killed_during(call)
        assert len(correlations) == call

        verdict = answered(life, correlations[-1])

        assert isinstance(verdict, Refused)
        assert (verdict.rule, verdict.why) == (RefusalRule.FINISHED, "the event is CANCELED")

    def test_an_answer_to_an_earlier_call_is_refused(self) -> None:
        life, correlations = killed_during(3)

        assert [type(answered(life, correlation)) for correlation in correlations] == [Refused] * 3

    def test_an_answer_to_no_call_is_unknown(self) -> None:
        life, correlations = killed_during(2)

        assert answered(life, CorrelationId(f"{correlations[-1]}x")) is None
