"""Nothing that a client sends is ignored without a word, and no text is accepted that cannot be used later."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest

from dev.examples import Ids
from shared.api.automation.routes import ROUTES as AUTOMATION_ROUTES
from shared.api.core.routes import ROUTES as CORE_ROUTES
from shared.api.http.route import Route
from shared.api.orders.routes import ROUTES as ORDER_ROUTES
from shared.api.process.routes import ROUTES as PROCESS_ROUTES
from shared.domain.ids import InstanceSid
from tests.dialects.automation import client as automation_client
from tests.dialects.core import client as core_client
from tests.dialects.core.client import WATER, Client
from tests.dialects.orders import client as orders_client
from tests.dialects.process import client as process_client
from tests.dialects.wire import Reply, Wire

BASIC = {"authorization": f"Basic {base64.b64encode(b'admin:secret').decode()}"}
SHOWN = {
    "authorization": "Bearer admin.secret",
    "strategy-secret": base64.b64encode(WATER["secret"].encode()).decode(),
}
WIRES: Mapping[str, Wire] = {
    "core": core_client.WIRE,
    "automation": automation_client.WIRE,
    "orders": orders_client.WIRE,
    "process": process_client.WIRE,
}
ROUTES_OF = {
    "core": CORE_ROUTES,
    "automation": AUTOMATION_ROUTES,
    "orders": ORDER_ROUTES,
    "process": PROCESS_ROUTES,
}
HALF = "must not contain half of a surrogate pair"
NUL = "must not contain a NUL character"


@dataclass
class House:
    """An account with one object of each kind that a path can name. Every answer is checked."""

    client: Client
    names: Mapping[str, str]

    def send(
        self, dialect: str, route: Route, query: str = "", *, raw: bytes = b"", more: Any = None
    ) -> Reply:
        path = route.path
        for name, value in {**self.names, **self.sids(route)}.items():
            path = path.replace(f"<{name}>", value)
        headers = BASIC if dialect == "process" or "login" in path else SHOWN
        if dialect == "orders" and "login" not in path:
            login = next(one for one in ORDER_ROUTES if "login" in one.path)
            headers = {"x-access-token": self.send("orders", login).decoded["accessToken"]}
        reply = WIRES[dialect].send(route.method, path + query, headers={**headers, **(more or {})}, raw=raw)
        WIRES[dialect].check(reply)
        return reply

    def sids(self, route: Route) -> dict[str, str]:
        kind = route.path.split("/")[1].removeprefix("execution-")
        return {"sid": self.names.get(kind, "")}

    def stored(self) -> tuple[Any, ...]:
        ports = self.client.ports
        return (
            dict(ports.instances.instances),
            dict(ports.instances.answers),
            dict(ports.strategies.heads),
            dict(ports.operations.bulks),
            set(ports.access.all_keys),
            set(ports.access.paused_queues),
        )


@pytest.fixture
def house(client: Client) -> House:
    client.ports.ids = Ids()
    strategy = client.saved()["sid"]
    instance = client.started()["executionInstance"]["sid"]
    event = client.ports.instances.instances[InstanceSid(instance)].events[0]
    bulk = {"selection": {"ids": [instance]}, "command": {"name": "pause"}}
    operation = client("POST", "/bulk-operation", bulk)[1]["sid"]
    key = client("POST", "/access-key", {"role": "viewer"}, secret=None)[1]["keyId"]
    client("PUT", "/webhook", {"url": "https://hooks.example.com/"}, secret=None)
    names = {
        "strategy": strategy,
        "instance": instance,
        "event": f"{instance}-{event.seq}",
        "bulk-operation": operation,
        "key_id": key,
        "version": "1",
        "correlation_id": f"{instance}-{event.seq}.token",
        "account_id": "a-1",
        "definition_id": strategy,
        "workflow_id": instance,
        "robustaSpid": instance,
    }
    return House(client, names)


def rules(reply: Reply) -> list[tuple[str, str]]:
    return [(problem["pointer"], problem["rule"]) for problem in reply.decoded["problems"]]


class TestUnknownInCore:
    """Unknown members and parameters are refused on every operation, also on those that take none."""

    @pytest.mark.parametrize("route", CORE_ROUTES, ids=lambda route: route.place)
    def test_an_unknown_parameter_is_refused(self, house: House, route: Route) -> None:
        before = house.stored()
        reply = house.send("core", route, "?surplus=1")
        assert reply.status == 400
        assert ("/surplus", "unknown-field") in rules(reply)
        assert "/surplus: is not a known field" in reply.decoded["message"]
        assert house.stored() == before

    @pytest.mark.parametrize("route", CORE_ROUTES, ids=lambda route: route.place)
    def test_an_unknown_member_is_refused(self, house: House, route: Route) -> None:
        before = house.stored()
        query = "?tasks=a" if "cancel-tasks" in route.path else ""
        reply = house.send("core", route, query, raw=b'{"surplus": "2061-01-01T00:00:00Z"}')
        if route.name == "resume_event":
            # The answer of a service may have any members; no event waits for this one.
            assert reply.status == 404
        elif route.name == "validate_strategy":
            assert ("/surplus", "unknown-field") in rules(reply)
        else:
            assert reply.status == 400
            assert ("/surplus", "unknown-field") in rules(reply)
        assert house.stored() == before

    @pytest.mark.parametrize("raw", [b"", b"{}", b" {} "])
    def test_no_body_and_an_empty_object_are_the_same(self, house: House, raw: bytes) -> None:
        cancel = next(route for route in CORE_ROUTES if route.name == "cancel_instance")
        assert house.send("core", cancel, raw=raw).status == 200

    @pytest.mark.parametrize("raw", [b"[]", b"null", b'"at"', b"1"])
    def test_another_value_is_not_a_body(self, house: House, raw: bytes) -> None:
        cancel = next(route for route in CORE_ROUTES if route.name == "cancel_instance")
        assert rules(house.send("core", cancel, raw=raw)) == [("", "type")]


ALL_ROUTES = [(dialect, route) for dialect, routes in ROUTES_OF.items() for route in routes]


class TestMalformedBodies:
    """A body that is not JSON is refused everywhere: 400, in JOC 420."""

    @pytest.mark.parametrize(
        ("dialect", "route"), ALL_ROUTES, ids=[f"{dialect} {route.place}" for dialect, route in ALL_ROUTES]
    )
    @pytest.mark.parametrize("raw", [b"{", b'{"a": 1, "a": 2}', b'{"\xff": 1}', b"NaN"])
    def test_a_malformed_body_is_refused(self, house: House, dialect: str, route: Route, raw: bytes) -> None:
        before = house.stored()
        reply = house.send(dialect, route, raw=raw)
        assert reply.status == (420 if dialect == "orders" else 400)
        assert house.stored() == before

    @pytest.mark.parametrize(
        ("dialect", "route"), ALL_ROUTES, ids=[f"{dialect} {route.place}" for dialect, route in ALL_ROUTES]
    )
    @pytest.mark.parametrize(
        ("text", "fault"), [("\\u0000", NUL), ("\\ud83d", HALF), ("\\udc00\\ud83d", HALF)]
    )
    def test_a_text_that_cannot_be_used_is_refused(
        self, house: House, dialect: str, route: Route, text: str, fault: str
    ) -> None:
        before = house.stored()
        for raw in (f'{{"x": ["a{text}b"]}}', f'{{"x": {{"{text}": 1}}}}'):
            query = "?tasks=a" if "cancel-tasks" in route.path else ""
            reply = house.send(dialect, route, query, raw=raw.encode())
            if route.name == "validate_strategy":
                assert (reply.status, reply.decoded["valid"]) == (200, False)
            else:
                assert reply.status == (420 if dialect == "orders" else 400)
            assert fault in reply.text or dialect == "automation"
            assert house.stored() == before


class TestOtherTexts:
    """The same holds for texts in the query and in headers that are stored."""

    @pytest.mark.parametrize(
        ("dialect", "route"), ALL_ROUTES, ids=[f"{dialect} {route.place}" for dialect, route in ALL_ROUTES]
    )
    @pytest.mark.parametrize("query", ["?x=%00", "?x%00=1", "?x=a%00b&y=1"])
    def test_a_nul_in_the_query_is_refused(
        self, house: House, dialect: str, route: Route, query: str
    ) -> None:
        before = house.stored()
        reply = house.send(dialect, route, query)
        assert reply.status == (420 if dialect == "orders" else 400)
        assert house.stored() == before

    @pytest.mark.parametrize("character", ["\0", "\ud83d"])
    @pytest.mark.parametrize("name", ["audit-comment", "idempotency-key"])
    def test_a_header_that_would_be_stored_is_refused(self, house: House, name: str, character: str) -> None:
        create = next(route for route in CORE_ROUTES if route.name == "post_instance")
        raw = json.dumps({"strategyId": WATER["name"], "attributes": {"customerId": "c"}}).encode()
        before = house.stored()
        reply = house.send("core", create, raw=raw, more={name: f"a{character}"})
        fault = NUL if character == "\0" else HALF
        assert reply.status == 400
        shown = {"audit-comment": "Audit-Comment", "idempotency-key": "Idempotency-Key"}[name]
        assert reply.decoded["message"] == [f"/: the header {shown} {fault}"]
        assert house.stored() == before

    @pytest.mark.parametrize(
        ("dialect", "status"), [("core", 401), ("automation", 401), ("process", 401), ("orders", 401)]
    )
    @pytest.mark.parametrize("token", ["admin.\ud83d", "ad\0min.secret", "é\ud83d.x"])
    def test_a_key_that_cannot_be_a_key_is_unknown(
        self, house: House, dialect: str, status: int, token: str
    ) -> None:
        route = ROUTES_OF[dialect][2 if dialect == "orders" else -1]
        encoded = base64.b64encode(token.replace(".", ":").encode("utf-8", "surrogatepass")).decode()
        sent = {
            "authorization": f"Basic {encoded}" if dialect == "process" else f"Bearer {token}",
            "x-access-token": token,
        }
        assert house.send(dialect, route, more=sent).status == status

    @pytest.mark.parametrize("part", ["%00", "a%00", quote("\U0001f600"), "%ff"])
    def test_a_path_with_such_a_text_names_nothing(self, house: House, part: str) -> None:
        before = house.stored()
        names = (("GET", "execution-instance"), ("GET", "execution-event"), ("DELETE", "access-key"))
        for method, name in names:
            assert WIRES["core"].send(method, f"/{name}/{part}", headers=SHOWN).status == 404
        assert house.stored() == before
