"""Parsing code in settings: callbacks, templates and schemas.

It is compiled only when settings are saved, not each time they are loaded.
Source: docs/contracts/core.md sections 2.2 and 4; docs/design.md section 6.
"""

import json
from collections.abc import Mapping

from shared.domain.errors import Problem
from shared.domain.strategy.model import Json
from shared.domain.strategy.parse_limits import is_deeper, unreadable
from shared.domain.strategy.reader import Reader
from shared.domain.strategy.secret_names import RESERVED
from shared.domain.strategy.shapes import MAX_TEXT_LENGTH
from shared.domain.strategy.variables import VARIABLES
from shared.domain.validation.schema import check_schema
from shared.expressions import ResultType, template_problems
from shared.expressions import check as check_expression

MAX_DATA_DEPTH = 32
"""The most levels that ``data`` may nest."""


def callback(reader: Reader, name: str, returns: ResultType) -> str | None:
    """Read a CEL expression that returns this type, or return None."""
    source = reader.optional_text(name)
    if source is not None:
        _compile_later(reader, name, source, returns)
    return source


def templates(reader: Reader, name: str) -> dict[str, str]:
    """Read an object of templates."""
    texts = reader.texts(name)
    _check_templates_later(reader, name, texts)
    return texts


def data(reader: Reader) -> Mapping[str, Json] | None:
    """Read the ``data``: an object of JSON values whose strings are templates, or None. Nulls are kept."""
    members = reader.json("data")
    if members is not None and is_deeper(members, MAX_DATA_DEPTH):
        reader.problem("data", "too-deep", f"must nest at most {MAX_DATA_DEPTH} levels deep")
        return None
    _check_templates_later(reader, "data", members)
    return members


def schema(reader: Reader, name: str) -> Mapping[str, Json] | None:
    """Read a schema, or return None."""
    document = reader.json(name)

    def check() -> None:
        reader.note_all(check_schema(document, pointer=reader.pointer_to(name)))

    if document is not None:
        reader.later(check)
    return document


def request_validation(reader: Reader) -> Mapping[str, Json] | str | None:
    """Read the ``requestValidation``: a schema, as an object or as JSON text, or a callback.

    Text that is not a JSON object is a callback: ``true`` allows every request.
    """
    name = "requestValidation"
    text = reader.optional_text(name)
    if text is None:
        return schema(reader, name)
    parsed = _schema_in(text)
    if parsed is not None:
        reader.later(lambda: _check_schema_text(reader, name, parsed))
        return parsed
    if len(text) > MAX_TEXT_LENGTH:  # the limit of every expression; only a schema may be longer
        reader.problem(name, "too-long", f"must have at most {MAX_TEXT_LENGTH} characters")
        return None
    return callback(reader, name, ResultType.BOOL)


def _schema_in(text: str) -> Mapping[str, Json] | None:
    """Return the JSON object in a text, or None."""
    try:
        parsed = json.loads(text)
    # Not JSON, or nested too deep for the parser: it is an expression then, and reported as such.
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, Mapping) else None


def _check_schema_text(reader: Reader, name: str, parsed: Mapping[str, Json]) -> None:
    """Note the problems of a schema in a text. The messages have the pointers within it."""
    for problem in unreadable(parsed, "") or check_schema(parsed, pointer=""):
        message = f"in the JSON text at {problem.pointer!r}: {problem.message}"
        reader.problem(name, problem.rule, message)


def _compile_later(reader: Reader, name: str, source: str, returns: ResultType) -> None:
    def check() -> None:
        fault = check_expression(source, variables=VARIABLES, returns=returns)
        if fault is not None:
            reader.problem(name, fault.rule, fault.message, caret=fault.caret)

    reader.later(check)


def _check_templates_later(reader: Reader, name: str, value: Json) -> None:
    def check() -> None:
        reader.note_all(
            Problem(
                pointer=reader.pointer_to(name, below),
                rule=fault.rule,
                message=fault.message,
                caret=fault.caret,
            )
            for below, fault in template_problems(value, variables=VARIABLES, reserved=RESERVED)
        )

    reader.later(check)
