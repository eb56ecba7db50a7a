"""``{{ }}`` of a workflow definition, made into what the engine evaluates.

A script is CEL over ``data`` (the instance's attributes) and ``step`` (what the step it belongs to has come to), with
``===`` and ``!==`` read as ``==`` and ``!=``. It is checked as it was written, so that a problem shows its place
there, and then translated token by token. What is not in ``data`` is null, as in JavaScript; below that a missing
member is an error, as in CEL.
Source: contracts/automation.md A.2; docs/decisions/0025.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

from shared.expressions import ResultType, VariableType, check
from shared.expressions.lexer import Token, closing_brace, tokens
from shared.expressions.problems import caret_at_offset

MAX_SCRIPT_CHARACTERS = 1000
"""A script has at most so many characters."""

_EQUALS = {"===": "==", "!==": "!="}
_UUID_CALL = ("uuid", "(", ")")


class ScriptError(Exception):
    """A text that holds no script, or a wrong one; its message shows the place."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What ``step`` means where a script stands.

    members: each of its members in the engine's words; None where there is no ``step``.
    others: how the engine calls ``step`` itself, where any member is allowed; None where only those above are.
    """

    members: Mapping[str, str] | None = None
    others: str | None = None


NO_STEP = Scope()
"""Where ``step`` has been cleared: in the inputs of the next step."""


@dataclass(slots=True)
class Scripts:
    """The scripts of one definition. numbers: tells the places of its ``uuid()`` apart."""

    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def template(self, text: str, scope: Scope = NO_STEP) -> str:
        """A text with scripts in it as a template of the engine. Raises: ScriptError."""
        return "".join(
            _literal_template(part) if isinstance(part, str) else self._placeholder(part, scope)
            for part in parts_of(text)
        )

    def value(self, text: str, scope: Scope) -> str:
        """A text with scripts in it as CEL; alone in it, a script keeps the type of its value. Raises: ScriptError."""
        parts = parts_of(text)
        if len(parts) == 1 and isinstance(parts[0], Script):
            return self._cel(parts[0].source, scope, ResultType.ANY)
        texts = [
            literal(part)
            if isinstance(part, str)
            else _as_text(self._cel(part.source, scope, ResultType.ANY))
            for part in parts
        ]
        return " + ".join(texts) or '""'

    def condition(self, text: str, scope: Scope) -> str:
        """A text that is one script, which says yes or no, as CEL. Raises: ScriptError."""
        parts = parts_of(text.strip())
        if len(parts) != 1 or isinstance(parts[0], str):
            raise ScriptError(f"a condition is one script in double curly brackets, not {text[:100]!r}")
        return self._cel(parts[0].source, scope, ResultType.BOOL)

    def _placeholder(self, script: "Script", scope: Scope) -> str:
        translated = self._cel(script.source, scope, ResultType.ANY)
        path = _plain_path(script.source)
        return f"${{{translated}}}" if path is None else f"{{{{{path}}}}}"

    def _cel(self, source: str, scope: Scope, returns: ResultType) -> str:
        if len(source) > MAX_SCRIPT_CHARACTERS:
            raise ScriptError(
                f"a script has at most {MAX_SCRIPT_CHARACTERS} characters, this has {len(source)}"
            )
        found = list(tokens(source))
        _check_step(source, found, scope)
        _check(source, found, scope, returns)
        return "".join(self._translated(source, found, scope))

    def _translated(self, source: str, found: Sequence[Token], scope: Scope) -> Iterator[str]:
        at, index = 0, 0
        while index < len(found):
            token = found[index]
            yield source[at : token.at]
            text, taken = self._translation(found, index, scope)
            yield text
            index += taken
            last = found[index - 1]
            at = last.at + len(last.value)
        yield source[at:]

    def _translation(self, found: Sequence[Token], index: int, scope: Scope) -> tuple[str, int]:
        """What stands in place of the tokens from here on, and of how many."""
        token = found[index]
        if token.value in _EQUALS and token.kind == "sign":
            return _EQUALS[token.value], 1
        if token.kind != "name" or _is_member(found, index):
            return token.value, 1
        if tuple(one.value for one in found[index : index + 3]) == _UUID_CALL:
            return f'uuid(event.idempotencyKey + "#{next(self.numbers)}")', 3
        if token.value == "data":
            return _data(found, index)
        if token.value == "step":
            return _step(found, index, scope)
        return token.value, 1


@dataclass(frozen=True, slots=True)
class Script:
    """What stands between double curly brackets."""

    source: str


def parts_of(text: str) -> list[str | Script]:
    """The literal parts and the scripts of a text, in their order. Raises: ScriptError: one is left open."""
    parts: list[str | Script] = []
    position = 0
    while (opening := text.find("{{", position)) >= 0:
        end = closing_brace(text, opening + 2)
        if end is None or text[end : end + 2] != "}}":
            raise ScriptError(f"a script is never closed:\n{caret_at_offset(text, opening)}")
        parts += [text[position:opening]] if opening > position else []
        parts.append(Script(text[opening + 2 : end]))
        position = end + 2
    return [*parts, text[position:]] if position < len(text) else parts


def literal(text: str) -> str:
    """A text as CEL writes it."""
    return json.dumps(text, ensure_ascii=False)


def _as_text(source: str) -> str:
    """CEL that makes text of a value, nothing of null, as the engine's templates do."""
    return f'(dyn({source}) == null ? "" : string({source}))'


def _literal_template(text: str) -> str:
    """A text that the engine's templates leave as it is."""
    return f"${{{literal(text)}}}" if "${" in text or "\\" in text else text


def _plain_path(source: str) -> str | None:
    """``data.a.b`` as a path of the engine, which is null where there is nothing; None for any other script."""
    found = [token.value for token in tokens(source)]
    names, dots = found[::2], found[1::2]
    is_path = names[0] == "data" and len(names) > 1 and len(names) == len(dots) + 1
    if is_path and set(dots) == {"."} and all(name.isidentifier() for name in names):
        return ".".join(["attributes", *names[1:]])
    return None


def _check(source: str, found: Sequence[Token], scope: Scope, returns: ResultType) -> None:
    """Raises: ScriptError: what is written is no CEL over ``data`` and ``step``."""
    variables = {"data": VariableType.MAP}
    if scope.members is not None:
        variables["step"] = VariableType.MAP
    problem = check(_of_same_length(source, found), variables=variables, returns=returns)
    if problem is not None:
        shown = "" if problem.caret is None else f":\n{_in_original(problem.caret, source, found)}"
        raise ScriptError(f"{problem.message}{shown}")


def _of_same_length(source: str, found: Sequence[Token]) -> str:
    """The source as CEL reads it, each token at its place."""
    pieces = list(source)
    for index, token in enumerate(found):
        if token.value in _EQUALS and token.kind == "sign":
            pieces[token.at : token.at + 3] = f"{_EQUALS[token.value]} "
        if tuple(one.value for one in found[index : index + 3]) == _UUID_CALL and not _is_member(
            found, index
        ):
            end = found[index + 2].at + 1
            pieces[token.at : end] = '"uuid"'.ljust(end - token.at)
    return "".join(pieces)


def _in_original(caret: str, source: str, found: Sequence[Token]) -> str:
    """The caret under the line as it was written."""
    line, _, mark = caret.partition("\n")
    lines = _of_same_length(source, found).split("\n")
    written = source.split("\n")
    shown = next((written[number] for number, text in enumerate(lines) if text.rstrip("\r") == line), line)
    return f"{shown}\n{mark}"


def _check_step(source: str, found: Sequence[Token], scope: Scope) -> None:
    """Raises: ScriptError: ``step`` is asked where it is empty, or for what it does not have."""
    for index, token in enumerate(found):
        if token.value != "step" or token.kind != "name" or _is_member(found, index):
            continue
        if scope.members is None:
            told = (
                "there is no `step` here: it is cleared after each step; save what is needed with `outputs`"
            )
            raise ScriptError(f"{told}:\n{caret_at_offset(source, token.at)}")
        member = _member(found, index)
        if scope.others is None and (member is None or member[0] not in scope.members):
            told = f"of this step there is {', '.join(f'`step.{name}`' for name in scope.members)}"
            raise ScriptError(f"{told}:\n{caret_at_offset(source, token.at)}")


def _is_member(found: Sequence[Token], index: int) -> bool:
    """Whether a name is a member of something, not a variable."""
    return index > 0 and found[index - 1].value == "."


def _member(found: Sequence[Token], index: int) -> tuple[str, int] | None:
    """The member that is asked of the variable here, by ``.name`` or ``["name"]``, and how many tokens that takes."""
    after = found[index + 1 : index + 4]
    if len(after) > 1 and after[0].value == "." and after[1].kind == "name":
        return after[1].value, 3
    if [one.value for one in after[::2]] == ["[", "]"] and after[1].kind == "text":
        key = _text_of(after[1].value)
        return None if key is None else (key, 4)
    return None


def _text_of(token: str) -> str | None:
    """The text in a token's single quotation marks, or double ones; None where it is not as plain as that."""
    mark, inner = token[0], token[1:-1]
    is_plain = mark in "'\"" and mark not in inner and "\\" not in inner
    return inner if is_plain else None


def _data(found: Sequence[Token], index: int) -> tuple[str, int]:
    """``data``, or its member: null where there is none, unless it is asked whether there is one."""
    member = _member(found, index)
    is_asked = [one.value for one in found[max(index - 2, 0) : index]] == ["has", "("]
    if member is None:
        return "attributes", 1
    key, taken = member
    is_called = taken == 3 and [one.value for one in found[index + 3 : index + 4]] == ["("]  # noqa: PLR2004 - data . name
    if is_called or (is_asked and taken == 3):  # noqa: PLR2004 - data . name
        return "attributes", 1
    name = literal(key)
    return f"({name} in attributes ? attributes[{name}] : null)", taken


def _step(found: Sequence[Token], index: int, scope: Scope) -> tuple[str, int]:
    """``step``, or its member, in the engine's words."""
    member = _member(found, index)
    if member is not None and scope.members is not None and member[0] in scope.members:
        return scope.members[member[0]], member[1]
    return scope.others or "step", 1
