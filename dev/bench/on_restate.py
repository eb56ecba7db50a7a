"""Runs the workload on a Restate server: one invocation of three journaled calls for each task.

It has its own environment; npm ships the server. The CPU time is that of the server, of the process with the handler,
and of this one, which invokes it. ``RESTATE_SERVER`` is the path of the server.
"""

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import psutil
import restate

from dev.bench.work import STEPS, engine_arguments

WARM_UP = 20
AT_ONCE = 32
"""How many tasks run at the same time."""
READY_SECONDS = 60.0

local = threading.local()
work = restate.Service("tasks")


class RefusedError(Exception):
    """The service did not accept the call."""


def exchanged(port: int, method: str, path: str, body: object = None) -> tuple[int, object]:
    """Return status and answer of a request, sent with the standard library over one connection for each thread."""
    connections = local.__dict__.setdefault("connections", {})
    if port not in connections:
        connections[port] = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    text = "" if body is None else json.dumps(body)
    try:
        connections[port].request(method, path, text, {"Content-Type": "application/json"})
        answer = connections[port].getresponse()
        return answer.status, json.loads(answer.read() or b"null")
    except OSError:
        connections.pop(port).close()
        raise


@work.handler()  # type: ignore[untyped-decorator] # not installed here
async def run(context: restate.Context, task: int) -> int:
    """Do one task."""
    port = int(os.environ["SERVICE_PORT"])
    retries = restate.RunOptions(
        initial_retry_interval=timedelta(seconds=0.1), retry_interval_factor=1.0, max_attempts=5
    )
    for step in range(STEPS):

        def call(step: int = step) -> object:
            status, answer = exchanged(port, "POST", "/step", {"task": task, "step": step})
            if status != http.client.OK:
                raise RefusedError(str(status))
            return answer

        await context.run_typed(f"step {step}", call, retries)
    return task


app = restate.app([work])


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port


@contextmanager
def started(folder: Path, service_port: int) -> Iterator[tuple[int, list[psutil.Process]]]:
    """Run the server and the handler during the block. Yield the port for invocations, and the two processes."""
    ingress, admin, node, handler = (free_port() for _ in range(4))
    server = {
        "RESTATE_INGRESS__BIND_ADDRESS": f"127.0.0.1:{ingress}",
        "RESTATE_ADMIN__BIND_ADDRESS": f"127.0.0.1:{admin}",
        "RESTATE_BIND_ADDRESS": f"127.0.0.1:{node}",
        "RESTATE_ADVERTISED_ADDRESS": f"http://127.0.0.1:{node}/",
        "RESTATE_LISTEN_MODE": "tcp",
        "RESTATE_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "1",
        "RUST_LOG": "warn",
    }
    commands: list[tuple[list[str], Mapping[str, str]]] = [
        ([os.environ["RESTATE_SERVER"], "--base-dir", str(folder / "data"), "--node-name", "bench"], server),
        (
            [sys.executable, "-m", "hypercorn", "dev.bench.on_restate:app", "-b", f"127.0.0.1:{handler}"],
            {"SERVICE_PORT": str(service_port)},
        ),
    ]
    processes = []
    with (folder / "log").open("wb") as log:
        try:
            for command, more in commands:
                environment = {**os.environ, **more}
                processes.append(
                    subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
                )
            until_answered(admin, "GET", "/health")
            until_answered(admin, "POST", "/deployments", {"uri": f"http://127.0.0.1:{handler}"})
            until_answered(ingress, "POST", "/tasks/run", -1)
            yield ingress, [psutil.Process(process.pid) for process in processes]
        finally:
            for process in reversed(processes):
                process.terminate()
            for process in processes:
                process.wait(30)


def until_answered(port: int, method: str, path: str, body: object = None) -> None:
    """Send a request until it succeeds. Raises: TimeoutError."""
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until:
        try:
            if exchanged(port, method, path, body)[0] < http.client.BAD_REQUEST:
                return
        except OSError:
            pass  # it does not listen yet
        time.sleep(0.2)
    raise TimeoutError(f"{method} {path} on port {port} was not answered")


def cpu_seconds(processes: list[psutil.Process]) -> float:
    """Return the CPU seconds of these processes, of their children and of this one."""
    times = [each.cpu_times() for one in processes for each in (one, *one.children(recursive=True))]
    spent: float = sum(each.user + each.system for each in times)
    return time.process_time() + spent


def main() -> None:
    """Do the tasks, many at once, and write the CPU seconds."""
    arguments = engine_arguments()
    with tempfile.TemporaryDirectory() as folder, started(Path(folder), arguments.port) as (port, processes):

        def do(task: int) -> None:
            status, answer = exchanged(port, "POST", "/tasks/run", task)
            if status != http.client.OK:
                raise RuntimeError(f"task {task}: {status} {answer}")

        with ThreadPoolExecutor(AT_ONCE) as threads:
            list(threads.map(do, range(-1, -1 - 10 * WARM_UP, -10)))
            exchanged(arguments.port, "GET", "/")  # resets the counts
            before = cpu_seconds(processes)
            list(threads.map(do, range(arguments.tasks)))
            figures = {"cpu": cpu_seconds(processes) - before}
    arguments.result.write_text(json.dumps(figures))


if __name__ == "__main__":
    main()
