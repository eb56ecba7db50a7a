"""Walking through the instances of a selection, oldest first, on the indexes there are.

An index may lag by a moment: an instance created in the last one before the operation began, or changing its
status just as the walk comes by, may be missed. One that is found is loaded, and selected by what it is then.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import assert_never

from shared.application.ports import PageKey, Ports, UnknownStrategyError
from shared.domain.bulk.operation import (
    BulkCommand,
    ItemOutcome,
    ItemResult,
    MigrateTo,
    RunWaiting,
    result_of,
)
from shared.domain.bulk.selection import (
    START,
    Batch,
    Cursor,
    OfAny,
    OfFolder,
    OfIds,
    OfStrategy,
    Part,
    Selection,
    created_since,
    created_until,
    is_selected,
)
from shared.domain.errors import RitornelloError
from shared.domain.ids import AccountId, InstanceSid, OperationSid, StrategySid
from shared.domain.instance.model import Instance
from shared.domain.instance.phase import waiting_event
from shared.domain.instance.verdict import RefusalRule, Refused
from shared.domain.lifecycle.commands import Command, Execute, Migrate
from shared.domain.lifecycle.decide import decide

MAX_SCANNED = 500
"""So many instances, or strategies of a folder, are looked at before it is written down how far that came."""

MAX_COUNTED = 1000
"""A dry run counts so far and no further."""

MAX_LOADED = 100
"""So many instances are loaded together."""

FOLDER_PAGE = 25
"""So many strategies of a folder are listed together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionScan:
    """A walk through an account's instances. begun_at: later ones are not meant. cursor: where it goes on."""

    account: AccountId
    selection: Selection
    begun_at: datetime
    cursor: Cursor = START


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannedBatch:
    """The next slice. instances: those of it that could be read, as they were then."""

    batch: Batch
    instances: Mapping[InstanceSid, Instance]


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionCount:
    """How many a selection is of, so far as was counted, and the first ones of it."""

    count: int
    is_exact: bool
    first: tuple[Instance, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """One step of the walk. sid: of an instance that is selected. cursor: behind it."""

    cursor: Cursor
    sid: InstanceSid | None = None
    instance: Instance | None = None


def next_batch(ports: Ports, scan: SelectionScan, *, size: int) -> ScannedBatch:
    """The next instances of a selection, ``size`` at most: fewer where only so many are looked at for it."""
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


def selected_instances(ports: Ports, scan: SelectionScan, *, most: int) -> Iterator[Instance]:
    """The instances of a selection as they are now, a page at a time; ``most`` are looked at for them at most.

    Those that cannot be read are left out.
    """
    for step in islice(_steps(ports, scan, page=MAX_LOADED), most):
        if step.instance is not None:
            yield step.instance


def count(ports: Ports, scan: SelectionScan, *, most: int) -> SelectionCount:
    """How many instances of the account a selection is of; the first ``most`` of them are told."""
    number, first = 0, list[Instance]()
    for scanned, step in enumerate(_steps(ports, scan, page=MAX_LOADED), start=1):
        if step.sid is not None and (step.instance is not None or not isinstance(scan.selection, OfIds)):
            number += 1
            first += [] if step.instance is None or len(first) == most else [step.instance]
        if scanned == MAX_COUNTED:
            return SelectionCount(count=number, is_exact=False, first=tuple(first))
    return SelectionCount(count=number, is_exact=True, first=tuple(first))


def command_for(ports: Ports, command: BulkCommand, instance: Instance) -> Command | Refused:
    """A bulk operation's command as it is for one instance.

    Refused where its strategy has no such version, or nothing of it waits for what is named.
    """
    match command:
        case MigrateTo(version=version, by=by):
            try:
                return Migrate(to=ports.strategies.load(instance.strategy_sid, version), by=by)
            except UnknownStrategyError:
                return Refused(
                    instance=instance, why=f"its strategy has no version {version}", rule=RefusalRule.STATE
                )
        case RunWaiting(what=what, by=by):
            event = waiting_event(instance, what, now=ports.clock.now())
            if event is None:
                return Refused(instance=instance, why="nothing of it waits for that", rule=RefusalRule.STATE)
            return Execute(seq=event.seq, by=by)
        case _:
            return command


def preview(ports: Ports, instance: Instance, command: BulkCommand, operation: OperationSid) -> ItemResult:
    """What a command would come to on an instance now; nothing is stored."""
    try:
        strategy = ports.strategies.load(instance.strategy_sid, instance.strategy_version)
        command_or_refusal = command_for(ports, command, instance)
        if isinstance(command_or_refusal, Refused):
            return result_of(instance.sid, command_or_refusal, operation)
        verdict = decide(strategy, instance, command_or_refusal, now=ports.clock.now())
    except (RitornelloError, UnknownStrategyError) as error:
        return ItemResult(
            sid=instance.sid, outcome=ItemOutcome.FAILED, why=f"{type(error).__name__}: {error}"
        )
    return result_of(instance.sid, verdict, operation)


def load_readable(ports: Ports, sids: Sequence[InstanceSid]) -> dict[InstanceSid, Instance]:
    """Those of these instances that there are and that can be read."""
    try:
        return {instance.sid: instance for instance in ports.instances.load_many(sids)} if sids else {}
    except RitornelloError:
        found = [_load_or_none(ports, sid) for sid in sids]
        return {instance.sid: instance for instance in found if instance is not None}


def _steps(ports: Ports, scan: SelectionScan, *, page: int) -> Iterator[_Candidate]:
    match scan.selection:
        case OfIds(ids=ids):
            yield from _of_ids(ports, scan, ids, page=page)
        case OfStrategy() | OfFolder() as part:
            yield from _of_part(ports, part, scan, page=page)
        case OfAny(parts=parts):
            yield from _of_parts(ports, parts, scan, page=page)
        case _:
            assert_never(scan.selection)


def _of_parts(ports: Ports, parts: Sequence[Part], scan: SelectionScan, *, page: int) -> Iterator[_Candidate]:
    """One part after another; between two of them the cursor stands at the beginning of the next."""
    for number in range(scan.cursor.part, len(parts)):
        cursor = scan.cursor if number == scan.cursor.part else Cursor(part=number)
        for step in _of_part(ports, parts[number], replace(scan, cursor=cursor), page=page):
            yield replace(step, cursor=replace(step.cursor, part=number))
        yield _Candidate(cursor=Cursor(part=number + 1))


def _of_part(ports: Ports, part: Part, scan: SelectionScan, *, page: int) -> Iterator[_Candidate]:
    match part:
        case OfStrategy(strategy=strategy, version=version, instance_filter=instance_filter):
            # Where others stand in between, more are looked at than found.
            few = page if version is None and instance_filter is None else MAX_LOADED
            yield from _of_strategy(ports, strategy, part, scan, page=few)
        case OfFolder(instance_filter=instance_filter):
            yield from _of_folder(ports, part, scan, page=page if instance_filter is None else MAX_LOADED)
        case _:
            assert_never(part)


def _of_ids(
    ports: Ports, scan: SelectionScan, ids: Sequence[InstanceSid], *, page: int
) -> Iterator[_Candidate]:
    """One of another account is found by nobody; whoever commands it is told that there is none."""
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
        for one in entries:
            if selection.is_flat and not one.folder_name.startswith(f"{selection.folder}#"):
                return  # those in the folder itself come before all those below it
            cursor = Cursor(folder_name=one.folder_name, strategy=one.sid)
            yield from _of_strategy(ports, one.sid, selection, replace(scan, cursor=cursor), page=page)
            yield _Candidate(cursor=Cursor(folder_name=one.folder_name))
        if len(entries) < FOLDER_PAGE:
            return


def _of_strategy(
    ports: Ports, strategy: StrategySid, selection: Part, scan: SelectionScan, *, page: int
) -> Iterator[_Candidate]:
    """An instance that cannot be read is taken as selected: whoever commands it will tell why it failed."""
    until = created_until(selection, scan.begun_at)
    after = _start_key(selection, scan.cursor)
    while True:
        page_keys = ports.instances.oldest_of_strategy(
            strategy, selection.statuses, after=after, until=until, limit=page
        )
        loaded = load_readable(ports, [InstanceSid(one.sid) for one in page_keys])
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
    """The place behind which the walk goes on: the one it has come to, or just before the first date asked for."""
    if cursor.created_at is not None and cursor.sid is not None:
        return PageKey(created_at=cursor.created_at, sid=cursor.sid)
    since = created_since(selection)
    return None if since is None else PageKey(created_at=since, sid="")


def _load_or_none(ports: Ports, sid: InstanceSid) -> Instance | None:
    try:
        return ports.instances.load(sid)
    except RitornelloError:
        return None
