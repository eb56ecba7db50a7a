"""While a pepper is replaced, keys and secrets made under it stay valid, and a repeated request is still a repeat."""

from collections.abc import Callable

import pytest

from shared import bootstrap
from tests.dialects.core.client import WATER, Client
from tests.dialects.orders.client import Joc

OLD, NEW = "p" * 32, "n" * 32
ONCE = {"idempotency-key": "k-1"}
Rotate = Callable[[str], None]


@pytest.fixture
def rotate(client: Client, monkeypatch: pytest.MonkeyPatch) -> Rotate:
    """Return a function that puts peppers in place, in a fresh container with the same stores."""

    def put(peppers: str) -> None:
        monkeypatch.setenv("PEPPER", f"local:{peppers}")
        bootstrap.forget()
        bootstrap.use_ports(client.ports)

    return put


@pytest.mark.parametrize("peppers", [f"{OLD} {NEW}", f"{NEW} {OLD}"])
class TestWhileItIsReplaced:
    """Hashes under both peppers are accepted, whichever of them hashes."""

    def test_access_keys_and_strategy_secrets_are_valid(
        self, client: Client, rotate: Rotate, peppers: str
    ) -> None:
        sid = client.one()
        rotate(peppers)

        assert client("GET", f"/execution-instance/{sid}")[0] == 200
        assert client("GET", f"/execution-instance/{sid}", secret="wrong")[0] == 403
        assert client("GET", f"/execution-instance/{sid}", key="admin.wrong")[0] == 401

    def test_a_new_key_is_valid_too(self, client: Client, rotate: Rotate, peppers: str) -> None:
        rotate(peppers)
        made = client("POST", "/access-key", {"role": "viewer"})[1]

        assert client("GET", "/queue", key=made["token"])[0] == 200

    def test_a_repeated_start_finds_the_first(self, client: Client, rotate: Rotate, peppers: str) -> None:
        client.saved()
        body = {"strategyId": WATER["name"], "attributes": {"customerId": "c-1"}}
        first = client("POST", "/execution-instance", body, more=ONCE)[1]
        rotate(peppers)

        status, again = client("POST", "/execution-instance", body, more=ONCE)
        other = client(
            "POST", "/execution-instance", {**body, "attributes": {"customerId": "c-2"}}, more=ONCE
        )

        assert (status, again["executionInstance"]["sid"]) == (200, first["executionInstance"]["sid"])
        assert len(client.ports.instances.instances) == 1
        assert other[0] == 422

    def test_a_repeated_save_finds_the_first(self, client: Client, rotate: Rotate, peppers: str) -> None:
        first = client("POST", "/execution-strategy", WATER, more=ONCE)[1]
        rotate(peppers)

        assert client("POST", "/execution-strategy", WATER, more=ONCE)[1]["sid"] == first["sid"]

    def test_a_repeated_event_is_added_once(self, client: Client, rotate: Rotate, peppers: str) -> None:
        """Otherwise the customer would be charged twice."""
        path = f"/execution-instance/{client.one()}/events"
        body = {"task": WATER["settings"]["tasks"][0]["key"], "date": "2026-03-01T00:00:00Z"}
        status, first = client("POST", path, body, more=ONCE)
        rotate(peppers)

        again = client("POST", path, body, more=ONCE)
        other = client("POST", path, {**body, "date": "2026-03-02T00:00:00Z"}, more=ONCE)

        assert (status, *again) == (201, 200, first)
        assert other[0] == 422

    def test_a_repeated_bulk_operation_finds_the_first(
        self, client: Client, rotate: Rotate, peppers: str
    ) -> None:
        sid = client.one()
        body = {"selection": {"ids": [sid]}, "command": {"name": "pause"}}
        first = client("POST", "/bulk-operation", body, more=ONCE)[1]
        rotate(peppers)

        again = client("POST", "/bulk-operation", body, more=ONCE)[1]
        other = client("POST", "/bulk-operation", {**body, "comment": "another"}, more=ONCE)

        assert again["sid"] == first["sid"]
        assert other[0] == 422

    def test_a_list_goes_on_at_its_cursor(self, client: Client, rotate: Rotate, peppers: str) -> None:
        client.saved()
        for _ in range(2):
            client.started()
        first = client("GET", "/execution-instance?limit=1")[1]
        rotate(peppers)

        status, second = client("GET", f"/execution-instance?limit=1&cursor={first['nextCursor']}")

        assert status == 200
        assert second["items"] != first["items"]

    def test_sessions_stay_open_and_can_be_closed(self, joc: Joc, rotate: Rotate, peppers: str) -> None:
        joc.workflow()
        joc("/orders", {})
        rotate(peppers)

        assert joc("/orders", {})[0] == 200
        joc("/authentication/logout")
        assert joc("/orders", {})[0] == 401

    def test_repeated_orders_are_added_once(self, joc: Joc, rotate: Rotate, peppers: str) -> None:
        joc.workflow()
        body = {"orders": [{"workflowPath": "/refill", "orderName": "n"}], "auditLog": {"comment": "new"}}
        first = joc("/orders/add", body, once="k-1")
        rotate(peppers)

        assert joc("/orders/add", body, once="k-1")[1]["orderIds"] == first[1]["orderIds"]
        assert len(joc.ports.instances.instances) == 1


class TestAfterwards:
    """Without the old pepper, nothing that was hashed under it is valid."""

    def test_an_older_key_opens_nothing(self, client: Client, rotate: Rotate) -> None:
        rotate(NEW)

        assert client("GET", "/queue")[0] == 401

    def test_a_function_without_a_pepper_answers_nothing(self, client: Client, rotate: Rotate) -> None:
        rotate("")

        assert client("GET", "/queue")[0] == 500
