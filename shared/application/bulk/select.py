"""Walking through the instances of a selection, oldest first, on the indexes there are.

An index may lag by a moment: an instance created in the last one before the operation began, or changing its
status just as the walk comes by, may be missed. One that is found is loaded, and selected by what it is then.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import assert_never

from shared.application.ports import Listed, Ports, UnknownStrategyError
from shared.domain.bulk.operation import BulkCommand, Came, MigrateTo, Result, RunWaiting, result_of
from shared.domain.bulk.selection import (
    START,
    Cursor,
    OfAny,
    OfFolder,
    OfIds,
    OfStrategy,
    Part,
    Selection,
    Slice,
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

MOST_LOOKED_AT = 500
"""So many instances, or strategies of a folder, are looked at before it is written down how far that came."""

MOST_COUNTED = 1000
"""A dry run counts so far and no further."""

MOST_LOADED = 100
"""So many instances are loaded together."""

FOLDER_PAGE = 25
"""So many strategies of a folder are listed together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """A walk through an account's instances. begun_at: later ones are not meant. cursor: where it goes on."""

    account: AccountId
    selection: Selection
    begun_at: datetime
    cursor: Cursor = START


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The next slice. instances: those of it that could be read, as they were then."""

    slice: Slice
    instances: Mapping[InstanceSid, Instance]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """How many a selection is of, so far as was counted, and the first ones of it."""

    count: int
    is_exact: bool
    first: tuple[Instance, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """One step of the walk. sid: of an instance that is selected. cursor: behind it."""

    cursor: Cursor
    sid: InstanceSid | None = None
    instance: Instance | None = None


def next_slice(ports: Ports, walk: Walk, *, wanted: int) -> Found:
    """The next instances of a selection, ``wanted`` at most: fewer where only so many are looked at for it."""
    sids: list[InstanceSid] = []
    loaded: dict[InstanceSid, Instance] = {}
    cursor = walk.cursor
    for looked, step in enumerate(_steps(ports, walk, page=wanted), start=1):
        cursor = step.cursor
        sids += [] if step.sid is None else [step.sid]
        loaded |= {} if step.instance is None else {step.instance.sid: step.instance}
        if len(sids) == wanted or looked == MOST_LOOKED_AT:
            return Found(slice=Slice(sids=tuple(sids), cursor=cursor, at_end=False), instances=loaded)
    return Found(slice=Slice(sids=tuple(sids), cursor=cursor, at_end=True), instances=loaded)


def instances_of(ports: Ports, walk: Walk, *, most: int) -> Iterator[Instance]:
    """The instances of a selection as they are now, a page at a time; ``most`` are looked at for them at most.

    Those that cannot be read are left out.
    """
    for step in islice(_steps(ports, walk, page=MOST_LOADED), most):
        if step.instance is not None:
            yield step.instance


def count(ports: Ports, walk: Walk, *, most: int) -> Counted:
    """How many instances of the account a selection is of; the first ``most`` of them are told."""
    number, first = 0, list[Instance]()
    for looked, step in enumerate(_steps(ports, walk, page=MOST_LOADED), start=1):
        if step.sid is not None and (step.instance is not None or not isinstance(walk.selection, OfIds)):
            number += 1
            first += [] if step.instance is None or len(first) == most else [step.instance]
        if looked == MOST_COUNTED:
            return Counted(count=number, is_exact=False, first=tuple(first))
    return Counted(count=number, is_exact=True, first=tuple(first))


def addressed(ports: Ports, command: BulkCommand, instance: Instance) -> Command | Refused:
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


def foreseen(ports: Ports, instance: Instance, command: BulkCommand, operation: OperationSid) -> Result:
    """What a command would come to on an instance now; nothing is stored."""
    try:
        strategy = ports.strategies.load(instance.strategy_sid, instance.strategy_version)
        asked = addressed(ports, command, instance)
        if isinstance(asked, Refused):
            return result_of(instance.sid, asked, operation)
        verdict = decide(strategy, instance, asked, now=ports.clock.now())
    except (RitornelloError, UnknownStrategyError) as error:
        return Result(sid=instance.sid, came=Came.FAILED, why=f"{type(error).__name__}: {error}")
    return result_of(instance.sid, verdict, operation)


def readable(ports: Ports, sids: Sequence[InstanceSid]) -> dict[InstanceSid, Instance]:
    """Those of these instances that there are and that can be read."""
    try:
        return {instance.sid: instance for instance in ports.instances.load_many(sids)} if sids else {}
    except RitornelloError:
        found = [_readable(ports, sid) for sid in sids]
        return {instance.sid: instance for instance in found if instance is not None}


def _steps(ports: Ports, walk: Walk, *, page: int) -> Iterator[_Look]:
    match walk.selection:
        case OfIds(ids=ids):
            yield from _named(ports, walk, ids, page=page)
        case OfStrategy() | OfFolder() as part:
            yield from _of_part(ports, part, walk, page=page)
        case OfAny(parts=parts):
            yield from _of_parts(ports, parts, walk, page=page)
        case _:
            assert_never(walk.selection)


def _of_parts(ports: Ports, parts: Sequence[Part], walk: Walk, *, page: int) -> Iterator[_Look]:
    """One part after another; between two of them the cursor stands at the beginning of the next."""
    for number in range(walk.cursor.part, len(parts)):
        cursor = walk.cursor if number == walk.cursor.part else Cursor(part=number)
        for step in _of_part(ports, parts[number], replace(walk, cursor=cursor), page=page):
            yield replace(step, cursor=replace(step.cursor, part=number))
        yield _Look(cursor=Cursor(part=number + 1))


def _of_part(ports: Ports, part: Part, walk: Walk, *, page: int) -> Iterator[_Look]:
    match part:
        case OfStrategy(strategy=strategy, version=version, sieve=sieve):
            # Where others stand in between, more are looked at than found.
            few = page if version is None and sieve is None else MOST_LOADED
            yield from _of_strategy(ports, strategy, part, walk, page=few)
        case OfFolder(sieve=sieve):
            yield from _of_folder(ports, part, walk, page=page if sieve is None else MOST_LOADED)
        case _:
            assert_never(part)


def _named(ports: Ports, walk: Walk, ids: Sequence[InstanceSid], *, page: int) -> Iterator[_Look]:
    """One of another account is found by nobody; whoever commands it is told that there is none."""
    for start in range(walk.cursor.passed, len(ids), page):
        some = ids[start : start + page]
        loaded = readable(ports, some)
        for number, sid in enumerate(some, start=start + 1):
            instance = loaded.get(sid)
            own = instance is not None and instance.account_id == walk.account
            yield _Look(cursor=Cursor(passed=number), sid=sid, instance=instance if own else None)


def _of_folder(ports: Ports, selection: OfFolder, walk: Walk, *, page: int) -> Iterator[_Look]:
    cursor = walk.cursor
    if cursor.strategy is not None:
        yield from _of_strategy(ports, cursor.strategy, selection, walk, page=page)
        yield _Look(cursor=Cursor(folder_name=cursor.folder_name))
    while True:
        filed = ports.strategies.in_folder(
            walk.account, selection.folder, after=cursor.folder_name, limit=FOLDER_PAGE
        )
        for one in filed:
            if selection.is_flat and not one.folder_name.startswith(f"{selection.folder}#"):
                return  # those in the folder itself come before all those below it
            cursor = Cursor(folder_name=one.folder_name, strategy=one.sid)
            yield from _of_strategy(ports, one.sid, selection, replace(walk, cursor=cursor), page=page)
            yield _Look(cursor=Cursor(folder_name=one.folder_name))
        if len(filed) < FOLDER_PAGE:
            return


def _of_strategy(
    ports: Ports, strategy: StrategySid, selection: Part, walk: Walk, *, page: int
) -> Iterator[_Look]:
    """An instance that cannot be read is taken as selected: whoever commands it will tell why it failed."""
    until = created_until(selection, walk.begun_at)
    after = _first_place(selection, walk.cursor)
    while True:
        listed = ports.instances.oldest_of_strategy(
            strategy, selection.statuses, after=after, until=until, limit=page
        )
        loaded = readable(ports, [InstanceSid(one.sid) for one in listed])
        for after in listed:
            sid = InstanceSid(after.sid)
            instance = loaded.get(sid)
            cursor = replace(walk.cursor, created_at=after.created_at, sid=sid)
            if instance is None or is_selected(selection, instance, now=ports.clock.now()):
                yield _Look(cursor=cursor, sid=sid, instance=instance)
            else:
                yield _Look(cursor=cursor)
        if len(listed) < page:
            return


def _first_place(selection: Part, cursor: Cursor) -> Listed | None:
    """The place behind which the walk goes on: the one it has come to, or just before the first date asked for."""
    if cursor.created_at is not None and cursor.sid is not None:
        return Listed(created_at=cursor.created_at, sid=cursor.sid)
    since = created_since(selection)
    return None if since is None else Listed(created_at=since, sid="")


def _readable(ports: Ports, sid: InstanceSid) -> Instance | None:
    try:
        return ports.instances.load(sid)
    except RitornelloError:
        return None
