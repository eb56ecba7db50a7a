"""Receive the answer to an asynchronous call: store its body first, then have the event take it once.

Source: docs/contracts/core.md section 3.7; docs/design.md section 3.11.
"""

from msgspec import Struct

from shared.application.commit import MAX_RACES, ContentionError, try_commit
from shared.application.ports import Ports
from shared.domain.ids import CorrelationId, InstanceSid
from shared.domain.instance.due import Idle, next_action
from shared.domain.instance.journal import Answer, EventHistory
from shared.domain.instance.model import Instance
from shared.domain.instance.run import Intent
from shared.domain.instance.verdict import Actor, Applied, RefusalRule, Refused, Verdict
from shared.domain.lifecycle.async_answer import AnswerState, answer_state
from shared.domain.lifecycle.commands import TakeAnswer
from shared.domain.strategy.model import Json


class SentAnswer(Struct, frozen=True, kw_only=True):
    """An answer as its sender sent it.

    ``key`` distinguishes it from other answers to the same call. ``body`` is None if none was sent.
    """

    correlation_id: CorrelationId
    key: str
    by: Actor
    body: Json = None


def answer_event(
    ports: Ports, sid: InstanceSid, seq: int, sent: SentAnswer, *, known: Instance | None = None
) -> Verdict | None:
    """Take an answer to a call and return the verdict, or None if nothing was ever sent under its correlation id.

    The verdict is Refused, and nothing is stored, if no answer to that call counts, or none any more.
    ``known`` is the instance if the caller has just loaded it by a strong read. It is loaded again only after a lost
    race.
    Raises: ContentionError: the event did not take the answer; it may be sent again.
    """
    answer = Answer(
        correlation_id=sent.correlation_id,
        key=sent.key,
        at=ports.clock.now(),
        by=sent.by.name,
        body=sent.body,
    )
    for _ in range(MAX_RACES):
        instance, known = known or ports.instances.load(sid), None
        if instance is None:
            return None
        event_history = ports.instances.event_history(sid, seq)
        if instance.event(seq) is None:
            return _refuse_closed(instance, event_history, sent.correlation_id)
        verdict = _take(
            ports, instance, TakeAnswer(seq=seq, answer=answer, event_history=event_history, by=sent.by)
        )
        match verdict:
            case Applied():
                # The runner schedules the next wakeup, so the request does not wait for the Scheduler.
                if not isinstance(next_action(verdict.instance, ports.clock.now()), Idle):
                    ports.wakeups.invoke(sid)
                return verdict
            case Refused(rule=RefusalRule.UNKNOWN):
                return None
            case Refused():
                return verdict
            case _:
                # A lost race: load the instance and decide again.
                continue
    raise ContentionError(
        f"instance {sid} changed {MAX_RACES} times while an answer was taken; send it again"
    )


def _take(ports: Ports, instance: Instance, command: TakeAnswer) -> Verdict | None:
    """Store the answer and have the event take it. Return None if another writer was faster."""
    event = instance.event(command.seq)
    awaited = (
        event
        and answer_state(event, command.event_history, command.answer.correlation_id) is AnswerState.AWAITED
    )
    if awaited:
        # Before the commit: an event that has taken an answer must find its body.
        ports.instances.put_answer(instance, command.seq, command.answer)
    strategy = ports.strategies.load(instance.strategy_sid, instance.strategy_version)
    return try_commit(ports, strategy, instance, command)


def _refuse_closed(
    instance: Instance, event_history: EventHistory, correlation_id: CorrelationId
) -> Refused | None:
    """Return the refusal for an answer to a closed event, or None if the event sent nothing under that id."""
    # The last step of a closed event may be in its record alone.
    record = event_history.record
    if record is None:
        return None
    last = () if record.last is None else (record.last,)
    entries = (*event_history.entries, *last)
    # What followed a step may have been sent too: an event that is killed during a call has no entry of it.
    actions = [record.event.progress.first_action, *(entry.then for entry in entries)]
    intents = [*(entry.intent for entry in entries), *(one for one in actions if isinstance(one, Intent))]
    if correlation_id not in {intent.correlation_id for intent in intents}:
        return None
    return Refused(
        instance=instance, why=f"the event is {record.event.status.value}", rule=RefusalRule.FINISHED
    )
