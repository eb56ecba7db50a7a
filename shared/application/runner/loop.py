"""The step runner: run the due events of one instance, step by step.

Check, claim, check the flags, run step after step, conclude, and check again. Source: docs/design.md section 3.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta

from msgspec.structs import replace

from shared.application.commit import (
    UNREADABLE,
    execute,
    save,
    schedule_wakeup,
    strategy_of,
    try_commit,
    with_known_pauses,
)
from shared.application.failures import UNREADABLE_ITEM
from shared.application.ports import Ports, UnavailableError
from shared.application.runner.limits import OwnPermits, free_slot
from shared.application.runner.patience import CallUnrecordedError, give_back
from shared.application.runner.progress import Run, refresh
from shared.application.runner.report import (
    LOST,
    OverdueAnswer,
    RunOutcome,
    RunReport,
    RunTally,
    RunWatch,
    Stopped,
    newly_overdue,
    stopped_by,
)
from shared.application.runner.step import RESERVE, Deadline, TimeLeft, conclude_run, next_step
from shared.domain.ids import InstanceSid
from shared.domain.instance.due import (
    SHORT_NOTICE,
    AnswerOverdue,
    CancelDue,
    Due,
    PlanExpired,
    ResumeDue,
    Scheduled,
    must_be_fenced,
    next_action,
)
from shared.domain.instance.event import Event, EventStatus
from shared.domain.instance.flags import with_pauses
from shared.domain.instance.journal import EventHistory
from shared.domain.instance.model import Instance
from shared.domain.instance.replay import entry_to_refence, position, resumable_history
from shared.domain.instance.run import Intent, RunEnd
from shared.domain.instance.verdict import Applied
from shared.domain.lifecycle.commands import (
    ApplyCancellation,
    Block,
    Claim,
    EndPause,
    Fence,
    Finish,
    GiveBack,
    NoteOverdue,
    Unblock,
)
from shared.domain.lifecycle.decide import decide
from shared.domain.strategy.model import Strategy

NO_NOTICE = timedelta()

MAX_CHECKS = 100
"""How often an invocation checks the instance before it leaves the rest to another one."""


_COMMANDS: Mapping[type[object], EndPause | ApplyCancellation | Finish] = {
    ResumeDue: EndPause(),
    CancelDue: ApplyCancellation(),
    PlanExpired: Finish(),
}
"""The command when a date of the instance itself has passed."""


def no_report(_: RunReport) -> None:
    """Ignore the report of a run."""


def no_overdue_report(_: OverdueAnswer) -> None:
    """Ignore an overdue answer."""


def run_due_events(
    ports: Ports,
    sid: InstanceSid,
    *,
    job: str,
    time_left: TimeLeft,
    report: Callable[[RunReport], None] = no_report,
    report_overdue: Callable[[OverdueAnswer], None] = no_overdue_report,
) -> int:
    """Run the due events of an instance, then schedule the next wakeup. Return how many events were claimed.

    ``job`` identifies this invocation. ``report`` takes the report of each run, and of each claim that decided
    something instead, as soon as it has ended. ``report_overdue`` takes each answer that is newly overdue. It is safe
    to call this at any time and any number of times.
    """
    claims, has_waited, permits = 0, False, OwnPermits()
    instance = ports.instances.load(sid)
    for _ in range(MAX_CHECKS):
        if instance is None:
            break
        now = ports.clock.now()
        match next_action(instance, now):
            case Due() as due if must_be_fenced(instance, due):
                # Before the history is read: until this is stored, the earlier runner may journal a step and continue.
                instance = _after(ports, instance, Fence(seq=due.event.seq))
            case Due() as due:
                watch = RunWatch(before=instance, due=due, claimed_at=now, clock=ports.clock, report=report)
                at = _claim(ports, instance, due.event, job=job, time_left=time_left)
                if isinstance(at, Run):
                    used = has_waited or claims > 0
                    at = _run_watched(
                        ports, at, Deadline(time_left=time_left, has_executed=used, permits=permits), watch
                    )
                    claims += 1
                else:
                    watch.ended(RunTally(), at)
                instance = at.instance
            # No lease is held: a command meanwhile, or a second runner, finds the instance free.
            case Scheduled(at=due_at) if due_at - now <= min(SHORT_NOTICE, time_left() - RESERVE):
                ports.clock.sleep((due_at - now).total_seconds())
                has_waited = True
            case ResumeDue() | CancelDue() | PlanExpired() as passed:
                instance = _after(ports, instance, _COMMANDS[type(passed)])
            case AnswerOverdue():
                instance = _note_overdue(ports, instance, report_overdue)
            case _:
                break
    if instance is not None:
        # An invocation that did nothing had all its time. Another one would not get further, so it is not invoked.
        notice = SHORT_NOTICE if has_waited or claims > 0 else NO_NOTICE
        schedule_wakeup(ports, instance, notice=notice)
    return claims


def _claim(ports: Ports, instance: Instance, event: Event, *, job: str, time_left: TimeLeft) -> Run | Stopped:
    """Claim a due event and return its run.

    Return Stopped if the event was not claimed or its claim was given back, with the instance as it is now, or None
    if another runner has it.
    Raises: UnavailableError: a store is unavailable, and the event was not claimed. UnknownStrategyError,
    RitornelloError: an item cannot be read; the event was not claimed, or its claim was given back.
    """
    version = event.claim.version or instance.strategy_version
    strategy = ports.strategies.load(instance.strategy_sid, version)
    # A new event has no history yet, which saves a read.
    is_new = event.run == 1 and event.progress.first_action is None
    event_history = (
        EventHistory()
        if is_new
        else resumable_history(ports.instances.event_history(instance.sid, event.seq), event)
    )
    now = ports.clock.now()
    # If the runner that crashed had ended the run, the plan continues with this claim.
    is_taken_over = event.status is EventStatus.EXECUTING
    command = Claim(
        seq=event.seq,
        event_history=event_history,
        token=ports.ids.token(),
        job=job,
        current=strategy_of(ports, instance, now=now) if is_taken_over else None,
    )
    if not event.has_begun:  # an event that has begun continues, whatever was missed
        strategy = with_known_pauses(ports, strategy, instance, now=now)
    verdict = decide(strategy, instance, command, now=now)
    try:
        if isinstance(verdict, Applied) and save(ports, verdict):
            return _begin(ports, strategy, verdict, event, event_history)
    except (UnavailableError, *UNREADABLE) as error:
        # The claim may be stored, even if only this write failed: its reply may have been lost.
        after = verdict.instance
        undo = GiveBack(
            seq=event.seq, fence=after.fence, token=_token_of(after), known_visits=0, sent_visit=None
        )
        back = give_back(ports, strategy, after, undo, time_left=time_left())
        # If an item cannot be read, the invocation fails, so that operators hear of it.
        if back is None or not isinstance(error, UnavailableError):
            raise
        return _given_back(event, back)
    return Stopped(instance=ports.instances.load(instance.sid))


def _begin(
    ports: Ports, strategy: Strategy, claim: Applied, event: Event, event_history: EventHistory
) -> Run | Stopped:
    """Return the run of an event that was just claimed, or Stopped if its instance is blocked or was repaired.

    ``event`` is the event before the claim.
    """
    after = claim.instance
    claimed = after.executing
    then = None if claimed is None else position(event_history, claimed)
    if claimed is None or then is None:
        return stopped_by(event, claim, stored=event_history.record)

    # A runner that lost its claim may still run. Rewriting the entry under this fence keeps it from changing the step
    # on which this run builds.
    entry = entry_to_refence(event_history, event, fence=after.fence)
    if entry is not None:
        ports.instances.append(after, entry)
        event_history = event_history.with_entry(entry)

    # Read after the claim: a flag that is set while no runner has a claim then stops every later call.
    flags = ports.strategies.flags(after.account_id, after.strategy_sid)
    if flags.blocked_by is not None:
        return _block(ports, after, Block(before=event, fence=after.fence, blocked_by=flags.blocked_by))

    if isinstance(then, Intent) and claimed.progress.delay_skipped:
        then = replace(then, not_before=None)
    run = Run(
        strategy=with_pauses(strategy, flags),
        instance=after,
        event=claimed,
        fence=after.fence,
        event_history=event_history,
        then=then,
    )
    # Before the entry was stored, another runner that had taken this event over may have read an older one.
    return run if entry is None else refresh(run, ports.instances.load(after.sid))


def _block(ports: Ports, claimed: Instance, command: Block) -> Stopped:
    """Undo the claim. Unblock the instance at once if the flag was cleared in the meantime."""
    verdict = execute(ports, claimed.sid, command)
    stopped = LOST
    if isinstance(verdict, Applied):
        stopped = replace(stopped_by(command.before, verdict), outcome=RunOutcome.BLOCKED)
    if verdict is None or ports.strategies.flags(claimed.account_id, claimed.strategy_sid).blocked_by:
        return replace(stopped, instance=None)
    return replace(stopped, instance=_after(ports, verdict.instance, Unblock()))


def _run_watched(ports: Ports, run: Run, deadline: Deadline, watch: RunWatch) -> Stopped:
    """Execute the run, return its slot, and report how it ended."""
    stopped = Stopped(instance=None, outcome=RunOutcome.BROKEN_OFF)
    try:
        stopped = _run_steps(ports, run, deadline)
        free_slot(ports, run, deadline.permits)
    except Exception:
        free_slot(ports, run, deadline.permits)
        raise
    finally:
        # An exception ends the invocation, and the report says so.
        watch.ended(run.tally, stopped)
    return stopped


def _run_steps(ports: Ports, run: Run, deadline: Deadline) -> Stopped:
    """Execute step after step, until the run ends or has to stop."""
    # Only the first step can have been sent by an earlier runner.
    call_in_doubt = run.event.progress.call_in_doubt
    at: Run | Stopped = run
    while isinstance(at, Run):
        before, calls = at, len(run.tally.calls)
        try:
            if isinstance(at.then, RunEnd):
                at = conclude_run(ports, at, at.then)
            else:
                at = next_step(ports, at, at.then, call_in_doubt=call_in_doubt, deadline=deadline)
                # If a resume came before a stop was stored, no step was executed, and the same one follows.
                if not (isinstance(at, Run) and _is_at_the_same_step(at, before)):
                    call_in_doubt, deadline = False, replace(deadline, has_executed=True)
        except UnavailableError as error:
            visit = error.visit if isinstance(error, CallUnrecordedError) else None
            at = _give_claim_back(ports, before, visit, deadline)
        except UNREADABLE_ITEM:
            # If the result of a call is stored, the next claim finds it, and takes no visit for sent.
            has_called = isinstance(before.then, RunEnd) or len(run.tally.calls) > calls
            _give_claim_back(ports, before, _unrecorded_visit(before) if has_called else None, deadline)
            raise
    return at


def _is_at_the_same_step(run: Run, before: Run) -> bool:
    return (run.then, run.known_visits) == (before.then, before.known_visits)


def _unrecorded_visit(run: Run) -> int | None:
    """Return the visit at which the stored history ends, None if the run ends there."""
    then = position(run.event_history, run.event)
    return then.visit if isinstance(then, Intent) else None


def _give_claim_back(ports: Ports, run: Run, sent_visit: int | None, deadline: Deadline) -> Stopped:
    """Give the claim back, so that the run continues when everything can be read and written again.

    ``sent_visit`` is the visit whose call may have been sent without its result being stored.
    """
    command = GiveBack(
        seq=run.event.seq,
        fence=run.fence,
        token=_token_of(run.instance),
        known_visits=run.known_visits,
        sent_visit=sent_visit,
    )
    back = give_back(ports, run.strategy, run.instance, command, time_left=deadline.time_left())
    return _given_back(run.event, back)


def _token_of(claimed: Instance) -> str | None:
    """Return the token of a claim, or None if the instance was repaired instead."""
    return None if claimed.lease is None else claimed.lease.token


def _given_back(event: Event, back: Instance | None) -> Stopped:
    """Return the end of a run whose claim was given back; ``back`` is None if the claim was lost already."""
    if back is None:
        return LOST
    return Stopped(instance=back, outcome=RunOutcome.GIVEN_BACK, event=back.event(event.seq))


def _note_overdue(
    ports: Ports, instance: Instance, report: Callable[[OverdueAnswer], None]
) -> Instance | None:
    """Note and report overdue answers. Return the instance afterwards, or as another writer left it."""
    strategy = ports.strategies.load(instance.strategy_sid, instance.strategy_version)
    verdict = try_commit(ports, strategy, instance, NoteOverdue())
    if verdict is None:
        return ports.instances.load(instance.sid)
    # Only by the runner that stored it, so that each is reported once.
    for answer in newly_overdue(instance, verdict.instance):
        report(answer)
    return verdict.instance


def _after(
    ports: Ports, instance: Instance, command: Finish | Unblock | EndPause | ApplyCancellation | Fence
) -> Instance | None:
    """Return the instance after a command, or as another writer left it."""
    strategy = strategy_of(ports, instance, now=ports.clock.now())
    verdict = try_commit(ports, strategy, instance, command)
    return ports.instances.load(instance.sid) if verdict is None else verdict.instance
