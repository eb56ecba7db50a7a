"""Definitions: saved, listed, versioned and deleted. Source: docs/contracts/automation.md A.1, A.2, A.5 and A.7."""

import itertools
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.bulk.operation import BulkStatus
from shared.domain.instance.model import InstanceStatus
from tests.bulk_runs import run_bulk
from tests.dialects.automation.client import Client, branch, call, definition, step, wait

UNKNOWN = "2aa9465e-dec7-4c3e-8fa6-bd168af9eaca"
SMS = step("send", "SMS", {"destination": "+6512345678"}, outputs={"umid": "{{step.umid}}"})
DOCUMENTED = {
    "subaccountId": "8x8_test_subaccount",
    "trigger": "inbound_chat_apps",
    "status": "disabled",
    "definition": {
        "name": "Send automatic reply",
        "steps": [
            {
                "id": "step1",
                "stepType": "ChatAppsMessage",
                "inputs": {
                    "subAccountId": "8x8_subaccount_id",
                    "user": {"msisdn": "{{data.payload.user.msisdn}}"},
                    "type": "text",
                    "content": {"text": "Hello, world!"},
                },
            }
        ],
    },
}


class TestRoundTrip:
    """A definition is returned as it was sent, with its id and version at both places."""

    def test_the_vendors_example_is_accepted(self, automation: Client) -> None:
        automation.later(seconds=30.27)
        status, made = automation("POST", "/definitions", DOCUMENTED)
        found = automation("GET", f"/definitions/{made['id']}")[1]

        assert status == 201
        assert found == [made]
        assert made == {
            **DOCUMENTED,
            "accountId": "a-1",
            "subAccountId": "8x8_test_subaccount",
            "id": made["id"],
            "version": 1,
            "createdAt": "2026-01-01T12:00:30.27Z",
            "definition": {**DOCUMENTED["definition"], "id": made["id"], "version": 1},  # type: ignore[dict-item]
        }

    def test_unknown_members_of_a_definition_are_kept(self, automation: Client) -> None:
        sent = definition(wait("a"), description="Ours", accountId="whatever")
        sent["definition"]["layout"] = {"a": [1, 2.5, None]}

        _, made = automation("POST", "/definitions", sent)

        assert made["description"] == "Ours"
        assert made["definition"]["layout"] == {"a": [1, 2.5, None]}
        assert made["accountId"] == "a-1"

    def test_a_definition_that_was_read_can_be_sent_back(self, automation: Client) -> None:
        of = automation.saved(call("a"), subAccountId="shop")
        read = automation("GET", f"/definitions/{of}")[1][0]

        _, again = automation("PUT", f"/definitions/{of}", read)

        expected = {**read, "version": 2, "definition": {**read["definition"], "version": 2}}
        assert again == expected

    def test_a_definition_without_status_is_disabled(self, automation: Client) -> None:
        sent = definition(wait("a"))
        del sent["status"]

        assert automation("POST", "/definitions", sent)[1]["status"] == "disabled"

    def test_a_definition_without_subaccount_has_no_such_member(self, automation: Client) -> None:
        _, made = automation("POST", "/definitions", definition(wait("a"), subAccountId=None))

        assert made["subAccountId"] is None

    def test_a_repeated_request_creates_no_definition(self, automation: Client) -> None:
        key = {"idempotency-key": "welcome"}

        first, again = (automation("POST", "/definitions", definition(wait("a")), more=key) for _ in range(2))
        found = automation.refusal("POST", "/definitions", definition(wait("b")), more=key)

        assert first == again
        assert found == (422, 1000, "The Idempotency-Key was used with another request.")

    def test_two_definitions_may_have_the_same_name(self, automation: Client) -> None:
        assert automation.saved(wait("a")) != automation.saved(wait("a"))


class TestList:
    """The list has the definitions whose latest version is enabled, youngest first."""

    def test_the_list_has_only_enabled_definitions(self, automation: Client) -> None:
        automation.water()
        first = automation.saved(wait("a"))
        automation.later(seconds=1)
        automation.saved(wait("a"), status="disabled")
        automation.later(seconds=1)
        changed = automation.saved(wait("a"))
        automation.later(seconds=1)
        last = automation.saved(wait("a"))
        automation("PUT", f"/definitions/{changed}", definition(wait("b"), status="disabled"))

        assert self.ids(automation, "") == [last, first]
        assert self.ids(automation, "?limit=1") == [last]
        assert self.ids(automation, "?offset=1") == [first]
        assert self.ids(automation, "?offset=2") == []

    def test_the_list_may_take_several_reads(self, automation: Client) -> None:
        made = []
        for _ in range(120):
            made.append(automation.saved(wait("a")))
            automation.later(seconds=1)

        assert self.ids(automation, "?limit=200") == made[::-1]

    def test_invalid_parameters_are_refused(self, automation: Client) -> None:
        assert automation.refusal("GET", "/definitions?limit=501&offset=x") == (
            400,
            1000,
            "Invalid limit. Invalid offset.",
        )

    @staticmethod
    def ids(client: Client, query: str) -> list[str]:
        status, found = client("GET", f"/definitions{query}")
        assert status == 200
        return [one["id"] for one in found]


class TestVersions:
    """Each PUT creates a version. Versions are listed latest first; workflows stay on theirs."""

    def test_versions_are_sorted_latest_first(self, automation: Client) -> None:
        of = automation.saved(wait("a"))
        for name in ("Second", "Third"):
            status, answer = automation("PUT", f"/definitions/{of}", definition(wait("a"), name=name))
            assert status == 200

        _, found = automation("GET", f"/definitions/{of}")
        assert [(one["version"], one["definition"]["name"]) for one in found] == [
            (3, "Third"),
            (2, "Second"),
            (1, "A workflow"),
        ]
        assert answer == found[0]
        assert automation("GET", f"/definitions/{of}?limit=1&offset=1")[1] == [found[1]]

    def test_an_unknown_definition_has_no_versions(self, automation: Client) -> None:
        assert automation("GET", f"/definitions/{UNKNOWN}") == (200, [])
        assert automation.refusal("GET", "/definitions/x") == (400, 1000, "Invalid definition id.")
        assert automation.refusal("PUT", f"/definitions/{UNKNOWN}", definition(wait("a"))) == (
            404,
            1300,
            f"Definition {UNKNOWN} not found.",
        )
        assert automation.refusal("PUT", "/definitions/x", {}) == (400, 1000, "Invalid definition id.")

    def test_running_workflows_stay_on_their_version(self, automation: Client) -> None:
        of = automation.saved(wait("pause", nextStepId="a"), call("a", "https://one.example.com/"))
        one = automation.started(of)
        automation.run(one)
        automation("PUT", f"/definitions/{of}", definition(call("b", "https://two.example.com/")))
        two = automation.started(of)
        automation.later(minutes=2)
        automation.run(one)
        automation.run(two)

        assert automation.services.urls == ["https://one.example.com/", "https://two.example.com/"]
        assert [automation.workflow(of, sid)["version"] for sid in (one, two)] == [1, 2]


class TestDeleting:
    """202: nothing new starts, workflows are terminated, and the definition is gone."""

    def test_a_deleted_definition_is_gone_and_its_workflows_terminated(self, automation: Client) -> None:
        of = automation.saved(wait("a"))
        one, other = automation.started(of), automation.started(of)
        automation("PATCH", f"/definitions/{of}/workflows/{other}", {"status": "suspend"})

        assert automation("DELETE", f"/definitions/{of}") == (202, None)
        assert automation.text == ""

        for sid in (one, other):
            assert automation.instance(sid).status is InstanceStatus.CANCELED
        assert automation("GET", f"/definitions/{of}") == (200, [])
        assert automation("GET", "/definitions") == (200, [])
        gone = (404, 1300, f"Definition {of} not found.")
        assert automation.refusal("GET", f"/definitions/{of}/workflows") == gone
        assert automation.refusal("GET", f"/definitions/{of}/workflows/{one}") == gone
        assert automation.refusal("POST", f"/definitions/{of}/workflows", {}) == gone
        assert automation.refusal("PUT", f"/definitions/{of}", definition(wait("a"))) == gone
        assert automation.refusal("DELETE", f"/definitions/{of}") == gone

    def test_deleting_a_version_terminates_its_workflows_only(self, automation: Client) -> None:
        of = automation.saved(wait("a"))
        first = automation.started(of)
        automation("PUT", f"/definitions/{of}", definition(wait("a")))
        second = automation.started(of)

        assert automation("DELETE", f"/definitions/{of}?version=1") == (202, None)

        assert automation.instance(first).status is InstanceStatus.CANCELED
        assert automation.instance(second).status is InstanceStatus.ACTIVE
        assert automation("GET", f"/definitions/{of}/workflows?version=1") == (200, [])
        gone = (404, 1300, f"Workflow {first} not found.")
        assert automation.refusal("GET", f"/definitions/{of}/workflows/{first}") == gone
        assert [one["version"] for one in automation("GET", f"/definitions/{of}")[1]] == [2]
        assert automation.refusal("POST", f"/definitions/{of}/workflows?version=1", {}) == (
            404,
            1300,
            f"Definition {of} version 1 not found.",
        )
        assert automation.refusal("DELETE", f"/definitions/{of}?version=1")[:2] == (404, 1300)
        assert automation.refusal("DELETE", f"/definitions/{of}?version=3") == (
            404,
            1300,
            f"Definition {of} version 3 not found.",
        )
        automation("PUT", f"/definitions/{of}", definition(wait("a")))
        assert [one["version"] for one in automation("GET", f"/definitions/{of}")[1]] == [3, 2]

    def test_deleting_the_latest_version_restores_the_one_before(self, automation: Client) -> None:
        of = automation.saved(wait("a"))
        automation("PUT", f"/definitions/{of}", definition(wait("a"), status="disabled"))
        assert automation("GET", "/definitions") == (200, [])

        automation("DELETE", f"/definitions/{of}?version=2")

        assert [one["version"] for one in automation("GET", "/definitions")[1]] == [1]
        assert automation.instance(automation.started(of)).strategy_version == 1

    def test_deleting_the_last_version_deletes_the_definition(self, automation: Client) -> None:
        of = automation.saved(wait("a"))
        one = automation.started(of)

        assert automation("DELETE", f"/definitions/{of}?version=1") == (202, None)

        assert automation.instance(one).status is InstanceStatus.CANCELED
        assert automation("GET", f"/definitions/{of}") == (200, [])

    def test_many_workflows_are_terminated_in_the_background(self, automation: Client) -> None:
        of = automation.saved(wait("a"))
        made = [automation.started(of) for _ in range(60)]

        assert automation("DELETE", f"/definitions/{of}") == (202, None)

        (bulk,) = automation.ports.operations.bulks.values()
        assert bulk.status is BulkStatus.ACTIVE
        assert automation.ports.wakeups.operations == [bulk.sid]
        run_bulk(automation.ports, bulk.sid, time_left=lambda: timedelta(minutes=15))
        assert {automation.instance(sid).status for sid in made} == {InstanceStatus.CANCELED}

    def test_a_deletion_that_was_cut_off_can_be_repeated(self, automation: Client) -> None:
        of = automation.saved(wait("a"))
        one = automation.started(of)
        automation("DELETE", f"/definitions/{of}")
        automation.ports.operations.bulks.clear()  # as if nobody had come that far

        assert automation("DELETE", f"/definitions/{of}")[0] == 404

        (bulk,) = automation.ports.operations.bulks.values()
        assert bulk.status is BulkStatus.COMPLETED
        assert automation.instance(one).status is InstanceStatus.CANCELED

    def test_invalid_parameters_are_refused(self, automation: Client) -> None:
        of = automation.saved(wait("a"))

        assert automation.refusal("DELETE", f"/definitions/{of}?version=0") == (400, 1000, "Invalid version.")
        assert automation.refusal("DELETE", f"/definitions/{UNKNOWN}") == (
            404,
            1300,
            f"Definition {UNKNOWN} not found.",
        )


class TestInvalidDefinitions:
    """If a definition is invalid, the answer is 400 with 5001 and every problem; 1000 if it is no object."""

    def refused(self, client: Client, body: Any) -> str:
        status, code, message = client.refusal("POST", "/definitions", body)
        assert (status, code) == (400, 5001)
        return message

    @pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"7", b'{"a": 1, "a": 2}'])
    def test_a_body_that_is_not_an_object_is_refused(self, automation: Client, raw: bytes) -> None:
        assert automation.refusal("POST", "/definitions", raw=raw) == (400, 1000, "Request is invalid.")

    def test_the_vendors_example_is_accepted(self, automation: Client) -> None:
        sent = definition(wait("a"))
        del sent["definition"]["name"]

        assert self.refused(automation, sent) == "Workflow name is required."

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            ({}, "Trigger is required.\nDefinition is required."),
            (
                {"trigger": "phone", "status": "on", "definition": 7},
                (
                    "Trigger must be one of inbound_sms, inbound_chat_apps, http_request.\n"
                    "Status must be one of enabled, disabled.\n"
                    "Definition must be an object."
                ),
            ),
            (
                {"trigger": ["http_request"], "status": {}, "definition": {}, "subAccountId": ""},
                (
                    "Trigger must be one of inbound_sms, inbound_chat_apps, http_request.\n"
                    "Status must be one of enabled, disabled.\n"
                    "subAccountId must be a string of 1 to 100 characters.\n"
                    "Workflow name is required.\n"
                    "Workflow steps are required."
                ),
            ),
            (
                definition(wait("a"), subAccountId="a", subaccountId="b"),
                "subAccountId and subaccountId must not differ.",
            ),
            (definition(wait("a"), name=""), "Workflow name is required."),
            (
                definition(wait("a"), name="x" * 256),
                "Workflow name must be a string of at most 255 characters.",
            ),
            (definition(), "Workflow steps are required."),
            (
                {"trigger": "http_request", "definition": {"name": 7, "steps": {"a": 1}}},
                "Workflow steps must be a list.\nWorkflow name must be a string of at most 255 characters.",
            ),
        ],
    )
    def test_invalid_members_beside_the_steps_are_refused(
        self, automation: Client, body: Any, message: str
    ) -> None:
        assert sorted(self.refused(automation, body).split("\n")) == sorted(message.split("\n"))

    @pytest.mark.parametrize(
        ("steps", "message"),
        [
            ([7], "Workflow steps: entry 1 must be an object."),
            ([{}], "Step 1: id is required and must have at most 100 characters."),
            (
                [{"id": "x" * 101, "stepType": "Wait"}],
                "Step 1: id is required and must have at most 100 characters.",
            ),
            ([{"id": "a"}], "Step 'a': stepType is required."),
            ([{"id": "a", "stepType": "Dance"}], "Step 'a': unknown stepType 'Dance'."),
            ([wait("a", nextStepId="b")], "Step 'a': nextStepId: 'b' is not a step of the same list."),
            ([wait("a", nextStepId=7)], "Step 'a': nextStepId: 7 is not a step of the same list."),
            ([wait("a", colour="red")], "Step 'a': 'colour' is not a known field."),
            (
                [step("a", "Wait")],
                "Step 'a': duration must be d.HH:mm:ss, HH:mm:ss or a number of days, not None.",
            ),
            ([step("a", "Wait", 7)], "Step 'a': inputs must be an object."),
            ([wait("a", outputs=[])], "Step 'a': outputs must be an object."),
            ([wait("a", outputs={"x": 7})], "Step 'a': outputs.x must be a string."),
            ([wait("a", outputs={"": "x"})], "Step 'a': outputs: a name must have 1 to 100 characters."),
            (
                [step("a", "Wait", {"duration": 1, "seconds": 1})],
                "Step 'a': inputs: 'seconds' is not a known field.",
            ),
            ([step("a", "Branch")], "Step 'a': selectNextStep is required."),
            (
                [step("a", "Branch", selectNextStep={})],
                "Step 'a': selectNextStep must be an object of conditions",
            ),
            (
                [branch("a", b="{{1}}"), wait("b")],
                "Step 'a': selectNextStep 'b': this must return bool, it returns int.",
            ),
            (
                [branch("a", b=None, c=None), wait("b"), wait("c")],
                "Step 'a': selectNextStep: only one of 'b', 'c' can be",
            ),
            (
                [wait("a", nextStepId="b", selectNextStep={"b": None}), wait("b")],
                "Step 'a': nextStepId and selectNextStep must not both be set.",
            ),
            (
                [step("a", "If", {"condition": "{{true}}"})],
                "Step 'a': do is required and must be a list of lists of steps.",
            ),
            (
                [step("a", "If", {"condition": "{{true}}"}, do=[[]])],
                "Step 'a': the steps of do are required.",
            ),
            (
                [step("a", "If", {}, do=[[wait("b")]])],
                "Step 'a': condition is required.",
            ),
            (
                [step("a", "If", {"condition": "{{true}}"}, do=[[wait("b")]], selectNextStep={"a": None})],
                "Step 'a': selectNextStep is not allowed in an If; use nextStepId.",
            ),
            (
                [step("a", "If", {"condition": "{{true}}"}, do=[[wait("b", nextStepId="c")]]), wait("c")],
                "Step 'b': nextStepId: 'c' is not a step of the same list.",
            ),
            (
                [step("r", "WaitForReply", {"from": "", "timeout": "x"})],
                (
                    "Step 'r': from is required and must be a string.\n"
                    "Step 'r': channel is required and must be a string.\n"
                    "Step 'r': timeout must be d.HH:mm:ss, HH:mm:ss or a number of days, not 'x'."
                ),
            ),
            (
                [step("r", "WaitForReply", {"from": "{{x}}", "channel": "sms"})],
                "Step 'r': from: undeclared reference to 'x':\nx\n^",
            ),
            ([wait("a"), wait("b")], "Step 'b': step 'b' cannot be reached."),
            (
                [branch("a", b=None), branch("b", a=None)],
                "Step 'a': the step leads back to itself without a step that waits: a -> b -> a.",
            ),
        ],
    )
    def test_an_invalid_step_is_refused(self, automation: Client, steps: list[Any], message: str) -> None:
        assert self.refused(automation, definition(*steps)).startswith(message)

    @pytest.mark.parametrize(
        ("inputs", "message"),
        [
            ({}, "url is required."),
            ({"url": 7}, "url must be a string."),
            ({"url": "ftp://x.example.com/"}, "url: must begin with http:// or https:// and a literal host"),
            (
                {"url": "https://{{data.host}}/"},
                "url: must begin with http:// or https:// and a literal host",
            ),
            (
                {"url": "https://x.example.com/#top"},
                "url: must begin with http:// or https:// and a literal host",
            ),
            ({"url": "https://x.example.com/{{data.}}"}, "url: "),
            ({"url": "https://x.example.com/{{data.a"}, "url: the script is not closed"),
            ({"url": "https://x.example.com/\x01"}, "url: must not have a control character."),
            ({"url": "https://x.example.com/?{{data.a}}=1"}, "url: in a query with scripts"),
            (
                {"url": "https://x.example.com/?a={{data.a}}&a=1"},
                "url: in a query with scripts",
            ),
            ({"url": "https://me:pw@x.example.com/"}, "must not contain a user name or password."),
            ({"method": None}, "method is required."),
            ({"method": "HEAD"}, "method must be one of GET, POST, PUT, PATCH, DELETE."),
            ({"headers": []}, "headers must be an object."),
            ({"headers": {"A": []}}, "headers.A must be a string."),
            ({"headers": {"A": "{{step.x}}"}}, "headers.A: `step` does not exist here"),
            ({"headers": {"A B": "x"}}, "a header name has only letters"),
            ({"parameters": {"a": {}}}, "parameters.a must be a string."),
            (
                {"url": "https://x.example.com/?a={{data.a}}", "parameters": {"a": "1"}},
                "parameters: 'a' is already in the url.",
            ),
            ({"body": [1]}, "body must be an object."),
            ({"body": {"a": [{"b": "{{nope}}"}]}}, "body: undeclared reference to 'nope'"),
            ({"timeoutSeconds": 0}, "timeoutSeconds must be an integer from 1 to 300."),
            ({"timeoutSeconds": True}, "timeoutSeconds must be an integer from 1 to 300."),
            ({"timeout": 1}, "inputs: 'timeout' is not a known field."),
        ],
    )
    def test_an_invalid_call_is_refused(self, automation: Client, inputs: Any, message: str) -> None:
        usual = {"url": "https://x.example.com/", "method": "GET"} if inputs else {"method": "GET"}
        sent = definition(step("a", "HttpRequest", {**usual, **inputs}))

        found = self.refused(automation, sent)

        assert message in found
        assert found.startswith(("Step 'a': ", "The definition cannot be run: "))

    def test_a_new_version_is_checked_like_the_first(self, automation: Client) -> None:
        of = automation.saved(wait("a"))

        found = automation.refusal("PUT", f"/definitions/{of}", definition(wait("a"), wait("b")))

        assert found == (400, 5001, "Step 'b': step 'b' cannot be reached.")

    def test_every_problem_is_reported_at_once(self, automation: Client) -> None:
        sent = definition(
            call("a", inputs={"method": "JUMP"}, outputs={"x": "{{data.a ==== 1}}"}, nextStepId="z"),
            wait("a", "soon"),
            step("b", "SMS"),
            trigger="inbound_sms",
        )

        message = self.refused(automation, sent)

        for part in (
            "Step 'a': method must be one of",
            "Step 'a': outputs.x: ",
            "Step 'a': nextStepId: 'z' is not a step of the same list.",
            "Step 'a': the id is not unique.",
            "Step 'a': duration must be",
            "Trigger 'inbound_sms' needs a telephone network",
            "Step 'b' of type SMS",
        ):
            assert part in message

    def test_a_definition_that_is_too_large_is_refused(self, automation: Client) -> None:
        steps = [call(f"s{n}", inputs={"body": {"t": "x" * 900}}) for n in range(130)]
        for one, other in itertools.pairwise(steps):
            one["nextStepId"] = other["id"]

        assert self.refused(automation, definition(*steps)) == (
            "The definition must not be larger than 240 KB as it is stored."
        )


class TestUnavailableSteps:
    """Steps that cannot run are stored. If the definition is enabled, it is refused with their names."""

    @pytest.mark.parametrize(
        ("kind", "needs"),
        [
            ("SMS", "a telephone network"),
            ("ChatAppsMessage", "a network of chat apps"),
            ("VoiceMessage", "a telephone network"),
            ("WaitForDTMF", "a telephone network"),
            ("SendToConverse", "8x8 Converse"),
            ("JumpTo", "an undocumented feature"),
        ],
    )
    def test_an_unavailable_step_can_only_be_saved_disabled(
        self, automation: Client, kind: str, needs: str
    ) -> None:
        sent = definition(step("x", kind, {"any": ["thing"]}, more="members"), status="enabled")

        found = automation.refusal("POST", "/definitions", sent)
        status, made = automation("POST", "/definitions", {**sent, "status": "disabled"})

        assert found == (
            400,
            5001,
            (
                f"Step 'x' of type {kind} needs {needs}, which is not available;"
                " it can only be saved in a disabled definition."
            ),
        )
        assert status == 201
        assert made["definition"]["steps"] == sent["definition"]["steps"]
        path = f"/definitions/{made['id']}"
        assert automation.refusal("PUT", path, {**sent, "status": "enabled"}) == found

    @pytest.mark.parametrize("trigger", ["inbound_sms", "inbound_chat_apps"])
    def test_an_unavailable_trigger_can_only_be_saved_disabled(
        self, automation: Client, trigger: str
    ) -> None:
        sent = definition(wait("a"), trigger=trigger)

        assert automation.refusal("POST", "/definitions", sent) == (
            400,
            5001,
            f"Trigger '{trigger}' needs a telephone network, which is not available; save it as disabled.",
        )
        assert automation("POST", "/definitions", {**sent, "status": "disabled"})[0] == 201

    def test_a_workflow_that_reaches_an_unavailable_step_ends(self, automation: Client) -> None:
        of = automation.saved(
            call("a", nextStepId="send"),
            {**SMS, "selectNextStep": {"b": "{{step.status == 'sent' && data.umid != null}}"}},
            call("b"),
            status="disabled",
        )
        one = automation.started(of)
        automation.run(one)

        assert automation.workflow(of, one)["status"] == "Terminated"
        _, errors = automation("GET", f"/definitions/{of}/workflows/{one}/errors")
        assert [(row["step"], row["message"]) for row in errors] == [
            ("send", "Step 'send' of type SMS needs a telephone network, which is not available")
        ]
        assert len(automation.services.sent) == 1


class TestDocumentedSteps:
    """Every example of the vendor's pages is accepted; definitions with steps that run can be enabled."""

    HTTP = step(
        "step1",
        "HttpRequest",
        {
            "url": "https://sample.api.com/newrecord/",
            "method": "POST",
            "headers": {"Authorization": "Bearer 4ff3987hf934hf3895b469dc0"},
            "body": {
                "property_1": 1,
                "property_2": "{{'umid: ' + data.umid}}",
                "property_3": "{{data.receivedAt}}",
                "property_4": {"nested_property": "{{'msisdn: ' + data.source}}"},
            },
        },
        outputs={
            "httpCode": "{{step.responseCode}}",
            "httpReasonPhrase": "{{step.reasonPhrase}}",
            "httpResponse": "{{step.responseBody}}",
        },
        nextStepId="step2",
    )
    REPLY = step(
        "step1",
        "WaitForReply",
        {"from": "+6500000000", "channel": "whatsapp", "timeout": "00:05:00"},
        outputs={"reply": "{{step.reply}}"},
        selectNextStep={"success_step": "{{step.reply != null}}", "failure_step": "{{step.reply == null}}"},
    )
    DTMF = step(
        "step1",
        "WaitForDTMF",
        {"dtmfRequestId": "{{data.clientRequestId}}", "timeout": "00:02:00"},
        outputs={"dtmf": "{{step.dtmfData.actionDetails.dtmf}}"},
        selectNextStep={
            "success_step": "{{data.dtmf == '1'}}",
            "failure_step": "{{data.dtmf != null && data.dtmf != '1' && data.dtmf != '2' && data.dtmf != '3'}}",
            "step2": "{{data.dtmf == null}}",
        },
    )
    BRANCH = branch("step1", success_step="{{data.custom_status == 'OK'}}", step2=None)

    @pytest.mark.parametrize(
        "example", [HTTP, REPLY, BRANCH, wait("step1", "0.00:01:00", nextStepId="step2")]
    )
    def test_a_documented_step_that_runs_can_be_enabled(self, automation: Client, example: Any) -> None:
        assert self.saved(automation, example, "enabled") == [example]

    @pytest.mark.parametrize(
        "example",
        [
            DTMF,
            step(
                "step1",
                "SMS",
                {"subAccountId": "Test_12345_Sms", "destination": "+6512345678", "text": "Hello, world!"},
                outputs={"smsRequestId": "{{step.requestId}}", "smsDescription": "{{step.description}}"},
                nextStepId="step2",
            ),
            step(
                "step1",
                "VoiceMessage",
                {"action": "say", "params": {"repetition": 1, "voiceProfile": "en-US-ZiraRUS", "speed": 1}},
                outputs={"response": "{{step.response}}"},
                nextStepId="step2",
            ),
        ],
    )
    def test_a_documented_step_that_is_unavailable_can_be_saved(
        self, automation: Client, example: Any
    ) -> None:
        assert self.saved(automation, example, "disabled") == [example]

    @staticmethod
    def saved(client: Client, example: Any, status: str) -> list[Any]:
        """The example as it comes back, with those of the steps it names that there must be beside it."""
        named = {example.get("nextStepId"), *example.get("selectNextStep", {})} - {None}
        others = [wait(key) for key in sorted(named)]
        code, made = client("POST", "/definitions", definition(example, *others, status=status))
        assert code == 201, made
        return [one for one in made["definition"]["steps"] if one["id"] == "step1"]


class TestSecrets:
    """References to secrets are checked like everything else in a definition."""

    @pytest.mark.parametrize(
        ("inputs", "why"),
        [
            ({"url": "https://api.example.com/{{secret.a}}"}, "a secret may be used in headers, parameters and body"),
            ({"headers": {"X": "{{secret.a.b}}"}}, "the name of a secret must be 1 to 128 letters"),
            ({"body": {f"k{n}": f"{{{{secret.s{n}}}}}" for n in range(11)}}, "names 11 secrets"),
        ],
    )  # fmt: skip
    def test_a_wrong_reference_is_refused(self, automation: Client, inputs: dict[str, Any], why: str) -> None:
        whole = {"url": "https://api.example.com/a", "method": "POST", **inputs}
        sent = definition(step("a", "HttpRequest", whole))

        status, code, message = automation.refusal("POST", "/definitions", sent)

        assert (status, code) == (400, 5001)
        assert why in message
