"""Strategies in the core dialect. Source: docs/contracts/core.md, S1 to S3 and section 5."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from dev.memory.stores import MemoryInstances
from shared.application.ports import PageKey
from shared.domain.ids import StrategySid
from shared.domain.instance.model import InstanceStatus
from shared.domain.instance.phase import Phase
from tests.dialects.core.client import GYM, WATER, Client

NEW_SECRET = "another pass-phrase"
RETRY = {"times": 3, "retryAfter": {"unit": "hours", "amount": 1}}
NO_RETRY = {
    "pointer": "/settings/tasks/0",
    "rule": "no-retry",
    "message": (
        "one failed call of step 'ship' cancels the instance for good; add a retryConfig, for example "
        '{"times": 3, "retryAfter": {"unit": "hours", "amount": 1}}, or pauseBeforeCancel'
    ),
}


class Lagging(MemoryInstances):
    """An index that still lists instances under their former statuses."""

    def of_strategy(
        self,
        strategy: StrategySid,
        _: Sequence[InstanceStatus | Phase],
        *,
        before: PageKey | None,
        limit: int,
        since: datetime | None = None,
    ) -> list[PageKey]:
        return MemoryInstances.of_strategy(
            self, strategy, list(InstanceStatus), before=before, limit=limit, since=since
        )


def shorter(strategy: dict[str, Any]) -> dict[str, Any]:
    """Return the settings with another description, which makes a new version."""
    settings: dict[str, Any] = json.loads(json.dumps(strategy["settings"]))
    settings["tasks"][0]["description"] = "changed"
    return settings


class TestCreating:
    """S1: a new strategy is checked as a whole, and stored once."""

    def test_the_answer_has_neither_settings_nor_secret(self, client: Client) -> None:
        assert client.saved() == {
            "sid": "i0001",
            "name": "water-filter-refill",
            "description": "Ships one filter cartridge a month",
            "version": 1,
            "folder": "/",
            "status": "active",
            "createdAt": "2026-01-01T12:00:00.000Z",
            "updatedAt": "2026-01-01T12:00:00.000Z",
            "warnings": [NO_RETRY],
        }

    def test_every_save_answers_its_warnings(self, client: Client) -> None:
        sid = client.saved()["sid"]
        task = WATER["settings"]["tasks"][0]
        calm = {**WATER["settings"], "tasks": [{**task, "retryConfig": RETRY}]}

        _, once = client("PATCH", f"/execution-strategy/{sid}", {"settings": calm})
        _, again = client("PATCH", f"/execution-strategy/{sid}", {"settings": WATER["settings"]})

        assert (once["warnings"], again["warnings"]) == ([], [NO_RETRY])

    def test_a_repeated_creation_answers_its_warnings_again(self, client: Client) -> None:
        once = {"idempotency-key": "k-1"}
        answers = [client("POST", "/execution-strategy", WATER, more=once) for _ in range(2)]

        assert [(status, answer["warnings"]) for status, answer in answers] == [
            (201, [NO_RETRY]),
            (200, [NO_RETRY]),
        ]

    def test_a_second_strategy_with_the_name_is_refused_in_any_folder(self, client: Client) -> None:
        client.saved()

        status, answer = client("POST", "/execution-strategy", {**WATER, "folder": "/other"})

        assert (status, answer["message"]) == (409, ["a strategy with this name already exists"])

    def test_creating_a_strategy_needs_no_secret_header(self, client: Client) -> None:
        assert client("POST", "/execution-strategy", WATER, secret=None)[0] == 201

    def test_a_repeated_request_creates_no_strategy(self, client: Client) -> None:
        key = {"idempotency-key": "k-1"}
        first = client("POST", "/execution-strategy", WATER, more=key)
        again = client("POST", "/execution-strategy", dict(reversed(WATER.items())), more=key)

        assert (first[0], again[0]) == (201, 200)
        assert first[1] == again[1]
        assert len(client.ports.strategies.heads) == 1

    def test_an_idempotency_key_with_another_body_is_refused(self, client: Client) -> None:
        key = {"idempotency-key": "k-1"}
        client("POST", "/execution-strategy", WATER, more=key)

        status, answer = client("POST", "/execution-strategy", {**WATER, "name": "other"}, more=key)

        assert (status, answer["message"]) == (422, ["the Idempotency-Key was used with another body"])
        assert len(client.ports.strategies.heads) == 1

    @pytest.mark.parametrize("key", ["", "k" * 256])
    def test_an_invalid_idempotency_key_is_refused(self, client: Client, key: str) -> None:
        status, answer = client("POST", "/execution-strategy", WATER, more={"idempotency-key": key})

        assert (status, answer["problems"][0]["rule"]) == (400, "header")


class TestReading:
    """S2 and the list. Settings are answered if the caller knows the secret; no answer has the secret itself."""

    def test_a_strategy_has_its_settings_as_they_were_sent(self, client: Client) -> None:
        sid = client.saved()["sid"]

        status, answer = client("GET", f"/execution-strategy/{sid}", key="viewer.secret")

        assert status == 200
        assert answer["settings"] == WATER["settings"]
        assert WATER["secret"] not in json.dumps(answer)

    def test_a_strategy_is_read_by_its_sid_only(self, client: Client) -> None:
        client.saved()

        assert client("GET", "/execution-strategy/water-filter-refill")[0] == 404

    def test_the_list_has_the_accounts_strategies_youngest_first(self, client: Client) -> None:
        client.saved()
        client.ports.clock.at += timedelta(seconds=1)
        client.saved(GYM)
        client("POST", "/execution-strategy", WATER, key="stranger.secret")

        status, answer = client("GET", "/execution-strategy", secret=None)

        assert status == 200
        assert [one["name"] for one in answer["items"]] == ["gym-membership", "water-filter-refill"]
        assert "nextCursor" not in answer

    def test_a_page_begins_at_its_cursor_despite_new_strategies(self, client: Client) -> None:
        for number in range(5):
            client.saved({**WATER, "name": f"n-{number}"})
            client.ports.clock.at += timedelta(seconds=1)
        _, first = client("GET", "/execution-strategy?limit=2")
        client.saved({**WATER, "name": "youngest"})

        _, second = client("GET", f"/execution-strategy?limit=2&cursor={first['nextCursor']}")
        _, third = client("GET", f"/execution-strategy?limit=2&cursor={second['nextCursor']}")

        pages = [[one["name"] for one in page["items"]] for page in (first, second, third)]
        assert pages == [["n-4", "n-3"], ["n-2", "n-1"], ["n-0"]]
        assert "nextCursor" not in third


class TestCursors:
    """A cursor is valid for the list it came from only."""

    def cursor(self, client: Client) -> str:
        for name in ("a", "b"):
            client.saved({**WATER, "name": name})
        return str(client("GET", "/execution-strategy?limit=1")[1]["nextCursor"])

    @pytest.mark.parametrize("cursor", ["x", "%25%25", "AAAA", "é", "a" * 512])
    def test_an_invented_cursor_is_refused(self, client: Client, cursor: str) -> None:
        status, answer = client("GET", f"/execution-strategy?cursor={cursor}")

        assert (status, answer["problems"][0]["pointer"]) == (400, "/cursor")

    def test_a_changed_cursor_is_refused(self, client: Client) -> None:
        cursor = self.cursor(client)
        changed = cursor[:-8] + ("A" if cursor[-8] != "A" else "B") + cursor[-7:]

        assert client("GET", f"/execution-strategy?cursor={changed}")[0] == 400

    def test_a_cursor_of_another_list_is_refused(self, client: Client) -> None:
        cursor = self.cursor(client)

        assert client("GET", f"/access-key?cursor={cursor}")[0] == 400
        assert client("GET", f"/execution-instance?cursor={cursor}")[0] == 400
        assert client("GET", f"/execution-strategy?cursor={cursor}", key="stranger.secret")[0] == 400

    @pytest.mark.parametrize("limit", ["0", "101", "-1", "x", "1.5"])
    def test_a_limit_is_from_1_to_100(self, client: Client, limit: str) -> None:
        status, answer = client("GET", f"/execution-strategy?limit={limit}")

        assert (status, answer["problems"][0]["pointer"]) == (400, "/limit")

    def test_an_unknown_parameter_is_refused(self, client: Client) -> None:
        status, answer = client("GET", "/execution-strategy?page=2")

        assert (status, answer["problems"][0]["rule"]) == (400, "unknown-field")


class TestChanging:
    """S3: the settings are replaced whole in a new version; older versions stay."""

    def test_the_version_rises_and_the_answer_has_no_settings(self, client: Client) -> None:
        sid = client.saved()["sid"]
        client.ports.clock.at += timedelta(hours=1)

        status, answer = client(
            "PATCH", f"/execution-strategy/{sid}", {"settings": shorter(WATER), "description": "d"}
        )

        assert status == 200
        assert (answer["version"], answer["description"]) == (2, "d")
        assert answer["updatedAt"] == "2026-01-01T13:00:00.000Z"
        assert "settings" not in answer
        assert client("GET", f"/execution-strategy/{sid}")[1]["settings"] == shorter(WATER)

    def test_a_new_version_needs_settings(self, client: Client) -> None:
        sid = client.saved()["sid"]

        status, answer = client("PATCH", f"/execution-strategy/{sid}", {"description": "d"})

        assert (status, answer["problems"][0]["pointer"]) == (400, "/settings")

    def test_wrong_settings_store_nothing(self, client: Client) -> None:
        sid = client.saved()["sid"]

        status, answer = client("PATCH", f"/execution-strategy/{sid}", {"settings": {}, "name": "n"})

        assert status == 400
        assert {p["pointer"] for p in answer["problems"]} >= {
            "/name",
            "/settings/schedule",
            "/settings/tasks",
        }
        assert client.ports.strategies.heads[sid].version == 1

    def test_a_new_secret_replaces_the_old_one_at_once(self, client: Client) -> None:
        sid = client.saved()["sid"]

        client("PATCH", f"/execution-strategy/{sid}", {"settings": WATER["settings"], "secret": NEW_SECRET})

        assert client("GET", f"/execution-strategy/{sid}")[0] == 403
        assert client("GET", f"/execution-strategy/{sid}", secret=NEW_SECRET)[0] == 200

    def test_a_change_of_a_strategy_is_audited(self, client: Client) -> None:
        sid = client.saved()["sid"]

        client(
            "PATCH",
            f"/execution-strategy/{sid}",
            {"settings": WATER["settings"]},
            more={"audit-comment": "prices of 2027"},
        )

        (entry,) = client.ports.strategies.audit
        assert (entry.command, entry.target, entry.by) == ("update-strategy", sid, "admin")
        assert (entry.from_state, entry.to_state) == ("version 1", "version 2")
        assert entry.reason == "prices of 2027"

    def test_running_instances_stay_on_their_version(self, client: Client) -> None:
        sid = client.saved()["sid"]
        one = client.started()["executionInstance"]["sid"]

        client("PATCH", f"/execution-strategy/{sid}", {"settings": shorter(WATER)})

        assert client("GET", f"/execution-instance/{one}")[1]["strategyVersion"] == 1
        assert client.started()["executionInstance"]["strategyVersion"] == 2


class TestVersions:
    """Every version can be read."""

    def test_versions_are_sorted_latest_first(self, client: Client) -> None:
        sid = client.saved()["sid"]
        for number in (2, 3):
            body = {"settings": WATER["settings"], "description": f"v{number}"}
            client("PATCH", f"/execution-strategy/{sid}", body)

        _, first = client("GET", f"/execution-strategy/{sid}/versions?limit=2")
        _, rest = client("GET", f"/execution-strategy/{sid}/versions?limit=2&cursor={first['nextCursor']}")

        assert [(v["version"], v["description"]) for v in first["items"]] == [(3, "v3"), (2, "v2")]
        assert [v["version"] for v in rest["items"]] == [1]
        assert first["items"][0]["createdBy"] == "admin"

    def test_an_old_version_keeps_its_settings(self, client: Client) -> None:
        sid = client.saved()["sid"]
        client("PATCH", f"/execution-strategy/{sid}", {"settings": shorter(WATER), "description": "new"})

        status, answer = client("GET", f"/execution-strategy/{sid}/versions/1")

        assert status == 200
        assert (answer["version"], answer["settings"]) == (1, WATER["settings"])
        assert answer["description"] == WATER["description"]

    @pytest.mark.parametrize("version", ["2", "0", "-1", "x", "1" * 30, "%D9%A1"])
    def test_an_unknown_version_is_not_found(self, client: Client, version: str) -> None:
        sid = client.saved()["sid"]

        assert client("GET", f"/execution-strategy/{sid}/versions/{version}")[0] == 404


class TestDeleting:
    """A strategy cannot be deleted if it has unfinished instances. Finished instances can still be read."""

    def test_a_strategy_with_unfinished_instances_cannot_be_deleted(self, client: Client) -> None:
        sid = client.saved()["sid"]
        one = client.started()["executionInstance"]["sid"]
        client("POST", f"/execution-instance/{one}/pause")

        status, answer = client("DELETE", f"/execution-strategy/{sid}")

        assert (status, answer["message"]) == (409, ["the strategy has unfinished instances"])

    def test_a_deleted_strategy_frees_its_name_and_keeps_its_instances(self, client: Client) -> None:
        sid = client.saved()["sid"]
        one = client.started()["executionInstance"]["sid"]
        client("POST", f"/execution-instance/{one}/cancel")

        assert client("DELETE", f"/execution-strategy/{sid}")[0] == 200

        assert client("GET", f"/execution-strategy/{sid}")[0] == 404
        assert client("GET", "/execution-strategy")[1] == {"items": []}
        assert client("POST", "/execution-instance", {"strategyId": sid})[0] == 404
        assert client("POST", "/execution-instance", {"strategyId": WATER["name"]})[0] == 404
        assert client("GET", f"/execution-instance/{one}")[1]["status"] == "CANCELED"
        assert client("POST", "/execution-strategy", WATER)[0] == 201
        assert [entry.command for entry in client.ports.strategies.audit] == ["delete-strategy"]

    def test_a_stale_index_does_not_prevent_the_deletion(self, client: Client) -> None:
        sid = client.saved()["sid"]
        one = client.started()["executionInstance"]["sid"]
        client("POST", f"/execution-instance/{one}/cancel")
        client.ports.instances = Lagging(instances=client.ports.instances.instances)

        assert client("DELETE", f"/execution-strategy/{sid}")[0] == 200

    def test_deleting_again_changes_nothing(self, client: Client) -> None:
        sid = client.saved()["sid"]
        first = client("DELETE", f"/execution-strategy/{sid}")

        assert client("DELETE", f"/execution-strategy/{sid}") == first
        assert len(client.ports.strategies.audit) == 1


class TestValidating:
    """All problems are reported at once, and nothing is stored."""

    def test_a_valid_definition_has_no_problems(self, client: Client) -> None:
        body = {"settings": GYM["settings"], "name": "gym"}

        status, answer = client("POST", "/execution-strategy/validate", body, key="viewer.secret")

        assert (status, answer) == (200, {"valid": True, "problems": [], "warnings": []})
        assert client.ports.strategies.heads == {}

    def test_the_warnings_about_a_valid_definition_are_answered(self, client: Client) -> None:
        body = {"settings": WATER["settings"], "name": "water"}

        assert client("POST", "/execution-strategy/validate", body) == (
            200,
            {"valid": True, "problems": [], "warnings": [NO_RETRY]},
        )

    def test_problems_of_body_and_settings_are_reported_together(self, client: Client) -> None:
        settings = {**WATER["settings"], "config": {"timezone": "Europe/Lisboa"}}

        status, answer = client(
            "POST", "/execution-strategy/validate", {"settings": settings, "name": "a b", "extra": 1}
        )

        assert (status, answer["valid"]) == (200, False)
        assert {p["pointer"] for p in answer["problems"]} == {"/name", "/extra", "/settings/config/timezone"}

    def test_a_definition_without_settings_is_refused(self, client: Client) -> None:
        _, answer = client("POST", "/execution-strategy/validate", {})

        assert [(p["pointer"], p["rule"]) for p in answer["problems"]] == [("/settings", "required")]
