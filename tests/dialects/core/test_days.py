"""Dates without time begin in the zone of the strategy. Source: docs/contracts/core.md section 4."""

from typing import Any

import pytest

from tests.dialects.core.client import WATER, Client

SECRET: dict[str, Any] = {"secret": WATER["secret"]}
DAY = "2061-03-15"
IN_BERLIN = "2061-03-14T23:00:00.000Z"


@pytest.fixture
def berlin(client: Client) -> Client:
    """Return a client with a strategy whose zone is Europe/Berlin."""
    client.saved({**WATER, "settings": {**WATER["settings"], "config": {"timezone": "Europe/Berlin"}}})
    return client


class TestDaysInTheZone:
    """A date alone is the start of its day in the strategy's zone."""

    def test_days_of_a_new_instance(self, berlin: Client) -> None:
        instance = berlin.started(startDate=DAY, endDate="2061-07-01")["executionInstance"]

        assert (instance["startDate"], instance["endDate"]) == (IN_BERLIN, "2061-06-30T22:00:00.000Z")

    def test_days_of_a_changed_instance(self, berlin: Client) -> None:
        sid = berlin.started()["executionInstance"]["sid"]

        status, answer = berlin("PATCH", f"/execution-instance/{sid}", {"endDate": DAY}, **SECRET)

        assert (status, answer["endDate"]) == (200, IN_BERLIN)

    def test_days_of_an_added_event(self, berlin: Client) -> None:
        sid = berlin.started()["executionInstance"]["sid"]
        body = {"task": WATER["settings"]["tasks"][0]["key"], "date": DAY}

        status, answer = berlin("POST", f"/execution-instance/{sid}/events", body, **SECRET)

        assert (status, answer["date"]) == (201, IN_BERLIN)

    def test_days_of_a_simulation(self, berlin: Client) -> None:
        sid = berlin("GET", "/execution-strategy")[1]["items"][0]["sid"]
        body = {"cycles": 1, "startDate": DAY, "attributes": {"customerId": "c-1"}}

        status, answer = berlin("POST", f"/execution-strategy/{sid}/simulate-execution", body, **SECRET)

        assert (status, answer["startDate"]) == (200, IN_BERLIN)

    def test_days_of_an_explanation(self, berlin: Client) -> None:
        sid = berlin.started(startDate=DAY)["executionInstance"]["sid"]
        path = f"/execution-instance/{sid}/explain"

        by_day = berlin("GET", f"{path}?at={DAY}", **SECRET)

        assert by_day[0] == 200
        assert by_day == berlin("GET", f"{path}?at={IN_BERLIN}", **SECRET)

    def test_an_instant_keeps_its_offset(self, berlin: Client) -> None:
        instance = berlin.started(startDate=f"{DAY}T00:00:00-05:00")["executionInstance"]

        assert instance["startDate"] == "2061-03-15T05:00:00.000Z"

    @pytest.mark.parametrize("text", ["2061-02-29", "2061-13-01", "2061-3-15", "20610315", "15/03/2061", ""])
    def test_another_text_is_refused_and_stores_nothing(self, berlin: Client, text: str) -> None:
        body = {"strategyId": WATER["name"], "attributes": {"customerId": "c-1"}, "startDate": text}

        status, answer = berlin("POST", "/execution-instance", body, **SECRET)

        assert (status, [problem["pointer"] for problem in answer["problems"]]) == (400, ["/startDate"])
        assert berlin.ports.instances.instances == {}

    def test_a_day_that_begins_before_the_first_year_is_refused(self, berlin: Client) -> None:
        body = {"strategyId": WATER["name"], "attributes": {"customerId": "c-1"}, "endDate": "0001-01-01"}

        status, answer = berlin("POST", "/execution-instance", body, **SECRET)

        assert (status, answer["problems"][0]["pointer"]) == (400, "/endDate")


class TestDaysInUtc:
    """Without one strategy, a date alone begins in UTC."""

    def test_days_of_the_audit(self, berlin: Client) -> None:
        berlin.started()

        by_day = berlin("GET", "/audit?from=2026-01-01&to=2026-01-02")

        assert by_day[0] == 200
        assert by_day == berlin("GET", "/audit?from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z")

    def test_days_of_a_bulk_selection(self, berlin: Client) -> None:
        selection = {"strategyId": WATER["name"], "createdFrom": DAY}
        body = {"command": {"name": "pause"}, "selection": selection}

        status, answer = berlin("POST", "/bulk-operation", body)

        assert (status, answer["selection"]["createdFrom"]) == (200, "2061-03-15T00:00:00.000Z")


class TestDaysInTheZoneOfACustomer:
    """If an attribute names the zone, a date alone begins in that zone."""

    @pytest.fixture
    def zoned(self, client: Client) -> Client:
        config = {"timezone": "{{attributes.zone}}"}
        client.saved({**WATER, "settings": {**WATER["settings"], "config": config}})
        return client

    def test_days_of_a_new_instance(self, zoned: Client) -> None:
        attributes = {"customerId": "c-1", "zone": "Europe/Berlin"}
        instance = zoned.started(startDate=DAY, attributes=attributes)["executionInstance"]

        assert instance["startDate"] == IN_BERLIN

    @pytest.mark.parametrize("zone", [{}, {"zone": "Europe/Berlinn"}])
    def test_an_instance_without_a_zone_is_refused_with_all_problems(
        self, zoned: Client, zone: dict[str, str]
    ) -> None:
        body = {
            "strategyId": WATER["name"],
            "attributes": {"customerId": "c-1", **zone},
            "endDate": "2001-01-01",
        }

        status, answer = zoned("POST", "/execution-instance", body, **SECRET)

        assert status == 400
        assert [error["pointer"] for error in answer["problems"]] == ["/attributes/zone", "/endDate"]

    def test_days_of_a_change_are_in_the_new_zone(self, zoned: Client) -> None:
        attributes = {"customerId": "c-1", "zone": "Asia/Manila"}
        sid = zoned.started(attributes=attributes)["executionInstance"]["sid"]
        body = {"endDate": DAY, "attributes": {"zone": "Europe/Berlin"}}

        status, answer = zoned("PATCH", f"/execution-instance/{sid}", body, **SECRET)

        assert (status, answer["endDate"]) == (200, IN_BERLIN)

    def test_a_simulation_shows_the_zone(self, zoned: Client) -> None:
        sid = zoned("GET", "/execution-strategy")[1]["items"][0]["sid"]
        path = f"/execution-strategy/{sid}/simulate-execution"
        body = {"cycles": 1, "startDate": DAY, "attributes": {"customerId": "c-1", "zone": "Europe/Berlin"}}

        status, answer = zoned("POST", path, {**body, "dateFormat": "YYYY-MM-DD HH:mm"}, **SECRET)
        refused = zoned("POST", path, {**body, "attributes": {"customerId": "c-1"}}, **SECRET)

        assert (status, answer["timezone"], answer["startDate"]) == (200, "Europe/Berlin", "2061-03-15 00:00")
        assert (refused[0], refused[1]["problems"][0]["pointer"]) == (400, "/attributes/zone")
