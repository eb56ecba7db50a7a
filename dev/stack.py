"""The local stack in one process: gateway, doorbells, workers, clock. ``python -m dev.stack --help``."""

import argparse
import base64
import hashlib
import json
import math
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from dateutil.relativedelta import relativedelta

from dev.clock import ClockFile, Offset
from dev.doorbells import Doorbells
from dev.emulator import Emulator
from dev.gateway import HttpReply, HttpRequest, event_of, json_reply, reply_of
from dev.jump import Jumper
from dev.template import Function, Template
from dev.workers import ROOT, Invocation, Pool
from shared.adapters.crypto import SecretHasher
from shared.adapters.dynamodb.access import DynamoDbAccess
from shared.adapters.dynamodb.tables import Tables
from shared.domain.access import AccessKey, Role
from shared.domain.attention import SHARDS, swept_partition
from shared.domain.dates import parse_instant
from shared.domain.ids import AccountId

KEY = "dev.local-secret"
"""Of the account ``dev``; local only."""

WORKERS = {"StepRunner": 3, "Sweeper": 1}
API_WORKERS = 1
SWEEP_PERIOD_SECONDS = 60


class Stack:
    """Everything of a deployment that a laptop can stand in for. State lives in ``folder`` and survives kill -9."""

    def __init__(
        self, folder: Path, *, port: int, start_at: datetime | None, doorbells: bool, sweeper: bool
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.rings, self.sweeps = folder, doorbells, sweeper
        self.counts: Counter[str] = Counter()
        self.is_ready = threading.Event()
        self.clock = ClockFile(folder / "clock.json")
        self._set_clock(start_at)
        # Listening comes before the emulator starts: it rings what is overdue at once.
        self.server = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.template = Template(ROOT / "template.yaml", _parameters(folder))
        self.functions = {function.logical_id: function for function in self.template.functions()}
        self.routes = self.template.routes()
        self.pools: dict[str, Pool] = {}
        self._serving = threading.Thread(target=self.server.serve_forever, daemon=True)
        self._serving.start()
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
        self.doorbells = Doorbells(self.emulator.client("scheduler"), group, self.clock)
        for logical_id, function in self.functions.items():
            self.pools[logical_id] = Pool(
                function,
                self._environment(logical_id),
                workers=WORKERS.get(logical_id, API_WORKERS),
                report=self._ended,
            )
        self.jumper = Jumper(
            clock=self.clock,
            doorbells=self.doorbells,
            ring=lambda event: self.run(event, "doorbell"),
            sweep=self.sweep,
            earliest_attention=self.earliest_attention,
            is_idle=self.is_idle,
        )
        self._stopping = threading.Event()
        self._sweeping = threading.Thread(target=self._sweep_every_minute, daemon=True)
        self.is_ready.set()
        self._sweeping.start()

    def run(self, event: Mapping[str, Any], trigger: str) -> None:
        """Invoke the step runner."""
        self.counts[f"{trigger} rings"] += 1
        self.pools["StepRunner"].put(Invocation(event=event, trigger=trigger))

    def sweep(self) -> None:
        """Invoke the sweeper."""
        if self.sweeps:
            self.pools["Sweeper"].put(Invocation(event={}, trigger="sweeper"))

    def is_idle(self, within_seconds: float = 60) -> bool:
        """Whether no function runs or is about to, within that time."""
        asynchronous = [self.pools["Sweeper"], self.pools["StepRunner"]]
        return all(pool.is_idle(within_seconds) for pool in asynchronous)

    def earliest_attention(self) -> datetime | None:
        """The instant of the earliest entry of the attention index, where the sweeper is on."""
        if not self.sweeps:
            return None
        table = self.functions["Sweeper"].environment["INSTANCES_TABLE"]
        found = [self._first_of(table, swept_partition(shard)) for shard in range(SHARDS)]
        return min((at for at in found if at is not None), default=None)

    def answer(self, request: HttpRequest) -> HttpReply:
        """Whatever a request is for: the stack itself, one of the services it stands for, or a function."""
        path = request.target.partition("?")[0]
        if not self.is_ready.is_set() and path != "/_local/ring":
            return json_reply(503, {"message": "starting"})
        if path.startswith("/_local/"):
            return self._local(request, path)
        if path.startswith(("/2015-03-31/functions/", "/by-sweeper/2015-03-31/functions/")):
            if self.rings or path.startswith("/by-sweeper"):
                self.run(json.loads(request.body), "sweeper" if path.startswith("/by-sweeper") else "invoke")
            return HttpReply(status=202, headers=[], body=b"")
        if path.startswith("/schedules/"):
            return self._armed(path.rsplit("/", 1)[1], json.loads(request.body))
        return self._served(request)

    def _served(self, request: HttpRequest) -> HttpReply:
        """A function's own answer."""
        found = event_of(request, self.routes)
        if found is None:
            return json_reply(404, {"message": "Not Found"})
        invocation = self.pools[found[0]].put(Invocation(event=found[1]))
        invocation.done.wait()
        if "answer" not in invocation.answer:
            return json_reply(500, {"message": "Internal Server Error"})
        return reply_of(invocation.answer["answer"])

    def stop(self) -> None:
        """End everything that this started."""
        self._stopping.set()
        self.server.shutdown()
        for pool in self.pools.values():
            pool.stop()
        self.emulator.stop()
        self.server.server_close()

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
        access = DynamoDbAccess(client=self.database, tables=Tables(**self._tables()))
        access.put_key(
            AccessKey(
                key_id=key_id,
                account_id=AccountId("dev"),
                role=Role.ADMIN,
                secret_hash=SecretHasher(environment["PEPPER"].encode()).hash(secret),
                created_at=self.clock.now(),
            )
        )

    def _local(self, request: HttpRequest, path: str) -> HttpReply:
        body = json.loads(request.body or b"{}")
        match request.method, path:
            case "POST", "/_local/ring":
                self.is_ready.wait()
                if self.rings:
                    self.run(body, "doorbell")
                return json_reply(200, {})
            case "POST", "/_local/clock/sleep":
                self.jumper.move_on(body["seconds"])
                return json_reply(200, {})
            case "POST", "/_local/clock":
                before = Counter(self.counts)
                self.jumper.jump(_target(body, self.clock.now()))
                return json_reply(200, {**self._time(), "started": dict(self.counts - before)})
            case "GET", "/_local/clock":
                return json_reply(200, {**self._time(), "started": dict(self.counts)})
            case "GET", "/_local/database":
                return json_reply(200, {"endpoint": self.emulator.endpoint, "tables": self._tables()})
            case _:
                return json_reply(404, {"message": "Not Found"})

    def _tables(self) -> dict[str, str]:
        environment = self.functions["StepRunner"].environment
        names = ("strategies", "instances", "events", "operations", "access", "audit")
        return {name: environment[f"{name.upper()}_TABLE"] for name in names}

    def _time(self) -> dict[str, Any]:
        return {"now": self.clock.now().isoformat(), "offsetSeconds": self.clock.read().seconds}

    def _armed(self, name: str, request: dict[str, Any]) -> HttpReply:
        if not self.rings:
            return json_reply(200, {"ScheduleArn": "off"})
        try:
            self.doorbells.arm(name, request)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            reply = json_reply(status, {"Message": error.response["Error"]["Message"]})
            reply.headers.append(("x-amzn-errortype", code))
            return reply
        return json_reply(200, {"ScheduleArn": f"arn:aws:scheduler:local:{name}"})

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
            IndexName="attention",
            KeyConditionExpression="attentionPartition = :p",
            ExpressionAttributeValues={":p": {"S": partition}},
            Limit=1,
        )
        return next((parse_instant(item["attentionAt"]["S"]) for item in answer["Items"]), None)

    def _sweep_every_minute(self) -> None:
        self.sweep()
        while not self._stopping.wait(SWEEP_PERIOD_SECONDS):
            self.sweep()


def _handler(stack: Stack) -> Callable[..., BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Functions log for themselves."""

        def _answer(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = HttpRequest(
                method=self.command,
                target=self.path,
                headers=headers,
                body=self.rfile.read(length),
                source=self.client_address[0],
            )
            reply = stack.answer(request)
            self.send_response(reply.status)
            for name, value in reply.headers:
                self.send_header(name, value)
            self.send_header("content-length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815 - the library's names

    return Handler


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


def _target(body: Mapping[str, Any], now: datetime) -> datetime:
    if "to" in body:
        return parse_instant(body["to"])
    return now + relativedelta(**body["advance"])


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
    asked = parser.parse_args()
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    stack = Stack(
        asked.state,
        port=asked.port,
        start_at=asked.start_at,
        doorbells=asked.wakeups == "on",
        sweeper=asked.sweeper == "on",
    )
    threading.Thread(target=_await_orphanage, args=(stopped,), daemon=True).start()
    print(f"serving {stack.url}", flush=True)  # noqa: T201 - told to whoever started it
    while not stopped.wait(timedelta(hours=1).total_seconds()):
        pass
    stack.stop()


if __name__ == "__main__":
    main()
