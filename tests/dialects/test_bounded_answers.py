"""No answer and no log line grows with the problems of a request: an answer has at most 64 KB for every request."""

import json
import logging
from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest

from shared.application.log_lines import MAX_ENTRIES, MAX_TEXT_CHARACTERS, log_line
from tests.dialects.automation.client import BASE, step
from tests.dialects.automation.client import Client as AutomationClient
from tests.dialects.core.client import GYM, WATER, WIRE, Client
from tests.dialects.orders.client import Joc
from tests.dialects.process.client import BASE as PROCESS
from tests.dialects.process.client import ProcessClient

MOST = 64 * 1024
LONG = "é" * 50_000
HALVES = {"n" * 100_000: ["\ud800"] * 1_000}
LISTS: Mapping[str, Any] = {f"v{number}": [] for number in range(10_000)}
NAMES = {f"{'x' * 200}{number}": 1 for number in range(600)}
SHOWN = {"authorization": "Bearer admin.secret", "strategy-secret": "cGV0LWZvb2QtYW5kLWZyaWVuZHM="}
SETTINGS: Mapping[str, Any] = WATER["settings"]


def expression(number: int) -> dict[str, Any]:
    return {"key": f"s{number}", "controllerCallback": f"{'😀 ' * 400}{number}"}


DEFINITIONS: Mapping[str, Any] = {
    "half surrogates under a long name": HALVES,
    "unknown names": {**WATER, **NAMES},
    "unknown settings": {**WATER, "settings": {**SETTINGS, **NAMES}},
    "a long unknown name": {**WATER, "settings": {**SETTINGS, LONG: 1}},
    "wrong settings": {**WATER, "settings": {**SETTINGS, "tasks": [1] * 30_000}},
    "wrong expressions": {
        **WATER,
        "settings": {
            **SETTINGS,
            "tasks": [{"key": "t", "initialStep": "s0", "steps": [expression(n) for n in range(60)]}],
        },
    },
    "wrong templates": {
        **WATER,
        "settings": {
            **SETTINGS,
            "actions": [{"key": "a", "data": {"d": [f"{{{{{LONG[:40_000]}.x}}}}"] * 2}}] * 1,
        },
    },
    "many templates": {
        **WATER,
        "settings": {**SETTINGS, "actions": [{"key": "a", "data": {"d": ["{{é.x}} é"] * 9_000}}]},
    },
    "one long template": {
        **WATER,
        "settings": {**SETTINGS, "actions": [{"key": "a", "data": {"d": "{{é.x}} " * 9_000}}]},
    },
    "a wrong schema": {
        **WATER,
        "settings": {**SETTINGS, "instanceValidation": {"properties": dict.fromkeys(NAMES, 1)}},
    },
    "a wrong JSON Schema": {
        **WATER,
        "settings": {
            **SETTINGS,
            "instanceValidation": {"type": "object", "properties": {f"é{n}": 1 for n in range(900)}},
        },
    },
    "repeated keys": {**WATER, "settings": {**SETTINGS, "services": [{"key": "é" * 90}] * 400}},
}


def raw(value: Any) -> bytes:
    """Return a body, as small as it can be written."""
    try:
        return json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(value).encode()


class TestCore:
    """Creating, checking and starting."""

    @pytest.mark.usefixtures("client")
    @pytest.mark.parametrize("name", DEFINITIONS)
    @pytest.mark.parametrize("path", ["/execution-strategy", "/execution-strategy/validate"])
    def test_problems_of_a_definition_are_bounded(self, path: str, name: str) -> None:
        reply = WIRE.send("POST", path, headers=SHOWN, raw=raw(DEFINITIONS[name]))
        assert reply.status == (200 if "validate" in path else 400)
        assert len(reply.text.encode()) < MOST
        assert 1 <= len(reply.decoded["problems"]) <= 51
        WIRE.check(reply)

    @pytest.mark.parametrize(
        "attributes",
        [LISTS, {LONG: []}, {"a" * 7_000: [], "b" * 7_000: []}, NAMES, HALVES, {"😀" * 3_000: None}],
        ids=["lists", "long", "two", "names", "halves", "large"],
    )
    def test_problems_of_attributes_are_bounded(self, client: Client, attributes: Any) -> None:
        client.saved(GYM)
        body = {"strategyId": "gym-membership", "attributes": attributes}
        client("POST", "/execution-instance", body, secret=GYM["secret"])
        reply = WIRE.send(
            "POST",
            "/execution-instance",
            headers={**SHOWN, "strategy-secret": "c3RpY2t5LWZpbmdlcnMtMjAyNg=="},
            raw=raw(body),
        )
        assert len(reply.text.encode()) < MOST

    @pytest.mark.usefixtures("client")
    @pytest.mark.parametrize("query", ["&".join(f"é{n}=1" for n in range(500)), f"{'x' * 9_000}=1"])
    def test_problems_of_a_query_are_bounded(self, query: str) -> None:
        reply = WIRE.send("GET", f"/queue?{query}", headers=SHOWN)
        assert reply.status == 400
        assert len(reply.text.encode()) < MOST

    @pytest.mark.usefixtures("client")
    def test_repeated_members_are_bounded(self) -> None:
        body = b'{"%s": 1, "%s": 2}' % (b"x" * 100_000, b"x" * 100_000)
        reply = WIRE.send("POST", "/queue", headers=SHOWN, raw=body)
        assert reply.status == 400
        assert len(reply.text.encode()) < 2_000


class TestOtherDialects:
    """Each in its own shape."""

    @pytest.mark.parametrize(
        "steps",
        [
            [step("s" * 90, "HttpRequest", {**NAMES, "url": LONG})],
            [step(f"é{number}", LONG[:300]) for number in range(300)],
            [step(f"s{number}", "HttpRequest", {"url": "{{ é }}", "method": "x"}) for number in range(800)],
            [1] * 50_000,
        ],
        ids=["unknown inputs", "unknown kinds", "wrong inputs", "no steps"],
    )
    def test_problems_of_an_8x8_definition_are_bounded(
        self, automation: AutomationClient, steps: Any
    ) -> None:
        body = {"trigger": "http_request", "status": "enabled", "definition": {"name": "n", "steps": steps}}
        status, answer = automation("POST", f"{BASE}/definitions", raw=raw(body))
        assert (status, answer["code"]) == (400, 5001)
        assert len(automation.text.encode()) < MOST

    def test_problems_of_a_process_are_bounded(self, process: ProcessClient) -> None:
        kinds: list[Any] = [LISTS, {LONG[:20_000]: []}, HALVES]
        for values in kinds:
            body = {"name": "OneStepNotepadRunner", "values": values, "surplus": 1}
            status, answer = process("POST", f"{PROCESS}/start", raw=raw(body))
            assert status == 400
            assert len(json.dumps(answer)) < MOST

    def test_refused_orders_are_bounded(self, joc: Joc) -> None:
        joc.workflow(
            instanceValidation={"properties": {name: {"type": "string"} for name in list(NAMES)[:100]}}
        )
        orders = [{"workflowPath": "/refill"}, *({"workflowPath": f"/{'😀' * 150}"} for _ in range(99))]
        status, answer = joc("/orders/add", {"orders": orders})
        assert status == 419, answer
        assert len(answer["errors"]) == 100
        assert len(json.dumps(answer)) < MOST

    def test_wrong_orders_are_bounded(self, joc: Joc) -> None:
        for body in ({"orders": [1] * 40_000}, {"orders": [{"orderName": LONG}] * 100}, HALVES):
            status, answer = joc("/orders/add", body)
            assert status == 420
            assert len(json.dumps(answer)) < MOST


class TestLogLines:
    """Texts and lists of a log record are cut."""

    def test_a_small_record_is_not_changed(self) -> None:
        record = {
            "message": "run finished",
            "claimed": 2,
            "ok": True,
            "why": None,
            "rate": 0.5,
            "l": [1, "a"],
        }
        assert json.loads(log_line(record)) == record

    def test_a_long_text_keeps_its_beginning_and_its_end(self) -> None:
        line = json.loads(log_line({"exception": f"Traceback{'x' * 100_000}ValueError"}))
        assert line["exception"].startswith("Traceback")
        assert line["exception"].endswith("ValueError")
        assert len(line["exception"]) == MAX_TEXT_CHARACTERS + len(" ... ")

    def test_a_long_list_a_deep_value_and_other_objects_are_cut(self) -> None:
        deep: Any = 1
        for _ in range(100):
            deep = {"a": [deep]}
        line = json.loads(log_line({"frames": list(range(1_000)), "deep": deep, "at": logging}))
        assert line["frames"] == list(range(MAX_ENTRIES))
        assert len(json.dumps(line["deep"])) < 100
        assert line["at"].startswith("<module 'logging'")

    def test_a_short_line_is_not_cut(self) -> None:
        many = {"frames": list(range(MAX_ENTRIES + 1))}
        assert json.loads(log_line(many)) == many

    def test_other_mappings_are_objects(self) -> None:
        assert json.loads(log_line({"a": MappingProxyType({"b": (1, Decimal("1.5"))})})) == {
            "a": {"b": [1, "1.5"]}
        }

    def test_what_json_cannot_express_is_cut(self) -> None:
        circle: dict[str, Any] = {"a": 1}
        circle["b"] = circle
        line = json.loads(log_line({"names": {(1, 2): 3}, "circle": circle}))
        assert line["names"] == {"(1, 2)": 3}
        assert line["circle"]["b"]["a"] == 1

    def test_a_failure_logs_a_bounded_line(
        self, client: Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def fail(_: object) -> bool:
            raise RuntimeError("x" * 1_000_000)

        monkeypatch.setattr(type(client.ports.access), "queue_flag", lambda *_: fail(_))
        status, _ = client("GET", "/queue")
        assert status == 500
        assert len(capsys.readouterr().out) < 100_000
