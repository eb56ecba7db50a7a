"""Runs of orders that have ended. Source: docs/contracts/orders.md B.1 and B.2, ordersFilter and orderHistoryItem."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice

from msgspec import Struct

from shared.api.http.request import Request
from shared.api.http.route import Answer
from shared.api.http.unreadable import UnreadableItems
from shared.api.orders.answers import HistoryItemShape, HistoryShape, RunCounts, SummaryShape
from shared.api.orders.choosing import named, order_id_of
from shared.api.orders.date_language import End, date_of
from shared.api.orders.errors import dates
from shared.api.orders.globs import matches
from shared.api.orders.render import FAILED, SUCCESSFUL, fitting, history_shape, history_state, started_at
from shared.api.orders.schemas import DEFAULT_LIMIT, Folder, HistoryFilter, SummaryFilter
from shared.api.orders.workflows import Paths
from shared.application.bulk.select import MAX_LOADED
from shared.application.past_runs import Past, past_runs, runs_of
from shared.application.ports import UnknownStrategyError, Unreadable
from shared.domain.bulk.selection import is_below
from shared.domain.calendar.dates import format_instant
from shared.domain.errors import StoredShapeError
from shared.domain.ids import event_address, event_sid
from shared.domain.instance.journal import EventRecord
from shared.domain.instance.model import Instance

MAX_SCANNED = 10_000
"""The maximum number of records that are read for one answer."""

MAX_OF_ONE = 1_000
"""The maximum number of records of one named order that are read."""

MAX_RUN = timedelta(days=31)
"""Runs that took longer may be missed if a request limits when they began, because records are sorted by their end."""


class Run(Struct, frozen=True, kw_only=True):
    """A run that has ended, and its instance."""

    instance: Instance
    record: EventRecord


class Times(Struct, frozen=True, kw_only=True):
    """Ranges of the beginning and the end of runs. ``from`` is included, ``to`` is not."""

    began_from: datetime | None
    began_to: datetime | None
    ended_from: datetime | None = None
    ended_to: datetime | None = None

    def include(self, record: EventRecord) -> bool:
        """Return whether a run began and ended in these ranges."""
        began, ended = started_at(record), record.finished_at
        return (
            (self.began_from is None or self.began_from <= began)
            and (self.began_to is None or began < self.began_to)
            and (self.ended_from is None or self.ended_from <= ended)
            and (self.ended_to is None or ended < self.ended_to)
        )


def get_history(request: Request, body: HistoryFilter) -> Answer[HistoryShape]:
    """List runs that have ended, latest first. A distance without a sign goes back: ``1d`` is yesterday.

    At most 10,000 records of the last two years are read, and at most 4 MB are answered.
    """
    times = _times(request, body)
    paths = Paths(ports=request.ports)
    unreadable = UnreadableItems()
    runs = unreadable.skip_unreadable(_runs(request, body, times))
    found = (_readable_shape(request, body, run, times, paths) for run in runs)
    shapes = (shape for shape in unreadable.skip_unreadable(found) if shape is not None)
    most = DEFAULT_LIMIT if body.limit < 0 else body.limit
    history = list(fitting(shapes, most=most))
    body_shown: HistoryShape = {"deliveryDate": format_instant(request.now), "history": history}
    return Answer(body=body_shown, headers=unreadable.headers())


def get_summary(request: Request, body: SummaryFilter) -> Answer[SummaryShape]:
    """Return how many runs succeeded and failed. At most 10,000 records of the last two years are read."""
    times = _began(request, body)
    unreadable = UnreadableItems()
    records = unreadable.skip_unreadable(_past(request, times, most=MAX_SCANNED))
    counts = Counter(history_state(record) for record in records if times.include(record))
    runs: RunCounts = {"successful": counts[SUCCESSFUL], "failed": counts[FAILED]}
    return Answer(body={**dates(request.now), "orders": runs}, headers=unreadable.headers())


def _readable_shape(
    request: Request, body: HistoryFilter, run: Run, times: Times, paths: Paths
) -> HistoryItemShape | Unreadable[str] | None:
    """Return a run, None if it is not meant, or its id if its workflow is missing or cannot be read."""
    try:
        if not _is_meant(body, run, times, paths):
            return None
        return history_shape(run.instance, run.record, paths, now=request.now)
    except (StoredShapeError, UnknownStrategyError) as error:
        key = run.instance.event_sid(run.record.event)
        return Unreadable(key=key, why=f"{type(error).__name__}: {error}")


def _runs(request: Request, body: HistoryFilter, times: Times) -> Iterator[Run | Unreadable[str]]:
    """Return candidates for the runs that are meant, from the smallest source that has all of them."""
    if body.historyIds:
        return _by_history_ids(request, body.historyIds)
    # Ids lead to a few items; everything else needs a scan by time.
    order_ids = [one.orderId for one in body.orders if one.orderId is not None]
    if body.orders and len(order_ids) == len(body.orders):
        return _of_orders(request, order_ids)
    if not body.orders and body.orderId is not None and not set(body.orderId) & set("*?"):
        return _of_orders(request, [body.orderId])
    return _joined(request, _past(request, times, most=MAX_SCANNED))


def _past(request: Request, times: Times, *, most: int) -> Iterator[EventRecord | Unreadable[str]]:
    """Yield records by their end, from the first instant that can matter to the last one."""
    since = max((at for at in (times.began_from, times.ended_from) if at is not None), default=None)
    # The end is not included, so that a run which ended just now needs one more.
    ends = [request.now + timedelta(milliseconds=1)]
    ends += [] if times.ended_to is None else [times.ended_to]
    ends += [] if times.began_to is None else [times.began_to + MAX_RUN]
    past = Past(account=request.principal.account_id, since=since, until=min(ends))
    return past_runs(request.ports, past, most=most)


def _joined(
    request: Request, records: Iterable[EventRecord | Unreadable[str]]
) -> Iterator[Run | Unreadable[str]]:
    """Yield the records with their instances, read in batches, and those of either that cannot be read."""
    records = iter(records)
    while batch := list(islice(records, MAX_LOADED)):
        yield from (record for record in batch if isinstance(record, Unreadable))
        some = [record for record in batch if not isinstance(record, Unreadable)]
        sids = list(dict.fromkeys(record.instance_sid for record in some))
        loaded = request.ports.instances.load_many(sids) if sids else []
        yield from (item for item in loaded if isinstance(item, Unreadable))
        found = {item.sid: item for item in loaded if not isinstance(item, Unreadable)}
        for record in some:
            instance = found.get(record.instance_sid)
            if instance is not None and _has_ended(instance, record):
                yield Run(instance=instance, record=record)


def _of_orders(request: Request, order_ids: Sequence[str]) -> Iterator[Run | Unreadable[str]]:
    for order in named(request, order_ids):
        if isinstance(order, Unreadable):
            yield order
            continue
        for record in runs_of(request.ports, order, most=MAX_OF_ONE):
            yield record if isinstance(record, Unreadable) else Run(instance=order, record=record)


def _has_ended(instance: Instance, record: EventRecord) -> bool:
    """Return whether the record counts."""
    # While the instance has the event, the record is from a runner that lost its claim in between.
    return instance.event(record.event.seq) is None


def _by_history_ids(request: Request, history_ids: Iterable[str]) -> Iterator[Run | Unreadable[str]]:
    for history_id in dict.fromkeys(history_ids):
        address = event_address(history_id)
        if address is None:
            continue
        sid = event_sid(*address)
        for run in _of_orders(request, [address[0]]):
            if isinstance(run, Unreadable):
                # The order itself, or one of its runs.
                if run.key in (address[0], sid):
                    yield Unreadable(key=sid, why=run.why)
            elif run.record.event.seq == address[1]:
                yield run


def _is_meant(body: HistoryFilter, run: Run, times: Times, paths: Paths) -> bool:
    if body.historyIds:
        return True
    if body.historyStates and history_state(run.record) not in body.historyStates:
        return False
    return times.include(run.record) and _is_of(body, run, paths)


def _is_of(body: HistoryFilter, run: Run, paths: Paths) -> bool:
    """Return whether a run belongs to an order and a workflow that are meant."""
    head = paths.head(run.instance.strategy_sid)
    path, order_id = paths.path(head.sid), order_id_of(run.instance)
    if body.orders:
        return any(
            one.workflowPath in (path, head.name) and one.orderId in (None, order_id) for one in body.orders
        )
    if path in body.excludeWorkflows or head.name in body.excludeWorkflows:
        return False
    patterns = ((body.orderId, order_id), (body.workflowPath, path), (body.workflowName, head.name))
    is_like = all(pattern is None or matches(pattern, text) for pattern, text in patterns)
    return is_like and (not body.folders or any(_is_in(head.folder, one) for one in body.folders))


def _is_in(folder: str, one: Folder) -> bool:
    selected = one.folder.rstrip("/") or "/"
    return is_below(selected, folder) if one.recursive else folder == selected


def _began(request: Request, body: SummaryFilter) -> Times:
    return Times(
        began_from=_date(request, body, body.dateFrom, End.FROM),
        began_to=_date(request, body, body.dateTo, End.UNTIL),
    )


def _times(request: Request, body: HistoryFilter) -> Times:
    began = _began(request, body)
    return Times(
        began_from=began.began_from,
        began_to=began.began_to,
        ended_from=_date(request, body, body.completedDateFrom, End.FROM),
        ended_to=_date(request, body, body.completedDateTo, End.UNTIL),
    )


def _date(request: Request, body: SummaryFilter, text: str | None, end: End) -> datetime | None:
    return None if text is None else date_of(text, end=end, now=request.now, zone=body.timeZone, past=True)
