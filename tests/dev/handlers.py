"""Handlers that the tests of the local stack's workers run in real processes."""

import os
import signal
import time
from pathlib import Path
from typing import Any


def answer(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Wait, crash, fail or answer, as the event says."""
    while "until" in event and not Path(event["until"]).exists():
        time.sleep(0.01)
    if event.get("crash"):
        os.kill(os.getpid(), signal.SIGKILL)
    if event.get("fail"):
        raise ValueError("failed")
    return {"pid": os.getpid(), "invocation": context.aws_request_id}
