"""The coming runs after a command, in its answer and in its dry run. Source: docs/decisions/0062."""

import random
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from dev.memory.evaluator import SlowEvaluator
from shared.domain.instance.due import next_event
from shared.domain.instance.event import EventStatus
from shared.domain.instance.model import Blocked, BlockedBy, Downtime, InstanceStatus
from shared.domain.instance.run import Ending
from shared.domain.lifecycle.commands import (
    AddEvent,
    Cancel,
    CancelAt,
    Execute,
    Pause,
    Reschedule,
    Resume,
    Skip,
    Wait,
)
from shared.domain.planning.forecast import coming_runs, forecast
from shared.domain.strategy.model import Json, OnResume, Strategy
from shared.expressions import use_evaluator
from tests.coming import assert_foreseen, engine_goes_on, ranges, rows, starts_alone
from tests.lifecycle_factories import (
    ANN,
    DAILY,
    Life,
    at,
    calendar,
    ended,
    life,
    new,
    reminded,
    retries,
    strategy,
    succeeded,
)
from tests.lifecycle_walks import RandomLife


def any_strategy(rng: random.Random) -> Strategy:
    """Return a strategy with random dates: rhythms, reminders, callbacks, business days and rules."""
    every: Json = rng.choice(
        [
            {"unit": "days", "amount": 1},
            {"unit": "days", "amount": 7},
            {"unit": "months", "amount": 1},
            {"unit": "hours", "amount": 30},
        ]
    )
    more: dict[str, Any] = {}
    if rng.random() < 0.4:
        more["nextCycleDateCallback"] = rng.choice(
            ["cycle % 3 == 0 ? date + duration('30h') : date", "addDays(date, -1, 'UTC')"]
        )
    if rng.random() < 0.4:
        more["businessDays"] = {"convention": rng.choice(["following", "preceding", "modifiedFollowing"])}
    if rng.random() < 0.3:
        more["spreadMinutes"] = rng.choice([1, 600, 1440])
    one = reminded(days=rng.choice([0, 1, 3, 40]), late=rng.random() < 0.5, scheduleAfter=every, **more)
    return strategy(
        one,
        retry=retries(rng.choice([1, 3])),
        onResume=rng.choice(["last", "all", "skip"]),
        onMissed=rng.choice(["last", "all", "skip"]),
        parts={"onCreateTasks": [{"task": "greet"}]},
    )


def any_life(rng: random.Random) -> tuple[Life, Any]:
    """Return a life somewhere in its plan, and the instant: cycles have run, or retry, or were missed."""
    now = at("2026-01-30") + timedelta(hours=rng.randint(0, 100))
    request = replace(new(), start_date=now - timedelta(days=rng.choice([0, 0, 20])))
    if rng.random() < 0.3:
        request = replace(request, end_date=now + timedelta(days=rng.choice([3, 40, 100])))
    of = life(any_strategy(rng), request, now=now.strftime("%Y-%m-%dT%H:%M"))
    for _ in range(rng.randint(0, 6)):
        event = next_event(of.instance)
        if event is None:
            break
        now = max(now, event.due_at)
        of.claim(event, now)
        if of.instance.executing is not None:
            retried = of.running.is_main and rng.random() < 0.3
            of.conclude(ended(Ending.RETRY, now) if retried else succeeded(), now)
    if rng.random() < 0.2 and not of.instance.status.is_final:
        of.decide(AddEvent(task="part", by=ANN, date=now + timedelta(days=rng.choice([0, 9]))), now)
    if rng.random() < 0.6:
        of.decide(Pause(by=ANN), now)
        now += timedelta(hours=rng.choice([0, 1, 30, 24 * 15, 24 * 70]))
    return of, now


class TestItRunsSo:
    """ "The list equals the ledger afterwards"."""

    @settings(max_examples=200, deadline=None)
    @given(seed=st.integers(0, 10_000_000))
    def test_what_is_foreseen_at_any_time_runs(self, seed: int) -> None:
        of, now = any_life(random.Random(seed))
        assert_foreseen(of, now)

    @settings(max_examples=200, deadline=None)
    @given(seed=st.integers(0, 10_000_000), rule=st.sampled_from([None, *OnResume]))
    def test_what_a_resume_foresees_runs(self, seed: int, rule: OnResume | None) -> None:
        of, now = any_life(random.Random(seed))
        of.decide(Resume(by=ANN, on_late=rule), now)
        assert_foreseen(of, now)

    @settings(max_examples=300, deadline=None)
    @given(
        seed=st.integers(0, 10_000_000),
        hours=st.integers(0, 24 * 70),
        anchor=st.sampled_from(["keep", "move"]),
    )
    def test_what_a_move_foresees_runs(self, seed: int, hours: int, anchor: str) -> None:
        of, now = any_life(random.Random(seed))
        of.decide(Reschedule(date=now + timedelta(hours=hours), keep_anchor=anchor == "keep", by=ANN), now)
        assert_foreseen(of, now)

    @settings(max_examples=300, deadline=None)
    @given(seed=st.integers(0, 10_000_000), cycles=st.integers(1, 5), times=st.integers(1, 2))
    def test_what_a_skip_foresees_runs(self, seed: int, cycles: int, times: int) -> None:
        of, now = any_life(random.Random(seed))
        for _ in range(times):
            of.decide(Skip(cycles=cycles, by=ANN), now)
        assert_foreseen(of, now)

    @settings(max_examples=150, deadline=None)
    @given(seed=st.integers(0, 1_000_000), steps=st.integers(1, 60))
    def test_in_any_state(self, seed: int, steps: int) -> None:
        one = RandomLife.begun(seed).lead(steps)
        one.of.decide(Resume(by=ANN), one.now)
        if one.of.instance.status is InstanceStatus.ACTIVE and starts_alone(one.of.instance):
            assert_foreseen(one.of, one.now)


class TestWhatIsShown:
    """Unfinished events, missed dates that still run, the next cycle and the one after it."""

    def test_a_reminder_and_two_cycles(self) -> None:
        of = life(strategy(reminded()), new("2026-01-31"))
        of.run(of.main, at("2026-01-31"))
        coming = assert_foreseen(of, at("2026-02-01"))
        assert rows(coming) == [
            "2 remind 2026-02-25 00:00",
            "2 bill 2026-02-28 00:00",
            "3 remind 2026-03-28 00:00",
            "3 bill 2026-03-31 00:00",
        ]
        assert [run.is_stored for run in coming.runs] == [True, True, False, False]

    @pytest.mark.parametrize(
        ("rule", "runs", "skipped"),
        [
            (OnResume.LAST, ["3 bill 2026-02-02 00:00 late", "4 bill 2026-02-03 00:00"], [(2, 2)]),
            (
                OnResume.ALL,
                [
                    "2 bill 2026-02-01 00:00 late",
                    "3 bill 2026-02-02 00:00 late",
                    "4 bill 2026-02-03 00:00",
                    "5 bill 2026-02-04 00:00",
                ],
                [],
            ),
            (OnResume.SKIP, ["4 bill 2026-02-03 00:00", "5 bill 2026-02-04 00:00"], [(2, 3)]),
        ],
    )
    def test_a_paused_instance_as_if_it_were_resumed(
        self, rule: OnResume, runs: list[str], skipped: list[tuple[int, int]]
    ) -> None:
        of = life(strategy(calendar(DAILY), onResume=rule.value), new("2026-01-31"))
        of.run(of.main, at("2026-01-31"))
        of.applied(Pause(by=ANN), at("2026-01-31T10:00"))
        coming = assert_foreseen(of, at("2026-02-02T12:00"))
        assert rows(coming)[: len(runs)] == runs
        assert ranges(coming) == skipped

    def test_dates_after_a_resume_are_not_those_of_the_pause(self) -> None:
        """The retry of cycle 1 lasts until cycle 2 is missed, under `onMissed`."""
        half = {"unit": "minutes", "amount": 30}
        of = life(
            strategy(calendar(half), retry=retries(), onResume="all", onMissed="skip"), new("2026-01-31")
        )
        of.claim(of.main, at("2026-01-31"))
        of.conclude(ended(Ending.RETRY, at("2026-01-31")), at("2026-01-31"))
        of.applied(Pause(by=ANN), at("2026-01-31T00:10"))
        coming = assert_foreseen(of, at("2026-01-31T00:20"))
        assert rows(coming) == [
            "1 bill 2026-01-31 01:00",
            "3 bill 2026-01-31 01:00",
            "4 bill 2026-01-31 01:30",
        ]

    def test_a_reminder_of_a_main_event_that_an_operator_runs_before_it_is_dropped(self) -> None:
        of = life(strategy(reminded()), new("2026-02-28"), now="2026-02-01")
        of.applied(Execute(seq=of.main.seq, by=ANN), at("2026-02-01"))
        coming = assert_foreseen(of, at("2026-02-01"))
        assert rows(coming)[0] == "1 bill 2026-02-28 00:00"
        assert [(record.event.task, record.why) for record in coming.dropped] == [
            ("remind", "its main event has closed")
        ]

    @pytest.mark.parametrize(("date", "runs"), [("2026-01-31", True), ("2026-02-01", False)])
    def test_what_is_due_after_a_plan_that_cannot_continue_is_dropped(self, date: str, runs: bool) -> None:  # noqa: FBT001
        """The cycle after the only one cannot be dated, which ends the instance."""
        of = life(strategy(calendar(runOnCycle=1)), new("2026-01-31"), now="2026-01-01")
        of.applied(AddEvent(task="part", date=at(date), by=ANN), at("2026-01-01"))
        coming = assert_foreseen(of, at("2026-01-01"))
        assert [run.event.task for run in coming.runs] == (["bill", "part"] if runs else ["bill"])
        assert [record.why for record in coming.dropped] == (
            [] if runs else ["instance canceled: CREATE_CYCLE_ERROR"]
        )

    def test_a_reminder_whose_main_event_is_overdue_too_is_dropped(self) -> None:
        of = life(strategy(reminded(days=1)), new("2026-02-10"), now="2026-02-01")
        of.applied(Pause(by=ANN), at("2026-02-02"))
        of.applied(Resume(by=ANN), at("2026-02-11"))
        coming = assert_foreseen(of, at("2026-02-11"))
        assert rows(coming)[0] == "1 bill 2026-02-10 00:00 late"
        assert [(record.event.task, record.why) for record in coming.dropped] == [
            ("remind", "skipped: its main event is overdue too")
        ]

    def test_a_plan_that_ends(self) -> None:
        of = life(strategy(), new("2026-01-31", end_date="2026-02-01"))
        assert rows(assert_foreseen(of, at("2026-01-31"))) == ["1 bill 2026-01-31 00:00"]

    def test_an_onhold_event_is_never_late(self) -> None:
        of = life(strategy(manualTrigger=True), new("2026-01-31"))
        coming = coming_runs(of.strategy, of.instance, now=at("2026-02-02"))
        assert next((run.event.status, run.is_overdue) for run in coming.runs) == (EventStatus.ONHOLD, False)

    def test_a_canceled_instance_runs_its_last_task_only(self) -> None:
        of = life(strategy(parts={"onCancelTasks": [{"task": "part"}]}), new("2026-02-10"), now="2026-02-01")
        of.applied(Cancel(by=ANN), at("2026-02-02"))
        assert rows(coming_runs(of.strategy, of.instance, now=at("2026-02-02"))) == [
            "1 part 2026-02-02 00:00"
        ]

    def test_a_plan_whose_next_date_fails(self) -> None:
        of = life(strategy(calendar(runOnCycle=1), onResume="skip"), new("2026-02-10"), now="2026-02-01")
        of.applied(Pause(by=ANN), at("2026-02-02"))
        coming = coming_runs(of.strategy, of.instance, now=at("2026-02-11"))
        assert (coming.runs, [record.event.task for record in coming.dropped]) == ((), ["bill"])

    def test_a_plan_that_takes_too_long_to_compute(self) -> None:
        of = life(strategy(calendar(DAILY, nextCycleDateCallback="date"), onResume="all"), new("2026-01-31"))
        use_evaluator(SlowEvaluator(0.15))
        coming = coming_runs(of.strategy, of.instance, now=at("2026-03-31"))
        assert (coming.truncated, rows(coming)[0]) == (True, "1 bill 2026-01-31 00:00 late")


class TestARunInFlight:
    """A pause until a date does not stop a call in flight. With it ends the run, and the next cycle is planned."""

    @staticmethod
    def paused(until: str, **more: Json) -> Life:
        """Return a life that was paused while a runner called for cycle 1, due on 31 January at noon."""
        one = reminded(
            days=1, scheduleAfter={"unit": "days", "amount": 3}, late=bool(more.pop("late", False))
        )
        of = life(strategy(one, **more), new("2026-01-31T12:00"), now="2026-01-31T12:00")
        of.claim(of.main, at("2026-01-31T12:00"))
        of.applied(Pause(by=ANN, until=at(until), sets_until=True), at("2026-01-31T12:00"))
        return of

    @staticmethod
    def ends_and_continues(of: Life, until: str) -> list[str]:
        """Let the run end at once, and the pause at its date. Return the later runs up to cycle 3."""
        of.conclude(succeeded(), at("2026-01-31T12:00:01"))
        return [f"{event.created_cycle} {event.task}" for event in engine_goes_on(of, at(until), 3)]

    @pytest.mark.parametrize(
        ("until", "rule", "runs", "skipped"),
        [
            # The reminder was not late when its cycle was planned, so that it runs although it is late now.
            ("2026-02-03T00:00", "all", ["2 remind", "2 bill", "3 remind", "3 bill"], []),
            # With its main event it is overdue.
            ("2026-02-04T00:00", "all", ["2 bill", "3 remind", "3 bill"], []),
            ("2026-02-04T00:00", "last", ["2 bill", "3 remind", "3 bill"], []),
            ("2026-02-04T00:00", "skip", ["3 remind", "3 bill"], [(2, 2)]),
            ("2026-02-07T00:00", "last", ["3 bill"], [(2, 2)]),
        ],
    )
    def test_the_cycle_after_it_is_planned_at_once(
        self, until: str, rule: str, runs: list[str], skipped: list[tuple[int, int]]
    ) -> None:
        of = self.paused(until, onResume=rule)
        now = at("2026-01-31T12:00")
        coming = coming_runs(of.strategy, of.instance, now=now)
        listed = [f"{run.event.created_cycle} {run.event.task}" for run in coming.runs]
        assert listed[: len(runs) + 1] == ["1 bill", *runs]
        assert ranges(coming) == skipped
        ahead = forecast(of.strategy, of.instance, cycles=2, now=now)
        assert [one.cycle for one in ahead.cycles] == [1, int(runs[0][0])]
        assert sorted(self.ends_and_continues(of, until)) == sorted(runs)

    @pytest.mark.parametrize(
        "later",
        [
            {"nextStep": "thank"},
            {"nextStepRules": [{"nextStep": "thank", "if": "callback", "ifCallback": "true"}]},
        ],
    )
    def test_a_run_with_other_steps_continues_when_the_pause_ends(self, later: dict[str, Json]) -> None:
        steps = [{"key": "call", "action": "post", **later}, {"key": "thank", "action": "post"}]
        of = self.paused("2026-02-03T00:00", onResume="all", steps=steps)
        coming = coming_runs(of.strategy, of.instance, now=at("2026-01-31T12:00"))
        assert rows(coming)[1] == "2 bill 2026-02-03 12:00"

    def test_a_run_that_has_crashed_continues_when_the_pause_ends(self) -> None:
        of = self.paused("2026-02-03T00:00", onResume="all")
        coming = coming_runs(of.strategy, of.instance, now=at("2026-02-01T12:00"))
        assert rows(coming)[1] == "2 bill 2026-02-03 12:00"

    def test_a_next_date_that_fails_at_the_end_of_the_pause(self) -> None:
        """Under ``skip`` the date after the missed one is needed, and there is no calendar for it."""
        plan = [
            calendar({"unit": "days", "amount": 3}, key=f"c-{cycle}", runOnCycle=cycle) for cycle in (1, 2)
        ]
        of = life(strategy(*plan, onResume="skip"), new("2026-01-31T12:00"), now="2026-01-31T12:00")
        of.claim(of.main, at("2026-01-31T12:00"))
        of.applied(Pause(by=ANN, until=at("2026-02-04"), sets_until=True), at("2026-01-31T12:00"))
        coming = coming_runs(of.strategy, of.instance, now=at("2026-01-31T12:00"))
        assert rows(coming) == ["1 bill 2026-01-31 12:00"]

    def test_thousands_of_missed_dates_are_not_all_computed(self) -> None:
        minutely = calendar({"unit": "minutes", "amount": 1})
        of = life(strategy(minutely), new("2026-01-31T12:00"), now="2026-01-31T12:00")
        now = at("2026-01-31T12:00") + timedelta(days=60)
        of.claim(of.main, now)
        of.applied(Pause(by=ANN, until=now + timedelta(hours=1), sets_until=True), now)
        coming = coming_runs(strategy(minutely, onMissed="skip"), of.instance, now=now)
        assert (rows(coming), coming.truncated) == (["1 bill 2026-01-31 12:00"], True)


class TestTheNextDates:
    """The next dates are known while a charge waits for its step, or while the instance is paused."""

    @staticmethod
    def waiting(until: str) -> Life:
        """Return the life of an hourly plan whose first charge waits for a step until some time."""
        of = life(strategy(calendar({"unit": "hours", "amount": 1}), onMissed="skip"))
        of.claim(of.main, at("2026-01-31"))
        of.applied(Wait(seq=1, fence=of.instance.fence, until=at(until), known_visits=0), at("2026-01-31"))
        return of

    @pytest.mark.parametrize(
        ("until", "second"),
        [
            ("2026-01-31T00:59", "2 bill 2026-01-31 01:00"),
            ("2026-01-31T01:00", "2 bill 2026-01-31 01:00"),
            ("2026-01-31T01:30", "3 bill 2026-01-31 02:00"),
            ("2026-01-31T05:30", "7 bill 2026-01-31 06:00"),
        ],
    )
    def test_what_passes_while_a_step_waits_is_missed(self, until: str, second: str) -> None:
        coming = assert_foreseen(self.waiting(until), at("2026-01-31"))
        assert rows(coming)[1].removesuffix(" late") == second

    @pytest.mark.parametrize("minute", [0, 1, 59])
    def test_a_paused_instance_is_paused_no_longer_than_until_now(self, minute: int) -> None:
        """The retry at half past two ends after the dates of one and two o'clock."""
        of = life(strategy(calendar({"unit": "hours", "amount": 1}), retry=retries(2), onResume="skip"))
        now = at("2026-01-31T00:00") + timedelta(minutes=minute)
        of.run(of.main, at("2026-01-31"), ended(Ending.RETRY, at("2026-01-31T01:30")))
        of.applied(Pause(by=ANN), at("2026-01-31"))
        forecasted = forecast(of.strategy, of.instance, cycles=3, now=now).cycles
        assert [one.cycle for one in forecasted] == [1, 2, 3]
        assert rows(assert_foreseen(of, now))[:3] == [
            "1 bill 2026-01-31 02:30",
            "2 bill 2026-01-31 01:00",
            "3 bill 2026-01-31 02:00",
        ]


class TestACancellationThatIsDue:
    """A paused instance is canceled at the date, without a further run."""

    @pytest.mark.parametrize(
        ("now", "runs"),
        [
            ("2026-02-09T23:59:59", ["1 part 2026-02-09 00:00 late"]),
            ("2026-02-10", []),
            ("2026-02-11", []),
        ],
    )
    def test_nothing_runs_from_the_date_on(self, now: str, runs: list[str]) -> None:
        of = life(strategy(), new("2026-02-10"))
        of.applied(AddEvent(task="part", date=at("2026-02-09"), by=ANN), at("2026-01-31"))
        of.applied(Pause(by=ANN), at("2026-01-31"))
        of.applied(CancelAt(by=ANN, at=at("2026-02-10T00:00")), at("2026-01-31"))
        coming = coming_runs(of.strategy, of.instance, now=at(now))
        assert rows(coming) == runs
        dropped = ["bill"] if runs else ["bill", "part"]
        assert [record.event.task for record in coming.dropped] == dropped

    def test_the_end_of_a_cycle_that_has_passed(self) -> None:
        """The charge has begun, and the next planned date has passed: the cancellation is at once."""
        of = life(strategy(calendar(DAILY), retry=retries(2)))
        of.run(of.main, at("2026-01-31"), ended(Ending.RETRY, at("2026-01-31")))
        of.applied(Pause(by=ANN), at("2026-01-31T00:30"))
        of.applied(CancelAt(by=ANN), at("2026-02-02"))
        coming = coming_runs(of.strategy, of.instance, now=at("2026-02-02"))
        assert (coming.runs, [record.event.task for record in coming.dropped]) == ((), ["bill"])
        assert forecast(of.strategy, of.instance, cycles=3, now=at("2026-02-02")).cycles == ()

    def test_an_active_instance_runs_first_what_was_due_before(self) -> None:
        of = life(strategy(calendar(DAILY)))
        of.applied(CancelAt(by=ANN, at=at("2026-01-31T12:00")), at("2026-01-31"))
        coming = coming_runs(of.strategy, of.instance, now=at("2026-01-31T13:00"))
        assert rows(coming) == ["1 bill 2026-01-31 00:00 late"]


class TestForgottenPauses:
    """An instance remembers four pauses. A date before them counts as paused, also while the last one of them lasts."""

    @pytest.mark.parametrize(
        ("earlier", "is_blocked", "first"),
        [
            (1, False, 2),
            (2, False, 2),
            (3, False, 9),
            (4, False, 9),
            (1, True, 3),
            (2, True, 9),
            (3, True, 9),
        ],
    )
    def test_what_a_resume_ends_is_among_them(self, earlier: int, is_blocked: bool, first: int) -> None:  # noqa: FBT001
        """The charge of 1 February was missed without a pause; then there were pauses, and one until now."""
        of = life(strategy(calendar(DAILY), onResume="skip"))
        of.run(of.main, at("2026-01-31"))
        downtimes = tuple(
            Downtime(since=at(f"2026-02-0{day}"), until=at(f"2026-02-0{day}T01:00"))
            for day in range(8 - earlier, 8)
        )
        of.instance = replace(of.instance, downtimes=downtimes)
        if is_blocked:
            # The charge waits for its retry, so no date of the plan is within the block.
            since = at("2026-02-08T11:00")
            of.run(of.main, at("2026-02-01"), ended(Ending.RETRY, at("2026-02-01")))
            of.instance = replace(of.instance, blocked=Blocked(by=BlockedBy.QUEUE, since=since))
        of.applied(Pause(by=ANN), at("2026-02-08T12:00"))
        coming = assert_foreseen(of, at("2026-02-09T12:00"))
        assert next(run for run in coming.runs if not run.event.has_begun).event.created_cycle == first
