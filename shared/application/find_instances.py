"""Some of a strategy's instances, found by what they are, youngest first. Source: contracts/automation.md A.1."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from shared.application.ports import PageKey, Ports
from shared.domain.errors import RitornelloError
from shared.domain.ids import InstanceSid, StrategySid
from shared.domain.instance.model import Instance, InstanceStatus

MAX_SCANNED = 10_000
"""So many instances are looked at for one answer."""

_TOGETHER = 100
_ONE_MILLISECOND = timedelta(milliseconds=1)


class TooManyToLookAtError(RitornelloError):
    """More instances would have to be looked at than is done for one answer."""

    code = "TOO_MANY_TO_LOOK_AT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """Which instances: of a strategy, of a version or any, created within bounds, which are included."""

    strategy: StrategySid
    statuses: Sequence[InstanceStatus] = tuple(InstanceStatus)
    version: int | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None


def found(ports: Ports, sought: Sought, *, offset: int, limit: int) -> list[Instance]:
    """So many of them behind the first ``offset``. One that changes its status just now may be missed.

    Raises: TooManyToLookAtError: those before them, or between them, are too many.
    """
    return list(islice(_matching(ports, sought), offset, offset + limit))


def _matching(ports: Ports, sought: Sought) -> Iterator[Instance]:
    before = _beginning(sought)
    for _ in range(MAX_SCANNED // _TOGETHER):
        listed = ports.instances.of_strategy(sought.strategy, sought.statuses, before=before, limit=_TOGETHER)
        for instance in _loaded(ports, listed):
            if sought.created_from is not None and instance.created_at < sought.created_from:
                return
            if instance.status in sought.statuses and sought.version in (None, instance.strategy_version):
                yield instance
        if len(listed) < _TOGETHER:
            return
        before = listed[-1]
    if ports.instances.of_strategy(sought.strategy, sought.statuses, before=before, limit=1):
        raise TooManyToLookAtError(f"more than {MAX_SCANNED} instances would have to be looked at")


def _beginning(sought: Sought) -> PageKey | None:
    """The place before which those stand that were created up to ``created_to``: dates are in whole milliseconds."""
    at = sought.created_to
    if at is None:
        return None
    whole = at.replace(microsecond=at.microsecond // 1000 * 1000)
    return PageKey(created_at=whole + _ONE_MILLISECOND, sid="")


def _loaded(ports: Ports, listed: Sequence[PageKey]) -> list[Instance]:
    """The listed instances as they are now, in their order."""
    sids = [InstanceSid(one.sid) for one in listed]
    known = {instance.sid: instance for instance in ports.instances.load_many(sids)} if sids else {}
    return [known[sid] for sid in sids if sid in known]
