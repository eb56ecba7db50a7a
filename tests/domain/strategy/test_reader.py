"""The reader's own promises, apart from any definition."""

from enum import StrEnum

import pytest

from shared.domain.errors import Problem
from shared.domain.strategy.reader import Notes, Reader


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


def reader_of(value: object, pointer: str = "") -> tuple[Reader, Notes]:
    notes = Notes()
    return Reader(value, pointer, notes), notes


class TestPointers:
    """Pointers are those of RFC 6901: ~ is ~0, / is ~1."""

    def test_a_member(self) -> None:
        reader, notes = reader_of({"a/b~c": 1}, "/settings")
        assert reader.at("a/b~c") == "/settings/a~1b~0c"
        assert reader.at("list", "/3/key") == "/settings/list/3/key"
        reader.finish()
        assert notes.problems == [
            Problem(pointer="/settings/a~1b~0c", rule="unknown-field", message="is not a known field")
        ]

    def test_members_of_a_map_of_texts(self) -> None:
        reader, notes = reader_of({"headers": {"a/b": 1, "c": "text", "d": None}})
        assert reader.texts("headers") == {"c": "text"}
        assert notes.problems == [Problem(pointer="/headers/a~1b", rule="type", message="must be a string")]


class TestStandIns:
    """Reading never raises: what is wrong or absent is answered by something harmless."""

    @pytest.mark.parametrize("value", [{}, {"x": None}, {"x": ["wrong"]}, "no object"])
    def test_what_is_answered(self, value: object) -> None:
        reader, _ = reader_of(value)
        assert reader.text("x") == ""
        assert reader.key("x") == ""
        assert reader.optional_text("x") is None
        assert reader.reference("x", {"a"}, "there is no") == ""
        assert reader.optional_reference("x", {"a"}, "there is no") is None
        assert reader.flag("x") is False
        assert reader.whole("x", 1, 2) is None
        assert reader.choice("x", Colour) is None
        assert reader.texts("x") == {}
        assert reader.take_object("x") is None

    @pytest.mark.parametrize("value", [{}, {"x": None}, {"x": "wrong"}, {"x": {}}])
    def test_a_list(self, value: object) -> None:
        reader, _ = reader_of(value)
        assert reader.many("x", lambda entry: entry.text("y")) == ()
        assert reader.keys("x") == {}

    @pytest.mark.parametrize("value", [{}, {"x": None}])
    def test_an_object(self, value: object) -> None:
        reader, notes = reader_of(value)
        assert reader.one("x", lambda entry: entry.text("y")) is None
        assert notes.problems == []
        assert reader.one("x", lambda entry: entry.text("y"), required=True) is None
        assert notes.problems == [Problem(pointer="/x", rule="required", message="is required")]

    def test_what_is_no_object_has_no_problems_but_that(self) -> None:
        reader, notes = reader_of([], "/place")
        reader.text("x")
        reader.note(Problem(pointer="/place/y", rule="any", message="is not told"))
        reader.finish()
        assert notes.problems == [Problem(pointer="/place", rule="type", message="must be an object")]


class TestValues:
    """What is right is answered as it is."""

    def test_each_kind(self) -> None:
        reader, notes = reader_of(
            {"t": "text", "e": "", "f": True, "n": 2.0, "c": "blue", "r": "a", "l": [{"key": "k"}]}
        )
        assert reader.text("t") == "text"
        assert reader.optional_text("e", may_be_empty=True) == ""
        assert reader.flag("f") is True
        assert (reader.whole("n", 1, 2), type(reader.whole("n", 1, 2))) == (2, int)
        assert reader.choice("c", Colour) is Colour.BLUE
        assert reader.reference("r", {"a"}, "there is no") == "a"
        assert reader.many("l", lambda entry: entry.key()) == ("k",)
        reader.finish()
        assert notes.settle() == ()

    @pytest.mark.parametrize("number", [1e300, float("inf"), float("nan"), 10**400])
    def test_no_number_is_too_much_for_it(self, number: float) -> None:
        reader, notes = reader_of({"n": number})
        assert reader.whole("n", 1, 2) is None
        assert [problem.pointer for problem in notes.problems] == ["/n"]

    def test_a_text_has_its_longest_length(self) -> None:
        reader, notes = reader_of({"a": "x" * 4096, "b": "x" * 4097, "c": "xxx"})
        assert len(reader.text("a")) == 4096
        assert reader.text("b") == ""
        assert reader.text("c", longest=2) == ""
        assert notes.problems == [
            Problem(pointer="/b", rule="too-long", message="must have at most 4096 characters"),
            Problem(pointer="/c", rule="too-long", message="must have at most 2 characters"),
        ]

    def test_keys_with_the_position_they_have_first(self) -> None:
        reader, _ = reader_of({"l": [{"key": "a"}, 5, {"key": "b"}, {"key": "a"}, {"key": 7}]})
        assert reader.keys("l") == {"a": 0, "b": 2}


class TestChecks:
    """What takes its time is looked at when everything has been read, and told in its place."""

    def test_problems_of_checks_are_sorted_in(self) -> None:
        reader, notes = reader_of({})
        reader.later(lambda: reader.problem("a", "late", "was checked last", caret="a\n^"))
        reader.problem("b", "early", "was read first")
        assert reader.told == 1
        assert notes.settle() == (
            Problem(pointer="/a", rule="late", message="was checked last", caret="a\n^"),
            Problem(pointer="/b", rule="early", message="was read first"),
        )
