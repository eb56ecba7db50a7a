"""The checks of form: whether a single value matches the declaration of its field.

Checks of an object as a whole are in ``reader.py``.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from shared.domain.calendar.business_days import read_day
from shared.domain.errors import DateError
from shared.domain.strategy.model import Json
from shared.domain.strategy.shapes import MAX_KEY_LENGTH, TIME_OF_DAY, Field, Kind, text
from shared.domain.validation.pointers import escaped


class FieldFault(NamedTuple):
    """One problem of a value. ``below`` is the pointer from the value to the faulty part."""

    rule: str
    message: str
    below: str = ""


def faults_of(field: Field, value: Json) -> Sequence[FieldFault]:
    """Return the problems of a field's value. An object of a declared shape is checked when it is read."""
    return _CHECKS[field.kind](field, value)


def keys_of(entries: list[Json], member: str) -> list[str]:
    """Return the key of each entry of a list, or an empty string if the entry has none."""
    keys = [entry.get(member) if isinstance(entry, Mapping) else None for entry in entries]
    return [key if isinstance(key, str) else "" for key in keys]


def _text(field: Field, value: Json) -> Sequence[FieldFault]:
    if not isinstance(value, str):
        return (FieldFault("type", "must be a string"),)
    if field.low <= len(value) <= field.high:
        return ()
    if not value:
        return (FieldFault("empty", "must not be empty"),)
    return (FieldFault("too-long", f"must have at most {field.high} characters"),)


def _flag(_: Field, value: Json) -> Sequence[FieldFault]:
    return () if isinstance(value, bool) else (FieldFault("type", "must be true or false"),)


def _whole(field: Field, value: Json) -> Sequence[FieldFault]:
    # JSON has no integer type, so 3.0 is a whole number. A bool is an int in Python, but not a number in JSON.
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        return (FieldFault("type", "must be a whole number"),)
    if field.low <= value <= field.high:
        return ()
    return (FieldFault("range", f"must be between {field.low} and {field.high}"),)


def _wholes(field: Field, value: Json) -> Sequence[FieldFault]:
    if not isinstance(value, list):
        return (FieldFault("type", "must be a list"),)
    faults = [
        FieldFault(fault.rule, fault.message, f"/{index}")
        for index, number in enumerate(value)
        for fault in _whole(field, number)
    ]
    if not faults and len(set(value)) < len(value):
        faults.append(FieldFault("repeated", "must hold each number once"))
    return faults


def _names(field: Field, value: Json) -> Sequence[FieldFault]:
    if not isinstance(value, list):
        return (FieldFault("type", "must be a list"),)
    if len(value) > field.high:
        return (FieldFault("too-many", f"must hold at most {field.high} names"),)
    name = text("", high=MAX_KEY_LENGTH)
    faults = [
        FieldFault(fault.rule, fault.message, f"/{index}")
        for index, entry in enumerate(value)
        for fault in _text(name, entry)
    ]
    if not faults and len(set(value)) < len(value):
        faults.append(FieldFault("repeated", "must hold each name once"))
    return faults


def _times(field: Field, value: Json) -> Sequence[FieldFault]:
    if not isinstance(value, list):
        return (FieldFault("type", "must be a list"),)
    if not value:
        return (FieldFault("empty", "must hold at least one time"),)
    if len(value) > field.high:
        return (FieldFault("too-many", f"must hold at most {field.high} times"),)
    message = "must be a time of day from 00:00 to 23:59, for example 09:00"
    faults = [
        FieldFault("time", message, f"/{index}")
        for index, entry in enumerate(value)
        if not (isinstance(entry, str) and re.fullmatch(TIME_OF_DAY, entry))
    ]
    if not faults and len(set(value)) < len(value):
        faults.append(FieldFault("repeated", "must hold each time once"))
    return faults


def _choice(field: Field, value: Json) -> Sequence[FieldFault]:
    if value in field.choices:
        return ()
    return (FieldFault("enum", f"must be one of {', '.join(field.choices)}{field.hint}"),)


def _choices(field: Field, value: Json) -> Sequence[FieldFault]:
    if not isinstance(value, list):
        return (FieldFault("type", "must be a list"),)
    one = field._replace(hint="")
    faults = [
        FieldFault(fault.rule, fault.message, f"/{index}")
        for index, entry in enumerate(value)
        for fault in _choice(one, entry)
    ]
    if not faults and len(set(value)) < len(value):
        return (FieldFault("repeated", "must hold each value once"),)
    if not faults and len(value) > field.high:
        return (FieldFault("too-many", f"must hold at most {field.high} values{field.hint}"),)
    return faults


def _dates(field: Field, value: Json) -> Sequence[FieldFault]:
    if not isinstance(value, list):
        return (FieldFault("type", "must be a list"),)
    if len(value) > field.high:
        return (FieldFault("too-many", f"must hold at most {field.high} dates"),)
    faults = [fault for index, entry in enumerate(value) for fault in _date(entry, f"/{index}")]
    if not faults and len(set(value)) < len(value):
        faults.append(FieldFault("repeated", "must hold each date once"))
    return faults


def _date(value: Json, below: str) -> Sequence[FieldFault]:
    if not isinstance(value, str):
        return (FieldFault("type", "must be a string", below),)
    try:
        read_day(value)
    except DateError as error:
        return (FieldFault("date", str(error), below),)
    return ()


def _part(_: Field, value: Json) -> Sequence[FieldFault]:  # noqa: ARG001 - its own reader checks it
    return ()


def _parts(field: Field, entries: Json) -> Sequence[FieldFault]:
    if not isinstance(entries, list):
        return (FieldFault("type", "must be a list"),)
    faults = []
    if len(entries) < field.low:
        faults.append(FieldFault("required", "must hold at least one entry"))
    if len(entries) > field.high:
        faults.append(FieldFault("too-many", f"must hold at most {field.high} entries"))
    seen: set[str] = set()
    for index, key in enumerate(keys_of(entries, field.unique)):
        if key and key in seen:
            faults.append(
                FieldFault("repeated-key", f"{key!r} is given more than once", f"/{index}/{field.unique}")
            )
        seen.add(key)
    return faults


def _texts(field: Field, members: Json) -> Sequence[FieldFault]:
    if not isinstance(members, Mapping):
        return (FieldFault("type", "must be an object"),)
    faults = []
    for name, value in members.items():
        if value is None:
            continue
        if field.pattern is not None and not re.fullmatch(field.pattern, name):
            # Only the names of headers have a pattern.
            message = "a header name has only letters, digits and ! # $ % & ' * + - . ^ _ ` | ~"
            faults.append(FieldFault("header-name", message, f"/{escaped(name)}"))
        if not isinstance(value, str):
            faults.append(FieldFault("type", "must be a string", f"/{escaped(name)}"))
    return faults


def _json(_: Field, value: Json) -> Sequence[FieldFault]:
    return () if isinstance(value, Mapping) else (FieldFault("type", "must be an object"),)


def _schema_or_expression(field: Field, value: Json) -> Sequence[FieldFault]:
    if isinstance(value, str):
        return _text(field, value)
    return () if isinstance(value, Mapping) else (FieldFault("type", "must be a schema or an expression"),)


_CHECKS: Mapping[Kind, Callable[[Field, Json], Sequence[FieldFault]]] = {
    Kind.TEXT: _text,
    Kind.FLAG: _flag,
    Kind.WHOLE: _whole,
    Kind.WHOLES: _wholes,
    Kind.NAMES: _names,
    Kind.TIMES: _times,
    Kind.CHOICE: _choice,
    Kind.CHOICES: _choices,
    Kind.DATES: _dates,
    Kind.PART: _part,
    Kind.PARTS: _parts,
    Kind.TEXTS: _texts,
    Kind.JSON: _json,
    Kind.SCHEMA_OR_EXPRESSION: _schema_or_expression,
}
