"""The local stack in one process: front, doorbells, workers, clock. ``python -m dev.stack --help``."""

import argparse
import base64
import hashlib
import math
import signal
import sys
import threading
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from dev.clock import ClockFile, Offset
from dev.clock_advance import ClockAdvance
from dev.emulator import Emulator
from dev.http_front import HttpFront
from dev.schedules import Schedules
from dev.template import Function, Template
from dev.workers import ROOT, Invocation, Pool
from shared.adapters.crypto import SecretHasher
from shared.adapters.dynamodb.access import DynamoDbAccess
from shared.adapters.dynamodb.tables import OPERATIONS, Tables
from shared.domain.access import AccessKey, Role
from shared.domain.calendar.dates import parse_instant
from shared.domain.ids import AccountId
from shared.domain.instance.due import SHARDS, far_partition, swept_partition

KEY = "dev.local-secret"
"""Of the account ``dev``; local only."""

WORKERS = {"StepRunner": 3}
"""Worker processes of a function; of the others there is one."""

WARM = ("StepRunner", "Sweeper")
"""Functions whose workers are there from the beginning: what rings finds them as busy as they are on AWS."""

SWEEP_PERIOD_SECONDS = 60


class Stack:
    """Everything of a deployment that a laptop can stand in for. State lives in ``folder`` and survives kill -9."""

    def __init__(
        self, folder: Path, *, port: int, start_at: datetime | None, wakeups: bool, sweeper: bool
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.wakeups_on, self.sweeper_on = folder, wakeups, sweeper
        self.counts: Counter[str] = Counter()
        self.is_ready = threading.Event()
        self.clock = ClockFile(folder / "clock.json")
        self._set_clock(start_at)
        # Listening comes before the emulator starts: it rings what is overdue at once.
        self.front = HttpFront(self, port)
        self.url = self.front.url
        self.template = Template(ROOT / "template.yaml", _parameters(folder))
        self.functions = {function.logical_id: function for function in self.template.functions()}
        self.routes = self.template.routes()
        self.pools: dict[str, Pool] = {}
        self.emulator = Emulator(
            folder / "emulator",
            url=self.url,
            runner=self.functions["StepRunner"].name,
            dead_letters="ritornello-local-dead-letters",
        )
        self.emulator.create_tables(self.template.tables())
        self.database = self.emulator.client("dynamodb")
        self._admit(KEY)
        group = self.template.schedule_group()
        self.schedules = Schedules(self.emulator.client("scheduler"), group, self.clock)
        for logical_id, function in self.functions.items():
            self.pools[logical_id] = Pool(
                function,
                self._environment(logical_id),
                workers=WORKERS.get(logical_id, 1),
                is_warm=logical_id in WARM,
                report=self._ended,
            )
        self.clock_advance = ClockAdvance(
            clock=self.clock,
            schedules=self.schedules,
            wake=lambda event: self.run(event, "wakeup"),
            sweep=self.sweep,
            earliest_sweep=self.earliest_sweep,
            is_idle=self.is_idle,
        )
        self._stopping = threading.Event()
        self._sweeping = threading.Thread(target=self._sweep_every_minute, daemon=True)
        self.is_ready.set()
        self._sweeping.start()

    def run(self, event: Mapping[str, Any], trigger: str) -> None:
        """Invoke the step runner."""
        self.counts["wakeups" if trigger == "wakeup" else f"{trigger} wakeups"] += 1
        self.pools["StepRunner"].put(Invocation(event=event, trigger=trigger))

    def invoke(self, name: str, event: Mapping[str, Any], trigger: str) -> None:
        """Invoke the function deployed under a name, asynchronously."""
        logical_id = self.named(name).logical_id
        if logical_id == "StepRunner":
            self.run(event, trigger)
        else:
            self.pools[logical_id].put(Invocation(event=event, trigger=trigger))

    def named(self, name: str) -> Function:
        """The function deployed under a name."""
        return next(function for function in self.functions.values() if function.name == name)

    def sweep(self) -> None:
        """Invoke the sweeper."""
        if self.sweeper_on:
            self.pools["Sweeper"].put(Invocation(event={}, trigger="sweeper"))

    def is_idle(self, within_seconds: float = 60) -> bool:
        """Whether no function runs or is about to, within that time; each may only ring for those after it."""
        asynchronous = [self.pools[name] for name in ("Sweeper", "BulkRunner", "StepRunner")]
        return all(pool.is_idle(within_seconds) for pool in asynchronous)

    def earliest_sweep(self) -> datetime | None:
        """The instant of the earliest entry of the due indexes, where the sweeper is on."""
        if not self.sweeper_on:
            return None
        names = self.tables()
        places = [
            (names["instances"], partition(shard))
            for shard in range(SHARDS)
            for partition in (swept_partition, far_partition)
        ]
        found = [self._first_of(*place) for place in (*places, (names["operations"], OPERATIONS))]
        return min((at for at in found if at is not None), default=None)

    def stop(self) -> None:
        """End everything that this started."""
        self._stopping.set()
        self.front.stop_serving()
        for pool in self.pools.values():
            pool.stop()
        self.emulator.stop()
        self.front.close()

    def _set_clock(self, start_at: datetime | None) -> None:
        """A clock set only while nothing is stored; a jump that was killed ends where it got to."""
        if self.clock.path.exists():
            self.clock.write(Offset(seconds=self.clock.read().seconds))
        elif start_at is not None:
            ahead = (start_at - datetime.now(UTC)).total_seconds()
            self.clock.write(Offset(seconds=math.ceil(ahead)))

    def _admit(self, key: str) -> None:
        """Let the account ``dev`` in with an administrator's key."""
        key_id, _, secret = key.partition(".")
        environment = self.functions["CoreApi"].environment
        access = DynamoDbAccess(client=self.database, tables=Tables(**self.tables()))
        access.put_key(
            AccessKey(
                key_id=key_id,
                account_id=AccountId("dev"),
                role=Role.ADMIN,
                secret_hash=SecretHasher(environment["PEPPER"].encode()).hash(secret),
                created_at=self.clock.now(),
            )
        )

    def tables(self) -> dict[str, str]:
        """What each table is called here."""
        environment = self.functions["StepRunner"].environment
        names = ("strategies", "instances", "events", "operations", "access", "audit")
        return {name: environment[f"{name.upper()}_TABLE"] for name in names}

    def time(self) -> dict[str, Any]:
        """What time it is here."""
        return {"now": self.clock.now().isoformat(), "offsetSeconds": self.clock.read().seconds}

    def _ended(self, function: Function, invocation: Invocation) -> None:
        answer = invocation.answer.get("answer")
        if answer is None:
            with (self.folder / "failures.log").open("a") as log:
                log.write(f"{function.logical_id} {invocation.event}\n{invocation.answer['error']}\n")
            self.counts["failures"] += 1
        elif function.logical_id == "StepRunner":
            self.counts[f"{invocation.trigger} events"] += answer["claimed"]

    def _environment(self, logical_id: str) -> dict[str, str]:
        lambda_url = f"{self.url}/by-sweeper" if logical_id == "Sweeper" else self.url
        return {
            "CLOCK_FILE": str(self.clock.path),
            "STACK_URL": self.url,
            "AWS_REGION": "eu-central-1",
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_ENDPOINT_URL_DYNAMODB": self.emulator.endpoint,
            "AWS_ENDPOINT_URL_SCHEDULER": self.url,
            "AWS_ENDPOINT_URL_LAMBDA": lambda_url,
            "POWERTOOLS_LOG_LEVEL": "WARNING",
        }

    def _first_of(self, table: str, partition: str) -> datetime | None:
        answer = self.database.query(
            TableName=table,
            IndexName="due",
            KeyConditionExpression="sweepPartition = :p",
            ExpressionAttributeValues={":p": {"S": partition}},
            Limit=1,
        )
        return next((parse_instant(item["sweepAt"]["S"]) for item in answer["Items"]), None)

    def _sweep_every_minute(self) -> None:
        self.sweep()
        while not self._stopping.wait(SWEEP_PERIOD_SECONDS):
            self.sweep()


def _parameters(folder: Path) -> dict[str, str]:
    """What a deployer would choose; the key is made from the folder's own seed, so it outlives a restart."""
    seed = folder / "seed"
    if not seed.exists():
        seed.write_bytes(hashlib.sha256(str(datetime.now(UTC)).encode()).digest())
    key = base64.b64encode(hashlib.sha256(b"settings" + seed.read_bytes()).digest()).decode()
    return {
        "Stage": "local",
        "Environment": "dev",
        "SettingsKeyArn": f"local:{key}",
        "Pepper": hashlib.sha256(b"pepper" + seed.read_bytes()).hexdigest(),
        "AllowedCidrs": "127.0.0.0/8",
    }


def _await_orphanage(stopped: threading.Event) -> None:
    """Stop when whoever started this, and holds the other end of its standard input, is gone."""
    sys.stdin.buffer.read()
    stopped.set()


def main() -> None:
    """Serve until SIGINT or SIGTERM, or until standard input ends."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--state", type=Path, required=True, help="folder of everything that is kept")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--start-at", type=parse_instant, help="simulated start, while nothing is stored yet")
    parser.add_argument("--wakeups", choices=("on", "off"), default="on")
    parser.add_argument("--sweeper", choices=("on", "off"), default="on")
    arguments = parser.parse_args()
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    stack = Stack(
        arguments.state,
        port=arguments.port,
        start_at=arguments.start_at,
        wakeups=arguments.wakeups == "on",
        sweeper=arguments.sweeper == "on",
    )
    threading.Thread(target=_await_orphanage, args=(stopped,), daemon=True).start()
    print(f"serving {stack.url}", flush=True)  # noqa: T201 - told to whoever started it
    while not stopped.wait(timedelta(hours=1).total_seconds()):
        pass
    stack.stop()


if __name__ == "__main__":
    main()
