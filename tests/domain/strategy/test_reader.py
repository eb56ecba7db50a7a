"""The reader of one object by its declaration."""

from enum import StrEnum

import pytest

from shared.domain.errors import Problem
from shared.domain.strategy.reader import Notes, Reader
from shared.domain.strategy.shapes import (
    Exclusive,
    Shape,
    choice,
    flag,
    json,
    key,
    part,
    parts,
    shape,
    templates,
    text,
    whole,
)


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


ENTRY = shape("Entry", "An entry.", {"key": key("Its name.").required, "on": flag("Whether it is on.")})
EVERYTHING = shape(
    "Everything",
    "A field of each kind.",
    {
        "text": text("A text."),
        "named": text("A text with a default.", default="UTC"),
        "flag": flag("A flag."),
        "number": whole(1, 9, "A number."),
        "counted": whole(0, 9, "A number with a default.", default=7),
        "colour": choice(Colour, "A colour."),
        "painted": choice(Colour, "A colour with a default.", default=Colour.BLUE),
        "part": part(ENTRY, "An object."),
        "list": parts(ENTRY, "A list.", low=1),
        "texts": templates("Texts."),
        "json": json("Anything."),
    },
)


def reader_of(value: object, pointer: str = "", of: Shape = EVERYTHING) -> tuple[Reader, Notes]:
    notes = Notes()
    return Reader(value, pointer, notes, of), notes


def entry_key(reader: Reader) -> str:
    return reader.text("key")


class TestPointers:
    """Pointers follow RFC 6901: ~ is ~0, / is ~1."""

    def test_the_name_of_a_member_is_escaped(self) -> None:
        reader, notes = reader_of({"a/b~c": 1}, "/settings")
        assert reader.pointer_to("a/b~c") == "/settings/a~1b~0c"
        assert reader.pointer_to("list", "/3/key") == "/settings/list/3/key"
        assert list(notes.problems.reported()) == [
            Problem(pointer="/settings/a~1b~0c", rule="unknown-field", message="is not a known field")
        ]

    def test_a_pointer_can_lead_below_a_member(self) -> None:
        reader, notes = reader_of({"list": [{"key": "a"}, {"on": 1}], "texts": {"a/b": 1}}, "/settings")
        assert reader.parts("list", entry_key) == ("a", "")
        assert {(problem.pointer, problem.rule) for problem in notes.problems.reported()} == {
            ("/settings/texts/a~1b", "type"),
            ("/settings/list/1/on", "type"),
            ("/settings/list/1/key", "required"),
        }


class TestValues:
    """Valid values are returned as they are."""

    def test_a_value_of_each_kind_is_returned(self) -> None:
        reader, notes = reader_of(
            {
                "text": "a",
                "named": "b",
                "flag": True,
                "number": 2.0,
                "counted": 0,
                "colour": "blue",
                "painted": "red",
                "part": {"key": "k"},
                "list": [{"key": "k"}, {"key": "l"}],
                "texts": {"x": "y", "z": None},
                "json": {"any": None},
            }
        )
        assert (reader.text("text"), reader.optional_text("text"), reader.text("named")) == ("a", "a", "b")
        assert reader.flag("flag") is True
        assert (reader.optional_whole("number"), type(reader.optional_whole("number"))) == (2, int)
        assert reader.whole("counted") == 0
        assert (reader.choice("colour", Colour), reader.choice("painted", Colour)) == ("blue", "red")
        assert reader.reference("text", {"a"}, "there is no") == "a"
        assert reader.part("part", entry_key) == "k"
        assert reader.parts("list", entry_key) == ("k", "l")
        assert reader.texts("texts") == {"x": "y"}
        assert reader.json("json") == {"any": None}
        reader.finish()
        assert reader.is_sound
        assert notes.all_problems() == ()

    def test_keys_are_returned_with_their_first_positions(self) -> None:
        reader, _ = reader_of({"list": [{"key": "a"}, 5, {"key": "b"}, {"key": "a"}, {"key": 7}]})
        assert reader.keys("list") == {"a": 0, "b": 2}


class TestDefaults:
    """Reading never raises: a missing or wrong value is replaced by its default or a harmless value."""

    @pytest.mark.parametrize(
        "value", [{}, dict.fromkeys(EVERYTHING.fields), dict.fromkeys(EVERYTHING.fields, 0.5), 5]
    )
    def test_every_kind_has_a_replacement(self, value: object) -> None:
        reader, _ = reader_of(value)
        assert (reader.text("text"), reader.optional_text("text"), reader.text("named")) == ("", None, "UTC")
        assert reader.reference("text", {"a"}, "there is no") == ""
        assert reader.optional_reference("text", {"a"}, "there is no") is None
        assert reader.flag("flag") is False
        assert (reader.optional_whole("number"), reader.whole("number"), reader.whole("counted")) == (
            None,
            0,
            7,
        )
        assert (reader.choice("colour", Colour), reader.choice("painted", Colour)) == ("red", "blue")
        assert reader.parts("list", entry_key) == ()
        assert reader.keys("list") == {}
        assert reader.texts("texts") == {}
        assert reader.json("json") is None

    def test_a_nested_object_of_another_type_is_replaced(self) -> None:
        reader, notes = reader_of({"part": 5})
        assert reader.part("part", entry_key) == ""
        assert not reader.is_sound
        assert list(notes.problems.reported()) == [
            Problem(pointer="/part", rule="type", message="must be an object")
        ]

    def test_a_flag_of_another_type_may_be_true(self) -> None:
        assert [reader_of(value)[0].flag_may_be_set("flag") for value in ({}, {"flag": False})] == [
            False,
            False,
        ]
        assert [reader_of({"flag": value})[0].flag_may_be_set("flag") for value in (True, "yes")] == [
            True,
            True,
        ]


class TestReferences:
    """A reference must be a known key."""

    def test_an_unknown_key_is_reported(self) -> None:
        reader, notes = reader_of({"text": "b"})
        assert reader.reference("text", {"a"}, "there is no") == "b"
        assert list(notes.problems.reported()) == [
            Problem(pointer="/text", rule="reference", message="there is no 'b'")
        ]


class TestWholeObjects:
    """An object has its required members, at least one member if a group needs one, and no two that exclude
    each other. Null counts as absent.
    """

    SHAPE = shape(
        "Whole",
        "An object.",
        {
            "needed": key("Required.").required,
            "entries": parts(ENTRY, "Required.", low=1).required,
            "either": key("This."),
            "or": key("That."),
            "not": key("Not with that."),
        },
        any_of=("either", "or"),
        needs="is needed, or that",
        exclusive=(Exclusive("not", "or", "does not go with that"),),
    )

    def problems(self, value: object) -> list[tuple[str, str, str]]:
        reader, notes = reader_of(value, of=self.SHAPE)
        reader.finish()
        return [(problem.pointer, problem.rule, problem.message) for problem in notes.all_problems()]

    @pytest.mark.parametrize("value", [{}, {"needed": None, "entries": None, "or": None, "surplus": None}])
    def test_missing_members_are_reported(self, value: object) -> None:
        assert self.problems(value) == [
            ("/either", "required", "is needed, or that"),
            ("/entries", "required", "must hold at least one entry"),
            ("/needed", "required", "is required"),
        ]

    def test_a_single_member_of_a_group_is_enough(self) -> None:
        assert self.problems({"needed": "a", "entries": [{}], "or": "b"}) == []
        assert self.problems({"needed": "a", "entries": [{}], "either": "b", "not": "c"}) == []

    def test_members_that_exclude_each_other_are_reported(self) -> None:
        assert self.problems({"needed": "a", "entries": [{}], "or": "b", "not": "c"}) == [
            ("/not", "exclusive", "does not go with that")
        ]

    def test_require_reports_a_missing_member(self) -> None:
        reader, notes = reader_of({"text": "a"})
        reader.require("text")
        reader.require("json")
        assert list(notes.problems.reported()) == [
            Problem(pointer="/json", rule="required", message="is required")
        ]

    def test_a_value_that_is_no_object_has_no_other_problem(self) -> None:
        reader, notes = reader_of([], "/place", of=self.SHAPE)
        reader.require("needed")
        reader.note(Problem(pointer="/place/y", rule="any", message="is not noted"))
        reader.finish()
        assert list(notes.problems.reported()) == [
            Problem(pointer="/place", rule="type", message="must be an object")
        ]


class TestChecks:
    """Slow checks run when everything has been read; their problems are sorted in."""

    def test_problems_of_checks_are_sorted_in(self) -> None:
        reader, notes = reader_of({})
        reader.later(lambda: reader.problem("a", "late", "was checked last", caret="a\n^"))
        reader.problem("b", "early", "was read first")
        assert notes.all_problems() == (
            Problem(pointer="/a", rule="late", message="was checked last", caret="a\n^"),
            Problem(pointer="/b", rule="early", message="was read first"),
        )
