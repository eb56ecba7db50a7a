"""The orders that a command selects. Source: docs/contracts/orders.md B.3, point by point; B.6."""

from datetime import timedelta
from typing import Any

import pytest

from shared import bootstrap
from shared.domain.calendar.instance_schedule import OwnSchedule
from tests.dialects.orders.client import Joc
from tests.dialects.wire import NOON
from tests.factories import changed

DAY = timedelta(days=1)


class Shop:
    """Two workflows in three folders, each with one order a day. ``later`` also has a second version."""

    def __init__(self, joc: Joc) -> None:
        self.joc = joc
        self.refill = joc.workflow("refill", "/sos")
        self.sub = joc.workflow("sub", "/sos/below")
        self.other = joc.workflow("other", "/sosx")
        self.sids = {
            name: joc.order(head, start_date=NOON + DAY, schedule=OwnSchedule())
            for name, head in (("refill", self.refill), ("sub", self.sub), ("other", self.other))
        }

    def add(self, name: str, **options: Any) -> str:
        self.sids[name] = self.joc.order(self.refill, **options)
        return self.sids[name]

    def canceled(self, **selection: Any) -> list[str]:
        """Return the orders that a cancel reached, by name."""
        before = set(self._canceled())
        status, answer = self.joc("/orders/cancel", selection)
        if status == 420:
            assert answer["error"]["code"] == "JOC-161", answer
        return sorted(set(self._canceled()) - before)

    def _canceled(self) -> list[str]:
        return [name for name, sid in self.sids.items() if self.joc.instance(sid).status == "CANCELED"]


@pytest.fixture
def shop(joc: Joc) -> Shop:
    return Shop(joc)


class TestIds:
    """If ids are given they select exactly these orders; workflows, folders, states and dates are ignored."""

    def test_ids_ignore_everything_else(self, shop: Shop) -> None:
        found = shop.canceled(
            orderIds=[shop.sids["refill"]],
            workflowIds=[{"path": "/sos/below/sub"}],
            folders=[{"folder": "/sosx"}],
            states=["SUSPENDED"],
            dateFrom="5d",
            dateTo="1d",
            timeZone="Bogus/Zone",
        )

        assert found == ["refill"]

    def test_unknown_ids_are_skipped(self, shop: Shop) -> None:
        foreign = shop.joc.order(shop.other)
        shop.joc.change(foreign, account_id="a-2")

        assert shop.canceled(orderIds=["gone", shop.sids["sub"], "#2026-01-01#T1-gone", foreign]) == ["sub"]
        assert shop.joc.instance(foreign).status == "ACTIVE"

    def test_an_added_order_is_selected_by_its_id(self, shop: Shop) -> None:
        order = shop.joc.added(workflowPath="/sos/refill", scheduledFor="now+3600")

        assert shop.joc("/orders/cancel", {"orderIds": [order]})[0] == 200
        assert shop.joc.state(order) == "CANCELLED"

    def test_ids_of_child_orders_are_unknown(self, shop: Shop) -> None:
        assert shop.canceled(orderIds=[f"{shop.sids['sub']}|fork"]) == []


class TestWorkflows:
    """Workflows are selected by path or bare name, in all versions unless one is named. Folders are ignored."""

    @pytest.mark.parametrize("path", ["/sos/refill", "refill"])
    def test_a_workflow_is_selected_by_path_or_name(self, shop: Shop, path: str) -> None:
        assert shop.canceled(workflowIds=[{"path": path}], folders=[{"folder": "/sosx"}]) == ["refill"]

    @pytest.mark.parametrize(
        "path", ["/refill", "/sosx/refill", "sos/refill", "/sos/", "gone", "/", "é" * 512]
    )
    def test_a_workflow_at_another_path_is_unknown(self, shop: Shop, path: str) -> None:
        assert shop.canceled(workflowIds=[{"path": path}]) == []

    def test_several_workflows_are_selected(self, shop: Shop) -> None:
        assert shop.canceled(
            workflowIds=[{"path": "sub"}, {"path": "gone"}, {"path": "/sosx/other"}, {"path": "sub"}]
        ) == ["other", "sub"]

    @pytest.mark.parametrize(
        ("version", "found"),
        [
            ({"versionId": "1"}, ["refill"]),
            ({"version": "1"}, ["refill"]),
            ({"versionId": 2}, ["second"]),
            ({"versionId": "2", "version": "1"}, ["second"]),
            ({"versionId": "3"}, []),
            ({"versionId": "c79caab4-4e72-4818-bae7-902f1037d8b6"}, []),
            ({}, ["refill", "second"]),
        ],
    )
    def test_a_version_of_a_workflow_is_selected(
        self, shop: Shop, version: dict[str, str], found: list[str]
    ) -> None:
        shop.add("second", start_date=NOON + DAY)
        shop.joc.ports.strategies.add(shop.joc.strategy(shop.refill))
        shop.joc.change(shop.sids["second"], strategy_version=2)
        key = (shop.refill.sid, 2)
        shop.joc.ports.strategies.strategies[key] = shop.joc.strategy(shop.refill)

        assert shop.canceled(workflowIds=[{"path": "refill", **version}]) == found

    def test_a_workflow_named_twice_counts_once(self, shop: Shop) -> None:
        shop.canceled(workflowIds=[{"path": "refill", "versionId": "1"}, {"path": "/sos/refill"}])

        canceled = [e.target for e in shop.joc.ports.instances.audit if e.command == "cancel"]
        assert canceled == [shop.sids["refill"]]


class TestFolders:
    """Folders are selected with their subfolders by default; ``/sos`` does not include ``/sosx``."""

    @pytest.mark.parametrize(
        ("folders", "found"),
        [
            ([{"folder": "/sos"}], ["refill", "sub"]),
            ([{"folder": "/sos/"}], ["refill", "sub"]),
            ([{"folder": "/sos", "recursive": False}], ["refill"]),
            ([{"folder": "/"}], ["other", "refill", "sub"]),
            ([{"folder": "/", "recursive": False}], []),
            ([{"folder": "/so"}], []),
            ([{"folder": "/sos/below"}, {"folder": "/sosx", "recursive": "false"}], ["other", "sub"]),
            ([{"folder": "/sos", "recursive": False}, {"folder": "/sos/below"}], ["refill", "sub"]),
        ],
    )
    def test_folders_are_selected_with_or_without_subfolders(
        self, shop: Shop, folders: list[dict[str, Any]], found: list[str]
    ) -> None:
        assert shop.canceled(folders=folders) == found

    def test_a_folder_inside_another_counts_once(self, shop: Shop) -> None:
        shop.canceled(
            folders=[{"folder": "/sos/below"}, {"folder": "/sos"}, {"folder": "/sos", "recursive": False}]
        )

        canceled = sorted(e.target for e in shop.joc.ports.instances.audit if e.command == "cancel")
        assert canceled == sorted([shop.sids["refill"], shop.sids["sub"]])


class TestNothingNamed:
    """A command without selection means all orders if the deployment allows it, else it is refused."""

    def test_a_command_without_selection_is_refused_by_default(self, shop: Shop) -> None:
        status, answer = shop.joc("/orders/cancel", {"dateFrom": "0d", "states": ["SCHEDULED"]})

        assert (status, answer["error"]["code"]) == (420, "JOC-400")
        assert {shop.joc.instance(sid).status for sid in shop.sids.values()} == {"ACTIVE"}

    def test_a_command_without_selection_means_all_if_allowed(
        self, shop: Shop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        foreign = shop.joc.order(shop.other)
        shop.joc.change(foreign, account_id="a-2")
        monkeypatch.setenv("JOC_ALLOW_UNSCOPED", "true")
        bootstrap.forget()
        bootstrap.use_ports(shop.joc.ports)

        assert shop.canceled() == ["other", "refill", "sub"]


class TestStates:
    """Any of the named states. Fresh orders differ by their date; suspended ones have no other state."""

    @pytest.fixture
    def shop_of_all(self, shop: Shop) -> Shop:
        shop.add("never", schedule=OwnSchedule(on_call=True))
        shop.add("blocked", start_date=NOON + timedelta(seconds=1), schedule=OwnSchedule())
        shop.add("suspended", start_date=NOON + DAY, schedule=OwnSchedule())
        shop.joc("/orders/suspend", {"orderIds": [shop.sids["suspended"]]})
        shop.joc.ports.clock.at += timedelta(minutes=1)
        return shop

    @pytest.mark.parametrize(
        ("states", "found"),
        [
            (["PENDING"], ["never"]),
            (["SCHEDULED"], ["refill"]),
            (["BLOCKED"], ["blocked"]),
            (["SUSPENDED"], ["suspended"]),
            (["PENDING", "BLOCKED"], ["blocked", "never"]),
            (["RUNNING", "INPROGRESS", "WAITING", "PROMPTING", "FAILED"], []),
            (["PLANNED", "BROKEN", "UNKNOWN", "CANCELLED", "FINISHED"], []),
            ([], ["blocked", "never", "refill", "suspended"]),
        ],
    )
    def test_orders_are_selected_by_state(
        self, shop_of_all: Shop, states: list[str], found: list[str]
    ) -> None:
        assert shop_of_all.canceled(workflowIds=[{"path": "refill"}], states=states) == found


class TestDates:
    """Orders are selected by their scheduled date, from the first date on and before the second."""

    @pytest.mark.parametrize(
        ("dates", "found"),
        [
            ({"dateFrom": "1d"}, ["day 1", "day 2", "refill"]),
            ({"dateFrom": "2d"}, ["day 2"]),
            ({"dateTo": "0d"}, ["soon"]),
            ({"dateTo": "1d"}, ["day 1", "refill", "soon"]),
            ({"dateFrom": "1d", "dateTo": "1d"}, ["day 1", "refill"]),
            ({"dateFrom": "2026-01-02T12:00:00Z", "dateTo": "2026-01-02T12:00:00Z"}, []),
            ({"dateFrom": "2026-01-02T12:00:00Z", "dateTo": "2026-01-02T12:00:00.001Z"}, ["day 1", "refill"]),
            ({"dateFrom": "2026-01-02 13:00:00", "timeZone": "Europe/Berlin"}, ["day 1", "day 2", "refill"]),
            ({"dateTo": "6h"}, ["soon"]),
            ({"dateTo": "1h"}, []),
            ({"dateTo": "-2h"}, []),
        ],
    )
    def test_orders_are_selected_by_date(self, shop: Shop, dates: dict[str, str], found: list[str]) -> None:
        shop.add("soon", start_date=NOON + timedelta(hours=2), schedule=OwnSchedule())
        shop.add("day 1", start_date=NOON + DAY, schedule=OwnSchedule())
        shop.add("day 2", start_date=NOON + 2 * DAY, schedule=OwnSchedule())
        shop.add("never", schedule=OwnSchedule(on_call=True))

        assert shop.canceled(workflowIds=[{"path": "refill"}], **dates) == found

    def test_dates_are_those_of_the_plan_not_of_a_retry(self, shop: Shop) -> None:
        sid = shop.add("retried", start_date=NOON + timedelta(hours=2))
        event = shop.joc.instance(sid).events[0]
        moved = changed(
            event, date=NOON + 9 * DAY, first_date=event.date, begun_at=NOON, due_at=NOON + 9 * DAY
        )
        shop.joc.change(sid, events=(moved,))

        assert shop.canceled(workflowIds=[{"path": "refill"}], dateTo="0d") == ["retried"]
