"""The state of a run, and the functions that save each change of it.

Source: docs/design.md sections 3.4, 3.8 and 3.11.
"""

from datetime import datetime

from msgspec import Struct, field
from msgspec.structs import replace

from shared.application.commit import execute
from shared.application.ports import Ports
from shared.application.runner.report import LOST, RunTally, Stopped, stopped_by
from shared.domain.instance.event import Event
from shared.domain.instance.journal import EventHistory, JournalEntry
from shared.domain.instance.model import Instance
from shared.domain.instance.replay import chain, resumable_history
from shared.domain.instance.run import Ending, Intent, Outcome, RunEnd, Then
from shared.domain.instance.verdict import Applied, Verdict
from shared.domain.lifecycle.commands import Apply, AwaitAnswer, Command, ForgoAnswer, Stop, Wait
from shared.domain.steps.flow import StepContext
from shared.domain.steps.in_doubt import any_in_doubt
from shared.domain.strategy.model import Strategy


class Run(Struct, frozen=True, kw_only=True):
    """A run of a claimed event.

    ``instance`` and ``event`` are as last loaded or saved; ``fence`` is that of the claim. ``event_history`` is the
    stored history of the event so far, and ``then`` is the next action. ``last`` is the last step of the run
    if it goes into the event's record instead of the journal. ``tally`` counts the run's steps, calls and waits.
    """

    strategy: Strategy
    instance: Instance
    event: Event
    fence: int
    event_history: EventHistory
    then: Then
    last: JournalEntry | None = None
    tally: RunTally = field(default_factory=RunTally)

    @property
    def known_visits(self) -> int:
        """Return how many steps of the run are in the journal."""
        return len(chain(self.event_history, self.event.run))

    @property
    def in_doubt(self) -> bool:
        """Return whether a POST or PATCH of the event got no definite answer and may have taken effect."""
        last = () if self.last is None else (self.last,)
        return any_in_doubt(self.strategy, self.event, (*self.event_history.entries, *last))

    def context(self, ports: Ports) -> StepContext:
        """Return the context in which the next step is decided, at the current instant."""
        return StepContext(
            strategy=self.strategy,
            instance=self.instance,
            event=self.event,
            event_history=self.event_history,
            now=ports.clock.now(),
            token=ports.ids.token(),
        )


def record_step(
    ports: Ports,
    run: Run,
    intent: Intent,
    outcome: Outcome,
    then: Then,
    *,
    started_at: datetime,
    digest: str | None = None,
    status: int | None = None,
) -> Run | Stopped:
    """Write a step and the next action to the journal, apply the step's directives, and refresh the instance.

    A step that closes its event is kept for the event's record instead, which saves a write.
    ``digest`` is that of the request that was sent, and ``status`` the HTTP status of the answer.
    """
    entry = JournalEntry(
        seq=run.event.seq,
        run=run.event.run,
        fence=run.fence,
        intent=intent,
        outcome=outcome,
        then=then,
        started_at=started_at,
        finished_at=ports.clock.now(),
        digest=digest,
        answered=status,
    )
    run.tally.steps += 1
    # It waits for its answer, or to be sent again under the same id: an answer still counts.
    waits = isinstance(then, Intent) and (then.awaits or then.refusal is not None)
    forgoes = intent.answers_later and not waits and not run.event.has_answer_to(intent.correlation_id)
    if _closes(then) and not outcome.directives and not forgoes:
        return replace(run, last=entry, then=then)
    ports.instances.append(run.instance, entry)
    run = replace(run, event_history=run.event_history.with_entry(entry), then=then)
    if forgoes:
        return _forgo_answer(ports, run, intent)
    if outcome.directives:
        return apply(ports, run, Apply(seq=run.event.seq, fence=run.fence, entry=entry))
    if isinstance(then, RunEnd):
        return run
    return refresh(run, ports.instances.load(run.instance.sid))


def apply(ports: Ports, run: Run, command: Command) -> Run | Stopped:
    """Execute a command on the instance. The run continues if its claim is still valid."""
    verdict = execute_own(ports, run, command)
    return refresh(run, None if verdict is None else verdict.instance)


def stop_run(ports: Ports, run: Run, command: Stop | Wait | AwaitAnswer) -> Run | Stopped:
    """Save the progress and end the run in this invocation, or return the run if it may continue by now."""
    verdict = execute_own(ports, run, command)
    if isinstance(verdict, Applied):
        return stopped_by(run.event, verdict)
    # If a resume came after the last look, the claim still holds. Leaving it would look like a crash during the next
    # step, whose call would then be in doubt without having been sent.
    return refresh(run, None if verdict is None else verdict.instance)


def current_settings(ports: Ports, run: Run, instance: Instance) -> Strategy:
    """Return the settings of the instance's own version, with the pauses of the flags as they were after the claim.

    Directives and the end of a run are decided by that version, which may not be the run's.
    """
    if (instance.strategy_sid, instance.strategy_version) == (run.strategy.sid, run.strategy.version):
        return run.strategy
    strategy = ports.strategies.load(instance.strategy_sid, instance.strategy_version)
    return replace(strategy, flag_pauses=run.strategy.flag_pauses)


def execute_own(ports: Ports, run: Run, command: Command) -> Verdict | None:
    """Execute a command of the run. What was read for the run is not read again: by now it might be unreadable."""
    return execute(
        ports,
        run.instance.sid,
        command,
        known=run.instance,
        settings=lambda instance: current_settings(ports, run, instance),
    )


def refresh(run: Run, instance: Instance | None) -> Run | Stopped:
    """Return the run with the instance as it is now, or Stopped if the claim is lost."""
    event = None if instance is None else instance.claimed_event(run.event.seq, run.fence)
    if instance is None or event is None:
        return LOST
    return replace(run, instance=instance, event=event)


def _forgo_answer(ports: Ports, run: Run, intent: Intent) -> Run | Stopped:
    """Continue without the answer to an asynchronous call, or with the answer if it has already arrived."""
    command = ForgoAnswer(seq=run.event.seq, fence=run.fence, correlation_id=intent.correlation_id)
    now_at = apply(ports, run, command)
    if isinstance(now_at, Stopped) or not now_at.event.has_answer_to(intent.correlation_id):
        return now_at
    return replace(now_at, event_history=resumable_history(now_at.event_history, now_at.event), then=intent)


def _closes(then: Then) -> bool:
    """Return whether the end of a run closes its event in any case."""
    if not isinstance(then, RunEnd):
        return False
    exhausted = then.how is Ending.EXHAUSTED and then.failure is not None and not then.failure.pauses
    return then.how is Ending.SUCCEEDED or exhausted
