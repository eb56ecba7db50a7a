"""Collecting the facts of an explanation within bounds.

Source: docs/contracts/core.md section 5; docs/decisions/0021.
"""

from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta

import pytest

from dev.memory.evaluator import SlowEvaluator
from dev.memory.stores import MemoryAudit
from dev.memory.world import ManualClock, MemoryPorts
from shared.application.control import control
from shared.application.explain import AFTER, BEFORE, explain_at
from shared.application.flags import pause_queue
from shared.application.ports import AuditPosition, Unreadable
from shared.application.runner.loop import run_due_events
from shared.application.start import StartInstance, start_instance
from shared.domain.explain.instance import Explanation
from shared.domain.ids import AccountId, InstanceSid
from shared.domain.instance.event import EventStatus
from shared.domain.instance.journal import EventRecord
from shared.domain.instance.model import Instance, InstanceStatus
from shared.domain.instance.verdict import AuditEntry
from shared.domain.lifecycle.commands import AddEvent, Pause, Resume
from shared.domain.steps.call import Answered, CallOutcome, ServiceRequest
from shared.domain.strategy.model import Json
from shared.expressions import use_evaluator
from tests.application.marred import WHY, MarredEvents
from tests.lifecycle_factories import ANN, DAILY, calendar, strategy

START = datetime(2026, 2, 1, tzinfo=UTC)
DAY = timedelta(days=1)
FAR_GREETING: Json = {"onCreateTasks": [{"task": "greet", "delayBy": {"unit": "days", "amount": 150}}]}


class Shop:
    """A service that accepts every request."""

    def call(self, request: ServiceRequest) -> CallOutcome:
        return Answered(status=201, body={"of": request.call_key})


@dataclass(slots=True)
class Counted(MarredEvents):
    """A store that counts the records it reads. ``readings`` has the number of each read."""

    readings: list[int] = field(default_factory=list)

    def records_before(
        self, sid: InstanceSid, seq: int, *, limit: int
    ) -> list[EventRecord | Unreadable[int]]:
        found = MarredEvents.records_before(self, sid, seq, limit=limit)
        self.readings.append(len(found))
        return found


class MarredAudit(MemoryAudit):
    """An audit trail that cannot read the entries of one instant."""

    unreadable_at: datetime = START

    def of_target(
        self, account: AccountId, target: str, *, since: datetime, before: AuditPosition, limit: int
    ) -> list[tuple[AuditPosition, AuditEntry | Unreadable[AuditPosition]]]:
        found = MemoryAudit.of_target(self, account, target, since=since, before=before, limit=limit)
        return [
            (place, Unreadable(key=place, why=WHY) if place.at == self.unreadable_at else entry)
            for place, entry in found
        ]


class MarredPorts(MemoryPorts):
    """Ports whose audit trail cannot be read at one instant."""

    unreadable_at: datetime = START

    @property
    def audit(self) -> MarredAudit:
        whole = super().audit
        audit = MarredAudit(lists=whole.lists, kept=whole.kept)
        audit.unreadable_at = self.unreadable_at
        return audit


class Story:
    """A daily bill for some days, each run on its date, and a greeting planned far ahead."""

    def __init__(self, days: int, **more: Json) -> None:
        self.store = Counted()
        self.ports = MemoryPorts(caller=Shop(), clock=ManualClock(START), instances=self.store)
        of = strategy(calendar(DAILY, **more), parts=FAR_GREETING)
        self.ports.strategies.add(of)
        requests = StartInstance(strategy_id="shop", attributes={}, start_date=START)
        self.sid = start_instance(self.ports, of, requests).instance.sid
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
    """A few records find the position in any history, and about a hundred around it are read."""

    @pytest.mark.parametrize("day", [0, 1, 57, 149, 200, 333, 398, 399])
    def test_any_day_of_a_long_history_is_explained(self, long_story: Story, day: int) -> None:
        found = long_story.why(START + day * DAY)
        assert found.finding.reason.value == "RAN"
        assert [answer.planned.cycle for answer in found.events if answer.planned.event.is_main] == [day + 1]

    @pytest.mark.parametrize("day", [0, 149, 399])
    def test_the_number_of_reads_is_limited(self, long_story: Story, day: int) -> None:
        long_story.why(START + day * DAY)
        assert len(long_story.store.readings) <= 12
        assert sum(long_story.store.readings) <= BEFORE + AFTER + 30

    @pytest.mark.parametrize("day", [0, 60, 97, 98, 99, 100, 101, 138])
    def test_an_open_event_in_the_middle_has_a_position_too(self, day: int) -> None:
        story = Story(100)
        control(story.ports, story.sid, AddEvent(task="part", onhold=True, by=ANN))
        for later in range(100, 100 + AFTER):
            story.on(START + later * DAY)
        waiting = story.instance.event(story.instance.next_seq - 1 - AFTER)
        assert waiting is not None
        assert waiting.status is EventStatus.ONHOLD
        found = story.why(START + day * DAY)
        assert [answer.planned.cycle for answer in found.events if answer.planned.event.is_main] == [day + 1]

    def test_an_event_planned_far_ahead_at_creation_is_found(self, long_story: Story) -> None:
        found = long_story.why(START + 150 * DAY)
        assert [answer.planned.event.task for answer in found.events] == ["bill", "greet"]

    def test_the_dates_before_and_after_are_included(self, long_story: Story) -> None:
        found = long_story.why(START + 200.5 * DAY)
        assert found.finding.reason.value == "NOT_PLANNED"
        assert found.before is not None
        assert found.after is not None
        assert (found.before.cycle, found.after.cycle) == (201, 202)

    def test_a_future_instant_is_explained_by_the_forecast(self, long_story: Story) -> None:
        found = long_story.why(START + 500 * DAY)
        assert [answer.planned.cycle for answer in found.events] == [501]
        assert found.finding.reason.value == "NOT_YET_DUE"

    def test_an_instant_that_the_forecast_has_no_time_for_is_unknown(self) -> None:
        story = Story(1, nextCycleDateCallback="date")
        use_evaluator(SlowEvaluator(0.19))

        assert story.why(START + 200 * DAY).finding.reason.value == "UNKNOWN"

    def test_an_instant_too_far_ahead_is_unknown(self, long_story: Story) -> None:
        assert long_story.why(START + 5000 * DAY).finding.reason.value == "UNKNOWN"

    def test_an_open_event_that_is_older_than_most_is_found(self) -> None:
        story = Story(120)
        control(story.ports, story.sid, AddEvent(task="part", by=ANN, onhold=True))
        for day in range(120, 260):
            story.on(START + day * DAY)
        found = story.why(START + 200.5 * DAY)
        assert [(a.planned.event.task, a.finding.reason.value) for a in found.events] == [("part", "ON_HOLD")]


class TestAnExpiredHistory:
    """If the records of a time are no longer kept, the answer is UNKNOWN. At all other times it is as before."""

    def expired(self, days: int, *seqs: int) -> Story:
        story = Story(days)
        for seq in seqs:
            story.store.records.pop((story.sid, seq), None)
        return story

    @pytest.mark.parametrize("days", [50, 400], ids=["one page", "a long history"])
    def test_the_time_of_expired_events_is_unknown(self, days: int) -> None:
        # The first event is the greeting, which is planned far ahead.
        story = self.expired(days, *range(2, 32))
        for day in (0, 1, 15.5, 28, 29):
            assert story.why(START + day * DAY).finding.reason.value == "UNKNOWN", day

    @pytest.mark.parametrize("days", [50, 400], ids=["one page", "a long history"])
    def test_the_time_after_them_is_explained(self, days: int) -> None:
        story = self.expired(days, *range(2, 32))
        for day in (31, 32, 40, days - 1):
            found = story.why(START + day * DAY)
            assert [answer.planned.cycle for answer in found.events if answer.planned.event.is_main] == [
                day + 1
            ]
            assert found.finding.reason.value == "RAN"
            assert story.why(START + (day + 0.5) * DAY).finding.reason.value in ("NOT_PLANNED", "RAN")

    def test_an_instance_without_any_record_is_explained_by_its_open_events(self) -> None:
        story = self.expired(3, *range(1, 5))
        assert story.why(START + DAY).finding.reason.value == "UNKNOWN"
        assert story.why(START + 2.5 * DAY).finding.reason.value == "NOT_PLANNED"
        assert story.why(START + 9 * DAY).finding.reason.value == "NOT_YET_DUE"

    def test_a_pause_that_the_instance_remembers_is_explained(self) -> None:
        story = self.expired(3, *range(1, 5))
        for hours, command in ((1, Pause(by=ANN)), (2, Resume(by=ANN))):
            story.ports.clock.at = START + 2 * DAY + timedelta(hours=hours)
            control(story.ports, story.sid, command)
        found = story.why(START + 2 * DAY + timedelta(hours=1, minutes=30))
        assert (found.finding.reason.value, found.finding.by) == ("PAUSED", "ann")


class TestWhatIsReadOnlyWhereNeeded:
    """Flags are read for the present, and the audit trail if the instance no longer knows."""

    def test_a_paused_queue_explains_a_blocked_event(self) -> None:
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

    def test_the_audit_explains_a_forgotten_pause(self) -> None:
        found = self.forgetful().why(START + timedelta(hours=2, minutes=15))
        assert (found.finding.reason.value, found.finding.by) == ("PAUSED", "ann")

    def test_the_creation_explains_the_status_before_all_entries(self) -> None:
        found = self.forgetful().why(START + timedelta(minutes=15))
        assert found.status is not None
        assert found.status.status is InstanceStatus.ACTIVE

    @pytest.mark.parametrize(("kept", "status"), [(1, None), (7, InstanceStatus.ACTIVE)])
    def test_the_creation_says_nothing_about_a_time_whose_entries_have_expired(
        self, kept: int, status: InstanceStatus | None
    ) -> None:
        story = self.forgetful()
        story.ports.audit_kept = timedelta(hours=kept)
        del story.store.audit[:4]

        found = story.why(START + timedelta(hours=1, minutes=15))

        assert found.status is not None
        assert found.status.status is status
        if status is None:
            assert found.finding.reason.value == "UNKNOWN"

    def test_a_forgotten_pause_of_weeks_is_explained_at_its_end(self) -> None:
        story = Story(1)
        for day in (1, 41, 42, 43, 44):
            for days, command in ((day, Pause(by=ANN)), (day + (40 if day == 1 else 0.5), Resume(by=ANN))):
                story.ports.clock.at = START + timedelta(days=days)
                control(story.ports, story.sid, command)

        found = story.why(START + timedelta(days=40)).status
        assert found is not None
        assert (found.status, found.since, found.by) == (InstanceStatus.PAUSED, START + DAY, "ann")

    def test_an_instant_before_the_creation_is_explained(self) -> None:
        found = self.forgetful().why(START - DAY)
        assert found.finding.reason.value == "CREATED_LATER"


class TestUnreadable:
    """What cannot be read is named, and never taken for something that is missing."""

    @pytest.fixture
    def story(self) -> Story:
        return Story(10)

    def bill_on(self, story: Story, day: int) -> int:
        """Return the number of the bill of a day."""
        (found,) = story.why(START + day * DAY).events
        return found.planned.event.seq

    def test_the_unreadable_record_of_a_date_leaves_its_reason_unknown(self, story: Story) -> None:
        seq = self.bill_on(story, 5)
        story.store.mar(records_of=[seq])

        found = story.why(START + 5 * DAY)

        assert (found.finding.reason.value, found.events) == ("UNKNOWN", ())
        assert found.unreadable == {f"{story.sid}-{seq}": WHY}

    def test_other_dates_are_explained(self, story: Story) -> None:
        seq = self.bill_on(story, 5)
        story.store.mar(records_of=[seq])

        found = story.why(START + 6 * DAY)

        assert found.finding.reason.value == "RAN"
        assert found.unreadable == {f"{story.sid}-{seq}": WHY}

    def test_the_unreadable_journal_of_an_event_leaves_its_reason_unknown(self, story: Story) -> None:
        seq = self.bill_on(story, 5)
        story.store.mar(journals_of=[seq])

        found = story.why(START + 5 * DAY)

        assert (found.finding.reason.value, found.events) == ("UNKNOWN", ())
        assert found.unreadable == {f"{story.sid}-{seq}": WHY}

    def test_the_journal_of_another_date_is_not_read(self, story: Story) -> None:
        story.store.mar(journals_of=[self.bill_on(story, 5)])

        found = story.why(START + 6 * DAY)

        assert (found.finding.reason.value, found.unreadable) == ("RAN", {})

    def test_nothing_unreadable_is_named_if_all_can_be_read(self, story: Story) -> None:
        found = story.why(START + 5.5 * DAY)

        assert (found.finding.reason.value, found.unreadable) == ("NOT_PLANNED", {})

    def test_the_record_of_an_open_event_does_not_count(self, story: Story) -> None:
        (event,) = (event for event in story.instance.events if event.is_main)
        record = EventRecord(instance_sid=story.sid, event=event, fence=1, finished_at=START)
        story.store.put_record(story.instance, record)
        story.store.mar(records_of=[event.seq])

        assert story.why(START + 5 * DAY).unreadable == {}

    def test_in_a_long_history_unreadable_records_do_not_hide_the_position(self) -> None:
        story = Story(200)
        last = story.instance.next_seq
        story.store.mar(records_of=range(last - 60, last - 20))

        found = story.why(START + 20 * DAY)

        assert found.finding.reason.value == "RAN"
        assert [one.planned.cycle for one in found.events if one.planned.event.is_main] == [21]

    def test_the_creation_is_the_position_before_all_unreadable_records(self) -> None:
        story = Story(110)
        story.store.mar(records_of=range(story.instance.next_seq))

        found = story.why(START + 20 * DAY)

        assert found.finding.reason.value == "UNKNOWN"
        assert f"{story.sid}-20" in found.unreadable


class TestUnreadableAudit:
    """An audit entry that cannot be read hides the earlier ones, which may not be the last before the instant."""

    def forgetful(self, unreadable_at: datetime) -> Story:
        """Return a story with a pause in each of six hours. It remembers the last four."""
        story = Story(1)
        for hour in range(1, 7):
            for minute, command in ((0, Pause(by=ANN)), (30, Resume(by=ANN))):
                story.ports.clock.at = START + timedelta(hours=hour, minutes=minute)
                control(story.ports, story.sid, command)
        known = {each.name: getattr(story.ports, each.name) for each in fields(story.ports) if each.init}
        ports = MarredPorts(**known)
        ports.strategies, ports.unreadable_at = story.ports.strategies, unreadable_at
        story.ports = ports
        return story

    def test_the_status_after_an_unreadable_entry_is_unknown(self) -> None:
        story = self.forgetful(START + timedelta(hours=2))

        found = story.why(START + timedelta(hours=2, minutes=15))

        assert found.status is not None
        assert found.status.status is None
        assert found.finding.reason.value == "UNKNOWN"
        ((name, why),) = found.unreadable.items()
        assert name.startswith(f"2026-02-01T02:00:00.000Z#{story.sid}")
        assert why == WHY

    def test_the_status_after_a_later_entry_is_known(self) -> None:
        story = self.forgetful(START + timedelta(hours=1, minutes=30))

        found = story.why(START + timedelta(hours=2, minutes=15))

        assert (found.finding.reason.value, found.finding.by) == ("PAUSED", "ann")
        assert [name[:24] for name in found.unreadable] == ["2026-02-01T01:30:00.000Z"]
