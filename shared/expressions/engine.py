"""The CEL library, imported here only, and only by the process that evaluates.

Its signatures leave out how it fails: errors are returned as values, an evaluation can also raise ``RuntimeError``,
``MemoryError`` or ``SystemError``, and an exception of a Python function becomes an error value with its text. If
memory runs out at the wrong place, it ends the process.
"""

from functools import lru_cache
from typing import Any

from cel_expr_python import cel  # type: ignore[import-untyped]
from msgspec import Struct, field

from shared.expressions.bindings import Bindings
from shared.expressions.diagnosis import diagnose, plain_message
from shared.expressions.host import ALLOWANCE, HOST_FUNCTIONS, HostFunction, HostType
from shared.expressions.kinds import ResultType, Variables, VariableType
from shared.expressions.lexer import growth
from shared.expressions.limits import MAX_GROWTH, MAX_SOURCE_BYTES, MAX_TEXT_BYTES, MAX_TEXT_CHARACTERS
from shared.expressions.patterns import pattern_problem
from shared.expressions.problems import EvaluationError, ExpressionProblem, ExpressionSyntaxError, too_long
from shared.expressions.regex import require_work
from shared.expressions.rewriting import ALIASES, Rewritten, restore, rewrite
from shared.expressions.values import CelValue

_VARIABLE_TYPES = {
    VariableType.BOOL: cel.Type.BOOL,
    VariableType.INT: cel.Type.INT,
    VariableType.DOUBLE: cel.Type.DOUBLE,
    VariableType.STRING: cel.Type.STRING,
    VariableType.TIMESTAMP: cel.Type.TIMESTAMP,
    VariableType.MAP: cel.Type.Map(cel.Type.STRING, cel.Type.DYN),
    VariableType.ANY: cel.Type.DYN,
}
_HOST_TYPES = {
    HostType.BOOL: cel.Type.BOOL,
    HostType.INT: cel.Type.INT,
    HostType.UINT: cel.Type.UINT,
    HostType.DOUBLE: cel.Type.DOUBLE,
    HostType.STRING: cel.Type.STRING,
    HostType.STRINGS: cel.Type.List(cel.Type.STRING),
    HostType.OPERANDS: cel.Type.List(cel.Type.DYN),
    HostType.DYN: cel.Type.DYN,
    HostType.BYTES: cel.Type.BYTES,
    HostType.TIMESTAMP: cel.Type.TIMESTAMP,
    HostType.DURATION: cel.Type.DURATION,
    HostType.WHOLE: cel.Type.MAP,
}
_WITHOUT_JSON_FORM = ("BYTES", "DURATION", "TYPE", "MAP<INT", "MAP<UINT", "MAP<BOOL")
_STATIC_TYPES = {
    ResultType.BOOL: ("BOOL",),
    ResultType.TIMESTAMP: ("TIMESTAMP",),
    ResultType.MAP: ("MAP<STRING,", "MAP<DYN,"),
}

# The checker must not know the functions that ours take the place of, so that no call of them gets past ``rewrite``.
_CONFIG = "stdlib:\n  exclude_functions:\n" + "".join(f"    - name: {name}\n" for name in ALIASES)

_VariablesKey = frozenset[tuple[str, VariableType]]


class Program(Struct, frozen=True):
    """A compiled expression, for any number of evaluations.

    ``own_bytes`` is the size of the text it can make without any context. ``factor`` is an upper bound for how often
    macros and ``+`` can repeat one text. ``literals`` are the values of its large integers; see ``rewrite``.
    """

    expression: Any
    own_bytes: int
    factor: int
    literals: dict[str, object] = field(default_factory=dict)

    def run(self, bindings: Bindings) -> CelValue:
        """Return the value for these bindings.

        Raises: EvaluationError: if the value is an error, or a limit was met. MemoryError.
        """
        # Known before it runs, this costs neither time nor a process.
        if (self.own_bytes + bindings.size) * self.factor > MAX_TEXT_BYTES:
            raise EvaluationError("what it repeats could grow too large for a context of this size")
        try:
            value: CelValue = self.expression.eval(data=bindings.values | self.literals)
        except (RuntimeError, SystemError) as error:
            raise EvaluationError(plain_message(str(error))) from error
        if value.type() == cel.Type.ERROR:
            message = restore(plain_message(str(value.value())))
            raise EvaluationError(message + self._hint(message, bindings))
        return value

    def _hint(self, message: str, bindings: Bindings) -> str:
        """Return the hint to add to a message that calls a marker a map."""
        if not (bindings.has_markers or self.literals) or not message.startswith("No matching overloads"):
            return ""
        return (
            ""
            if "map" not in message
            else (
                "; a whole number beyond 2^53 can only be compared by == and !=, passed on, and written by string()"
            )
        )


def compile_expression(source: str, *, variables: Variables, returns: ResultType) -> Program:
    """Return the compiled source; the 512 used last are cached.

    Raises: ExpressionSyntaxError: with the first problem.
    """
    return _compiled(source, frozenset(variables.items()), returns)


@lru_cache(maxsize=512)
def _compiled(source: str, variables: _VariablesKey, returns: ResultType) -> Program:
    _require_bounded(source)
    rewritten = rewrite(source)
    environment = _environment(_with_literals(variables, rewritten))
    try:
        expression = environment.compile(rewritten.source)
    except RuntimeError as error:

        def compiles(suggestion: str) -> bool:
            return _compiles(variables, suggestion, returns)

        problem = diagnose(source, restore(str(error)), compiles=compiles)
        raise ExpressionSyntaxError(problem) from error
    found = str(expression.return_type().name())
    if not _may_return(found, returns):
        raise ExpressionSyntaxError(
            ExpressionProblem("type", f"this must return {_named(returns)}, it returns {found.lower()}", None)
        )
    refused = pattern_problem(source, text_of=_literal_text)
    if refused is not None:
        raise ExpressionSyntaxError(refused)
    return Program(
        expression,
        own_bytes=_own_bytes(source),
        factor=growth(source) * (source.count("+") + 1),
        literals=rewritten.literals,
    )


def _with_literals(variables: _VariablesKey, rewritten: Rewritten) -> _VariablesKey:
    return variables | {(name, VariableType.ANY) for name in rewritten.literals}


def _literal_text(literal: str) -> str | None:
    """Return the text that a literal stands for, or None if it is not a text."""
    value = cel.NewEnv().compile(literal).eval()
    return str(value.value()) if value.type() == cel.Type.STRING else None


def _own_bytes(source: str) -> int:
    """Return the size of text the source can make by itself: its literals, and the expansions by ``replace``."""
    return len(source) + (MAX_TEXT_CHARACTERS if "replace" in source else 0)


def _require_bounded(source: str) -> None:
    problem = _too_much(source)
    if problem is not None:
        raise ExpressionSyntaxError(problem)


def _too_much(source: str) -> ExpressionProblem | None:
    """Return the problem of a source that must not reach the compiler, or None."""
    try:
        size = len(source.encode())
    except UnicodeEncodeError:
        return ExpressionProblem("syntax", "half of a surrogate pair is not text", None)
    if size > MAX_SOURCE_BYTES:
        return too_long()
    if "\0" in source:
        return ExpressionProblem("syntax", "a NUL character is not text", None)
    if growth(source) > MAX_GROWTH:
        message = f"its macros may multiply a value more than {MAX_GROWTH} times over"
        return ExpressionProblem("too-complex", message, None)
    return None


def _compiles(variables: _VariablesKey, source: str, returns: ResultType) -> bool:
    rewritten = rewrite(source)
    try:
        compiled = _environment(_with_literals(variables, rewritten)).compile(rewritten.source)
    except RuntimeError:
        return False
    return _may_return(compiled.return_type().name(), returns)


def _may_return(found: str, returns: ResultType) -> bool:
    """Return whether an expression of the static type ``found`` can have a value of the required type."""
    if found == "DYN":
        return True
    if returns is ResultType.ANY:
        return not found.startswith(_WITHOUT_JSON_FORM)
    return found.startswith(_STATIC_TYPES[returns])


def _named(returns: ResultType) -> str:
    return "a value with a JSON form" if returns is ResultType.ANY else returns.value


@lru_cache(maxsize=32)
def _environment(variables: _VariablesKey) -> Any:  # noqa: ANN401 - of the library, which has no stubs
    """Return the declarations for one set of variables."""
    # The library's string extension is left out, because its functions are not bounded.
    return cel.NewEnv(
        config=cel.NewEnvConfigFromYaml(_CONFIG),
        variables={name: _VARIABLE_TYPES[kind] for name, kind in variables},
        functions=_declarations(),
    )


@lru_cache(maxsize=1)
def _declarations() -> list[Any]:
    names = dict.fromkeys(function.name for function in HOST_FUNCTIONS)
    return [
        _matches_declaration(),
        *(
            cel.FunctionDecl(
                ALIASES.get(name, name),
                [_overload(function) for function in HOST_FUNCTIONS if function.name == name],
            )
            for name in names
        ),
    ]


def _overload(function: HostFunction) -> Any:  # noqa: ANN401 - of the library, which has no stubs
    return cel.Overload(
        "_".join((function.name, "of", *function.parameters)),
        return_type=_HOST_TYPES[function.returns],
        parameters=[_HOST_TYPES[parameter] for parameter in function.parameters],
        is_member=False,
        impl=function.call,
    )


def _matches_declaration() -> Any:  # noqa: ANN401 - as above
    overloads = [
        cel.Overload(
            f"matches_of_{'member' if is_member else 'argument'}",
            return_type=cel.Type.BOOL,
            parameters=[cel.Type.STRING, cel.Type.STRING],
            is_member=is_member,
            impl=_matches,
        )
        for is_member in (True, False)
    ]
    return cel.FunctionDecl(ALIASES["matches"], overloads)


def _matches(text: str, pattern: str) -> bool:
    """Return whether a regular expression matches a part of a text, as CEL's own function within our limits."""
    ALLOWANCE.take((text, pattern))
    require_work(text, pattern)
    value = _matcher().eval(data={"text": text, "pattern": pattern})
    if value.type() == cel.Type.ERROR:
        raise ValueError(plain_message(str(value.value())))
    return bool(value.value())


@lru_cache(maxsize=1)
def _matcher() -> Any:  # noqa: ANN401 - as above
    """Return the library's own ``matches``."""
    variables = {"text": cel.Type.STRING, "pattern": cel.Type.STRING}
    return cel.NewEnv(variables=variables).compile("text.matches(pattern)")
