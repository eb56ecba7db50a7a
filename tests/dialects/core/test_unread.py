"""Instances whose settings cannot be read: a missing version, or settings under another key."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from dev.memory.stores import MemoryStrategies
from shared.application.ports import SavedSettings, SealBrokenError, UnknownStrategyError
from shared.domain.calendar.dates import format_instant, parse_instant
from shared.domain.ids import StrategySid
from shared.domain.strategy.model import Strategy
from tests.dialects.core.client import Client


class Unreadable(MemoryStrategies):
    """Strategies whose heads can be read and whose versions cannot."""

    error: Exception

    def load(self, sid: StrategySid, version: int) -> Strategy:  # noqa: ARG002 - the port's parameters
        raise self.error

    def settings(self, sid: StrategySid, version: int) -> SavedSettings:  # noqa: ARG002 - the port's parameters
        raise self.error


@pytest.fixture(params=[UnknownStrategyError("s-1 version 1"), SealBrokenError("altered")])
def spoil(request: pytest.FixtureRequest, client: Client) -> Callable[[], None]:
    """Return a function after which no settings can be read."""

    def spoil() -> None:
        before = client.ports.strategies
        after = Unreadable(access=client.ports.access)
        after.heads, after.saved = before.heads, before.saved
        after.error = request.param
        client.ports.strategies = after

    return spoil


class TestUnreadSettings:
    """Pause, cancel, show, history and audit work without the settings."""

    def test_an_instance_is_shown_paused_and_canceled(
        self, client: Client, spoil: Callable[[], None]
    ) -> None:
        sid = client.one()
        spoil()

        assert client("GET", f"/execution-instance/{sid}")[0] == 200
        status, paused = client("POST", f"/execution-instance/{sid}/pause")
        assert (status, paused["status"], paused["strategy"]["version"]) == (200, "PAUSED", 1)
        assert not {"settings", "encryptedSettings"} & set(paused["strategy"])
        status, _ = client("POST", f"/execution-instance/{sid}/cancel")
        assert status == 200
        assert client("GET", f"/execution-instance/{sid}")[1]["status"] == "CANCELED"

        status, audit = client("GET", f"/audit?target={sid}")
        assert status == 200
        *commands, creation = audit["items"]
        assert {entry["command"] for entry in commands} == {"pause", "cancel"}
        assert creation["command"] == "create"
        for entry in commands:
            assert "decided without the settings of version 1" in entry["reason"]

    @pytest.mark.parametrize("minutes", [0, 1])
    def test_explain_says_why_nothing_runs(
        self, client: Client, spoil: Callable[[], None], minutes: int
    ) -> None:
        client.saved()
        at = client.ports.clock.at + timedelta(minutes=minutes)
        sid = client.started(startDate=format_instant(at))["executionInstance"]["sid"]
        client.run(sid)
        spoil()

        status, found = client("GET", f"/execution-instance/{sid}/explain?at={format_instant(at)}")
        assert (status, found["reason"]) == (200, "RAN")
        following = client("GET", f"/execution-instance/{sid}")[1]["nextEvent"]["date"]
        status, found = client("GET", f"/execution-instance/{sid}/explain?at={following}")
        assert (status, found["reason"]) == (200, "UNREADABLE_SETTINGS")
        assert found["why"].startswith(("UnknownStrategyError: ", "SealBrokenError: "))
        client.ports.clock.at = parse_instant(following)
        status, found = client("GET", f"/execution-instance/{sid}/explain?at={following}")
        assert (status, found["reason"]) == (200, "UNREADABLE_SETTINGS")

    def test_a_dry_run_previews_what_works(self, client: Client, spoil: Callable[[], None]) -> None:
        sid = client.one()
        spoil()

        def outcome(name: str) -> str:
            body = {"selection": {"ids": [sid]}, "command": {"name": name}, "dryRun": True}
            status, found = client("POST", "/bulk-operation", body)
            assert status == 200
            (item,) = found["sample"]
            return str(item["outcome"])

        assert [outcome(name) for name in ("pause", "cancel", "resume")] == ["changed", "changed", "failed"]

    def test_the_history_has_every_step_without_addresses(
        self, client: Client, spoil: Callable[[], None]
    ) -> None:
        sid = client.one()
        client.run(sid)
        _, before = client("GET", f"/execution-instance/{sid}/events")
        spoil()

        status, after = client("GET", f"/execution-instance/{sid}/events")
        assert status == 200
        (event,) = [event for event in after["items"] if event["steps"]]
        (same,) = [event for event in before["items"] if event["steps"]]
        assert [step["step"] for step in event["steps"]] == [step["step"] for step in same["steps"]]
        assert set(event["steps"][0]["request"]) == {"digest"}
        assert set(same["steps"][0]["request"]) == {"digest", "action", "method", "host"}
