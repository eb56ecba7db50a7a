"""What holds for any JSON whatsoever."""

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.domain.errors import InvalidInputError, Problem
from shared.domain.strategy.parse import read_definition, stored_definition
from tests.domain.strategy.definitions import CONTROLLERS, example, full, minimal

QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
EXAMPLES = [example("gym-membership"), example("water-filter-refill"), minimal(), full()]


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    members = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for name, member in members:
        yield (*way, name)
        yield from places(member, (*way, name))


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None), max_size=8)
    | st.sampled_from(["", "{", "${", "{{env}}", "charge", "dev", "callback", "onError", "days", "https://x"])
)
names = st.text(max_size=4) | st.sampled_from(
    sorted({"type", "ref", *(str(way[-1]) for way in places(full()))} - set("0123"))
)
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=20,
)


@st.composite
def mutations(draw: st.DrawFn) -> Any:
    """An example with one to three places replaced, taken out, renamed or doubled."""
    document = deepcopy(draw(st.sampled_from(EXAMPLES)))
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from(list(places(document))))
        place: Any = document
        for name in way:
            place = place[name]
        match draw(st.sampled_from(["replace", "remove", "rename", "double"])):
            case "replace":
                place[last] = draw(documents)
            case "rename" if isinstance(place, dict):
                place[draw(names)] = place.pop(last)
            case "double" if isinstance(place, list):
                place.append(deepcopy(place[last]))
            case _:
                del place[last]
        if not document:
            break
    return document


def found_in(document: Any) -> tuple[Problem, ...]:
    try:
        definition = read_definition(document, environment="dev", controllers=CONTROLLERS)
    except InvalidInputError as error:
        return error.problems
    assert stored_definition(document) == definition
    return ()


def exists(document: Any, pointer: str) -> bool:
    """Whether a pointer leads to a place of the document, or to a member that its object lacks."""
    tokens = [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]]
    for level, token in enumerate(tokens, start=1):
        if isinstance(document, list) and int(token) < len(document):
            document = document[int(token)]
        elif isinstance(document, dict) and token in document:
            document = document[token]
        else:
            return isinstance(document, dict) and level == len(tokens)
    return True


@QUICK
@given(document=documents)
def test_any_json_is_read_or_refused_with_problems(document: Any) -> None:
    assert found_in(document)


@QUICK
@given(document=mutations())
def test_an_example_changed_anyhow_is_read_or_refused_with_problems(document: Any) -> None:
    found = found_in(document)
    assert [problem.pointer for problem in found] == sorted(problem.pointer for problem in found)
    for problem in found:
        assert exists(document, problem.pointer)
        assert problem.rule
        assert problem.message
    json.dumps([problem.pointer + problem.message for problem in found], ensure_ascii=False).encode()


@QUICK
@given(document=mutations())
def test_reading_changes_nothing_and_answers_the_same_again(document: Any) -> None:
    before = deepcopy(document)
    assert found_in(document) == found_in(document)
    assert repr(document) == repr(before)
