"""The limits of all settings."""

from typing import Any

import pytest

from shared.domain.errors import MAX_POINTER_BYTES, MAX_PROBLEMS, MoreProblems, Problem
from shared.domain.strategy.parse_limits import unreadable
from tests.domain.strategy.definitions import broken_rules, changed, problems


class TestSize:
    """Settings take at most 200 KB as JSON, and contain only values that can be read, stored and sent."""

    def test_settings_take_at_most_200_kb(self) -> None:
        room = 200 * 1024 - len('{"data":{"x":""}}')
        data = {"x": "x" * room}
        too_long = Problem(pointer="", rule="too-long", message="must take at most 204800 bytes as JSON")
        assert too_long not in problems({"data": data})
        assert too_long in problems({"data": {"x": data["x"] + "x"}})
        assert too_long in problems({"data": {"x": "é" * (room // 2 + 1)}})

    def test_settings_that_are_too_large_are_not_examined_further(self) -> None:
        settings = changed("/actions/0/data", {"x": "x" * 200 * 1024, "y": "{{nothing}}"})
        assert broken_rules(settings) == [("", "too-long")]

    def test_settings_nest_at_most_128_levels(self) -> None:
        value: Any = 1
        for _ in range(129):
            value = {"a": value}
        assert problems(value) == [
            Problem(pointer="", rule="too-deep", message="must nest at most 128 levels deep")
        ]
        assert ("", "too-deep") not in broken_rules(value["a"])

    def test_very_deep_settings_are_reported_without_a_crash(self) -> None:
        value: Any = []
        for _ in range(100_000):
            value = [value]
        assert broken_rules({"actions": value}) == [("", "too-deep")]

    def test_text_with_half_a_surrogate_pair_is_reported(self) -> None:
        settings = changed("/actions/0/data", {"b": ["\ud800"], "a\udfff": 1, "\U0001f600": "\U0001f600"})
        assert problems(settings) == [
            Problem(
                pointer="/actions/0/data",
                rule="text",
                message="the name 'a\\udfff' must not contain half of a surrogate pair",
            ),
            Problem(
                pointer="/actions/0/data/b/0",
                rule="text",
                message="must not contain half of a surrogate pair",
            ),
        ]

    @pytest.mark.parametrize("text", ["\0", "a\0", "\0b", "a\0\ud83d"])
    def test_a_nul_character_is_reported(self, text: str) -> None:
        message = "must not contain a NUL character"
        assert problems(changed("/actions/0/data", {"a": text})) == [
            Problem(pointer="/actions/0/data/a", rule="text", message=message)
        ]
        assert problems(changed("/actions/0/data", {"b": {text: 1}})) == [
            Problem(pointer="/actions/0/data/b", rule="text", message=f"the name {text!a} {message}")
        ]

    @pytest.mark.parametrize("text", ["", "\1", "é", "\U0001f600", "\uffff", "\\u0000"])
    def test_other_texts_are_accepted(self, text: str) -> None:
        assert unreadable({"a": text, text: [text]}, "") == []

    def test_a_long_name_over_many_faults_costs_one_pointer_for_each_that_is_reported(self) -> None:
        found = unreadable({"n" * 100_000: ["\ud800"] * 1000}, "")
        assert len(found) == MAX_PROBLEMS + 1
        assert {len(problem.pointer) for problem in found[:-1]} == {MAX_POINTER_BYTES}
        assert found[-1] == MoreProblems(count=1, is_exact=False)

    @pytest.mark.parametrize("number", [float("inf"), float("-inf"), float("nan"), 10**309])
    def test_numbers_beyond_a_double_are_reported(self, number: float) -> None:
        assert problems(changed("/actions/0/data", {"a": number})) == [
            Problem(
                pointer="/actions/0/data/a", rule="range", message="must be a number that a double can hold"
            )
        ]
