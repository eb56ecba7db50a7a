"""The overview of an account. Source: docs/contracts/core.md section 5."""

from datetime import timedelta
from typing import Any

import pytest

from shared.domain.steps.call import Answered
from tests.dialects.automation.client import Services
from tests.dialects.core.client import WATER, Client
from tests.domain.strategy.definitions import changed
from tests.factories import settings, step, task

Json = dict[str, Any]
SECRET = WATER["secret"]
FLOW = changed(
    "/tasks/0/retryConfig", {"times": 0, "pauseBeforeCancel": True}, of=settings(task("charge", step("pay")))
)
NOTHING = {"count": 0}


class Town:
    """Two strategies with instances in several phases."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.services = Services()
        client.ports.caller = self.services
        for name in ("old", "young"):
            client.ports.clock.at += timedelta(seconds=1)
            client.saved({"name": name, "secret": SECRET, "settings": FLOW})

    def started(self, strategy: str, *answers: Answered, **more: Any) -> str:
        sid = str(self.client.started(strategyId=strategy, **more)["executionInstance"]["sid"])
        self.services.answers = list(answers)
        if answers:
            self.client.run(sid)
        return sid

    def overview(self, query: str = "", key: str = "admin.secret") -> Json:
        status, found = self.client("GET", f"/overview{query}", key=key, secret=None)
        assert status == 200, found
        return dict(found)


@pytest.fixture
def town(client: Client) -> Town:
    return Town(client)


class TestOverview:
    """Instances are counted by phase and strategy, problems and closed events by time."""

    def test_an_empty_account(self, client: Client) -> None:
        status, found = client("GET", "/overview", secret=None)

        assert status == 200
        assert set(found["phases"]) == {"PAUSED", "STUCK", "CANCELED", "FAULTED", "COMPLETED", "RETRYING"}
        assert (found["problems"], found["strategies"], "nextCursor" in found) == (NOTHING, [], False)
        assert found["due"] == {"nextHour": NOTHING, "nextDay": NOTHING}

    def test_instances_are_counted_by_phase_and_strategy(self, town: Town) -> None:
        town.started("old", Answered(status=200, body={}))
        town.started("old", Answered(status=402))
        town.started("young", Answered(status=402))
        paused = town.started("young", startDate="2030-01-01")
        town.client("POST", f"/execution-instance/{paused}/pause")

        found = town.overview()

        assert found["phases"]["STUCK"] == {"count": 2}
        assert found["phases"]["PAUSED"] == {"count": 1}
        assert found["problems"] == {"count": 2}
        assert [(one["name"], one["instances"]["STUCK"]) for one in found["strategies"]] == [
            ("young", {"count": 1}),
            ("old", {"count": 1}),
        ]
        assert found["strategies"][1]["instances"]["ACTIVE"] == {"count": 1}

    def test_strategies_come_page_by_page(self, town: Town) -> None:
        first = town.overview("?limit=1")
        second = town.overview(f"?limit=1&cursor={first['nextCursor']}")

        assert [one["name"] for one in first["strategies"] + second["strategies"]] == ["young", "old"]
        assert "nextCursor" not in second

    def test_closed_events_are_counted_by_age(self, town: Town) -> None:
        town.started("old", Answered(status=200, body={}))
        town.client.ports.clock.at += timedelta(hours=2)
        town.started("old", Answered(status=200, body={}))
        found = town.overview()
        assert found["lastHour"] == {"processed": 1, "failed": 0, "canceled": 0}
        assert found["lastDay"] == {"processed": 2, "failed": 0, "canceled": 0}
        # The first of the month: the day reaches into the month before.
        town.client.ports.clock.at = town.client.ports.clock.at.replace(month=2, day=1, hour=1)
        assert town.overview()["lastDay"]["processed"] == 0

    def test_numbers_are_exact_up_to_a_maximum(self, town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("shared.application.overview.MAX_COUNTED", 2)
        for _ in range(3):
            town.started("old", Answered(status=402))
            town.started("old", Answered(status=200, body={}))

        found = town.overview()

        assert found["phases"]["STUCK"] == {"count": 2, "atLeast": True}
        assert found["problems"] == {"count": 2, "atLeast": True}
        assert found["lastHour"]["atLeast"]
        assert found["due"]["nextDay"] == NOTHING

    def test_closed_events_are_not_counted_beyond_the_maximum(
        self, town: Town, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        town.client.ports.clock.at = town.client.ports.clock.at.replace(month=1, day=31, hour=23, minute=30)
        town.started("old", Answered(status=200, body={}))
        town.client.ports.clock.at += timedelta(minutes=40)
        town.started("old", Answered(status=200, body={}))
        assert town.overview()["lastHour"]["processed"] == 2
        monkeypatch.setattr("shared.application.overview.MAX_COUNTED", 0)

        found = town.overview()["lastHour"]

        assert (found["processed"], found["atLeast"]) == (1, True)

    def test_due_dates_are_for_administrators(self, town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
        now = town.client.ports.clock.at
        for minutes in (-20, 30, 90, 91, 60 * 30):
            town.started("old", startDate=(now + timedelta(minutes=minutes)).isoformat())

        assert "due" not in town.overview(key="viewer.secret")
        due = town.overview()["due"]
        assert (due["nextHour"], due["nextDay"]) == ({"count": 2}, {"count": 4})
        assert due["oldestOverdue"] == f"{now - timedelta(minutes=20):%Y-%m-%dT%H:%M:%S}.000Z"
        monkeypatch.setattr("shared.application.overview.MAX_COUNTED", 1)
        assert town.overview()["due"]["nextDay"] == {"count": 1, "atLeast": True}

    @pytest.mark.parametrize("query", ["?limit=0", "?limit=26", "?color=red", "?cursor=x"])
    def test_bad_queries_are_refused(self, town: Town, query: str) -> None:
        assert town.client("GET", f"/overview{query}", secret=None)[0] == 400
