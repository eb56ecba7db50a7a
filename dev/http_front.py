"""The HTTP interface of the local stack: the API's routes, its own routes, and the AWS services it replaces."""

import http.client
import json
import os
import threading
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import asdict
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote

from botocore.exceptions import ClientError

from dev.activity import Activity
from dev.clock import ClockFile
from dev.clock_advance import AdvanceError, ClockAdvance
from dev.clock_request import ClockRequestError, target_of
from dev.emulator import Emulator
from dev.gateway import HttpReply, HttpRequest, event_of, json_reply, reply_of
from dev.http_server import HttpServer
from dev.local_bus import BUCKET_PATH, BUS_PATH, LocalBus
from dev.local_functions import EMULATOR_PATH, FILE, SECRETS
from dev.schedules import Schedules
from dev.template import Function, Route, function_name
from dev.webhook_queue import without_groups
from dev.workers import Invocation, Pool

BY_SWEEPER = "/by-sweeper"
"""The prefix of the paths on which the sweeper reaches Lambda, so that its invocations are counted as its own."""

LAMBDA = "/2015-03-31/functions/"

_EMULATOR_SECONDS = 30
_HOP = ("connection", "content-length", "date", "host", "keep-alive", "server", "transfer-encoding")


class Behind(Protocol):
    """The part of the stack that the front needs."""

    folder: Path
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
        """Return the function with that name. Raises: LookupError."""

    def tables(self) -> dict[str, str]:
        """Return the names of the tables."""

    def time(self) -> dict[str, Any]:
        """Return the simulated time and the offset."""


class HttpFront:
    """Serves on 127.0.0.1. It listens before the stack is ready, and answers 503 until then.

    ``names`` are further names of this machine, at which containers reach it. Raises: ListenError.
    """

    def __init__(self, stack: Behind, port: int, names: Collection[str] = ()) -> None:
        self._stack = stack
        self._stops = False
        self._admits_containers = bool(names)
        self._server = HttpServer(self.answer, port, names)
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
        # By method, because a link that somebody follows is a GET and must change nothing.
        if request.method == "POST" and path.startswith("/schedules/"):
            return self._schedule(path.rsplit("/", 1)[1], json.loads(request.body))
        if request.method == "POST" and path.startswith(BUS_PATH):
            return self._stack.bus.put_events(request)
        if request.method == "PUT" and path.startswith(BUCKET_PATH):
            return self._stack.bus.put_object(request)
        if request.method == "POST" and path.startswith(EMULATOR_PATH) and self._admits_containers:
            return self._emulated(request)
        return None

    def _emulated(self, request: HttpRequest) -> HttpReply:
        """Forward a request to the emulator."""
        emulator = self._stack.emulator
        headers = {name: value for name, value in request.headers.items() if name not in _HOP}
        connection = http.client.HTTPConnection(emulator.host, emulator.port, timeout=_EMULATOR_SECONDS)
        try:
            target = request.target.removeprefix(EMULATOR_PATH) or "/"
            body = without_groups(request.headers.get("x-amz-target", ""), request.body)
            connection.request(request.method, target, body=body, headers=headers)
            answer = connection.getresponse()
            kept = [(name, value) for name, value in answer.getheaders() if name.lower() not in _HOP]
            return HttpReply(status=answer.status, headers=kept, body=answer.read())
        except OSError as error:
            return json_reply(HTTPStatus.BAD_GATEWAY, {"message": f"the emulator cannot be reached: {error}"})
        finally:
            connection.close()

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
        name = function_name(arn)
        try:
            function = self._stack.named(name)
        except LookupError:
            reply = json_reply(HTTPStatus.NOT_FOUND, {"Message": f"Function not found: {name}"})
            reply.headers.append(("x-amzn-errortype", "ResourceNotFoundException"))
            return reply
        if resource == "configuration":
            shown = {name: value for name, value in function.environment.items() if name not in SECRETS}
            return json_reply(200, {"FunctionName": name, "Environment": {"Variables": shown}})
        if self._stack.wakeups_on or by_sweeper:
            trigger = "sweeper" if by_sweeper else "invoke"
            self._stack.invoke(name, json.loads(request.body), trigger)
        return HttpReply(status=202, headers=[], body=b"")

    def _local(self, request: HttpRequest, path: str) -> HttpReply:
        """Answer a request to the stack itself."""
        if request.method == "GET":
            return self._shown(request, path)
        stack = self._stack
        match request.method, path:
            case "POST", "/_local/wakeup":
                # Sent by the emulator.
                stack.is_ready.wait()
                if stack.wakeups_on:
                    stack.run(json.loads(request.body), "wakeup")
                return json_reply(200, {})
            case "POST", "/_local/clock/sleep":
                # Sent by a worker.
                body = json.loads(request.body)
                with stack.pools[body["function"]].waiting():
                    reached = stack.activity.sleep(body["invocation"], body["seconds"])
                return json_reply(200, {"reached": reached})
            case "POST", "/_local/clock":
                try:
                    to = target_of(request.body, stack.clock.now())
                except ClockRequestError as error:
                    problems = [asdict(problem) for problem in error.problems]
                    return json_reply(HTTPStatus.BAD_REQUEST, {"message": str(error), "problems": problems})
                return self._advance(to)
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
                pids = {"stack": os.getpid(), "emulator": stack.emulator.pid, "workers": workers}
                return json_reply(200, pids)
            case "/_local/database":
                database = {"endpoint": stack.emulator.endpoint, "tables": stack.tables()}
                return json_reply(200, {**database, "functions": str((stack.folder / FILE).absolute())})
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
