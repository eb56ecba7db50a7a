"""Commands of operators: decide, store with an audit entry, wake a runner. Source: docs/design.md section 8."""

from shared.application.commit import execute
from shared.application.ports import Ports
from shared.domain.ids import InstanceSid
from shared.domain.instance.due import Idle, next_action
from shared.domain.instance.model import Instance
from shared.domain.instance.verdict import Applied, RefusalRule, Refused, Verdict
from shared.domain.lifecycle.cancel_events import decide_closed_event
from shared.domain.lifecycle.commands import CancelEvent, Command, Execute, Resolve


def control(
    ports: Ports, sid: InstanceSid, command: Command, *, known: Instance | None = None
) -> Verdict | None:
    """Execute a command and return its verdict, or None if there is no such instance. Repeating it is safe.

    ``known`` is the instance if the caller has just loaded it by a strong read. It is loaded again only after a lost
    race.
    Raises: ContentionError: nothing was written.
    """
    verdict = execute(ports, sid, command, known=known)
    return None if verdict is None else wake_runner(ports, verdict)


def wake_runner(ports: Ports, verdict: Verdict) -> Verdict:
    """Return the verdict; wake a runner if it was applied and something is left to run."""
    # The runner schedules the next wakeup, so that no command waits for the Scheduler.
    if isinstance(verdict, Applied) and not isinstance(
        next_action(verdict.instance, ports.clock.now()), Idle
    ):
        ports.wakeups.invoke(verdict.instance.sid)
    return verdict


def control_event(
    ports: Ports,
    sid: InstanceSid,
    command: Execute | CancelEvent | Resolve,
    *,
    known: Instance | None = None,
) -> Verdict | None:
    """Execute a command on one event, open or closed, and return its verdict. Return None if there is no such event.

    ``known`` is the same as for ``control``.
    Raises: ContentionError: nothing was written.
    """
    verdict = control(ports, sid, command, known=known)
    if not isinstance(verdict, Refused) or verdict.rule is not RefusalRule.FINISHED:
        return verdict
    record = ports.instances.event_history(sid, command.seq).record
    return None if record is None else decide_closed_event(verdict.instance, record, command)
