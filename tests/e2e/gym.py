"""A gym on the local stack for the end-to-end tests, and checks of its history."""

import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any

from dev.client import Api, Processes
from dev.history_reader import HistoryReader, contradictions
from shared.domain.instance.event import EventStatus
from shared.domain.instance.journal import EventRecord, JournalEntry


def now_of(stack: Api) -> datetime:
    return datetime.fromisoformat(stack.call("GET", "/_local/clock")["now"])


def ledger(processes: Processes) -> list[dict[str, Any]]:
    lines = processes.downstream.call("GET", "/_ledger")
    return [line for line in lines if not line["path"].endswith("/oauth/token")]


def first_charge(processes: Processes, sid: str) -> tuple[EventRecord | None, tuple[JournalEntry, ...]]:
    """Return the record of the first charge, or None if it is open, and its steps."""
    _, record, entries = next(iter(HistoryReader.of(processes.stack).events(sid)))
    return record, entries


def await_end(processes: Processes, sid: str, seconds: float) -> EventRecord:
    """Return the record of the first charge after it has ended in real time."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        record, _ = first_charge(processes, sid)
        if record is not None:
            return record
        time.sleep(1)
    raise AssertionError(f"the charge did not end within {seconds} s")


def assert_right(processes: Processes, sids: list[str]) -> list[int]:
    """Assert that each charge ended once and that repeated calls are marked.

    Return the calls of the last one's steps.
    """
    sid = sids[-1]
    record, entries = first_charge(processes, sid)
    assert record is not None
    assert record.event.status is EventStatus.PROCESSED
    assert [entry.intent.step for entry in entries] == ["charge", "crm-paid", "mail-receipt"]
    assert contradictions(HistoryReader.of(processes.stack), sids, ledger(processes)) == []
    arrived = Counter(line["key"] for line in ledger(processes))
    for entry in entries:
        times = arrived[str(entry.intent.call_key)]
        assert times == 1 or entry.intent.repeat, (
            f"{entry.intent.step} had finished and was called {times} times"
        )
    return [arrived[str(entry.intent.call_key)] for entry in entries]


def await_arrival(processes: Processes, path: str) -> None:
    """Return when a call to a path has arrived."""
    ends = time.monotonic() + 60
    while not any(line["path"] == path for line in ledger(processes)):
        assert time.monotonic() < ends, f"nothing arrived at {path}"
        time.sleep(0.1)


def await_all(holds: Callable[[], bool], seconds: float) -> None:
    """Return when a condition holds."""
    ends = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends, f"not within {seconds} s"
        time.sleep(0.5)
