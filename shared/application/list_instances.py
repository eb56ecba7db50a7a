"""List an account's instances: all, or by reference, attribute, phase, strategy or folder.

Each kind of list is served by one index. A page costs as much as it shows, however many instances there are, with one
exception: an account's instances with a status.
Source: docs/contracts/core.md section 4, row 23, and section 5.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice, zip_longest
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from shared.application.ports import (
    FolderEntry,
    PageKey,
    PhaseWindow,
    Ports,
    Unreadable,
    page_key_of,
    page_key_text,
)
from shared.domain.ids import AccountId, InstanceSid, StrategySid
from shared.domain.instance.lookup import searched_attributes
from shared.domain.instance.model import Instance, InstanceStatus
from shared.domain.instance.phase import Phase, PhaseRange, is_in_range, list_label, list_labels

MAX_SCANNED = 500
"""How many instances are scanned for one page that filters an account's instances by status."""

MAX_STRATEGIES = 100
"""How many strategies of a folder are looked at for one page."""

FOLDER_PAGE = 25

_ONE_MILLISECOND = timedelta(milliseconds=1)
_ALL = tuple(InstanceStatus)
_SEPARATOR = "|"
"""Separates the parts of a position in a folder."""


class CreationRange(Struct, frozen=True, kw_only=True):
    """Bounds of the creation date, both inclusive; None for no bound."""

    since: datetime | None = None
    until: datetime | None = None

    @property
    def first_key(self) -> PageKey | None:
        """Return the position before which the first page begins. Stored dates are in milliseconds."""
        if self.until is None:
            return None
        whole = self.until.replace(microsecond=self.until.microsecond // 1000 * 1000)
        return PageKey(created_at=whole + _ONE_MILLISECOND, sid="")


EVER = CreationRange()
"""No bounds."""


class ByAccount(Struct, frozen=True, kw_only=True):
    """All instances of the account, youngest first. A page for one status scans a limited number of instances."""

    status: InstanceStatus | None = None
    created: CreationRange = EVER


class ByStrategy(Struct, frozen=True, kw_only=True):
    """Instances of a strategy, youngest first. A status may also be the phase of a stop."""

    strategy: StrategySid
    statuses: Sequence[InstanceStatus | Phase] = _ALL
    created: CreationRange = EVER


class ByFolder(Struct, frozen=True, kw_only=True):
    """Instances of all strategies in a folder or below it: by folder and name of the strategy, then youngest first."""

    folder: str
    statuses: Sequence[InstanceStatus | Phase] = _ALL
    created: CreationRange = EVER


class ByPhase(Struct, frozen=True, kw_only=True):
    """Instances in some phases or stopped for some reasons, by reason and strategy, then youngest first."""

    ranges: Sequence[PhaseRange]


class ByReference(Struct, frozen=True, kw_only=True):
    """Instances with a reference, youngest first."""

    reference: str


class ByAttribute(Struct, frozen=True, kw_only=True):
    """Instances with a value of a searchable attribute, youngest first. ``text`` is that of ``attribute_text``."""

    name: str
    text: str


InstanceList = ByAccount | ByStrategy | ByFolder | ByPhase | ByReference | ByAttribute
"""A list of instances of an account."""


class Page(Struct, frozen=True, kw_only=True):
    """Instances, and the position after which the next page begins. ``after`` is None on the last page.

    ``unreadable`` are the instances that would be listed and cannot be read, whatever their state.
    """

    instances: tuple[Instance, ...]
    after: str | None
    unreadable: tuple[Unreadable[InstanceSid], ...] = ()


_Keys = Callable[[PageKey | None, int], list[PageKey]]
"""Returns the youngest positions before one, at most so many."""

_Belongs = Callable[[Instance], bool]


class _Entry(Struct, frozen=True, kw_only=True):
    """An instance of a list, as it is now, with its position."""

    position: str
    item: Instance | Unreadable[InstanceSid]


def page_of(ports: Ports, account: AccountId, which: InstanceList, *, after: str | None, limit: int) -> Page:
    """Return the next page of a list. An instance that has just left it is left out."""
    match which:
        case ByAccount(status=status) if status is not None:
            return _with_status(ports, account, which, after=after, limit=limit)
        case ByFolder():
            return _in_folder(ports, account, which, after=after, limit=limit)
        case ByPhase():
            return _in_phases(ports, account, which, after=after, limit=limit)
        case ByAccount() | ByStrategy() | ByReference() | ByAttribute():
            before = _first_key(which) if after is None else page_key_of(after)
            page_keys = _keys(ports, account, which)(before, limit + 1)
            found = _loaded(ports, page_keys[:limit], _belongs(which))
            return _page(found, page_key_text(page_keys[limit - 1]) if len(page_keys) > limit else None)
        case _:
            assert_never(which)


_Aged = ByAccount | ByStrategy | ByReference | ByAttribute
"""A list that is sorted by age."""


def _keys(ports: Ports, account: AccountId, which: _Aged) -> _Keys:
    instances = ports.instances
    match which:
        case ByAccount(created=created):
            return lambda before, most: instances.of_account(
                account, before=before, limit=most, since=created.since
            )
        case ByStrategy(strategy=strategy, statuses=statuses, created=created):
            return lambda before, most: instances.of_strategy(
                strategy, statuses, before=before, limit=most, since=created.since
            )
        case ByReference(reference=reference):
            return lambda before, most: instances.with_reference(
                account, reference, before=before, limit=most
            )
        case ByAttribute(name=name, text=text):
            return lambda before, most: instances.with_attribute(
                account, name, text, before=before, limit=most
            )
        case _:
            assert_never(which)


def _first_key(which: _Aged) -> PageKey | None:
    """Return the position before which the first page begins, or None."""
    return which.created.first_key if isinstance(which, ByAccount | ByStrategy) else None


def _belongs(which: _Aged) -> _Belongs:
    """Return the check whether an instance as it is now is still in the list."""
    match which:
        case ByAccount() | ByReference():
            return lambda _: True
        case ByStrategy(statuses=statuses):
            labels = {label for status in statuses for label in list_labels(status)}
            return lambda instance: list_label(instance) in labels
        case ByAttribute(name=name, text=text):
            return lambda instance: (name, text) in searched_attributes(instance)
        case _:
            assert_never(which)


def _with_status(
    ports: Ports, account: AccountId, which: ByAccount, *, after: str | None, limit: int
) -> Page:
    """Return instances of an account with one status.

    The index by account does not know the status. So a page scans a limited number of instances: it may hold fewer
    than ``limit``, or none, and still not be the last.
    """
    before = _first_key(which) if after is None else page_key_of(after)
    found: list[_Entry] = []
    for _ in range(max(MAX_SCANNED // limit, 1)):
        page_keys = _keys(ports, account, which)(before, limit + 1)
        some = _loaded(ports, page_keys[:limit], lambda instance: instance.status is which.status)
        room = limit - len(found)
        found += some[:room]
        if len(some) > room:
            return _page(found, found[-1].position)
        if len(page_keys) <= limit:
            return _page(found, None)
        before = page_keys[limit - 1]
        if len(found) == limit:
            break
    return _page(found, None if before is None else page_key_text(before))


class _Place(Struct, frozen=True, kw_only=True):
    """A strategy in its folder, and the position in its instances before which a page begins, if it does there."""

    entry: FolderEntry
    before: str = ""

    @property
    def position(self) -> str:
        """Return the position as text. Names of folders and strategies, and sids, have no separator."""
        return _SEPARATOR.join((self.entry.folder_name, self.entry.sid, self.before))


def _in_folder(ports: Ports, account: AccountId, which: ByFolder, *, after: str | None, limit: int) -> Page:
    """Return instances of the strategies in a folder.

    The number of strategies is limited. So a page may hold fewer than ``limit``, or none, and still not be the last.
    """
    found: list[_Entry] = []
    places = list(islice(_places(ports, account, which.folder, after), MAX_STRATEGIES + 1))
    for place, following in zip_longest(places[:MAX_STRATEGIES], places[1:]):
        of_one = ByStrategy(strategy=place.entry.sid, statuses=which.statuses, created=which.created)
        before = page_key_of(place.before) if place.before else _first_key(of_one)
        room = limit - len(found)
        page_keys = _keys(ports, account, of_one)(before, room + 1)
        found += _loaded(ports, page_keys[:room], _belongs(of_one))
        if len(page_keys) > room:
            return _page(found, replace(place, before=page_key_text(page_keys[room - 1])).position)
        if following is None:
            return _page(found, None)
        if len(found) == limit:
            return _page(found, following.position)
    return _page(found, places[-1].position if places else None)


def _places(ports: Ports, account: AccountId, folder: str, after: str | None) -> Iterator[_Place]:
    """Yield the strategies of a folder from a position on."""
    folder_name = ""
    if after is not None:
        folder_name, sid, before = after.split(_SEPARATOR)
        yield _Place(entry=FolderEntry(sid=StrategySid(sid), folder_name=folder_name), before=before)
    while entries := ports.strategies.in_folder(account, folder, after=folder_name, limit=FOLDER_PAGE):
        yield from (_Place(entry=entry) for entry in entries)
        folder_name = entries[-1].folder_name


def _in_phases(ports: Ports, account: AccountId, which: ByPhase, *, after: str | None, limit: int) -> Page:
    window = PhaseWindow(after=after)
    page_keys = ports.instances.in_phases(account, which.ranges, window=window, limit=limit + 1)
    chosen = page_keys[:limit]
    found = _entries(
        ports,
        [(entry.order, entry.sid) for entry in chosen],
        lambda instance: any(is_in_range(phase_range, instance) for phase_range in which.ranges),
    )
    return _page(found, chosen[-1].order if len(page_keys) > limit else None)


def _loaded(ports: Ports, page_keys: Sequence[PageKey], belongs: _Belongs) -> list[_Entry]:
    return _entries(ports, [(page_key_text(key), InstanceSid(key.sid)) for key in page_keys], belongs)


def _entries(ports: Ports, page_keys: Sequence[tuple[str, InstanceSid]], belongs: _Belongs) -> list[_Entry]:
    """Return the listed instances as they are now, in the same order, if they still belong to the list.

    Those that cannot be read are among them.
    """
    found = ports.instances.load_many([sid for _, sid in page_keys]) if page_keys else []
    known = {item.key if isinstance(item, Unreadable) else item.sid: item for item in found}
    return [
        _Entry(position=position, item=item)
        for position, sid in page_keys
        if (item := known.get(sid)) is not None and (isinstance(item, Unreadable) or belongs(item))
    ]


def _page(found: Sequence[_Entry], after: str | None) -> Page:
    items = [entry.item for entry in found]
    return Page(
        instances=tuple(item for item in items if not isinstance(item, Unreadable)),
        after=after,
        unreadable=tuple(item for item in items if isinstance(item, Unreadable)),
    )
