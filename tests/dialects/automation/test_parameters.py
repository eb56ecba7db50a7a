"""Every parameter of every operation acts; unknown ones are ignored, or kept. Source: docs/contracts/automation.md A.1.

The members of definitions are in ``test_members.py``.
"""

from collections.abc import Mapping
from typing import Any

import pytest

from shared.api.automation.routes import BASE, ROUTES
from shared.api.http.route import Route
from tests.dialects.automation.accounts import Account, Make
from tests.dialects.automation.client import definition, wait
from tests.dialects.parameters import MISSING, Pair, cells, query_of, target_of

LATER = "2026-01-01T12:30:00Z"
PAGE = {"?limit": Pair("1", "2"), "?offset": Pair("0", "1")}
WORKFLOWS = "/definitions/{of}/workflows"

TABLE: Mapping[str, Mapping[str, Pair]] = {
    "GET /definitions": PAGE,
    "GET /definitions/{of}": PAGE,
    "DELETE /definitions/{of}": {"?version": Pair("1", MISSING)},
    f"GET {WORKFLOWS}": {
        "?limit": Pair("1", "2", {"?version": "1"}),
        "?offset": Pair("0", "1", {"?version": "1"}),
        "?version": Pair("1", MISSING),
        "?status": Pair("Runnable", "Suspended"),
        "?startTimeFrom": Pair(LATER, MISSING, {"?version": "1"}),
        "?startTimeTo": Pair(LATER, MISSING, {"?version": "1"}),
    },
    f"POST {WORKFLOWS}": {"?version": Pair("1", MISSING)},
    f"GET {WORKFLOWS}/{{one}}": {"?includeLogs": Pair("true", "false")},
    "POST /triggers/http_request": {"?subAccountId": Pair("s-1", MISSING)},
    "GET /steps/timezones": {"?contains": Pair("singapore", MISSING)},
}
BODIES: Mapping[str, tuple[Any, Any]] = {
    "POST /definitions": (definition(wait("a")), definition(wait("b"))),
    "PUT /definitions/{of}": (definition(wait("a")), definition(wait("b"))),
    f"POST {WORKFLOWS}": ({"a": 1}, {"a": [2]}),
    f"PATCH {WORKFLOWS}/{{one}}": ({"status": "suspend"}, {"status": "terminate"}),
    "POST /triggers/http_request": ({"a": 1}, 1),
}
PLACES = {f"{route.method} {route.path.removeprefix(BASE)}": route for route in ROUTES}


def effect(account: Account, place: str, query: str, body: Any) -> Any:
    """Return the effect of a request: its answer if it reads, else all that is stored."""
    method, path = account.filled(place).split()
    before = account.client.stored()
    status, answer = account.client(method, path + query, body)
    assert status in (200, 201, 202), answer
    if method == "GET":
        assert account.client.stored() == before
        return answer
    return account.client.stored(), account.versions()


def template_of(place: str) -> str:
    return place.replace("{of}", "<definition_id>").replace("{one}", "<workflow_id>")


class TestParameters:
    """Every parameter of the query acts, and so does every body."""

    def test_every_parameter_has_a_row(self) -> None:
        declared = {place: names for place, route in PLACES.items() if (names := query_of(route))}

        assert {template_of(place): set(row) for place, row in TABLE.items()} == declared

    def test_every_body_has_a_row(self) -> None:
        declared = {place for place, route in PLACES.items() if route.body is not None}

        assert {template_of(place) for place in BODIES} == declared

    @pytest.mark.parametrize(("place", "name", "pair"), cells(TABLE))
    def test_two_values_have_different_effects(self, make: Make, place: str, name: str, pair: Pair) -> None:
        body, _ = BODIES.get(place, (None, None))
        queries = [target_of(name, value, pair.beside)[0] for value in (pair.one, pair.other, pair.one)]
        one, other, same = (effect(make(), place, query, body) for query in queries)

        assert one != other
        assert one == same

    @pytest.mark.parametrize("place", BODIES)
    def test_two_bodies_have_different_effects(self, make: Make, place: str) -> None:
        one, other = (effect(make(), place, "", body) for body in BODIES[place])

        assert one != other


class TestUnknown:
    """The vendor ignores unknown parameters and members, so the engine does, except in steps."""

    @pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.place)
    @pytest.mark.parametrize("query", ["?surplus=1", "?Limit=1&STATUS=Complete", "?subaccount=s-1"])
    def test_an_unknown_parameter_is_ignored(self, make: Make, route: Route, query: str) -> None:
        place = f"{route.method} {route.path.removeprefix(BASE)}"
        place = place.replace("<definition_id>", "{of}").replace("<workflow_id>", "{one}")
        body, _ = BODIES.get(place, (None, None))

        assert effect(make(), place, query, body) == effect(make(), place, "", body)

    def test_an_unknown_member_of_a_command_is_ignored(self, make: Make) -> None:
        place = f"PATCH {WORKFLOWS}/{{one}}"
        bodies: list[Any] = [{"status": "suspend"}, {"status": "suspend", "at": LATER}]

        assert effect(make(), place, "", bodies[0]) == effect(make(), place, "", bodies[1])

    @pytest.mark.parametrize("place", ["POST /definitions", "PUT /definitions/{of}"])
    def test_an_unknown_member_of_a_definition_is_kept(self, make: Make, place: str) -> None:
        account = make()
        sent = definition(wait("a"), surplus={"a": [1]})
        sent["definition"]["notes"] = "kept"
        method, path = account.filled(place).split()
        _, made = account.client(method, path, sent)
        _, (read, *_) = account.client("GET", f"/definitions/{made['id']}")

        assert (read["surplus"], read["definition"]["notes"]) == ({"a": [1]}, "kept")
