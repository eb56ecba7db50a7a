"""Properties: every definition is read or refused, and scripts keep their meaning."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.api.automation.documents import InvalidDefinitionError, engine_problems, read_document
from shared.api.automation.scripts import NO_STEP, Script, ScriptError, Scripts, parts_of
from shared.domain.errors import InvalidInputError
from shared.domain.strategy.parse import read_definition
from shared.domain.strategy.variables import VARIABLES
from shared.expressions import EvaluationError, ExpressionSyntaxError, ResultType, evaluate

IDS = st.sampled_from(["a", "b", "c", 'd"\\', "", "{{data.x}}", "\u00e9"])
TEXTS = st.sampled_from(
    [
        "",
        "x",
        "{{data.x}}",
        "{{data.x === 1}}",
        "{{step.responseCode}}",
        "{{step.reply}}",
        "{{",
        "}}",
        "{{uuid()}} ${x} \\{{data.y}}",
        "{{'a' + }}",
        "00:01:00",
        "2",
        "https://a.example.com/{{data.x}}?b={{data.y}}",
        "https://{{data.x}}/",
        "POST",
        "get",
        "http_request",
        "enabled",
        "disabled",
    ]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-2, 400)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
)
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(IDS, inner, max_size=3)
)
KINDS = ("HttpRequest", "Wait", "Branch", "If", "WaitForReply", "SMS", "JumpTo", "Other")
INPUTS = (
    "url",
    "method",
    "headers",
    "parameters",
    "body",
    "timeoutSeconds",
    "duration",
    "condition",
    "from",
    "channel",
)


def a_step(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    members = {
        "id": IDS | ANYTHING,
        "stepType": st.sampled_from(KINDS) | ANYTHING,
        "inputs": st.dictionaries(st.sampled_from(INPUTS), ANYTHING) | ANYTHING,
        "outputs": st.dictionaries(IDS, TEXTS) | ANYTHING,
        "nextStepId": IDS | ANYTHING,
        "selectNextStep": st.dictionaries(IDS, TEXTS | st.none()) | ANYTHING,
        "do": st.lists(st.lists(inner, max_size=2), max_size=2) | ANYTHING,
    }
    return st.fixed_dictionaries({}, optional=members) | ANYTHING


STEPS = st.lists(a_step(a_step(ANYTHING)), max_size=4)
DEFINITIONS = st.fixed_dictionaries({}, optional={"name": TEXTS, "steps": STEPS | ANYTHING})
BODIES = st.fixed_dictionaries(
    {},
    optional={
        "trigger": st.just("http_request") | ANYTHING,
        "status": st.sampled_from(["enabled", "disabled"]) | ANYTHING,
        "subAccountId": ANYTHING,
        "definition": DEFINITIONS | ANYTHING,
    },
)


CONDITIONS = st.sampled_from(["{{data.x}}", "{{data.x === 1 || data['y'] == null}}", "{{true}}", None])
VALUES = st.sampled_from(["", "x", "{{data.x}}", "a {{data.y}} {{uuid()}}", "{{ {'a': 1} }}", "${x} \\"])


@st.composite
def chains(draw: st.DrawFn, prefix: str = "s", depth: int = 2) -> list[dict[str, Any]]:
    """Return steps that lead from the first to the last."""
    ids = [f"{prefix}{number}" for number in range(draw(st.integers(1, 3)))]
    return [draw(one_step(key, ids[index + 1 : index + 2], depth)) for index, key in enumerate(ids)]


@st.composite
def one_step(draw: st.DrawFn, key: str, after: list[str], depth: int) -> dict[str, Any]:
    kinds = [
        "HttpRequest",
        "Wait",
        "WaitForReply",
        *(["Branch"] if after else []),
        *(["If"] if depth else []),
    ]
    kind = draw(st.sampled_from(kinds))
    step: dict[str, Any] = {"id": key, "stepType": kind}
    match kind:
        case "HttpRequest":
            url = draw(
                st.sampled_from(
                    ["https://a.example.com", "http://b.example.com:8080/x/{{data.x}}?q={{data.y}}"]
                )
            )
            inputs = {"url": url, "method": draw(st.sampled_from(["GET", "post", "Delete"]))}
            step["inputs"] = inputs | {"headers": {"X": draw(VALUES)}, "body": {"k": [draw(VALUES)]}}
            step["outputs"] = {
                "code": draw(st.sampled_from(["{{step.responseCode}}", "{{step.responseBody}}", "x"]))
            }
        case "Wait":
            step["inputs"] = {"duration": draw(st.sampled_from(["00:00:01", "2", 3, "1.02:03:04"]))}
        case "WaitForReply":
            step["inputs"] = {"from": draw(st.sampled_from(["x", "{{data.x}}"])), "channel": "sms"}
            step["outputs"] = {"reply": "{{step.reply}}"}
        case "If":
            step["inputs"] = {"condition": "{{data.x == 1}}"}
            step["do"] = [draw(chains(f"{key}.", depth - 1))]
    if kind == "Branch" or (after and kind != "If" and draw(st.booleans())):
        step["selectNextStep"] = {after[0]: draw(CONDITIONS)}
    elif after:
        step["nextStepId"] = after[0]
    return step


@given(chains())
@settings(max_examples=200, deadline=None)
def test_a_valid_definition_can_be_enabled(steps: list[dict[str, Any]]) -> None:
    """A definition of available steps is accepted, and the engine accepts its settings."""
    assert refusal_of(whole(steps)) is None


@given(chains(), st.data())
@settings(max_examples=300, deadline=None)
def test_a_mutated_definition_is_read_or_refused(steps: list[dict[str, Any]], data: st.DataObject) -> None:
    """One member, anywhere, is replaced or missing."""
    body = whole(steps)
    places = list(members_of(body))
    owner, name = data.draw(st.sampled_from(places))
    if data.draw(st.booleans()):
        del owner[name]
    else:
        owner[name] = data.draw(ANYTHING)

    assert refusal_of(body) != ""


def whole(steps: list[dict[str, Any]]) -> dict[str, Any]:
    return {"trigger": "http_request", "status": "enabled", "definition": {"name": "n", "steps": steps}}


def members_of(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every member of a JSON value, as its owner and its name or position."""
    if not isinstance(value, dict | list):
        return
    for name, member in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, name
        yield from members_of(member)


@given(BODIES)
@settings(max_examples=300, deadline=None)
def test_a_definition_is_read_or_refused(body: dict[str, Any]) -> None:
    """The engine reads every definition that is read, or its problems are reported by step."""
    assert refusal_of(body) != ""


def refusal_of(body: dict[str, Any]) -> str | None:
    """Return the message of a refused definition, or None if it is valid."""
    try:
        document = read_document(body, environment="dev")
    except InvalidDefinitionError as error:
        return str(error)
    try:
        read_definition(document.settings, environment="dev", pointer="/settings")
    except InvalidInputError as error:
        return str(engine_problems(error, document.settings))
    return None


@given(st.text(alphabet="ab{}'\"$\\ .=", max_size=30))
@settings(max_examples=500, deadline=None)
def test_the_parts_of_a_text_make_the_text(text: str) -> None:
    """No text is lost, and without an opening bracket there is no script."""
    try:
        parts = parts_of(text)
    except ScriptError:
        assert "{{" in text
        return
    assert "".join(f"{{{{{part.source}}}}}" if isinstance(part, Script) else part for part in parts) == text


@given(st.text(alphabet="ab1+-*/%<>'\"()[]{}?:,.=!&| \n", max_size=25))
@settings(max_examples=500, deadline=None)
def test_a_script_that_is_accepted_has_a_value_or_an_error(source: str) -> None:
    """Whatever is accepted can be evaluated: to a value, or to an error that the user reads."""
    try:
        translated = Scripts()._cel(source, NO_STEP, ResultType.ANY)
    except ScriptError:
        return
    try:
        evaluate(translated, {}, variables=VARIABLES, returns=ResultType.ANY)
    except ExpressionSyntaxError as error:
        raise AssertionError(source) from error
    except EvaluationError as error:
        assert error.message  # noqa: PT017 - the property is that nothing else is raised


NUMBERS = st.integers(-20, 20) | st.floats(-1e6, 1e6)


@given(st.lists(st.tuples(st.sampled_from("+-*"), NUMBERS), min_size=1, max_size=6), NUMBERS)
@settings(max_examples=200, deadline=None)
def test_arithmetic_has_the_usual_precedence(rest: list[tuple[str, float]], first: float) -> None:
    """Numbers of data and literals are added and multiplied as Python does with doubles."""
    names = {f"n{index}": number for index, (_, number) in enumerate(rest)}
    script = f"({first!r})" + "".join(f" {sign} data.n{index}" for index, (sign, _) in enumerate(rest))
    expected = eval(  # noqa: S307 - of numbers that were just made
        f"({float(first)!r})" + "".join(f" {sign} ({float(number)!r})" for sign, number in rest)
    )

    translated = Scripts()._cel(script, NO_STEP, ResultType.ANY)
    assert evaluate(translated, {"attributes": names}, variables=VARIABLES, returns=ResultType.ANY) == (
        pytest.approx(expected)
    )
