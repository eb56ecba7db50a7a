"""Runs the workload on DBOS Transact with SQLite: one workflow of three steps for each task.

It has its own environment.
"""

import http.client
import json
import tempfile
import threading
import time

from dbos import DBOS

from dev.bench.work import STEPS, engine_arguments

WARM_UP = 20
arguments = engine_arguments()
local = threading.local()


def exchanged(method: str, body: str = "") -> tuple[int, object]:
    """Return status and answer of a request, sent with the standard library over one connection for each thread."""
    if not hasattr(local, "connection"):
        local.connection = http.client.HTTPConnection("127.0.0.1", arguments.port, timeout=30)
    local.connection.request(method, "/step", body, {"Content-Type": "application/json"})
    answer = local.connection.getresponse()
    return answer.status, json.loads(answer.read())


class RefusedError(Exception):
    """The service did not accept the call."""


@DBOS.step(retries_allowed=True, interval_seconds=0.1, max_attempts=4, backoff_rate=1.0)  # type: ignore[untyped-decorator] # not installed here
def step(task: int, number: int) -> object:
    """Make one call."""
    body = json.dumps({"task": task, "step": number})
    status, lines = exchanged("POST", body)
    if status != http.client.OK:
        raise RefusedError(str(status))
    return lines


@DBOS.workflow()  # type: ignore[untyped-decorator] # as above
def work(task: int) -> None:
    """Do one task."""
    for number in range(STEPS):
        step(task, number)


def main() -> None:
    """Start all tasks at once, which is fastest for it, and write the CPU seconds of all threads."""
    with tempfile.TemporaryDirectory() as folder:
        DBOS(
            config={
                "name": "bench",
                "system_database_url": f"sqlite:///{folder}/dbos.sqlite",
                "log_level": "CRITICAL",
                "run_admin_server": False,
            }
        )
        DBOS.launch()
        for task in range(WARM_UP):
            DBOS.start_workflow(work, -1 - task * 10).get_result()
        exchanged("GET")  # resets the counts
        before = time.process_time()
        begun = [DBOS.start_workflow(work, task) for task in range(arguments.tasks)]
        for handle in begun:
            handle.get_result()
        figures = {"cpu": time.process_time() - before}
        DBOS.destroy()
    arguments.result.write_text(json.dumps(figures))


if __name__ == "__main__":
    main()
