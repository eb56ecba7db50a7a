"""The demo's downstream services, with a durable ledger and failures on demand.

``POST /_fail {path, times, status | delaySeconds | drop | lie}`` makes the next calls of a path fail. ``lie`` answers
``status`` although the call took effect. ``POST /_heal`` ends all failures.
``GET /_ledger`` returns all calls, whether each took ``effect``, and the ``failure`` that it met, if any.
If a call repeats an Idempotency-Key that took effect, it gets the answer of the first one and takes no effect.
The payment gateway answers ``PENDING``; the caller of the demo sends its final answer.
``python -m dev.downstream PORT LEDGER``.
"""

import json
import sys
import threading
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from dev.local_guard import LocalGuard


class Downstream:
    """The state of the services: the ledger on disk, the failures to come, and the answers that were given."""

    def __init__(self, ledger: Path) -> None:
        self._file = ledger
        self._lock = threading.Lock()
        self._failures: list[dict[str, Any]] = []
        self.lines: list[dict[str, Any]] = []
        if ledger.exists():
            self.lines = [json.loads(line) for line in ledger.read_text().splitlines()]
        self._answers = {
            line["key"]: {"status": 201, "body": self._body(line["path"], 201, number)}
            for number, line in enumerate(self.lines)
            if line["key"] and line["effect"]
        }

    def fail(self, failure: dict[str, Any]) -> None:
        """Add a failure."""
        with self._lock:
            self._failures.append(dict(failure))

    def heal(self) -> None:
        """Forget all failures to come."""
        with self._lock:
            self._failures.clear()

    def answered(self, method: str, path: str, key: str | None, body: Any) -> tuple[int, Any, float, bool]:  # noqa: ANN401 - any JSON
        """Return status, body, the seconds to wait before answering, and whether to close the connection instead."""
        with self._lock:
            failure = self._next_failure(path)
            answer = self._answers.get(key or "")
            is_repeat = answer is not None
            if answer is None:
                status = failure.get("status", 201)
                answer = {"status": status, "body": self._body(path, status, len(self.lines))}
            takes_effect = not is_repeat and (answer["status"] < 300 or failure.get("lie", False))
            # The answer of a repeat is the first one's, so no status was forced on it.
            met = ("delaySeconds", "drop") if is_repeat else ("status", "lie", "delaySeconds", "drop")
            line = {
                "at": datetime.now(UTC).isoformat(),
                "method": method,
                "path": path,
                "key": key,
                "request": body,
                "answer": answer,
                "repeat": is_repeat,
                "effect": takes_effect,
                "failure": {name: failure[name] for name in met if failure.get(name)},
            }
            self.lines.append(line)
            # Only what took effect is repeated for its key; a failed call may be sent again.
            if key and takes_effect:
                self._answers[key] = {"status": 201, "body": self._body(path, 201, len(self.lines) - 1)}
            with self._file.open("a") as file:
                file.write(json.dumps(line) + "\n")
            return (
                answer["status"],
                answer["body"],
                failure.get("delaySeconds", 0),
                failure.get("drop", False),
            )

    def _next_failure(self, path: str) -> dict[str, Any]:
        for failure in self._failures:
            if failure["path"] == path and failure.get("times", 1) > 0:
                failure["times"] = failure.get("times", 1) - 1
                return failure
        return {}

    def _body(self, path: str, status: int, number: int) -> Any:  # noqa: ANN401 - any JSON
        if path.endswith(("/oauth/token", "/auth/token")):
            return {"access_token": f"token-{number}", "expires_in": 3600}
        if status >= 300:
            return {"status": "FAILED"}
        if "/recurring/" in path:
            return {"id": f"d-{number}", "status": "PENDING"}
        if "/policies/" in path:
            return {"state": "IN_FORCE"}
        return {"id": f"d-{number}", "status": "CONFIRMED"}


def main() -> None:
    """Serve until killed, or until standard input ends."""
    port, ledger = int(sys.argv[1]), Path(sys.argv[2])
    downstream = Downstream(ledger)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1  # head and body in one segment; the library flushes after each request

        def log_message(self, *_: object) -> None:
            """The ledger is the log."""

        def _answer(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            refusal = LocalGuard(port=port).refusal(self.command, headers)
            if refusal is not None:
                self.close_connection = True  # the body of the request is not read
                return self._reply(403, {"message": refusal})
            body = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)) or b"null")
            path = self.path.partition("?")[0]
            if path == "/_fail":
                downstream.fail(body)
                return self._reply(200, {})
            if path == "/_heal":
                downstream.heal()
                return self._reply(200, {})
            if path == "/_ledger":
                return self._reply(200, downstream.lines)
            key = self.headers.get("Idempotency-Key")
            status, answer, seconds, drop = downstream.answered(self.command, path, key, body)
            time.sleep(seconds)
            if drop:
                self.close_connection = True
                return None
            return self._reply(status, answer)

        def _reply(self, status: int, value: Any) -> None:  # noqa: ANN401 - any JSON
            data = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815 - the library's names

    class Server(ThreadingHTTPServer):
        # The library's 5 are too few for charges that are due in the same second: further connections wait a second.
        request_queue_size = 128

    try:
        server = Server(("127.0.0.1", port), Handler)
    except OSError as error:
        sys.exit(f"stopping: cannot listen at 127.0.0.1:{port}: {error.strerror}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.buffer.read()  # ends when the parent process does


if __name__ == "__main__":
    main()
