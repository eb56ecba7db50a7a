"""Numbers arrive as they were sent. Source: docs/expressions.md; docs/decisions/0033."""

from collections.abc import Iterator
from typing import Any

import pytest

from dev.memory.evaluator import InProcessEvaluator
from shared.adapters.evaluator.process import ProcessEvaluator
from shared.adapters.http.service_caller import HttpServiceCaller
from shared.adapters.system import monotonic
from shared.domain.steps.call import Answered
from shared.expressions import use_evaluator
from tests.adapters.http.http_stub import answer, serving
from tests.cases.engine import Engine, changed, settings_of, with_service
from tests.dialects.automation.client import Client as AutomationClient
from tests.dialects.automation.client import call
from tests.dialects.process.client import NOW_ONLY, ProcessClient, notepad

BIG = 7615917337495251231
PLAIN = settings_of("nul-attribute")


@pytest.fixture(params=["in this process", "in a process of its own"], autouse=True)
def evaluator(request: pytest.FixtureRequest) -> Iterator[None]:
    """Evaluate in this process and in another one, which numbers reach as text."""
    if request.param == "in this process":
        yield
        return
    process = ProcessEvaluator(seconds=monotonic, environment={})
    use_evaluator(process)
    yield
    process.close()
    use_evaluator(InProcessEvaluator())


@pytest.mark.allow_hosts(["127.0.0.1"])
class TestBigId:
    """7615917337495251231 arrives as it was sent: in the body, the path, attributes and outputs."""

    SETTINGS = changed(
        settings_of("big-id"),
        services_0_methods_0={"key": "m", "url": "/v1/:id", "method": "post"},
        actions_0_data={
            "id": "{{attributes.id}}",
            "same": "${attributes.id}",
            "text": "no. {{attributes.id}}",
        },
        actions_0_params={"id": "{{attributes.id}}"},
        tasks_0_outputs={"sent": "{{attributes.id}}", "received": "{{stack.s.response.id}}"},
    )

    @pytest.mark.parametrize("number", [BIG, -BIG, 2**53 + 1, 2**53 - 1, 2**63, 10**30, 0])
    def test_a_number_keeps_its_digits(self, engine: Engine, caller: HttpServiceCaller, number: int) -> None:
        with serving(answer({"id": number})) as service:
            run = engine.calling(caller).start(with_service(self.SETTINGS, service), {"id": number})

        (seen,) = service.seen
        assert seen.target == f"/v1/{number}?id={number}"
        assert seen.body.decode() == f'{{"id":{number},"same":{number},"text":"no. {number}"}}'
        instance = run.instance()
        assert instance["attributes"] == {"id": number}
        assert instance["outputs"] == {"sent": number, "received": number}
        assert [type(value) for value in instance["outputs"].values()] == [int, int]

    def test_a_get_has_it_in_its_path(self, engine: Engine, caller: HttpServiceCaller) -> None:
        with serving() as service:
            engine.calling(caller).start(with_service(settings_of("big-id"), service), {"id": BIG})

        assert [one.target for one in service.seen] == ["/v1/7615917337495251231"]

    def test_a_workflow_of_the_automation_dialect_sends_it(self, automation: AutomationClient) -> None:
        step = call("only", "https://api.example.com/v1/{{data.id}}", inputs={"body": {"id": "{{data.id}}"}})
        workflow = automation.ran(step, context={"id": BIG})

        (sent,) = automation.services.sent
        assert sent.url == "https://api.example.com/v1/7615917337495251231"
        assert workflow["data"]["id"] == BIG

    def test_a_process_returns_it(self, process: ProcessClient) -> None:
        process.saved(notepad("big", tasks=[_echo()]))
        sid = process.start(name="big", values={"id": BIG}, **NOW_ONLY).sid
        process.run(sid)

        assert process.status(sid)["__out_id"] == BIG


def _echo() -> dict[str, Any]:
    steps = [{"key": "write", "action": "write", "final": True}]
    return {"key": "run", "initialStep": "write", "steps": steps, "outputs": {"id": "{{attributes.id}}"}}


class TestNumbersInTexts:
    """No text has an exponent: ``INV-1234567`` and ``c-12345678``."""

    @pytest.mark.parametrize("number", [1_234_567, 999_999, 1_000_000, 123_456_789_012, BIG, -1_234_567])
    def test_a_number_of_an_order_has_all_digits(self, engine: Engine, number: int) -> None:
        engine.start(settings_of("string-of-a-million"), {"orderId": number})

        assert engine.services.sent[0].body == {"ref": f"INV-{number}"}

    @pytest.mark.parametrize(
        ("number", "text"),
        [
            (12_345_678, "c-12345678"),
            (12_345_678.0, "c-12345678"),
            (12_345_678.5, "c-12345678.5"),
            (0.0000001, "c-0.0000001"),
            (1e21, "c-1000000000000000000000"),
            (5.0, "c-5"),
        ],
    )
    def test_a_fraction_has_no_exponent_either(self, engine: Engine, number: float, text: str) -> None:
        settings = changed(PLAIN, actions_0_data={"v": "${'c-' + string(attributes.id)}"})
        engine.start(settings, {"id": number})

        assert engine.services.sent[0].body == {"v": text}

    def test_the_same_holds_for_arithmetic_and_for_templates(self, engine: Engine) -> None:
        data = {"a": "${'c-' + string(attributes.id * 10.0)}", "b": "c-{{attributes.id}}"}
        engine.start(changed(PLAIN, actions_0_data=data), {"id": 12_345_678})

        assert engine.services.sent[0].body == {"a": "c-123456780", "b": "c-12345678"}


class TestLongIndex:
    """``{{stack.s.response.l.999…}}`` is null or refused when it is saved; it never ends a process."""

    @pytest.mark.parametrize("index", ["9" * 3, "9" * 20, "9" * 400, "9" * 4_000, "-1", "1e3"])
    def test_an_index_beyond_the_list_is_null(self, engine: Engine, index: str) -> None:
        self._run(engine, index)

        assert engine.services.sent[1].body == {"v": None, "first": "a"}

    @pytest.mark.parametrize("digits", [5_000, 100_000])
    def test_an_index_of_many_digits_is_null_or_refused(self, engine: Engine, digits: int) -> None:
        settings = self._settings("9" * digits)
        status, answer = engine.client("POST", "/execution-strategy/validate", {"settings": settings})

        assert status == 200
        if answer["valid"]:
            self._run(engine, "9" * digits)
            assert engine.services.sent[1].body == {"v": None, "first": "a"}
        else:
            assert [one["pointer"] for one in answer["problems"]] == ["/settings/actions/1/data/v"]

    @pytest.mark.parametrize(("index", "value"), [("0", "a"), ("1", "b"), ("2", None)])
    def test_an_index_of_the_list_is_its_element(self, engine: Engine, index: str, value: str | None) -> None:
        self._run(engine, index)

        assert engine.services.sent[1].body == {"v": value, "first": "a"}

    def _settings(self, index: str) -> dict[str, Any]:
        second = {
            "key": "b",
            "service": "svc",
            "method": "m",
            "data": {"v": f"{{{{stack.s.response.l.{index}}}}}", "first": "{{stack.s.response.l.0}}"},
        }
        steps = [{"key": "s", "action": "a", "nextStep": "t"}, {"key": "t", "action": "b"}]
        settings = changed(PLAIN, tasks_0_steps=steps)
        settings["actions"].append(second)
        return settings

    def _run(self, engine: Engine, index: str) -> None:
        engine.services.answers = [Answered(status=200, body={"l": ["a", "b"]})]
        engine.start(self._settings(index))
