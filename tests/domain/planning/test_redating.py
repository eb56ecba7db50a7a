"""Changed attributes date again the events that have not begun. Source: docs/decisions/0060."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from shared.domain.calendar.instance_schedule import OwnSchedule
from shared.domain.instance.event import EventStatus
from shared.domain.instance.journal import ClosedBy
from shared.domain.instance.model import InstanceStatus
from shared.domain.instance.run import Ending, Outcome
from shared.domain.instance.verdict import Applied
from shared.domain.lifecycle.commands import Apply, Execute, Pause, Resume, Update
from shared.domain.planning.redate import BEGUN, CHANGED, CLOSED, ELAPSED, NO_EVENT, OWN, QUEUED, SEVERAL
from shared.domain.strategy.model import Json, OnResume, Strategy
from tests.lifecycle_factories import (
    ANN,
    DAILY,
    HOURLY,
    Life,
    at,
    by_cron,
    calendar,
    ended,
    life,
    new,
    reminded,
    retries,
    shown,
    strategy,
)

NO_DELAY: Json = {"unit": "days", "amount": 0}
FROM_DUE: Json = {**NO_DELAY, "from": "due"}
FOLLOWING: Json = {"convention": "following", "closed": "closed"}
NINE = "2026-03-01T01:00"
"""Nine in the morning in Manila, on 1 March."""


def zoned(*calendars: Json, **members: Json) -> Strategy:
    return strategy(*calendars, timezone="{{attributes.zone}}", **members)


def manila(*calendars: Json, start: str = NINE, now: str = "2026-02-10", **members: Json) -> Life:
    """Return an instance in Manila whose first cycle is on 1 March at nine."""
    return life(zoned(*calendars, **members), new(start, zone="Asia/Manila"), now=now)


def changed(lived: Life, now: str, **attributes: Json) -> Applied:
    return lived.applied(Update(by=ANN, attributes=attributes), at(now))


def to(lived: Life, zone: str, now: str = "2026-02-20") -> Applied:
    return changed(lived, now, zone=zone)


def moved(verdict: Applied) -> list[tuple[str, str, str]]:
    """Return task, old and new date of each moved event."""
    found = [(one.event.task, shown(one.before, one.event.date)) for one in verdict.redated]
    return [(task, before, date) for task, (before, date) in found]


def stayed(verdict: Applied) -> list[tuple[str, str | None, str]]:
    """Return attribute, task and reason of each event that was not moved."""
    return [
        (one.attribute, None if one.event is None else one.event.task, one.why) for one in verdict.not_redated
    ]


class TestAnotherZone:
    """An event that has not begun keeps its local date and time."""

    @pytest.mark.parametrize(
        ("zone", "date"),
        [
            ("America/New_York", "2026-03-01T14:00"),
            ("Europe/Berlin", "2026-03-01T08:00"),
            ("Pacific/Kiritimati", "2026-02-28T19:00"),
        ],
    )
    @pytest.mark.parametrize("one", [calendar(), by_cron("0 9 1 * *"), calendar(DAILY)])
    def test_the_open_cycle_moves(self, zone: str, date: str, one: Json) -> None:
        lived = manila(one)
        name = lived.main.wakeup_seq
        verdict = to(lived, zone)
        assert moved(verdict) == [("bill", NINE, date)]
        assert stayed(verdict) == []
        assert (lived.open, shown(lived.main.due_at), lived.main.wakeup_seq) == (
            [("bill", date)],
            [date],
            name + 1,
        )
        assert lived.instance.plan.dated_in is None

    def test_the_next_cycle_is_dated_in_the_new_zone(self) -> None:
        lived = manila()
        to(lived, "America/New_York")
        lived.run(lived.main, at("2026-03-01T14:00"))
        assert lived.open == [("bill", "2026-04-01T13:00")]

    def test_leading_up_events_move_too(self) -> None:
        lived = manila(reminded())
        verdict = to(lived, "America/New_York")
        assert moved(verdict) == [
            ("bill", NINE, "2026-03-01T14:00"),
            ("remind", "2026-02-26T01:00", "2026-02-26T14:00"),
        ]

    def test_an_onhold_event_moves_too(self) -> None:
        lived = manila(manualTrigger=True)
        assert moved(to(lived, "Europe/Berlin")) == [("bill", NINE, "2026-03-01T08:00")]
        assert lived.main.status is EventStatus.ONHOLD

    def test_a_day_that_a_month_lacks_returns(self) -> None:
        lived = manila(start="2026-01-31T01:00", now="2026-01-10")
        lived.run(lived.main, at("2026-01-31T01:00"))
        to(lived, "Europe/Berlin", "2026-02-10")
        assert lived.open == [("bill", "2026-02-28T08:00")]
        lived.run(lived.main, at("2026-02-28T08:00"))
        assert lived.open == [("bill", "2026-03-31T07:00")]

    def test_a_moved_date_keeps_its_local_day(self) -> None:
        """Sunday 1 March is moved to Monday; planned and due date both follow the zone."""
        lived = manila(reminded(businessDays={"convention": "following"}))
        assert lived.open == [("remind", "2026-02-27T01:00"), ("bill", "2026-03-02T01:00")]
        to(lived, "Europe/Berlin")
        assert lived.open == [("remind", "2026-02-27T08:00"), ("bill", "2026-03-02T08:00")]
        assert shown(lived.main.planned_date) == ["2026-03-01T08:00"]
        assert lived.main.move is not None

    def test_a_moved_reminder_keeps_its_planned_day(self) -> None:
        entry = {"task": "remind", "scheduleBefore": {**DAILY, "businessDays": {"convention": "preceding"}}}
        lived = manila(calendar(leadingUpTasks=[entry]))
        to(lived, "Europe/Berlin")
        remind = lived.event("remind")
        assert shown(remind.date, remind.planned_date) == ["2026-02-27T08:00", "2026-02-28T08:00"]

    def test_the_zone_of_the_same_clocks_moves_nothing(self) -> None:
        lived = life(zoned(reminded()), new(NINE, zone="Europe/Madrid"), now="2026-02-10")
        verdict = to(lived, "Europe/Berlin")
        assert (moved(verdict), stayed(verdict)) == ([], [])

    def test_the_same_zone_in_another_attribute_moves_nothing(self) -> None:
        verdict = changed(manila(), "2026-02-20", tier="gold")
        assert (moved(verdict), stayed(verdict)) == ([], [])

    def test_an_own_schedule_without_a_zone_moves(self) -> None:
        own = OwnSchedule(cron="0 0 9 1 * ?")
        lived = life(zoned(), replace(new("2026-02-10", zone="Asia/Manila"), schedule=own), now="2026-02-10")
        assert moved(to(lived, "Europe/Berlin")) == [("bill", NINE, "2026-03-01T08:00")]
        lived.run(lived.main, at("2026-03-01T08:00"))
        assert lived.open == [("bill", "2026-04-01T07:00")]

    @pytest.mark.parametrize(
        "own",
        [
            OwnSchedule(cron="0 0 9 1 * ?", timezone="Asia/Manila"),
            OwnSchedule(cron="0 0 9 1 * ?", at_once=True),
            OwnSchedule(cron="0 0 * * * ?"),
            OwnSchedule(),
        ],
    )
    def test_other_own_schedules_stay(self, own: OwnSchedule) -> None:
        lived = life(zoned(), replace(new(NINE, zone="Asia/Manila"), schedule=own), now="2026-02-10")
        assert stayed(to(lived, "Europe/Berlin")) == [("zone", "bill", OWN)]
        assert lived.open == [("bill", NINE)]

    @pytest.mark.parametrize("one", [calendar(HOURLY), by_cron("0 * * * *")])
    def test_elapsed_time_is_the_same_in_every_zone(self, one: Json) -> None:
        lived = manila(one)
        verdict = to(lived, "America/New_York")
        assert (moved(verdict), stayed(verdict)) == ([], [("zone", "bill", ELAPSED)])
        lived.run(lived.main, at(NINE))
        assert lived.open == [("bill", "2026-03-01T02:00")]

    def test_on_create_events_move_with_the_clocks(self) -> None:
        greet = {"task": "greet", "delayBy": {**DAILY, "resetTo": {"hour": 9, "minute": 0}}}
        part = {"task": "part"}
        lived = manila(parts={"onCreateTasks": [greet, part]})
        assert lived.open[0] == ("greet", "2026-03-02T01:00")
        assert ("greet", "2026-03-02T01:00", "2026-03-02T08:00") in moved(to(lived, "Europe/Berlin"))
        assert lived.open[1] == ("part", NINE)

    def test_on_create_events_after_elapsed_time_stay(self) -> None:
        lived = manila(parts={"onCreateTasks": [{"task": "greet", "delayBy": HOURLY}]})
        assert [task for task, _, _ in moved(to(lived, "Europe/Berlin"))] == ["bill"]

    def test_a_reminder_before_all_years_stays(self) -> None:
        lived = life(zoned(reminded()), new(NINE, zone="UTC"), now="2026-02-10")
        lived.instance = lived.instance.with_event(replace(lived.event("remind"), date=at("0001-01-01")))
        (one,) = stayed(to(lived, "Europe/Berlin"))
        assert one[:2] == ("zone", "remind")

    def test_a_date_beyond_all_years_stays(self) -> None:
        lived = life(zoned(reminded(days=1)), new("9999-12-31T23:00", zone="UTC"), now="2026-02-10")
        verdict = to(lived, "America/New_York")
        assert [why for _, _, why in stayed(verdict)][:1] == ["no such date: date value out of range"]

    def test_a_cycle_moved_past_the_end_date_is_canceled(self) -> None:
        lived = life(zoned(), new(NINE, end_date="2026-03-01T12:00", zone="Asia/Manila"), now="2026-02-10")
        verdict = to(lived, "America/New_York")
        assert (moved(verdict), lived.open, lived.instance.status) == ([], [], InstanceStatus.COMPLETED)
        assert [(one.event.task, one.closed_by) for one in verdict.records] == [("bill", ClosedBy.END_DATE)]

    def test_an_end_date_that_moves_along_keeps_the_cycle(self) -> None:
        lived = life(zoned(), new(NINE, end_date="2026-03-01T12:00", zone="Asia/Manila"), now="2026-02-10")
        command = Update(
            by=ANN, attributes={"zone": "America/New_York"}, sets_end_date=True, end_date=at("2026-03-02")
        )
        lived.applied(command, at("2026-02-20"))
        assert lived.open == [("bill", "2026-03-01T14:00")]

    def test_another_end_date_before_the_moved_cycle_ends_the_plan_once(self) -> None:
        lived = manila()
        command = Update(
            by=ANN,
            attributes={"zone": "America/New_York"},
            sets_end_date=True,
            end_date=at("2026-03-01T09:00"),
        )
        lived.applied(command, at("2026-02-20"))
        assert (lived.open, lived.closed) == ([], [("bill", "CANCELED")])

    def test_a_controller_moves_them_too(self) -> None:
        lived = manila(reminded())
        lived.claim(lived.event("remind"), at("2026-02-26T01:00"))
        lived.step(
            Outcome(success=True, directives={"attributes": {"zone": "Europe/Berlin"}}),
            at("2026-02-26T01:00"),
        )
        entry = lived.event_history(lived.running.seq).entries[-1]
        lived.applied(
            Apply(seq=lived.running.seq, fence=lived.instance.fence, entry=entry), at("2026-02-26T01:01")
        )
        assert lived.open == [("remind", "2026-02-26T01:00"), ("bill", "2026-03-01T08:00")]


class TestBegunInAnotherZone:
    """A begun event keeps its date, and the next cycle is the next local date: none is charged twice or left out."""

    def begun(self, one: Json, zone: str = "Asia/Manila", start: str = NINE) -> Life:
        lived = life(zoned(one), new(start, zone=zone), now="2026-02-10")
        lived.claim(lived.main, at(start))
        return lived

    @pytest.mark.parametrize("one", [calendar(), by_cron("0 9 1 * *")])
    def test_a_plan_for_the_1st_that_moves_west_is_not_charged_again_on_the_1st(self, one: Json) -> None:
        lived = self.begun(one)
        verdict = to(lived, "America/New_York", "2026-03-01T01:01")
        assert (moved(verdict), stayed(verdict)) == ([], [("zone", "bill", BEGUN)])
        assert shown(lived.main.date, lived.instance.plan.due or at("2000-01-01")) == [NINE, NINE]
        lived.conclude(ended(Ending.SUCCEEDED, at("2026-03-01T01:02")), at("2026-03-01T01:02"))
        assert lived.open == [("bill", "2026-04-01T13:00")]
        assert lived.instance.plan.dated_in is None

    def test_a_retry_keeps_its_date(self) -> None:
        lived = life(zoned(retry=retries()), new(NINE, zone="Asia/Manila"), now="2026-02-10")
        lived.run(lived.main, at(NINE), ended(Ending.RETRY, at(NINE)))
        assert stayed(to(lived, "America/New_York", "2026-03-01T01:30")) == [("zone", "bill", BEGUN)]
        assert lived.open == [("bill", "2026-03-01T02:00")]
        lived.run(lived.main, at("2026-03-01T02:00"))
        assert lived.open == [("bill", "2026-04-01T13:00")]

    def test_a_daily_plan_that_crosses_the_date_line_leaves_no_day_out(self) -> None:
        """25 hours to the east: the next local day has already begun, and runs at once."""
        lived = self.begun(calendar(DAILY), "Pacific/Pago_Pago", "2026-03-01T11:30")
        to(lived, "Pacific/Kiritimati", "2026-03-01T11:31")
        lived.conclude(ended(Ending.SUCCEEDED, at("2026-03-01T11:32")), at("2026-03-01T11:32"))
        assert lived.closed == [("bill", "PROCESSED")]
        assert lived.open == [("bill", "2026-03-01T10:30")]
        lived.run(lived.main, at("2026-03-01T11:33"))
        assert lived.open == [("bill", "2026-03-02T10:30")]

    def test_a_moved_date_counts_as_moved_in_the_new_zone(self) -> None:
        """Cycle 1 ran on Monday 2 March instead of Sunday; cycle 2 is dated from the 1st."""
        lived = self.begun(calendar(businessDays={"convention": "following"}), start=NINE)
        lived = life(lived.strategy, new(NINE, zone="Asia/Manila"), now="2026-02-10")
        lived.claim(lived.main, at("2026-03-02T01:00"))
        to(lived, "America/New_York", "2026-03-02T01:01")
        lived.conclude(ended(Ending.SUCCEEDED, at("2026-03-02T01:02")), at("2026-03-02T01:02"))
        assert lived.open == [("bill", "2026-04-01T13:00")]

    def test_all_cycles_that_coincide_with_a_moved_date_are_left_out(self) -> None:
        """Cycle 1 ran on Monday 2 March instead of Saturday, so that Sunday and Monday have been charged, too."""
        start = "2026-02-28T01:00"
        lived = life(
            zoned(calendar(DAILY, businessDays={"convention": "following"})),
            new(start, zone="Asia/Manila"),
            now="2026-02-10",
        )
        lived.claim(lived.main, at("2026-03-02T01:00"))
        to(lived, "America/New_York", "2026-03-02T01:01")
        lived.conclude(ended(Ending.SUCCEEDED, at("2026-03-02T01:02")), at("2026-03-02T01:02"))
        assert lived.open == [("bill", "2026-03-03T14:00")]
        assert lived.records[-1].skipped_cycles == (2, 3)

    def test_a_zone_that_is_set_back_changes_nothing(self) -> None:
        lived = self.begun(calendar())
        to(lived, "America/New_York", "2026-03-01T01:01")
        to(lived, "Europe/Berlin", "2026-03-01T01:01")
        noted = lived.instance.plan.dated_in
        to(lived, "Asia/Manila", "2026-03-01T01:02")
        assert (noted, lived.instance.plan.dated_in) == ("Asia/Manila", None)
        lived.conclude(ended(Ending.SUCCEEDED, at("2026-03-01T01:02")), at("2026-03-01T01:02"))
        assert lived.open == [("bill", "2026-04-01T01:00")]

    @pytest.mark.parametrize(
        ("one", "date"), [(calendar(), "2026-04-01T15:00"), (calendar(HOURLY), "2026-03-01T04:00")]
    )
    def test_a_plan_that_is_shifted_counts_from_its_local_date(self, one: Json, date: str) -> None:
        lived = self.begun(one)
        lived.conclude(ended(Ending.RETRY, at("2026-03-01T01:02")), at("2026-03-01T01:02"))
        to(lived, "America/New_York", "2026-03-01T01:03")
        lived.applied(Pause(by=ANN), at("2026-03-01T01:04"))
        lived.applied(Resume(by=ANN, on_late=OnResume.SHIFT), at("2026-03-01T03:04"))
        lived.run(lived.main, at("2026-03-01T03:05"))
        assert lived.open == [("bill", date)]

    def test_an_event_that_was_executed_by_hand_stays(self) -> None:
        lived = manila()
        lived.applied(Execute(seq=lived.main.seq, by=ANN), at("2026-02-19"))
        assert stayed(to(lived, "Europe/Berlin")) == [("zone", "bill", QUEUED)]

    def test_a_reminder_that_has_begun_stays(self) -> None:
        lived = manila(reminded())
        lived.claim(lived.event("remind"), at("2026-02-26T01:00"))
        verdict = to(lived, "Europe/Berlin", "2026-02-26T01:01")
        assert stayed(verdict) == [("zone", "remind", BEGUN)]
        assert moved(verdict) == [("bill", NINE, "2026-03-01T08:00")]

    def test_a_plan_that_has_ended_stays(self) -> None:
        added = {"task": "greet", "delayBy": {"unit": "days", "amount": 90}}
        lived = life(
            zoned(parts={"onCreateTasks": [added]}),
            new(NINE, end_date="2026-03-15", zone="Asia/Manila"),
            now="2026-02-10",
        )
        lived.run(lived.main, at(NINE))
        to(lived, "America/New_York", "2026-03-10")
        command = Update(by=ANN, sets_end_date=True, end_date=at("2026-05-01"))
        lived.applied(command, at("2026-03-11"))
        assert ("bill", "2026-04-01T13:00") in lived.open

    def test_an_instance_without_a_plan_has_nothing_to_move(self) -> None:
        own = OwnSchedule(cron="0 0 9 1 1 ? 2020")
        request = replace(new(NINE, end_date="2027-01-01", zone="Asia/Manila"), schedule=own)
        lived = life(zoned(), request, now="2026-02-10")
        assert stayed(to(lived, "Europe/Berlin")) == [("zone", None, NO_EVENT)]


class TestLateInAnotherZone:
    """A date that is moved before now is merely late: it runs at once, once."""

    def test_an_event_that_is_moved_before_now_runs(self) -> None:
        lived = life(
            zoned(calendar(DAILY)), new("2026-03-01T14:00", zone="America/New_York"), now="2026-02-10"
        )
        assert moved(to(lived, "Asia/Manila", "2026-03-01T10:00")) == [
            ("bill", "2026-03-01T14:00", NINE),
        ]
        lived.run(lived.main, at("2026-03-01T10:00"))
        assert (lived.closed, lived.open) == ([("bill", "PROCESSED")], [("bill", "2026-03-02T01:00")])

    def test_a_late_event_that_is_moved_after_now_waits_again(self) -> None:
        lived = manila(calendar(DAILY))
        lived.applied(Pause(by=ANN), at("2026-02-20"))
        to(lived, "America/New_York", "2026-03-01T10:00")
        lived.applied(Resume(by=ANN), at("2026-03-01T11:00"))
        assert lived.open == [("bill", "2026-03-01T14:00")]

    def test_a_re_dated_event_before_the_last_one_that_ran_is_neither_skipped_nor_doubled(self) -> None:
        """The next day's event is moved before the instant at which this day's one has run."""
        lived = life(
            zoned(calendar(DAILY)), new("2026-03-01T11:30", zone="Pacific/Pago_Pago"), now="2026-02-10"
        )
        lived.run(lived.main, at("2026-03-01T11:30"))
        assert moved(to(lived, "Pacific/Kiritimati", "2026-03-01T12:00")) == [
            ("bill", "2026-03-02T11:30", "2026-03-01T10:30"),
        ]
        lived.run(lived.main, at("2026-03-01T12:00"))
        assert lived.closed == [("bill", "PROCESSED"), ("bill", "PROCESSED")]
        assert lived.open == [("bill", "2026-03-02T10:30")]


class TestFrom:
    """An event that counts from a changed attribute is dated again, with the leading-up events of its cycle."""

    def trial(self, *calendars: Json, **members: Json) -> Life:
        of = strategy(*calendars, initial_delay=FROM_DUE, **members)
        return life(of, new("2026-02-10", due="2026-03-01"), now="2026-02-10")

    def test_the_first_cycle_follows_its_attribute(self) -> None:
        lived = self.trial(reminded())
        verdict = changed(lived, "2026-02-20", due="2026-03-15")
        assert moved(verdict) == [
            ("bill", "2026-03-01T00:00", "2026-03-15T00:00"),
            ("remind", "2026-02-26T00:00", "2026-03-12T00:00"),
        ]
        lived.run(lived.event("remind"), at("2026-03-12"))
        lived.run(lived.main, at("2026-03-15"))
        assert lived.main.date == at("2026-04-15")

    def test_a_reminder_whose_new_date_has_passed_is_skipped(self) -> None:
        lived = self.trial(reminded())
        verdict = changed(lived, "2026-02-20", due="2026-02-22")
        assert moved(verdict) == [("bill", "2026-03-01T00:00", "2026-02-22T00:00")]
        assert [(one.event.task, one.closed_by) for one in verdict.records] == [
            ("remind", ClosedBy.LATE_PLAN)
        ]

    def test_a_date_that_has_passed_runs_at_once(self) -> None:
        lived = self.trial()
        changed(lived, "2026-02-20", due="2026-02-19")
        lived.run(lived.main, at("2026-02-20"))
        assert (lived.closed, lived.open) == ([("bill", "PROCESSED")], [("bill", "2026-03-19T00:00")])

    def test_a_first_cycle_that_has_begun_stays(self) -> None:
        lived = self.trial()
        lived.claim(lived.main, at("2026-03-01"))
        assert stayed(changed(lived, "2026-03-01T00:01", due="2026-03-15")) == [("due", "bill", BEGUN)]

    def test_later_cycles_do_not_count_from_it(self) -> None:
        lived = self.trial()
        lived.run(lived.main, at("2026-03-01"))
        assert stayed(changed(lived, "2026-03-02", due="2026-03-15")) == [("due", None, NO_EVENT)]

    def test_the_same_instant_in_other_words_moves_nothing(self) -> None:
        lived = self.trial()
        verdict = changed(lived, "2026-02-20", due="2026-03-01T00:00:00Z")
        assert (moved(verdict), stayed(verdict)) == ([], [])

    def test_a_plan_that_was_shifted_stays(self) -> None:
        lived = self.trial()
        lived.applied(Pause(by=ANN), at("2026-02-11"))
        lived.applied(Resume(by=ANN, on_late=OnResume.SHIFT), at("2026-02-12"))
        assert stayed(changed(lived, "2026-02-20", due="2026-03-15")) == [("due", "bill", CHANGED)]
        assert lived.open == [("bill", "2026-03-02T00:00")]

    def test_a_cycle_whose_old_attribute_was_no_date_stays(self) -> None:
        """A controller may store any text, which planned dates do not follow."""
        lived = self.trial()
        lived.instance = replace(lived.instance, attributes={"due": "soon"})
        assert stayed(changed(lived, "2026-02-20", due="2026-03-15")) == [("due", "bill", CHANGED)]

    def test_a_cycle_of_its_own_calendar_follows_its_attribute(self) -> None:
        second = calendar({**NO_DELAY, "from": "due"}, key="second", runOnCycle=2)
        lived = life(strategy(second, calendar()), new("2026-02-10", due="2026-03-01"), now="2026-02-10")
        lived.run(lived.main, at("2026-02-10"))
        assert moved(changed(lived, "2026-02-20", due="2026-03-20")) == [
            ("bill", "2026-03-01T00:00", "2026-03-20T00:00")
        ]
        lived.run(lived.main, at("2026-03-20"))
        assert lived.open == [("bill", "2026-04-20T00:00")]

    def test_a_reminder_that_counts_from_an_attribute_moves_alone(self) -> None:
        one = calendar(leadingUpTasks=[{"task": "remind", "scheduleBefore": {**DAILY, "from": "due"}}])
        lived = life(strategy(one), new("2026-03-10", due="2026-03-01"), now="2026-02-10")
        assert moved(changed(lived, "2026-02-20", due="2026-03-05")) == [
            ("remind", "2026-02-28T00:00", "2026-03-04T00:00")
        ]

    def test_a_reminder_that_was_moved_otherwise_stays(self) -> None:
        one = calendar(leadingUpTasks=[{"task": "remind", "scheduleBefore": {**DAILY, "from": "due"}}])
        lived = life(strategy(one), new("2026-03-10", due="2026-03-01"), now="2026-02-10")
        remind = lived.event("remind")
        lived.instance = lived.instance.with_event(replace(remind, date=remind.date + timedelta(hours=1)))
        assert stayed(changed(lived, "2026-02-20", due="2026-03-05")) == [("due", "remind", CHANGED)]

    def test_an_on_create_event_follows_its_attribute(self) -> None:
        entries = [{"task": "greet", "delayBy": {**DAILY, "from": "due"}}]
        of = strategy(parts={"onCreateTasks": entries})
        lived = life(of, new("2026-03-10", due="2026-03-01"), now="2026-02-10")
        assert moved(changed(lived, "2026-02-20", due="2026-03-05")) == [
            ("greet", "2026-03-02T00:00", "2026-03-06T00:00")
        ]
        lived.claim(lived.event("greet"), at("2026-03-06"))
        assert stayed(changed(lived, "2026-03-06", due="2026-03-08")) == [("due", "greet", BEGUN)]

    def test_an_on_create_event_of_several_stays(self) -> None:
        entries = [{"task": "greet", "delayBy": {**DAILY, "from": "due"}}, {"task": "greet"}]
        of = strategy(parts={"onCreateTasks": entries})
        lived = life(of, new("2026-03-10", due="2026-03-01"), now="2026-02-10")
        assert stayed(changed(lived, "2026-02-20", due="2026-03-05")) == [("due", "greet", SEVERAL)] * 2

    def test_an_on_create_event_beyond_all_years_stays(self) -> None:
        entries = [{"task": "greet", "delayBy": {**DAILY, "from": "due"}}]
        of = strategy(parts={"onCreateTasks": entries})
        lived = life(of, new("2026-03-10", due="2026-03-01"), now="2026-02-10")
        (one,) = stayed(changed(lived, "2026-02-20", due="9999-12-31"))
        assert one[2].startswith("no such date")

    def test_an_on_create_event_that_was_moved_otherwise_stays(self) -> None:
        entries = [{"task": "greet", "delayBy": {**DAILY, "from": "due"}}]
        of = strategy(parts={"onCreateTasks": entries})
        lived = life(of, new("2026-03-10", due="2026-03-01"), now="2026-02-10")
        greet = lived.event("greet")
        lived.instance = lived.instance.with_event(replace(greet, date=greet.date + timedelta(hours=1)))
        assert stayed(changed(lived, "2026-02-20", due="2026-03-05")) == [("due", "greet", CHANGED)]

    def test_a_first_cycle_beyond_all_years_stays(self) -> None:
        of = strategy(initial_delay={**DAILY, "from": "due"})
        lived = life(of, new("2026-02-10", due="2026-03-01"), now="2026-02-10")
        (one,) = stayed(changed(lived, "2026-02-20", due="9999-12-31"))
        assert one[:2] == ("due", "bill")
        assert "no such date" in one[2]

    def test_a_day_follows_the_zone_too(self) -> None:
        lived = life(
            zoned(initial_delay=FROM_DUE),
            new("2026-02-10", due="2026-03-01", zone="Asia/Manila"),
            now="2026-02-10",
        )
        assert moved(to(lived, "Europe/Berlin")) == [("bill", "2026-02-28T16:00", "2026-02-28T23:00")]

    def test_an_instant_is_the_same_in_every_zone(self) -> None:
        lived = life(
            zoned(initial_delay=FROM_DUE),
            new("2026-02-10", due=f"{NINE}:00Z", zone="Asia/Manila"),
            now="2026-02-10",
        )
        verdict = to(lived, "Europe/Berlin")
        assert (moved(verdict), lived.open) == ([], [("bill", NINE)])
        lived.run(lived.main, at(NINE))
        assert lived.open == [("bill", "2026-04-01T00:00")]

    def test_a_shifted_plan_still_follows_the_zone(self) -> None:
        lived = life(
            zoned(initial_delay=FROM_DUE),
            new("2026-02-10", due="2026-03-01", zone="Asia/Manila"),
            now="2026-02-10",
        )
        lived.applied(Pause(by=ANN), at("2026-02-11"))
        lived.applied(Resume(by=ANN, on_late=OnResume.SHIFT), at("2026-02-12"))
        assert moved(to(lived, "Europe/Berlin")) == [("bill", "2026-03-01T16:00", "2026-03-01T23:00")]

    def test_a_reminder_from_a_day_follows_the_zone_although_its_main_event_stays(self) -> None:
        entry = {"task": "remind", "scheduleBefore": {**DAILY, "from": "due"}}
        lived = life(
            zoned(calendar(HOURLY, leadingUpTasks=[entry])),
            new(NINE, due="2026-02-28", zone="Asia/Manila"),
            now="2026-02-10",
        )
        assert moved(to(lived, "Europe/Berlin")) == [("remind", "2026-02-26T16:00", "2026-02-26T23:00")]


class TestClosedDays:
    """The customer's closed days move events that have not begun."""

    def test_a_day_that_is_closed_now_moves_the_cycle(self) -> None:
        lived = life(strategy(reminded(businessDays=FOLLOWING)), new("2026-03-03"), now="2026-02-10")
        assert moved(changed(lived, "2026-02-20", closed="2026-03-03")) == [
            ("bill", "2026-03-03T00:00", "2026-03-04T00:00"),
            ("remind", "2026-02-28T00:00", "2026-03-01T00:00"),
        ]
        changed(lived, "2026-02-21", closed=None)
        assert lived.open == [("remind", "2026-02-28T00:00"), ("bill", "2026-03-03T00:00")]

    def test_a_later_cycle_keeps_its_planned_date(self) -> None:
        lived = life(strategy(calendar(businessDays=FOLLOWING)), new("2026-02-03"), now="2026-02-01")
        lived.run(lived.main, at("2026-02-03"))
        changed(lived, "2026-02-20", closed="2026-03-03")
        assert lived.open == [("bill", "2026-03-04T00:00")]
        lived.run(lived.main, at("2026-03-04"))
        assert lived.open == [("bill", "2026-04-03T00:00")]

    def test_a_cycle_that_would_not_run_stays(self) -> None:
        rule = {**FOLLOWING, "convention": "skip"}
        lived = life(strategy(calendar(businessDays=rule)), new("2026-03-03"), now="2026-02-10")
        assert stayed(changed(lived, "2026-02-20", closed="2026-03-03")) == [("closed", "bill", CLOSED)]
        assert lived.open == [("bill", "2026-03-03T00:00")]

    def test_a_reminder_moves_alone(self) -> None:
        before = {**DAILY, "businessDays": {**FOLLOWING, "convention": "preceding"}}
        one = calendar(leadingUpTasks=[{"task": "remind", "scheduleBefore": before}])
        lived = life(strategy(one), new("2026-03-05"), now="2026-02-10")
        assert moved(changed(lived, "2026-02-20", closed="2026-03-04")) == [
            ("remind", "2026-03-04T00:00", "2026-03-03T00:00")
        ]


class TestUnknownOrigin:
    """A leading-up event that the calendar no longer has is moved only with the zone."""

    def other(self, lived: Life) -> None:
        """Give the open cycle a calendar without leading-up tasks."""
        lived.strategy = replace(
            lived.strategy,
            definition=replace(
                lived.strategy.definition,
                calendars=tuple(
                    replace(one, leading_up_tasks=()) for one in lived.strategy.definition.calendars
                ),
            ),
        )

    def test_another_zone_moves_it(self) -> None:
        lived = manila(reminded())
        self.other(lived)
        assert len(moved(to(lived, "Europe/Berlin"))) == 2

    def test_one_that_has_begun_stays(self) -> None:
        lived = manila(reminded())
        lived.claim(lived.event("remind"), at("2026-02-26T01:00"))
        self.other(lived)
        assert stayed(to(lived, "Europe/Berlin", "2026-02-26T01:01")) == [("zone", "remind", BEGUN)]

    def test_another_date_of_its_main_event_does_not(self) -> None:
        of = strategy(reminded(), initial_delay=FROM_DUE)
        lived = life(of, new("2026-02-10", due="2026-03-01"), now="2026-02-10")
        self.other(lived)
        assert stayed(changed(lived, "2026-02-20", due="2026-03-15")) == [("due", "remind", CHANGED)]

    def test_a_main_event_that_stays_leaves_it(self) -> None:
        lived = manila(reminded())
        lived.applied(Execute(seq=lived.main.seq, by=ANN), at("2026-02-19"))
        self.other(lived)
        assert [task for _, task, _ in stayed(to(lived, "Europe/Berlin"))] == ["bill"]

    def test_a_calendar_that_is_gone_leaves_the_local_time(self) -> None:
        lived = manila(calendar(key="a", runOnCycle=1), calendar(key="b"))
        lived.instance = replace(lived.instance, plan=replace(lived.instance.plan, calendar="gone"))
        assert moved(to(lived, "Europe/Berlin")) == [("bill", NINE, "2026-03-01T08:00")]
