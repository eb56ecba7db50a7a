"""The workload that engines are measured by, and the service it calls; nothing but the standard library.

Of every task three calls, each result kept. Every tenth task's second call is refused once and made again.
``python -m dev.bench.work`` serves on a free port, told as the first line, until its standard input ends.
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
    """Takes ``{"task": number, "step": number}`` and keeps count; ``GET`` tells what it counted, and forgets."""

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
        self._answer(503 if refuses else 200, {"task": task, "step": step, "ok": not refuses})

    def do_GET(self) -> None:
        """Tell what was counted since the last time."""
        with self.lock:
            lines = dict(self.counts)
            self.counts.clear()
            self.refused.clear()
        self._answer(200, lines)

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def _answer(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def expected(tasks: int) -> dict[str, int]:
    """What the service counts when so many tasks, numbered from 0, were done once each."""
    return {"done": tasks * STEPS, "refused": -(-tasks // REFUSED_EVERY)}


def engine_arguments() -> argparse.Namespace:
    """What an engine is started with."""
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
    print(server.server_port, flush=True)  # noqa: T201 - told to whoever started it
    sys.stdin.buffer.read()
    server.shutdown()


if __name__ == "__main__":
    main()
