"""Measures how many instances a second a bulk operation cancels: ``python -m dev.bench.bulk``.

The bulk runner's use case runs with its deployed adapters and without a pace, on a DynamoDB that answers at once, or
with ``--on=emulator`` on the emulator. With ``--profile`` it has one thread, and the functions that take most are
printed.
"""

import argparse
import cProfile
import os
import pstats
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from dev.bench.engine import deployed, settings
from dev.bench.instant import Instant
from dev.emulator import Emulator
from shared import bootstrap
from shared.adapters.dynamodb.items import instance_item
from shared.adapters.threads import MAX_THREADS, ThreadWorkers
from shared.application.bulk.dispatch import run_operation
from shared.application.bulk.start import BulkRequest, begin_bulk
from shared.application.ports import Ports
from shared.application.strategies import NewStrategy, create_strategy
from shared.application.workers import OneWorker
from shared.domain.bulk.operation import BulkOperation, BulkStatus, Counts
from shared.domain.bulk.pace import Pace
from shared.domain.bulk.selection import OfStrategy
from shared.domain.ids import AccountId, InstanceSid
from shared.domain.instance.due import SHARDS
from shared.domain.instance.model import Instance, Origin
from shared.domain.instance.verdict import Actor
from shared.domain.lifecycle.commands import Cancel
from shared.domain.planning.start import NewInstance, start
from shared.domain.strategy.model import Strategy

ACCOUNT = AccountId("bench")
FAR = datetime(2040, 1, 1, tzinfo=UTC)
LIFE = timedelta(seconds=900)
WRITTEN_AT_ONCE = 25
SHOWN = 15

Put = Callable[[Sequence[Mapping[str, Any]]], object]
"""Stores items in the table of instances."""


def many(strategy: Strategy, count: int) -> Iterator[Instance]:
    """Yield instances that are first due in 2040, from the oldest to the newest."""
    new = NewInstance(
        sid=InstanceSid(""),
        origin=Origin(strategy_id=strategy.name),
        shard=0,
        attributes={"task": 1},
        start_date=FAR,
    )
    begun = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
    one = start(strategy, new, now=begun).instance
    for number in range(count):
        yield replace(
            one,
            sid=InstanceSid(f"{strategy.sid[:-8]}{number:08}"),
            created_at=begun + timedelta(milliseconds=number),
            shard=number % SHARDS,
        )


def closing(ports: Ports, count: int, put: Put) -> BulkOperation:
    """Return a new operation that cancels so many instances."""
    new = NewStrategy(account_id=ACCOUNT, name="work", settings=settings(9))
    head, _ = create_strategy(ports, bootstrap.hasher(), new, environment="dev")
    items = [instance_item(one) for one in many(ports.strategies.load(head.sid, 1), count)]
    for begin in range(0, count, WRITTEN_AT_ONCE):
        put(items[begin : begin + WRITTEN_AT_ONCE])
    request = BulkRequest(
        account=ACCOUNT, selection=OfStrategy(strategy=head.sid), command=Cancel(by=Actor(name="bench"))
    )
    return begin_bulk(ports, request)


@contextmanager
def profiled(*, is_on: bool) -> Iterator[None]:
    """Print the functions that take most during the block, if it is on."""
    if not is_on:
        yield
        return
    profile = cProfile.Profile()
    profile.enable()
    yield
    profile.disable()
    statistics = pstats.Stats(profile, stream=sys.stdout).strip_dirs()
    statistics.sort_stats("tottime").print_stats(SHOWN)
    statistics.sort_stats("cumulative").print_stats(3 * SHOWN)


def measure(arguments: argparse.Namespace, bulk: BulkOperation, answering: Callable[[], float]) -> None:
    """Run an operation and print the figures. ``answering`` returns the processor time of the database."""
    ports, count = bootstrap.ports(), arguments.instances
    ends = time.monotonic() + LIFE.total_seconds()
    before, outside, begun = time.process_time(), answering(), time.monotonic()
    with profiled(is_on=arguments.profile):
        run_operation(
            ports,
            # A profile sees its own thread only.
            OneWorker() if arguments.profile else ThreadWorkers(arguments.threads),
            bulk.sid,
            pace=Pace(per_second=arguments.per_second),
            time_left=lambda: timedelta(seconds=ends - time.monotonic()),
        )
    seconds, cpu, outside = (
        time.monotonic() - begun,
        time.process_time() - before,
        answering() - outside,
    )
    after = ports.operations.load(bulk.sid)
    if not isinstance(after, BulkOperation) or (after.status, after.counts) != (
        BulkStatus.COMPLETED,
        Counts(changed=count),
    ):
        sys.exit(f"the operation did not come through: {after}")
    own = cpu - outside if arguments.on == "stub" else cpu
    print(  # noqa: T201 - the figures
        f"{count} canceled in {seconds:.1f} s, {count / seconds:.0f} a second with {arguments.threads} threads; "
        f"of processor time, ours {own / count * 1000:.2f} ms each, the {arguments.on}'s "
        f"{outside / count * 1000:.2f} ms each, {outside / seconds:.0%} of the time"
    )


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--instances", type=int, default=5000)
    parser.add_argument("--threads", type=int, default=MAX_THREADS)
    parser.add_argument("--per-second", type=int, default=0, help="the pace; 0 is none")
    parser.add_argument("--on", choices=("stub", "emulator"), default="stub")
    parser.add_argument("--profile", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        emulator = Emulator(Path(name), url="http://127.0.0.1:9", runner="none", dead_letters="none")
        try:
            deployed(Path(name), emulator)
            # Wakeups reach nobody here, and the log would say so.
            os.environ["POWERTOOLS_LOG_LEVEL"] = "CRITICAL"
            table = os.environ["INSTANCES_TABLE"]
            if arguments.on == "emulator":
                client = emulator.client("dynamodb")

                def put(items: Sequence[Mapping[str, Any]]) -> None:
                    writes = [{"PutRequest": {"Item": item}} for item in items]
                    client.batch_write_item(RequestItems={table: writes})

                bulk = closing(bootstrap.ports(), arguments.instances, put)
                measure(arguments, bulk, emulator.cpu_seconds)
                return
        finally:
            emulator.stop()
        names = ("strategies", "instances", "events", "operations", "access", "audit")
        instant = Instant({one: os.environ[f"{one.upper()}_TABLE"] for one in names})
        instant.install()
        bulk = closing(bootstrap.ports(), arguments.instances, partial(instant.add_all, table))
        measure(arguments, bulk, lambda: instant.seconds)


if __name__ == "__main__":
    main()
