"""Run a failed event again. Source: docs/contracts/core.md section 5; docs/decisions/0020."""

from msgspec import Struct

from shared.application.commit import MAX_RACES, ContentionError, strategy_of, try_commit
from shared.application.control import wake_runner
from shared.application.ports import Ports
from shared.domain.ids import InstanceSid
from shared.domain.instance.model import Instance
from shared.domain.instance.verdict import Actor, Verdict
from shared.domain.lifecycle.commands import Redrive


class RetryEvent(Struct, frozen=True, kw_only=True):
    """Which event to retry. If ``from_step`` is given, it is executed again with all steps after it."""

    sid: InstanceSid
    seq: int
    by: Actor
    from_step: str | None = None


def retry_event(ports: Ports, request: RetryEvent, *, known: Instance | None = None) -> Verdict | None:
    """Retry an event and return the verdict, or None if there is no such event.

    Repeating it is safe while the event runs.
    ``known`` is the instance if the caller has just loaded it by a strong read. It is loaded again only after a lost
    race.
    Raises: ContentionError: nothing was written.
    """
    for _ in range(MAX_RACES):
        instance, known = known or ports.instances.load(request.sid), None
        command = (
            None
            if instance is None
            else redrive_of(ports, instance, request.seq, by=request.by, from_step=request.from_step)
        )
        if instance is None or command is None:
            return None
        strategy = strategy_of(ports, instance, now=ports.clock.now())
        verdict = try_commit(ports, strategy, instance, command)
        if verdict is not None:
            return wake_runner(ports, verdict)
    raise ContentionError(f"instance {request.sid} changed {MAX_RACES} times during one command; repeat it")


def redrive_of(
    ports: Ports, instance: Instance, seq: int, *, by: Actor, from_step: str | None
) -> Redrive | None:
    """Return the command, with the stored history of the event, or None if there is no event with that number."""
    event_history = ports.instances.event_history(instance.sid, seq)
    event = instance.event(seq)
    if event is None and event_history.record is not None:
        event = event_history.record.event
    if event is None:
        return None
    steps = frozenset[str]()
    if from_step is not None:
        version = event.claim.version or instance.strategy_version
        task = ports.strategies.load(instance.strategy_sid, version).definition.tasks.get(event.task)
        steps = frozenset(task.steps if task else ())
    return Redrive(seq=seq, event_history=event_history, by=by, from_step=from_step, steps=steps)
