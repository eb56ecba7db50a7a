"""Each input of a client acts, or is refused with a reason. Source: docs/contracts/core.md section 1.3."""

import json
from typing import Any

import pytest

from shared.domain.calendar.instance_schedule import OwnSchedule
from shared.domain.strategy.model import StrategyHead
from tests.cases.engine import Engine, changed, settings_of
from tests.dialects.automation.client import Client as AutomationClient
from tests.dialects.automation.client import call
from tests.dialects.core.client import Client
from tests.dialects.orders.client import Joc
from tests.dialects.process.client import BASE, ProcessClient
from tests.dialects.wire import NOON

PLAIN = settings_of("nul-attribute")
NUL = "must not contain a NUL character"
HALF = "must not contain half of a surrogate pair"
MAX_ANSWER_BYTES = 64 * 1024
TEXTS = [("a\\u0000b", NUL), ("\\u0000", NUL), ("\\ud83d", HALF), ("\\ude00", HALF), ("\\ude00\\ud83d", HALF)]


def raw_of(text: str, rest: str = "") -> list[tuple[str, bytes]]:
    """Return bodies with a text as an attribute and as its name, and the beginning of the message about each."""
    value, name = f'{{"attributes": {{"a": "{text}"}}{rest}}}', f'{{"attributes": {{"a{text}": 1}}{rest}}}'
    return [("must not contain", value.encode()), ("the name 'a", name.encode())]


class TestBodyOfACancel:
    """An unknown member is refused, because an operation never ignores a member of its body."""

    @pytest.mark.parametrize(
        "path",
        [
            "/execution-instance/{sid}/cancel",
            "/execution-instance/{sid}/pause",
            "/execution-instance/{sid}/resume",
            "/execution-event/{sid}-1/cancel",
            "/execution-event/{sid}-1/execute",
            "/queue",
        ],
    )
    def test_an_unknown_member_is_refused(self, engine: Engine, path: str) -> None:
        run = engine.start(PLAIN)
        status, answer = engine.client("POST", path.format(sid=run.sid), {"when": "2061-01-01T00:00:00Z"})

        assert status == 400
        assert [(one["pointer"], one["rule"]) for one in answer["problems"]] == [("/when", "unknown-field")]
        assert run.instance()["status"] == "ACTIVE"

    @pytest.mark.parametrize("body", [None, {}])
    def test_without_members_it_acts(self, engine: Engine, body: Any) -> None:
        run = engine.start(PLAIN)
        run.command("/execution-instance/{sid}/cancel", body)

        assert run.instance()["status"] == "CANCELED"

    @pytest.mark.parametrize("body", [[], ["at"], "2061-01-01T00:00:00Z", 5])
    def test_another_value_is_refused(self, engine: Engine, body: Any) -> None:
        run = engine.start(PLAIN)

        assert engine.client("POST", f"/execution-instance/{run.sid}/cancel", body)[0] == 400
        assert run.instance()["status"] == "ACTIVE"


class TestDateWithoutTime:
    """A schema that asks for a date and time refuses a date with the form it must have; other dates begin their day."""

    FORM = "a date and time with an offset such as 2026-01-31T10:00:00Z"

    def refusal(self, engine: Engine, schema: Any, due: Any) -> str:
        """Return the message about an attribute, without the place in its schema."""
        engine.save({**PLAIN, "instanceValidation": schema})
        body = {"strategyId": "case", "attributes": {"due": due}}
        status, answer = engine.client("POST", "/execution-instance", body)
        assert (status, [one["pointer"] for one in answer["problems"]]) == (400, ["/attributes/due"])
        return str(answer["problems"][0]["message"]).partition(" (")[0]

    @pytest.mark.parametrize(
        "due", ["2026-03-15", "15/03/2026", "2026-03-15T10:00:00", "2026-02-30T10:00:00Z", 5]
    )
    def test_a_timestamp_says_its_form(self, engine: Engine, due: Any) -> None:
        message = self.refusal(engine, {"properties": {"due": {"type": "timestamp"}}}, due)

        assert message == f"must be of type timestamp; write {self.FORM}"

    def test_a_date_time_of_a_json_schema_says_its_form(self, engine: Engine) -> None:
        schema = {"type": "object", "properties": {"due": {"format": "date-time"}}}

        assert (
            self.refusal(engine, schema, "2026-03-15") == f'the value is not a "date-time"; write {self.FORM}'
        )

    @pytest.mark.parametrize("field", ["startDate", "endDate"])
    def test_a_date_of_the_body_begins_its_day_in_the_zone_of_the_strategy(
        self, engine: Engine, field: str
    ) -> None:
        engine.save({**PLAIN, "config": {"timezone": "Europe/Berlin"}})
        status, answer = engine.client(
            "POST", "/execution-instance", {"strategyId": "case", field: "2061-03-15"}
        )

        assert (status, answer["executionInstance"][field]) == (201, "2061-03-14T23:00:00.000Z")

    @pytest.mark.parametrize("text", ["15/03/2026", "2026-03-15T10:00:00", "2026-3-15", "2026-02-30x", ""])
    def test_another_date_of_the_body_says_its_form(self, engine: Engine, text: str) -> None:
        engine.save(PLAIN)
        status, answer = engine.client(
            "POST", "/execution-instance", {"strategyId": "case", "startDate": text}
        )

        forms = f"a date such as 2026-01-31, or {self.FORM}"
        assert (status, answer["message"]) == (400, [f"/startDate: {text!r} is not {forms}"])

    def test_a_date_and_time_is_accepted(self, engine: Engine) -> None:
        settings = {**PLAIN, "instanceValidation": {"properties": {"due": {"type": "timestamp"}}}}

        run = engine.start(settings, {"due": "2026-03-15T00:00:00+01:00"})
        assert run.instance()["attributes"] == {"due": "2026-03-15T00:00:00+01:00"}

    @pytest.mark.parametrize(
        ("due", "date"),
        [("2026-03-15", "2026-03-15T00:00:00.000Z"), ("2026-03-15T09:30Z", "2026-03-15T09:30:00.000Z")],
    )
    def test_a_plan_may_count_from_a_date(self, engine: Engine, due: str, date: str) -> None:
        delay = {"unit": "days", "amount": 0, "from": "due"}
        run = engine.start(changed(PLAIN, schedule_initialDelay=delay), {"due": due})

        assert run.instance()["nextEvent"]["date"] == date

    def test_a_plan_that_cannot_count_from_it_says_its_forms(self, engine: Engine) -> None:
        delay = {"unit": "days", "amount": 0, "from": "due"}
        engine.save(changed(PLAIN, schedule_initialDelay=delay))
        body = {"strategyId": "case", "attributes": {"due": "15/03/2026"}}
        status, answer = engine.client("POST", "/execution-instance", body)

        assert status == 400
        assert answer["message"] == [
            f"/attributes/due: must be a date such as 2026-01-31, or {self.FORM}, because the plan counts from it"
        ]


class TestUnusableTexts:
    """NUL and half of a surrogate pair are refused in attributes and in their names, in every dialect."""

    @pytest.mark.parametrize(("text", "fault"), TEXTS)
    def test_a_new_instance_is_refused(self, engine: Engine, text: str, fault: str) -> None:
        engine.save(PLAIN)
        for start, raw in raw_of(text, ', "strategyId": "case"'):
            status, answer = engine.client("POST", "/execution-instance", raw=raw)
            message = answer["problems"][0]["message"]
            assert (status, message.startswith(start), message.endswith(fault)) == (400, True, True)
            assert answer["problems"][0]["pointer"].startswith("/attributes")
        assert engine.client.ports.instances.instances == {}

    @pytest.mark.parametrize(("text", "fault"), TEXTS)
    def test_a_change_of_an_instance_is_refused(self, engine: Engine, text: str, fault: str) -> None:
        run = engine.start(PLAIN, {"a": "before"})
        for start, raw in raw_of(text):
            status, answer = engine.client("PATCH", f"/execution-instance/{run.sid}", raw=raw)
            message = answer["problems"][0]["message"]
            assert (status, message.startswith(start), message.endswith(fault)) == (400, True, True)
        assert run.instance()["attributes"] == {"a": "before"}

    @pytest.mark.parametrize(("text", "fault"), TEXTS)
    def test_data_of_an_event_are_refused(self, engine: Engine, text: str, fault: str) -> None:
        run = engine.start(PLAIN)
        raw = f'{{"task": "t", "data": {{"a": "{text}"}}}}'.encode()
        status, answer = engine.client("POST", f"/execution-instance/{run.sid}/events", raw=raw)

        assert (status, answer["problems"][0]["message"]) == (400, fault)

    @pytest.mark.parametrize(("text", "fault"), TEXTS)
    def test_the_other_dialects_refuse_it(
        self, process: ProcessClient, joc: Joc, text: str, fault: str
    ) -> None:
        raw = f'{{"name": "OneStepNotepadRunner", "values": {{"kullaniciAdi": "{text}"}}}}'.encode()
        status, answer = process("POST", f"{BASE}/start", raw=raw)
        assert (status, answer["message"].endswith(fault)) == (400, True)

        joc.workflow()
        order = f'{{"controllerId": "a-1", "orders": [{{"workflowPath": "/refill", "arguments": {{"a": "{text}"}}}}]}}'
        headers = {"X-Access-Token": joc.token("operator")}
        status, answer = joc.send("/joc/api/orders/add", headers=headers, raw=order.encode())
        assert (status, fault in answer["error"]["message"]) == (420, True)
        assert process.ports.instances.instances == {}

    @pytest.mark.parametrize("text", [text for text, _ in TEXTS])
    def test_a_workflow_of_the_automation_dialect_refuses_it(
        self, automation: AutomationClient, text: str
    ) -> None:
        of = automation.saved(call("only"))
        raw = f'{{"a": ["{text}"]}}'.encode()

        refusal = automation.refusal("POST", f"/definitions/{of}/workflows", raw=raw)
        assert refusal == (400, 1000, "Request is invalid.")

    @pytest.mark.parametrize("text", ["\U0001f600", "é", "\x01\x1f\x7f", "\ufffe\uffff", "\\u0000", ""])
    def test_other_texts_arrive_and_the_plan_goes_on(self, engine: Engine, text: str) -> None:
        settings = changed(PLAIN, actions_0_data={"a": "{{attributes.name}}"})
        run = engine.start(settings, {"name": text}).advance(days=2)

        assert [one.body for one in engine.services.sent] == [{"a": text}] * 3
        assert run.instance()["cycle"] == 4


class TestBoundedErrors:
    """No refusal grows with the problems of its request: a body of 100 KB has an answer under 64 KB."""

    def size(self, client: Client, body: Any) -> int:
        """Return the size of the answer about a definition that is refused."""
        raw = json.dumps(body).encode()
        assert 50_000 < len(raw) <= 256 * 1024
        status, answer = client("POST", "/execution-strategy/validate", raw=raw)
        assert (status, answer.get("valid", False)) in ((200, False), (400, False))
        assert answer["problems"]
        return len(json.dumps(answer, ensure_ascii=False).encode("utf-8", "surrogatepass"))

    def test_the_case_is_bounded(self, client: Client) -> None:
        assert self.size(client, {"n" * 100_000: ["\ud800"] * 1_000}) < MAX_ANSWER_BYTES

    @pytest.mark.parametrize(
        "body",
        [
            {"settings": {"n" * 100_000: ["\ud800"] * 1_000}},
            {"settings": {**PLAIN, "x": "\ud800" * 10_000}},
            {f"{'n' * 100}{number}": 1 for number in range(1_000)},
            {"settings": PLAIN, "name": "é" * 20_000},
            {"settings": changed(PLAIN, actions_0_data={"n" * 60_000: "{{nosuch.a}}"})},
            {"settings": changed(PLAIN, actions_0_data=["{{nosuch.a}}"] * 5_000)},
            {"settings": changed(PLAIN, tasks=[{"key": "k" * 60_000}])},
        ],
        ids=["settings", "one text", "names", "a name", "a long name", "templates", "a key"],
    )
    def test_other_large_bodies_are_bounded(self, client: Client, body: Any) -> None:
        assert self.size(client, body) < MAX_ANSWER_BYTES

    @pytest.mark.parametrize(("count", "reported"), [(49, 49), (50, 50), (51, 51), (1_000, 51)])
    def test_fifty_problems_are_reported_and_the_others_counted(
        self, client: Client, count: int, reported: int
    ) -> None:
        body = {"settings": PLAIN, **{f"x{number}": 1 for number in range(count)}}
        _, answer = client("POST", "/execution-strategy/validate", body)

        assert len(answer["problems"]) == reported
        assert [one["rule"] for one in answer["problems"]].count("more") == int(count > 50)


class TestRegexOfOrders:
    """``regex`` of ``/orders`` selects matching orders, or is refused; it never selects all."""

    @pytest.fixture
    def workflow(self, joc: Joc) -> StrategyHead:
        return joc.workflow()

    @pytest.mark.parametrize("regex", ["^/other-workflow/", ".*", "refill", "(", "x{1,100000}"])
    def test_a_bad_input_is_refused(self, joc: Joc, workflow: StrategyHead, regex: str) -> None:
        joc.order(workflow)
        status, answer = joc("/orders", {"regex": regex})

        assert (status, answer["error"]["code"], "regex" in answer["error"]["message"]) == (
            420,
            "JOC-400",
            True,
        )

    @pytest.mark.parametrize("path", ["/orders/cancel", "/orders/suspend", "/orders/resume"])
    def test_no_command_reaches_every_order(self, joc: Joc, workflow: StrategyHead, path: str) -> None:
        sid = joc.order(workflow, start_date=NOON.replace(day=2), schedule=OwnSchedule())
        body = {"workflowIds": [{"path": "/refill"}], "regex": "^/other-workflow/"}

        assert joc(path, body)[0] == 420
        assert (joc.state(sid), joc.ports.instances.audit) == ("SCHEDULED", [])

    @pytest.mark.parametrize("regex", [None, ""])
    def test_without_a_value_it_is_no_filter(
        self, joc: Joc, workflow: StrategyHead, regex: str | None
    ) -> None:
        sid = joc.order(workflow)
        status, answer = joc("/orders", {"regex": regex})

        assert (status, [one["orderId"] for one in answer["orders"]]) == (200, [sid])

    def test_the_workflow_can_be_named_instead(self, joc: Joc, workflow: StrategyHead) -> None:
        joc.order(workflow)
        other = joc.order(joc.workflow("other-workflow"))
        _, answer = joc("/orders", {"workflowIds": [{"path": "/other-workflow"}]})

        assert [one["orderId"] for one in answer["orders"]] == [other]
