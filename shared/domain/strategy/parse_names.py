"""The names that templates and expressions use: steps on the stack, attributes, members of variables, and directives.

A misspelled name is null at run time, or an error in the middle of a charge, so it is refused when it is saved.
Source: docs/contracts/core.md sections 3.5 and 4.1; docs/design.md section 6.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import NamedTuple

from msgspec import Struct

from shared.domain.errors import Problem, Problems
from shared.domain.strategy.model import Json
from shared.domain.strategy.variables import DIRECTIVES, MEMBERS
from shared.domain.validation.closed import closed_members
from shared.domain.validation.pointers import escaped
from shared.expressions.lexer import Token, tokens
from shared.expressions.placeholders import Computed, Lookup, TemplateError, parse
from shared.expressions.problems import caret_at_offset

_OPENING, _CLOSING = frozenset("([{"), frozenset(")]}")
_TEMPLATES = ("headers", "params", "data", "attributes", "outputs", "timezone")
_CALLBACKS = (
    "controllerCallback",
    "createIf",
    "ifCallback",
    "nextCycleDateCallback",
    "requestValidation",
    "resumeControllerCallback",
    "retryEventCallback",
    "runOnCycleCallback",
    "stopIf",
)
_MACROS = ("all", "exists", "exists_one", "filter", "map")
_OF_ATTRIBUTES = ("from", "closed")
_OF_CONTROLLERS = ("controllerCallback", "resumeControllerCallback")


class Use(NamedTuple):
    """A name that a text uses: of the ``stack``, the ``attributes``, or a variable in ``MEMBERS``, and its position."""

    of: str
    name: str
    at: int


class Names(Struct, frozen=True):
    """The known names at one place. ``steps`` is None if any step is allowed, ``attributes`` if any attribute is."""

    steps: frozenset[str] | None
    attributes: frozenset[str] | None


def check_names(settings: Mapping[str, Json], problems: Problems, *, pointer: str) -> None:
    """Note each unknown step, attribute, member of a variable and directive, in settings as they were sent.

    The steps that an action can see are those of the tasks that call it. Attributes are only known if
    ``instanceValidation`` is closed. Parts of another form than declared are left to the other checks.
    """
    attributes = closed_members(settings.get("instanceValidation"))
    tasks = _objects(settings, "tasks")
    steps_of = [_keys(_objects(task, "steps")) for task in tasks]
    every = frozenset().union(*steps_of)
    for index, action in enumerate(_objects(settings, "actions")):
        seen = [
            steps
            for task, steps in zip(tasks, steps_of, strict=True)
            if any(step.get("action") == action.get("key") for step in _objects(task, "steps"))
        ]
        names = Names(frozenset().union(*seen) if seen else every, attributes)
        _Check(problems, names).examine(action, f"{pointer}/actions/{index}")
    for index, (task, steps) in enumerate(zip(tasks, steps_of, strict=True)):
        _Check(problems, Names(steps, attributes)).examine(task, f"{pointer}/tasks/{index}")
    rest = {name: value for name, value in settings.items() if name not in ("actions", "tasks")}
    _Check(problems, Names(every, attributes)).examine(rest, pointer)


def uses_in_template(text: str) -> Iterator[Use]:
    """Return the steps, attributes and members of variables that a template names."""
    try:
        parts = parse(text)
    except TemplateError:
        return
    for part in parts:
        match part:
            case Lookup(("instance", "attributes", name, *_), at) | Lookup(("attributes", name, *_), at):
                yield Use("attributes", name, at)
            case Lookup(("stack" | "instance" | "event" as of, name, *_), at):
                yield Use(of, name, at)
            case Computed(source):
                begin = text.index(source)
                yield from (Use(use.of, use.name, begin + use.at) for use in uses_in_expression(source))
            case _:
                pass


def uses_in_expression(source: str) -> Iterator[Use]:
    """Return the names that an expression uses, as ``stack.name`` or ``stack["name"]``."""
    found = list(tokens(source))
    variables = {"stack", "attributes", *MEMBERS} - _macro_parameters(found)
    for index, token in enumerate(found):
        if token.kind != "name" or token.value not in variables:
            continue
        before = [one.value for one in found[max(index - 2, 0) : index]]
        if before[-1:] == ["."] and not (token.value == "attributes" and before == ["instance", "."]):
            continue
        name = _member(found[index + 1 : index + 5])
        if name is not None:
            yield Use(token.value, name, token.at)


def unknown_directives(source: str) -> Iterator[tuple[str, int]]:
    """Return each unknown name in the maps that a controller's expression returns, with its position.

    Only maps that are written in the source can be checked: the whole source, or the branches of its ``?``.
    """
    found = list(tokens(source))
    depth, of_calls = 0, [False]
    for index, token in enumerate(found):
        if token.kind != "sign":
            continue
        if token.value == "{" and not depth and not of_calls[-1] and _is_result(found, index):
            yield from _unknown_keys(found, index)
        if token.value == "(":
            # Parentheses around a branch do not count, those of a call do.
            of_calls.append(of_calls[-1] or (index > 0 and found[index - 1].kind == "name"))
        elif token.value == ")" and len(of_calls) > 1:
            of_calls.pop()
        elif token.value in "[{":
            depth += 1
        elif token.value in "]}":
            depth -= 1


class _Check(Struct, frozen=True):
    """Examines a part of the settings with the names that are known there."""

    problems: Problems
    names: Names

    def examine(self, value: Json, pointer: str) -> None:
        if isinstance(value, list):
            for index, entry in enumerate(value):
                self.examine(entry, f"{pointer}/{index}")
        if not isinstance(value, Mapping):
            return
        for name, member in value.items():
            below = f"{pointer}/{escaped(name)}"
            if name in _TEMPLATES:
                self._templates(member, below)
            elif name in _CALLBACKS and isinstance(member, str):
                self._uses(uses_in_expression(member), member, below)
                self._directives(name, member, below)
            elif name in _OF_ATTRIBUTES and isinstance(member, str):
                self._uses([Use("attributes", member, 0)], None, below)
            elif not name.endswith("Validation"):
                self.examine(member, below)

    def _templates(self, value: Json, pointer: str) -> None:
        if isinstance(value, str):
            self._uses(uses_in_template(value), value, pointer)
        elif isinstance(value, Mapping):
            for name, member in value.items():
                self._templates(member, f"{pointer}/{escaped(name)}")
        elif isinstance(value, list):
            for index, entry in enumerate(value):
                self._templates(entry, f"{pointer}/{index}")

    def _uses(self, uses: Iterator[Use] | Sequence[Use], text: str | None, pointer: str) -> None:
        for use in uses:
            known, what = self._known(use.of)
            if known is None or use.name in known:
                continue
            # Looking for a similar name takes long, and problems that are only counted are not read.
            close = [] if self.problems.is_full else get_close_matches(use.name, sorted(known), n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            caret = None if text is None else caret_at_offset(text, use.at)
            message = f"{what} {use.name!r}{hint}"
            self.problems.add(Problem(pointer=pointer, rule="reference", message=message, caret=caret))

    def _known(self, of: str) -> tuple[Collection[str] | None, str]:
        """Return the known names, None if any is allowed, and the beginning of the message about another one."""
        match of:
            case "stack":
                return self.names.steps, "there is no step"
            case "attributes":
                return self.names.attributes, "the schema of the attributes has no"
            case _:
                return MEMBERS[of], f"the variable {of} has no"

    def _directives(self, name: str, source: str, pointer: str) -> None:
        if name not in _OF_CONTROLLERS:
            return
        for directive, at in unknown_directives(source):
            message = f"there is no directive {directive!r}; there are {', '.join(sorted(DIRECTIVES))}"
            caret = caret_at_offset(source, at)
            self.problems.add(Problem(pointer=pointer, rule="directive", message=message, caret=caret))


def _macro_parameters(found: Sequence[Token]) -> set[str]:
    """Return the names that macros declare, as in ``response.events.filter(event, event.isPaid)``."""
    values = [token.value for token in found]
    calls = (index for index, value in enumerate(values) if value in _MACROS)
    return {values[index + 2] for index in calls if values[index + 1 : index + 4 : 2] == ["(", ","]}


def _is_result(found: Sequence[Token], index: int) -> bool:
    """Return whether the map that begins at ``index`` is a result, not an operand."""
    before, depth = found[index - 1].value if index else "", 0
    for at in range(index, len(found)):
        token = found[at]
        depth += (token.kind == "sign") * ((token.value in _OPENING) - (token.value in _CLOSING))
        if depth == 0:
            after = found[at + 1].value if at + 1 < len(found) else ""
            return before in ("", "?", ":", "(") and after in ("", ":", ")")
    return False


def _unknown_keys(found: Sequence[Token], index: int) -> Iterator[tuple[str, int]]:
    """Return the unknown keys of the map that begins at ``index``."""
    depth = 0
    for at in range(index, len(found) - 1):
        token, after = found[at], found[at + 1]
        depth += (token.kind == "sign") * ((token.value in _OPENING) - (token.value in _CLOSING))
        if depth == 0:
            return
        name = _text_of(token)
        # A text between these signs is the whole key, not a part of a computed one.
        is_key = depth == 1 and found[at - 1].value in "{," and after.value == ":"
        if is_key and name is not None and name not in DIRECTIVES:
            yield name, token.at


def _member(after: Sequence[Token]) -> str | None:
    """Return the member that follows a variable: ``.name`` or ``["name"]``, or None."""
    values = [token.value for token in after]
    if values[:1] == ["."] and len(after) > 1 and after[1].kind == "name":
        is_call = values[2:3] == ["("]
        return None if is_call else values[1]
    if values[:1] == ["["] and values[2:3] == ["]"]:
        return _text_of(after[1])
    return None


def _text_of(token: Token) -> str | None:
    """Return the text of a quoted token, or None if it is none or has escapes."""
    mark, inner = token.value[0], token.value[1:-1]
    is_plain = token.kind == "text" and mark in "'\"" and mark not in inner and "\\" not in inner
    return inner if is_plain else None


def _objects(value: Mapping[str, Json], name: str) -> list[Mapping[str, Json]]:
    entries = value.get(name)
    return (
        [entry if isinstance(entry, Mapping) else {} for entry in entries]
        if isinstance(entries, list)
        else []
    )


def _keys(entries: Sequence[Mapping[str, Json]]) -> frozenset[str]:
    return frozenset(key for entry in entries if isinstance(key := entry.get("key"), str))
