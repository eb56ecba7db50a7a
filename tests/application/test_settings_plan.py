"""Every setting of dates, calendars and the strategy as a whole has an effect.

Each test runs the same instance under two settings that differ only in the marked fields, and compares the results.
tests/docs/test_settings_table.py checks that every setting has such a test.
"""

from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from shared.application.start import ReferenceTakenError, StartInstance, start_instance
from shared.domain.errors import InvalidInputError
from shared.domain.ids import AccountId, StrategySid
from shared.domain.lifecycle.commands import Cancel, Pause, Resume
from tests.application.lives import (
    ANN,
    ATTRIBUTES,
    DAY,
    DECLINED,
    ON,
    START,
    Life,
    base,
    both,
    retried,
    settings_with,
)


class TestConfig:
    """``config``: settings of the strategy as a whole."""

    @pytest.mark.setting("Config.requestDelayTime")
    def test_request_delay_time_precedes_each_call(self) -> None:
        before, after = both("/config/requestDelayTime", 5000)
        assert before.shop.requests[0][0] == START
        assert after.shop.requests[0][0] == START + timedelta(seconds=5)

    @pytest.mark.setting("Config.manualTrigger")
    def test_manual_trigger_makes_main_events_onhold(self) -> None:
        before, after = both("/config/manualTrigger", ON)
        assert before.calls == ["01-01 12:00 /charges"]
        assert (after.calls, after.plan) == ([], ["bill ONHOLD 01-01 12:00"])

    @pytest.mark.setting("Config.anyAttributes")
    def test_any_attributes_allows_structured_values(self) -> None:
        of = settings_with(
            "/tasks/0/steps/0/controllerCallback", '{"attributes": {"paid": [1, {"by": "card"}]}}'
        )
        before, after = both("/config/anyAttributes", ON, of=of)
        assert (before.instance.status, "paid" in before.instance.attributes) == ("CANCELED", False)
        assert after.instance.attributes["paid"] == [1, {"by": "card"}]

    @pytest.mark.setting("Config.timezone")
    def test_timezone_is_that_of_local_times(self) -> None:
        nine = settings_with(
            "/schedule/initialDelay", {"unit": "days", "amount": 1, "resetTo": {"hour": 9, "minute": 0}}
        )
        before, after = both("/config/timezone", "Asia/Manila", of=nine)
        assert before.plan == ["bill PENDING 01-02 09:00"]
        assert after.plan == ["bill PENDING 01-02 01:00"]

    @pytest.mark.setting("Config.onResume")
    def test_on_resume_decides_which_missed_dates_run(self) -> None:
        lives = both("/config/onResume", "all")
        for life in lives:
            life.command(Pause(by=ANN))
            life.ports.clock.at += timedelta(days=70)
            life.command(Resume(by=ANN)).until("2026-03-12T12:00")
        before, after = lives
        assert before.calls == ["01-01 12:00 /charges", "03-12 12:00 /charges"]
        assert after.calls == ["01-01 12:00 /charges", "03-12 12:00 /charges", "03-12 12:00 /charges"]

    @pytest.mark.setting("Config.onMissed")
    def test_on_missed_decides_which_dates_run_after_an_outage(self) -> None:
        before, after = both("/config/onMissed", "last")
        for life in (before, after):
            life.ports.clock.at += timedelta(days=70)
            life.until("2026-03-12T12:00")
        first, late = "01-01 12:00 /charges", "03-12 12:00 /charges"
        assert (before.calls, after.calls) == ([first, late, late], [first, late])

    @pytest.mark.setting("Config.searchable")
    def test_searchable_attributes_find_their_instance(self) -> None:
        name, text = next((name, text) for name, text in ATTRIBUTES.items() if isinstance(text, str))
        before, after = (
            life.ports.instances.with_attribute(AccountId("a-1"), name, text, before=None, limit=9)
            for life in both("/config/searchable", [name])
        )
        assert (before, [place.sid for place in after]) == ([], [Life(base()).sid])

    @pytest.mark.setting("Config.uniqueReference")
    def test_a_unique_reference_is_refused_to_a_second_instance(self) -> None:
        request = StartInstance(strategy_id="shop", attributes=ATTRIBUTES, reference="o-1")

        def starts(life: Life) -> int:
            strategy = life.ports.strategies.load(StrategySid("s-1"), 1)
            for _ in range(2):
                with suppress(ReferenceTakenError):
                    start_instance(life.ports, strategy, request)
            return len(life.ports.instances.instances)

        before, after = both("/config/uniqueReference", ON)
        assert (starts(before), starts(after)) == (3, 2)

    @pytest.mark.setting("Settings.instanceValidation")
    def test_attributes_of_an_instance_must_be_valid(self) -> None:
        assert Life(base()).calls == ["01-01 12:00 /charges"]
        with pytest.raises(InvalidInputError):
            Life(settings_with("/instanceValidation", {"properties": {"vip": {"type": "string"}}}))


class TestSchedule:
    """``schedule``: the first date, and the calendars of the cycles."""

    @pytest.mark.setting("Schedule.initialDelay")
    def test_initial_delay_postpones_the_first_cycle(self) -> None:
        before, after = both("/schedule/initialDelay", DAY, to="2026-01-03T00:00")
        assert before.calls == ["01-01 12:00 /charges"]
        assert after.calls == ["01-02 12:00 /charges"]

    @pytest.mark.setting("Calendar.task")
    def test_task_of_a_calendar_runs_in_its_cycles(self) -> None:
        before, after = both("/schedule/calendars/0/task", "refund")
        assert (before.paths, after.paths) == (["/charges"], ["/refunds"])

    @pytest.mark.setting("Calendar.scheduleAfter")
    def test_schedule_after_is_the_time_between_cycles(self) -> None:
        before, after = both("/schedule/calendars/0/scheduleAfter", DAY)
        assert before.plan == ["bill PENDING 02-01 12:00"]
        assert after.plan == ["bill PENDING 01-02 12:00"]

    @pytest.mark.setting("Calendar.cron")
    def test_cron_gives_the_dates_of_the_cycles(self) -> None:
        daily = settings_with("/schedule/calendars/0", {"key": "daily", "task": "bill", "cron": "0 8 * * *"})
        before, after = both("/schedule/calendars/0/cron", "0 9 * * *", of=daily)
        assert (before.plan, after.plan) == (["bill PENDING 01-02 08:00"], ["bill PENDING 01-02 09:00"])

    @staticmethod
    def two_calendars() -> dict[str, Any]:
        return settings_with(
            "/schedule/calendars/-", {"key": "second", "task": "refund", "scheduleAfter": DAY}
        )

    @pytest.mark.setting("Calendar.runOnCycle")
    def test_run_on_cycle_selects_the_cycle_of_a_calendar(self) -> None:
        before, after = both("/schedule/calendars/0/runOnCycle", 2, of=self.two_calendars())
        assert (before.paths, after.paths) == (["/charges"], ["/refunds"])

    @pytest.mark.setting("Calendar.runOnCycleCallback")
    def test_run_on_cycle_callback_selects_the_cycles_of_a_calendar(self) -> None:
        before, after = both("/schedule/calendars/0/runOnCycleCallback", "cycle > 1", of=self.two_calendars())
        assert (before.paths, after.paths) == (["/charges"], ["/refunds"])

    @pytest.mark.setting("Calendar.nextCycleDateCallback")
    def test_next_cycle_date_callback_gives_the_next_date(self) -> None:
        before, after = both("/schedule/calendars/0/nextCycleDateCallback", 'date + duration("1h")')
        assert (before.plan, after.plan) == (["bill PENDING 02-01 12:00"], ["bill PENDING 02-01 13:00"])

    @staticmethod
    def led_up_to() -> dict[str, Any]:
        return settings_with(
            "/schedule/calendars/0/leadingUpTasks", [{"task": "refund", "scheduleBefore": DAY}]
        )

    @pytest.mark.setting("LeadingUpTask.task")
    def test_leading_up_task_runs_before_the_main_event(self) -> None:
        before, after = both("/schedule/calendars/0/leadingUpTasks/0/task", "bill", of=self.led_up_to())
        assert before.plan == ["refund PENDING 01-31 12:00", "bill PENDING 02-01 12:00"]
        assert after.plan == ["bill PENDING 01-31 12:00", "bill PENDING 02-01 12:00"]

    @pytest.mark.setting("LeadingUpTask.scheduleBefore")
    def test_schedule_before_is_the_time_before_the_main_event(self) -> None:
        two = {"unit": "days", "amount": 2}
        before, after = both(
            "/schedule/calendars/0/leadingUpTasks/0/scheduleBefore", two, of=self.led_up_to()
        )
        assert before.plan[:1] == ["refund PENDING 01-31 12:00"]
        assert after.plan[:1] == ["refund PENDING 01-30 12:00"]

    @pytest.mark.setting("LeadingUpTask.runLate")
    def test_run_late_runs_a_leading_up_event_whose_date_had_passed(self) -> None:
        before, after = both("/schedule/calendars/0/leadingUpTasks/0/runLate", ON, of=self.led_up_to())
        # Cycle 1 is due at the start. A day before the start, it was too late for its reminder.
        assert before.paths == ["/charges"]
        assert after.paths == ["/refunds", "/charges"]


class TestOnCreateTasks:
    """``onCreateTasks[]``: events that are created with the instance."""

    @staticmethod
    def welcomed(**more: Any) -> dict[str, Any]:
        return settings_with("/onCreateTasks", [{"task": "refund", **more}])

    @pytest.mark.setting("LifecycleTask.task")
    def test_an_on_create_task_runs_at_the_start(self) -> None:
        before, after = both("/onCreateTasks/0/task", "bill", of=self.welcomed())
        assert sorted(before.paths) == ["/charges", "/refunds"]
        assert sorted(after.paths) == ["/charges", "/charges"]

    @pytest.mark.setting("LifecycleTask.delayBy")
    def test_delay_by_postpones_an_on_create_task(self) -> None:
        before, after = both("/onCreateTasks/0/delayBy", DAY, of=self.welcomed(), to="2026-01-03T00:00")
        assert "01-01 12:00 /refunds" in before.calls
        assert "01-02 12:00 /refunds" in after.calls

    @pytest.mark.setting("LifecycleTask.manualTrigger")
    def test_manual_trigger_makes_an_on_create_event_onhold(self) -> None:
        before, after = both("/onCreateTasks/0/manualTrigger", ON, of=self.welcomed())
        assert "/refunds" in before.paths
        assert "/refunds" not in after.paths
        assert "refund ONHOLD 01-01 12:00" in after.plan

    @pytest.mark.setting("LifecycleTask.createIf")
    def test_create_if_decides_about_an_on_create_event(self) -> None:
        before, after = both("/onCreateTasks/0/createIf", "attributes.vip == false", of=self.welcomed())
        assert "/refunds" in before.paths
        assert after.paths == ["/charges"]


class TestOnCancelTasks:
    """``onCancelTasks[]``: events that are created when the instance is canceled."""

    @staticmethod
    def canceled(pointer: str, value: Any) -> tuple[Life, Life]:
        missed = settings_with("/onCancelTasks", [{"task": "refund"}])
        lives = both(f"/onCancelTasks/0/{pointer}", value, of=missed)
        for life in lives:
            life.command(Cancel(by=ANN)).until("2026-01-03T00:00")
        return lives

    @pytest.mark.setting("LifecycleTask.task")
    def test_an_on_cancel_task_runs_after_the_cancellation(self) -> None:
        before, after = self.canceled("task", "bill")
        assert before.paths == ["/charges", "/refunds"]
        assert after.paths == ["/charges", "/charges"]

    @pytest.mark.setting("LifecycleTask.delayBy")
    def test_delay_by_postpones_an_on_cancel_task(self) -> None:
        before, after = self.canceled("delayBy", DAY)
        assert before.calls[1:] == ["01-01 12:00 /refunds"]
        assert after.calls[1:] == ["01-02 12:00 /refunds"]

    @pytest.mark.setting("LifecycleTask.manualTrigger")
    def test_manual_trigger_makes_an_on_cancel_event_onhold(self) -> None:
        before, after = self.canceled("manualTrigger", ON)
        assert (before.paths, after.paths) == (["/charges", "/refunds"], ["/charges"])
        assert after.plan == ["refund ONHOLD 01-01 12:00"]

    @pytest.mark.setting("LifecycleTask.createIf")
    def test_create_if_decides_about_an_on_cancel_event(self) -> None:
        before, after = self.canceled("createIf", "attributes.vip == false")
        assert (before.paths, after.paths, after.plan) == (["/charges", "/refunds"], ["/charges"], [])


class TestTimeDelta:
    """A time span, here ``scheduleAfter`` from 1 January at noon."""

    @pytest.mark.setting(
        "TimeDelta.unit",
        "TimeDelta.amount",
        "TimeDelta.from",
        "ResetTo.day",
        "ResetTo.hour",
        "ResetTo.minute",
    )
    @pytest.mark.parametrize(
        ("name", "value", "due"),
        [
            ("unit", "years", "01-01 12:00"),
            ("amount", 2, "03-01 12:00"),
            ("from", "due", "02-10 08:00"),
            ("resetTo", {"day": 15}, "02-15 12:00"),
            ("resetTo", {"hour": 9}, "02-01 09:00"),
            ("resetTo", {"minute": 30}, "02-01 12:30"),
        ],
    )
    def test_each_part_of_a_time_span_moves_the_date(self, name: str, value: Any, due: str) -> None:
        # A calendar that dates every cycle cannot count from an attribute.
        of = settings_with("/schedule/calendars/0/runOnCycleCallback", "true")
        before, after = both(f"/schedule/calendars/0/scheduleAfter/{name}", value, of=of)
        assert before.plan == ["bill PENDING 02-01 12:00"]
        assert after.plan == [f"bill PENDING {due}"]

    @pytest.mark.setting("ResetTo.month")
    def test_reset_to_month_moves_the_date_to_that_month(self) -> None:
        yearly = settings_with("/schedule/calendars/0/scheduleAfter/unit", "years")
        before, after = both("/schedule/calendars/0/scheduleAfter/resetTo", {"month": 7}, of=yearly)
        assert (before.plan, after.plan) == (["bill PENDING 01-01 12:00"], ["bill PENDING 07-01 12:00"])

    @pytest.mark.setting("TimeDelta.retryEventCallback")
    def test_retry_event_callback_gives_the_time_until_a_retry(self) -> None:
        callback = '{"unit": "hours", "amount": attempt * 3}'
        before, after = both(
            "/tasks/0/retryConfig/retryAfter/retryEventCallback", callback, DECLINED, of=retried()
        )
        assert before.plan == ["bill PENDING 01-01 13:00"]
        assert after.plan == ["bill PENDING 01-01 15:00"]


class TestSpreadMinutes:
    """``spreadMinutes``: each instance is due later by its own part of the time."""

    @pytest.mark.setting("Calendar.spreadMinutes")
    @pytest.mark.parametrize(("minutes", "latest"), [(1, "12:00"), (10, "12:09"), (1440, "23:59")])
    def test_a_cycle_is_due_within_the_time(self, minutes: int, latest: str) -> None:
        before, after = both("/schedule/calendars/0/spreadMinutes", minutes, to="2026-01-02T12:00")
        assert before.plan == ["bill PENDING 02-01 12:00"]
        (planned,) = after.plan
        assert "bill PENDING 02-01 12:00" <= planned <= f"bill PENDING 02-01 {latest}"


class TestBusinessDays:
    """``businessDays``: a due date that is no business day moves. 1 February 2026 is a Sunday."""

    @staticmethod
    def on_the_first(**more: Any) -> dict[str, Any]:
        return settings_with("/schedule/calendars/0/businessDays", {"convention": "following", **more})

    @staticmethod
    def daily(**more: Any) -> dict[str, Any]:
        """Return settings with a cycle on Monday 5 January, then one a day. 6 January is Epiphany."""
        of = settings_with("/schedule/initialDelay", {"unit": "days", "amount": 4})
        of["schedule"]["calendars"][0] |= {
            "scheduleAfter": DAY,
            "businessDays": {"convention": "following", **more},
        }
        return of

    @pytest.mark.setting("Calendar.businessDays")
    def test_business_days_of_a_calendar_move_its_cycles(self) -> None:
        before, after = both("/schedule/calendars/0/businessDays", {"convention": "following"})
        assert before.plan == ["bill PENDING 02-01 12:00"]
        assert after.plan == ["bill PENDING 02-02 12:00"]

    @pytest.mark.setting("BusinessDays.convention")
    @pytest.mark.parametrize(
        ("convention", "due"), [("preceding", "01-30"), ("modifiedFollowing", "01-30"), ("skip", "04-01")]
    )
    def test_convention_is_where_a_date_moves_to(self, convention: str, due: str) -> None:
        # Closed for the whole of February but its Sunday the 1st: only a date in January or March is left.
        closed = [f"2026-02-{day:02}" for day in range(2, 29)]
        before, after = both(
            "/schedule/calendars/0/businessDays/convention", convention, of=self.on_the_first(holidays=closed)
        )
        assert before.plan == ["bill PENDING 03-02 12:00"]
        assert after.plan == [f"bill PENDING {due} 12:00"]

    @pytest.mark.setting("BusinessDays.weekend")
    def test_weekend_days_are_no_business_days(self) -> None:
        before, after = both("/schedule/calendars/0/businessDays/weekend", [], of=self.on_the_first())
        assert (before.plan, after.plan) == (["bill PENDING 02-02 12:00"], ["bill PENDING 02-01 12:00"])

    @pytest.mark.setting("BusinessDays.country")
    def test_public_holidays_of_the_country_are_no_business_days(self) -> None:
        before, after = both(
            "/schedule/calendars/0/businessDays/country", "AT", of=self.daily(), to="2026-01-05T12:00"
        )
        assert (before.plan, after.plan) == (["bill PENDING 01-06 12:00"], ["bill PENDING 01-07 12:00"])

    @pytest.mark.setting("BusinessDays.subdivision")
    def test_public_holidays_of_the_subdivision_are_no_business_days(self) -> None:
        before, after = both(
            "/schedule/calendars/0/businessDays/subdivision",
            "BY",
            of=self.daily(country="DE"),
            to="2026-01-05T12:00",
        )
        assert (before.plan, after.plan) == (["bill PENDING 01-06 12:00"], ["bill PENDING 01-07 12:00"])

    @pytest.mark.setting("BusinessDays.holidays")
    def test_holidays_are_no_business_days(self) -> None:
        before, after = both(
            "/schedule/calendars/0/businessDays/holidays", ["2026-02-02"], of=self.on_the_first()
        )
        assert (before.plan, after.plan) == (["bill PENDING 02-02 12:00"], ["bill PENDING 02-03 12:00"])

    @pytest.mark.setting("BusinessDays.closed")
    def test_closed_days_of_the_instance_are_no_business_days(self) -> None:
        attributes = {**ATTRIBUTES, "closedOn": "2026-02-02, 2026-02-03"}
        before = Life(self.on_the_first(), attributes=attributes)
        after = Life(self.on_the_first(closed="closedOn"), attributes=attributes)
        assert (before.plan, after.plan) == (["bill PENDING 02-02 12:00"], ["bill PENDING 02-04 12:00"])

    @pytest.mark.setting("TimeDelta.businessDays")
    def test_business_days_of_schedule_before_move_a_leading_up_event(self) -> None:
        of = settings_with(
            "/schedule/calendars/0/leadingUpTasks", [{"task": "refund", "scheduleBefore": DAY}]
        )
        before, after = both(
            "/schedule/calendars/0/leadingUpTasks/0/scheduleBefore/businessDays",
            {"convention": "preceding"},
            of=of,
        )
        assert before.plan == ["refund PENDING 01-31 12:00", "bill PENDING 02-01 12:00"]
        assert after.plan == ["refund PENDING 01-30 12:00", "bill PENDING 02-01 12:00"]

    @pytest.mark.setting("TimeDelta.businessDays", "BareDelta.businessDays")
    @pytest.mark.parametrize("place", ["retryAfter", "retryStrategy/0"])
    def test_business_days_of_a_delay_move_a_retry(self, place: str) -> None:
        two_days = {"unit": "days", "amount": 2}
        name, *entry = place.split("/")
        of = settings_with("/tasks/0/retryConfig", {"times": 1, name: [two_days] if entry else two_days})
        before, after = both(
            f"/tasks/0/retryConfig/{place}/businessDays", {"convention": "following"}, DECLINED, of=of
        )
        # Saturday and Monday
        assert (before.plan, after.plan) == (["bill PENDING 01-03 12:00"], ["bill PENDING 01-05 12:00"])
