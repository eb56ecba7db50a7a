"""Queue, access keys and the service itself. Source: docs/contracts/core.md, Q1 to Q3, A1 and section 5."""

from datetime import timedelta
from typing import Any, ClassVar

import pytest

from shared.domain.bulk.release import QUIET
from shared.domain.ids import AccountId
from tests.bulk_runs import run_bulk
from tests.dialects.core.client import Client


def release_job(client: Client) -> None:
    """Run every release job once."""
    for sid in list(client.ports.operations.release_jobs):
        run_bulk(client.ports, sid, time_left=lambda: timedelta(minutes=15))


class TestQueue:
    """Q1 to Q3: one flag blocks due events; they run when the queue is resumed."""

    def test_the_queue_can_be_paused_and_resumed(self, client: Client) -> None:
        assert client("GET", "/queue", secret=None) == (200, {"status": "active"})
        assert client("DELETE", "/queue", secret=None) == (200, {})
        assert client("GET", "/queue", secret=None) == (200, {"status": "paused"})
        assert client("POST", "/queue", secret=None) == (200, {})
        assert client("GET", "/queue", secret=None) == (200, {"status": "active"})

    def test_pausing_or_resuming_twice_changes_nothing(self, client: Client) -> None:
        client("POST", "/queue")
        assert client.ports.access.audit[4:] == []
        assert client.ports.operations.release_jobs == {}

        client("DELETE", "/queue")
        client("DELETE", "/queue")

        assert [entry.command for entry in client.ports.access.audit] == ["pause-queue"]

    def test_pausing_and_resuming_the_queue_are_audited(self, client: Client) -> None:
        client("DELETE", "/queue", key="operator.secret", more={"audit-comment": "bank is down"})
        client("POST", "/queue")

        decoded = [(e.command, e.by, e.from_state, e.to_state, e.reason) for e in client.ports.access.audit]
        assert decoded == [
            ("pause-queue", "operator", "active", "paused", "bank is down"),
            ("resume-queue", "admin", "paused", "active", None),
        ]

    def test_due_events_run_when_the_queue_is_resumed(self, client: Client) -> None:
        sid = client.one()
        client("DELETE", "/queue")
        client.run(sid)
        assert client("GET", f"/execution-instance/{sid}")[1]["heldBy"] == "queue"
        client.ports.wakeups.invoked.clear()

        client("POST", "/queue")
        assert len(client.ports.wakeups.operations) == 16
        release_job(client)

        assert client.ports.wakeups.invoked == [sid]
        client.run(sid)
        assert client("GET", f"/execution-event/{sid}-1")[1]["event"]["status"] == "PROCESSED"

    def test_accounts_have_separate_queues(self, client: Client) -> None:
        client("DELETE", "/queue")

        assert client("GET", "/queue", key="stranger.secret") == (200, {"status": "active"})

    def test_release_jobs_end_when_no_event_is_blocked_anymore(self, client: Client) -> None:
        client("DELETE", "/queue")
        client("POST", "/queue")
        release_job(client)
        assert len(client.ports.operations.release_jobs) == 16

        client.ports.clock.at += QUIET
        release_job(client)

        assert client.ports.operations.release_jobs == {}


class TestAccessKeys:
    """Administrators create and remove keys. A token is shown once."""

    def test_a_new_key_works_with_its_role(self, client: Client) -> None:
        status, made = client("POST", "/access-key", {"role": "operator", "description": "the shop"})

        assert status == 201
        assert made["token"].startswith(f"{made['keyId']}.")
        assert (made["role"], made["description"], made["createdBy"]) == ("operator", "the shop", "admin")
        assert client("GET", "/queue", key=made["token"])[0] == 200
        assert client("GET", "/access-key", key=made["token"])[0] == 403

    def test_the_list_of_keys_has_no_secrets_and_no_keys_of_other_accounts(self, client: Client) -> None:
        client.ports.clock.at += timedelta(seconds=1)
        _, made = client("POST", "/access-key", {"role": "viewer"})

        status, answer = client("GET", "/access-key")

        assert status == 200
        assert answer["items"][0]["keyId"] == made["keyId"]
        assert {one["keyId"] for one in answer["items"]} == {made["keyId"], "admin", "operator", "viewer"}
        assert all("token" not in one and "secretHash" not in one for one in answer["items"])

    def test_the_list_of_keys_has_pages(self, client: Client) -> None:
        _, first = client("GET", "/access-key?limit=2")
        _, second = client("GET", f"/access-key?limit=2&cursor={first['nextCursor']}")

        assert len(first["items"] + second["items"]) == 3
        assert "nextCursor" not in second

    def test_a_removed_key_is_invalid(self, client: Client) -> None:
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


class TestWebhooks:
    """An account has one webhook. Its secret is shown once, when it is made."""

    HOOK: ClassVar[dict[str, Any]] = {"url": "https://hooks.example.com/it?token=5"}

    def test_a_new_webhook_shows_its_secret_once(self, client: Client) -> None:
        status, made = client("PUT", "/webhook", {**self.HOOK, "kinds": ["event.failed"]})
        _, shown = client("GET", "/webhook")

        assert status == 200
        assert made.pop("secret").startswith("whsec_")
        assert made == shown
        assert (shown["url"], shown["kinds"]) == (self.HOOK["url"], ["event.failed"])
        assert shown["updatedBy"] == "admin"

    def test_a_webhook_that_is_set_again_keeps_its_secret(self, client: Client) -> None:
        client("PUT", "/webhook", self.HOOK)
        before = client.ports.webhooks.find_with_secret(AccountId("a-1"))

        status, answer = client("PUT", "/webhook", {"url": "https://other.example.com/"})

        after = client.ports.webhooks.find_with_secret(AccountId("a-1"))
        assert before is not None
        assert after is not None
        assert (status, after[1]) == (200, before[1])
        assert "secret" not in answer
        assert "kinds" not in answer

    def test_a_removed_webhook_is_gone_and_removing_it_again_is_allowed(self, client: Client) -> None:
        client("PUT", "/webhook", self.HOOK)

        assert [client("DELETE", "/webhook") for _ in range(2)] == [(200, {})] * 2
        assert client("GET", "/webhook")[0] == 404
        assert [e.command for e in client.ports.webhooks.audit] == ["set-webhook", "remove-webhook"]

    @pytest.mark.parametrize(
        ("member", "value"),
        [
            ("url", "ftp://hooks.example.com/"),
            ("url", ""),
            ("secret", "short"),
            ("secret", "whsec_short"),
            ("kinds", []),
            ("kinds", ["event.unknown"]),
            ("retries", 3),
        ],
    )
    def test_an_invalid_member_is_refused_by_name(self, client: Client, member: str, value: Any) -> None:
        status, answer = client("PUT", "/webhook", {**self.HOOK, member: value})

        assert status == 400
        assert answer["problems"][0]["pointer"].startswith(f"/{member}")
        assert client("GET", "/webhook")[0] == 404


class TestAudit:
    """The trail has every command with its actor, time and reason."""

    def test_the_audit_has_every_command_latest_first(self, client: Client) -> None:
        sid = client.one()
        client.ports.clock.at += timedelta(minutes=1)
        client("POST", f"/execution-instance/{sid}/pause", more={"audit-comment": "holidays"})
        client.ports.clock.at += timedelta(minutes=1)
        client("DELETE", "/queue", key="operator.secret")

        status, answer = client("GET", "/audit", key="viewer.secret", secret=None)

        assert status == 200
        assert answer["items"] == [
            {
                "at": "2026-01-01T12:02:00.000Z",
                "by": "operator",
                "command": "pause-queue",
                "target": "queue",
                "from": "active",
                "to": "paused",
            },
            {
                "at": "2026-01-01T12:01:00.000Z",
                "by": "admin",
                "command": "pause",
                "target": sid,
                "from": "ACTIVE",
                "to": "PAUSED",
                "reason": "holidays",
            },
        ]

    def test_the_audit_of_one_event_has_pages(self, client: Client) -> None:
        sid = client.one()
        client("POST", f"/execution-instance/{sid}/pause")
        for seq in (1, 2, 3):
            client.ports.clock.at += timedelta(minutes=1)
            client("POST", f"/execution-event/{sid}-{seq}/cancel")

        _, first = client("GET", f"/audit?target={sid}&limit=3")
        _, rest = client("GET", f"/audit?target={sid}&limit=3&cursor={first['nextCursor']}")
        _, one = client("GET", f"/audit?target={sid}-2")

        commands = [entry["command"] for entry in first["items"] + rest["items"]]
        assert commands == ["cancel-event", "cancel-event", "cancel-event", "pause", "create"]
        assert [entry["event"] for entry in one["items"]] == [f"{sid}-2"]

    @pytest.mark.parametrize("limit", [1, 2, 3, 100])
    def test_the_audit_of_an_instance_ends_with_its_creation(self, client: Client, limit: int) -> None:
        sid = client.one()
        for name in ("pause", "resume"):
            client.ports.clock.at += timedelta(days=40)
            client("POST", f"/execution-instance/{sid}/{name}")

        entries = self.read_all(client, f"target={sid}&from=2026-01-01", limit)

        assert [entry["command"] for entry in entries] == ["resume", "pause", "create"]
        assert entries[2] == {
            "at": "2026-01-01T12:00:00.000Z",
            "by": "admin",
            "command": "create",
            "target": sid,
            "to": "ACTIVE",
        }

    @pytest.mark.parametrize("limit", [1, 2, 100])
    def test_the_audit_of_a_strategy_ends_with_its_creation(self, client: Client, limit: int) -> None:
        sid = client.saved()["sid"]
        client.ports.clock.at += timedelta(days=1)
        client("POST", f"/execution-strategy/{sid}/pause")

        entries = self.read_all(client, f"target={sid}", limit)

        assert [(entry["command"], entry["by"]) for entry in entries] == [
            ("pause-strategy", "admin"),
            ("create-strategy", "admin"),
        ]

    @pytest.mark.parametrize("query", ["from=2026-01-02", "from=2025-12-01&to=2026-01-01"])
    def test_a_creation_outside_of_the_range_is_left_out(self, client: Client, query: str) -> None:
        sid = client.one()
        client.ports.clock.at += timedelta(days=3)

        assert client("GET", f"/audit?target={sid}&{query}")[1] == {"items": []}

    def test_a_creation_is_not_shown_to_another_account(self, client: Client) -> None:
        sid = client.one()

        assert client("GET", f"/audit?target={sid}", key="stranger.secret")[1] == {"items": []}
        strategy = client("GET", "/execution-strategy")[1]["items"][0]["sid"]
        assert client("GET", f"/audit?target={strategy}", key="stranger.secret")[1] == {"items": []}

    @staticmethod
    def read_all(client: Client, query: str, limit: int) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = []
        cursor = ""
        for _ in range(20):
            status, answer = client("GET", f"/audit?{query}&limit={limit}{cursor}")
            assert status == 200
            assert len(answer["items"]) <= limit
            entries += answer["items"]
            if "nextCursor" not in answer:
                return entries
            cursor = f"&cursor={answer['nextCursor']}"
        raise AssertionError("the list does not end")

    def test_the_audit_has_nothing_of_other_accounts(self, client: Client) -> None:
        client("DELETE", "/queue")

        assert client("GET", "/audit", key="stranger.secret")[1] == {"items": []}

    @pytest.mark.parametrize(
        ("query", "pointer"),
        [
            ("from=soon", "/from"),
            ("to=2026-01-32", "/to"),
            ("from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "/from"),
            ("from=2020-01-01T00:00:00Z&to=2026-01-01T00:00:00Z", "/from"),
            ("from=0001-01-01T00:00:00Z&to=0001-01-02T00:00:00Z", "/from"),
            ("to=0001-01-01T00:00:00Z", "/from"),
            ("target=", "/target"),
            ("until=x", "/until"),
        ],
    )
    def test_invalid_parameters_are_refused(self, client: Client, query: str, pointer: str) -> None:
        status, answer = client("GET", f"/audit?{query}")

        assert (status, answer["problems"][0]["pointer"]) == (400, pointer)


class TestApp:
    """A1: the version and state of the service."""

    def test_the_app_has_version_stage_and_environment(self, client: Client) -> None:
        status, answer = client("GET", "/app", secret=None)

        assert status == 200
        assert answer["application"]["name"] == "ritornello"
        assert (answer["application"]["build"], answer["application"]["status"]) == ("test", "running")
        assert answer["configuration"] == {"environment": "dev"}
