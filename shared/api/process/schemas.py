"""The request to start a process. Unknown fields are refused. Source: docs/contracts/process.md C.2 and C.7."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from msgspec import Struct

from shared.api.process.quartz import fault_in
from shared.domain.calendar.dates import Anchor, zone_named
from shared.domain.errors import DateError, Problem
from shared.domain.strategy.model import Json
from shared.domain.strategy.settings import MAX_RETRIES
from shared.domain.validation.pointers import escaped

T = TypeVar("T")

MAX_NAME_CHARACTERS = 512
MAX_WORKER_CHARACTERS = 255

FIELDS = (
    *("name", "values", "worker", "runOnce", "runImmediately", "run immediately", "quartzDef"),
    *("startDate", "endDate", "retryCount", "timezone"),
)
"""Every field. ``run immediately`` is a misprint of the vendor's page that clients use."""

_FLAGS = {"Y": True, "N": False}
_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?: (\d{2}):(\d{2}):(\d{2}))?", re.ASCII)
_COUNT = re.compile(r"-?[0-9]{1,9}")


class StartProcess(Struct, frozen=True, kw_only=True):
    """The fields of a request; None if they are missing.

    ``start`` and ``end`` are local dates in the zone, which is ``timezone`` or else the default.
    """

    name: str
    values: Mapping[str, Json]
    worker: str | None
    run_once: bool | None
    run_immediately: bool | None
    quartz: str | None
    start: Anchor | None
    end: Anchor | None
    retry_count: int | None
    timezone: str | None


class WrongError(Exception):
    """A field is invalid. The text is the rule it breaks."""


class Fields:
    """The members of a body, read one by one. Problems go to ``problems``. A null is a missing field."""

    def __init__(self, body: Mapping[str, Json]) -> None:
        self._body = {name: value for name, value in body.items() if value is not None}
        self.problems = [
            Problem(pointer=f"/{escaped(name)}", rule="unknown-field", message="is not a known field")
            for name in body
            if name not in FIELDS
        ]

    def read(self, name: str, as_a: Callable[[Json], T]) -> T | None:
        """Return the value of a field, or None if it is missing or invalid."""
        if name not in self._body:
            return None
        try:
            return as_a(self._body[name])
        except WrongError as error:
            self.wrong(name, str(error))
            return None

    def has(self, name: str) -> bool:
        """Return whether a field is present."""
        return name in self._body

    def wrong(self, name: str, message: str, rule: str = "form") -> None:
        """Record a problem of a field."""
        self.problems.append(Problem(pointer=f"/{escaped(name)}", rule=rule, message=message))


def read_start(body: Mapping[str, Json]) -> tuple[str | None, StartProcess | None, list[Problem]]:
    """Return the name of the process, its fields, and the problems. Name and fields are None if they are invalid."""
    fields = Fields(body)
    name = fields.read("name", _name)
    if not fields.has("name"):
        fields.wrong("name", "is required", "required")
    start = StartProcess(
        name=name or "",
        values=fields.read("values", _values) or {},
        worker=fields.read("worker", _worker),
        run_once=fields.read("runOnce", _flag),
        run_immediately=_run_immediately(fields),
        quartz=fields.read("quartzDef", _quartz),
        start=fields.read("startDate", _date),
        end=fields.read("endDate", _date),
        retry_count=fields.read("retryCount", _count),
        timezone=fields.read("timezone", _zone),
    )
    return name, None if fields.problems else start, fields.problems


def _run_immediately(fields: Fields) -> bool | None:
    given = [name for name in ("runImmediately", "run immediately") if fields.has(name)]
    if len(given) > 1:
        fields.wrong("run immediately", "must not be set together with runImmediately")
    return fields.read(given[0], _flag) if given else None


def _name(value: Json) -> str:
    return _text(value, MAX_NAME_CHARACTERS)


def _worker(value: Json) -> str:
    return _text(value, MAX_WORKER_CHARACTERS)


def _text(value: Json, longest: int) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= longest:
        raise WrongError(f"must be a string of 1 to {longest} characters")
    return value


def _values(value: Json) -> dict[str, Json]:
    if not isinstance(value, dict):
        raise WrongError("must be a JSON object")
    return value


def _flag(value: Json) -> bool:
    flag = _FLAGS.get(value.upper()) if isinstance(value, str) else value
    if not isinstance(flag, bool):
        raise WrongError("must be Y or N")
    return flag


def _quartz(value: Json) -> str:
    fault = fault_in(value) if isinstance(value, str) else "must be a string"
    if fault is not None:
        raise WrongError(fault)
    return str(value)


def _date(value: Json) -> Anchor:
    match = _DATE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise WrongError("must be a date in the form yyyy-MM-dd HH:mm:ss or yyyy-MM-dd")
    parts: Any = [int(part) for part in match.groups(default="0")]
    try:
        # Only datetime knows which days a month has.
        datetime(*parts)  # noqa: DTZ001 - wall clock
    except ValueError as error:
        raise WrongError(f"does not exist in the calendar: {error}") from error
    year, month, day, hour, minute, second = parts
    return Anchor(year=year, month=month, day=day, hour=hour, minute=minute, second=second)


def _count(value: Json) -> int:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    if not is_number and not (isinstance(value, str) and _COUNT.fullmatch(value)):
        raise WrongError("must be an integer, or its digits as a string")
    count = int(value)
    if not 0 <= count <= MAX_RETRIES:
        raise WrongError(f"must be 0 to {MAX_RETRIES}, not {count}")
    return count


def _zone(value: Json) -> str:
    if not isinstance(value, str):
        raise WrongError("must be a string")
    try:
        zone_named(value)
    except DateError as error:
        raise WrongError(str(error)) from error
    return value
