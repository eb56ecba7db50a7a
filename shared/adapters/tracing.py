"""Sends runs and their calls to X-Ray, through the daemon that Lambda runs beside a traced function.

Source: docs/decisions/0043-metrics-log-lines-and-traces-of-runs.md.
"""

import json
import re
import socket
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct

from shared.application.runner.report import CallClass, CallReport, RunOutcome, RunReport

MAX_CALLS = 100
"""How many calls of a run are sent, because a document must fit into one datagram."""

_HEADER = b'{"format":"json","version":1}\n'
_NOT_IN_NAMES = re.compile(r"[^\w\s.:/%&#=+\\@-]")
_MAX_NAME = 200
_FAULTS = (RunOutcome.BROKEN_OFF, RunOutcome.POISONED)
_ERRORS = (RunOutcome.RETRIED, RunOutcome.EXHAUSTED, RunOutcome.IN_DOUBT)
_TOO_MANY_REQUESTS = 429


class RunTracer(Struct, frozen=True, kw_only=True):
    """Sends the runs of traced invocations.

    ``environment`` is that of the process: Lambda changes it for each invocation. ``entropy`` returns random bytes.
    ``report`` takes the error of a datagram that could not be sent, since a trace must not fail a run.
    """

    environment: Mapping[str, str]
    entropy: Callable[[int], bytes]
    report: Callable[[OSError], None]

    def send(self, run: RunReport) -> None:
        """Send a run as a subsegment of the invocation, if the invocation is sampled."""
        trace = _trace_of(self.environment.get("_X_AMZN_TRACE_ID", ""))
        host, _, port = self.environment.get("AWS_XRAY_DAEMON_ADDRESS", "").rpartition(":")
        if trace.get("Sampled") != "1" or not {"Root", "Parent"} <= trace.keys() or not port.isdigit():
            return
        document = {
            **self._subsegment(run.task, run.claimed_at, run.took),
            "type": "subsegment",
            "trace_id": trace["Root"],
            "parent_id": trace["Parent"],
            "annotations": {
                "account": run.account_id,
                "strategy": run.strategy,
                "instance": run.instance,
                "event": run.event,
                "task": run.task,
                "outcome": run.outcome.value,
            },
            "fault": run.outcome in _FAULTS,
            "error": run.outcome in _ERRORS,
            "subsegments": [self._call(call) for call in run.calls[:MAX_CALLS]],
        }
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
                daemon.sendto(_HEADER + json.dumps(document).encode(), (host, int(port)))
        except OSError as error:
            self.report(error)

    def _call(self, call: CallReport) -> dict[str, Any]:
        status = call.status
        answer = {} if status is None else {"http": {"response": {"status": status}}}
        return {
            **self._subsegment(call.service, call.began_at, call.took),
            "namespace": "remote",
            **answer,
            "annotations": {"step": call.step, "method": call.method, "attempt": call.attempt},
            "fault": call.call_class in (CallClass.SERVER_ERROR, CallClass.NO_ANSWER, CallClass.NOT_SENT),
            "error": call.call_class is CallClass.CLIENT_ERROR,
            "throttle": status == _TOO_MANY_REQUESTS,
        }

    def _subsegment(self, name: str, began_at: datetime, took: timedelta) -> dict[str, Any]:
        return {
            "id": self.entropy(8).hex(),
            "name": _NOT_IN_NAMES.sub("", name)[:_MAX_NAME] or "unnamed",
            "start_time": began_at.timestamp(),
            "end_time": (began_at + took).timestamp(),
        }


def _trace_of(header: str) -> dict[str, str]:
    """Return the members of a trace header: ``Root=...;Parent=...;Sampled=1``."""
    pairs = (part.partition("=") for part in header.split(";"))
    return {name.strip(): value.strip() for name, _, value in pairs}
