"""A step that waits for an answer without a call. Source: docs/decisions/0022; docs/contracts/mapping.md D.5."""

from typing import Any

import pytest

from shared.application.answer_event import SentAnswer, answer_event
from shared.domain.ids import CorrelationId
from shared.domain.instance.event import EventStatus, PausedFor
from shared.domain.instance.journal import EventRecord
from shared.domain.instance.replay import position
from shared.domain.instance.run import Intent
from shared.domain.instance.verdict import AlreadyThere, Applied, Refused, Verdict
from shared.domain.lifecycle.commands import Pause, Resume
from shared.domain.strategy.model import Json
from tests.application.lives import ANN, DAY, Life, settings_with

REPLIED = '{"attributes": {"reply": response.text}}'


def waiting(**members: Any) -> Life:
    """Return a life with a task that charges, waits a day for a reply, and then refunds."""
    steps = [
        {"key": "charge", "action": "charge-card", "nextStep": "wait"},
        {
            "key": "wait",
            "waitForAnswer": DAY,
            "resumeControllerCallback": REPLIED,
            "nextStep": "back",
            **members,
        },
        {"key": "back", "action": "refund-card"},
    ]
    return Life(settings_with("/tasks/0/steps", steps))


def correlation(life: Life) -> CorrelationId:
    """Return the correlation id that the reply needs."""
    (event,) = [event for event in life.instance.events if event.paused_for is PausedFor.ANSWER]
    then = position(life.ports.instances.event_history(life.sid, event.seq), event)
    assert isinstance(then, Intent)
    return then.correlation_id


def reply(life: Life, to: CorrelationId, body: Json, *, key: str = "a") -> Verdict | None:
    return answer_event(life.ports, life.sid, 1, SentAnswer(correlation_id=to, key=key, by=ANN, body=body))


def record_of(life: Life) -> EventRecord:
    found = life.ports.instances.event_history(life.sid, 1).record
    assert found is not None
    return found


class TestTheReply:
    """A reply is taken once. It is the step's response, and the event continues."""

    def test_a_reply_continues_the_event(self) -> None:
        life = waiting()
        assert life.paths == ["/charges"]

        verdict = reply(life, correlation(life), {"text": "yes"})

        assert isinstance(verdict, Applied)
        life.until("2026-01-01T12:00")
        assert life.paths == ["/charges", "/refunds"]
        assert life.instance.attributes["reply"] == "yes"

    def test_an_event_with_a_reply_is_not_in_doubt(self) -> None:
        life = waiting()
        reply(life, correlation(life), {"text": "yes"})
        life.until("2026-01-01T12:00")

        assert (record_of(life).event.status, record_of(life).in_doubt) == (EventStatus.PROCESSED, False)

    def test_a_repeated_reply_changes_nothing(self) -> None:
        life = waiting()
        to = correlation(life)
        reply(life, to, {"text": "yes"})

        again = reply(life, to, {"text": "yes"}, key="b")

        assert isinstance(again, Refused | AlreadyThere)

    def test_a_paused_instance_takes_the_reply(self) -> None:
        life = waiting()
        to = correlation(life)
        life.command(Pause(by=ANN))
        assert isinstance(reply(life, to, {"text": "yes"}), Applied)

        life.command(Resume(by=ANN)).until("2026-01-01T12:00")

        assert life.paths == ["/charges", "/refunds"]


class TestWithoutAReply:
    """Without a reply in time the step fails. Its earlier calls are not in doubt."""

    def test_an_optional_step_is_passed_over(self) -> None:
        life = waiting(optional=True).until("2026-01-02T12:00")

        assert life.paths == ["/charges", "/refunds"]
        assert (record_of(life).event.status, record_of(life).in_doubt) == (EventStatus.PROCESSED, False)

    def test_a_rule_applies_to_a_missing_reply(self) -> None:
        rules = [{"if": "onError", "ifCallback": "stack.wait.error != null", "nextStep": "back"}]
        life = waiting(nextStep=None, final=True, nextStepRules=rules).until("2026-01-02T12:00")

        assert life.paths == ["/charges", "/refunds"]

    def test_a_missing_reply_fails_the_attempt(self) -> None:
        life = waiting().until("2026-01-02T12:00")

        assert (life.instance.status, life.instance.cancel_reason) == ("CANCELED", "MAX_ATTEMPTS")
        assert record_of(life).why == "no answer by 2026-01-02T12:00:00.000Z"

    def test_a_late_reply_is_refused(self) -> None:
        life = waiting(optional=True)
        to = correlation(life)
        life.until("2026-01-02T12:00")

        assert isinstance(reply(life, to, {"text": "yes"}), Refused)


@pytest.mark.parametrize("moment", ["2026-01-01T12:00", "2026-01-02T11:59"])
def test_the_event_waits_until_the_deadline(moment: str) -> None:
    assert waiting().until(moment).plan[0].startswith("bill PAUSED")
