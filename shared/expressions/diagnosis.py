"""Turn the compiler's report into a problem that a user can act on."""

import re
from collections.abc import Callable

from shared.expressions.lexer import Token, tokens
from shared.expressions.problems import ExpressionProblem, caret_at, caret_at_offset

_REPORT = re.compile(r"ERROR: <input>:(?P<line>-?\d+):(?P<column>-?\d+): (?P<message>[^\n]*)")
_STATUS = re.compile(r"^[A-Z_]+: |(?: \[[A-Z_]+\])+$")
_RESERVED_SIGNS = frozenset({"===", "!==", "=>"})
_HEAD = re.compile(r"(?:async\b\s*)?(?:(?:\([^()]*\)|\w+)\s*=>|function\b[^(){}]*\([^(){}]*\))")
_EXAMPLE = "`cycle % 12 == 0`"


def diagnose(source: str, report: str, *, compiles: Callable[[str], bool]) -> ExpressionProblem:
    """Return the first problem of ``source``, which the compiler refused with ``report``.

    If the source looks like JavaScript, the message shows the CEL form, provided that ``compiles`` accepts it.
    """
    # Only sources that CEL has refused come here, so no valid CEL is taken for JavaScript.
    javascript = _javascript_at(list(tokens(source)))
    if javascript is not None:
        return ExpressionProblem(
            "javascript", _advice(source, compiles=compiles), caret_at_offset(source, javascript.at)
        )
    if "recursion" in report:
        return ExpressionProblem(
            "too-deep", "nested deeper than 32 levels (a chain of `+` or of calls counts too)", None
        )
    return _from_report(source, report)


def plain_message(report: str) -> str:
    """Return the library's message without its status codes."""
    return _STATUS.sub("", report).strip() or "out of memory"


def _from_report(source: str, report: str) -> ExpressionProblem:
    match = _REPORT.search(report)
    if match is None:
        return ExpressionProblem("syntax", plain_message(report), None)
    message = plain_message(match["message"]).removesuffix(" (in container '')")
    caret = caret_at(source, line=int(match["line"]), column=int(match["column"]))
    if message.startswith("undeclared reference"):
        return ExpressionProblem("undeclared", message, caret)
    if message.startswith("found no matching overload"):
        return ExpressionProblem("type", message + _mixing_hint(message), caret)
    return ExpressionProblem("syntax", message.removeprefix("Syntax error: "), caret)


def _mixing_hint(message: str) -> str:
    if "int" in message and "double" in message:
        return "; int and double do not mix, convert with int() or double()"
    return ""


def _javascript_at(found: list[Token]) -> Token | None:
    if found and found[0].value in {"async", "function"}:
        return found[0]
    return next((token for token in found if token.value in _RESERVED_SIGNS), None)


def _advice(source: str, *, compiles: Callable[[str], bool]) -> str:
    suggestion = _as_cel(source)
    if compiles(suggestion):
        return f"this is JavaScript; write CEL: `{suggestion}`"
    return (
        "this is JavaScript; a callback is one CEL expression over the declared variables, "
        f"with == and !=, without function, => and return, e.g. {_EXAMPLE}"
    )


def _as_cel(source: str) -> str:
    """Return the expression inside a one-line JavaScript function. It is a guess: compile it before showing it."""
    body = source.strip()
    if head := _HEAD.match(body):
        body = body[head.end() :].strip().removesuffix(";").strip()
    if body.startswith("{") and body.endswith("}"):
        body = body[1:-1].strip().removeprefix("return").strip().removesuffix(";").strip()
    return body.replace("===", "==").replace("!==", "!=")
