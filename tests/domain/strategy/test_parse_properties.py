"""Properties of parsing that hold for any JSON."""

import json
from copy import deepcopy
from typing import Any

from hypothesis import HealthCheck, given, settings

from shared.domain.errors import InvalidInputError, Problem
from shared.domain.strategy.parse import read_definition, stored_definition
from tests.domain.strategy.definitions import CONTROLLERS
from tests.domain.strategy.mutations import documents, mutations

QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def problems_of(document: Any) -> tuple[Problem, ...]:
    try:
        definition = read_definition(document, environment="dev", controllers=CONTROLLERS)
    except InvalidInputError as error:
        return error.problems
    assert stored_definition(document) == definition
    return ()


def exists(document: Any, pointer: str) -> bool:
    """Return whether a pointer leads to a place of the document, or to a member that its object lacks."""
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
def test_every_json_is_read_or_refused_with_problems(document: Any) -> None:
    assert problems_of(document)


@QUICK
@given(document=mutations())
def test_a_mutated_example_is_read_or_refused_with_problems(document: Any) -> None:
    problems = problems_of(document)
    assert [problem.pointer for problem in problems] == sorted(problem.pointer for problem in problems)
    for problem in problems:
        assert exists(document, problem.pointer)
        assert problem.rule
        assert problem.message
    json.dumps([problem.pointer + problem.message for problem in problems], ensure_ascii=False).encode()


@QUICK
@given(document=mutations())
def test_reading_changes_nothing_and_returns_the_same_again(document: Any) -> None:
    before = deepcopy(document)
    assert problems_of(document) == problems_of(document)
    assert repr(document) == repr(before)
