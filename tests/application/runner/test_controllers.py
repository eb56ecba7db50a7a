"""Named controllers and outputs, run by the step runner."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from dev.memory.world import ManualClock, MemoryPorts
from shared.application.runner.loop import run_due_events
from shared.application.start import StartInstance, start_instance
from shared.application.strategies import NewStrategy, create_strategy
from shared.domain.errors import InvalidInputError
from shared.domain.ids import AccountId, StrategySid
from shared.domain.instance.event import EventStatus
from shared.domain.instance.journal import EventRecord
from shared.domain.instance.model import Instance
from shared.domain.instance.run import Ending, RunEnd
from shared.domain.steps.call import Answered, CallOutcome, ServiceRequest
from shared.domain.strategy.model import Json, Strategy
from shared.domain.strategy.parse import read_definition
from tests.factories import NOON, Journey, a_success, settings, step, task
from tests.lifecycle_factories import life, succeeded


class Shop:
    """A service that sells everything at a price."""

    def call(self, _: ServiceRequest) -> CallOutcome:
        return Answered(status=201, body={"id": "s-1", "price": 9.5})


@dataclass
class Registered:
    """``Controllers`` that the test registers. ``calls`` are the variables of each call."""

    names: Collection[str] = ("grade",)
    calls: list[Mapping[str, Any]] = field(default_factory=list)

    def run(self, name: str, variables: Mapping[str, Any]) -> Json:
        assert name == "grade"
        self.calls.append(variables)
        return {"response": {"grade": "A", "of": variables["response"]}, "attributes": {"grade": "A"}}


def ran(document: dict[str, Any]) -> tuple[MemoryPorts, Instance, EventRecord]:
    """Run the first cycle of a plan to its end."""
    controllers = Registered()
    ports = MemoryPorts(caller=Shop(), clock=ManualClock(NOON), controllers=controllers)
    strategy = Strategy(
        sid=StrategySid("s-1"),
        account_id=AccountId("a-1"),
        name="shop",
        version=1,
        definition=read_definition(document, environment="dev", controllers=controllers.names),
        environment="dev",
    )
    ports.strategies.add(strategy)
    calls = StartInstance(strategy_id="shop", start_date=NOON, attributes={})
    sid = start_instance(ports, strategy, calls).instance.sid
    run_due_events(ports, sid, job="job", time_left=lambda: timedelta(minutes=15))
    instance = ports.instances.load(sid)
    assert instance is not None
    return ports, instance, ports.instances.records[(sid, 1)]


class TestNamedControllers:
    """A step calls its named controller when its call has been answered."""

    def test_a_controller_sees_the_answer_and_its_directives_are_applied(self) -> None:
        graded = step("buy", action="post", controller="grade", nextStep="note")
        audit_entry = step("note", controllerCallback='{"response": stack.buy.response.grade}', final=True)

        ports, instance, record = ran(settings(task("charge", graded, audit_entry)))

        assert record.event.status is EventStatus.PROCESSED
        assert instance.attributes == {"grade": "A"}
        assert record.last is not None
        assert record.last.outcome.response == "A"
        assert isinstance(ports.controllers, Registered)
        (seen,) = ports.controllers.calls
        assert seen["response"] == {"id": "s-1", "price": 9.5}
        assert (seen["env"], seen["cycle"]) == ("dev", 1)

    def test_a_strategy_with_an_unregistered_controller_is_refused(self) -> None:
        ports = MemoryPorts(caller=Shop(), clock=ManualClock(NOON), controllers=Registered())
        document = settings(task("charge", step("buy", action="post", controller="judge")))
        new = NewStrategy(account_id=AccountId("a-1"), name="shop", settings=document)
        with pytest.raises(InvalidInputError) as refused:
            create_strategy(ports, _NoHasher(), new, environment="dev")
        assert [p.pointer for p in refused.value.problems] == ["/settings/tasks/0/steps/0/controller"]
        assert ports.strategies.strategies == {}


class _NoHasher:
    def hash(self, secret: str) -> str:
        raise AssertionError(secret)

    def hashes(self, secret: str) -> Sequence[str]:
        raise AssertionError(secret)

    def matches(self, secret: str, secret_hash: str) -> bool:
        raise AssertionError(secret, secret_hash)


OUTPUTS = {
    "payment": "{{stack.only.response.id}}",
    "total": "${stack.only.response.price * 2.0}",
    "text": "a {{cycle}}",
}


class TestOutputs:
    """Outputs are rendered when an event succeeds, and stored with its record and on the instance."""

    def test_outputs_are_stored_with_the_record_and_the_instance(self) -> None:
        _, instance, record = ran(settings(task("charge", outputs=OUTPUTS)))

        assert record.end is not None
        assert record.end.outputs == {"payment": "s-1", "total": 19, "text": "a 1"}
        assert instance.outputs == record.end.outputs

    def test_an_output_that_cannot_be_rendered_is_left_out_with_a_note(self) -> None:
        run = Journey(settings(task("charge", outputs={"ok": "{{cycle}}", "bad": "${1 / (cycle - 1)}"})))

        run.goes(a_success())

        assert run.end.outputs == {"ok": 1}
        assert len(run.last.notes) == 1
        assert run.last.notes[0].startswith("output bad: ")

    def test_outputs_above_2_kb_are_left_out(self) -> None:
        for length, kept in ((2039, 1), (2040, 0)):  # with {"of":""} around it
            run = Journey(settings(task("charge", outputs={"of": "{{stack.only.response}}"})))
            run.goes(a_success("x" * length))
            assert len(run.end.outputs) == kept
            assert run.last.notes == (() if kept else ("outputs: dropped, because they take more than 2 KB",))

    def test_a_failed_task_has_no_outputs(self) -> None:
        run = Journey(settings(task("charge", step("only", action="post"), outputs={"a": "b"})))
        run.fails()
        assert run.end == replace(run.end, outputs={})
        assert run.end.how is Ending.EXHAUSTED

    def test_the_latest_of_each_name_stays_on_the_instance(self) -> None:
        of = life()
        of.run(of.main, NOON, _ended({"a": 1, "b": "x"}))
        of.run(of.main, of.main.date, _ended({"b": "y"}))
        assert of.instance.outputs == {"a": 1, "b": "y"}

    def test_only_the_latest_outputs_stay_if_all_are_too_large(self) -> None:
        of = life()
        of.run(of.main, NOON, _ended({"a": "x" * 1500}))
        of.run(of.main, of.main.date, _ended({"b": "y" * 1500}))
        assert of.instance.outputs == {"b": "y" * 1500}


def _ended(outputs: Json) -> RunEnd:
    return replace(succeeded(), outputs=outputs)
