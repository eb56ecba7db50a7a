"""The parts of a definition that are code or hold some: callbacks, templates, schemas.

They are compiled only when a definition is saved, not each time a stored one is read.
Source: contracts/core.md sections 2.2 and 4; design section 6.
"""

import json
import re
from collections.abc import Mapping

from shared.domain.errors import Problem
from shared.domain.strategy.model import Json
from shared.domain.strategy.parse_limits import is_deeper, unreadable
from shared.domain.strategy.reader import Reader
from shared.domain.strategy.variables import VARIABLES
from shared.domain.validation.jtd_schema import escaped
from shared.domain.validation.schema import check_schema
from shared.expressions import ResultType, template_problems
from shared.expressions import check as check_expression

DEEPEST_DATA = 32
"""Nothing in a ``data`` lies more levels inside."""

_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # a token of RFC 9110 section 5.6.2


def callback(reader: Reader, name: str, returns: ResultType) -> str | None:
    """A CEL expression that returns this type, or None."""
    source = reader.optional_text(name)
    if source is not None:
        _compile_later(reader, name, source, returns)
    return source


def headers(reader: Reader) -> dict[str, str]:
    """The ``headers``: templates by header name."""
    given = reader.take("headers")
    for name, value in given.items() if isinstance(given, Mapping) else ():
        if value is not None and not _HEADER_NAME.fullmatch(name):
            message = "a header name has only letters, digits and ! # $ % & ' * + - . ^ _ ` | ~"
            reader.problem("headers", "header-name", message, below=f"/{escaped(name)}")
    return templates(reader, "headers")


def templates(reader: Reader, name: str) -> dict[str, str]:
    """A map of templates."""
    found = reader.texts(name)
    _check_templates_later(reader, name, found)
    return found


def data(reader: Reader) -> Mapping[str, Json] | None:
    """The ``data``: an object of JSON values with templates in its strings, or None. Its nulls are data."""
    found = reader.take_object("data")
    if found is not None and is_deeper(found, DEEPEST_DATA):
        reader.problem("data", "too-deep", f"nests at most {DEEPEST_DATA} levels deep")
        return None
    _check_templates_later(reader, "data", found)
    return found


def schema(reader: Reader, name: str) -> Mapping[str, Json] | None:
    """A schema, or None."""
    found = reader.take_object(name)

    def check() -> None:
        for problem in check_schema(found, pointer=reader.at(name)):
            reader.note(problem)

    if found is not None:
        reader.later(check)
    return found


def request_validation(reader: Reader) -> Mapping[str, Json] | str | None:
    """The ``requestValidation``: a schema, as an object or as JSON text; any other text is a callback.

    JSON text that is no object is no schema, so ``true`` is the callback that allows everything.
    """
    name = "requestValidation"
    value = reader.take(name)
    if value is None or isinstance(value, Mapping):
        return schema(reader, name)
    if not isinstance(value, str):
        reader.problem(name, "type", "must be a schema or an expression")
        return None
    parsed = _schema_in(value)
    if parsed is None:
        return callback(reader, name, ResultType.BOOL)
    reader.later(lambda: _check_schema_text(reader, name, parsed))
    return parsed


def _schema_in(text: str) -> Mapping[str, Json] | None:
    """The object a JSON text holds, or None."""
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, Mapping) else None


def _check_schema_text(reader: Reader, name: str, parsed: Mapping[str, Json]) -> None:
    """A place inside the text has no pointer in the document, so the message tells it."""
    for found in unreadable(parsed, "") or check_schema(parsed, pointer=""):
        message = f"in its JSON at {found.pointer!r}: {found.message}"
        reader.problem(name, found.rule, message)


def _compile_later(reader: Reader, name: str, source: str, returns: ResultType) -> None:
    def check() -> None:
        found = check_expression(source, variables=VARIABLES, returns=returns)
        if found is not None:
            reader.problem(name, found.rule, found.message, caret=found.caret)

    reader.later(check)


def _check_templates_later(reader: Reader, name: str, value: Json) -> None:
    def check() -> None:
        for below, found in template_problems(value, variables=VARIABLES):
            place = Problem(
                pointer=reader.at(name, below), rule=found.rule, message=found.message, caret=found.caret
            )
            reader.note(place)

    reader.later(check)
