"""Templates: strings inside a JSON value that contain ``${CEL}`` or ``{{dotted.path}}``.

A caller may reserve first segments of paths, such as ``secret``. Placeholders of reserved paths are references: they
stay in the rendered text as they are, with their positions, and the caller fills them in later.
Source: docs/expressions.md.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import TypeAlias, TypeGuard

from msgspec import Struct, field

from shared.expressions.evaluation import check, evaluate_all
from shared.expressions.kinds import JsonValue, ResultType, Value, Variables
from shared.expressions.placeholders import Computed, Literal, Lookup, Part, TemplateError, parse
from shared.expressions.problems import EvaluationError, ExpressionProblem, caret_at_offset
from shared.expressions.texts import text_of
from shared.expressions.values import Meter, data_out

_MAX_INDEX_DIGITS = 6

Place: TypeAlias = tuple[str | int, ...]
"""The names and indexes that lead from a JSON value to a value in it."""


class Reference(Struct, frozen=True, kw_only=True):
    """A placeholder of a reserved path. It is ``text[start:end]`` of the string at ``place`` of the rendered value."""

    place: Place
    start: int
    end: int
    segments: tuple[str, ...]


def template_problems(
    value: JsonValue, *, variables: Variables, reserved: Collection[str] = ()
) -> Iterator[tuple[str, ExpressionProblem]]:
    """Yield the problems of the templates in ``value``, each with the RFC 6901 pointer of its string.

    The problems are expressions that do not compile, placeholders that are not closed, empty paths and unknown
    variables. Paths that begin with a ``reserved`` name are left to the caller. They are found one by one, so that a
    caller who needs only the first ones pays only for them.
    Source: docs/expressions.md.
    """
    for pointer, text in _strings(value, ""):
        for problem in _problems_of(text, variables=variables, reserved=reserved):
            yield pointer, problem


def references_in(value: JsonValue, *, reserved: Collection[str]) -> Iterator[tuple[str, str, Lookup]]:
    """Yield the placeholders of reserved paths: the pointer of each one's string, the string, and the placeholder.

    A string that is no valid template has none.
    """
    for pointer, text in _strings(value, ""):
        if "{{" not in text:
            continue
        try:
            parts = parse(text)
        except TemplateError:
            continue
        yield from (
            (pointer, text, part)
            for part in parts
            if isinstance(part, Lookup) and part.segments[0] in reserved
        )


def render(value: JsonValue, context: Mapping[str, object], *, variables: Variables) -> JsonValue:
    """Return ``value`` with its templates filled in. Keys stay, and inserted values are not scanned again.

    If a placeholder is the whole string, its value keeps its JSON type. A missing path is null: if ``render`` returns
    None, the caller leaves the member out. Inside text, null is empty, numbers have no exponents, a list or map is
    compact JSON, and a date is ISO in UTC. All expressions are evaluated in one request.
    Raises: EvaluationError: if an expression has no value, a template is broken, or the result is too large.
    Source: docs/expressions.md.
    """
    return render_with_references(value, context, variables=variables, reserved=())[0]


def render_with_references(
    value: JsonValue, context: Mapping[str, object], *, variables: Variables, reserved: Collection[str]
) -> tuple[JsonValue, tuple[Reference, ...]]:
    """Return the same as ``render``, and the references in the result.

    A reference is a placeholder that the template itself contains, never a part of an inserted value that looks like
    one. A string with a reference is a text, even if the reference is all of it.
    Raises: EvaluationError: as ``render``.
    """
    try:
        sources = tuple(_expressions(value))
        values = iter(
            evaluate_all(sources, context, variables=variables, returns=ResultType.ANY) if sources else ()
        )
        rendering = _Rendering(context, values, reserved)
        rendered = rendering.of(value, ())
    except RecursionError:
        raise EvaluationError("a template or a value in it is nested too deep") from None
    return rendered, tuple(rendering.references)


class _Rendering(Struct):
    """One rendering. ``values`` are those of the expressions, in the order of the placeholders."""

    context: Mapping[str, object]
    values: Iterator[Value]
    reserved: Collection[str]
    references: list[Reference] = field(default_factory=list)
    meter: Meter = field(default_factory=Meter)

    def of(self, value: JsonValue, place: Place) -> JsonValue:
        if isinstance(value, dict):
            return {key: self.of(item, (*place, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.of(item, (*place, index)) for index, item in enumerate(value)]
        return self._filled(value, place) if isinstance(value, str) else value

    def _filled(self, text: str, place: Place) -> JsonValue:
        if "{" not in text:
            return text
        parts = parse(text)
        if len(parts) == 1 and not self._is_reference(parts[0]):
            return self._value_of(parts[0])
        filled = ""
        for part in parts:
            piece = text_of(self._value_of(part))
            if self._is_reference(part):
                start, end = len(filled), len(filled) + len(piece)
                self.references.append(Reference(place=place, start=start, end=end, segments=part.segments))
            filled += piece
        return filled

    def _is_reference(self, part: Part) -> TypeGuard[Lookup]:
        return isinstance(part, Lookup) and part.segments[0] in self.reserved

    def _value_of(self, part: Part) -> JsonValue:
        if isinstance(part, Literal):
            return self.meter.text(part.text)
        if self._is_reference(part):
            return self.meter.text(f"{{{{{'.'.join(part.segments)}}}}}")
        if isinstance(part, Lookup):
            return data_out(_found(self.context, part.segments), self.meter)
        return data_out(next(self.values), self.meter)


def _expressions(value: JsonValue) -> Iterator[str]:
    """Yield the sources of the expressions in the strings of ``value``."""
    for _, text in _strings(value, ""):
        if "{" in text:
            yield from (part.source for part in parse(text) if isinstance(part, Computed))


def _strings(value: JsonValue, pointer: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield pointer, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _strings(item, f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _strings(item, f"{pointer}/{index}")


def _problems_of(
    template: str, *, variables: Variables, reserved: Collection[str]
) -> Iterator[ExpressionProblem]:
    try:
        parts = parse(template)
    except TemplateError as error:
        yield error.problem
        return
    for part in parts:
        if isinstance(part, Lookup) and part.segments[0] in reserved:
            continue
        problem = _problem_of(part, template, variables=variables)
        if problem is not None:
            yield problem
            if problem.rule == "too-complex":
                # Without time for checks, each further placeholder would only repeat it.
                return


def _problem_of(part: Part, template: str, *, variables: Variables) -> ExpressionProblem | None:
    match part:
        case Computed(source):
            return check(source, variables=variables, returns=ResultType.ANY)
        case Lookup(segments, at) if segments[0] not in variables:
            message = f"unknown variable '{segments[0]}'"
            return ExpressionProblem("undeclared", message, caret_at_offset(template, at))
        case _:
            return None


def _found(context: Mapping[str, object], segments: tuple[str, ...]) -> object:
    """Return the value at the path, or None if there is none."""
    value: object = context
    for segment in segments:
        if isinstance(value, Mapping):
            value = value.get(segment)
        elif isinstance(value, list) and _is_index(segment) and int(segment) < len(value):
            value = value[int(segment)]
        else:
            return None
    return value


def _is_index(segment: str) -> bool:
    # int() refuses texts of thousands of digits, and no list is that long.
    return segment.isdecimal() and len(segment) <= _MAX_INDEX_DIGITS
