"""Instances in the core dialect. Source: docs/contracts/core.md, I1 to I6 and section 5."""

import base64
import copy
from datetime import timedelta

import pytest

from shared.domain.ids import InstanceSid
from tests.dialects.core.client import GYM, MEMBER, WATER, Client
from tests.domain.strategy.definitions import minimal

OF_GYM = {"secret": GYM["secret"]}


class TestStarting:
    """I1: an instance is started with its first events."""

    def test_a_new_instance_comes_with_its_events(self, client: Client) -> None:
        client.saved()

        answer = client.started(startDate="2026-01-31T10:00:00Z", description="d")

        instance = answer["executionInstance"]
        assert (instance["cycle"], instance["executionDay"], instance["createdBy"]) == (1, 31, "admin")
        assert instance["nextEvent"] == {"sid": "i0002-1", "date": "2026-01-31T10:00:00.000Z"}
        assert answer["createdEvents"]["onCreateEvents"] == []
        assert answer["createdEvents"]["mainEvent"]["status"] == "PENDING"
        assert answer["createdEvents"]["mainEvent"]["main"] is True
        assert answer["createdEvents"]["mainEvent"]["taskStatus"] == {"lastStep": None, "taskResults": []}

    def test_a_new_instance_comes_with_on_create_and_leading_up_events(self, client: Client) -> None:
        client.saved(GYM)

        events = client.joined(startDate="2026-02-24T18:45:10Z")["createdEvents"]

        assert [(e["task"], e["date"]) for e in events["onCreateEvents"]] == [
            ("send-welcome", "2026-02-24T18:50:10.000Z")
        ]
        assert [(e["task"], e["date"]) for e in events["leadingUpEvents"]] == [
            ("send-reminder", "2026-02-28T08:00:00.000Z")
        ]
        assert events["mainEvent"]["date"] == "2026-03-03T08:00:00.000Z"

    @pytest.mark.parametrize("by", ["name", "sid"])
    def test_the_strategy_is_named_by_name_or_sid(self, client: Client, by: str) -> None:
        saved = client.saved()

        assert client.started(strategyId=saved[by])["executionInstance"]["strategyId"] == saved[by]

    def test_a_strategy_in_a_folder_is_found_by_its_name(self, client: Client) -> None:
        client.saved({**WATER, "folder": "/de/shop"})

        assert client.started()["executionInstance"]["status"] == "ACTIVE"

    def test_an_unknown_strategy_is_not_found(self, client: Client) -> None:
        assert client("POST", "/execution-instance", {"strategyId": "nothing"})[0] == 404

    def test_a_repeated_request_starts_no_instance(self, client: Client) -> None:
        client.saved()
        # Its phase changes when its date comes.
        body = {
            "strategyId": WATER["name"],
            "attributes": {"customerId": "c-1"},
            "startDate": "2030-01-01T12:00:00Z",
        }
        key = {"idempotency-key": "order-17"}
        first = client("POST", "/execution-instance", body, more=key)
        client.ports.clock.at += timedelta(seconds=9)
        again = client("POST", "/execution-instance", body, more=key)

        assert (first[0], again[0]) == (201, 200)
        assert first[1] == again[1]
        assert len(client.ports.instances.instances) == 1

    def test_a_repeated_request_returns_the_instance_as_it_is_now(self, client: Client) -> None:
        client.saved()
        body = {"strategyId": WATER["name"], "attributes": {"customerId": "c-1"}}
        key = {"idempotency-key": "order-17"}
        sid = client("POST", "/execution-instance", body, more=key)[1]["executionInstance"]["sid"]
        client.run(sid)

        status, answer = client("POST", "/execution-instance", body, more=key)

        assert (status, answer["executionInstance"]["cycle"]) == (200, 2)

    def test_an_idempotency_key_with_another_body_is_refused(self, client: Client) -> None:
        client.saved()
        key = {"idempotency-key": "order-17"}
        body = {"strategyId": WATER["name"], "attributes": {"customerId": "c-1"}}
        client("POST", "/execution-instance", body, more=key)

        status, _ = client("POST", "/execution-instance", {**body, "description": "d"}, more=key)

        assert status == 422
        assert len(client.ports.instances.instances) == 1

    def test_the_same_key_of_two_accounts_are_two_keys(self, client: Client) -> None:
        client.saved()
        client("POST", "/execution-strategy", WATER, key="stranger.secret")
        body = {"strategyId": WATER["name"], "attributes": {"customerId": "c-1"}}
        key = {"idempotency-key": "order-17"}

        found = [
            client("POST", "/execution-instance", body, more=key, key=f"{who}.secret")
            for who in ("admin", "stranger")
        ]

        assert [status for status, _ in found] == [201, 201]


class TestReading:
    """I2 and the list of instances."""

    def test_an_instance_is_read_without_a_wrapper(self, client: Client) -> None:
        sid = client.one()

        status, answer = client("GET", f"/execution-instance/{sid}", key="viewer.secret")

        assert status == 200
        assert answer["sid"] == sid
        assert answer["attributes"] == {"customerId": "c-1"}
        assert answer["draining"] is False

    @pytest.mark.parametrize("sid", ["nothing", "a" * 64, "a" * 300, "i0002%00", "%20", "é"])
    def test_an_unknown_instance_is_not_found(self, client: Client, sid: str) -> None:
        client.one()

        assert client("GET", f"/execution-instance/{sid}")[0] == 404

    def test_instances_of_a_strategy_are_sorted_youngest_first(self, client: Client) -> None:
        client.saved()
        client.saved(GYM)
        sids = []
        for _ in range(3):
            client.ports.clock.at += timedelta(seconds=1)
            sids.append(client.started()["executionInstance"]["sid"])
        client.joined()
        client("POST", f"/execution-instance/{sids[1]}/pause")

        _, every = client("GET", f"/execution-instance?strategyId={WATER['name']}")
        _, active = client("GET", f"/execution-instance?strategyId={WATER['name']}&status=ACTIVE")

        assert [one["sid"] for one in every["items"]] == [sids[2], sids[1], sids[0]]
        assert [one["sid"] for one in active["items"]] == [sids[2], sids[0]]
        assert every["items"][0]["attributes"] == {"customerId": "c-1"}

    def test_a_list_without_strategy_needs_no_secret_and_has_no_attributes(self, client: Client) -> None:
        client.one()

        status, answer = client("GET", "/execution-instance", secret=None, key="viewer.secret")

        assert status == 200
        assert len(answer["items"]) == 1
        assert "attributes" not in answer["items"][0]

    def test_a_page_begins_at_its_cursor(self, client: Client) -> None:
        client.saved()
        sids: list[str] = []
        for _ in range(5):
            client.ports.clock.at += timedelta(seconds=1)
            sids.insert(0, client.started()["executionInstance"]["sid"])
        for filters in ("", f"&strategyId={WATER['name']}", "&status=ACTIVE"):
            found, cursor = [], ""
            for _ in range(3):
                _, page = client("GET", f"/execution-instance?limit=2{filters}{cursor}")
                found.append([one["sid"] for one in page["items"]])
                cursor = f"&cursor={page.get('nextCursor')}"
            assert found == [sids[:2], sids[2:4], sids[4:]]
            assert cursor == "&cursor=None"

    def test_a_status_of_any_strategy_may_take_several_pages_to_find(self, client: Client) -> None:
        client.saved()
        paused = client.started()["executionInstance"]["sid"]
        client("POST", f"/execution-instance/{paused}/pause")
        for _ in range(501):
            client.ports.clock.at += timedelta(seconds=1)
            client.started()

        _, first = client("GET", "/execution-instance?status=PAUSED&limit=100")
        _, second = client("GET", f"/execution-instance?status=PAUSED&limit=100&cursor={first['nextCursor']}")

        assert first["items"] == []
        assert [one["sid"] for one in second["items"]] == [paused]
        assert "nextCursor" not in second

    def test_an_unknown_status_is_refused(self, client: Client) -> None:
        status, answer = client("GET", "/execution-instance?status=DONE")

        assert (status, answer["problems"][0]["pointer"]) == (400, "/status")


class TestChanging:
    """PATCH merges attributes; null removes one."""

    def test_description_attributes_and_end_date_are_changed(self, client: Client) -> None:
        sid = client.one()

        status, answer = client(
            "PATCH",
            f"/execution-instance/{sid}",
            {
                "description": "d",
                "attributes": {"size": 2, "customerId": None},
                "endDate": "2026-12-31T00:00Z",
            },
        )

        assert status == 200
        assert answer["attributes"] == {"size": 2}
        assert (answer["description"], answer["endDate"]) == ("d", "2026-12-31T00:00:00.000Z")

    def test_null_removes_an_end_date(self, client: Client) -> None:
        client.saved()
        sid = client.started(endDate="2026-12-31T00:00:00Z")["executionInstance"]["sid"]

        _, same = client("PATCH", f"/execution-instance/{sid}", {"description": "d"})
        _, none = client("PATCH", f"/execution-instance/{sid}", {"endDate": None})

        assert same["endDate"] == "2026-12-31T00:00:00.000Z"
        assert "endDate" not in none

    def test_an_invalid_change_reports_every_problem_and_stores_nothing(self, client: Client) -> None:
        client.saved(GYM)
        sid = client.joined()["executionInstance"]["sid"]

        status, answer = client(
            "PATCH",
            f"/execution-instance/{sid}",
            {"attributes": {"email": None, "x": []}, "endDate": "2025-01-01T00:00:00Z"},
            **OF_GYM,
        )

        assert status == 400
        assert [(p["pointer"], p["rule"]) for p in answer["problems"]] == [
            ("/attributes/x", "type"),
            ("/attributes", "jtd"),
            ("/attributes/x", "jtd"),
            ("/endDate", "range"),
        ]
        assert client("GET", f"/execution-instance/{sid}", **OF_GYM)[1]["attributes"] == MEMBER

    def test_a_final_instance_cannot_be_changed(self, client: Client) -> None:
        sid = client.one()
        client("POST", f"/execution-instance/{sid}/cancel")

        assert client("PATCH", f"/execution-instance/{sid}", {"description": "d"})[0] == 409


class TestTasks:
    """I5 and I6: unfinished events are listed and canceled."""

    def test_the_unfinished_events_are_a_bare_list(self, client: Client) -> None:
        client.saved(GYM)
        sid = client.joined()["executionInstance"]["sid"]

        status, answer = client("GET", f"/execution-instance/{sid}/get-tasks", **OF_GYM)

        assert status == 200
        assert [(e["task"], e["status"]) for e in answer] == [
            ("send-welcome", "PENDING"),
            ("send-reminder", "PENDING"),
            ("charge-fee", "PENDING"),
        ]

    def test_an_event_that_waits_for_its_retry_has_its_step_results(self, client: Client) -> None:
        client.saved(GYM)
        sid = client.joined()["executionInstance"]["sid"]
        client.ports.clock.at += timedelta(days=7)  # the shop's answer is not what the gym expects
        client.run(sid)

        _, answer = client("GET", f"/execution-instance/{sid}/get-tasks", **OF_GYM)

        (charge,) = [e for e in answer if e["task"] == "charge-fee"]
        assert (charge["status"], charge["attempt"]) == ("PENDING", 2)

    def test_events_of_named_tasks_are_canceled_and_counted(self, client: Client) -> None:
        client.saved(GYM)
        sid = client.joined()["executionInstance"]["sid"]
        path = f"/execution-instance/{sid}/cancel-tasks?tasks=send-welcome,send-reminder,unknown"

        status, answer = client("POST", path, **OF_GYM)
        again = client("POST", path, **OF_GYM)[1]

        assert status == 200
        assert answer["executionInstance"]["status"] == "ACTIVE"
        assert (answer["numCanceledEvents"], again["numCanceledEvents"]) == (2, 0)

    def test_cancelling_tasks_needs_their_names(self, client: Client) -> None:
        sid = client.one()

        status, answer = client("POST", f"/execution-instance/{sid}/cancel-tasks")

        assert (status, answer["problems"][0]["rule"]) == (400, "required")


class TestPauseResumeCancel:
    """I4, resume and I3: an instance is paused, resumed and canceled."""

    def test_pause_embeds_the_strategy_with_its_settings_plain_and_encrypted(self, client: Client) -> None:
        sid = client.one()

        status, paused = client(
            "POST", f"/execution-instance/{sid}/pause", more={"audit-comment": "holidays"}
        )

        assert status == 200
        assert (paused["status"], paused["stoppedBy"], paused["note"]) == ("PAUSED", "admin", "holidays")
        assert paused["nextEvent"]["sid"] == f"{sid}-1"
        assert paused["strategy"]["name"] == "water-filter-refill"
        assert paused["strategy"]["settings"] == WATER["settings"]
        for part in paused["strategy"]["encryptedSettings"].values():
            base64.b64decode(part, validate=True)
        assert "secret" not in paused["strategy"]

    def test_pause_leaves_credentials_out_of_the_settings_by_default(self, client: Client) -> None:
        settings = copy.deepcopy(GYM["settings"])
        settings["actions"][0]["headers"] = {"X-Api-Key": "hush", "X-Tenant": "gym"}
        client.saved({**GYM, "settings": settings})
        pause = f"/execution-instance/{client.joined()['executionInstance']['sid']}/pause"

        _, short = client("POST", pause, secret=GYM["secret"])
        _, whole = client("POST", f"{pause}?include=settings", secret=GYM["secret"])

        shown = short["strategy"]["settings"]
        assert not any("authorization" in service for service in shown["services"])
        assert shown["actions"][0]["headers"] == {"X-Tenant": "gym"}
        assert shown["tasks"] == settings["tasks"]
        assert whole["strategy"]["settings"] == settings
        assert any("authorization" in service for service in whole["strategy"]["settings"]["services"])

    def test_settings_are_included_for_the_role_and_secret_of_the_command_only(self, client: Client) -> None:
        pause = f"/execution-instance/{client.one()}/pause?include=settings"

        assert client("POST", pause, key="viewer.secret")[0] == 403
        assert client("POST", pause, secret="wrong-secret-wrong")[0] == 403
        assert client("POST", pause, secret=None)[0] == 403
        status, answer = client("POST", pause.replace("=settings", "=everything"))
        assert (status, answer["problems"][0]["pointer"]) == (400, "/include")

    def test_the_embedded_strategy_is_the_version_the_instance_is_on(self, client: Client) -> None:
        strategy = client.saved()["sid"]
        sid = client.started()["executionInstance"]["sid"]
        body = {"settings": WATER["settings"], "description": "newer"}
        client("PATCH", f"/execution-strategy/{strategy}", body)

        _, paused = client("POST", f"/execution-instance/{sid}/pause")

        assert (paused["strategy"]["version"], paused["strategy"]["description"]) == (1, WATER["description"])

    def test_pausing_twice_changes_nothing(self, client: Client) -> None:
        sid = client.one()
        paused = client("POST", f"/execution-instance/{sid}/pause")

        assert client("POST", f"/execution-instance/{sid}/pause") == paused
        assert len(client.ports.instances.audit) == 1

    def test_a_resume_lists_skipped_and_overdue_dates(self, client: Client) -> None:
        sid = client.one()
        client("POST", f"/execution-instance/{sid}/pause")
        client.ports.clock.at += timedelta(days=100)

        status, answer = client("POST", f"/execution-instance/{sid}/resume", {"onResume": "last"})

        assert status == 200
        assert answer["status"] == "ACTIVE"
        assert answer["skippedCycles"] == {"first": 1, "last": 3}

    def test_the_dry_run_of_a_resume_answers_the_same_and_changes_nothing(self, client: Client) -> None:
        sid = client.one()
        client("POST", f"/execution-instance/{sid}/pause")
        client.ports.clock.at += timedelta(days=100)
        before = client.ports.instances.load(InstanceSid(sid))
        woken, body = list(client.ports.wakeups.invoked), {"onResume": "last"}

        status, preview = client("POST", f"/execution-instance/{sid}/resume", {**body, "dryRun": True})

        assert client.ports.instances.load(InstanceSid(sid)) is before
        assert (len(client.ports.instances.audit), client.ports.wakeups.invoked) == (1, woken)
        answer = client("POST", f"/execution-instance/{sid}/resume", body)[1]
        assert (status, preview) == (200, {**answer, "dryRun": True})
        assert answer["dryRun"] is False

    def test_a_resume_lists_what_will_run_and_what_will_not(self, client: Client) -> None:
        sid = client.one()
        client("POST", f"/execution-instance/{sid}/pause")
        client.ports.clock.at += timedelta(days=100)

        plan = client("POST", f"/execution-instance/{sid}/resume", {"onResume": "last"})[1]["plan"]

        assert [(run["cycle"], run["date"][:10], run.get("overdue")) for run in plan["runs"]] == [
            (4, "2026-04-01", True),
            (5, "2026-05-01", None),
            (6, "2026-06-01", None),
        ]
        assert [name in run for run in plan["runs"] for name in ("sid",)] == [True, False, False]
        assert [(skipped["first"], skipped["last"]) for skipped in plan["skipped"]] == [(1, 3)]

    def test_a_dry_run_is_refused_like_the_command(self, client: Client) -> None:
        sid = client.one()
        client("POST", f"/execution-instance/{sid}/cancel")

        status, answer = client("POST", f"/execution-instance/{sid}/resume", {"dryRun": True})

        assert (status, answer["message"]) == (409, ["the instance is CANCELED"])

    def test_a_resume_with_an_unknown_answer_is_refused(self, client: Client) -> None:
        sid = client.one()

        status, answer = client("POST", f"/execution-instance/{sid}/resume", {"onResume": "never"})

        assert (status, answer["problems"][0]["pointer"]) == (400, "/onResume")

    def test_a_resume_with_too_many_missed_dates_is_unprocessable(self, client: Client) -> None:
        sid = client.one()
        client("POST", f"/execution-instance/{sid}/pause")
        client.ports.clock.at += timedelta(days=365 * 90)

        assert client("POST", f"/execution-instance/{sid}/resume")[0] == 422

    def test_cancelling_twice_changes_nothing(self, client: Client) -> None:
        sid = client.one()

        status, answer = client("POST", f"/execution-instance/{sid}/cancel")
        again = client("POST", f"/execution-instance/{sid}/cancel")[1]

        assert status == 200
        assert answer["executionInstance"]["status"] == "CANCELED"
        assert answer["executionInstance"]["cancelReason"] == "HTTP_REQUEST"
        assert answer["createdEvents"] == {"onCancelEvents": []}
        assert (answer["numCanceledEvents"], again["numCanceledEvents"]) == (1, 0)

    def test_a_cancellation_returns_its_on_cancel_events(self, client: Client) -> None:
        client.saved(GYM)
        attributes = {**MEMBER, "marketingOptIn": True}
        sid = client.joined(attributes=attributes)["executionInstance"]["sid"]

        _, answer = client("POST", f"/execution-instance/{sid}/cancel", **OF_GYM)

        (event,) = answer["createdEvents"]["onCancelEvents"]
        assert (event["task"], event["afterCancellation"]) == ("send-winback", True)

    @pytest.mark.parametrize("command", ["pause", "resume"])
    def test_a_command_that_the_status_forbids_is_a_conflict(self, client: Client, command: str) -> None:
        sid = client.one()
        client("POST", f"/execution-instance/{sid}/cancel")

        status, answer = client("POST", f"/execution-instance/{sid}/{command}")

        assert (status, answer["message"]) == (409, ["the instance is CANCELED"])

    def test_a_comment_that_is_too_long_is_refused(self, client: Client) -> None:
        sid = client.one()

        status, _ = client("POST", f"/execution-instance/{sid}/pause", more={"audit-comment": "x" * 1001})

        assert status == 400
        assert client.ports.instances.audit == []


class TestNumbersOfAttributes:
    """ "Whole numbers from JSON keep every digit"."""

    @pytest.mark.parametrize(
        "number", ["7615917337495251231", "-9007199254740993", "100000000000000000000000000001"]
    )
    def test_a_whole_number_is_read_back_as_it_was_sent(self, client: Client, number: str) -> None:
        client.saved({"name": "shop", "secret": WATER["secret"], "settings": minimal()})
        raw = f'{{"strategyId": "shop", "attributes": {{"id": {number}}}}}'.encode()
        status, created = client("POST", "/execution-instance", raw=raw)
        sid = created["executionInstance"]["sid"]

        assert status == 201
        assert created["executionInstance"]["attributes"] == {"id": int(number)}
        assert client("GET", f"/execution-instance/{sid}")[1]["attributes"] == {"id": int(number)}
