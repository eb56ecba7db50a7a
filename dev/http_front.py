"""The HTTP interface of the local stack: the API's routes, its own routes, and the AWS services it replaces."""

import json
import threading
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import unquote

from botocore.exceptions import ClientError
from dateutil.relativedelta import relativedelta

from dev.activity import Activity
from dev.clock import ClockFile
from dev.clock_advance import AdvanceError, ClockAdvance
from dev.emulator import Emulator
from dev.gateway import HttpReply, HttpRequest, event_of, json_reply, reply_of
from dev.http_server import HttpServer
from dev.local_bus import BUCKET_PATH, BUS_PATH, LocalBus
from dev.schedules import Schedules
from dev.template import Function, Route
from dev.workers import Invocation, Pool
from shared.domain.calendar.dates import parse_instant

BY_SWEEPER = "/by-sweeper"
"""The prefix of the paths on which the sweeper reaches Lambda, so that its invocations are counted as its own."""

LAMBDA = "/2015-03-31/functions/"


class Behind(Protocol):
    """The part of the stack that the front needs."""

    wakeups_on: bool
    counts: Counter[str]
    clock: ClockFile
    schedules: Schedules
    emulator: Emulator
    activity: Activity
    clock_advance: ClockAdvance
    pools: dict[str, Pool]
    routes: list[Route]
    is_ready: threading.Event
    bus: LocalBus

    def run(self, event: Mapping[str, Any], trigger: str) -> None:
        """Invoke the step runner."""

    def invoke(self, name: str, event: Mapping[str, Any], trigger: str) -> None:
        """Invoke the function with that name asynchronously."""

    def named(self, name: str) -> Function:
        """Return the function with that name."""

    def tables(self) -> dict[str, str]:
        """Return the names of the tables."""

    def time(self) -> dict[str, Any]:
        """Return the simulated time and the offset."""


class HttpFront:
    """Serves on 127.0.0.1. It listens before the stack is ready, and answers 503 until then."""

    def __init__(self, stack: Behind, port: int) -> None:
        self._stack = stack
        self._stops = False
        self._server = HttpServer(self.answer, port)
        self.url = self._server.url

    def stop_serving(self) -> None:
        """Refuse requests of clients. Functions that still run can reach the AWS services."""
        self._stops = True

    def close(self) -> None:
        """Release the port."""
        self._server.close()

    def answer(self, request: HttpRequest) -> HttpReply:
        """Answer a request to the stack itself, to an AWS service that it replaces, or to a function."""
        path = request.target.partition("?")[0]
        # Overdue wakeups arrive while the stack starts. They wait below instead of failing.
        if not self._stack.is_ready.is_set() and path != "/_local/wakeup":
            return json_reply(503, {"message": "starting"})
        if path.startswith("/_local/"):
            return self._local(request, path)
        return self._service(request, path) or self._invoke_api(request)

    def _service(self, request: HttpRequest, path: str) -> HttpReply | None:
        """Answer a request to an AWS service that the stack replaces, or return None if it is none."""
        if path.removeprefix(BY_SWEEPER).startswith(LAMBDA):
            return self._lambda(request, path)
        if path.startswith("/schedules/"):
            return self._schedule(path.rsplit("/", 1)[1], json.loads(request.body))
        if path.startswith(BUS_PATH):
            return self._stack.bus.put_events(request)
        if path.startswith(BUCKET_PATH):
            return self._stack.bus.put_object(request)
        return None

    def _invoke_api(self, request: HttpRequest) -> HttpReply:
        """Return the answer of the function that the route leads to."""
        if self._stops:
            return json_reply(503, {"message": "stopping"})
        function_and_event = event_of(request, self._stack.routes)
        if function_and_event is None:
            return json_reply(404, {"message": "Not Found"})
        function, event = function_and_event
        invocation = self._stack.pools[function].put(Invocation(event=event))
        invocation.done.wait()
        if "answer" not in invocation.answer:
            return json_reply(500, {"message": "Internal Server Error"})
        return reply_of(invocation.answer["answer"])

    def _lambda(self, request: HttpRequest, path: str) -> HttpReply:
        """Answer Lambda's API: asynchronous invocations, and the settings of a function."""
        by_sweeper = path.startswith(BY_SWEEPER)
        arn, _, resource = unquote(path.removeprefix(BY_SWEEPER)).removeprefix(LAMBDA).partition("/")
        name = arn.rsplit(":", 1)[-1]
        if resource == "configuration":
            environment = dict(self._stack.named(name).environment)
            return json_reply(200, {"FunctionName": name, "Environment": {"Variables": environment}})
        if self._stack.wakeups_on or by_sweeper:
            trigger = "sweeper" if by_sweeper else "invoke"
            self._stack.invoke(name, json.loads(request.body), trigger)
        return HttpReply(status=202, headers=[], body=b"")

    def _local(self, request: HttpRequest, path: str) -> HttpReply:
        """Answer a request to the stack itself."""
        if request.method == "GET":
            return self._shown(request, path)
        stack, body = self._stack, json.loads(request.body or b"{}")
        match request.method, path:
            case "POST", "/_local/wakeup":
                stack.is_ready.wait()
                if stack.wakeups_on:
                    stack.run(body, "wakeup")
                return json_reply(200, {})
            case "POST", "/_local/clock/sleep":
                with stack.pools[body["function"]].waiting():
                    reached = stack.activity.sleep(body["invocation"], body["seconds"])
                return json_reply(200, {"reached": reached})
            case "POST", "/_local/clock":
                return self._advance(_target(body, stack.clock.now()))
            case _:
                return json_reply(404, {"message": "Not Found"})

    def _shown(self, request: HttpRequest, path: str) -> HttpReply:
        """Answer a request to read something of the stack itself."""
        stack = self._stack
        match path:
            case "/_local/clock":
                return json_reply(200, {**stack.time(), "started": dict(stack.counts)})
            case "/_local/events":
                return stack.bus.subscribe(request)
            case "/_local/processes":
                workers = {name: pool.pids for name, pool in stack.pools.items()}
                return json_reply(200, {"emulator": stack.emulator.pid, "workers": workers})
            case "/_local/database":
                return json_reply(200, {"endpoint": stack.emulator.endpoint, "tables": stack.tables()})
            case _:
                return json_reply(404, {"message": "Not Found"})

    def _advance(self, to: datetime) -> HttpReply:
        """Advance the clock, and return how much each trigger started, or the invocations that have not ended."""
        stack = self._stack
        before, stale = stack.counts.copy(), stack.clock_advance.stale_wakeups
        try:
            stack.clock_advance.advance_to(to)
        except AdvanceError as error:
            failed = {"message": str(error), "stillRunning": error.still_running}
            return json_reply(504, {**stack.time(), **failed})
        skipped = stack.clock_advance.stale_wakeups - stale
        started = dict(stack.counts - before)
        return json_reply(200, {**stack.time(), "started": started, "staleWakeups": skipped})

    def _schedule(self, name: str, request: dict[str, Any]) -> HttpReply:
        # Without wakeups a schedule seems to succeed and never fires.
        if not self._stack.wakeups_on:
            return json_reply(200, {"ScheduleArn": "off"})
        try:
            self._stack.schedules.arm(name, request)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            reply = json_reply(status, {"Message": error.response["Error"]["Message"]})
            reply.headers.append(("x-amzn-errortype", code))
            return reply
        return json_reply(200, {"ScheduleArn": f"arn:aws:scheduler:local:{name}"})


def _target(body: Mapping[str, Any], now: datetime) -> datetime:
    if "to" in body:
        return parse_instant(body["to"])
    return now + relativedelta(**body["advance"])
