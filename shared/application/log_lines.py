"""Log lines of bounded size, whatever they are about."""

import json
from collections.abc import Mapping
from typing import Any, Final

MAX_TEXT_CHARACTERS: Final = 4_000
MAX_ENTRIES: Final = 40
"""The most of a text and of a list or object in a log line. A traceback keeps its first and its last frames."""

_MAX_DEPTH: Final = 6


def log_line(record: Mapping[str, Any]) -> str:
    """Return a log record as one line of JSON, with long texts and lists cut.

    The size of an exception can grow with the request or the item that caused it.
    """
    try:
        line = _encode(record)
    except (TypeError, ValueError, RecursionError):  # a name that is no text, a circle, too many levels
        return _encode(_cut(record, _MAX_DEPTH))
    # Almost every line is short, and then nothing in it is long.
    return line if len(line) <= MAX_TEXT_CHARACTERS else _encode(_cut(record, _MAX_DEPTH))


def _plain(value: Any) -> Any:  # noqa: ANN401 - any value of a log record
    """Return a value that JSON has no form for, as an object or a text."""
    return dict(value) if isinstance(value, Mapping) else str(value)


def _cut(value: Any, depth: int) -> Any:  # noqa: ANN401 - any value of a log record
    if isinstance(value, str):
        return _cut_text(value)
    if isinstance(value, list | tuple):
        return [_cut(entry, depth - 1) for entry in value[:MAX_ENTRIES]] if depth else "..."
    if isinstance(value, Mapping):
        members = list(value.items())[:MAX_ENTRIES]
        return {_cut_text(str(name)): _cut(member, depth - 1) for name, member in members} if depth else "..."
    if value is None or isinstance(value, bool | int | float):
        return value
    return _cut_text(str(value))


def _cut_text(text: str) -> str:
    if len(text) <= MAX_TEXT_CHARACTERS:
        return text
    # The end of a traceback names the error, the beginning where it came from.
    half = MAX_TEXT_CHARACTERS // 2
    return f"{text[:half]} ... {text[-half:]}"


_encode = json.JSONEncoder(default=_plain, separators=(",", ":")).encode
