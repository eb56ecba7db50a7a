"""The local stack in one process: HTTP front, schedules, workers, clock. ``python -m dev.stack --help``."""

import argparse
import base64
import hashlib
import json
import math
import os
import secrets
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import boto3

from dev.activity import Activity
from dev.aws import database
from dev.clock import ClockFile
from dev.clock_advance import ClockAdvance
from dev.emulator import Emulator, EmulatorError
from dev.feed import Feed
from dev.http_front import HttpFront
from dev.http_server import ListenError
from dev.local_bus import BUCKET_PATH, BUS_PATH, LocalBus
from dev.local_functions import LocalFunctions, write
from dev.schedules import Schedules
from dev.stale import stale_wakeups
from dev.template import REGION, Function, Template
from dev.webhook_queue import WebhookQueue
from dev.workers import ROOT, Invocation, Pool
from shared.adapters.dynamodb.access import DynamoDbAccess
from shared.adapters.dynamodb.instances import DynamoDbInstances
from shared.adapters.dynamodb.tables import OPERATIONS, Tables
from shared.adapters.peppers import hasher_of
from shared.domain.access import AccessKey, Role
from shared.domain.calendar.dates import parse_instant
from shared.domain.ids import AccountId
from shared.domain.instance.due import SHARDS, far_partition, swept_partition

KEY = "dev.local-secret"
"""The administrator's key of the account ``dev``. It exists only locally."""

WORKERS = {"StepRunner": 3}
"""The number of worker processes of a function. Other functions have one."""

WARM = ("StepRunner", "Sweeper")
"""Functions whose workers start with the stack, so that a wakeup does not wait for a process to start."""

SWEEP_PERIOD_SECONDS = 60

MAX_ADVANCE_SECONDS = 120.0
"""How long a jump of the clock waits for the same invocations before it fails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Options of the stack. Port 0 chooses a free port.

    ``database_url`` and ``services_url`` are the addresses of DynamoDB, and of Scheduler and Lambda, for functions if
    there is a proxy between them and the stack. ``invocations`` is a file that gets a line for each begin and end of an
    invocation of the step runner. ``bulk_per_second`` is the pace of bulk operations, None for that of the template.
    ``containers_at`` is the name or address at which containers reach this machine, None to refuse them.
    """

    port: int = 8080
    start_at: datetime | None = None
    wakeups: bool = True
    sweeper: bool = True
    advance_seconds: float = MAX_ADVANCE_SECONDS
    emulator_address: tuple[str, int] | None = None
    containers_at: str | None = None
    database_url: str | None = None
    services_url: str | None = None
    invocations: Path | None = None
    bulk_per_second: int | None = None


class Stack:
    """A deployment on a developer's machine. Its state is in ``folder`` and survives kill -9.

    ``on_failure`` is called with the reason when the stack cannot continue.
    Raises: EmulatorError, ListenError.
    """

    def __init__(self, folder: Path, options: Options, *, on_failure: Callable[[str], object]) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder, self._options = folder, options
        self.wakeups_on, self.sweeper_on = options.wakeups, options.sweeper
        self.counts: Counter[str] = Counter()
        self.is_ready = threading.Event()
        self.clock = ClockFile(folder / "clock.json")
        self.activity = Activity(self.clock)
        self._set_clock(options.start_at)
        # The front listens before the emulator starts, because that sends overdue wakeups at once.
        names = [] if options.containers_at is None else [options.containers_at]
        self.front = HttpFront(self, options.port, names)
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
            address=options.emulator_address,
            on_failure=on_failure,
        )
        self.emulator.create_tables(self.template.tables())
        self.bus = LocalBus(folder)
        sqs = self.emulator.client("sqs")
        # The last one is the queue; the one before it takes what the queue gives up.
        self._webhook_queue_url = [_queue_url(sqs, queue) for queue in self.template.webhook_queues()][-1]
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
            activity=self.activity,
            stale=partial(
                stale_wakeups,
                DynamoDbInstances(client=self.database, tables=Tables(**self.tables())),
                self.schedules,
            ),
            patience_seconds=options.advance_seconds,
        )
        self._feed = Feed(
            folder / "changes.jsonl",
            folder,
            self.tables(),
            read=self._item,
            publish=lambda records: self._answer("Publisher", {"Records": records}),
        )
        self._webhooks = WebhookQueue(
            sqs, self._webhook_queue_url, lambda event: self._answer("WebhookSender", event)
        )
        write(folder, self._local_functions())
        self._stopping = threading.Event()
        self._sweeping = threading.Thread(target=self._sweep_every_minute, daemon=True)
        self.is_ready.set()
        self._sweeping.start()
        self._feed.start()
        self._webhooks.start()

    def run(self, event: Mapping[str, Any], trigger: str) -> None:
        """Invoke the step runner."""
        self.counts["wakeups" if trigger == "wakeup" else f"{trigger} wakeups"] += 1
        self._start("StepRunner", event, trigger)

    def invoke(self, name: str, event: Mapping[str, Any], trigger: str) -> None:
        """Invoke the function with that name asynchronously."""
        logical_id = self.named(name).logical_id
        if logical_id == "StepRunner":
            self.run(event, trigger)
        else:
            self._start(logical_id, event, trigger)

    def named(self, name: str) -> Function:
        """Return the function with that name. Raises: LookupError."""
        found = [function for function in self.functions.values() if function.name == name]
        if not found:
            raise LookupError(name)
        return found[0]

    def sweep(self) -> None:
        """Invoke the sweeper, unless it is off."""
        if self.sweeper_on:
            self._start("Sweeper", {}, "sweeper")

    def earliest_sweep(self) -> datetime | None:
        """Return the instant of the earliest entry of the due indexes.

        Return None if there is none or the sweeper is off.
        """
        if not self.sweeper_on:
            return None
        names = self.tables()
        places = [
            (names["instances"], partition(shard))
            for shard in range(SHARDS)
            for partition in (swept_partition, far_partition)
        ]
        instants = [self._first_of(*place) for place in (*places, (names["operations"], OPERATIONS))]
        return min((at for at in instants if at is not None), default=None)

    def stop(self) -> None:
        """Stop all processes and threads of the stack."""
        self._stopping.set()
        self.front.stop_serving()
        self.bus.close()
        self.activity.close()
        self._feed.stop()
        self._webhooks.stop()
        for pool in self.pools.values():
            pool.stop()
        self.emulator.stop()
        self.front.close()

    def _set_clock(self, start_at: datetime | None) -> None:
        """Set the clock if nothing is stored yet."""
        # Stored instants would be wrong if the clock of an existing state were set.
        if start_at is not None and not self.clock.path.exists():
            self.clock.write(math.ceil((start_at - datetime.now(UTC)).total_seconds()))

    def _admit(self, key: str) -> None:
        """Store an administrator's key of the account ``dev``."""
        key_id, _, secret = key.partition(".")
        environment = self.functions["CoreApi"].environment
        session = boto3.Session("local", "local", region_name=REGION)  # the emulator takes any
        client = database(session, url=self.emulator.endpoint)
        access = DynamoDbAccess(client=client, tables=Tables(**self.tables()))
        access.put_key(
            AccessKey(
                key_id=key_id,
                account_id=AccountId("dev"),
                role=Role.ADMIN,
                secret_hash=hasher_of(environment["PEPPER"].removeprefix("local:")).hash(secret),
                created_at=self.clock.now(),
            )
        )

    def tables(self) -> dict[str, str]:
        """Return the names of the tables."""
        environment = self.functions["StepRunner"].environment
        names = ("strategies", "instances", "events", "operations", "access", "audit")
        return {name: environment[f"{name.upper()}_TABLE"] for name in names}

    def time(self) -> dict[str, Any]:
        """Return the simulated time and the offset."""
        return {"now": self.clock.now().isoformat(), "offsetSeconds": self.clock.read()}

    def _start(self, logical_id: str, event: Mapping[str, Any], trigger: str) -> None:
        """Start an asynchronous invocation."""
        invocation = Invocation(event=event, trigger=trigger)
        if logical_id == "StepRunner":
            self._log_runner("began", id=invocation.id, trigger=trigger, sid=event.get("sid"))
        # Before it is queued, because it may end at once.
        self.activity.begin(invocation.id, f"{logical_id} {json.dumps(event)} (by {trigger})")
        self.pools[logical_id].put(invocation)

    def _log_runner(self, moment: str, **members: object) -> None:
        """Log that an invocation of the step runner began or ended now, if there is a file for that."""
        if self._options.invocations is not None:
            with self._options.invocations.open("a") as lines:
                lines.write(json.dumps({**members, moment: self.clock.now().isoformat()}) + "\n")

    def _answer(self, logical_id: str, event: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Invoke a function and return its answer, or None if it failed."""
        invocation = self.pools[logical_id].put(Invocation(event=event, trigger="mapping"))
        invocation.done.wait()
        answer: Mapping[str, Any] | None = invocation.answer.get("answer")
        return answer

    def _item(self, table: str, key: Mapping[str, Any]) -> Mapping[str, Any] | None:
        found: Mapping[str, Any] | None = self.database.get_item(
            TableName=table, Key=key, ConsistentRead=True
        ).get("Item")
        return found

    def _ended(self, function: Function, invocation: Invocation) -> None:
        if function.logical_id == "StepRunner":
            self._log_runner("ended", id=invocation.id)
        self._count(function, invocation)
        self.activity.end(invocation.id)

    def _count(self, function: Function, invocation: Invocation) -> None:
        answer = invocation.answer.get("answer")
        if answer is None:
            with (self.folder / "failures.log").open("a") as log:
                log.write(f"{function.logical_id} {invocation.shown}\n{invocation.answer['error']}\n")
            self.counts["failures"] += 1
        elif function.logical_id == "StepRunner":
            self.counts[f"{invocation.trigger} events"] += answer["claimed"]

    def _local_functions(self) -> LocalFunctions:
        """Return the data that other programs of this user need to run the functions."""
        functions = {
            name: replace(function, environment={**function.environment, **self._environment(name)})
            for name, function in self.functions.items()
        }
        return LocalFunctions(
            url=self.url,
            pid=os.getpid(),
            containers_at=self._options.containers_at,
            functions=functions,
        )

    def _environment(self, logical_id: str) -> dict[str, str]:
        services, pace = self._options.services_url or self.url, self._options.bulk_per_second
        lambda_url = f"{services}/by-sweeper" if logical_id == "Sweeper" else services
        return {
            "CLOCK_FILE": str(self.clock.path),
            "STACK_URL": self.url,
            "STACK_FUNCTION": logical_id,
            "AWS_REGION": "eu-central-1",
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_ENDPOINT_URL_DYNAMODB": self._options.database_url or self.emulator.endpoint,
            "AWS_ENDPOINT_URL_SCHEDULER": services,
            "AWS_ENDPOINT_URL_LAMBDA": lambda_url,
            "AWS_ENDPOINT_URL_EVENTBRIDGE": f"{self.url}{BUS_PATH}",
            "AWS_ENDPOINT_URL_S3": f"{self.url}{BUCKET_PATH}",
            "AWS_ENDPOINT_URL_SQS": self.emulator.endpoint,
            "WEBHOOK_QUEUE_URL": self._webhook_queue_url,
            # The emulator's Scheduler knows no aliases, and would wake nobody.
            "STEP_RUNNER_ARN": self.functions[logical_id].environment["STEP_RUNNER_ARN"].rpartition(":")[0],
            "CHANGE_LOG": str(self.folder / "changes.jsonl"),
            "POWERTOOLS_LOG_LEVEL": "WARNING",
            **({} if pace is None else {"BULK_PER_SECOND": str(pace)}),
            **_no_proxy(self.emulator.host),
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


def _queue_url(sqs: Any, queue: Mapping[str, Any]) -> str:  # noqa: ANN401 - boto3 has no types of its own
    """Create a queue, unless it exists, and return its URL."""
    try:
        url: str = sqs.create_queue(**queue)["QueueUrl"]
    except sqs.exceptions.QueueNameExists:
        # It was made by a stack whose template has other attributes.
        url = sqs.get_queue_url(QueueName=queue["QueueName"])["QueueUrl"]
        sqs.set_queue_attributes(QueueUrl=url, Attributes=queue["Attributes"])
    return url


def _parameters(folder: Path) -> dict[str, str]:
    """Return the template's parameters.

    The encryption key is derived from the folder's seed, so it survives a restart.
    """
    seed = folder / "seed"
    if not seed.exists():
        seed.write_bytes(secrets.token_bytes(32))
    key = base64.b64encode(hashlib.sha256(b"settings" + seed.read_bytes()).digest()).decode()
    return {
        "Stage": "local",
        "Environment": "dev",
        "SettingsKeyArn": f"local:{key}",
        "PepperSecretArn": "local:" + hashlib.sha256(b"pepper" + seed.read_bytes()).hexdigest(),
        "AllowedCidrs": "127.0.0.0/8",
    }


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


def _containers_at(text: str) -> str:
    try:
        address = IPv4Address(text)
    except ValueError:
        return text
    if address.is_unspecified or not address.is_private:
        raise argparse.ArgumentTypeError(f"{text} must be a private address, such as that of Docker's bridge")
    return text


def _no_proxy(host: str) -> dict[str, str]:
    """Return the variables that keep requests to a host from a developer's proxy."""
    named = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or "127.0.0.1,localhost"
    return dict.fromkeys(("no_proxy", "NO_PROXY"), f"{named},{host}")


def _await_orphanage(stopped: threading.Event) -> None:
    """Stop when the parent process, which holds the other end of standard input, has ended."""
    sys.stdin.buffer.read()
    stopped.set()


def main() -> int:
    """Serve until SIGINT or SIGTERM, or until standard input ends. Return 1 if the stack could not continue."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--state", type=Path, required=True, help="folder of everything that is kept")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--start-at", type=parse_instant, help="simulated start, while nothing is stored yet")
    parser.add_argument("--wakeups", choices=("on", "off"), default="on")
    parser.add_argument("--sweeper", choices=("on", "off"), default="on")
    parser.add_argument("--advance-seconds", type=float, default=MAX_ADVANCE_SECONDS)
    parser.add_argument(
        "--emulator-address", type=_address, help="HOST:PORT; one that is hard to guess by default"
    )
    parser.add_argument(
        "--containers-at",
        type=_containers_at,
        help="the name or address at which containers reach this machine",
    )
    parser.add_argument(
        "--bulk-per-second", type=int, help="how many instances a bulk operation commands; 0 is no limit"
    )
    parser.add_argument("--database-url", help="where functions reach DynamoDB instead of the emulator")
    parser.add_argument(
        "--services-url", help="where functions reach Scheduler and Lambda instead of the stack"
    )
    parser.add_argument(
        "--invocations", type=Path, help="a file for a line about each begin and end of the step runner"
    )
    arguments = vars(parser.parse_args())
    stopped = threading.Event()
    failures: list[str] = []

    def fail(reason: str) -> None:
        failures.append(reason)
        stopped.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    switches = {name: arguments.pop(name) == "on" for name in ("wakeups", "sweeper")}
    try:
        stack = Stack(arguments.pop("state"), Options(**arguments, **switches), on_failure=fail)
    except (EmulatorError, ListenError) as error:
        return _say(f"stopping: {error}", 1)
    threading.Thread(target=_await_orphanage, args=(stopped,), daemon=True).start()
    _say(f"serving {stack.url}", 0)  # the parent process waits for it
    while not stopped.wait(timedelta(hours=1).total_seconds()):
        pass
    for reason in failures:
        _say(f"stopping: {reason}", 1)
    stack.stop()
    return 1 if failures else 0


def _say(text: str, status: int) -> int:
    print(text, flush=True)  # noqa: T201 - the log of the stack
    return status


if __name__ == "__main__":
    sys.exit(main())
