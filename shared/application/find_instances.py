"""Find instances of a strategy by version, status and date, youngest first.

Source: docs/contracts/automation.md A.1.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice

from msgspec import Struct

from shared.application.ports import PageKey, Ports, Unreadable
from shared.domain.errors import RitornelloError
from shared.domain.ids import InstanceSid, StrategySid
from shared.domain.instance.model import Instance, InstanceStatus

MAX_SCANNED = 10_000
"""How many instances one query scans at most."""

_PAGE = 100
_ONE_MILLISECOND = timedelta(milliseconds=1)


class TooManyScannedError(RitornelloError):
    """The query would have to scan more instances than one request may."""

    code = "TOO_MANY_SCANNED"


class InstancesFound(Struct, frozen=True, kw_only=True):
    """The instances that match a query, and those it passed that cannot be read."""

    instances: tuple[Instance, ...]
    unreadable: tuple[Unreadable[InstanceSid], ...]


class InstanceQuery(Struct, frozen=True, kw_only=True):
    """Which instances to find. ``version`` is None for any version; both creation dates are included."""

    strategy: StrategySid
    statuses: Sequence[InstanceStatus] = tuple(InstanceStatus)
    version: int | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None


def find_instances(
    ports: Ports, query: InstanceQuery, *, offset: int, limit: int, max_scanned: int = MAX_SCANNED
) -> InstancesFound:
    """Return up to ``limit`` matching instances after the first ``offset``.

    An instance that changes its status during the query may be missed.
    Raises: TooManyScannedError: more than ``max_scanned`` instances would have to be scanned.
    """
    unreadable: list[Unreadable[InstanceSid]] = []
    matching = _matching(ports, query, max_scanned, unreadable)
    found = tuple(islice(matching, offset, offset + limit))
    return InstancesFound(instances=found, unreadable=tuple(unreadable))


def _matching(
    ports: Ports, query: InstanceQuery, max_scanned: int, unreadable: list[Unreadable[InstanceSid]]
) -> Iterator[Instance]:
    """Yield the instances that match. Those that cannot be read are added to ``unreadable``."""
    before = _beginning(query)
    for _ in range(max_scanned // _PAGE):
        page_keys = ports.instances.of_strategy(query.strategy, query.statuses, before=before, limit=_PAGE)
        for instance in _loaded(ports, page_keys):
            if isinstance(instance, Unreadable):
                unreadable.append(instance)
                continue
            # Keys are sorted by creation, so nothing older can match.
            if query.created_from is not None and instance.created_at < query.created_from:
                return
            if instance.status in query.statuses and query.version in (None, instance.strategy_version):
                yield instance
        if len(page_keys) < _PAGE:
            return
        before = page_keys[-1]
    if ports.instances.of_strategy(query.strategy, query.statuses, before=before, limit=1):
        raise TooManyScannedError(f"the query scans more than {max_scanned} instances; narrow its dates")


def _beginning(query: InstanceQuery) -> PageKey | None:
    """Return the key before which the instances created up to ``created_to`` are listed.

    Stored dates are in milliseconds.
    """
    at = query.created_to
    if at is None:
        return None
    whole = at.replace(microsecond=at.microsecond // 1000 * 1000)
    return PageKey(created_at=whole + _ONE_MILLISECOND, sid="")


def _loaded(ports: Ports, page_keys: Sequence[PageKey]) -> list[Instance | Unreadable[InstanceSid]]:
    """Return the listed instances as they are now, in the same order."""
    sids = [InstanceSid(key.sid) for key in page_keys]
    found = ports.instances.load_many(sids) if sids else []
    known = {item.key if isinstance(item, Unreadable) else item.sid: item for item in found}
    return [known[sid] for sid in sids if sid in known]
