"""The runs that the answer to a command promises or excludes, compared with the later runs.

Source: docs/api/core.md, "What will run"; docs/decisions/0062.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from shared.domain.calendar.dates import format_instant, parse_instant
from shared.domain.ids import event_address
from shared.domain.instance.event import Event, EventKind, EventStatus
from shared.domain.instance.journal import EventRecord
from shared.domain.instance.model import Instance, InstanceStatus
from shared.domain.planning.offset_dates import MAIN_OVERDUE
from shared.domain.strategy.model import OnMissed

LATENESS = timedelta(hours=2)
"""How late an event may be because of crashes and lost wakeups."""

Row = tuple[str, int, str]
"""A run: its task, its cycle and its date."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """An event that a runner has claimed, as it was then."""

    at: datetime
    event: Event

    @property
    def row(self) -> Row:
        """Return the run as an answer lists it."""
        return _row_of(self.event)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """The claims and records from a command until the next disturbance, or until now.

    ``records`` are those of events that have closed since. ``next_seq`` is the number of the first event that did not
    exist after the command. ``is_undisturbed`` means that ``instance``, as it is now, is the result.
    """

    begin: datetime
    end: datetime
    next_seq: int
    claims: Sequence[Claimed]
    records: Sequence[EventRecord]
    instance: Instance
    is_undisturbed: bool


@dataclass(frozen=True, slots=True)
class Promise:
    """A plan, as an answer has it.

    ``resumes_at`` is when a pause ends by itself; nothing runs before it. ``on_missed`` decides about dates that pass
    while an earlier event is not finished. ``draining`` is the event that a runner had when the instance was canceled:
    it ends its run, or closes without one between two steps or if the runner has crashed.
    """

    plan: dict[str, Any]
    is_canceled_later: bool = False
    resumes_at: datetime | None = None
    says_what_closes: bool = True
    on_missed: OnMissed = OnMissed.ALL
    draining: int | None = None

    @property
    def rows(self) -> set[Row]:
        """Return all runs."""
        return {_row(run) for run in self.plan["runs"]}

    @property
    def farewells(self) -> set[Row]:
        """Return the runs that follow a cancellation."""
        return {_row(run) for run in self.plan["runs"] if run.get("afterCancellation")}

    @property
    def main_dates(self) -> dict[int, datetime]:
        """Return the due dates of the main events by cycle."""
        return {run["cycle"]: parse_instant(run["date"]) for run in self.plan["runs"] if run["main"]}

    @property
    def planned_dates(self) -> dict[int, datetime]:
        """Return the planned dates of the main events by cycle."""
        mains = [run for run in self.plan["runs"] if run["main"]]
        return {run["cycle"]: parse_instant(run.get("plannedDate", run["date"])) for run in mains}

    @property
    def last_cycle(self) -> int | None:
        """Return the last cycle that is listed, or None if all are listed."""
        cycles = [run["cycle"] for run in self.plan["runs"] if run["main"]]
        is_complete = len(cycles) < 2 or (self.is_canceled_later and "truncated" not in self.plan)
        return None if is_complete else max(cycles)

    @property
    def skipped(self) -> set[int]:
        """Return the cycles that do not run."""
        return {
            cycle for one in self.plan.get("skipped", []) for cycle in range(one["first"], one["last"] + 1)
        }

    @property
    def canceled(self) -> set[int]:
        """Return the numbers of the events that close without a run."""
        return {seq_of(one["sid"]) for one in self.plan.get("canceledEvents", [])}

    def _close_to_main(self, stretch: Stretch) -> set[Row]:
        """Return the leading-up runs that a lost wakeup may cost, because it makes their main events late as well.

        What is overdue begins when nothing keeps it any more, which may be just before its main event is overdue, too.
        """
        begin = self.resumes_at or stretch.begin
        return {
            _row(run)
            for run in self.plan["runs"]
            if not run["main"]
            and run["cycle"] in self.main_dates
            and self.main_dates[run["cycle"]] - max(begin, parse_instant(run["date"])) < LATENESS
        }

    def _overtaken(self, stretch: Stretch) -> set[int]:
        """Return the cycles whose dates may pass, and so be missed, before a run ahead of them has ended.

        A run is listed on its date, as if the runs before it took no time. Under ``last``, the date that has passed may
        replace the missed one before it, and then runs itself; under ``skip`` neither may run.
        """
        if self.on_missed is OnMissed.ALL:
            return set()
        begin, dates = self.resumes_at or stretch.begin, self.main_dates
        begins = {cycle: max(begin, date) for cycle, date in dates.items()}
        ran = {claim.event.created_cycle for claim in stretch.claims if claim.event.is_main}
        late = {run["cycle"] for run in self.plan["runs"] if run["main"] and run.get("overdue")}
        overtaken: set[int] = set()
        for before, cycle in pairwise(sorted(dates)):
            if any(one <= dates[cycle] <= one + LATENESS for of, one in begins.items() if of <= before):
                overtaken.add(cycle)
                if before in late and (cycle in ran or self.on_missed is OnMissed.SKIP):
                    overtaken.add(before)
        return overtaken

    def compare(self, stretch: Stretch) -> int:
        """Compare the plan with a stretch, and return how many runs were compared."""
        begun = {
            seq_of(run["sid"]) for run in self.plan["runs"] if run["status"] == EventStatus.EXECUTING.value
        }
        claims = [claim for claim in stretch.claims if claim.event.seq not in begun]
        listed = {seq_of(run["sid"]) for run in self.plan["runs"] if "sid" in run}
        # On-cancel events are created when a cancellation takes effect, which may be later than its date.
        farewells = [
            one for one in claims if one.event.kind is EventKind.ON_CANCEL and one.event.seq not in listed
        ]
        self._compare_farewells(farewells, stretch)
        claims = [one for one in claims if one not in farewells]
        ran = [claim for claim in claims if not self._is_beyond(claim.event.created_cycle)]
        unforeseen = {claim.row for claim in ran} - self.rows
        assert not unforeseen, f"not in the plan, but ran: {sorted(unforeseen)}"
        if self.resumes_at is not None:
            early = [claim.row for claim in ran if claim.at < self.resumes_at]
            assert not early, f"ran before the end of the pause: {early}"
            is_over = stretch.is_undisturbed and self.resumes_at + LATENESS < stretch.end
            stop = stretch.instance.stop
            assert (
                not is_over or stretch.instance.status is not InstanceStatus.PAUSED or (stop and stop.refused)
            )
        missing = set(self._due(stretch)) - {claim.row for claim in ran} - self._close_to_main(stretch)
        overtaken = self._overtaken(stretch)
        missing = {row for row in missing if row[1] not in overtaken}
        assert not missing, f"in the plan, but did not run: {sorted(missing)}"
        if self.says_what_closes:
            self._compare_closed(stretch)
        return len({claim.row for claim in ran})

    def _compare_farewells(self, ran: list[Claimed], stretch: Stretch) -> None:
        """Compare the on-cancel events of a cancellation that takes effect later."""
        planned = {
            (run["task"], run["cycle"]): parse_instant(run["date"])
            for run in self.plan["runs"]
            if run.get("afterCancellation") and "sid" not in run
        }
        if not planned:
            return
        begun = {(claim.event.task, claim.event.created_cycle): claim.event.date for claim in ran}
        unforeseen = begun.keys() - planned.keys()
        assert not unforeseen, f"not in the plan, but ran: {sorted(unforeseen)}"
        for key, at in begun.items():
            latest = planned[key] + LATENESS if stretch.is_undisturbed else at
            assert planned[key] <= at <= latest, f"{key} is planned for {planned[key]} and is for {at}"
        # A cancellation at the end of a cycle waits for a main event that has begun.
        is_blocked = any(run["main"] and run["status"] in _WAITING for run in self.plan["runs"])
        if stretch.is_undisturbed and not is_blocked:
            missing = {key for key, at in planned.items() if at + 2 * LATENESS < stretch.end} - begun.keys()
            assert not missing, f"in the plan, but did not run: {sorted(missing)}"

    def _due(self, stretch: Stretch) -> list[Row]:
        """Return the runs that must have begun."""
        runs = self.plan["runs"]
        blocked = [run["cycle"] for run in runs if run["main"] and run["status"] in _WAITING]
        return [
            _row(run)
            for run in runs
            if run["status"] in (EventStatus.PENDING.value, EventStatus.QUEUED.value)
            and ("sid" in run or not run.get("afterCancellation"))
            and not any("sid" not in run and run["cycle"] > cycle for cycle in blocked)
            and max(self._earliest(run), self.resumes_at or stretch.begin) + LATENESS < stretch.end
        ]

    def _earliest(self, run: dict[str, Any]) -> datetime:
        """Return when a run can begin: at its date, but not before its cycle is planned."""
        mains = [one for one in self.plan["runs"] if one["main"] and one["cycle"] < run["cycle"]]
        dates = [run["date"], *(one["date"] for one in mains if "sid" not in run)]
        return max(parse_instant(date) for date in dates)

    def _compare_closed(self, stretch: Stretch) -> None:
        """Compare the skipped cycles and the events that closed without a run."""
        closed = [one for one in stretch.records if one.event.status is EventStatus.CANCELED]
        ranges = [record.skipped_cycles for record in closed if record.skipped_cycles is not None]
        left_out = {cycle for first, last in ranges for cycle in range(first, last + 1)}
        # After the last cycle before a cancellation, the engine still plans one, which may be no business day.
        last = max(self.main_dates, default=0) if self.is_canceled_later else self.last_cycle
        unforeseen = {cycle for cycle in left_out - self.skipped if last is None or cycle <= last}
        unforeseen -= self._overtaken(stretch)
        assert not unforeseen, f"cycles {sorted(unforeseen)} were skipped, which the plan does not say"
        others = {
            record.event.seq
            for record in closed
            if record.skipped_cycles is None
            and record.event.seq < stretch.next_seq
            and not (record.why == MAIN_OVERDUE and _row_of(record.event) in self._close_to_main(stretch))
        }
        others.discard(self.draining or 0)
        # What waits for a person may wait until the instance is canceled.
        if self.is_canceled_later:
            others -= {seq_of(run["sid"]) for run in self.plan["runs"] if run["status"] in _WAITING}
        assert others <= self.canceled, f"events {sorted(others - self.canceled)} closed without a run"
        if stretch.is_undisturbed and not stretch.instance.status.is_final:
            past = {cycle for cycle in self.skipped if cycle < stretch.instance.plan.cycle}
            assert past <= left_out, (
                f"cycles {sorted(past - left_out)} were to be skipped, and are not recorded"
            )

    def _is_beyond(self, cycle: int) -> bool:
        return self.last_cycle is not None and cycle > self.last_cycle


_WAITING = (EventStatus.PAUSED.value, EventStatus.ONHOLD.value)

PAUSED = Promise({"runs": []}, says_what_closes=False)
"""The promise of an instance that is paused without an end: nothing runs until a command."""


def seq_of(sid: str) -> int:
    """Return the number of an event."""
    address = event_address(sid)
    assert address is not None
    return address[1]


def _row_of(event: Event) -> Row:
    return event.task, event.created_cycle, format_instant(event.date)


def _row(run: dict[str, Any]) -> Row:
    return run["task"], run["cycle"], run["date"]
