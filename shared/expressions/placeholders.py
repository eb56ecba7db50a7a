"""The grammar of a template string.

    template    = (text | computed | lookup)*
    computed    = "${" CEL "}"
    lookup      = "{{" segment ("." segment)* "}}"
    segment     = one or more characters other than "." "{" "}" and blanks

A backslash before ``${`` or ``{{`` makes them text.
Source: docs/expressions.md.
"""

import re
from functools import lru_cache
from typing import TypeAlias

from msgspec import Struct

from shared.expressions.lexer import closing_brace
from shared.expressions.problems import EvaluationError, ExpressionProblem, caret_at_offset

_MAX_CACHED_CHARACTERS = 4096
"""Longer templates would let the cache grow to hundreds of megabytes."""

_OPENING = re.compile(r"\\?(?:\$\{|\{\{)")
_PATH = re.compile(r"\s*([^.{}\s]+(?:\.[^.{}\s]+)*)\s*")


class Literal(Struct, frozen=True):
    """Text without placeholders."""

    text: str


class Computed(Struct, frozen=True):
    """The value of a CEL expression."""

    source: str


class Lookup(Struct, frozen=True):
    """The value at a path of the context. ``at`` is the position of the placeholder in the string."""

    segments: tuple[str, ...]
    at: int


Part: TypeAlias = Literal | Computed | Lookup


class TemplateError(EvaluationError):
    """A string is not a valid template."""

    def __init__(self, message: str, *, template: str, at: int) -> None:
        super().__init__(message)
        self.problem = ExpressionProblem("template", message, caret_at_offset(template, at))


def parse(template: str) -> tuple[Part, ...]:
    """Return the parts of a template in their order, without empty literals; an empty string has none.

    Raises: TemplateError: if a placeholder is not closed, or has no path.
    """
    return _cached(template) if len(template) <= _MAX_CACHED_CHARACTERS else _parsed(template)


@lru_cache(maxsize=1024)
def _cached(template: str) -> tuple[Part, ...]:
    return _parsed(template)


def _parsed(template: str) -> tuple[Part, ...]:
    parts: list[Part] = []
    text, position = "", 0
    while match := _OPENING.search(template, position):
        text += template[position : match.start()]
        if match[0].startswith("\\"):
            text, position = text + match[0][1:], match.end()
            continue
        if text:
            parts.append(Literal(text))
        part, position = _placeholder(template, match)
        parts.append(part)
        text = ""
    text += template[position:]
    return (*parts, Literal(text)) if text else tuple(parts)


def _placeholder(template: str, opening: re.Match[str]) -> tuple[Part, int]:
    """Return the placeholder that begins at ``opening``, and the position after it."""
    if opening[0] == "${":
        return _computed(template, opening)
    end = template.find("}}", opening.end())
    if end < 0:
        raise TemplateError("'{{' is never closed", template=template, at=opening.start())
    path = _PATH.fullmatch(template, opening.end(), end)
    if path is None:
        message = "a path is names separated by dots, e.g. {{instance.attributes.email}}"
        raise TemplateError(message, template=template, at=opening.start())
    return Lookup(tuple(path[1].split(".")), opening.start()), end + 2


def _computed(template: str, opening: re.Match[str]) -> tuple[Part, int]:
    end = closing_brace(template, opening.end())
    if end is None:
        raise TemplateError("'${' is never closed", template=template, at=opening.start())
    return Computed(template[opening.end() : end]), end + 1
