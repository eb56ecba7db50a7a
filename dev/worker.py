"""A worker process: calls a function's handler once for each line it reads.

``dev/workers.py`` runs it as ``python -m dev.worker READ_FD WRITE_FD HANDLER``. It ends when its parent does.
"""

import importlib
import json
import os
import signal
import sys
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dev.change_log import STREAMED, WriteWatch
from dev.clock import DevClock
from dev.secrets_file import VARIABLE, FileSecrets
from dev.webhook_queue import omit_groups
from shared import bootstrap
from shared.adapters.dynamodb.client import DynamoDbClient


@dataclass
class Context:
    """The part of the Lambda context that handlers use."""

    aws_request_id: str
    deadline: float
    function_name: str
    memory_limit_in_mb: int = 1024
    invoked_function_arn: str = "arn:aws:lambda:eu-central-1:123456789012:function:local"

    def get_remaining_time_in_millis(self) -> int:
        """Return how much longer the invocation may run."""
        return max(0, int((self.deadline - time.monotonic()) * 1000))


def main() -> None:
    """Serve invocations until the parent closes the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    read, write, handler = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    clock = DevClock(Path(os.environ["CLOCK_FILE"]), os.environ["STACK_URL"], os.environ["STACK_FUNCTION"])
    bootstrap.use_clock(clock)
    bootstrap.use_secrets(FileSecrets(os.environ.get(VARIABLE, "")))
    bootstrap.watch_database(_log_writes)
    omit_groups()
    module, _, name = handler.rpartition(".")
    call = getattr(importlib.import_module(module), name)
    with (
        # The parent was killed: the result is lost, as when a container is cut off.
        suppress(BrokenPipeError),
        os.fdopen(read, "rb") as jobs,
        os.fdopen(write, "wb", buffering=0) as replies,
    ):
        replies.write(b"ready\n")
        for line in jobs:
            job = json.loads(line)
            clock.invocation = job["id"]
            replies.write(json.dumps(_call(call, job, handler)).encode() + b"\n")


def _log_writes(client: DynamoDbClient) -> None:
    """Log the writes of this process, because the emulator has no streams."""
    tables = {kind: os.environ[f"{kind.upper()}_TABLE"] for kind in STREAMED}
    WriteWatch(client, Path(os.environ["CHANGE_LOG"]), tables).begin()


def _call(call: Any, job: dict[str, Any], handler: str) -> dict[str, Any]:  # noqa: ANN401 - a handler
    context = Context(
        aws_request_id=job["id"], deadline=time.monotonic() + job["seconds"], function_name=handler
    )
    try:
        return {"answer": call(job["event"], context)}
    except Exception:  # noqa: BLE001 - as Lambda does
        return {"error": traceback.format_exc()}


main()
