"""Translate the ``{{ }}`` scripts of a workflow definition into expressions of the engine.

A script is CEL over ``data`` (the instance's attributes) and ``step`` (the result of its step), with JavaScript's
operators. It is checked as it was written, so that carets point to the right place, and then translated. A missing
member of ``data`` is null, as in JavaScript; deeper ones are errors, as in CEL.
Source: docs/contracts/automation.md A.2; docs/decisions/0025.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import count

from msgspec import Struct, field

from shared.api.automation.operators import Code, UnknownFormError, Variable, translate
from shared.domain.strategy.secret_names import RESERVED, why_no_reference
from shared.domain.strategy.variables import VARIABLES
from shared.expressions import ResultType, VariableType, check
from shared.expressions.lexer import Token, closing_brace, tokens
from shared.expressions.problems import caret_at_offset

MAX_SCRIPT_CHARACTERS = 1000
"""The maximum length of a script."""

_EQUALS = {"===": "==", "!==": "!="}
# CEL's operators are typed, JavaScript's convert their operands.
_OPERATOR_TYPES = re.compile(r"found no matching overload for '(?:_|!|-|@in)")
_REFERENCE = re.compile(rf"\s*((?:{'|'.join(sorted(RESERVED))})\.[^\s{{}}]*)\s*")
_PLACES = "a secret may be used in headers, parameters and body of an HttpRequest step only"
_UUID_CALL = ("uuid", "(", ")")


class ScriptError(Exception):
    """A text has an invalid script, or none if it needs one. The message has a caret under the position."""


class Scope(Struct, frozen=True):
    """The meaning of ``step`` at the place of a script.

    ``members`` maps its members to expressions of the engine; None if there is no ``step`` at this place.
    ``others`` is the expression for ``step`` itself if any member is allowed, else None.
    """

    members: Mapping[str, str] | None = None
    others: str | None = None


NO_STEP = Scope()
"""The scope without ``step``, as in the inputs of the next step."""


class Scripts(Struct):
    """The scripts of one definition. ``numbers`` makes each ``uuid()`` in it different."""

    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def template(self, text: str, scope: Scope = NO_STEP, *, takes_secrets: bool = False) -> str:
        """Return a text with scripts as a template of the engine. Raises: ScriptError."""
        return "".join(
            _literal_template(part)
            if isinstance(part, str)
            else _reference(part, takes_secrets=takes_secrets) or self._placeholder(part, scope)
            for part in parts_of(text)
        )

    def value(self, text: str, scope: Scope) -> str:
        """Return a text with scripts as CEL. A script without text around it keeps the type of its value.

        Raises: ScriptError.
        """
        parts = parts_of(text)
        if len(parts) == 1 and isinstance(parts[0], Script):
            return self._cel(parts[0].source, scope, ResultType.ANY)
        texts = [
            literal(part)
            if isinstance(part, str)
            else f"jsText([{self._cel(part.source, scope, ResultType.ANY)}])"
            for part in parts
        ]
        return " + ".join(texts) or '""'

    def condition(self, text: str, scope: Scope) -> str:
        """Return a text that is one script with a boolean result as CEL. Raises: ScriptError."""
        parts = parts_of(text.strip())
        if len(parts) != 1 or isinstance(parts[0], str):
            raise ScriptError(f"a condition must be one script in {{{{ }}}}, not {text[:100]!r}")
        return self._cel(parts[0].source, scope, ResultType.BOOL)

    def _placeholder(self, script: "Script", scope: Scope) -> str:
        translated = self._cel(script.source, scope, ResultType.ANY)
        # In templates of the engine, a path with a missing member is empty; an expression would be an error.
        path = _plain_path(script.source)
        return f"${{{translated}}}" if path is None else f"{{{{{path}}}}}"

    def _cel(self, source: str, scope: Scope, returns: ResultType) -> str:
        if len(source) > MAX_SCRIPT_CHARACTERS:
            raise ScriptError(
                f"a script must have at most {MAX_SCRIPT_CHARACTERS} characters, not {len(source)}"
            )
        found = list(tokens(source))
        _check_step(source, found, scope)
        _check(source, found, scope, returns)
        code = self._translation(source, found, scope)
        text = code.truth if returns is ResultType.BOOL else code.value
        # What JavaScript allows and CEL does not was left out of the check above.
        problem = check(text, variables=VARIABLES, returns=returns)
        if problem is not None:
            raise ScriptError(problem.message)
        return text

    def _translation(self, source: str, found: Sequence[Token], scope: Scope) -> Code:
        def variable(read: Sequence[Token], index: int, is_tested: bool) -> Variable:  # noqa: FBT001 - a callback
            if _is_uuid_call(read, index):
                text = f'uuid(event.idempotencyKey + "#{next(self.numbers)}")'
                return Variable(text, text, 3)
            match read[index].value:
                case "data":
                    return _data(read, index, is_tested=is_tested)
                case "step":
                    return _step(read, index, scope)
                case name:
                    return Variable(name, name, 1)

        try:
            return translate(found, variable)
        except UnknownFormError as error:
            raise ScriptError(f"{error}:\n{caret_at_offset(source, error.at)}") from error


class Script(Struct, frozen=True):
    """The text between double curly brackets."""

    source: str


def parts_of(text: str) -> list[str | Script]:
    """Return the literal parts and the scripts of a text in order. Raises: ScriptError: if a script is not closed."""
    parts: list[str | Script] = []
    position = 0
    while (opening := text.find("{{", position)) >= 0:
        end = closing_brace(text, opening + 2)
        if end is None or text[end : end + 2] != "}}":
            raise ScriptError(f"the script is not closed:\n{caret_at_offset(text, opening)}")
        parts += [text[position:opening]] if opening > position else []
        parts.append(Script(text[opening + 2 : end]))
        position = end + 2
    return [*parts, text[position:]] if position < len(text) else parts


def literal(text: str) -> str:
    """Return a text as a CEL literal."""
    return json.dumps(text, ensure_ascii=False)


def _literal_template(text: str) -> str:
    """Return a template that renders as this text."""
    # Only these have a meaning in templates.
    return f"${{{literal(text)}}}" if "${" in text or "\\" in text else text


def _reference(script: Script, *, takes_secrets: bool) -> str | None:
    """Return a script that is a reference to a secret as the engine has it, or None for any other script.

    Raises: ScriptError: no secret may be used here, or its name breaks a rule.
    """
    match = _REFERENCE.fullmatch(script.source)
    if match is None:
        return None
    path = match[1]
    why = why_no_reference(path.split(".")) if takes_secrets else _PLACES
    if why is not None:
        raise ScriptError(f"{why}:\n{caret_at_offset(script.source, match.start(1))}")
    return f"{{{{{path}}}}}"


def _plain_path(source: str) -> str | None:
    """Return ``data.a.b`` as a path of the engine, which is null if a member is missing, or None for other scripts."""
    found = [token.value for token in tokens(source)]
    names, dots = found[::2], found[1::2]
    is_path = names[0] == "data" and len(names) > 1 and len(names) == len(dots) + 1
    if is_path and set(dots) == {"."} and all(name.isidentifier() for name in names):
        return ".".join(["attributes", *names[1:]])
    return None


def _check(source: str, found: Sequence[Token], scope: Scope, returns: ResultType) -> None:
    """Check that a script is CEL over ``data`` and ``step``. Raises: ScriptError."""
    variables = {"data": VariableType.MAP}
    if scope.members is not None:
        variables["step"] = VariableType.MAP
    problem = check(_of_same_length(source, found), variables=variables, returns=returns)
    if problem is not None and not _OPERATOR_TYPES.match(problem.message):
        shown = "" if problem.caret is None else f":\n{_in_original(problem.caret, source, found)}"
        raise ScriptError(f"{problem.message}{shown}")


def _of_same_length(source: str, found: Sequence[Token]) -> str:
    """Return the source as CEL of the same length, with each token at its place."""
    pieces = list(source)
    for index, token in enumerate(found):
        if token.value in _EQUALS and token.kind == "sign":
            pieces[token.at : token.at + 3] = f"{_EQUALS[token.value]} "
        if _is_uuid_call(found, index) and not _is_member(found, index):
            end = found[index + 2].at + 1
            pieces[token.at : end] = '"uuid"'.ljust(end - token.at)
    return "".join(pieces)


def _in_original(caret: str, source: str, found: Sequence[Token]) -> str:
    """Return the caret under the line as it was written."""
    line, _, mark = caret.partition("\n")
    lines = _of_same_length(source, found).split("\n")
    written = source.split("\n")
    shown = next((written[number] for number, text in enumerate(lines) if text.rstrip("\r") == line), line)
    return f"{shown}\n{mark}"


def _check_step(source: str, found: Sequence[Token], scope: Scope) -> None:
    """Check that a script uses ``step`` only if it exists at its place, and only its members. Raises: ScriptError."""
    for index, token in enumerate(found):
        if token.value != "step" or token.kind != "name" or _is_member(found, index):
            continue
        if scope.members is None:
            why = "`step` does not exist here, it is cleared after each step; save it with `outputs`"
            raise ScriptError(f"{why}:\n{caret_at_offset(source, token.at)}")
        member = _member(found, index)
        if scope.others is None and (member is None or member[0] not in scope.members):
            why = f"this step has only {', '.join(f'`step.{name}`' for name in scope.members)}"
            raise ScriptError(f"{why}:\n{caret_at_offset(source, token.at)}")


def _is_uuid_call(found: Sequence[Token], index: int) -> bool:
    return tuple(token.value for token in found[index : index + 3]) == _UUID_CALL


def _is_member(found: Sequence[Token], index: int) -> bool:
    """Return whether a name is a member of a value, not a variable."""
    return index > 0 and found[index - 1].value == "."


def _member(found: Sequence[Token], index: int) -> tuple[str, int] | None:
    """Return the member of the variable at ``index`` (``.name`` or ``["name"]``), and how many tokens that takes."""
    after = found[index + 1 : index + 4]
    if len(after) > 1 and after[0].value == "." and after[1].kind == "name":
        return after[1].value, 3
    if [token.value for token in after[::2]] == ["[", "]"] and after[1].kind == "text":
        key = _text_of(after[1].value)
        return None if key is None else (key, 4)
    return None


def _text_of(token: str) -> str | None:
    """Return the text of a quoted token, or None if it has escapes or triple quotes."""
    mark, inner = token[0], token[1:-1]
    is_plain = mark in "'\"" and mark not in inner and "\\" not in inner
    return inner if is_plain else None


def _data(found: Sequence[Token], index: int, *, is_tested: bool) -> Variable:
    """Return ``data`` or its member as CEL of the engine. A missing member is null, except in ``has()``."""
    member = _member(found, index)
    if member is None:
        return Variable("attributes", "attributes", 1)
    key, taken = member
    # The rewritten form below is no member selection, so has(data.name) and data.name() keep the plain one.
    is_plain = taken == 3  # noqa: PLR2004 - data . name
    is_called = [token.value for token in found[index + 3 : index + 4]] == ["("]
    if is_plain and (is_called or is_tested):
        return Variable("attributes", "attributes", 1)
    name = literal(key)
    return Variable(f"({name} in attributes ? attributes[{name}] : null)", f"attributes[{name}]", taken)


def _step(found: Sequence[Token], index: int, scope: Scope) -> Variable:
    """Return ``step`` or its member as CEL of the engine."""
    member = _member(found, index)
    if member is not None and scope.members is not None and member[0] in scope.members:
        text = scope.members[member[0]]
        return Variable(text, text, member[1])
    text = scope.others or "step"
    return Variable(text, text, 1)
