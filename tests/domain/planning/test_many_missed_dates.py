"""More missed dates than are examined at once. Source: docs/decisions/0063."""

from datetime import timedelta

import pytest

from shared.domain.instance.model import CancelReason
from shared.domain.instance.verdict import Refused
from shared.domain.lifecycle.commands import Execute, Pause, Resume
from shared.domain.planning.forecast import coming_runs, forecast
from tests.coming import assert_foreseen, ranges
from tests.lifecycle_factories import ANN, Life, at, calendar, life, new, strategy


def minutely(on_missed: str = "all") -> Life:
    """Return a plan by the minute, from 5 January 2026 on."""
    every = {"unit": "minutes", "amount": 1}
    return life(strategy(calendar(every), onMissed=on_missed), new("2026-01-05"), now="2026-01-01")


def skipped_in(of: Life) -> list[tuple[int, int] | None]:
    """Return the skipped cycles on record."""
    return [record.skipped_cycles for record in of.records if record.event.is_main]


class TestMoreThanAThousandMissedDates:
    """The engine was down, or a run took days: the dates are skipped by the thousand, and nothing is canceled."""

    @staticmethod
    def caught_up(of: Life, now: str) -> Life:
        """Claim the main event until one begins or none is due, as a runner does."""
        while of.instance.executing is None and of.main.due_at <= at(now):
            of.claim(of.main, at(now))
        return of

    @pytest.mark.parametrize(
        ("now", "skipped"),
        [
            ("2026-01-05T16:39:30", [(1, 999)]),
            ("2026-01-05T16:40:30", [(1, 1000)]),
            ("2026-01-05T16:41:30", [(1, 1000), (1001, 1001)]),
            ("2026-01-06T09:21:30", [(1, 1000), (1001, 2000), (2001, 2001)]),
            ("2026-01-08T00:00:30", [(1, 1000), (1001, 2000), (2001, 3000), (3001, 4000), (4001, 4320)]),
        ],
    )
    def test_the_latest_runs_under_last(self, now: str, skipped: list[tuple[int, int]]) -> None:
        of = self.caught_up(minutely("last"), now)
        assert skipped_in(of) == skipped
        assert (of.running.date, of.instance.plan.cycle) == (at(now).replace(second=0), skipped[-1][1] + 1)

    @pytest.mark.parametrize("missed", [999, 1000, 1001, 1002, 1003, 2000, 2001, 2002, 2003, 4321])
    def test_no_missed_date_runs_under_skip(self, missed: int) -> None:
        now = at("2026-01-05") + timedelta(minutes=missed - 1, seconds=30)
        of = minutely("skip")
        while of.main.due_at <= now:
            of.claim(of.main, now)
            assert of.instance.executing is None
        assert [
            cycle for first, last in filter(None, skipped_in(of)) for cycle in range(first, last + 1)
        ] == [*range(1, missed + 1)]
        assert of.main.date == now + timedelta(seconds=30)

    @pytest.mark.parametrize("on_missed", ["last", "skip"])
    def test_the_preview_says_what_the_engine_does(self, on_missed: str) -> None:
        of = minutely(on_missed)
        now = "2026-01-08T00:00:30"
        coming = coming_runs(of.strategy, of.instance, now=at(now))
        foreseen = forecast(of.strategy, of.instance, cycles=1, now=at(now))
        self.caught_up(of, now)
        first = coming.runs[0].event
        assert (first.date, first.created_cycle) == (of.main.date, of.main.created_cycle)
        assert foreseen.cycles[0].main.date == of.main.date
        (skipped,) = coming.skipped
        assert (skipped.first_cycle, skipped.last_cycle) == (1, of.main.created_cycle - 1)

    @pytest.mark.parametrize("on_missed", ["last", "skip"])
    @pytest.mark.parametrize("missed", [998, 999, 1000, 1001, 1002, 1003, 2001, 2002, 2003, 4321])
    def test_the_preview_of_a_cycle_that_runs_before_them(self, missed: int, on_missed: str) -> None:
        """An operator has queued the overdue cycle, so that it runs and the missed dates are skipped after it."""
        of = minutely(on_missed)
        now = at("2026-01-05") + timedelta(minutes=missed, seconds=30)
        of.applied(Execute(seq=of.main.seq, by=ANN), now)
        foreseen = forecast(of.strategy, of.instance, cycles=2, now=now)
        coming = assert_foreseen(of, now)
        runs = [run.event.created_cycle for run in coming.runs][:2]
        latest = missed + 1 if on_missed == "last" else missed + 2
        assert (runs, [cycle.cycle for cycle in foreseen.cycles]) == ([1, latest], [1, latest])
        assert ranges(foreseen) == [(2, latest - 1)]

    @pytest.mark.parametrize(
        ("on_missed", "missed", "runs", "skipped"),
        [
            ("last", 5000, [1, 5001, 5002, 5003], (2, 5000)),
            ("last", 5001, [1, 5002, 5003, 5004], (2, 5001)),
            ("last", 5002, [1], (2, 5001)),
            ("last", 9000, [1], (2, 5001)),
            ("skip", 5000, [1, 5002, 5003], (2, 5001)),
            ("skip", 5001, [1, 5003, 5004], (2, 5002)),
            ("skip", 5002, [1], (2, 5001)),
        ],
    )
    def test_a_preview_looks_ahead_over_so_many_parts(
        self,
        on_missed: str,
        missed: int,
        runs: list[int],
        skipped: tuple[int, int],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("shared.domain.planning.plan.MAX_PARTS", 5)
        of = minutely(on_missed)
        now = at("2026-01-05T00:00:30") + timedelta(minutes=missed)
        of.applied(Execute(seq=of.main.seq, by=ANN), now)
        coming = coming_runs(of.strategy, of.instance, now=now)
        foreseen = forecast(of.strategy, of.instance, cycles=3, now=now)
        assert [run.event.created_cycle for run in coming.runs] == runs
        assert [cycle.cycle for cycle in foreseen.cycles] == runs[:3]
        assert ranges(coming) == ranges(foreseen) == [skipped]
        assert coming.truncated is foreseen.truncated is (len(runs) == 1)

    @pytest.mark.parametrize("on_missed", ["last", "skip"])
    def test_a_preview_of_too_many_parts_shows_no_run(
        self, on_missed: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Also the cycle with which the last part ends will be skipped."""
        monkeypatch.setattr("shared.domain.planning.plan.MAX_PARTS", 5)
        of, now = minutely(on_missed), at("2026-01-05T00:00:30") + timedelta(minutes=9000)
        coming = coming_runs(of.strategy, of.instance, now=now)
        foreseen = forecast(of.strategy, of.instance, cycles=3, now=now)
        assert (coming.runs, coming.truncated) == ((), True)
        assert (foreseen.cycles, foreseen.truncated) == ((), True)
        assert ranges(coming) == ranges(foreseen) == [(1, 5000)]

    def test_a_plan_without_a_calendar_for_a_later_part_is_canceled(self) -> None:
        """No calendar dates cycle 1500, which two thousand missed dates reach."""
        every = {"unit": "minutes", "amount": 1}
        under = strategy(calendar(every, runOnCycleCallback="cycle < 1500"), onMissed="skip")
        of, now = life(under, new("2026-01-05"), now="2026-01-01"), at("2026-01-06T09:20:30")
        of.applied(Execute(seq=of.main.seq, by=ANN), now)
        coming = assert_foreseen(of, now)
        assert [run.event.created_cycle for run in coming.runs] == [1]
        assert of.instance.cancel_reason is CancelReason.CREATE_CYCLE_ERROR

    def test_under_all_each_runs(self) -> None:
        of = self.caught_up(minutely(), "2026-01-08T00:00:30")
        assert (skipped_in(of), of.running.date) == ([], at("2026-01-05"))

    def test_a_resume_by_an_operator_is_refused(self) -> None:
        of = minutely()
        of.decide(Pause(by=ANN), at("2026-01-02"))
        assert isinstance(of.decide(Resume(by=ANN), at("2026-01-08")), Refused)
