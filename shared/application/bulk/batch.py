"""Command the instances of one batch at once, and read the next batch meanwhile."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import assert_never

from msgspec import Struct

from shared.application.bulk.item_command import command_for
from shared.application.bulk.progress import RESERVE
from shared.application.bulk.select import ScannedBatch, SelectionScan, next_batch
from shared.application.commit import ContentionError, execute
from shared.application.ports import Crash, Ports, UnavailableError, UnknownStrategyError, Workers
from shared.domain.bulk.operation import (
    BulkOperation,
    ItemOutcome,
    ItemResult,
    is_given_up,
    is_in_scope,
    next_sids,
    result_of,
)
from shared.domain.bulk.selection import is_still_selected
from shared.domain.errors import RitornelloError
from shared.domain.ids import InstanceSid
from shared.domain.instance.model import Instance
from shared.domain.instance.verdict import AlreadyThere, Verdict

Wake = Callable[[Instance], None]
"""Wakes a runner for an instance that was changed and may have an event to run."""

_Piece = Callable[[], ItemResult | ScannedBatch | None]
"""A piece of work. It returns None if it was not begun, or if a store was unavailable."""


class TooLateError(Exception):
    """The runner is too late: another one may have taken the batch over."""


class BatchDone(Struct, frozen=True, kw_only=True):
    """The results of a batch, as far as its instances were commanded, in the order of the batch.

    ``following`` is the next batch if it was read. ``is_refused`` means that a store was unavailable.
    """

    results: list[ItemResult]
    following: ScannedBatch | None
    is_refused: bool


class BatchWork(Struct, kw_only=True):
    """The work on one batch of an operation. ``loaded`` are instances of the batch that were just read.

    Its pieces may be done by several threads. They share nothing but flags that only ever become True.
    """

    ports: Ports
    bulk: BulkOperation
    loaded: Mapping[InstanceSid, Instance]
    wake: Wake
    time_left: Callable[[], timedelta]
    _is_refused: bool = False
    _is_scan_refused: bool = False

    def run(self, workers: Workers, *, next_size: int) -> BatchDone:
        """Command the instances, and read the next ``next_size`` ones.

        No more instances are begun if the time is up, if a store is unavailable, or if another invocation may take over
        the batch. Those that were begun end first. An error that is not the instance's own is raised after that,
        without any result, as if the runner had crashed.
        """
        results: list[ItemResult] = []
        following: ScannedBatch | None = None
        for outcome in workers.run(_do, self._pieces(next_size)):
            match outcome:
                case Crash(error=error):
                    raise error
                case ItemResult():
                    results.append(outcome)
                case ScannedBatch():
                    following = outcome
                case None:
                    pass
                case _:
                    assert_never(outcome)
        return BatchDone(
            results=results, following=following, is_refused=self._is_refused or self._is_scan_refused
        )

    def _pieces(self, next_size: int) -> list[_Piece]:
        sids = next_sids(self.bulk)
        # An instance that crashes every runner must not stop the operation.
        of_one = self._give_up if is_given_up(self.bulk) else self._command_in_time
        pieces: list[_Piece] = [partial(of_one, sid) for sid in sids]
        # One by one, the next batch follows only on the last instance of this one.
        if self.bulk.at_end or sids != self.bulk.batch_sids or self.time_left() <= RESERVE:
            return pieces
        # The scan is begun first, so that it does not end last.
        return [partial(self._scan, next_size), *pieces]

    def _scan(self, size: int) -> ScannedBatch | None:
        """Read the next batch. Its cursor does not depend on the results of this one."""
        bulk = self.bulk
        scan = SelectionScan(
            account=bulk.account_id, selection=bulk.selection, begun_at=bulk.started_at, cursor=bulk.cursor
        )
        try:
            return next_batch(self.ports, scan, size=size)
        except UnavailableError:
            self._is_scan_refused = True
            return None

    def _command_in_time(self, sid: InstanceSid) -> ItemResult | None:
        if self._is_refused or not _is_ours(self.ports, self.bulk) or self.time_left() <= RESERVE:
            return None
        try:
            return self._command(sid)
        except TooLateError:
            return None
        except UnavailableError:
            self._is_refused = True
            return None

    def _command(self, sid: InstanceSid) -> ItemResult:
        """Command one instance. If it cannot be read or decided on, the others continue."""
        try:
            instance = self.loaded.get(sid) or self.ports.instances.load(sid)
            is_meant = instance is not None and is_in_scope(self.bulk, instance)
            verdict = None if instance is None or not is_meant else _execute(self.ports, self.bulk, instance)
        except (RitornelloError, UnknownStrategyError, ContentionError) as error:
            return ItemResult(sid=sid, outcome=ItemOutcome.FAILED, why=f"{type(error).__name__}: {error}")
        result = result_of(sid, verdict, self.bulk.sid)
        if verdict is not None and result.outcome is ItemOutcome.CHANGED:
            self.wake(verdict.instance)
        return result

    def _give_up(self, sid: InstanceSid) -> ItemResult:
        """Return the result of an instance at which too many runners crashed. It is not commanded again."""
        if has_changed(self.ports, self.bulk, sid):
            return ItemResult(sid=sid, outcome=ItemOutcome.CHANGED)
        why = f"{self.bulk.crashes} runners in a row crashed at this instance"
        return ItemResult(sid=sid, outcome=ItemOutcome.FAILED, why=why)


def has_changed(ports: Ports, bulk: BulkOperation, sid: InstanceSid) -> bool:
    """Return whether the operation has changed an instance. An instance that cannot be read counts as unchanged."""
    try:
        instance = ports.instances.load(sid)
    except RitornelloError:
        return False
    return instance is not None and bulk.sid in instance.operations


def _do(piece: _Piece) -> ItemResult | ScannedBatch | None:
    return piece()


def _execute(ports: Ports, bulk: BulkOperation, instance: Instance) -> Verdict | None:
    if bulk.sid in instance.operations:
        return AlreadyThere(instance=instance)
    return execute(
        ports,
        instance.sid,
        partial(command_for, ports, bulk.command),
        known=instance,
        is_meant=partial(_is_meant, ports, bulk),
    )


def _is_ours(ports: Ports, bulk: BulkOperation) -> bool:
    """Return whether no other runner may take over the batch yet."""
    return bulk.sweep_at is not None and ports.clock.now() < bulk.sweep_at


def _is_meant(ports: Ports, bulk: BulkOperation, instance: Instance) -> bool:
    """Return whether an instance still matches the selection, or was already changed by this operation.

    Raises: TooLateError: another runner may have the batch. If this one stalled before its first attempt was refused,
    an operator may have changed the instance since, after the other one had counted it.
    """
    if not _is_ours(ports, bulk):
        raise TooLateError
    is_done = bulk.sid in instance.operations
    return is_done or is_still_selected(bulk.selection, instance, now=ports.clock.now())
