"""The workload of the benchmark and the service it calls. It uses only the standard library.

Each task makes three calls and keeps each result. The second call of every tenth task is refused once and repeated.
``python -m dev.bench.work`` serves on a free port, prints the port, and ends with its standard input.
"""

import argparse
import json
import sys
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

STEPS = 3
REFUSED_STEP = 1
REFUSED_EVERY = 10


class Service(BaseHTTPRequestHandler):
    """Counts calls of the form ``{"task": number, "step": number}``.

    ``GET`` returns the counts and resets them.
    """

    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16
    counts: ClassVar[Counter[str]] = Counter()
    refused: ClassVar[set[int]] = set()
    lock = threading.Lock()

    def do_POST(self) -> None:
        """Answer a call."""
        arguments = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        task, step = int(arguments["task"]), int(arguments["step"])
        with self.lock:
            refuses = step == REFUSED_STEP and task % REFUSED_EVERY == 0 and task not in self.refused
            self.counts["refused" if refuses else "done"] += 1
            if refuses:
                self.refused.add(task)
        self._answer(422 if refuses else 200, {"task": task, "step": step, "ok": not refuses})

    def do_GET(self) -> None:
        """Return the counts since the last ``GET``."""
        with self.lock:
            lines = dict(self.counts)
            self.counts.clear()
            self.refused.clear()
        self._answer(200, lines)

    def log_message(self, *_: object) -> None:
        """Log nothing."""

    def _answer(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def expected(tasks: int) -> dict[str, int]:
    """Return the counts of the service after so many tasks, numbered from 0, were done once each."""
    return {"done": tasks * STEPS, "refused": -(-tasks // REFUSED_EVERY)}


def engine_arguments() -> argparse.Namespace:
    """Return the command-line arguments of an engine."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", type=int, required=True)
    parser.add_argument("--port", type=int, required=True, help="of the service")
    parser.add_argument("--result", type=Path, required=True, help="a file for the figures, as JSON")
    return parser.parse_args()


def main() -> None:
    """Serve until standard input ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)  # noqa: T201 - the parent process reads it
    sys.stdin.buffer.read()
    server.shutdown()


if __name__ == "__main__":
    main()
