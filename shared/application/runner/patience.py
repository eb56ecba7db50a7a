"""Patience of a runner if a store is unavailable after its claim: try again, and then give the claim back.

Source: docs/design.md section 3.9.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

from shared.application.commit import MAX_RACES, ContentionError, try_commit
from shared.application.ports import Ports, UnavailableError
from shared.domain.instance.model import Instance
from shared.domain.instance.verdict import Applied
from shared.domain.lifecycle.commands import GiveBack
from shared.domain.lifecycle.takeover import CRASH_WINDOW
from shared.domain.strategy.model import Strategy

T = TypeVar("T")

FIRST_PAUSE = timedelta(milliseconds=500)
"""The pause before the second attempt; each further pause is twice as long."""

MAX_PAUSE = timedelta(seconds=5)

LAST_SECONDS = timedelta(seconds=5)
"""The end of a lease or an invocation, in which a runner no longer tries again."""


class CallUnrecordedError(UnavailableError):
    """The call of a visit may have been sent, and its result could not be stored."""

    def __init__(self, visit: int) -> None:
        """Keep the visit."""
        super().__init__(f"the result of visit {visit} could not be stored")
        self.visit = visit


def patiently(ports: Ports, work: Callable[[], T], *, until: datetime) -> T:
    """Do something that may be repeated safely, again and again while a store is unavailable, up to an instant.

    Raises: UnavailableError: the store was still unavailable then.
    """
    pause = FIRST_PAUSE
    while True:
        try:
            return work()
        except UnavailableError:
            if ports.clock.now() + pause > until:
                raise
        ports.clock.sleep(pause.total_seconds())
        pause = min(2 * pause, MAX_PAUSE)


def record_call(ports: Ports, instance: Instance, visit: int, work: Callable[[], T]) -> T:
    """Store the result of a call, again and again up to the end of the lease.

    Raises: CallUnrecordedError.
    """
    # The result exists only in this process. Without it, the call is in doubt and is sent again.
    end = ports.clock.now() if instance.lease is None else instance.lease.until
    try:
        return patiently(ports, work, until=end - LAST_SECONDS)
    except UnavailableError as error:
        raise CallUnrecordedError(visit) from error


def give_back(
    ports: Ports, strategy: Strategy, claimed: Instance, command: GiveBack, *, time_left: timedelta
) -> Instance | None:
    """Give a claim back and return the instance, or None if the claim is not stored or not valid any more.

    Raises: UnavailableError: the store was unavailable for the rest of the invocation, or for so long that the next
    claim counts no crash in any case.
    """
    now = ports.clock.now()
    lapses_at = now if claimed.lease is None else claimed.lease.until
    until = min(now + time_left - LAST_SECONDS, lapses_at + CRASH_WINDOW)
    return patiently(ports, lambda: _give_back(ports, strategy, claimed, command), until=until)


def _give_back(ports: Ports, strategy: Strategy, claimed: Instance, command: GiveBack) -> Instance | None:
    for _ in range(MAX_RACES):
        instance = ports.instances.load(claimed.sid)
        if instance is None:
            return None
        # The strategy at hand: loading another version might need a store or KMS that is unavailable.
        verdict = try_commit(ports, strategy, instance, command)
        if verdict is not None:
            return verdict.instance if isinstance(verdict, Applied) else None
    raise ContentionError(f"instance {claimed.sid} changed {MAX_RACES} times while its claim was given back")
