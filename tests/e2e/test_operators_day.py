"""An operator's day: 300 customers, and the problems of 38 of them.

Thirty charges are declined, the replies to five are dropped, and three offboarding calls fail. Three customers are on
vacation. The operator finds exactly the 38, resumes exactly the 30, and other systems hear of every change once.
Source: docs/operations.md, "What is wrong today".
"""

import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from dev.client import Api, Processes, advance
from tests.e2e.feed import await_that, kill, sent_events, workers
from tests.e2e.gym import now_of

Json = dict[str, Any]
LANES = {"fine": 259, "declined": 30, "dropped": 5, "offboarded": 3, "vacation": 3}
"""The number of customers in each lane."""

STRATEGY: Json = {
    "name": "club",
    "secret": "a-secret-of-the-club",
    "settings": {
        "config": {"searchable": ["lane"]},
        "schedule": {
            "calendars": [
                {"key": "monthly", "task": "charge", "scheduleAfter": {"unit": "months", "amount": 1}}
            ]
        },
        "services": [
            {
                "key": "billing",
                "methods": [
                    {"key": "charge", "url": "/:lane/charges", "method": "post", "inDoubt": "pause"},
                    {"key": "offboard", "url": "/:lane/offboarding", "method": "post"},
                ],
            }
        ],
        "actions": [
            {"key": key, "service": "billing", "method": key, "attributes": {"lane": "{{attributes.lane}}"}}
            for key in ("charge", "offboard")
        ],
        "tasks": [
            {
                "key": key,
                "initialStep": "call",
                "steps": [{"key": "call", "action": key}],
                "retryConfig": {"times": 0, "pauseBeforeCancel": key == "charge"},
            }
            for key in ("charge", "offboard")
        ],
        "onCancelTasks": [{"task": "offboard", "delayBy": {"unit": "minutes", "amount": 0}}],
    },
}


def club(processes: Processes) -> Api:
    """Save the strategy and return its API."""
    urls = [{"environment": "dev", "url": processes.downstream.url}]
    settings = STRATEGY["settings"]
    service = {**settings["services"][0], "baseUrls": urls}
    body = {**STRATEGY, "settings": {**settings, "services": [service]}}
    processes.stack.call("POST", "/execution-strategy", body)
    return replace(processes.stack, secret=STRATEGY["secret"])


def joined(api: Api, at: datetime) -> dict[str, list[str]]:
    """Start the customers and return their sids by lane."""
    numbers = iter(range(1000))

    def start(lane: str) -> str:
        body = {
            "strategyId": "club",
            "startDate": at.isoformat(),
            "attributes": {"lane": lane},
            "reference": f"order-{next(numbers)}",
        }
        sid: str = api.call("POST", "/execution-instance", body)["executionInstance"]["sid"]
        return sid

    return {lane: [start(lane) for _ in range(count)] for lane, count in LANES.items()}


def pages(api: Api, path: str) -> Iterator[Json]:
    """Yield the items of a list."""
    joint = "&" if "?" in path else "?"
    cursor = ""
    while True:
        page = api.call("GET", f"{path}{joint}limit=20{cursor}")
        yield from page["items"]
        if "nextCursor" not in page:
            return
        cursor = f"&cursor={page['nextCursor']}"


def problems(api: Api) -> Counter[tuple[str, str]]:
    """Return kind and instance of each problem."""
    return Counter((one["kind"], one["executionInstanceSid"]) for one in pages(api, "/problems"))


def expected_changes(sids: dict[str, list[str]]) -> Counter[tuple[str, str]]:
    """Return kind and subject of every change of the day."""
    changes = Counter(("instance.created", sid) for lane in sids.values() for sid in lane)
    for sid in sids["declined"] + sids["dropped"] + sids["vacation"]:
        changes["instance.paused", sid] += 1
    for sid in sids["declined"]:
        changes["instance.resumed", sid] += 1
    for sid in sids["dropped"]:
        changes["event.in-doubt", f"{sid}-1"] += 1
    for sid in sids["offboarded"]:
        changes["instance.canceled", sid] += 1
        changes["event.failed", f"{sid}-2"] += 1
    for sid in sids["fine"] + sids["declined"]:
        changes["event.processed", f"{sid}-1"] += 1
    return changes


def changes(stack: Api) -> Counter[tuple[str, str]]:
    """Return kind and subject of every notification about an instance, each id once."""
    by_id = {message["id"]: message for _, message in sent_events(stack) if "instanceSid" in message}
    return Counter(
        (message["kind"], message.get("event", {}).get("sid", message["instanceSid"]))
        for message in by_id.values()
    )


@pytest.mark.timeout(450)
def test_an_operator_finds_and_repairs_exactly_what_is_wrong(processes: Processes) -> None:
    rng = random.Random(38)
    processes.start_stack()
    for lane, path, failure in (
        ("declined", "charges", {"status": 402}),
        ("dropped", "charges", {"drop": True}),
        ("offboarded", "offboarding", {"status": 422}),
    ):
        processes.downstream.call("POST", "/_fail", {"path": f"/{lane}/{path}", "times": 99, **failure})
    api = club(processes)
    due = now_of(processes.stack) + timedelta(hours=1)
    sids = joined(api, due)
    kills = kill(workers(processes.stack, "Publisher"))
    for sid in sids["vacation"]:
        api.call("POST", f"/execution-instance/{sid}/pause")
    for sid in sids["offboarded"]:
        api.call("POST", f"/execution-instance/{sid}/cancel")

    advance(processes.stack, (due + timedelta(minutes=5)).isoformat())
    time.sleep(rng.uniform(0, 0.5))
    kills += kill(workers(processes.stack, "Publisher"))

    wrong = Counter(("EXHAUSTED", sid) for sid in sids["declined"])
    wrong += Counter(("IN_DOUBT", sid) for sid in sids["dropped"])
    wrong += Counter(("FAILED_EVENT", sid) for sid in sids["offboarded"])
    await_that(lambda: problems(api) == wrong, 60, lambda: problems(api) - wrong)
    assert wrong.total() == 38

    body: Json = {"selection": {"reason": "exhausted:http-402"}, "command": {"name": "resume"}}
    preview = api.call("POST", "/bulk-operation", {**body, "dryRun": True})
    assert (preview["count"], preview["countIsExact"]) == (30, True)
    processes.downstream.call("POST", "/_heal")
    operation = api.call("POST", "/bulk-operation", body)
    kills += kill(workers(processes.stack, "Publisher"))

    def state() -> Json:
        found: Json = api.call("GET", f"/bulk-operation/{operation['sid']}")
        return found

    await_that(lambda: state()["status"] == "COMPLETED", 90, state)
    assert (state()["counts"]["matched"], state()["counts"]["changed"]) == (30, 30)
    vacation = [one["sid"] for one in pages(api, "/execution-instance?phase=PAUSED")]
    assert sorted(vacation) == sorted(sids["vacation"])
    advance(processes.stack, (due + timedelta(minutes=15)).isoformat())
    assert problems(api) == Counter({one: 1 for one in wrong if one[0] != "EXHAUSTED"})
    assert kills >= 2, "no kill hit the publisher: the test proves less"

    found = api.call("GET", f"/execution-instance?reference=order-{LANES['fine']}")["items"]
    assert [one["sid"] for one in found] == sids["declined"][:1]
    expected = expected_changes(sids)
    await_that(
        lambda: changes(processes.stack) == expected,
        120,
        lambda: (expected - changes(processes.stack), changes(processes.stack) - expected),
    )
