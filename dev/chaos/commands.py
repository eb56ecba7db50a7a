"""Clients that command the same instances in all four dialects at once."""

import base64
import http.client
import json
import random
import threading
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from dev.chaos.command_log import CommandLog, Reply
from dev.chaos.flows import PERIODS, SECRET, START_KEY, name_of
from dev.client import KEY
from shared.domain.strategy.model import Json

_SECONDS = 8
_STRATEGY_SECRET = base64.b64encode(SECRET.encode()).decode()
_BASIC = "Basic " + base64.b64encode(KEY.replace(".", ":", 1).encode()).decode()
ACCOUNT = "dev"


def send(
    url: str, method: str, path: str, body: Json = None, headers: Mapping[str, str] | None = None
) -> Reply:
    """Send a request and return the reply, whatever happens to it."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=_SECONDS)
    try:
        connection.connect()
    except OSError:
        return Reply(status=None, unsent=True)
    try:
        data = None if body is None else json.dumps(body)
        connection.request(
            method, path, body=data, headers={"Content-Type": "application/json", **(headers or {})}
        )
        response = connection.getresponse()
        text = response.read()
        names = {name.lower(): value for name, value in response.getheaders()}
        return Reply(status=response.status, body=json.loads(text) if text else None, headers=names)
    except (OSError, http.client.HTTPException, ValueError):
        return Reply(status=None)
    finally:
        connection.close()


class Clients:
    """Threads that send random commands until they are stopped. ``shared`` are the instances they may command.

    ``ends`` is when plans that they begin end.
    """

    def __init__(self, url: str, *, seed: int, shared: list[str], definition: str, ends: datetime) -> None:
        self.log = CommandLog()
        self._url, self._shared, self._definition, self._ends = url, shared, definition, ends
        self._stopping = threading.Event()
        dialects: list[Callable[[random.Random], None]] = [
            self._core,
            self._orders,
            self._automation,
            self._process,
        ]
        self._threads = [
            threading.Thread(target=self._repeat, args=(dialect, random.Random(seed + number)), daemon=True)
            for number, dialect in enumerate(dialects)
        ]
        self._token = ""
        self._errors: list[Exception] = []

    def start(self) -> None:
        """Begin to send commands."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Return when the last reply has arrived. Raises: the error of a client that failed by itself."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        for error in self._errors:
            raise error

    def _repeat(self, dialect: Callable[[random.Random], None], rng: random.Random) -> None:
        try:
            while not self._stopping.wait(rng.uniform(0.2, 1.2)):
                dialect(rng)
        except Exception as error:  # noqa: BLE001 - raised at the end of the run, which must not go on as if it had a client
            self._errors.append(error)

    def _command(self, dialect: str, name: str, sids: list[str], request: Callable[[], Reply]) -> Reply:
        """Send a command to instances, and record its possible effect on them."""
        with self.log.lock:
            if name == "cancel":
                self.log.cancels_sent.update(sids)
        sent_at = datetime.now(UTC)
        reply = request()
        self.log.record_sent(name, sids, reply, sent_at=sent_at, answered_at=datetime.now(UTC))
        self.log.record(dialect, name, reply)
        if name == "cancel" and reply.succeeded:
            with self.log.lock:
                self.log.cancels_answered.update(sids)
        return reply

    def _core(self, rng: random.Random) -> None:
        name = rng.choices(
            ("pause", "resume", "cancel", "bulk", "strategy", "queue", "create"), (4, 6, 0.4, 2, 1, 0.5, 1)
        )[0]
        match name:
            case "bulk":
                self._bulk(rng)
            case "strategy":
                self._flag(rng, f"/execution-strategy/{rng.choice(self._strategies())}")
            case "queue":
                self._queue(rng)
            case "create":
                self._create(rng)
            case _:
                sid = rng.choice(self._shared)
                path = f"/execution-instance/{sid}/{name}"
                self._command("core", name, [sid], lambda: self._send("POST", path))

    def _strategies(self) -> list[str]:
        found = self._send("GET", "/execution-strategy?limit=100")
        items = found.body["items"] if found.succeeded else []
        return [item["sid"] for item in items if item["name"].startswith("chaos-")] or ["none"]

    def _bulk(self, rng: random.Random) -> None:
        command = rng.choice(("pause", "resume", "resume"))
        sids = rng.sample(self._shared, min(len(self._shared), rng.choice((2, 10, 40))))
        body = {"selection": {"ids": sids}, "command": {"name": command}}
        headers = {"Idempotency-Key": _key(rng)}
        for _ in range(2):  # the same key: the second request changes nothing
            self._command(
                "core", f"bulk {command}", sids, lambda: self._send("POST", "/bulk-operation", body, headers)
            )

    def _flag(self, rng: random.Random, path: str) -> None:
        """Pause a strategy, and resume it some seconds later."""
        self._command("core", "strategy pause", self._shared, lambda: self._send("POST", f"{path}/pause"))
        self._stopping.wait(rng.uniform(0.5, 5))
        self._command("core", "strategy resume", self._shared, lambda: self._send("POST", f"{path}/resume"))

    def _queue(self, rng: random.Random) -> None:
        self._command("core", "queue pause", self._shared, lambda: self._send("DELETE", "/queue"))
        self._stopping.wait(rng.uniform(0.5, 3))
        self._command("core", "queue resume", self._shared, lambda: self._send("POST", "/queue"))

    def _create(self, rng: random.Random) -> None:
        key = _key(rng)
        body = {"strategyId": name_of(rng.choice(PERIODS)), "endDate": self._ends.isoformat()}
        body_with_key = {**body, "attributes": {START_KEY: key}}

        def request() -> Reply:
            return self._send("POST", "/execution-instance", body_with_key, {"Idempotency-Key": key})

        self._start("core", "create", key, request, lambda answer: answer["executionInstance"]["sid"])

    def _start(
        self,
        dialect: str,
        name: str,
        key: str,
        request: Callable[[], Reply],
        sid_of: Callable[[Any], str | None] = lambda _: None,
    ) -> Reply:
        """Send a request to start an instance twice under its key. ``sid_of`` returns the sid that an answer names."""
        for _ in range(2):
            reply = request()
            self.log.record(dialect, name, reply)
            self.log.record_start(key, sid_of(reply.body) if reply.succeeded else None, reply)
        return reply

    def _orders(self, rng: random.Random) -> None:
        if not self._token:
            reply = send(self._url, "POST", "/joc/api/authentication/login", {}, {"Authorization": _BASIC})
            self.log.record("orders", "login", reply)
            self._token = reply.headers.get("x-access-token", "")
            return
        name = rng.choices(("suspend", "resume", "cancel", "add"), (4, 6, 0.4, 2))[0]
        if name == "add":
            at = f"now+{rng.choice((0, 5, 30, 60))}"
            key = _key(rng)
            order = {
                "workflowPath": f"/{name_of(rng.choice(PERIODS))}",
                "orderName": "chaos",
                "scheduledFor": at,
                "arguments": {START_KEY: key},
            }
            # The answer names orders, not instances.
            reply = self._start("orders", name, key, lambda: self._joc(name, {"orders": [order]}, key))
        else:
            sids = rng.sample(self._shared, min(len(self._shared), rng.choice((1, 1, 3, 30))))
            if name == "cancel":
                sids = sids[:1]
            reply = self._command("orders", name, sids, lambda: self._joc(name, {"orderIds": sids}))
        if reply.status in (401, 440):
            self._token = ""

    def _joc(self, operation: str, body: dict[str, Any], key: str | None = None) -> Reply:
        headers = {"X-Access-Token": self._token} | ({} if key is None else {"Idempotency-Key": key})
        return send(
            self._url, "POST", f"/joc/api/orders/{operation}", {"controllerId": ACCOUNT, **body}, headers
        )

    def _automation(self, rng: random.Random) -> None:
        base = f"/api/v1/accounts/{ACCOUNT}"
        name = rng.choices(("trigger", "find", "suspend", "resume", "terminate"), (3, 2, 3, 4, 0.5))[0]
        if name == "trigger":
            path, key = f"{base}/triggers/http_request?subAccountId=chaos", _key(rng)
            context, headers = {"customerId": "c", START_KEY: key}, {"Idempotency-Key": key}
            # It starts one workflow, because there is one definition. The answer is empty.
            self._start("automation", name, key, lambda: self._send("POST", path, context, headers))
        elif name == "find" or not self.log.workflows:
            reply = self._send("GET", f"{base}/definitions/{self._definition}/workflows")
            self.log.record("automation", "find", reply)
            if reply.succeeded:
                with self.log.lock:
                    self.log.workflows = [workflow["workflowId"] for workflow in reply.body]
        else:
            sid = rng.choice(self.log.workflows)
            path = f"{base}/definitions/{self._definition}/workflows/{sid}"
            command = "cancel" if name == "terminate" else name
            self._command("automation", command, [sid], lambda: self._send("PATCH", path, {"status": name}))

    def _process(self, rng: random.Random) -> None:
        if rng.random() < 0.5 and self.log.created:
            path = f"/scheduler/connector-api/process/status/{rng.choice(self.log.created)}"
            self.log.record(
                "process", "status", send(self._url, "GET", path, None, {"Authorization": _BASIC})
            )
            return
        body: dict[str, Any] = {"name": name_of(rng.choice(PERIODS)), "runOnce": "Y", "runImmediately": "Y"}
        if rng.random() < 0.3:
            end = f"{self._ends.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
            body = {
                "name": body["name"],
                "quartzDef": f"0/{rng.choice((10, 20, 30))} * * * * ?",
                "endDate": end,
            }
            body |= {"runOnce": "N", "runImmediately": "N", "timezone": "UTC"}
        key = _key(rng)
        body["values"] = {START_KEY: key}
        headers = {"Authorization": _BASIC, "Idempotency-Key": key}
        path = "/scheduler/connector-api/process/start"

        def request() -> Reply:
            return send(self._url, "POST", path, body, headers)

        self._start("process", "start", key, request, lambda answer: answer["robustaSpid"])

    def _send(
        self, method: str, path: str, body: Json = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        known = {"Authorization": f"Bearer {KEY}", "Strategy-Secret": _STRATEGY_SECRET}
        return send(self._url, method, path, body, {**known, **(headers or {})})


def _key(rng: random.Random) -> str:
    """Return a new Idempotency-Key."""
    return str(uuid.UUID(int=rng.getrandbits(128)))


def soon(seconds: float) -> datetime:
    """Return the instant that many seconds from now, in whole seconds."""
    return datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds)
