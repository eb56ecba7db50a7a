"""A gym on the local stack, for the end-to-end tests, and what must be true of its books."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from dev.client import Api, Processes, example
from dev.history_reader import HistoryReader, contradictions
from shared.domain.instance.event import EventStatus
from shared.domain.instance.journal import EventRecord, JournalEntry

MEMBER = {"memberId": "m", "email": "m@example.test", "monthlyFee": 29.5}


def gym(processes: Processes) -> Api:
    """The gym's strategy saved; its API."""
    strategy = example("gym-membership", processes.downstream)
    strategy["settings"]["schedule"]["initialDelay"] = {"unit": "minutes", "amount": 0}
    strategy["settings"]["schedule"]["calendars"][0]["leadingUpTasks"] = []
    strategy["settings"]["onCreateTasks"] = []
    processes.stack.call("POST", "/execution-strategy", strategy)
    return replace(processes.stack, secret=strategy["secret"])


def join(api: Api, at: datetime) -> str:
    """A member whose first charge is due at an instant."""
    body = {"strategyId": "gym-membership", "startDate": at.isoformat(), "attributes": MEMBER}
    sid: str = api.call("POST", "/execution-instance", body)["executionInstance"]["sid"]
    return sid


def now_of(stack: Api) -> datetime:
    return datetime.fromisoformat(stack.call("GET", "/_local/clock")["now"])


def ledger(processes: Processes) -> list[dict[str, Any]]:
    lines = processes.downstream.call("GET", "/_ledger")
    return [line for line in lines if not line["path"].endswith("/oauth/token")]


def first_charge(processes: Processes, sid: str) -> tuple[EventRecord | None, tuple[JournalEntry, ...]]:
    """The record of the first charge, if it has ended, and its steps."""
    _, record, entries = next(iter(HistoryReader.of(processes.stack).events(sid)))
    return record, entries


def await_end(processes: Processes, sid: str, seconds: float) -> EventRecord:
    """The record of the first charge, once it has ended in real time."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        record, _ = first_charge(processes, sid)
        if record is not None:
            return record
        time.sleep(1)
    raise AssertionError(f"the charge did not end within {seconds} s")


def assert_right(processes: Processes, sids: list[str]) -> list[int]:
    """The last one's charge ended once; what arrived twice was in flight and says so. How often each step arrived."""
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
    """Return once a call to a path has arrived."""
    ends = time.monotonic() + 60
    while not any(line["path"] == path for line in ledger(processes)):
        assert time.monotonic() < ends, f"nothing arrived at {path}"
        time.sleep(0.1)


def await_all(holds: Callable[[], bool], seconds: float) -> None:
    """Return once something holds."""
    ends = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends, f"not within {seconds} s"
        time.sleep(0.5)
