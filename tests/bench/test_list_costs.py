"""The cost of a page of each list of instances, at 100 and at 10,000 instances. Source: docs/performance.md."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from shared.adapters.dynamodb.items import instance_item
from shared.application.list_instances import (
    ByAccount,
    ByAttribute,
    ByFolder,
    ByPhase,
    ByReference,
    ByStrategy,
    CreationRange,
    InstanceList,
    page_of,
)
from shared.domain.ids import AccountId, InstanceSid, StrategySid
from shared.domain.instance.event import EventKind, EventStatus
from shared.domain.instance.model import FailedEvent, Instance, InstanceStatus, Stoppage
from shared.domain.instance.phase import Phase, PhaseRange
from shared.domain.instance.reason import Cause, EventFailure, StopReason
from shared.domain.strategy.model import StrategyHead
from tests.bench.rig import Rig, rig_on
from tests.engines import DynamoDb, on_dynamodb
from tests.factories import NOON, an_event, an_instance

DOC = (Path(__file__).parents[2] / "docs" / "performance.md").read_text(encoding="utf-8")
TABLE_TEXT = DOC.partition("## Lists of instances")[2].partition("\n## ")[0]
ROW = re.compile(r"^\| (?P<what>[^|]+?) \| (?P<reads>[\d.]+) \| (?P<trips>\d+) \|$", re.MULTILINE)
COSTS = {m["what"]: (float(m["reads"]), int(m["trips"])) for m in ROW.finditer(TABLE_TEXT)}

ACCOUNT, FLOW = AccountId("a-1"), StrategySid("s-1")
LIMIT = 5
A_WHILE = timedelta(seconds=30)


def stopped(
    cause: Cause, detail: str | None, status: InstanceStatus, *, seq: int | None = None
) -> dict[str, object]:
    reason = StopReason(cause=cause, detail=detail)
    return {"status": status, "stop": Stoppage(at=NOON, by="x", reason=reason, for_event=seq)}


FAILURE = EventFailure(message="it said no", error_class="http-402", at=NOON, step="pay")
FAILED = FailedEvent(seq=9, kind=EventKind.ON_CREATE, task="mail", failure=FAILURE)
RETRYING = an_event(begun_at=NOON, run=2, failure=FAILURE)
KINDS: tuple[dict[str, object], ...] = (
    stopped(Cause.EXHAUSTED, "http-402", InstanceStatus.PAUSED, seq=1),
    stopped(Cause.EXHAUSTED, "http-500", InstanceStatus.PAUSED, seq=1),
    stopped(Cause.OPERATOR, "ann", InstanceStatus.PAUSED),
    stopped(Cause.ENDED, None, InstanceStatus.COMPLETED),
    {"events": (RETRYING,)},
    {"failed_events": (FAILED,)},
    {},
    {},
    {},
    {},
)
"""A tenth of all instances is in each of these states."""


def instances(count: int) -> list[Instance]:
    """Return instances in all states; forty in a row have the same reference and customer."""
    return [
        replace(
            an_instance(an_event(status=EventStatus.PENDING)),
            sid=InstanceSid(f"i-{number:08}"),
            account_id=ACCOUNT,
            strategy_sid=FLOW,
            created_at=NOON + timedelta(seconds=number),
            shard=number % 16,
            attributes={"customerId": f"c-{number // 40}"},
            searchable=("customerId",),
            origin=replace(an_instance().origin, reference=f"o-{number // 40}"),
            **KINDS[number // 16 % 10],
        )
        for number in range(count)
    ]


LISTS: dict[str, InstanceList] = {
    "of the account": ByAccount(),
    "of the account, created in a range": ByAccount(
        created=CreationRange(since=NOON + A_WHILE, until=NOON + 2 * A_WHILE)
    ),
    "of a strategy": ByStrategy(strategy=FLOW),
    "of a strategy and status": ByStrategy(strategy=FLOW, statuses=(InstanceStatus.ACTIVE,)),
    "of a strategy and phase": ByStrategy(strategy=FLOW, statuses=(Phase.STUCK,)),
    "of a strategy, created in a range": ByStrategy(
        strategy=FLOW, created=CreationRange(since=NOON + A_WHILE, until=NOON + 2 * A_WHILE)
    ),
    "of a folder with one strategy": ByFolder(folder="/"),
    "of a phase": ByPhase(ranges=(PhaseRange(phase=Phase.STUCK),)),
    "of a phase and cause": ByPhase(ranges=(PhaseRange(phase=Phase.STUCK, cause=Cause.EXHAUSTED),)),
    "of a phase and reason": ByPhase(
        ranges=(PhaseRange(phase=Phase.STUCK, cause=Cause.EXHAUSTED, detail="http-402"),)
    ),
    "of a phase, reason and strategy": ByPhase(
        ranges=(PhaseRange(phase=Phase.STUCK, cause=Cause.EXHAUSTED, detail="http-402", strategy=FLOW),)
    ),
    "of the retrying": ByPhase(ranges=(PhaseRange(phase=Phase.RETRYING),)),
    "with a reference": ByReference(reference="o-0"),
    "with an attribute": ByAttribute(name="customerId", text="c-0"),
}


@pytest.fixture(params=[100, 10_000])
def town(request: pytest.FixtureRequest, moto: DynamoDb) -> Rig:
    """Return metered ports with many instances."""
    head = StrategyHead(
        sid=FLOW, account_id=ACCOUNT, name="flow", version=1, created_at=NOON, updated_at=NOON
    )
    on_dynamodb(moto).strategies.create(head, {})
    items = [instance_item(instance) for instance in instances(request.param)]
    for start in range(0, len(items), 25):
        puts = [{"PutRequest": {"Item": item}} for item in items[start : start + 25]]
        moto.client.batch_write_item(RequestItems={moto.tables.instances: puts})
    return rig_on(moto)


def costs(rig: Rig, does: Callable[[], object]) -> tuple[float, int]:
    """Return read units and trips. Nothing may be written."""
    reads, writes, trips = rig.reads(does)
    assert writes == 0
    return reads, trips


def test_a_page_costs_the_same_however_many_instances_there_are(town: Rig) -> None:
    def page(which: InstanceList) -> int:
        return len(page_of(town, ACCOUNT, which, after=None, limit=LIMIT).instances)

    measured = {name: costs(town, lambda which=which: page(which)) for name, which in LISTS.items()}  # type: ignore[misc]

    assert {name: page(which) for name, which in LISTS.items()} == dict.fromkeys(LISTS, LIMIT)
    assert measured == {name: COSTS[name] for name in LISTS}


def test_the_list_of_problems_costs_the_same(town: Rig) -> None:
    listed = costs(town, lambda: town.instances.with_problems(ACCOUNT, before=None, limit=LIMIT))

    assert listed == COSTS["keys of instances with problems"]


def test_every_row_is_measured() -> None:
    assert set(COSTS) == {*LISTS, "keys of instances with problems"}
