"""Queue, access keys and the service itself. Source: contracts/core.md, Q1 to Q3, A1 and section 5."""

from datetime import timedelta

import pytest

from shared.application.draining import carry_on
from shared.domain.operation import QUIET
from tests.dialects.core_client import Client


def drain(client: Client) -> None:
    """Let every drain have a turn."""
    for sid in list(client.ports.operations.drains):
        carry_on(client.ports, sid, time_left=lambda: timedelta(minutes=15))


class TestTheQueue:
    """Q1 to Q3: one flag; what was held runs once it is resumed."""

    def test_it_is_active_paused_and_active_again(self, client: Client) -> None:
        assert client("GET", "/queue", secret=None) == (200, {"status": "active"})
        assert client("DELETE", "/queue", secret=None) == (200, {})
        assert client("GET", "/queue", secret=None) == (200, {"status": "paused"})
        assert client("POST", "/queue", secret=None) == (200, {})
        assert client("GET", "/queue", secret=None) == (200, {"status": "active"})

    def test_pausing_or_resuming_twice_changes_nothing(self, client: Client) -> None:
        client("POST", "/queue")
        assert client.ports.access.audit[4:] == []
        assert client.ports.operations.drains == {}

        client("DELETE", "/queue")
        client("DELETE", "/queue")

        assert [entry.command for entry in client.ports.access.audit] == ["pause-queue"]

    def test_who_paused_and_resumed_it_is_written_down(self, client: Client) -> None:
        client("DELETE", "/queue", key="operator.secret", more={"audit-comment": "bank is down"})
        client("POST", "/queue")

        told = [(e.command, e.by, e.from_state, e.to_state, e.reason) for e in client.ports.access.audit]
        assert told == [
            ("pause-queue", "operator", "active", "paused", "bank is down"),
            ("resume-queue", "admin", "paused", "active", None),
        ]

    def test_due_events_wait_and_run_once_it_is_resumed(self, client: Client) -> None:
        sid = client.one()
        client("DELETE", "/queue")
        client.run(sid)
        assert client("GET", f"/execution-instance/{sid}")[1]["heldBy"] == "queue"
        client.ports.wakeups.invoked.clear()

        client("POST", "/queue")
        assert len(client.ports.wakeups.operations) == 16
        drain(client)

        assert client.ports.wakeups.invoked == [sid]
        client.run(sid)
        assert client("GET", f"/execution-event/{sid}-1")[1]["event"]["status"] == "PROCESSED"

    def test_of_another_account_it_is_another_one(self, client: Client) -> None:
        client("DELETE", "/queue")

        assert client("GET", "/queue", key="stranger.secret") == (200, {"status": "active"})

    def test_the_drains_end_when_nothing_has_been_left_for_a_while(self, client: Client) -> None:
        client("DELETE", "/queue")
        client("POST", "/queue")
        drain(client)
        assert len(client.ports.operations.drains) == 16

        client.ports.clock.at += QUIET
        drain(client)

        assert client.ports.operations.drains == {}


class TestAccessKeys:
    """Made and removed by administrators; the token is shown once."""

    def test_a_new_one_works_with_its_role(self, client: Client) -> None:
        status, made = client("POST", "/access-key", {"role": "operator", "description": "the shop"})

        assert status == 201
        assert made["token"].startswith(f"{made['keyId']}.")
        assert (made["role"], made["description"], made["createdBy"]) == ("operator", "the shop", "admin")
        assert client("GET", "/queue", key=made["token"])[0] == 200
        assert client("GET", "/access-key", key=made["token"])[0] == 403

    def test_the_list_shows_no_secret_and_no_other_account(self, client: Client) -> None:
        client.ports.clock.at += timedelta(seconds=1)
        _, made = client("POST", "/access-key", {"role": "viewer"})

        status, answer = client("GET", "/access-key")

        assert status == 200
        assert answer["items"][0]["keyId"] == made["keyId"]
        assert {one["keyId"] for one in answer["items"]} == {made["keyId"], "admin", "operator", "viewer"}
        assert all("token" not in one and "secretHash" not in one for one in answer["items"])

    def test_pages_of_them(self, client: Client) -> None:
        _, first = client("GET", "/access-key?limit=2")
        _, second = client("GET", f"/access-key?limit=2&cursor={first['nextCursor']}")

        assert len(first["items"] + second["items"]) == 3
        assert "nextCursor" not in second

    def test_a_removed_one_opens_nothing(self, client: Client) -> None:
        _, made = client("POST", "/access-key", {"role": "viewer"})

        status, answer = client("DELETE", f"/access-key/{made['keyId']}")

        assert (status, answer["keyId"]) == (200, made["keyId"])
        assert client("GET", "/queue", key=made["token"])[0] == 401
        assert client("DELETE", f"/access-key/{made['keyId']}")[0] == 404
        assert [e.command for e in client.ports.access.audit] == ["create-key", "remove-key"]

    def test_a_key_cannot_remove_itself(self, client: Client) -> None:
        assert client("DELETE", "/access-key/admin")[0] == 409
        assert client("GET", "/queue")[0] == 200

    @pytest.mark.parametrize("body", [{}, {"role": "owner"}, {"role": "viewer", "account": "a-2"}])
    def test_a_wrong_body_is_refused(self, client: Client, body: dict[str, str]) -> None:
        assert client("POST", "/access-key", body)[0] == 400


class TestTheApp:
    """A1: what this service is."""

    def test_it_tells_version_stage_and_environment(self, client: Client) -> None:
        status, answer = client("GET", "/app", secret=None)

        assert status == 200
        assert answer["application"]["name"] == "ritornello"
        assert (answer["application"]["build"], answer["application"]["status"]) == ("test", "running")
        assert answer["configuration"] == {"environment": "dev"}
