"""A small client of the local stack, for the demo and the end-to-end tests."""

import base64
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dev.workers import ROOT

KEY = "dev.local-secret"

STACK_FOLDER = "stack"
"""The state of the stack, in the folder of all processes."""

START_SECONDS = 180.0
"""How long a program may take to start. A first start on a busy machine compiles all of the code."""

STOP_SECONDS = 90.0
"""How long a program may take to stop. The stack first lets running calls end."""

_ASK_SECONDS = 5.0


class StartError(Exception):
    """A program did not start, or has ended by itself. The text says why and names its log."""


class RefusedError(Exception):
    """The API answered with an error."""

    def __init__(self, status: int, body: Any) -> None:  # noqa: ANN401 - any JSON
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """A client of one server. ``secret`` is the plain Strategy-Secret that it sends."""

    url: str
    secret: str = field(default="", repr=False)
    key: str = field(default=KEY, repr=False)

    def call(self, method: str, path: str, body: Any = None, *, seconds: float = 300) -> Any:  # noqa: ANN401 - any JSON
        """Return the decoded answer. Raises: RefusedError. OSError: there is none within ``seconds``."""
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        if self.secret:
            headers["Strategy-Secret"] = base64.b64encode(self.secret.encode()).decode()
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method, headers=headers)  # noqa: S310 - loopback
        try:
            with urllib.request.urlopen(request, timeout=seconds) as answer:  # noqa: S310 - loopback
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            raise RefusedError(error.code, json.loads(error.read() or b"null")) from error


class Processes:
    """The stack and the downstream services as child processes, each in its own process group.

    ``on_wait`` is called again and again during a start, with the seconds that it has taken. Its errors end the start.
    A program that has not stopped after ``stop_seconds`` is killed.
    """

    def __init__(
        self,
        folder: Path,
        *,
        downstream_port: int,
        stack_port: int,
        start_seconds: float = START_SECONDS,
        stop_seconds: float = STOP_SECONDS,
        on_wait: Callable[[float], object] = lambda _: None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._start_seconds, self._stop_seconds, self._on_wait = start_seconds, stop_seconds, on_wait
        self.stack = Api(url=f"http://127.0.0.1:{stack_port}")
        self.downstream = Api(url=f"http://127.0.0.1:{downstream_port}")
        self._downstream_port, self._stack_port = downstream_port, stack_port
        self._started: dict[str, subprocess.Popen[bytes]] = {}

    def start_downstream(self) -> None:
        """Start the demo's services. Raises: StartError."""
        ledger = self.folder / "ledger.jsonl"
        self._start("downstream", ["dev.downstream", str(self._downstream_port), str(ledger)])
        self._await("downstream", self.downstream, "/_ledger")

    def start_stack(self, *options: str) -> None:
        """Start the local stack on the state in the folder. Raises: StartError."""
        state = self.folder / STACK_FOLDER
        self._start("stack", ["dev.stack", "--state", str(state), "--port", str(self._stack_port), *options])
        self._await("stack", self.stack, "/_local/clock")

    def stop(self) -> None:
        """Terminate all processes and wait for them."""
        for process in reversed(list(self._started.values())):
            if process.poll() is None:
                process.terminate()
        for name, process in self._started.items():
            try:
                process.communicate(timeout=self._stop_seconds)
            except subprocess.TimeoutExpired:
                sys.stderr.write(f"{name} did not stop within {self._stop_seconds:g} s and is killed\n")
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()

    def check(self, *names: str) -> None:
        """Raise a StartError if a program, or a named one, has ended by itself."""
        for name in names or tuple(self._started):
            process = self._started[name]
            if process.poll() is not None:
                log = self._log(name)
                raise StartError(f"{name}: {_last_line(log)} (exit status {process.returncode}, see {log})")

    @property
    def stack_pid(self) -> int:
        """The process id of the stack. It is also the id of the group of its workers."""
        return self._started["stack"].pid

    def is_stack_running(self) -> bool:
        """Return whether the process of the stack runs."""
        return self._started["stack"].poll() is None

    def await_stack_end(self) -> None:
        """Return when the process of the stack has ended. Raises: subprocess.TimeoutExpired."""
        self._started["stack"].wait(30)

    def kill_stack(self) -> None:
        """Kill the stack and all of its workers with SIGKILL."""
        process = self._started["stack"]
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=10)

    def _await(self, name: str, api: Api, path: str) -> None:
        """Return when a program answers. Raises: StartError: it has ended, or does not answer in time."""
        began = time.monotonic()
        while (elapsed := time.monotonic() - began) < self._start_seconds:
            self._on_wait(elapsed)
            try:
                api.call("GET", path, seconds=_ASK_SECONDS)
            except (OSError, ValueError, RefusedError):
                self.check(name)
                time.sleep(0.05)
            else:
                # Another program may have answered, at a port that ours could not get.
                self.check(name)
                return
        raise StartError(
            f"{name}: no answer at {api.url} within {self._start_seconds:g} s, see {self._log(name)}"
        )

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def _start(self, name: str, arguments: list[str]) -> None:
        with self._log(name).open("ab") as log:
            self._started[name] = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                cwd=ROOT,
                stdin=subprocess.PIPE,  # closes when this process ends, even by kill -9, and then the child ends
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )


def example(name: str, downstream: Api) -> dict[str, Any]:
    """Return an example strategy. The ports 40xx of its services are replaced by the demo's downstream."""
    text = (ROOT / "events" / f"{name}.json").read_text()
    strategy: dict[str, Any] = json.loads(text.replace("http://127.0.0.1:40", f"{downstream.url}/40"))
    return strategy


def advance(stack: Api, to: str) -> Mapping[str, Any]:
    """Advance simulated time to an instant and return how much each trigger started."""
    answer: Mapping[str, Any] = stack.call("POST", "/_local/clock", {"to": to})
    return answer


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
