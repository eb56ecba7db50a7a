"""Finding what there is to tell from, in bounds. Source: contracts/core.md section 5; docs/decisions/0021."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from dev.memory.stores import MemoryInstances
from dev.memory.world import ManualClock, MemoryPorts
from shared.application.control import control
from shared.application.explain import AFTER, BEFORE, explain_at
from shared.application.flags import pause_queue
from shared.application.runner.loop import run_due_events
from shared.application.start import StartInstance, start_instance
from shared.domain.explain.instance import Explanation
from shared.domain.ids import InstanceSid
from shared.domain.instance.journal import EventRecord
from shared.domain.instance.model import Instance, InstanceStatus
from shared.domain.lifecycle.commands import AddEvent, Pause, Resume
from shared.domain.steps.call import Answered, CallOutcome, ServiceRequest
from shared.domain.strategy.model import Json
from tests.lifecycle_factories import ANN, DAILY, calendar, strategy

START = datetime(2026, 2, 1, tzinfo=UTC)
DAY = timedelta(days=1)
FAR_GREETING: Json = {"onCreateTasks": [{"task": "greet", "delayBy": {"unit": "days", "amount": 150}}]}


class Shop:
    """Takes every order."""

    def call(self, request: ServiceRequest) -> CallOutcome:
        return Answered(status=201, body={"of": request.call_key})


@dataclass(slots=True)
class Counted(MemoryInstances):
    """A store that counts what is read of its records. most: the longest list of them."""

    readings: list[int] = field(default_factory=list)

    def records_before(self, sid: InstanceSid, seq: int, *, limit: int) -> list[EventRecord]:
        found = MemoryInstances.records_before(self, sid, seq, limit=limit)
        self.readings.append(len(found))
        return found


class Story:
    """A bill a day for so many days, each run on its date; a greeting far ahead came with the instance."""

    def __init__(self, days: int) -> None:
        self.store = Counted()
        self.ports = MemoryPorts(caller=Shop(), clock=ManualClock(START), instances=self.store)
        of = strategy(calendar(DAILY), parts=FAR_GREETING)
        self.ports.strategies.add(of)
        asked = StartInstance(strategy_id="shop", attributes={}, start_date=START)
        self.sid = start_instance(self.ports, of, asked).instance.sid
        for day in range(days):
            self.on(START + day * DAY)

    def on(self, at: datetime) -> None:
        self.ports.clock.at = at
        run_due_events(self.ports, self.sid, job="job", time_left=lambda: timedelta(minutes=15))

    @property
    def instance(self) -> Instance:
        return self.store.instances[self.sid]

    def why(self, at: datetime) -> Explanation:
        self.store.readings.clear()
        return explain_at(self.ports, self.instance, at)


@pytest.fixture(scope="module")
def long_story() -> Story:
    return Story(400)


class TestALongHistory:
    """However long, the place is found by a few records, and a hundred or so around it are read."""

    @pytest.mark.parametrize("day", [0, 1, 57, 149, 200, 333, 398, 399])
    def test_each_day_is_found(self, long_story: Story, day: int) -> None:
        found = long_story.why(START + day * DAY)
        assert found.finding.reason.value == "RAN"
        assert [answer.planned.cycle for answer in found.events if answer.planned.event.is_main] == [day + 1]

    @pytest.mark.parametrize("day", [0, 149, 399])
    def test_in_bounds(self, long_story: Story, day: int) -> None:
        long_story.why(START + day * DAY)
        assert len(long_story.store.readings) <= 12
        assert sum(long_story.store.readings) <= BEFORE + AFTER + 30

    def test_what_came_with_the_instance_for_much_later_is_found_too(self, long_story: Story) -> None:
        found = long_story.why(START + 150 * DAY)
        assert [answer.planned.event.task for answer in found.events] == ["bill", "greet"]

    def test_the_dates_on_either_side_are_told(self, long_story: Story) -> None:
        found = long_story.why(START + 200.5 * DAY)
        assert found.finding.reason.value == "NOT_PLANNED"
        assert found.before is not None
        assert found.after is not None
        assert (found.before.cycle, found.after.cycle) == (201, 202)

    def test_ahead_the_plan_is_foreseen(self, long_story: Story) -> None:
        found = long_story.why(START + 500 * DAY)
        assert [answer.planned.cycle for answer in found.events] == [501]
        assert found.finding.reason.value == "NOT_YET_DUE"

    def test_but_not_for_ever(self, long_story: Story) -> None:
        assert long_story.why(START + 5000 * DAY).finding.reason.value == "UNKNOWN"

    def test_an_open_event_that_is_older_than_most_is_found(self) -> None:
        story = Story(120)
        control(story.ports, story.sid, AddEvent(task="part", by=ANN, on_hold=True))
        for day in range(120, 260):
            story.on(START + day * DAY)
        found = story.why(START + 200.5 * DAY)
        assert [(a.planned.event.task, a.finding.reason.value) for a in found.events] == [("part", "ON_HOLD")]


class TestWhatIsReadOnlyWhereNeeded:
    """Flags of now, and the audit trail where the instance has forgotten."""

    def test_a_paused_queue(self) -> None:
        story = Story(1)
        pause_queue(story.ports, story.instance.account_id, by=ANN)
        story.ports.clock.at = START + DAY
        assert story.why(START + DAY).finding.reason.value == "HELD_BY_QUEUE"

    def forgetful(self) -> Story:
        story = Story(1)
        for hour in range(1, 7):
            for minute, command in ((0, Pause(by=ANN)), (30, Resume(by=ANN))):
                story.ports.clock.at = START + timedelta(hours=hour, minutes=minute)
                control(story.ports, story.sid, command)
        return story

    def test_the_audit_tells_what_the_instance_has_forgotten(self) -> None:
        found = self.forgetful().why(START + timedelta(hours=2, minutes=15))
        assert (found.finding.reason.value, found.finding.by) == ("PAUSED", "ann")

    def test_by_what_came_after_where_nothing_came_before(self) -> None:
        found = self.forgetful().why(START + timedelta(minutes=15))
        assert found.status is not None
        assert found.status.status is InstanceStatus.ACTIVE

    def test_before_there_was_an_instance_nothing_is_asked(self) -> None:
        found = self.forgetful().why(START - DAY)
        assert found.finding.reason.value == "CREATED_LATER"
