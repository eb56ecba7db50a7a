"""Execute a command on one instance, or only preview it, and list the coming runs after it.

Source: docs/design.md section 8; docs/contracts/core.md section 5; docs/decisions/0062.
"""

from contextlib import suppress

from msgspec import Struct

from shared.application.commit import decide_loaded, strategy_of
from shared.application.control import control
from shared.application.ports import Ports, UnknownStrategyError
from shared.domain.errors import RitornelloError
from shared.domain.ids import InstanceSid
from shared.domain.instance.model import Instance
from shared.domain.instance.verdict import Refused, Verdict
from shared.domain.lifecycle.commands import Command
from shared.domain.planning.forecast import ComingRuns, coming_runs


class Commanded(Struct, frozen=True, kw_only=True):
    """The verdict on a command, and the coming runs after it.

    ``coming`` is None if the command was refused, or if the settings cannot be read.
    """

    verdict: Verdict
    coming: ComingRuns | None = None


def command_or_preview(
    ports: Ports, sid: InstanceSid, command: Command, *, dry_run: bool, known: Instance | None = None
) -> Commanded | None:
    """Execute a command, or with ``dry_run`` only decide it. Return None if there is no such instance.

    A dry run stores nothing and wakes no runner. ``known`` is the same as for ``control``.
    Raises: ContentionError: nothing was written.
    """
    if dry_run:
        instance = known or ports.instances.load(sid)
        verdict = None if instance is None else decide_loaded(ports, instance, command)
    else:
        verdict = control(ports, sid, command, known=known)
    if verdict is None or isinstance(verdict, Refused):
        return None if verdict is None else Commanded(verdict=verdict)
    return Commanded(verdict=verdict, coming=_coming(ports, verdict.instance))


def _coming(ports: Ports, instance: Instance) -> ComingRuns | None:
    # A pause or a cancel has taken effect even if the settings cannot be read.
    with suppress(RitornelloError, UnknownStrategyError):
        # The command has just read the version, so the store returns it without a second read.
        now = ports.clock.now()
        return coming_runs(strategy_of(ports, instance, now=now), instance, now=now)
    return None
