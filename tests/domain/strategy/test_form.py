"""The checks of form, a class for each kind of field: valid values, their invalid neighbours, bounds."""

from enum import StrEnum
from typing import Any

import pytest

from shared.domain.strategy.form import FieldFault, faults_of
from shared.domain.strategy.shapes import (
    Exclusive,
    Field,
    Kind,
    all_shapes,
    choice,
    choices,
    dates,
    flag,
    json,
    key,
    part,
    parts,
    shape,
    templates,
    text,
    whole,
    wholes,
)


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


ENTRY = shape("Entry", "An entry.", {"key": key("Its name.")})


class TestText:
    """The bounds of a text count its characters; the default is 1 to 4096."""

    @pytest.mark.parametrize("value", ["x", "xyz", "ñ€😀"])
    def test_bounds_are_included(self, value: str) -> None:
        assert list(faults_of(text("", low=1, high=3), value)) == []

    def test_a_text_must_not_be_empty(self) -> None:
        assert list(faults_of(text(""), "")) == [FieldFault("empty", "must not be empty")]

    def test_a_text_may_be_empty_if_it_is_declared_so(self) -> None:
        assert list(faults_of(text("", low=0), "")) == []

    def test_a_longer_text_is_refused(self) -> None:
        assert list(faults_of(text(""), "x" * 4096)) == []
        assert list(faults_of(text(""), "x" * 4097)) == [
            FieldFault("too-long", "must have at most 4096 characters")
        ]

    def test_a_key_has_at_most_100_characters(self) -> None:
        assert list(faults_of(key(""), "x" * 100)) == []
        assert list(faults_of(key(""), "x" * 101)) == [
            FieldFault("too-long", "must have at most 100 characters")
        ]

    @pytest.mark.parametrize("value", [True, 1, 1.5, ["text"], {}])
    def test_another_type_is_refused(self, value: object) -> None:
        assert list(faults_of(text(""), value)) == [FieldFault("type", "must be a string")]


class TestFlag:
    """A flag is true or false."""

    @pytest.mark.parametrize("value", [True, False])
    def test_both_booleans_are_valid(self, value: object) -> None:
        assert list(faults_of(flag(""), value)) == []

    @pytest.mark.parametrize("value", [0, 1, "true", "", [], {}])
    def test_another_type_is_refused(self, value: object) -> None:
        assert list(faults_of(flag(""), value)) == [FieldFault("type", "must be true or false")]


class TestWhole:
    """A whole number lies within its bounds, both included. A whole double is one, a boolean is not."""

    @pytest.mark.parametrize("value", [1, 2, 3, 3.0])
    def test_bounds_are_included(self, value: object) -> None:
        assert list(faults_of(whole(1, 3, ""), value)) == []

    @pytest.mark.parametrize("value", [0, 4, -1, 4.0, 10**400, 1e300])
    def test_a_number_outside_is_refused(self, value: object) -> None:
        assert list(faults_of(whole(1, 3, ""), value)) == [FieldFault("range", "must be between 1 and 3")]

    @pytest.mark.parametrize("value", [True, False, 1.5, float("inf"), float("nan"), "1", [], {}])
    def test_another_type_is_refused(self, value: object) -> None:
        assert list(faults_of(whole(0, 3, ""), value)) == [FieldFault("type", "must be a whole number")]


class TestWholes:
    """A list of whole numbers within the bounds, each once."""

    STATUSES = wholes(300, 599, "")

    @pytest.mark.parametrize("value", [[], [300], [599, 300], [503.0]])
    def test_numbers_within_the_bounds_are_valid(self, value: list[Any]) -> None:
        assert list(faults_of(self.STATUSES, value)) == []

    @pytest.mark.parametrize("value", [404, "404", {"404": True}, True])
    def test_anything_but_a_list_is_refused(self, value: Any) -> None:
        assert list(faults_of(self.STATUSES, value)) == [FieldFault("type", "must be a list")]

    @pytest.mark.parametrize("number", [299, 600, -404])
    def test_a_number_beyond_the_bounds_is_refused(self, number: int) -> None:
        assert list(faults_of(self.STATUSES, [404, number])) == [
            FieldFault("range", "must be between 300 and 599", "/1")
        ]

    @pytest.mark.parametrize("entry", ["404", True, None, 404.5, [404]])
    def test_an_entry_that_is_no_whole_number_is_refused(self, entry: Any) -> None:
        assert list(faults_of(self.STATUSES, [entry])) == [FieldFault("type", "must be a whole number", "/0")]

    @pytest.mark.parametrize("value", [[404, 404], [404, 503, 404.0]])
    def test_a_number_must_not_be_repeated(self, value: list[Any]) -> None:
        assert list(faults_of(self.STATUSES, value)) == [FieldFault("repeated", "must hold each number once")]


class TestChoice:
    """A choice is a declared value, exactly as it is written."""

    @pytest.mark.parametrize("value", ["red", "blue"])
    def test_declared_values_are_valid(self, value: str) -> None:
        assert list(faults_of(choice(Colour, ""), value)) == []

    @pytest.mark.parametrize("value", ["Red", "green", "", True, 1, [], {}])
    def test_another_value_is_refused(self, value: object) -> None:
        assert list(faults_of(choice(Colour, ""), value)) == [FieldFault("enum", "must be one of red, blue")]

    def test_a_hint_ends_the_message(self) -> None:
        field = choice(iter([Colour.RED]), "", hint="; blue is sold out")
        assert list(faults_of(field, "blue")) == [FieldFault("enum", "must be one of red; blue is sold out")]


class TestChoices:
    """A list of declared values, each once."""

    ONE_LEFT = choices(Colour, "", high=1, hint=": one must be left")

    @pytest.mark.parametrize("value", [[], ["red"], ["blue"]])
    def test_declared_values_are_valid(self, value: list[str]) -> None:
        assert list(faults_of(self.ONE_LEFT, value)) == []

    @pytest.mark.parametrize("value", ["red", {"red": True}, 1])
    def test_anything_but_a_list_is_refused(self, value: object) -> None:
        assert list(faults_of(self.ONE_LEFT, value)) == [FieldFault("type", "must be a list")]

    @pytest.mark.parametrize("entry", ["Red", "", None, 1, ["red"], {}])
    def test_another_value_is_refused_at_its_place(self, entry: object) -> None:
        assert list(faults_of(self.ONE_LEFT, ["red", entry])) == [
            FieldFault("enum", "must be one of red, blue", "/1")
        ]

    def test_a_value_must_not_be_repeated(self) -> None:
        assert list(faults_of(self.ONE_LEFT, ["red", "red"])) == [
            FieldFault("repeated", "must hold each value once")
        ]

    def test_more_values_than_the_bound_are_refused_with_the_reason(self) -> None:
        assert list(faults_of(self.ONE_LEFT, ["red", "blue"])) == [
            FieldFault("too-many", "must hold at most 1 values: one must be left")
        ]


class TestDates:
    """A list of dates without time, each once."""

    TWO = dates("", high=2)

    @pytest.mark.parametrize("value", [[], ["2028-02-29"], ["2026-12-24", "2026-12-31"]])
    def test_dates_are_valid(self, value: list[str]) -> None:
        assert list(faults_of(self.TWO, value)) == []

    @pytest.mark.parametrize("value", ["2026-12-24", {"2026-12-24": True}, 1])
    def test_anything_but_a_list_is_refused(self, value: object) -> None:
        assert list(faults_of(self.TWO, value)) == [FieldFault("type", "must be a list")]

    @pytest.mark.parametrize("entry", ["2027-02-29", "24.12.2026", "20261224", "2026-12-24T00:00:00Z", ""])
    def test_a_text_that_is_no_date_is_refused_at_its_place(self, entry: str) -> None:
        assert list(faults_of(self.TWO, ["2026-12-24", entry])) == [
            FieldFault("date", f"{entry!r} is not a date such as 2026-12-24", "/1")
        ]

    @pytest.mark.parametrize("entry", [None, 20261224, ["2026-12-24"], {}])
    def test_an_entry_that_is_no_text_is_refused(self, entry: object) -> None:
        assert list(faults_of(self.TWO, [entry])) == [FieldFault("type", "must be a string", "/0")]

    def test_a_date_must_not_be_repeated(self) -> None:
        assert list(faults_of(self.TWO, ["2026-12-24"] * 2)) == [
            FieldFault("repeated", "must hold each date once")
        ]

    def test_more_dates_than_the_bound_are_refused(self) -> None:
        assert list(faults_of(self.TWO, ["2026-12-24", "2026-12-25", "no date"])) == [
            FieldFault("too-many", "must hold at most 2 dates")
        ]


class TestParts:
    """The bounds of a list count its entries, and no two entries have the same key. Entries are checked when they
    are read.
    """

    def test_bounds_are_included(self) -> None:
        field = parts(ENTRY, "", low=1, high=2)
        assert list(faults_of(field, [{"key": "a"}])) == []
        assert list(faults_of(field, [{"key": "a"}, {"key": "b"}])) == []
        assert list(faults_of(field, [])) == [FieldFault("required", "must hold at least one entry")]
        assert list(faults_of(field, [{}, {}, {}])) == [FieldFault("too-many", "must hold at most 2 entries")]

    def test_every_repeated_key_is_refused(self) -> None:
        entries = [{"key": name} for name in "abaa"]
        assert list(faults_of(parts(ENTRY, ""), entries)) == [
            FieldFault("repeated-key", "'a' is given more than once", "/2/key"),
            FieldFault("repeated-key", "'a' is given more than once", "/3/key"),
        ]

    def test_another_member_may_identify_the_entries(self) -> None:
        field = parts(ENTRY, "", unique="environment")
        entries = [{"environment": "dev", "key": "a"}, {"environment": "dev", "key": "b"}]
        assert list(faults_of(field, entries)) == [
            FieldFault("repeated-key", "'dev' is given more than once", "/1/environment")
        ]

    def test_values_that_are_no_keys_are_not_repeated(self) -> None:
        entries: list[Any] = [{"key": 1}, {"key": 1}, {"key": ""}, {"key": ""}, {}, {}, 5, 5]
        assert list(faults_of(parts(ENTRY, ""), entries)) == []

    @pytest.mark.parametrize("value", [False, 1, "text", {}])
    def test_another_type_is_refused(self, value: object) -> None:
        assert list(faults_of(parts(ENTRY, ""), value)) == [FieldFault("type", "must be a list")]


class TestTexts:
    """An object of texts has strings or nulls under any names, unless a pattern for names is declared."""

    def test_texts_and_nulls_are_valid(self) -> None:
        assert list(faults_of(templates(""), {"a b": "", "c": None})) == []

    def test_another_type_of_a_member_is_refused(self) -> None:
        assert list(faults_of(templates(""), {"a/b": 1})) == [FieldFault("type", "must be a string", "/a~1b")]

    def test_names_are_matched_as_a_whole(self) -> None:
        message = "a header name has only letters, digits and ! # $ % & ' * + - . ^ _ ` | ~"
        field = templates("", names="^[a-z]+$")
        assert list(faults_of(field, {"abc": "x", "a1": None})) == []
        assert list(faults_of(field, {"a1": "x", "b\n": "x"})) == [
            FieldFault("header-name", message, "/a1"),
            FieldFault("header-name", message, "/b\n"),
        ]

    @pytest.mark.parametrize("value", [True, 1, "text", []])
    def test_another_type_is_refused(self, value: object) -> None:
        assert list(faults_of(templates(""), value)) == [FieldFault("type", "must be an object")]


class TestObjects:
    """An object of any content must be an object; an object of a declared shape is checked by its own reader."""

    @pytest.mark.parametrize("value", [True, 1, "text", []])
    def test_json_must_be_an_object(self, value: object) -> None:
        assert list(faults_of(json(""), {"any": [None]})) == []
        assert list(faults_of(json(""), value)) == [FieldFault("type", "must be an object")]

    @pytest.mark.parametrize("value", [{}, 1])
    def test_a_part_is_checked_by_its_reader(self, value: object) -> None:
        assert list(faults_of(part(ENTRY, ""), value)) == []

    def test_a_schema_or_expression_must_be_an_object_or_text(self) -> None:
        field = Field(Kind.SCHEMA_OR_EXPRESSION, "", low=1)
        assert list(faults_of(field, {})) == []
        assert list(faults_of(field, "x" * 5000)) == []
        assert list(faults_of(field, "")) == [FieldFault("empty", "must not be empty")]
        assert list(faults_of(field, 1)) == [FieldFault("type", "must be a schema or an expression")]


class TestShape:
    """A shape has the names of its required fields, and the shapes of its parts."""

    def test_a_shape_knows_its_required_fields(self) -> None:
        declared = shape("A", "", {"a": key("").required, "b": key(""), "c": flag("")})
        assert declared.required == ("a",)

    def test_every_shape_comes_once_before_its_parts(self) -> None:
        middle = shape("Middle", "", {"entries": parts(ENTRY, "")}, exclusive=(Exclusive("a", "b", "no"),))
        root = shape("Root", "", {"middle": part(middle, ""), "entry": part(ENTRY, ""), "name": key("")})
        assert list(all_shapes(root)) == ["Root", "Middle", "Entry"]
