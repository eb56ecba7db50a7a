"""Workflows: read and commanded.

Source: docs/contracts/automation.md A.1 to A.4 and A.7; docs/contracts/automation.md A.1; docs/contracts/mapping.md D.2
and D.3.
"""

import json
import re
from itertools import product
from typing import Any, ClassVar

import pytest
from msgspec.structs import replace

from shared.api.automation.statuses import COMMAND_OF, IS_DONE, STATUS_OF, Command
from shared.application.find_instances import MAX_SCANNED
from shared.application.start import Repeatable, StartInstance, start_instance
from shared.domain.ids import InstanceSid, StrategySid
from shared.domain.instance.phase import Phase
from shared.domain.instance.verdict import AlreadyThere, Applied, Refused
from shared.domain.steps.call import Answered, TimedOut
from tests.dialects.automation.client import BASE, Client, branch, call, wait
from tests.dialects.core.client import GYM, MEMBER, WATER

UNKNOWN = "2aa9465e-dec7-4c3e-8fa6-bd168af9eaca"
OTHER = "60dbe307fe55d99fc083db61"
CALENDAR = WATER["settings"]["schedule"]["calendars"][0]


@pytest.fixture
def definition(automation: Client) -> str:
    """A definition whose workflows wait for two minutes."""
    return automation.saved(wait("pause"))


def send_command(client: Client, definition: str, one: str, status: Any) -> tuple[int, Any]:
    return client("PATCH", f"/definitions/{definition}/workflows/{one}", {"status": status})


def status_of(client: Client, definition: str, one: str) -> str:
    return str(client.workflow(definition, one)["status"])


class TestCommands:
    """A command is 200 with an empty body. If it is not allowed it is 400 with 1000, never 409."""

    def test_a_workflow_is_suspended_resumed_and_terminated(
        self, automation: Client, definition: str
    ) -> None:
        one = automation.started(definition)

        found = [status_of(automation, definition, one)]
        for command in ("suspend", "resume", "terminate"):
            assert send_command(automation, definition, one, command) == (200, None)
            assert automation.text == ""
            assert "Content-Type" not in automation.headers
            found.append(status_of(automation, definition, one))

        assert found == ["Runnable", "Suspended", "Runnable", "Terminated"]
        assert automation.workflow(definition, one)["completedAt"] == "2026-01-01T12:00:00.00Z"

    @pytest.mark.parametrize(
        ("before", "command", "message"),
        [
            (["suspend"], "suspend", "be suspended because its status is Suspended."),
            (["terminate"], "suspend", "be suspended because its status is Terminated."),
            (["complete"], "suspend", "be suspended because its status is Complete."),
            ([], "resume", "be resumed because its status is Runnable."),
            (["terminate"], "resume", "be resumed because its status is Terminated."),
            (["complete"], "resume", "be resumed because its status is Complete."),
            (["complete"], "terminate", "be terminated because its status is Complete."),
        ],
    )
    def test_a_command_that_the_status_forbids_is_refused(
        self, automation: Client, definition: str, before: list[str], command: str, message: str
    ) -> None:
        one = automation.started(definition)
        for earlier in before:
            if earlier == "complete":
                automation.run(one)
                automation.later(minutes=2)
                automation.run(one)
            else:
                assert send_command(automation, definition, one, earlier)[0] == 200

        path = f"/definitions/{definition}/workflows/{one}"
        found = automation.refusal("PATCH", path, {"status": command})

        assert found == (400, 1000, f"Workflow {one} cannot {message}")

    def test_terminating_twice_changes_nothing(self, automation: Client, definition: str) -> None:
        one = automation.started(definition)

        assert send_command(automation, definition, one, "terminate") == (200, None)
        before = automation.stored()
        assert send_command(automation, definition, one, "terminate") == (200, None)

        assert automation.stored() == before

    def test_a_resume_with_too_many_missed_dates_says_why(self, automation: Client) -> None:
        hourly = {"unit": "hours", "amount": 1}
        settings = {**WATER["settings"], "schedule": {"calendars": [CALENDAR | {"scheduleAfter": hourly}]}}
        sid = automation.water({**WATER, "settings": settings})
        strategy = automation.ports.strategies.load(StrategySid(sid), 1)
        send = StartInstance(strategy_id=strategy.name, attributes={"customerId": "c-1"})
        one = str(start_instance(automation.ports, strategy, send).instance.sid)
        send_command(automation, sid, one, "suspend")
        automation.later(days=60)

        found = automation.refusal("PATCH", f"/definitions/{sid}/workflows/{one}", {"status": "resume"})

        assert found[:2] == (400, 1000)
        assert found[2].startswith(f"Workflow {one} cannot be resumed because more than 1000 ")

    def test_commands_are_audited_with_their_comment(self, automation: Client, definition: str) -> None:
        one = automation.started(definition)

        automation(
            "PATCH",
            f"/definitions/{definition}/workflows/{one}",
            {"status": "suspend"},
            key="operator.secret",
            more={"audit-comment": "the customer asked"},
        )

        entry = automation.ports.instances.audit[-1]
        assert (entry.by, entry.command, entry.reason) == ("operator", "pause", "the customer asked")

    def test_every_verdict_has_an_answer(self) -> None:
        assert set(IS_DONE) == set(product(Command, (Applied, AlreadyThere, Refused)))
        assert set(COMMAND_OF) == set(Command)

    def test_every_phase_has_its_status(self) -> None:
        """Source: docs/contracts/mapping.md D.3, the column of 8x8."""
        assert STATUS_OF == {
            Phase.UNDATED: "Runnable",
            Phase.AHEAD: "Runnable",
            Phase.OVERDUE: "Runnable",
            Phase.RUNNING: "Runnable",
            Phase.BETWEEN_STEPS: "Runnable",
            Phase.RETRYING: "Runnable",
            Phase.DELAYED: "Runnable",
            Phase.AWAITING_ANSWER: "Runnable",
            Phase.ONHOLD: "Runnable",
            Phase.PAUSED: "Suspended",
            Phase.STUCK: "Suspended",
            Phase.CANCELED: "Terminated",
            Phase.FAULTED: "Terminated",
            Phase.COMPLETED: "Complete",
        }
        assert set(STATUS_OF) == set(Phase)


class TestOrderOfChecks:
    """Checks are made in this order: key, account, ids, body, definition, workflow, transition."""

    SUSPEND: ClassVar = {"status": "suspend"}

    @pytest.mark.parametrize(
        ("key", "definition_id", "workflow_id", "body", "found"),
        [
            (None, "x", "y", b"{", (401, 1200, "Unauthorized Access")),
            ("admin.wrong", "x", "y", b"{", (401, 1200, "Unauthorized Access")),
            ("stranger.secret", "x", "y", b"{", (403, 1201, "Access forbidden")),
            ("viewer.secret", "x", "y", b"{", (403, 1201, "Access forbidden")),
            ("admin.secret", "x", "y", b"{", (400, 1000, "Invalid definition id.")),
            ("admin.secret", UNKNOWN, "y", b"{", (400, 1000, "Invalid workflow id.")),
            ("admin.secret", UNKNOWN, UNKNOWN, b"{", (400, 1000, "Request is invalid.")),
            ("admin.secret", UNKNOWN, OTHER, b'{"status": "halt"}', (400, 1000, "Invalid status.")),
            (
                "admin.secret",
                UNKNOWN,
                UNKNOWN,
                b'{"status": "suspend"}',
                (404, 1300, f"Definition {UNKNOWN} not found."),
            ),
        ],
    )
    def test_checks_without_any_data(
        self,
        automation: Client,
        key: str | None,
        definition_id: str,
        workflow_id: str,
        body: bytes,
        found: tuple[int, int, str],
    ) -> None:
        path = f"/definitions/{definition_id}/workflows/{workflow_id}"

        assert automation.refusal("PATCH", path, raw=body, key=key) == found

    def test_an_unknown_workflow_is_not_found(self, automation: Client, definition: str) -> None:
        for unknown in (UNKNOWN, OTHER):
            found = automation.refusal(
                "PATCH", f"/definitions/{definition}/workflows/{unknown}", self.SUSPEND
            )
            assert found == (404, 1300, f"Workflow {unknown} not found.")

    def test_a_workflow_of_another_definition_is_not_found(self, automation: Client, definition: str) -> None:
        one = automation.started(automation.saved(wait("other")))

        found = automation.refusal("PATCH", f"/definitions/{definition}/workflows/{one}", self.SUSPEND)

        assert found == (404, 1300, f"Workflow {one} not found.")

    def test_a_definition_of_another_account_is_not_found(self, automation: Client, definition: str) -> None:
        one = automation.started(definition)
        path = f"/api/v1/accounts/a-2/definitions/{definition}/workflows/{one}"

        found = automation.refusal("PATCH", path, self.SUSPEND, key="stranger.secret")

        assert found == (404, 1300, f"Definition {definition} not found.")

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{",
            b"[]",
            b'"suspend"',
            b"null",
            b'{"status": 1, "status": 2}',
            b"\xff",
            b'{"status": "\\ud800"}',
        ],
    )
    def test_a_body_that_is_not_json_is_refused(
        self, automation: Client, definition: str, body: bytes
    ) -> None:
        path = f"/definitions/{definition}/workflows/{UNKNOWN}"

        assert automation.refusal("PATCH", path, raw=body) == (400, 1000, "Request is invalid.")

    @pytest.mark.parametrize(
        "status", [None, "", "Suspend", "SUSPEND", "suspended", 1, True, ["suspend"], {}]
    )
    def test_an_unknown_command_is_refused(self, automation: Client, definition: str, status: Any) -> None:
        path = f"/definitions/{definition}/workflows/{UNKNOWN}"

        assert automation.refusal("PATCH", path, {"status": status}) == (400, 1000, "Invalid status.")
        assert automation.refusal("PATCH", path, {}) == (400, 1000, "Invalid status.")

    def test_ids_may_be_in_upper_case(self, automation: Client, definition: str) -> None:
        one = automation.started(definition)

        assert send_command(automation, definition.upper(), one.upper(), "suspend") == (200, None)


class TestRefusals:
    """If a request is refused, the error has a code, a message, an id and a time."""

    def test_the_vendors_examples_of_errors(self, automation: Client) -> None:
        automation.later(seconds=37.66)
        status, answer = automation("GET", f"/definitions/not-a-uuid/workflows/{OTHER}")
        assert (status, answer["code"], answer["message"]) == (400, 1000, "Invalid definition id.")
        assert answer["timestamp"] == "2026-01-01T12:00:37.66Z"

        status, answer = automation("GET", f"/definitions/{UNKNOWN}/workflows/{OTHER}")
        assert (status, answer["code"]) == (404, 1300)
        assert answer["message"] == f"Definition {UNKNOWN} not found."

    def test_every_error_has_its_own_id(self, automation: Client) -> None:
        ids = {automation("GET", "/definitions/x/workflows")[1]["errorId"] for _ in range(3)}

        assert len(ids) == 3

    def test_the_time_has_two_digits_of_a_second(self, automation: Client) -> None:
        _, answer = automation("GET", "/definitions/x/workflows")

        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d\dZ", answer["timestamp"])


class TestList:
    """Workflows are listed youngest first, of the latest version, with filters, limit and offset."""

    def test_the_list_begins_with_the_youngest_workflow(self, automation: Client, definition: str) -> None:
        made = []
        for _ in range(3):
            made.append(automation.started(definition))
            automation.later(seconds=1)

        _, found = automation("GET", f"/definitions/{definition}/workflows")

        assert [one["workflowId"] for one in found] == made[::-1]
        assert found[0] == {
            "workflowId": made[2],
            "data": {"accountId": "a-1", "triggeredAt": "2026-01-01T12:00:02.0000000Z"},
            "definitionId": definition,
            "version": 1,
            "status": "Runnable",
            "startedAt": "2026-01-01T12:00:02.00Z",
            "completedAt": None,
        }

    def test_the_list_has_limit_and_offset(self, automation: Client, definition: str) -> None:
        made = [self.at(automation, definition, second) for second in range(5)]

        assert self.found(automation, definition, "limit=2") == made[:2:-1]
        assert self.found(automation, definition, "limit=2&offset=1") == [made[3], made[2]]
        assert self.found(automation, definition, "offset=4") == [made[0]]
        assert self.found(automation, definition, "offset=5") == []

    def test_the_list_can_be_filtered_by_status(self, automation: Client, definition: str) -> None:
        runs, stands, ended = (automation.started(definition) for _ in range(3))
        send_command(automation, definition, stands, "suspend")
        send_command(automation, definition, ended, "terminate")
        whole = automation.started(definition)
        automation.run(whole)
        automation.later(minutes=2)
        automation.run(whole)

        by_status = {
            status: self.found(automation, definition, f"status={status}")
            for status in ("Runnable", "Suspended", "Complete", "Terminated")
        }

        assert by_status == {
            "Runnable": [runs],
            "Suspended": [stands],
            "Complete": [whole],
            "Terminated": [ended],
        }

    def test_the_list_can_be_filtered_by_version(self, automation: Client, definition: str) -> None:
        first = automation.started(definition)
        automation("PUT", f"/definitions/{definition}", {**self.definition(), "status": "enabled"})
        second = automation.started(definition)

        assert self.found(automation, definition, "") == [second]
        assert self.found(automation, definition, "version=1") == [first]
        assert self.found(automation, definition, "version=3") == []

    @pytest.mark.parametrize(
        ("query", "seconds"),
        [
            ("startTimeFrom=2026-01-01T12:00:02Z", [4, 3, 2]),
            ("startTimeTo=2026-01-01T12:00:02Z", [2, 1, 0]),
            ("startTimeFrom=2026-01-01T12:00:01Z&startTimeTo=2026-01-01T14:00:03%2B02:00", [3, 2, 1]),
            ("startTimeFrom=2026-01-01T12:00:03.0001Z", [4]),
            ("startTimeTo=2026-01-01T12:00:00.9999Z", [0]),
            ("startTimeFrom=2026-01-02", []),
            ("startTimeTo=2026-01-02", [4, 3, 2, 1, 0]),
            ("startTimeFrom=2026-01-01T12:00:04Z&startTimeTo=2026-01-01T12:00:03Z", []),
        ],
    )
    def test_the_list_can_be_filtered_by_start_time(
        self, automation: Client, definition: str, query: str, seconds: list[int]
    ) -> None:
        made = [self.at(automation, definition, second) for second in range(5)]

        assert self.found(automation, definition, query) == [made[second] for second in seconds]

    @pytest.mark.parametrize(
        ("query", "message"),
        [
            ("limit=0", "Invalid limit."),
            ("limit=501", "Invalid limit."),
            ("limit=x", "Invalid limit."),
            ("offset=-1", "Invalid offset."),
            ("version=0", "Invalid version."),
            ("status=runnable", "Invalid status."),
            ("startTimeFrom=yesterday", "Invalid startTimeFrom."),
            ("startTimeTo=2026-13-01", "Invalid startTimeTo."),
            ("limit=0&offset=-1&status=x", "Invalid limit. Invalid offset. Invalid status."),
        ],
    )
    def test_invalid_parameters_are_refused(self, automation: Client, query: str, message: str) -> None:
        path = f"/definitions/{UNKNOWN}/workflows?{query}"

        assert automation.refusal("GET", path) == (400, 1000, message)

    def test_unknown_parameters_are_ignored(self, automation: Client, definition: str) -> None:
        assert self.found(automation, definition, "colour=blue&limit=500") == []

    def test_workflows_of_an_unknown_definition_are_not_found(self, automation: Client) -> None:
        found = automation.refusal("GET", f"/definitions/{UNKNOWN}/workflows")

        assert found == (404, 1300, f"Definition {UNKNOWN} not found.")

    def test_an_answer_that_is_too_large_is_refused(self, automation: Client, definition: str) -> None:
        sid = InstanceSid(automation.started(definition))
        large = automation.instance(sid)
        for number in range(500):
            copy = f"{number:08}-1111-4000-8000-000000000000"
            automation.ports.instances.instances[InstanceSid(copy)] = self.like(large, copy)

        assert automation.refusal("GET", f"/definitions/{definition}/workflows?limit=500") == (
            400,
            1010,
            "The answer is larger than 5 MB; lower limit.",
        )
        assert len(self.found(automation, definition, "limit=100")) == 100

    def test_a_list_that_reads_too_many_workflows_is_refused(
        self, automation: Client, definition: str
    ) -> None:
        one = automation.instance(automation.started(definition))
        for number in range(MAX_SCANNED):
            copy = f"{number:08}-1111-4000-8000-000000000000"
            automation.ports.instances.instances[InstanceSid(copy)] = self.like(one, copy, large=False)

        found = automation.refusal("GET", f"/definitions/{definition}/workflows?version=7")

        assert found == (400, 1010, "Too many workflows; narrow startTimeFrom and startTimeTo.")

    @staticmethod
    def like(instance: Any, sid: str, *, large: bool = True) -> Any:
        attributes = {**instance.attributes, **({"text": "x" * 15_000} if large else {})}
        return replace(instance, sid=InstanceSid(sid), attributes=attributes)

    @staticmethod
    def definition() -> dict[str, Any]:
        return {
            "trigger": "http_request",
            "definition": {"name": "Another", "steps": [wait("pause", "00:02:00")]},
        }

    @staticmethod
    def at(client: Client, definition: str, second: int) -> str:
        client.clock.at = client.clock.at.replace(second=second)
        return client.started(definition)

    @staticmethod
    def found(client: Client, definition: str, query: str) -> list[str]:
        status, answer = client("GET", f"/definitions/{definition}/workflows?{query}")
        assert status == 200, answer
        return [one["workflowId"] for one in answer]


class TestLogs:
    """If ``includeLogs`` is set, the logs have every execution of a step in order, with its status."""

    def statuses(self, client: Client, definition: str, one: str) -> list[tuple[str, str]]:
        return [(log["stepName"], log["status"]) for log in client.workflow(definition, one)["logs"]]

    def test_logs_need_include_logs(self, automation: Client, definition: str) -> None:
        one = automation.started(definition)

        _, plain = automation("GET", f"/definitions/{definition}/workflows/{one}")
        _, send = automation("GET", f"/definitions/{definition}/workflows/{one}?includeLogs=false")

        assert "logs" not in plain
        assert plain == send
        assert automation.workflow(definition, one)["logs"] == []
        found = automation.refusal("GET", f"/definitions/{definition}/workflows/{one}?includeLogs=perhaps")
        assert found == (400, 1000, "Invalid includeLogs.")

    def test_logs_of_a_complete_workflow(self, automation: Client) -> None:
        definition = automation.saved(
            call("a", nextStepId="b"), wait("b", nextStepId="c"), branch("c", d=None), call("d")
        )
        one = automation.started(definition)
        automation.run(one)

        sleeping = automation.workflow(definition, one)["logs"]
        automation.later(seconds=150)
        automation.run(one)
        found = automation.workflow(definition, one)

        assert [(log["stepName"], log["status"]) for log in sleeping] == [
            ("a", "Complete"),
            ("b", "Sleeping"),
        ]
        assert sleeping[1]["completedAt"] is None
        assert (found["status"], found["completedAt"]) == ("Complete", "2026-01-01T12:02:30.00Z")
        assert [(log["stepName"], log["status"]) for log in found["logs"]] == [
            (name, "Complete") for name in "abcd"
        ]
        assert (found["logs"][1]["startedAt"], found["logs"][1]["completedAt"]) == (
            "2026-01-01T12:00:00.00Z",
            "2026-01-01T12:02:30.00Z",
        )
        assert [log["id"] for log in found["logs"][:2]] == [log["id"] for log in sleeping]
        assert len({log["id"] for log in found["logs"]}) == 4

    def test_logs_of_a_workflow_terminated_during_a_wait(self, automation: Client, definition: str) -> None:
        one = automation.started(definition)
        automation.run(one)
        automation.later(seconds=5)
        send_command(automation, definition, one, "terminate")

        (log,) = automation.workflow(definition, one)["logs"]

        assert (log["stepName"], log["status"]) == ("pause", "Cancelled")
        assert (log["startedAt"], log["completedAt"]) == (
            "2026-01-01T12:00:00.00Z",
            "2026-01-01T12:00:05.00Z",
        )

    def test_logs_of_a_failed_workflow(self, automation: Client) -> None:
        automation.services.answers = [TimedOut(why="no complete response within 5 s")]
        definition = automation.saved(call("a", nextStepId="b"), call("b"))
        one = automation.started(definition)
        automation.run(one)

        assert self.statuses(automation, definition, one) == [("a", "Failed")]
        assert status_of(automation, definition, one) == "Terminated"
        assert automation("GET", f"/definitions/{definition}/workflows/{one}/errors")[1] == [
            {
                "workflowId": one,
                "step": "a",
                "message": "no answer: no complete response within 5 s",
                "errorTime": "2026-01-01T12:00:00.00Z",
            }
        ]

    def test_a_workflow_without_errors_has_no_errors(self, automation: Client, definition: str) -> None:
        one = automation.started(definition)

        assert automation("GET", f"/definitions/{definition}/workflows/{one}/errors") == (200, [])
        for path in (
            f"/definitions/{definition}/workflows/{UNKNOWN}",
            f"/definitions/{definition}/workflows/{UNKNOWN}/errors",
        ):
            assert automation.refusal("GET", path) == (404, 1300, f"Workflow {UNKNOWN} not found.")


class TestStarting:
    """201 with the workflow's id and location, even if the definition is disabled."""

    def test_a_start_returns_id_and_location(self, automation: Client, definition: str) -> None:
        status, answer = automation(
            "POST", f"/definitions/{definition}/workflows", {"orderId": 7, "tags": ["a", {"b": 1}]}
        )

        assert (status, set(answer)) == (201, {"workflowId"})
        assert (
            automation.headers["Location"]
            == f"{BASE}/definitions/{definition}/workflows/{answer['workflowId']}"
        )
        assert automation.workflow(definition, answer["workflowId"])["data"] == {
            "orderId": 7,
            "tags": ["a", {"b": 1}],
            "accountId": "a-1",
            "triggeredAt": "2026-01-01T12:00:00.0000000Z",
        }

    def test_a_workflow_runs_once_and_at_once(self, automation: Client) -> None:
        definition = automation.saved(call("a"))
        one = automation.started(definition)

        automation.run(one)

        assert automation.services.urls == ["https://api.example.com/records"]
        assert status_of(automation, definition, one) == "Complete"
        assert automation.instance(one).events == ()

    def test_a_start_without_body_has_an_empty_context(self, automation: Client, definition: str) -> None:
        status, answer = automation("POST", f"/definitions/{definition}/workflows")

        assert status == 201
        assert set(automation.workflow(definition, answer["workflowId"])["data"]) == {
            "accountId",
            "triggeredAt",
        }

    def test_the_list_can_be_filtered_by_version(self, automation: Client, definition: str) -> None:
        automation("PUT", f"/definitions/{definition}", TestList.definition())

        _, first = automation("POST", f"/definitions/{definition}/workflows?version=1", {})
        _, latest = automation("POST", f"/definitions/{definition}/workflows", {})

        versions = [automation.instance(one["workflowId"]).strategy_version for one in (first, latest)]
        assert versions == [1, 2]
        found = automation.refusal("POST", f"/definitions/{definition}/workflows?version=3", {})
        assert found == (404, 1300, f"Definition {definition} version 3 not found.")

    @pytest.mark.parametrize("body", [[], "text", 7, None, True])
    def test_a_context_that_is_not_an_object_is_refused(
        self, automation: Client, definition: str, body: Any
    ) -> None:
        raw = json.dumps(body).encode()

        found = automation.refusal("POST", f"/definitions/{definition}/workflows", raw=raw)

        assert found == (400, 1000, "Request is invalid.")

    def test_a_context_that_is_too_large_is_refused(self, automation: Client, definition: str) -> None:
        found = automation.refusal("POST", f"/definitions/{definition}/workflows", {"text": "x" * 17_000})

        assert found == (400, 1000, "Request is invalid. /data: must take at most 16 KB.")
        huge = automation.refusal("POST", f"/definitions/{definition}/workflows", {"text": "x" * 300_000})
        assert huge == (400, 1000, "Request is invalid. The body must not be larger than 256 KB.")

    def test_a_repeated_request_starts_no_workflow(self, automation: Client, definition: str) -> None:
        key = {"idempotency-key": "order-7"}
        path = f"/definitions/{definition}/workflows"

        first, again = (automation("POST", path, {"n": 1}, more=key) for _ in range(2))
        found = automation.refusal("POST", path, {"n": 2}, more=key)

        assert first == again
        assert len(automation.ports.instances.instances) == 1
        assert found == (422, 1000, "The Idempotency-Key was used with another request.")
        assert automation.refusal("POST", path, {"n": 1}, more={"idempotency-key": ""})[:2] == (400, 1000)


class TestStrategiesOfOtherDialects:
    """Instances of other dialects are workflows, and keep their own schedule."""

    def test_an_instance_of_core_can_be_read_and_commanded(self, automation: Client) -> None:
        sid = automation.water()
        strategy = automation.ports.strategies.load(StrategySid(sid), 1)
        send = StartInstance(strategy_id=strategy.name, attributes={"customerId": "c-1"})
        one = str(start_instance(automation.ports, strategy, send).instance.sid)

        found = automation.workflow(sid, one)
        assert (found["definitionId"], found["status"]) == (sid, "Runnable")
        assert found["data"] == {
            "accountId": "a-1",
            "triggeredAt": "2026-01-01T12:00:00.0000000Z",
            "customerId": "c-1",
        }
        assert send_command(automation, sid, one, "suspend") == (200, None)
        assert status_of(automation, sid, one) == "Suspended"
        assert send_command(automation, sid, one, "resume") == (200, None)
        assert send_command(automation, sid, one, "terminate") == (200, None)
        assert automation("GET", f"/definitions/{sid}/workflows?status=Terminated")[1][0]["workflowId"] == one

    def test_a_strategy_of_core_started_here_gets_only_the_context_sent(self, automation: Client) -> None:
        sid = automation.water()
        one = automation.started(sid, {"customerId": "c-1"})

        assert automation.instance(one).attributes == {"customerId": "c-1"}
        automation.run(one)
        assert automation.workflow(sid, one)["status"] == "Complete"

    def test_a_strategy_of_core_in_the_folder_is_no_definition(self, automation: Client) -> None:
        """Folder and sid are chosen by the maker of a strategy, so neither makes it a definition."""
        known_by = Repeatable(key=UNKNOWN, body_hash="h")
        sid = automation.water(folder="/automation", repeatable=known_by)
        one = automation.started(sid, {"customerId": "c-1"})

        assert automation.instance(one).attributes == {"customerId": "c-1"}
        assert automation("GET", "/definitions") == (200, [])
        assert automation("GET", f"/definitions/{UNKNOWN}") == (200, [])
        gone = (404, 1300, f"Definition {UNKNOWN} not found.")
        assert automation.refusal("DELETE", f"/definitions/{UNKNOWN}") == gone

    def test_a_strategy_named_by_a_uuid_is_found_by_it(self, automation: Client) -> None:
        sid = automation.water({**WATER, "name": UNKNOWN})
        one = automation.started(UNKNOWN.upper(), {"customerId": "c-1"})

        assert automation.workflow(UNKNOWN, one)["definitionId"] == UNKNOWN
        assert automation.workflow(sid, one)["definitionId"] == UNKNOWN

    def test_a_step_that_its_service_refused_for_now_is_sleeping(self, automation: Client) -> None:
        sid = automation.water(GYM)
        automation.services.answers = [Answered(status=503)]
        one = automation.started(sid, MEMBER)
        automation.run(one)

        found = automation.workflow(sid, one)

        assert [(log["stepName"], log["status"]) for log in found["logs"]] == [("charge", "Sleeping")]
        assert found["status"] == "Runnable"
        assert automation("GET", f"/definitions/{sid}/workflows/{one}/errors") == (200, [])

    def test_a_step_that_waits_for_its_retry_is_sleeping(self, automation: Client) -> None:
        sid = automation.water(GYM)
        automation.services.answers = [Answered(status=402)]
        one = automation.started(sid, MEMBER)
        automation.run(one)

        found = automation.workflow(sid, one)

        assert [(log["stepName"], log["status"]) for log in found["logs"]] == [
            ("charge", "Sleeping"),
            ("mail-failed", "Complete"),
        ]
        assert found["logs"][0]["completedAt"] is None
        assert found["status"] == "Runnable"
        _, errors = automation("GET", f"/definitions/{sid}/workflows/{one}/errors")
        assert [row["message"] for row in errors] == ["billing/charge returned HTTP 402"]

    def test_strategies_of_core_are_no_definitions(self, automation: Client) -> None:
        sid = automation.water()

        assert automation("GET", f"/definitions/{sid}") == (200, [])
        assert automation("GET", "/definitions") == (200, [])
        assert automation.refusal("DELETE", f"/definitions/{sid}") == (
            404,
            1300,
            f"Definition {sid} not found.",
        )
