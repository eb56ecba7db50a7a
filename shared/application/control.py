"""Operators' commands: decide, store with audit, wake a runner. Source: design section 8."""

from shared.application.committing import settled
from shared.application.ports import Ports
from shared.domain.attention import Nothing, look
from shared.domain.commands import Command
from shared.domain.decision import Applied, Verdict
from shared.domain.ids import InstanceSid


def control(ports: Ports, sid: InstanceSid, command: Command) -> Verdict | None:
    """What a command came to; None where there is no such instance. Repeating it is safe.

    A runner is woken where something is left to run: it arms the next wakeup itself, so no command waits for
    the scheduler. Raises: ContentionError: nothing was written.
    """
    verdict = settled(ports, sid, command)
    if isinstance(verdict, Applied) and not isinstance(look(verdict.instance, ports.clock.now()), Nothing):
        ports.wakeups.invoke(sid)
    return verdict
