"""Operators' commands: decide, store with audit, wake a runner. Source: design section 8."""

from shared.application.commit import execute
from shared.application.ports import Ports
from shared.domain.ids import InstanceSid
from shared.domain.instance.due import Idle, next_action
from shared.domain.instance.verdict import Applied, Refused, Verdict
from shared.domain.lifecycle.cancel_events import asked_of_a_closed_one
from shared.domain.lifecycle.commands import CancelEvent, Command, Execute, Resolve


def control(ports: Ports, sid: InstanceSid, command: Command) -> Verdict | None:
    """What a command came to; None where there is no such instance. Repeating it is safe.

    A runner is woken where something is left to run: it arms the next wakeup itself, so no command waits for
    the scheduler. Raises: ContentionError: nothing was written.
    """
    verdict = execute(ports, sid, command)
    return None if verdict is None else wake_runner(ports, verdict)


def wake_runner(ports: Ports, verdict: Verdict) -> Verdict:
    """The verdict, a runner woken where it was applied and something is left to run."""
    if isinstance(verdict, Applied) and not isinstance(
        next_action(verdict.instance, ports.clock.now()), Idle
    ):
        ports.wakeups.invoke(verdict.instance.sid)
    return verdict


def control_event(ports: Ports, sid: InstanceSid, command: Execute | CancelEvent | Resolve) -> Verdict | None:
    """What a command to one event came to, open or closed; None where there is no such event.

    Raises: ContentionError: nothing was written.
    """
    verdict = control(ports, sid, command)
    if not isinstance(verdict, Refused) or verdict.rule != "finished":
        return verdict
    record = ports.instances.trail(sid, command.seq).record
    return None if record is None else asked_of_a_closed_one(verdict.instance, record, command)
