"""Reads the body of ``POST /_local/clock``: where to move the clock of the local stack."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from dateutil.relativedelta import relativedelta

from shared.domain.calendar.dates import parse_instant
from shared.domain.errors import DateError

UNITS = ("years", "months", "weeks", "days", "hours", "minutes", "seconds")

LAST = datetime(3000, 1, 1, tzinfo=UTC)
"""The clock ticks on after a jump, and no plan may lead beyond the year 9999."""

_FORM = 'one of {"to": "2026-02-01T00:00:00Z"} and {"advance": {"days": 1}}'


@dataclass(frozen=True, slots=True)
class ClockProblem:
    """One problem of the body: a JSON pointer to a field, and the rule it breaks."""

    pointer: str
    message: str


class ClockRequestError(Exception):
    """The body cannot be used."""

    def __init__(self, *problems: ClockProblem) -> None:
        super().__init__("; ".join(f"{problem.pointer or 'body'}: {problem.message}" for problem in problems))
        self.problems = problems


def target_of(body: bytes, now: datetime) -> datetime:
    """Return the instant to move to, which is not before ``now``. Raises: ClockRequestError: with all problems."""
    document = _document(body)
    problems = [
        ClockProblem(f"/{_escaped(name)}", f"is not a field: {_FORM}")
        for name in document
        if name not in ("to", "advance")
    ]
    to = None
    if "advance" in document:
        to = _advanced(document["advance"], now, problems)
    if "to" in document:
        to = _instant(document["to"], problems)
        if "advance" in document:
            problems.append(ClockProblem("/advance", "must be left out if there is `to`"))
    if to is not None:
        problems += _range_problems("/to" if "to" in document else "/advance", to, now)
    if problems or to is None:
        raise ClockRequestError(*problems)
    return to


def _document(body: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise ClockRequestError(ClockProblem("", f"must be JSON: {_FORM}")) from None
    if not isinstance(document, dict) or not document:
        raise ClockRequestError(ClockProblem("", f"must be an object: {_FORM}"))
    return document


def _range_problems(pointer: str, to: datetime, now: datetime) -> list[ClockProblem]:
    if to < now:
        rule = "must not be before the stack's clock, which only moves forward"
        return [ClockProblem(pointer, f"{rule}: it is {now.isoformat()}")]
    if to > LAST:
        return [ClockProblem(pointer, f"must not lead beyond {LAST.isoformat()}")]
    return []


def _instant(value: Any, problems: list[ClockProblem]) -> datetime | None:  # noqa: ANN401 - any JSON
    if not isinstance(value, str):
        problems.append(ClockProblem("/to", "must be a text such as 2026-02-01T00:00:00Z"))
        return None
    try:
        return parse_instant(value)
    except (DateError, OverflowError) as error:
        problems.append(ClockProblem("/to", str(error)))
        return None


def _advanced(value: Any, now: datetime, problems: list[ClockProblem]) -> datetime | None:  # noqa: ANN401 - any JSON
    units = ", ".join(UNITS)
    if not isinstance(value, dict) or not value:
        problems.append(ClockProblem("/advance", f"must be an object with at least one of {units}"))
        return None
    wrong = [
        problem for name, amount in value.items() if (problem := _unit_problem(name, amount)) is not None
    ]
    problems += wrong
    return None if wrong else _later(now, value)


def _unit_problem(name: str, amount: Any) -> ClockProblem | None:  # noqa: ANN401 - any JSON
    pointer = f"/advance/{_escaped(name)}"
    if name not in UNITS:
        return ClockProblem(pointer, f"is not a unit: one of {', '.join(UNITS)}")
    if isinstance(amount, bool) or not isinstance(amount, int) or amount < 0:
        return ClockProblem(pointer, "must be a whole number of at least 0: the clock only moves forward")
    return None


def _later(now: datetime, amounts: Mapping[str, int]) -> datetime:
    """Return ``now`` plus the amounts, or the last instant there is if the calendar ends before."""
    try:
        return now + relativedelta(**amounts)  # type: ignore[arg-type]
    except (ValueError, OverflowError):
        return datetime.max.replace(tzinfo=UTC)


def _escaped(name: str) -> str:
    """Return a member's name as part of a JSON pointer, RFC 6901."""
    return name.replace("~", "~0").replace("/", "~1")
