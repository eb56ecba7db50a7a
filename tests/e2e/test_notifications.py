"""Notifications of the local stack while everything is killed: each change arrives, under one id."""

import http.client
import random
import time
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from dev.client import Processes, RefusedError, advance
from dev.gym import gym, join
from tests.e2e.feed import await_that, kill, sent_events, workers
from tests.e2e.gym import now_of

MEMBERS = 12
HOOK = "/hooks/it"


def hooked(processes: Processes) -> list[dict[str, Any]]:
    """Return the messages that the webhook has accepted."""
    lines = processes.downstream.call("GET", "/_ledger")
    return [line["request"] for line in lines if line["path"] == HOOK and line["effect"]]


def expected_of(sids: list[str]) -> set[tuple[str, str]]:
    """Return kind and subject of each change of members who were charged, paused and resumed."""
    expected = set()
    for sid in sids:
        expected |= {(f"instance.{kind}", sid) for kind in ("created", "paused", "resumed")}
        expected.add(("event.processed", f"{sid}-1"))
    return expected


def changes(messages: list[dict[str, Any]]) -> dict[str, tuple[str, str]]:
    """Return kind and subject of the messages about instances, by id."""
    return {
        message["id"]: (message["kind"], message.get("event", {}).get("sid", message["instanceSid"]))
        for message in messages
        # A kill in the middle of a call leaves it in doubt, and says so.
        if "instanceSid" in message and message["kind"] != "event.in-doubt"
    }


def differences(found: list[tuple[str, str]], expected: list[tuple[str, str]]) -> dict[str, object]:
    missing, excess = Counter(expected), Counter(found)
    return {"missing": missing - excess, "excess": excess - missing}


class TestKills:
    """Publisher, sender and the whole stack are killed midway. Every change arrives once after deduplication."""

    @pytest.mark.timeout(450)
    def test_every_change_arrives_at_feed_and_webhook(self, processes: Processes) -> None:
        rng = random.Random(20260131)
        processes.start_stack()
        api = gym(processes)
        api.call("PUT", "/webhook", {"url": f"{processes.downstream.url}{HOOK}"})
        processes.downstream.call("POST", "/_fail", {"path": HOOK, "times": 2, "status": 503})
        sids: list[str] = []
        kills = 0
        for number in range(MEMBERS):
            sids.append(join(api, now_of(processes.stack)))
            api.call("POST", f"/execution-instance/{sids[-1]}/pause")
            api.call("POST", f"/execution-instance/{sids[-1]}/resume")
            time.sleep(rng.uniform(0, 0.3))
            kills += kill(workers(processes.stack, "Publisher"))
            kills += kill(workers(processes.stack, "WebhookSender")) if number % 4 == 0 else 0
            if number == MEMBERS // 2:
                processes.kill_stack()
                processes.start_stack()
        assert kills >= 3, "no kill hit the publisher: the test proves nothing"

        # Past the lease of a runner that was killed with the stack.
        advance(processes.stack, (now_of(processes.stack) + timedelta(minutes=20)).isoformat())
        expected = sorted(expected_of(sids))

        def feed() -> list[tuple[str, str]]:
            return sorted(changes([message for _, message in sent_events(processes.stack)]).values())

        def webhook() -> list[tuple[str, str]]:
            return sorted(changes(hooked(processes)).values())

        # Equal lists: no change is missing, and none has two ids.
        await_that(lambda: feed() == expected, 90, lambda: differences(feed(), expected))
        # The sender leaves a message that it was killed with for the queue's 180 seconds.
        await_that(lambda: webhook() == expected, 240, lambda: differences(webhook(), expected))


class TestServerSentEvents:
    """A subscriber continues after the last event that it has seen."""

    @pytest.mark.timeout(120)
    def test_a_subscription_continues_after_its_last_event(self, processes: Processes) -> None:
        processes.start_stack()
        api = gym(processes)
        sid = join(api, now_of(processes.stack) + timedelta(days=9))
        await_that(lambda: len(sent_events(api)) == 2, 30, lambda: sent_events(api))
        events = sent_events(api)

        assert [message["kind"] for _, message in events] == ["strategy.published", "instance.created"]
        assert [message["kind"] for _, message in sent_events(api, after=events[0][0])] == [
            "instance.created"
        ]
        assert sent_events(api, after=events[1][0]) == []
        api.call("POST", f"/execution-instance/{sid}/cancel")
        await_that(lambda: len(sent_events(api, after=events[1][0])) == 1, 30, lambda: sent_events(api))

    @pytest.mark.timeout(60)
    def test_an_unknown_position_is_refused(self, processes: Processes) -> None:
        processes.start_stack()
        connection = http.client.HTTPConnection(processes.stack.url.removeprefix("http://"), timeout=5)
        connection.request("GET", "/_local/events", headers={"Last-Event-ID": "x"})

        assert connection.getresponse().status == 400
        connection.close()


class TestInternalAddresses:
    """A webhook at an internal address is refused, and nothing else waits for it."""

    @pytest.mark.timeout(60)
    def test_it_is_accepted_when_it_is_set_and_refused_when_it_is_called(self, processes: Processes) -> None:
        processes.start_stack()
        api = gym(processes)
        api.call("PUT", "/webhook", {"url": "http://169.254.169.254/latest"})
        join(api, now_of(processes.stack) + timedelta(days=9))

        await_that(lambda: len(sent_events(api)) == 2, 30, lambda: sent_events(api))
        log = processes.folder / "stack.log"
        await_that(
            lambda: "169.254.169.254 is at an internal address" in log.read_text(),
            20,
            lambda: log.read_text()[-800:],
        )
        with pytest.raises(RefusedError, match="400"):
            api.call("PUT", "/webhook", {"url": "file:///etc/passwd"})
