"""The steps of a workflow at run time.

Source: docs/contracts/automation.md A.2, A.5; docs/contracts/mapping.md D.5; docs/decisions/0025.
"""

from datetime import timedelta
from typing import Any

import pytest

from shared.application.answer_event import SentAnswer, answer_event
from shared.domain.ids import CorrelationId, InstanceSid
from shared.domain.instance.verdict import Actor, Applied
from shared.domain.steps.call import AddressRefused, Answered, TimedOut, Unreachable
from tests.dialects.automation.client import Client, branch, call, step, wait
from tests.dialects.core.client import Client as CoreClient
from tests.dialects.core.client import Shop


def url(path: str) -> str:
    return f"https://api.example.com/{path}"


def mark(key: str, **more: Any) -> dict[str, Any]:
    """Return a call that is identified by its URL."""
    return call(key, url(key), **more)


def steps_of(workflow: dict[str, Any]) -> list[str]:
    return [log["stepName"] for log in workflow["logs"]]


class TestHttpRequest:
    """A call sends its inputs. Every response is a success; if there is none, the workflow ends."""

    def test_a_call_sends_its_inputs(self, automation: Client) -> None:
        inputs = {
            "url": "https://api.example.com/orders/{{data.order.id}}/a b?x=1&who={{data.name}}",
            "method": "put",
            "headers": {
                "Authorization": "Bearer k-1",
                "X-Name": "{{data.name}}",
                "X-Gone": "{{data.gone}}",
                "X-N": 3,
            },
            "parameters": {"flag": True, "none": None, "text": "v{{data.order.id}}"},
            "body": {
                "a": 1,
                "b": "{{data.order}}",
                "c": ["{{data.name}} & co", None],
                "d": "{{data.gone}}",
            },
            "timeoutSeconds": 30,
        }

        automation.ran(step("a", "HttpRequest", inputs), context={"order": {"id": "7/8"}, "name": "Ann"})

        (sent,) = automation.services.sent
        assert (sent.method, sent.url) == ("put", "https://api.example.com/orders/7%2F8/a%20b")
        assert dict(sent.params) == {"x": "1", "who": "Ann", "flag": "true", "text": "v7/8"}
        assert sent.body == {"a": 1, "b": {"id": "7/8"}, "c": ["Ann & co", None], "d": None}
        headers = dict(sent.headers)
        # Event, run and visit, so that a repeated call has the same key.
        assert headers.pop("Idempotency-Key").endswith("-1-1-1")
        assert headers == {"Authorization": "Bearer k-1", "X-Name": "Ann", "X-N": "3"}
        assert sent.timeout_seconds == 30

    def test_a_call_names_secrets(self, automation: Client) -> None:
        inputs = {
            "url": "https://api.example.com/orders",
            "method": "POST",
            "headers": {"X-Key": "Key {{ secret.orders#key }}"},
            "parameters": {"token": "{{parameter.a/token}}"},
            "body": {"a": ["{{secret.orders}}", "{{data.text}}"]},
        }

        automation.ran(step("a", "HttpRequest", inputs), context={"text": "{{secret.orders}}"})

        (sent,) = automation.services.sent
        assert sent.headers["X-Key"] == "Key {{secret.orders#key}}"
        assert sorted((slot.place, str(slot.secret)) for slot in sent.secrets) == [
            (("body", "a", 0), "secret.orders"),
            (("headers", "X-Key"), "secret.orders#key"),
            (("params", "token"), "parameter.a/token"),
        ]

    def test_a_query_without_scripts_is_unchanged(self, automation: Client) -> None:
        automation.ran(call("a", "http://api.example.com?a=1&a=2&b=%20c"))

        (sent,) = automation.services.sent
        assert (sent.url, dict(sent.params)) == ("http://api.example.com/?a=1&a=2&b=%20c", {})
        assert (sent.body, sent.timeout_seconds) == (None, 5)

    @pytest.mark.parametrize("evil", ["../admin", "a/../../b", "x?y=1", "x#y", "%2e%2e"])
    def test_a_value_stays_in_its_part_of_the_path(self, automation: Client, evil: str) -> None:
        automation.ran(call("a", url("orders/{{data.id}}")), context={"id": evil})

        (sent,) = automation.services.sent
        assert sent.url.startswith(url("orders/"))
        # Nothing in the value may end the segment, the path, or the URL.
        assert not set(sent.url.removeprefix(url("orders/"))) & set("/?#")

    @pytest.mark.parametrize("evil", ["", ".", "..", None])
    def test_a_part_that_changes_the_path_ends_the_workflow(self, automation: Client, evil: Any) -> None:
        found = automation.ran(call("a", url("orders/{{data.id}}")), context={"id": evil})

        assert found["status"] == "Terminated"
        assert automation.services.sent == []

    @pytest.mark.parametrize(
        ("status", "reason"),
        [(200, "OK"), (201, "Created"), (404, "Not Found"), (503, "Service Unavailable")],
    )
    def test_every_status_is_a_success(self, automation: Client, status: int, reason: str) -> None:
        automation.services.answers = [Answered(status=status, body={"n": [1, {"b": None}]})]
        outputs = {
            "code": "{{step.responseCode}}",
            "reason": "{{step.reasonPhrase}}",
            "body": "{{step.responseBody}}",
            "decoded": "answered {{step.reasonPhrase}}",
        }

        found = automation.ran(call("a", outputs=outputs, nextStepId="b"), mark("b"))

        assert found["status"] == "Complete"
        data = {name: found["data"][name] for name in outputs}
        assert data == {
            "code": status,
            "reason": reason,
            "body": {"n": [1, {"b": None}]},
            "decoded": f"answered {reason}",
        }
        assert steps_of(found) == ["a", "b"]

    @pytest.mark.parametrize(
        ("outcome", "message"),
        [
            (TimedOut(why="no complete response within 5 s"), "no answer: no complete response within 5 s"),
            (Unreachable(why="no such host"), "no such host"),
            (AddressRefused(why="an internal address"), "an internal address"),
        ],
    )
    def test_a_call_without_response_ends_the_workflow(
        self, automation: Client, outcome: Any, message: str
    ) -> None:
        automation.services.answers = [outcome]
        of = automation.saved(call("a", nextStepId="b"), mark("b"))
        one = automation.started(of)
        automation.run(one)

        assert automation.workflow(of, one)["status"] == "Terminated"
        _, errors = automation("GET", f"/definitions/{of}/workflows/{one}/errors")
        assert [(row["step"], row["message"]) for row in errors] == [("a", message)]
        assert len(automation.services.sent) == 1

    def test_outputs_that_cannot_be_computed_end_the_workflow(self, automation: Client) -> None:
        found = automation.ran(call("a", outputs={"x": "{{step.responseBody.no.such}}"}))

        assert found["status"] == "Terminated"

    def test_data_that_grows_too_large_ends_the_workflow(self, automation: Client) -> None:
        # More than the attributes of an instance may take.
        automation.services.answers = [Answered(status=200, body={"t": "x" * 17_000})]

        found = automation.ran(call("a", outputs={"all": "{{step.responseBody}}"}))

        assert found["status"] == "Terminated"
        assert "all" not in found["data"]


class TestBranch:
    """A step runs if its condition holds. If none holds, the default runs, or nothing."""

    STEPS = (
        branch("choose", a="{{data.n > 1}}", b="{{data.n > 2}}", c=None),
        mark("a", nextStepId="end"),
        mark("b", nextStepId="end"),
        mark("c"),
        mark("end"),
    )

    @pytest.mark.parametrize(
        ("n", "ways"),
        [
            (3.0, ["choose", "a", "end", "b", "end"]),
            (2.0, ["choose", "a", "end"]),
            (1.0, ["choose", "c"]),
        ],
    )
    def test_every_step_whose_condition_holds_runs(
        self, automation: Client, n: float, ways: list[str]
    ) -> None:
        found = automation.ran(*self.STEPS, context={"n": n})

        assert (found["status"], steps_of(found)) == ("Complete", ways)

    def test_a_branch_without_default_ends_the_workflow(self, automation: Client) -> None:
        found = automation.ran(branch("choose", a="{{data.n === 1}}"), mark("a"))

        assert (found["status"], steps_of(found)) == ("Complete", ["choose"])

    @pytest.mark.parametrize(("n", "counts"), [("yes", True), ("", False), (1, True), (0, False)])
    def test_a_value_counts_as_true_or_false_as_in_javascript(
        self, automation: Client, n: Any, *, counts: bool
    ) -> None:
        found = automation.ran(
            branch("choose", a="{{data.n}}", b=None), mark("a"), mark("b"), context={"n": n}
        )

        assert (found["status"], steps_of(found)) == ("Complete", ["choose", "a" if counts else "b"])

    def test_the_status_of_a_call_is_compared_with_a_text(self, automation: Client) -> None:
        automation.services.answers = [Answered(status=201)]
        ways = {"a": "{{step.responseCode == '201'}}", "b": "{{step.responseCode === '201'}}"}

        found = automation.ran(call("ask", selectNextStep=ways), mark("a"), mark("b"))

        assert steps_of(found) == ["ask", "a"]

    def test_outputs_are_visible_to_conditions_of_the_same_step(self, automation: Client) -> None:
        one = {**branch("choose", a="{{data.big}}", b=None), "outputs": {"big": "{{data.n > 1}}"}}

        found = automation.ran(one, mark("a"), mark("b"), context={"n": 7})

        assert steps_of(found) == ["choose", "a"]

    def test_every_step_may_have_conditions(self, automation: Client) -> None:
        automation.services.answers = [Answered(status=404)]
        ways = {"a": "{{step.responseCode < 300}}", "b": "{{step.responseCode === 404}}"}

        found = automation.ran(call("ask", selectNextStep=ways), mark("a"), mark("b"))

        assert steps_of(found) == ["ask", "b"]


class TestIf:
    """If the condition holds, the inner sequences run in order. The next step runs in any case."""

    def steps(self) -> list[Any]:
        inner = [[mark("a", nextStepId="b"), mark("b")], [wait("c")]]
        return [step("if", "If", {"condition": "{{data.go}}"}, do=inner, nextStepId="after"), mark("after")]

    def test_inner_steps_run_if_the_condition_holds(self, automation: Client) -> None:
        of = automation.saved(*self.steps())
        one = automation.started(of, {"go": True})
        automation.run(one)
        asleep = automation.workflow(of, one)
        automation.later(minutes=2)
        automation.run(one)

        assert steps_of(asleep) == ["if", "a", "b", "c"]
        assert asleep["logs"][-1]["status"] == "Sleeping"
        assert steps_of(automation.workflow(of, one)) == ["if", "a", "b", "c", "after"]

    def test_inner_steps_are_skipped_if_the_condition_fails(self, automation: Client) -> None:
        assert steps_of(automation.ran(*self.steps(), context={"go": False})) == ["if", "after"]

    def test_an_if_may_be_inside_another(self, automation: Client) -> None:
        inner = step("in", "If", {"condition": "{{data.b}}"}, do=[[mark("x")]])
        outer = step("out", "If", {"condition": "{{data.a}}"}, do=[[inner]])

        assert steps_of(automation.ran(outer, context={"a": True, "b": True})) == ["out", "in", "x"]
        assert steps_of(automation.ran(outer, context={"a": True, "b": False})) == ["out", "in"]
        assert steps_of(automation.ran(outer, context={"a": False, "b": True})) == ["out"]

    def test_the_vendors_condition_is_accepted(self, automation: Client) -> None:
        condition = (
            "{{!isTimeOfDayBetween(data.payload.status.timestamp, '08:00:00', '17:00:00',"
            " 'Singapore Standard Time')}}"
        )
        one = step("if", "If", {"condition": condition}, do=[[mark("closed")]])

        def at(timestamp: str) -> list[str]:
            return steps_of(automation.ran(one, context={"payload": {"status": {"timestamp": timestamp}}}))

        assert at("2026-01-01T04:00:00Z") == ["if"]
        assert at("2026-01-01T12:00:00Z") == ["if", "closed"]


class TestWait:
    """A wait lasts its duration, to the second, and blocks nothing."""

    @pytest.mark.parametrize(("duration", "seconds"), [("00:00:45", 45), ("0.00:02:00", 120), ("1", 86_400)])
    def test_a_wait_lasts_its_duration(self, automation: Client, duration: str, seconds: int) -> None:
        of = automation.saved(wait("pause", duration, nextStepId="a"), mark("a"))
        one = automation.started(of)
        start = automation.ports.clock.at
        automation.run(one)
        # A runner waits for the last minute of it.
        if seconds > 60:
            automation.later(seconds=seconds - 61)
            automation.run(one)
            assert automation.services.sent == []
            automation.later(seconds=1)
            automation.run(one)

        assert automation.services.urls == [url("a")]
        assert automation.ports.clock.at == start + timedelta(seconds=seconds)
        assert automation.workflow(of, one)["status"] == "Complete"

    def test_a_suspended_wait_continues_on_resume(self, automation: Client) -> None:
        of = automation.saved(wait("pause", nextStepId="a"), mark("a"))
        one = automation.started(of)
        automation.run(one)
        path = f"/definitions/{of}/workflows/{one}"
        automation("PATCH", path, {"status": "suspend"})
        automation.later(hours=1)
        automation.run(one)
        assert automation.services.sent == []

        automation("PATCH", path, {"status": "resume"})
        automation.run(one)

        assert automation.services.urls == [url("a")]


class TestWaitForReply:
    """A step waits for a reply to its correlation id. If none arrives in time, ``step.reply`` is null."""

    def saved(self, client: Client, **more: Any) -> tuple[str, str]:
        ways = {"yes": "{{step.reply != null}}", "no": "{{step.reply == null}}"}
        ask = step(
            "ask",
            "WaitForReply",
            {"from": "{{data.phone}}", "channel": "sms", "timeout": "00:05:00"},
            **{"outputs": {"reply": "{{step.reply}}"}, "selectNextStep": ways, **more},
        )
        of = client.saved(ask, mark("yes"), mark("no"))
        one = client.started(of, {"phone": "+6512345678"})
        client.run(one)
        return of, one

    def reply(self, client: Client, of: str, one: str, body: Any) -> None:
        (log,) = (log for log in client.workflow(of, one)["logs"] if log["status"] == "WaitingForEvent")
        sid, seq = InstanceSid(one), 1
        sent = SentAnswer(
            correlation_id=CorrelationId(log["correlationId"]), key="k", by=Actor(name="phone"), body=body
        )
        assert isinstance(answer_event(client.ports, sid, seq, sent), Applied)
        client.run(one)

    def test_a_step_that_waits_for_a_reply_shows_its_correlation_id(self, automation: Client) -> None:
        of, one = self.saved(automation)
        automation.later(minutes=1)

        found = automation.workflow(of, one)

        (log,) = found["logs"]
        assert found["status"] == "Runnable"
        assert (log["stepName"], log["status"], log["completedAt"]) == ("ask", "WaitingForEvent", None)
        assert log["startedAt"] == "2026-01-01T12:00:00.00Z"
        assert log["correlationId"].startswith(f"{one}-1.")

    def test_a_reply_becomes_step_reply(self, automation: Client) -> None:
        of, one = self.saved(automation)
        automation.later(minutes=1)
        self.reply(automation, of, one, {"text": "1", "user": {"msisdn": "+65"}})

        found = automation.workflow(of, one)

        assert (found["status"], steps_of(found)) == ("Complete", ["ask", "yes"])
        assert found["data"]["reply"] == {"text": "1", "user": {"msisdn": "+65"}}
        log = found["logs"][0]
        assert (log["status"], "correlationId" in log) == ("Complete", False)
        assert (log["startedAt"], log["completedAt"]) == (
            "2026-01-01T12:00:00.00Z",
            "2026-01-01T12:01:00.00Z",
        )

    def test_a_reply_arrives_through_the_core_dialect(self, automation: Client) -> None:
        of, one = self.saved(automation)
        (log,) = automation.workflow(of, one)["logs"]
        core = CoreClient(automation.ports, automation.hasher, Shop())
        path = f"/execution-event/{log['correlationId']}/resume"

        assert core("POST", path, {"text": "yes"}, key="operator.secret", secret=None)[0] == 200
        automation.run(one)

        assert automation.workflow(of, one)["data"]["reply"] == {"text": "yes"}
        assert core("POST", path, {"text": "no"}, key="operator.secret", secret=None)[0] == 409

    def test_a_missing_reply_is_null(self, automation: Client) -> None:
        of, one = self.saved(automation)
        automation.later(minutes=5)
        automation.run(one)

        found = automation.workflow(of, one)

        assert (found["status"], steps_of(found)) == ("Complete", ["ask", "no"])
        assert found["logs"][0]["status"] == "Cancelled"
        assert "reply" not in found["data"]
        assert automation("GET", f"/definitions/{of}/workflows/{one}/errors") == (200, [])

    def test_the_default_timeout_is_a_day(self, automation: Client) -> None:
        ask = step("ask", "WaitForReply", {"from": "x", "channel": "sms"}, nextStepId="a")
        of = automation.saved(ask, mark("a"))
        one = automation.started(of)
        automation.run(one)
        automation.later(hours=23)
        automation.run(one)
        assert automation.services.sent == []
        automation.later(hours=1)
        automation.run(one)

        assert steps_of(automation.workflow(of, one)) == ["ask", "a"]

    def test_outputs_of_an_earlier_reply_are_removed(self, automation: Client) -> None:
        ask = step(
            "ask",
            "WaitForReply",
            {"from": "x", "channel": "sms", "timeout": "00:05:00"},
            outputs={"reply": "{{step.reply}}"},
            nextStepId="look",
        )
        of = automation.saved(
            ask, branch("look", none="{{data.reply == null}}", ask="{{data.reply != null}}"), mark("none")
        )
        one = automation.started(of)
        automation.run(one)
        self.reply(automation, of, one, {"text": "again"})
        assert automation.workflow(of, one)["logs"][-1]["status"] == "WaitingForEvent"
        automation.later(minutes=5)
        automation.run(one)

        assert steps_of(automation.workflow(of, one)) == ["ask", "look", "ask", "look", "none"]

    @pytest.mark.parametrize("choice", [{"nextStepId": "yes", "selectNextStep": None}, {}])
    def test_outputs_of_a_reply_that_cannot_be_computed_end_the_workflow(
        self, automation: Client, choice: Any
    ) -> None:
        ask = step(
            "ask",
            "WaitForReply",
            {"from": "x", "channel": "sms"},
            outputs={"text": "{{step.reply.text}}"},
            **{name: value for name, value in choice.items() if value is not None},
        )
        of = automation.saved(ask, *([mark("yes")] if choice else []))
        one = automation.started(of)
        automation.run(one)
        self.reply(automation, of, one, {"nothing": "of that"})

        assert automation.workflow(of, one)["status"] == "Terminated"
        _, errors = automation("GET", f"/definitions/{of}/workflows/{one}/errors")
        assert errors[0]["message"].startswith("resumeControllerCallback: ")
        assert automation.services.sent == []

    def test_a_workflow_can_be_terminated_while_it_waits(self, automation: Client) -> None:
        of, one = self.saved(automation)
        automation("PATCH", f"/definitions/{of}/workflows/{one}", {"status": "terminate"})

        found = automation.workflow(of, one)

        (log,) = found["logs"]
        assert (found["status"], log["status"], "correlationId" in log) == ("Terminated", "Cancelled", False)


class TestHttpRequestTrigger:
    """The trigger starts a workflow of every enabled definition that it is for, with an empty 200."""

    def contexts(self, client: Client) -> list[dict[str, Any]]:
        return [dict(one.attributes) for one in client.ports.instances.instances.values()]

    def test_the_vendors_example_is_accepted(self, automation: Client) -> None:
        of = automation.saved(mark("a"))
        sent = {"f1": "value1", "f2": 123456, "f3": False, "o1": {"nf1": "value1", "nf2": "value2"}}

        assert automation("POST", "/triggers/http_request?subAccountId=shop", sent) == (200, None)
        assert automation.text == ""

        _, (found,) = automation("GET", f"/definitions/{of}/workflows")
        assert found["data"] == {
            **sent,
            "accountId": "a-1",
            "triggeredAt": "2026-01-01T12:00:00.0000000Z",
            "subAccountId": "shop",
        }
        automation.run(found["workflowId"])
        assert automation.services.urls == [url("a")]

    @pytest.mark.parametrize(
        ("named", "started"),
        [("", ["all"]), ("?subAccountId=shop", ["all", "shop"]), ("?subAccountId=x", ["all"])],
    )
    def test_the_trigger_starts_enabled_definitions_of_the_subaccount(
        self, automation: Client, named: str, started: list[str]
    ) -> None:
        automation.water()
        ids = {
            automation.saved(wait("a")): "all",
            automation.saved(wait("a"), subAccountId="shop"): "shop",
            automation.saved(wait("a"), status="disabled"): "disabled",
            automation.saved(wait("a"), status="disabled", trigger="inbound_sms"): "by sms",
        }
        gone = automation.saved(wait("a"))
        automation("DELETE", f"/definitions/{gone}")

        automation("POST", f"/triggers/http_request{named}", {})

        found = [ids[one.origin.strategy_id] for one in automation.ports.instances.instances.values()]
        assert sorted(found) == started

    def test_the_latest_version_decides_about_the_trigger(self, automation: Client) -> None:
        of = automation.saved(wait("a"))
        steps = {"name": "n", "steps": [mark("b")]}
        automation(
            "PUT", f"/definitions/{of}", {"trigger": "http_request", "status": "enabled", "definition": steps}
        )
        automation("POST", "/triggers/http_request", {})
        automation("PUT", f"/definitions/{of}", {"trigger": "http_request", "definition": steps})
        automation("POST", "/triggers/http_request", {})

        (one,) = automation.ports.instances.instances.values()
        assert one.strategy_version == 2

    @pytest.mark.parametrize(
        ("body", "context"), [([1], {"payload": [1]}), ("x", {"payload": "x"}), ({}, {})]
    )
    def test_every_json_value_is_accepted(self, automation: Client, body: Any, context: Any) -> None:
        automation.saved(wait("a"))

        automation("POST", "/triggers/http_request", body)

        (found,) = self.contexts(automation)
        assert {
            name: value for name, value in found.items() if name not in ("accountId", "triggeredAt")
        } == context

    def test_the_vendors_members_cannot_be_replaced(self, automation: Client) -> None:
        automation.saved(wait("a"))

        automation("POST", "/triggers/http_request", {"accountId": "evil", "triggeredAt": "never"})

        (found,) = self.contexts(automation)
        assert found == {"accountId": "a-1", "triggeredAt": "2026-01-01T12:00:00.0000000Z"}

    def test_a_repeated_request_starts_no_workflow(self, automation: Client) -> None:
        automation.saved(wait("a"))
        automation.saved(wait("a"))
        key = {"idempotency-key": "event-1"}

        for _ in range(2):
            assert automation("POST", "/triggers/http_request", {"n": 1}, more=key) == (200, None)

        assert len(automation.ports.instances.instances) == 2
        found = automation.refusal("POST", "/triggers/http_request", {"n": 2}, more=key)
        assert found == (422, 1000, "The Idempotency-Key was used with another request.")

    @pytest.mark.parametrize(
        ("query", "raw", "message"),
        [
            ("", b"{", "Request is invalid."),
            ("?subAccountId=", b"{}", "Invalid subAccountId."),
            (f"?subAccountId={'x' * 101}", b"{}", "Invalid subAccountId."),
        ],
    )
    def test_invalid_requests_are_refused(
        self, automation: Client, query: str, raw: bytes, message: str
    ) -> None:
        automation.saved(wait("a"))

        assert automation.refusal("POST", f"/triggers/http_request{query}", raw=raw) == (400, 1000, message)
