"""Scan the instances of a selection, oldest first, on the existing indexes.

The indexes are eventually consistent. An instance may be missed if it was created just before the operation began, or
if it changes its status while the scan passes. Every instance is loaded, and selected by its state at that time.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from shared.application.bulk.item_command import command_for
from shared.application.commit import decide_loaded
from shared.application.ports import PageKey, PhaseWindow, Ports, UnknownStrategyError, Unreadable
from shared.domain.bulk.operation import (
    BulkCommand,
    ItemOutcome,
    ItemResult,
    result_of,
)
from shared.domain.bulk.selection import (
    START,
    Batch,
    Cursor,
    Found,
    OfAny,
    OfAttribute,
    OfFolder,
    OfIds,
    OfPhases,
    OfReference,
    OfStrategy,
    Part,
    Selection,
    created_since,
    created_until,
    is_selected,
    is_still_selected,
    scanned_statuses,
)
from shared.domain.errors import RitornelloError
from shared.domain.ids import AccountId, InstanceSid, OperationSid, StrategySid
from shared.domain.instance.model import Instance
from shared.domain.instance.verdict import Refused

MAX_SCANNED = 500
"""How many instances, or strategies of a folder, are scanned before the cursor is saved."""

MAX_COUNTED = 1000
"""A dry run stops counting at this number."""

MAX_LOADED = 100
"""How many instances are loaded at once."""

FOLDER_PAGE = 25
"""How many strategies of a folder are listed at once."""


class SelectionScan(Struct, frozen=True, kw_only=True):
    """A scan of an account's instances.

    Instances created after ``begun_at`` are not selected. ``cursor`` is the position at which the scan continues.
    """

    account: AccountId
    selection: Selection
    begun_at: datetime
    cursor: Cursor = START


class ScannedBatch(Struct, frozen=True, kw_only=True):
    """The next batch, and those of its instances that could be read, as they were then."""

    batch: Batch
    instances: Mapping[InstanceSid, Instance]


class SelectionCount(Struct, frozen=True, kw_only=True):
    """The number of selected instances, as far as they were counted, and the first of them."""

    count: int
    is_exact: bool
    first: tuple[Instance, ...]


class _Candidate(Struct, frozen=True, kw_only=True):
    """One step of the scan. ``sid`` is None if the instance is not selected. ``cursor`` is the position after it."""

    cursor: Cursor
    sid: InstanceSid | None = None
    instance: Instance | None = None


def next_batch(ports: Ports, scan: SelectionScan, *, size: int) -> ScannedBatch:
    """Return the next ``size`` instances of a selection, or fewer if ``MAX_SCANNED`` is reached first."""
    sids: list[InstanceSid] = []
    loaded: dict[InstanceSid, Instance] = {}
    cursor = scan.cursor
    for scanned, step in enumerate(_steps(ports, scan, page=size), start=1):
        cursor = step.cursor
        sids += [] if step.sid is None else [step.sid]
        loaded |= {} if step.instance is None else {step.instance.sid: step.instance}
        if len(sids) == size or scanned == MAX_SCANNED:
            return ScannedBatch(batch=Batch(sids=tuple(sids), cursor=cursor, at_end=False), instances=loaded)
    return ScannedBatch(batch=Batch(sids=tuple(sids), cursor=cursor, at_end=True), instances=loaded)


def selected_instances(
    ports: Ports, scan: SelectionScan, *, most: int
) -> Iterator[Instance | Unreadable[InstanceSid]]:
    """Yield the instances of a selection as they are now. At most ``most`` instances are scanned.

    Those that cannot be read are among them, whatever the filter of the selection is.
    """
    for step in islice(_steps(ports, scan, page=MAX_LOADED), most):
        if step.instance is not None:
            yield step.instance
        elif step.sid is not None:
            yield Unreadable(key=step.sid, why="listed, and cannot be read")


def count(ports: Ports, scan: SelectionScan, *, most: int) -> SelectionCount:
    """Count the instances of a selection and return the count with the first ``most`` of them."""
    number, first = 0, list[Instance]()
    for scanned, step in enumerate(_steps(ports, scan, page=MAX_LOADED), start=1):
        # An unknown id counts in an operation, where it is reported, but not in a preview.
        if step.sid is not None and (step.instance is not None or not isinstance(scan.selection, OfIds)):
            number += 1
            first += [] if step.instance is None or len(first) == most else [step.instance]
        if scanned == MAX_COUNTED:
            return SelectionCount(count=number, is_exact=False, first=tuple(first))
    return SelectionCount(count=number, is_exact=True, first=tuple(first))


def preview(ports: Ports, instance: Instance, command: BulkCommand, operation: OperationSid) -> ItemResult:
    """Return the result that a command would have on an instance now. Nothing is stored."""
    try:
        command_or_refusal = command_for(ports, command, instance)
        if isinstance(command_or_refusal, Refused):
            return result_of(instance.sid, command_or_refusal, operation)
        verdict = decide_loaded(ports, instance, command_or_refusal)
    except (RitornelloError, UnknownStrategyError) as error:
        return ItemResult(
            sid=instance.sid, outcome=ItemOutcome.FAILED, why=f"{type(error).__name__}: {error}"
        )
    return result_of(instance.sid, verdict, operation)


def load_readable(ports: Ports, sids: Sequence[InstanceSid]) -> dict[InstanceSid, Instance]:
    """Return those of these instances that exist and can be read."""
    found = ports.instances.load_many(sids) if sids else []
    return {item.sid: item for item in found if not isinstance(item, Unreadable)}


def _steps(ports: Ports, scan: SelectionScan, *, page: int) -> Iterator[_Candidate]:
    match scan.selection:
        case OfIds(ids=ids):
            yield from _of_ids(ports, scan, ids, page=page)
        case OfStrategy() | OfFolder() as part:
            yield from _of_part(ports, part, scan, page=page)
        case OfAny(parts=parts):
            yield from _of_parts(ports, parts, scan, page=page)
        case OfPhases() | OfReference() | OfAttribute() as found:
            yield from _of_found(ports, found, scan, page=page)
        case _:
            assert_never(scan.selection)


def _of_parts(ports: Ports, parts: Sequence[Part], scan: SelectionScan, *, page: int) -> Iterator[_Candidate]:
    """Scan one part after another. Between two parts, the cursor points to the beginning of the next."""
    for number in range(scan.cursor.part, len(parts)):
        cursor = scan.cursor if number == scan.cursor.part else Cursor(part=number)
        for step in _of_part(ports, parts[number], replace(scan, cursor=cursor), page=page):
            yield replace(step, cursor=replace(step.cursor, part=number))
        yield _Candidate(cursor=Cursor(part=number + 1))


def _of_part(ports: Ports, part: Part, scan: SelectionScan, *, page: int) -> Iterator[_Candidate]:
    match part:
        case OfStrategy(strategy=strategy, version=version, instance_filter=instance_filter):
            # With a filter, more instances are scanned than selected, so larger pages save reads.
            few = page if version is None and instance_filter is None else MAX_LOADED
            yield from _of_strategy(ports, strategy, part, scan, page=few)
        case OfFolder(instance_filter=instance_filter):
            yield from _of_folder(ports, part, scan, page=page if instance_filter is None else MAX_LOADED)
        case _:
            assert_never(part)


def _of_found(ports: Ports, selection: Found, scan: SelectionScan, *, page: int) -> Iterator[_Candidate]:
    """Yield the instances of a selection by phase, reference or attribute.

    An instance that cannot be read counts as selected, so that its failure is reported.
    """
    cursor = scan.cursor
    while True:
        cursors = _cursors(ports, scan, selection, cursor, page)
        loaded = load_readable(ports, [each.sid for each in cursors if each.sid is not None])
        for cursor in cursors:
            instance = None if cursor.sid is None else loaded.get(cursor.sid)
            if instance is None or (
                instance.created_at <= scan.begun_at
                and is_still_selected(selection, instance, now=ports.clock.now())
            ):
                yield _Candidate(cursor=cursor, sid=cursor.sid, instance=instance)
            else:
                yield _Candidate(cursor=cursor)
        if len(cursors) < page:
            return


def _cursors(ports: Ports, scan: SelectionScan, selection: Found, after: Cursor, page: int) -> list[Cursor]:
    """Return the positions of the next instances after a position."""
    account = scan.account
    match selection:
        case OfPhases(ranges=ranges):
            window = PhaseWindow(after=after.order or None, is_ascending=True)
            entries = ports.instances.in_phases(account, ranges, window=window, limit=page)
            return [Cursor(order=entry.order, sid=entry.sid) for entry in entries]
        case OfReference(reference=reference):
            before = _before(after)
            keys = ports.instances.with_reference(account, reference, before=before, limit=page)
        case OfAttribute(name=name, text=text):
            before = _before(after)
            keys = ports.instances.with_attribute(account, name, text, before=before, limit=page)
        case _:
            assert_never(selection)
    return [Cursor(created_at=key.created_at, sid=InstanceSid(key.sid)) for key in keys]


def _before(cursor: Cursor) -> PageKey | None:
    if cursor.created_at is None or cursor.sid is None:
        return None
    return PageKey(created_at=cursor.created_at, sid=cursor.sid)


def _of_ids(
    ports: Ports, scan: SelectionScan, ids: Sequence[InstanceSid], *, page: int
) -> Iterator[_Candidate]:
    """Yield the instances with these ids. An instance of another account is yielded as if it did not exist."""
    for start in range(scan.cursor.passed, len(ids), page):
        some = ids[start : start + page]
        loaded = load_readable(ports, some)
        for number, sid in enumerate(some, start=start + 1):
            instance = loaded.get(sid)
            own = instance is not None and instance.account_id == scan.account
            yield _Candidate(cursor=Cursor(passed=number), sid=sid, instance=instance if own else None)


def _of_folder(ports: Ports, selection: OfFolder, scan: SelectionScan, *, page: int) -> Iterator[_Candidate]:
    cursor = scan.cursor
    if cursor.strategy is not None:
        yield from _of_strategy(ports, cursor.strategy, selection, scan, page=page)
        yield _Candidate(cursor=Cursor(folder_name=cursor.folder_name))
    while True:
        entries = ports.strategies.in_folder(
            scan.account, selection.folder, after=cursor.folder_name, limit=FOLDER_PAGE
        )
        for entry in entries:
            if selection.is_flat and not entry.folder_name.startswith(f"{selection.folder}#"):
                return  # entries of the folder itself sort before those of its subfolders
            cursor = Cursor(folder_name=entry.folder_name, strategy=entry.sid)
            yield from _of_strategy(ports, entry.sid, selection, replace(scan, cursor=cursor), page=page)
            yield _Candidate(cursor=Cursor(folder_name=entry.folder_name))
        if len(entries) < FOLDER_PAGE:
            return


def _of_strategy(
    ports: Ports, strategy: StrategySid, selection: Part, scan: SelectionScan, *, page: int
) -> Iterator[_Candidate]:
    """Yield the instances of one strategy.

    An instance that cannot be read counts as selected, so that its failure is reported.
    """
    until = created_until(selection, scan.begun_at)
    after = _start_key(selection, scan.cursor)
    while True:
        page_keys = ports.instances.oldest_of_strategy(
            strategy, scanned_statuses(selection), after=after, until=until, limit=page
        )
        loaded = load_readable(ports, [InstanceSid(key.sid) for key in page_keys])
        for after in page_keys:
            sid = InstanceSid(after.sid)
            instance = loaded.get(sid)
            cursor = replace(scan.cursor, created_at=after.created_at, sid=sid)
            if instance is None or is_selected(selection, instance, now=ports.clock.now()):
                yield _Candidate(cursor=cursor, sid=sid, instance=instance)
            else:
                yield _Candidate(cursor=cursor)
        if len(page_keys) < page:
            return


def _start_key(selection: Part, cursor: Cursor) -> PageKey | None:
    """Return the key after which the scan continues: the cursor's, or the one before the first date."""
    since = created_since(selection)
    return _before(cursor) or (None if since is None else PageKey(created_at=since, sid=""))
