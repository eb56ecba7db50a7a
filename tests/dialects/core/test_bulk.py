"""Bulk operations in the core dialect. Source: docs/contracts/core.md section 5; docs/design.md section 8."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from shared.domain.bulk.operation import MAX_IN_REQUEST
from shared.domain.ids import OperationSid
from tests.bulk_runs import run_bulk
from tests.dialects.core.client import GYM, WATER, Client
from tests.dialects.core.test_matrix import stored_items

Json = dict[str, Any]
CANCEL: Json = {"name": "cancel"}
PAUSE: Json = {"name": "pause"}
UNDER_A_KEY: Json = {"more": {"idempotency-key": "k-1"}}
OF_WATER: Json = {"strategyId": WATER["name"]}


def started(client: Client, count: int) -> list[str]:
    """Return the sids of instances of a new strategy."""
    client.saved()
    return [client.started()["executionInstance"]["sid"] for _ in range(count)]


def bulk(client: Client, selection: Json = OF_WATER, command: Json = CANCEL, **more: Any) -> tuple[int, Json]:
    """Begin an operation. ``more`` has members of the body, and arguments of the client."""
    body = {"selection": selection, "command": command}
    body |= {name: more.pop(name) for name in ("comment", "dryRun") if name in more}
    return client("POST", "/bulk-operation", body, **more)


def carry_through(client: Client, sid: str) -> Json:
    """Run an operation to its end, and return it."""
    run_bulk(client.ports, OperationSid(sid), time_left=lambda: timedelta(minutes=15))
    found: Json = client("GET", f"/bulk-operation/{sid}")[1]
    return found


def statuses(client: Client) -> list[str]:
    items = client("GET", "/execution-instance?limit=100")[1]["items"]
    return sorted({item["status"] for item in items})


class TestFewInstances:
    """If there are up to 25 instances, the answer is 200 with the result of each."""

    def test_the_answer_has_the_results(self, client: Client) -> None:
        one, two, three = started(client, 3)
        client("POST", f"/execution-instance/{two}/cancel")

        status, answer = bulk(client, {"ids": [one, two, three, "gone"]})

        assert (status, answer["status"]) == (200, "COMPLETED")
        assert answer["results"] == [
            {"sid": one, "outcome": "changed"},
            {"sid": two, "outcome": "already-there"},
            {"sid": three, "outcome": "changed"},
            {"sid": "gone", "outcome": "unknown", "why": "there is no such instance"},
        ]
        assert answer["counts"] == {
            "matched": 4,
            "done": 4,
            "changed": 2,
            "alreadyThere": 1,
            "refused": 0,
            "unknown": 1,
            "failed": 0,
        }
        assert answer["itemProblems"] == answer["results"][3:]
        assert statuses(client) == ["CANCELED"]

    def test_ids_of_another_account_are_unknown(self, client: Client) -> None:
        one, two = started(client, 2)

        status, answer = bulk(client, {"ids": [one, two]}, key="stranger.secret")

        assert (status, [result["outcome"] for result in answer["results"]]) == (200, ["unknown"] * 2)
        assert statuses(client) == ["ACTIVE"]

    def test_the_answer_repeats_selection_and_command(self, client: Client) -> None:
        sids = started(client, 2)
        selection = {"statuses": ["ACTIVE", "ACTIVE"], "createdTo": "2026-01-01T12:00:00Z", "version": 1}

        _, answer = bulk(
            client,
            OF_WATER | selection,
            {"name": "cancel-tasks", "tasks": ["a", "send-refill", "a"]},
            comment="stock is out",
            key="operator.secret",
        )

        strategy = client.ports.instances.instances[sids[0]].strategy_sid  # type: ignore[index]
        assert answer["selection"] == {
            "strategySid": strategy,
            "version": 1,
            "statuses": ["ACTIVE"],
            "createdTo": "2026-01-01T12:00:00.000Z",
        }
        assert answer["command"] == {"name": "cancel-tasks", "tasks": ["a", "send-refill"]}
        assert (answer["comment"], answer["createdBy"]) == ("stock is out", "operator")
        assert answer["counts"]["changed"] == 2

    def test_a_resume_decides_about_missed_dates(self, client: Client) -> None:
        started(client, 2)
        bulk(client, command=PAUSE)
        client.ports.clock.at += timedelta(days=200)

        _, answer = bulk(client, command={"name": "resume", "onResume": "skip"})

        assert answer["command"] == {"name": "resume", "onResume": "skip"}
        assert (answer["counts"]["changed"], statuses(client)) == (2, ["ACTIVE"])

    def test_instances_can_be_moved_to_another_version(self, client: Client) -> None:
        sids = started(client, 2)
        shop = client.ports.instances.instances[sids[0]].strategy_sid  # type: ignore[index]
        client("PATCH", f"/execution-strategy/{shop}", {"settings": WATER["settings"]})

        _, answer = bulk(client, command={"name": "migrate", "version": 2})

        assert answer["command"] == {"name": "migrate", "version": 2}
        assert answer["counts"]["changed"] == 2
        assert client.ports.instances.instances[sids[1]].strategy_version == 2  # type: ignore[index]

    def test_all_instances_of_a_folder_are_commanded(self, client: Client) -> None:
        client.saved({**WATER, "folder": "/eu/de"})
        client.started()

        _, answer = bulk(client, {"folder": "/eu"})

        assert answer["selection"] == {"folder": "/eu", "statuses": ["ACTIVE", "PAUSED"]}
        assert (answer["counts"]["changed"], statuses(client)) == (1, ["CANCELED"])


class TestManyInstances:
    """If there are more, the answer is 202, and the operation can be read, paused, resumed and canceled."""

    def test_an_operation_continues_in_the_background(self, client: Client) -> None:
        started(client, MAX_IN_REQUEST + 1)

        status, answer = bulk(client)
        assert (status, answer["status"], answer["counts"]["done"], answer["cursor"]) == (
            202,
            "ACTIVE",
            0,
            "",
        )

        after = carry_through(client, answer["sid"])
        assert (after["status"], after["counts"]["changed"]) == ("COMPLETED", MAX_IN_REQUEST + 1)
        assert after["cursor"].endswith(list(client.ports.instances.instances)[-1])
        assert "results" not in after

    def test_an_operation_can_be_paused_resumed_and_canceled(self, client: Client) -> None:
        started(client, MAX_IN_REQUEST + 1)
        path = f"/bulk-operation/{bulk(client)[1]['sid']}"

        decoded = [
            client("POST", f"{path}/{order}") for order in ("pause", "pause", "resume", "cancel", "cancel")
        ]
        refused = client("POST", f"{path}/resume")

        assert [(status, answer["status"]) for status, answer in decoded] == [
            (200, "PAUSED"),
            (200, "PAUSED"),
            (200, "ACTIVE"),
            (200, "CANCELED"),
            (200, "CANCELED"),
        ]
        assert (refused[0], refused[1]["message"]) == (409, ["the operation is CANCELED"])
        assert statuses(client) == ["ACTIVE"]

    def test_problems_beyond_a_hundred_are_counted(self, client: Client) -> None:
        client.saved()
        _, answer = bulk(client, {"ids": [f"gone-{number}" for number in range(130)]})

        after = carry_through(client, answer["sid"])

        assert (len(after["itemProblems"]), after["itemProblemsLeftOut"]) == (100, 30)
        assert (after["cursor"], after["selection"]) == ("130", {"numIds": 130})

    def test_the_cursor_of_a_folder_has_name_date_and_sid(self, client: Client) -> None:
        client.saved({**WATER, "folder": "/eu"})
        for _ in range(MAX_IN_REQUEST + 1):
            client.started()
        _, answer = bulk(client, {"folder": "/"})

        assert carry_through(client, answer["sid"])["cursor"].startswith("/eu#water-filter-refill")


class TestTheList:
    """The list has the account's operations, youngest first."""

    def test_the_list_of_operations_has_pages(self, client: Client) -> None:
        client.saved()
        made = []
        for _ in range(3):
            client.ports.clock.at += timedelta(seconds=1)
            made.append(bulk(client)[1]["sid"])

        _, first = client("GET", "/bulk-operation?limit=2")
        _, rest = client("GET", f"/bulk-operation?limit=2&cursor={first['nextCursor']}")

        assert [item["sid"] for item in first["items"] + rest["items"]] == made[::-1]
        assert "nextCursor" not in rest
        assert client("GET", "/bulk-operation", key="stranger.secret")[1] == {"items": []}


class TestPermissions:
    """A strategy needs its secret, ids need the secrets of all their strategies, a folder an administrator."""

    def test_a_strategy_needs_its_secret_even_from_administrators(self, client: Client) -> None:
        started(client, 1)

        assert bulk(client, secret=None)[0] == 403
        assert bulk(client, secret=GYM["secret"])[0] == 403
        assert bulk(client, {"strategyId": "nobody-has-it"})[0] == 404

    def test_an_operator_may_name_instances_whose_secret_they_know(self, client: Client) -> None:
        sids = started(client, 2)
        as_operator: Json = {"key": "operator.secret"}

        assert bulk(client, {"ids": sids}, PAUSE, **as_operator)[0] == 200
        status, answer = bulk(client, {"ids": [*sids, "gone"]}, secret=GYM["secret"], **as_operator)

        assert status == 403
        assert answer["message"] == [f"the header Strategy-Secret does not match the strategy of {sids[0]}"]
        assert statuses(client) == ["PAUSED"]

    def test_an_operator_cannot_name_instances_with_two_secrets(self, client: Client) -> None:
        (one,) = started(client, 1)
        client.saved(GYM)
        other = client.joined()["executionInstance"]["sid"]

        assert bulk(client, {"ids": [one, other]}, key="operator.secret")[0] == 403
        assert bulk(client, {"ids": [one, other]}, secret=None)[0] == 200

    def test_ids_of_another_account_need_no_secret_and_change_nothing(self, client: Client) -> None:
        sids = started(client, 1)
        key = client.ports.access.all_keys["operator"]
        foreign = replace(client.ports.access.all_keys["stranger"], role=key.role)
        client.ports.access.all_keys["stranger"] = foreign

        status, answer = bulk(client, {"ids": sids}, key="stranger.secret", secret=None)

        assert (status, answer["results"][0]["outcome"]) == (200, "unknown")

    def test_a_folder_needs_an_administrator(self, client: Client) -> None:
        started(client, 1)

        assert bulk(client, {"folder": "/"}, key="operator.secret")[0] == 403
        assert statuses(client) == ["ACTIVE"]
        assert bulk(client, {"folder": "/"}, secret=None)[0] == 200

    def test_a_release_job_is_not_a_bulk_operation(self, client: Client) -> None:
        client("DELETE", "/queue")
        client("POST", "/queue")

        assert client("GET", "/bulk-operation/drain-queue-a-1-0")[0] == 404

    @pytest.mark.parametrize("order", ["pause", "resume", "cancel"])
    def test_an_operation_of_another_account_is_not_found(self, client: Client, order: str) -> None:
        started(client, MAX_IN_REQUEST + 1)
        sid = bulk(client)[1]["sid"]

        assert client("POST", f"/bulk-operation/{sid}/{order}", key="stranger.secret")[0] == 404
        assert client("GET", f"/bulk-operation/{sid}", key="stranger.secret")[0] == 404
        assert client("GET", f"/bulk-operation/{sid}", secret=None, key="viewer.secret")[0] == 200


class TestComments:
    """The comment of the body or the header is in every audit entry, with the operation."""

    @pytest.mark.parametrize(
        ("more", "reason"),
        [
            ({}, None),
            ({"more": {"audit-comment": "by header"}}, "by header"),
            ({"comment": "by body"}, "by body"),
            ({"comment": "by body", "more": {"audit-comment": "by header"}}, "by body"),
        ],
    )
    def test_the_comment_is_in_the_operation_and_its_audit_entries(
        self, client: Client, more: Json, reason: str | None
    ) -> None:
        sids = started(client, 2)
        sid = bulk(client, **more)[1]["sid"]

        entries = client("GET", f"/audit?target={sid}")[1]["items"]

        assert sorted(entry["target"] for entry in entries) == sorted([*sids, sid])
        assert {entry.get("reason") for entry in entries} == {reason}
        assert {entry.get("operation", sid) for entry in entries} == {sid}


class TestRepeating:
    """If a request is sent again with its Idempotency-Key, there is still one operation."""

    def test_a_repeated_request_returns_the_operation_as_it_is_now(self, client: Client) -> None:
        started(client, 2)
        first = bulk(client, **UNDER_A_KEY)
        client.started()

        assert bulk(client, **UNDER_A_KEY) == first
        assert bulk(client, command=PAUSE, **UNDER_A_KEY)[0] == 422
        assert len(client.ports.operations.bulks) == 1

    def test_a_repeated_request_for_a_running_operation_is_202(self, client: Client) -> None:
        started(client, MAX_IN_REQUEST + 1)
        first = bulk(client, **UNDER_A_KEY)

        assert bulk(client, **UNDER_A_KEY) == first
        assert first[0] == 202


class TestDryRun:
    """A dry run returns the number of instances and a sample of outcomes. It stores nothing, not even its key."""

    def test_a_dry_run_stores_nothing(self, client: Client) -> None:
        sids = started(client, 30)
        before = stored_items(client)

        status, answer = bulk(client, dryRun=True, **UNDER_A_KEY)

        assert (status, answer["count"], answer["countIsExact"]) == (200, 30, True)
        assert len(answer["sample"]) == MAX_IN_REQUEST
        assert answer["sample"][0]["outcome"] == "changed"
        assert {one["sid"] for one in answer["sample"]} <= set(sids)
        assert stored_items(client) == before


class TestBadInput:
    """Every problem is reported at once with its pointer, and nothing is stored."""

    @pytest.mark.parametrize(
        ("body", "problems"),
        [
            ({}, {("/selection", "required"), ("/command", "required")}),
            ({"selection": {}, "command": {}}, {("/selection", "required"), ("/command", "enum")}),
            ({"selection": [], "command": "pause"}, {("/selection", "required"), ("/command", "enum")}),
            (
                {"selection": {"ids": []}, "command": {"name": "explode"}},
                {("/selection/ids", "too-short"), ("/command", "enum")},
            ),
            (
                {"selection": {"ids": ["a b", 7]}, "command": {"name": "pause", "kill": True}},
                {
                    ("/selection/ids/0", "pattern"),
                    ("/selection/ids/1", "type"),
                    ("/command/kill", "unknown-field"),
                },
            ),
            (
                {"selection": {"ids": ["a"] * 1001}, "command": {"name": "cancel-tasks", "tasks": []}},
                {("/selection/ids", "too-long"), ("/command/tasks", "too-short")},
            ),
            (
                {"selection": {"ids": ["a"], "folder": "/", "statuses": ["ACTIVE"]}, "command": PAUSE},
                {("/selection/folder", "unknown-field"), ("/selection/statuses", "unknown-field")},
            ),
            (
                {"selection": {"folder": "de", "version": 1, "statuses": ["GONE"]}, "command": PAUSE},
                {
                    ("/selection/folder", "pattern"),
                    ("/selection/version", "unknown-field"),
                    ("/selection/statuses/0", "enum"),
                },
            ),
            (
                {
                    "selection": {"strategyId": "", "version": 0, "createdFrom": "soon", "statuses": []},
                    "command": {"name": "resume", "onResume": "never"},
                    "comment": "x" * 1001,
                    "dryRun": "yes",
                    "colour": "red",
                },
                {
                    ("/selection/strategyId", "too-short"),
                    ("/selection/version", "range"),
                    ("/selection/createdFrom", "date"),
                    ("/selection/statuses", "too-short"),
                    ("/command/onResume", "enum"),
                    ("/comment", "too-long"),
                    ("/dryRun", "type"),
                    ("/colour", "unknown-field"),
                },
            ),
            (
                {
                    "selection": {
                        "folder": "/",
                        "createdFrom": "2026-01-02T00:00:00Z",
                        "createdTo": "2026-01-01T00:00:00Z",
                    },
                    "command": PAUSE,
                },
                {("/selection/createdTo", "range")},
            ),
        ],
        ids=lambda value: str(value)[:50] if isinstance(value, dict) else "all",
    )
    def test_a_problem_is_reported_with_its_pointer(
        self, client: Client, body: Json, problems: set[tuple[str, str]]
    ) -> None:
        started(client, 1)
        before = stored_items(client)

        status, answer = client("POST", "/bulk-operation", body)

        assert status == 400
        assert {(problem["pointer"], problem["rule"]) for problem in answer["problems"]} == problems
        assert stored_items(client) == before

    def test_the_strategys_secret_is_checked_before_the_body(self, client: Client) -> None:
        started(client, 1)
        body = {"selection": {**OF_WATER, "version": "one"}, "command": PAUSE}

        assert client("POST", "/bulk-operation", body, secret=GYM["secret"])[0] == 403
        assert client("POST", "/bulk-operation", body, key="stranger.secret")[0] == 404
        assert client("POST", "/bulk-operation", body)[0] == 400

    @pytest.mark.parametrize("header", ["audit-comment", "idempotency-key"])
    def test_headers_that_are_too_long_are_refused(self, client: Client, header: str) -> None:
        started(client, 1)

        assert bulk(client, more={header: "x" * 1001})[0] == 400
        assert statuses(client) == ["ACTIVE"]
