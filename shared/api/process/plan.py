"""The schedule of a process from its flags, its window and its expression.

Fire times before the request are not caught up: a window that is already open counts from now.
Source: docs/contracts/process.md C.5 and C.7.
"""

from datetime import datetime

from msgspec import Struct

from shared.api.process.schemas import StartProcess
from shared.domain.calendar.dates import Anchor, moment_of, zone_named
from shared.domain.calendar.instance_schedule import OwnSchedule
from shared.domain.errors import DateError, InvalidInputError, Problem

NEEDS_QUARTZ = "is required unless runOnce or runImmediately is Y"


class Plan(Struct, frozen=True, kw_only=True):
    """The schedule of an instance, and its dates. ``start_date`` None means now."""

    schedule: OwnSchedule
    start_date: datetime | None = None
    end_date: datetime | None = None


class Window(Struct, frozen=True, kw_only=True):
    """The range in which a schedule may fire, both ends included; None means no bound."""

    opens: datetime | None
    closes: datetime | None

    def is_ahead(self, now: datetime) -> bool:
        """Return whether the window opens later."""
        return self.opens is not None and self.opens > now

    def is_over(self, now: datetime) -> bool:
        """Return whether the window has closed."""
        return self.closes is not None and self.closes < now


def plan_of(fields: StartProcess, zone: str, *, now: datetime) -> Plan:
    """Return the plan of a request. Its window and its expression are read in ``zone``.

    Raises: InvalidInputError: with every problem.
    """
    problems: list[Problem] = []
    window = Window(
        opens=_instant("startDate", fields.start, zone, problems),
        closes=_instant("endDate", fields.end, zone, problems),
    )
    if window.opens is not None and window.closes is not None and window.closes < window.opens:
        problems.append(_problem("endDate", "must not be before startDate"))
    once, at_once = _flags(fields)
    if fields.quartz is None and not once and not at_once:
        problems.append(_problem("quartzDef", NEEDS_QUARTZ))
    if problems:
        raise InvalidInputError(tuple(problems))
    if at_once:
        return _run_now(fields, window, zone, once=once, now=now)
    return _by_window(fields, window, zone, once=once, now=now)


def _flags(fields: StartProcess) -> tuple[bool, bool]:
    """Return whether the process runs once, and at once; without flags and expression both are true."""
    if fields.run_once is None and fields.run_immediately is None and fields.quartz is None:
        return True, True
    return bool(fields.run_once), bool(fields.run_immediately)


def _run_now(fields: StartProcess, window: Window, zone: str, *, once: bool, now: datetime) -> Plan:
    """Return a plan that runs now, and then by the expression unless the window is over."""
    # Nothing fires after this run.
    if once or fields.quartz is None or window.is_over(now):
        return Plan(schedule=OwnSchedule(once=True, retry_times=fields.retry_count))
    schedule = OwnSchedule(
        cron=fields.quartz,
        timezone=zone,
        at_once=True,
        opens_at=window.opens if window.is_ahead(now) else None,
        retry_times=fields.retry_count,
        goes_on=True,
    )
    return Plan(schedule=schedule, end_date=window.closes)


def _by_window(fields: StartProcess, window: Window, zone: str, *, once: bool, now: datetime) -> Plan:
    """Return a plan that runs at each fire time in the window or at the first one; without expression, as it opens."""
    is_over, is_ahead = window.is_over(now), window.is_ahead(now)
    schedule = OwnSchedule(
        cron=fields.quartz,
        timezone=None if fields.quartz is None else zone,
        once=once,
        # A window that is over is stored as it was sent; opening now, after its end, it never fires.
        opens_at=now if is_over else None,
        retry_times=fields.retry_count,
        goes_on=not once,
    )
    start_date = window.opens if is_ahead or is_over else None
    if is_over and start_date is None:
        start_date = window.closes
    return Plan(schedule=schedule, start_date=start_date, end_date=window.closes)


def _instant(name: str, anchor: Anchor | None, zone: str, problems: list[Problem]) -> datetime | None:
    if anchor is None:
        return None
    try:
        return moment_of(anchor, zone_named(zone)).at
    except DateError as error:
        problems.append(_problem(name, str(error)))
        return None


def _problem(name: str, message: str) -> Problem:
    return Problem(pointer=f"/{name}", rule="schedule", message=message)
