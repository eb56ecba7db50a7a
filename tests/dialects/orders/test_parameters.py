"""Every filter of JOC on every operation acts or is refused. Source: docs/contracts/orders.md B.2 and B.3."""

from datetime import timedelta
from typing import Any

import pytest

from shared.api.orders.routes import ROUTES
from shared.api.orders.schemas import FILTERS
from shared.domain.calendar.instance_schedule import OwnSchedule
from tests.dialects.orders.client import BASE, Joc
from tests.dialects.wire import NOON

DAY = timedelta(days=1)
REFILL: dict[str, Any] = {"workflowIds": [{"path": "/refill"}]}

# The filters of each operation. Each has a test of its effect here, in test_selection.py or in test_reading.py.
BY_DATE = "dateFrom dateTo"
SELECTION = f"orderIds workflowIds folders states {BY_DATE}"
ACTING: dict[str, str] = {
    "/orders": f"{SELECTION} limit",
    "/order": "orderId",
    "/orders/add": "orders",
    "/orders/cancel": f"{SELECTION} orderType",
    "/orders/suspend": f"{SELECTION} orderType",
    "/orders/resume": SELECTION,
    "/orders/continue": SELECTION,
    "/orders/confirm": SELECTION,
    "/orders/history": (
        f"historyIds orders folders excludeWorkflows historyStates orderId workflowPath workflowName {BY_DATE} "
        "completedDateFrom completedDateTo limit"
    ),
    "/orders/overview/snapshot": "workflowIds folders dateTo",
    "/orders/overview/summary": BY_DATE,
}
REFUSED = [(path, name) for path, acting in ACTING.items() for name in FILTERS if name not in acting.split()]
NEEDED: dict[str, dict[str, Any]] = {
    "/order": {"orderId": "o-1"},
    "/orders/add": {"orders": [{"workflowPath": "/refill"}]},
}


class TestRefusedFilters:
    """A filter that an operation does not have is refused with 420, JOC-400, and nothing changes."""

    def test_every_operation_has_a_row(self) -> None:
        paths = {route.path.removeprefix(BASE) for route in ROUTES}
        assert paths - {"/authentication/login", "/authentication/logout"} == set(ACTING)

    def test_the_rows_are_the_members_of_the_models(self) -> None:
        decoded = {
            route.path.removeprefix(BASE): sorted(set(FILTERS) & set(route.body.model_fields))
            for route in ROUTES
            if isinstance(route.body, type)
        }
        assert decoded == {path: sorted(acting.split()) for path, acting in ACTING.items()}

    @pytest.mark.parametrize(("path", "name"), REFUSED)
    def test_a_filter_that_would_be_ignored_is_refused(self, joc: Joc, path: str, name: str) -> None:
        sid = joc.order(joc.workflow(), start_date=NOON + DAY, schedule=OwnSchedule())
        body = NEEDED.get(path) or (REFILL if "workflowIds" in ACTING[path].split() else {})

        status, answer = joc(path, {**body, name: "x"})

        assert (status, answer["error"]) == (
            420,
            {
                "code": "JOC-400",
                "message": f"JocBadRequestException: {name!r} not supported here: no filter is ignored",
            },
        )
        assert (joc.state(sid), joc.ports.instances.audit) == ("SCHEDULED", [])

    @pytest.mark.parametrize("value", [None, "", [], {}, False])
    def test_a_filter_without_a_value_selects_nothing(self, joc: Joc, value: Any) -> None:
        joc.workflow()

        assert joc("/orders", {"regex": value, "orderTags": value})[0] == 200

    @pytest.mark.parametrize("value", [0, "0", True, {"a": 1}, ["x"]])
    def test_a_filter_with_any_value_is_refused(self, joc: Joc, value: Any) -> None:
        joc.workflow()

        assert joc("/orders", {"regex": value})[0] == 420

    def test_all_refused_filters_are_named(self, joc: Joc) -> None:
        _, answer = joc("/orders/cancel", {**REFILL, "regex": "^a", "limit": 5, "stateDateTo": "1d"})

        assert answer["error"]["message"].endswith(
            "'limit', 'regex', 'stateDateTo' not supported here: no filter is ignored"
        )

    def test_fresh_orders_only_is_refused_for_suspend(self, joc: Joc) -> None:
        sid = joc.order(joc.workflow(), start_date=NOON + DAY, schedule=OwnSchedule())

        status, answer = joc("/orders/suspend", {**REFILL, "orderType": "FreshOnly"})

        assert (status, answer["error"]["code"], joc.state(sid)) == (420, "JOC-400", "SCHEDULED")
        assert joc("/orders/suspend", {**REFILL, "orderType": "FreshOrStarted"})[0] == 200


class TestDatesOfCommands:
    """``dateFrom`` and ``dateTo`` select the orders of every command by the date they are scheduled for."""

    @pytest.mark.parametrize(
        ("dates", "reached"),
        [
            ({}, ["soon", "later"]),
            ({"dateTo": "2h"}, ["soon"]),
            ({"dateFrom": "2h"}, ["later"]),
            ({"dateFrom": "1h", "dateTo": "1d"}, ["soon", "later"]),
            ({"dateTo": "2026-01-01T13:00:00", "timeZone": "UTC"}, []),
            ({"dateTo": "2026-01-01T14:00:01", "timeZone": "Europe/Paris"}, ["soon"]),
        ],
    )
    @pytest.mark.parametrize("command", ["suspend", "resume", "continue", "confirm"])
    def test_only_orders_within_the_dates_are_reached(
        self, joc: Joc, command: str, dates: dict[str, Any], reached: list[str]
    ) -> None:
        head = joc.workflow(config={"manualTrigger": command == "confirm"})
        sids = {
            "soon": joc.order(head, start_date=NOON + timedelta(hours=1)),
            "later": joc.order(head, start_date=NOON + DAY),
        }
        if command == "resume":
            joc("/orders/suspend", REFILL)
        joc.ports.instances.audit.clear()

        joc(f"/orders/{command}", {**REFILL, **dates})

        assert sorted(entry.target for entry in joc.ports.instances.audit) == sorted(
            sids[name] for name in reached
        )

    @pytest.mark.parametrize("command", ["cancel", "suspend", "resume", "continue", "confirm"])
    def test_dates_in_the_wrong_order_are_refused(self, joc: Joc, command: str) -> None:
        joc.workflow()

        status, answer = joc(f"/orders/{command}", {**REFILL, "dateFrom": "2d", "dateTo": "1h"})

        assert (status, answer["error"]["code"]) == (420, "JOC-400")
