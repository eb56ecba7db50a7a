"""Judge that nothing is called after a stop, which is a cancel or a pause of one instance: facts in, violations out.

All instants are real time, by the one clock of the machine. Only the final jumps advance the engine's clock.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from dev.chaos.flows import TIMEOUT_SECONDS
from dev.chaos.judge import Call, InstanceFact, Rule, Violation, event_of

MAX_REQUEST = timedelta(minutes=2)
"""How long a request without an answer may still take effect: it is queued, and its function ends after 29 seconds."""

MIN_FREEZE = timedelta(seconds=2 * TIMEOUT_SECONDS)
"""A runner calls only if its lease lasts as long as the call and one repeat (``longest``).

If it stands still for less after it has checked that, nothing can take its event over before the call.
"""

MAX_AFTER_FREEZE = timedelta(seconds=TIMEOUT_SECONDS)
"""How long after a freeze its runner may begin the call that it had prepared before."""

_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A command to instances. It was answered definitely at ``answered_at``, None if it may still take effect.

    ``draining`` is what its answer says about a step in flight, None if it does not say that.
    """

    name: str
    sids: tuple[str, ...]
    sent_at: datetime
    answered_at: datetime | None = None
    succeeded: bool = False
    draining: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A bulk operation that resumes instances. ``ended_at`` is None if it has not ended."""

    began_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceStop:
    """No call of an instance may begin after ``after`` and before ``before``, None for never again."""

    sid: str
    command: str
    after: datetime
    before: datetime | None = None

    def forbids(self, at: datetime) -> bool:
        """Return whether a call at this instant came after the stop."""
        return self.after < at and (self.before is None or at < self.before)


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """A process of our code was stopped with SIGSTOP, and did nothing until it was continued."""

    began_at: datetime
    ended_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StopsJudged:
    """The violations, how many stops were judged by command, and how many calls were excused."""

    violations: Sequence[Violation] = ()
    judged: Mapping[str, int] = field(default_factory=dict)
    excused: int = 0


def stops_of(
    sent: Sequence[Sent],
    *,
    operations: Sequence[Operation],
    drained: Mapping[str, datetime],
    resumed_all_at: datetime,
) -> list[InstanceStop]:
    """Return the stops that can be judged.

    A cancel is final. It counts from its answer if that says that nothing is in flight, else from when the instance had
    ``drained``, if that is known. A pause counts if its answer says that nothing is in flight, and until a resume of
    the instance is sent, or until everything is resumed at the end of the run. A resume that may take effect while the
    pause is sent or later leaves nothing to judge.
    """
    # A pause of the strategy or the queue is a block of its own: its end resumes no instance that is paused itself.
    resumes = [one for one in sent if one.name in ("resume", "bulk resume")]
    cancels: dict[str, InstanceStop] = {}
    pauses: list[InstanceStop] = []
    for command in sent:
        answered_at = command.answered_at
        if answered_at is None or not command.succeeded:
            continue
        for sid in command.sids:
            if command.name == "cancel":
                drained_at = answered_at if command.draining is False else drained.get(sid)
                if drained_at is not None:
                    stop = InstanceStop(sid=sid, command="cancel", after=max(answered_at, drained_at))
                    cancels[sid] = min(stop, cancels.get(sid, stop), key=lambda one: one.after)
            elif command.name == "pause" and command.draining is False:
                before = min(
                    [one.sent_at for one in resumes if _may_undo(one, sid, command, operations)],
                    default=resumed_all_at,
                )
                if before > answered_at:
                    pauses.append(InstanceStop(sid=sid, command="pause", after=answered_at, before=before))
    return [*cancels.values(), *pauses]


def _may_undo(resume: Sent, sid: str, pause: Sent, operations: Sequence[Operation]) -> bool:
    """Return whether a resume may take effect on an instance after a pause of it."""
    if sid not in resume.sids:
        return False
    # Without an answer it may take effect until then.
    end = resume.answered_at or resume.sent_at + MAX_REQUEST
    if len(resume.sids) > 1:
        # It may continue in the background. Stored instants have whole milliseconds.
        begun = [one for one in operations if resume.sent_at - _SECOND <= one.began_at <= end]
        if any(one.ended_at is None for one in begun):
            return True
        end = max([end, *(one.ended_at for one in begun if one.ended_at is not None)])
    return end >= pause.sent_at


def judge_stops(
    instances: Sequence[InstanceFact],
    ledger: Sequence[Call],
    stops: Sequence[InstanceStop],
    *,
    freezes: Sequence[Freeze] = (),
) -> StopsJudged:
    """Return the calls that services received after a stop of their instance.

    Events that run after the cancelation are free to call. Excused is a call that may come from a process that was
    frozen for longer than a lease covers: it cannot know of the stop.
    """
    owners = {event.sid: instance.sid for instance in instances for event in instance.events}
    free = {event.sid for instance in instances for event in instance.events if event.after_cancellation}
    violations, excused = [], 0
    for call in ledger:
        event = event_of(call.key)
        stop = None if event in free else _stop_before(call, owners.get(event), stops)
        if stop is None:
            continue
        if any(_may_excuse(freeze, call, stop) for freeze in freezes):
            excused += 1
        else:
            late = (call.at - stop.after).total_seconds()
            what = f"{call.key} was received {late:.3f} s after a {stop.command} had stopped {stop.sid}"
            violations.append(Violation(Rule.CALLED_AFTER_STOP, what))
    judged = dict(Counter(stop.command for stop in stops))
    return StopsJudged(violations=violations, judged=judged, excused=excused)


def _stop_before(call: Call, sid: str | None, stops: Sequence[InstanceStop]) -> InstanceStop | None:
    return next((stop for stop in stops if stop.sid == sid and stop.forbids(call.at)), None)


def _may_excuse(freeze: Freeze, call: Call, stop: InstanceStop) -> bool:
    return (
        freeze.ended_at - freeze.began_at >= MIN_FREEZE
        and freeze.began_at < stop.after
        and freeze.ended_at <= call.at <= freeze.ended_at + MAX_AFTER_FREEZE
    )


def latest_real(simulated: datetime, marks: Sequence[tuple[datetime, datetime]]) -> datetime | None:
    """Return the latest real instant at which the engine's clock may have reached a simulated one, None if unknown.

    ``marks`` are pairs of simulated and real time, in order: one before the first jump of the clock, and one after each
    jump. Before the first one both are the same.
    """
    if marks and simulated <= marks[0][0]:
        return simulated
    return next((real for reached, real in marks if reached >= simulated), None)
