"""Runs the workload without an engine: each result is one row of SQLite, on disk before the next call.

This is the least that the calls and their results cost.
"""

import http.client
import json
import sqlite3
import tempfile
import time
from pathlib import Path

from dev.bench.work import STEPS, engine_arguments

WARM_UP = 20
RETRY_SECONDS = 0.1


class Floor:
    """A journal and a connection to the service."""

    def __init__(self, journal: Path, port: int) -> None:
        self._rows = sqlite3.connect(journal, isolation_level=None)
        self._rows.execute("pragma journal_mode=wal")
        self._rows.execute("pragma synchronous=full")
        self._rows.execute("create table steps (task int, step int, result text, primary key (task, step))")
        self._service = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def exchanged(self, method: str, body: str = "") -> tuple[int, str]:
        """Return status and answer of a request."""
        self._service.request(method, "/step", body, {"Content-Type": "application/json"})
        answer = self._service.getresponse()
        return answer.status, answer.read().decode()

    def work(self, task: int) -> None:
        """Do one task."""
        for step in range(STEPS):
            body = json.dumps({"task": task, "step": step})
            status, result = self.exchanged("POST", body)
            while status != http.client.OK:
                time.sleep(RETRY_SECONDS)
                status, result = self.exchanged("POST", body)
            self._rows.execute("insert into steps values (?, ?, ?)", (task, step, result))

    def close(self) -> None:
        """Close journal and connection."""
        self._rows.close()
        self._service.close()


def main() -> None:
    """Do the tasks one after another and write the CPU seconds."""
    arguments = engine_arguments()
    with tempfile.TemporaryDirectory() as folder:
        floor = Floor(Path(folder) / "journal.db", arguments.port)
        for task in range(WARM_UP):
            floor.work(-1 - task * 10)
        floor.exchanged("GET")  # resets the counts
        before = time.process_time()
        for task in range(arguments.tasks):
            floor.work(task)
        figures = {"cpu": time.process_time() - before}
        floor.close()
    arguments.result.write_text(json.dumps(figures))


if __name__ == "__main__":
    main()
