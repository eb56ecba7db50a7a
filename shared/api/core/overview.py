"""How an account stands. Source: docs/contracts/core.md section 5."""

from collections.abc import Mapping

from shared.api.core import answers
from shared.api.core.paging import Paging
from shared.api.core.schemas import OverviewQuery
from shared.api.http.request import Request
from shared.api.http.route import Answer
from shared.api.http.shapes import omit_unset
from shared.application.overview import (
    BoundedCount,
    ClosedCounts,
    DueCounts,
    StrategyCounts,
    due_counts,
    overview,
)
from shared.application.ports import page_key_of, page_key_text
from shared.domain.access import Role
from shared.domain.calendar.dates import format_instant


def get_overview(request: Request, query: OverviewQuery) -> Answer[answers.OverviewShape]:
    """Count instances by phase and strategy, problems, and the events of the last hour and day.

    An administrator also gets what is due in the whole deployment.
    """
    paging = Paging(request, "overview", query)
    account, before = request.principal.account_id, paging.before(page_key_of)
    counted = overview(request.ports, account, before=before, limit=query.limit)
    after = None if counted.after is None else page_key_text(counted.after)
    page = paging.page_up_to([_strategy(one) for one in counted.strategies], after, counted.unreadable)
    shape: answers.OverviewShape = {
        "phases": _counts({phase.value: count for phase, count in counted.phases.items()}),
        "problems": _count(counted.problems),
        "strategies": page["items"],
        "lastHour": _closed(counted.last_hour),
        "lastDay": _closed(counted.last_day),
    }
    if "unreadable" in page:
        shape["unreadable"] = page["unreadable"]
    if "nextCursor" in page:
        shape["nextCursor"] = page["nextCursor"]
    if request.principal.role is Role.ADMIN:
        shape["due"] = _due(due_counts(request.ports))
    return Answer(body=shape)


def _count(count: BoundedCount) -> answers.CountShown:
    shape = answers.CountShown(count=count.number)
    if count.is_at_least:
        shape["atLeast"] = True
    return shape


def _counts(counts: Mapping[str, BoundedCount]) -> dict[str, answers.CountShown]:
    return {label: _count(count) for label, count in counts.items()}


def _strategy(counted: StrategyCounts) -> answers.StrategyCountsShown:
    head = counted.head
    return {"sid": head.sid, "name": head.name, "instances": _counts(counted.labels)}


@omit_unset
def _closed(counts: ClosedCounts) -> answers.ClosedCountsShown:
    return answers.ClosedCountsShown(
        processed=counts.processed,
        failed=counts.failed,
        canceled=counts.canceled,
        atLeast=counts.is_at_least or None,
    )


@omit_unset
def _due(due: DueCounts) -> answers.DueShown:
    return answers.DueShown(
        nextHour=_count(due.next_hour),
        nextDay=_count(due.next_day),
        oldestOverdue=None if due.oldest is None else format_instant(due.oldest),
    )
