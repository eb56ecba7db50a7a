"""When a process runs, by its flags, its window and its expression. Source: contracts/process.md C.5 and C.7.

A fire before the request is none that was missed: a window that is open already counts from now on.
"""

from dataclasses import dataclass
from datetime import datetime

from shared.api.process.schemas import StartProcess
from shared.domain.calendar.dates import Anchor, moment_of, zone_named
from shared.domain.calendar.instance_schedule import OwnSchedule
from shared.domain.errors import DateError, InvalidInputError, Problem

NEEDS_QUARTZ = "is required unless runOnce or runImmediately is Y"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The schedule of an instance, and its dates. start_date: None for now."""

    schedule: OwnSchedule
    start_date: datetime | None = None
    end_date: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """From when until when a schedule may fire, both included; None for no bound."""

    opens: datetime | None
    closes: datetime | None

    def is_ahead(self, now: datetime) -> bool:
        """Whether it opens only later."""
        return self.opens is not None and self.opens > now

    def is_over(self, now: datetime) -> bool:
        """Whether it has closed."""
        return self.closes is not None and self.closes < now


def plan_of(asked: StartProcess, zone: str, *, now: datetime) -> Plan:
    """The plan that a request asks for. zone: the name of that in which its window and its expression are read.

    Raises: InvalidInputError: with all that keeps it from being one.
    """
    problems: list[Problem] = []
    window = Window(
        opens=_instant("startDate", asked.start, zone, problems),
        closes=_instant("endDate", asked.end, zone, problems),
    )
    if window.opens is not None and window.closes is not None and window.closes < window.opens:
        problems.append(_problem("endDate", "must not be before startDate"))
    once, at_once = _flags(asked)
    if asked.quartz is None and not once and not at_once:
        problems.append(_problem("quartzDef", NEEDS_QUARTZ))
    if problems:
        raise InvalidInputError(tuple(problems))
    if at_once:
        return _run_now(asked, window, zone, once=once, now=now)
    return _by_window(asked, window, zone, once=once, now=now)


def _flags(asked: StartProcess) -> tuple[bool, bool]:
    """Whether it runs once, and at once; without flags and expression it does both."""
    if asked.run_once is None and asked.run_immediately is None and asked.quartz is None:
        return True, True
    return bool(asked.run_once), bool(asked.run_immediately)


def _run_now(asked: StartProcess, window: Window, zone: str, *, once: bool, now: datetime) -> Plan:
    """One run now, and the schedule besides where there is one that is not over."""
    if once or asked.quartz is None or window.is_over(now):
        return Plan(schedule=OwnSchedule(once=True, retry_times=asked.retry_count))
    schedule = OwnSchedule(
        cron=asked.quartz,
        timezone=zone,
        at_once=True,
        opens_at=window.opens if window.is_ahead(now) else None,
        retry_times=asked.retry_count,
        goes_on=True,
    )
    return Plan(schedule=schedule, end_date=window.closes)


def _by_window(asked: StartProcess, window: Window, zone: str, *, once: bool, now: datetime) -> Plan:
    """At each fire in the window, or at the first; without an expression, when it opens.

    One that is over is kept as it was asked for, and nothing runs in it.
    """
    is_over, is_ahead = window.is_over(now), window.is_ahead(now)
    schedule = OwnSchedule(
        cron=asked.quartz,
        timezone=None if asked.quartz is None else zone,
        once=once,
        opens_at=now if is_over else None,
        retry_times=asked.retry_count,
        goes_on=not once,
    )
    start_date = window.opens if is_ahead or is_over else None
    if is_over and start_date is None:
        start_date = window.closes
    return Plan(schedule=schedule, start_date=start_date, end_date=window.closes)


def _instant(name: str, asked: Anchor | None, zone: str, problems: list[Problem]) -> datetime | None:
    if asked is None:
        return None
    try:
        return moment_of(asked, zone_named(zone)).at
    except DateError as error:
        problems.append(_problem(name, str(error)))
        return None


def _problem(name: str, message: str) -> Problem:
    return Problem(pointer=f"/{name}", rule="schedule", message=message)
