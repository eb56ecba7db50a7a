"""Every documented member of a definition acts, or is refused. Source: docs/contracts/automation.md A.2.

Two definitions that differ only in a member differ in their triggers, their calls, or the content of their workflows.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from shared.api.reference.automation_inputs import INPUTS
from shared.application.answer_event import SentAnswer, answer_event
from shared.domain.ids import CorrelationId, event_address, event_of_correlation
from shared.domain.instance.verdict import Actor
from tests.dialects.automation.accounts import Account, Make
from tests.dialects.automation.client import branch, call, definition, step, wait
from tests.dialects.parameters import Pair

KINDS = ("HttpRequest", "Wait", "Branch", "If", "WaitForReply", "NotRunHere")
ONE, TRUE = "{{1}}", "{{true}}"
REPLY = {"from": "+1", "channel": "sms"}


def ask(key: str = "x", **more: Any) -> dict[str, Any]:
    """Return a step that waits for a reply."""
    inputs = {**REPLY, **more.pop("inputs", {})}
    return step(key, "WaitForReply", inputs, **more)


def check(key: str = "x", condition: str = "{{true}}", **more: Any) -> dict[str, Any]:
    """Return a condition."""
    inner = more.pop("do", [[call("in", "https://api.example.com/in")]])
    return step(key, "If", {"condition": condition}, do=inner, **more)


def sms(key: str = "x", kind: str = "SMS") -> dict[str, Any]:
    return step(key, kind, {"to": "+1"})


def http(**inputs: Any) -> list[Any]:
    return [call("x", inputs=inputs)]


A = call("a", "https://api.example.com/a")
CHOICES: tuple[Any, Any] = ({"a": TRUE}, {"a": "{{false}}"})


def chosen(make: Callable[..., Any]) -> Pair:
    """Return the rows of a step that leads to another one, or to none."""
    one, other = (make("x", selectNextStep=choice) for choice in CHOICES)
    return Pair([one, A], [other, A])


STEPS: Mapping[str, Pair] = {
    "HttpRequest.id": Pair([call("x")], [call("y")]),
    "HttpRequest.stepType": Pair([call("x")], [wait("x")]),
    "HttpRequest.inputs": Pair([call("x")], [call("x", "https://api.example.com/a")]),
    "HttpRequest.outputs": Pair([call("x")], [call("x", outputs={"code": "{{step.responseCode}}"})]),
    "HttpRequest.nextStepId": Pair([call("x")], [call("x", nextStepId="a"), A]),
    "HttpRequest.selectNextStep": chosen(call),
    "HttpRequest.inputs.url": Pair(
        http(url="https://api.example.com/1"), http(url="https://api.example.com/2")
    ),
    "HttpRequest.inputs.method": Pair(http(method="PUT"), http(method="PATCH")),
    "HttpRequest.inputs.headers": Pair(http(headers={"X-A": "1"}), http(headers={"X-A": "2"})),
    "HttpRequest.inputs.parameters": Pair(http(parameters={"a": 1}), http(parameters={"a": 2})),
    "HttpRequest.inputs.body": Pair(http(body={"a": 1}), http(body={"a": 2})),
    "HttpRequest.inputs.timeoutSeconds": Pair(http(timeoutSeconds=7), http()),
    "Wait.id": Pair([wait("x")], [wait("y")]),
    "Wait.stepType": Pair([wait("x")], [ask()]),
    "Wait.inputs": Pair([wait("x", "01:00:00")], [wait("x", "1")]),
    "Wait.outputs": Pair([wait("x")], [wait("x", outputs={"n": ONE})]),
    "Wait.nextStepId": Pair([wait("x")], [wait("x", nextStepId="a"), A]),
    "Wait.selectNextStep": chosen(wait),
    "Wait.inputs.duration": Pair([wait("x", "01:00:00")], [wait("x", "03:00:00")]),
    "Branch.id": Pair([branch("x", a=TRUE), A], [branch("y", a=TRUE), A]),
    "Branch.stepType": Pair([branch("x", a=TRUE), A], [wait("x", selectNextStep={"a": TRUE}), A]),
    "Branch.outputs": Pair([branch("x", a=TRUE), A], [{**branch("x", a=TRUE), "outputs": {"n": ONE}}, A]),
    "Branch.selectNextStep": Pair([branch("x", **CHOICES[0]), A], [branch("x", **CHOICES[1]), A]),
    "If.id": Pair([check("x")], [check("y")]),
    "If.stepType": Pair([check()], [branch("x", a=TRUE), A]),
    "If.inputs": Pair([check()], [check(condition="{{data.no == 1}}")]),
    "If.outputs": Pair([check()], [check(outputs={"n": ONE})]),
    "If.nextStepId": Pair([check()], [check(nextStepId="a"), A]),
    "If.do": Pair([check()], [check(do=[[A]])]),
    "If.inputs.condition": Pair([check()], [check(condition="{{false}}")]),
    "WaitForReply.id": Pair([ask("x")], [ask("y")]),
    "WaitForReply.stepType": Pair([ask()], [wait("x")]),
    "WaitForReply.inputs": Pair([ask()], [ask(inputs={"timeout": "01:00:00"})]),
    "WaitForReply.outputs": Pair([ask()], [ask(outputs={"reply": "{{step.reply}}"})]),
    "WaitForReply.nextStepId": Pair([ask()], [ask(nextStepId="a"), A]),
    "WaitForReply.selectNextStep": chosen(ask),
    "WaitForReply.inputs.timeout": Pair(
        [ask(inputs={"timeout": "01:00:00"})], [ask(inputs={"timeout": "03:00:00"})]
    ),
    "NotRunHere.id": Pair([sms("x")], [sms("y")]),
    "NotRunHere.stepType": Pair([sms()], [sms(kind="VoiceMessage")]),
}
REFUSED: Mapping[str, tuple[list[Any], str]] = {
    "Branch.inputs": ([{**branch("x", a=TRUE), "inputs": {"a": 1}}, A], "inputs: 'a' is not a known field"),
    "Branch.nextStepId": (
        [{**branch("x", a=TRUE), "nextStepId": "a"}, A],
        "nextStepId and selectNextStep must not both be set",
    ),
    "If.selectNextStep": (
        [check(selectNextStep={"a": TRUE}), A],
        "selectNextStep is not allowed in an If; use nextStepId",
    ),
    # These are checked and not used, because there is no telephone network.
    "WaitForReply.inputs.from": ([ask(inputs={"from": 5})], "from is required and must be a string"),
    "WaitForReply.inputs.channel": (
        [ask(inputs={"channel": ""})],
        "channel is required and must be a string",
    ),
}
DEFINITIONS: Mapping[str, Pair] = {
    "status": Pair({"status": "disabled"}, {"status": "enabled"}),
    "subAccountId": Pair({"subAccountId": "s-1"}, {"subAccountId": "s-2"}),
    "subaccountId": Pair({"subaccountId": "s-1"}, {"subaccountId": "s-2"}),
    "definition": Pair({"definition": {"name": "A", "steps": [wait("a")]}}, {}),
    "definition.name": Pair({"name": "A"}, {"name": "B"}),
}


def documented() -> set[str]:
    """Return the members of steps by the OpenAPI document, with those of their inputs."""
    found = set()
    for kind in KINDS:
        members = INPUTS[kind]["properties"]
        found |= {f"{kind}.{name}" for name in members}
        found |= {f"{kind}.inputs.{name}" for name in members.get("inputs", {}).get("properties", {})}
    return found


def lived(account: Account, sent: Any, *, replaces: bool = False) -> Any:
    """Return a definition's effects: how many workflows are triggered, and a workflow replied to after two hours."""
    client = account.client
    place = f"/definitions/{account.of}" if replaces else "/definitions"
    status, made = client("PUT" if replaces else "POST", place, sent)
    assert status in (200, 201), made
    of, before = made["id"], len(client.ports.instances.instances)
    client("POST", "/triggers/http_request?subAccountId=s-1", {})
    triggered = len(client.ports.instances.instances) - before
    one = client.started(of)
    _run(account, one, hours=0)
    _run(account, one, hours=2)
    _reply(account, client.workflow(of, one))
    _run(account, one, hours=48)
    workflow = client.workflow(of, one)
    logs = [{**log, "id": "", "correlationId": ""} for log in workflow["logs"]]
    data = {name: value for name, value in workflow["data"].items() if name != "triggeredAt"}
    calls = [
        (
            sent.method,
            sent.url,
            dict(sent.headers) | {"Idempotency-Key": ""},
            sent.params,
            sent.body,
            sent.timeout_seconds,
        )
        for sent in client.services.sent
    ]
    _, errors = client("GET", f"/definitions/{of}/workflows/{one}/errors")
    messages = [error["message"] for error in errors]
    # Trigger, status and subaccount are only repeated in the answer; what they do is counted.
    return made["definition"]["name"], triggered, workflow["status"], logs, data, calls, messages


def _run(account: Account, one: str, *, hours: int) -> None:
    """Advance the clock, and run the events that are due on the way."""
    for _ in range(max(1, hours * 2)):
        account.client.clock.at += timedelta(minutes=30 if hours else 0)
        account.client.run(one)


def _reply(account: Account, workflow: Any) -> None:
    """Reply to the steps that wait."""
    for log in workflow["logs"]:
        if "correlationId" in log:
            correlation = CorrelationId(log["correlationId"])
            address = event_address(event_of_correlation(correlation))
            assert address is not None
            reply = SentAnswer(
                correlation_id=correlation, key="k", by=Actor(name="ann"), body={"text": "yes"}
            )
            answer_event(account.client.ports, *address, reply)


class TestSteps:
    """Every member of a step acts or is refused."""

    def test_every_documented_member_has_a_row(self) -> None:
        assert set(STEPS) | set(REFUSED) == documented()
        assert not set(STEPS) & set(REFUSED)

    @pytest.mark.parametrize("name", STEPS)
    def test_two_values_have_different_effects(self, make: Make, name: str) -> None:
        pair = STEPS[name]
        status = "disabled" if name.startswith("NotRunHere") else "enabled"
        sent = [definition(*steps, status=status) for steps in (pair.one, pair.other, pair.one)]
        one, other, same = (lived(make(), document) for document in sent)

        assert one != other
        assert one == same

    @pytest.mark.parametrize("name", REFUSED)
    @pytest.mark.parametrize(("method", "path"), [("POST", "/definitions"), ("PUT", "/definitions/{of}")])
    def test_a_member_that_cannot_act_is_refused(self, make: Make, name: str, method: str, path: str) -> None:
        steps, message = REFUSED[name]
        account = make()
        status, code, text = account.client.refusal(method, account.filled(path), definition(*steps))

        assert (status, code, text) == (400, 5001, f"Step 'x': {message}.")

    @pytest.mark.parametrize(
        "sound",
        [call("x"), wait("x"), branch("x", a=TRUE), check(nextStepId="a"), ask(nextStepId="a")],
        ids=lambda sound: sound["stepType"],
    )
    @pytest.mark.parametrize("inside", [False, True], ids=["of the step", "of its inputs"])
    def test_an_unknown_member_is_refused(self, make: Make, sound: Any, *, inside: bool) -> None:
        document = {**sound, "surplus": 1}
        if inside:
            document = {**sound, "inputs": {**sound.get("inputs", {}), "surplus": 1}}
        if sound["stepType"] in ("HttpRequest", "Wait"):
            document["nextStepId"] = "a"
        status, code, text = make().client.refusal("POST", "/definitions", definition(document, A))

        assert (status, code) == (400, 5001)
        assert text == f"Step 'x': {'inputs: ' if inside else ''}'surplus' is not a known field."


class TestDefinitions:
    """Every member beside the steps acts, both in a new definition and in a new version."""

    def test_every_documented_member_has_a_row(self) -> None:
        members = INPUTS["DefinitionInput"]["properties"]
        inner = {f"definition.{name}" for name in members["definition"]["properties"]}

        assert set(members) | inner == {*DEFINITIONS, "trigger", "definition.steps"} - {"subaccountId"}

    @pytest.mark.parametrize("trigger", ["inbound_sms", "inbound_chat_apps"])
    def test_a_trigger_that_never_fires_cannot_be_enabled(self, make: Make, trigger: str) -> None:
        sent = {**definition(call("x")), "trigger": trigger}

        assert make().client.refusal("POST", "/definitions", sent) == (
            400,
            5001,
            f"Trigger '{trigger}' needs a telephone network, which is not available; save it as disabled.",
        )

    @pytest.mark.parametrize("replaces", [False, True], ids=["new", "new version"])
    @pytest.mark.parametrize("name", DEFINITIONS)
    def test_two_values_have_different_effects(self, make: Make, name: str, *, replaces: bool) -> None:
        pair = DEFINITIONS[name]
        sent = [self.changed(changes) for changes in (pair.one, pair.other)]
        one, other = (lived(make(), document, replaces=replaces) for document in sent)

        assert one != other

    def changed(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Return a definition with other members, or another name."""
        document = definition(call("x"))
        if "name" in changes:
            return {**document, "definition": {**document["definition"], **changes}}
        return {**document, **changes}
