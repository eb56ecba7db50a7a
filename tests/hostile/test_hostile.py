"""No schema and no value within the limits costs much memory, ends the process, or gives a large answer."""

import json
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from shared.domain.errors import MAX_MESSAGE_BYTES, MAX_POINTER_BYTES, MAX_PROBLEMS
from tests.hostile.documents import CASES
from tests.programs import output_of

MAX_MEGABYTES = 64
ROOT = Path(__file__).parents[2]


@cache
def costs() -> Mapping[str, Any]:
    """Return the cost of each case. A case is missing if it ended its process or took too long."""
    command = [sys.executable, "-m", "tests.hostile.validate"]
    return {cost["name"]: cost for cost in map(json.loads, output_of(command).splitlines())}


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_document_costs_little(name: str) -> None:
    assert name in costs(), "the validator ended its process, or took too long"
    cost = costs()[name]
    assert cost["megabytes"] < MAX_MEGABYTES, cost
    assert cost["problems"] <= MAX_PROBLEMS + 1, cost
    assert cost["bytes"] <= cost["problems"] * (MAX_POINTER_BYTES + MAX_MESSAGE_BYTES + 10), cost


def test_large_lists_of_what_is_allowed_are_usable() -> None:
    assert costs()["enum of texts, the last fits"]["problems"] == 0
    assert costs()["jtd: enum, the last fits"]["problems"] == 0
    assert "6998 other candidates" in costs()["enum of texts, none fits"]["first"]
