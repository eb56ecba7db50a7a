"""One step of a run: stop or wait if it must, else call, judge and record. And the end of a run.

Source: docs/design.md sections 3.4 to 3.8 and 3.10.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from shared.application.commit import save
from shared.application.failures import UNREADABLE_ITEM
from shared.application.ports import Ports
from shared.application.runner.limits import (
    Allowed,
    OwnPermits,
    await_permit,
    free_slot,
    free_slot_of_another_origin,
    report_call,
)
from shared.application.runner.patience import record_call
from shared.application.runner.progress import (
    Run,
    apply,
    current_settings,
    execute_own,
    record_step,
    refresh,
    stop_run,
)
from shared.application.runner.report import LOST, Stopped, call_report, stopped_by
from shared.domain.instance.reason import ErrorKind
from shared.domain.instance.replay import answer_to, position
from shared.domain.instance.run import Ending, Intent, Outcome, RunEnd, StepError, Then
from shared.domain.instance.verdict import Applied
from shared.domain.lifecycle.claim import lease_until
from shared.domain.lifecycle.commands import AwaitAnswer, Conclude, Renew, Stop, Wait
from shared.domain.lifecycle.decide import decide
from shared.domain.limits.grant import Later
from shared.domain.steps.call import Answered, CallNotPossibleError, CallOutcome
from shared.domain.steps.flow import StepContext, advance
from shared.domain.steps.in_doubt import AwaitOperator, EndStep, Send, decide_repeat, end_in_doubt
from shared.domain.steps.outcome import (
    begin_wait,
    begin_wait_after_early_answer,
    doubt_policy,
    fail_call,
    judge_answer,
    judge_call,
    judge_timeout,
    longest,
    request_of,
)
from shared.domain.steps.refusal import decide_refusal
from shared.domain.steps.request_digest import digest_of
from shared.domain.strategy.model import InDoubt

RESERVE = timedelta(seconds=20)
"""The time an invocation keeps for saving its progress."""

TimeLeft = Callable[[], timedelta]
"""Returns how much longer this invocation may run."""


class Deadline(Struct, frozen=True, kw_only=True):
    """When this invocation must end, and whether it has waited for an event or executed a step already.

    ``permits`` are those for which its events wait.
    """

    time_left: TimeLeft
    has_executed: bool
    permits: OwnPermits


def next_step(  # noqa: PLR0911 - one return for each way a step can go
    ports: Ports, run: Run, intent: Intent, *, call_in_doubt: bool, deadline: Deadline
) -> Run | Stopped:
    """Execute one step and choose the next action, or stop the run if the step may not run here and now.

    ``call_in_doubt`` says that the call of the step may already have been sent.
    """
    now = ports.clock.now()
    has_answer = run.event.has_answer_to(intent.correlation_id)
    lapses_later = intent.answer_by is None or intent.answer_by > now
    if intent.awaits and not has_answer and lapses_later:
        return _await_answer(ports, run, intent)

    if not _may_run(run):
        return _stop(ports, run)

    if intent.awaits or has_answer:
        return _process_answer(ports, run, intent)

    if intent.not_before is not None and intent.not_before > now:
        return stop_run(ports, run, _wait(run, until=intent.not_before))

    if call_in_doubt or intent.in_doubt_since is not None:
        match decide_repeat(run.context(ports), intent, call_in_doubt=call_in_doubt):
            case AwaitOperator(end=end):
                return replace(run, then=end)
            case EndStep(intent=ended, outcome=outcome, then=then):
                return record_step(ports, run, ended, outcome, then, started_at=ports.clock.now())
            case Send(intent=to_send):
                intent = to_send
            case unknown:
                assert_never(unknown)

    # Before lease and time are checked: the store may be slow.
    free_slot_of_another_origin(ports, run, intent, deadline.permits)
    return _execute_in_time(ports, run, intent, deadline)


def conclude_run(ports: Ports, run: Run, end: RunEnd) -> Stopped:
    """Save the event's record if the event closes, then the instance. Repeat while a store is unavailable.

    Raises: UnavailableError: a store was unavailable for the rest of the lease.
    """
    unrecorded = position(run.event_history, run.event)
    # The last step may not be in the journal.
    visit = unrecorded.visit if isinstance(unrecorded, Intent) else 0
    return record_call(ports, run.instance, visit, lambda: _conclude(ports, run, end))


def _conclude(ports: Ports, run: Run, end: RunEnd) -> Stopped:
    """Save record and instance. Repeat until no other writer is faster."""
    next_call = position(run.event_history, run.event) if end.how is Ending.IN_DOUBT else None
    command = Conclude(
        seq=run.event.seq,
        fence=run.fence,
        end=end,
        in_doubt=run.in_doubt,
        known_visits=run.known_visits,
        last=run.last,
        correlation_in_doubt=next_call.correlation_id if isinstance(next_call, Intent) else None,
    )
    at: Run | Stopped = run
    # Each round decides on the instance as another writer has left it.
    while isinstance(at, Run):
        instance = at.instance
        try:
            strategy = current_settings(ports, run, instance)
        except UNREADABLE_ITEM:
            # The last step exists only in this process, and the next runner must know its result.
            if run.last is not None:
                ports.instances.append(instance, run.last)
            raise
        # The next cycle is planned, and dates that were missed during a pause of a flag have a rule of their own.
        verdict = decide(strategy, instance, command, now=ports.clock.now())
        if isinstance(verdict, Applied) and _save_record_first(ports, verdict, run.event.seq):
            return stopped_by(run.event, verdict)
        at = refresh(run, ports.instances.load(instance.sid))
    return at


def _save_record_first(ports: Ports, verdict: Applied, seq: int) -> bool:
    """Save the record of the run's own event, then the verdict. Return whether the verdict is saved."""
    # The record first: after a crash in between, the next runner finds the event still open and concludes it.
    for record in verdict.records:
        if record.event.seq == seq:
            ports.instances.put_record(verdict.instance, record)
    others = tuple(record for record in verdict.records if record.event.seq != seq)
    return save(ports, replace(verdict, records=others))


def _execute_in_time(ports: Ports, run: Run, intent: Intent, deadline: Deadline) -> Run | Stopped:
    """Execute a step if lease and invocation last long enough for it. Else renew the lease, or hand the event over.

    A renewal may find that the instance was stopped, or the answer to the call stored, meanwhile.
    """
    needed = longest(run.strategy, run.strategy.definition.tasks[run.event.task].steps[intent.step])
    at: Run | Stopped = run
    # Also after a renewal: its reply may come when the lease has ended.
    while isinstance(at, Run):
        if not _may_run(at):
            return _stop(ports, at)
        if at.event.has_answer_to(intent.correlation_id):
            return at
        if deadline.time_left() < needed + RESERVE:
            return _hand_over(ports, at, deadline)
        if _is_leased(ports, at, needed):
            return _execute(ports, at, intent, deadline)
        at = _renew(ports, at, intent)
    return at


def _execute(ports: Ports, run: Run, intent: Intent, deadline: Deadline) -> Run | Stopped:
    """Make the call of a step, judge its answer, choose the next action, and record the step.

    If the limit of its service is used up for longer than a runner can wait, the run stops before the call.
    """
    started_at, allowed = ports.clock.now(), Allowed()
    call, digest, impossible = None, None, None
    try:
        request = request_of(run.context(ports), intent)
    except CallNotPossibleError as error:
        request, impossible = None, fail_call(intent, error)
    if request is not None:
        # ``config.requestDelayTime`` is a pause before each call.
        ports.clock.sleep(run.strategy.definition.request_delay.total_seconds())
        permit = await_permit(ports, run, intent, deadline.permits, time_left=deadline.time_left() - RESERVE)
        if isinstance(permit, Later):
            return stop_run(ports, run, _wait(run, until=permit.until))
        allowed = permit
        call, digest = ports.caller.call(request), digest_of(request)
    context = run.context(ports)
    if call is not None:
        began_at = started_at + run.strategy.definition.request_delay + allowed.waited
        run.tally.calls.append(call_report(context, intent, call, began_at=began_at))
    outcome = impossible or judge_call(context, intent, call, run=ports.controllers.run)
    following = _after_call(context, intent, outcome, call)
    if isinstance(following, RunEnd):
        # The step is not recorded: an operator decides about the call.
        return replace(run, then=following)
    outcome, then = following
    # A step that was never sent has no status.
    status = call.status if isinstance(call, Answered) else None

    def record() -> Run | Stopped:
        return record_step(
            ports, run, intent, outcome, then, started_at=started_at, digest=digest, status=status
        )

    if call is None:
        return record()
    recorded = record_call(ports, run.instance, intent.visit, record)
    report_call(ports, run, intent, call, allowed.circuit)
    return recorded


def _after_call(
    context: StepContext, intent: Intent, outcome: Outcome, call: CallOutcome | None
) -> tuple[Outcome, Then] | RunEnd:
    """Return the outcome to record and the next action, or the end of a run that waits for an operator."""
    refused = decide_refusal(context, intent, outcome, call)
    if refused is not None and refused.again is not None:
        return refused.outcome, refused.again
    if outcome.in_doubt and doubt_policy(context.strategy, context.task.steps[intent.step]) is InDoubt.PAUSE:
        no_answer = StepError(message="no answer", kind=ErrorKind.TIMEOUT)
        return end_in_doubt(context, intent, outcome.error or no_answer)
    if outcome.success and intent.answers_later:
        return begin_wait(context, intent, outcome)
    earliest = None if refused is None else refused.earliest
    return advance(context, intent, outcome, earliest=earliest)


def _await_answer(ports: Ports, run: Run, intent: Intent) -> Run | Stopped:
    """Pause the event until its answer arrives, or continue if it has already arrived."""
    command = AwaitAnswer(
        seq=run.event.seq,
        fence=run.fence,
        intent=intent,
        known_visits=run.known_visits,
        in_doubt=run.in_doubt,
    )
    return stop_run(ports, run, command)


def _process_answer(ports: Ports, run: Run, intent: Intent) -> Run | Stopped:
    """Judge the answer to an asynchronous call, or its absence after the deadline, and choose the next action.

    If the answer arrived before the reply to the call, the call is recorded first.
    """
    started_at = ports.clock.now()
    if not intent.awaits:
        outcome, waiting = begin_wait_after_early_answer(run.context(ports), intent)
        return record_step(ports, run, intent, outcome, waiting, started_at=started_at)
    answer = answer_to(run.event_history, run.event, intent)
    if answer is None and run.event.has_answer_to(intent.correlation_id):
        # The event took the answer after its history was read.
        answers = ports.instances.event_history(run.instance.sid, run.event.seq).answers
        run = replace(run, event_history=replace(run.event_history, answers=answers))
        answer = answer_to(run.event_history, run.event, intent)
    context = run.context(ports)
    run.tally.answers_overdue += answer is None
    outcome = judge_timeout(intent) if answer is None else judge_answer(context, intent, answer)
    outcome, then = advance(context, intent, outcome)
    return record_step(ports, run, intent, outcome, then, started_at=started_at)


def _may_run(run: Run) -> bool:
    # The rule by which ``Stop`` is decided too. If they differed, a run could neither stop nor continue.
    return run.instance.lets_run(run.event) or run.event.after_cancellation


def _stop(ports: Ports, run: Run) -> Run | Stopped:
    stop = Stop(seq=run.event.seq, fence=run.fence, known_visits=run.known_visits, in_doubt=run.in_doubt)
    return stop_run(ports, run, stop)


def _is_leased(ports: Ports, run: Run, needed: timedelta) -> bool:
    """Return whether the lease is long enough for the step."""
    lease = run.instance.lease
    return lease is not None and lease.until - ports.clock.now() >= needed


def _renew(ports: Ports, run: Run, intent: Intent) -> Run | Stopped:
    """Return the run under a new lease that is long enough for the step, if the reply is not late."""
    until = lease_until(run.strategy, run.event, intent, now=ports.clock.now())
    return apply(ports, run, Renew(seq=run.event.seq, fence=run.fence, until=until))


def _hand_over(ports: Ports, run: Run, deadline: Deadline) -> Stopped:
    """Stop the run and leave the event to another invocation."""
    verdict = execute_own(ports, run, _wait(run, until=None))
    if not isinstance(verdict, Applied):
        return LOST
    free_slot(ports, run, deadline.permits)
    # An invocation that has executed nothing had all its time and it was not enough. Another one would have no more,
    # so it is left to the sweeper, which backs off.
    if deadline.has_executed:
        ports.wakeups.invoke(run.instance.sid)
    return replace(stopped_by(run.event, verdict), instance=None)


def _wait(run: Run, *, until: datetime | None) -> Wait:
    return Wait(
        seq=run.event.seq,
        fence=run.fence,
        until=until,
        known_visits=run.known_visits,
        in_doubt=run.in_doubt,
    )
