"""Values under a schema. The class docstrings name the sections of RFC 8927, the source of most examples."""

from itertools import product
from typing import Any

import pytest

from shared.domain.validation.jtd import MAX_DEPTH, errors, is_timestamp

Indicators = list[tuple[str, str]]

NOT_A_SCALAR: list[object] = [None, [], {}]
NOT_AN_OBJECT: list[object] = [None, True, 3.14, 1, "foo", []]


def indicators(schema: dict[str, Any], value: object) -> Indicators:
    return [(error.instance_path, error.schema_path) for error in errors(schema, value)]


class TestNullable:
    """3.3: a nullable schema of any form accepts null, and checks any other value as usual."""

    @pytest.mark.parametrize(
        "form",
        [
            {"type": "string"},
            {"enum": ["a"]},
            {"elements": {"type": "string"}},
            {"properties": {"a": {}}},
            {"optionalProperties": {"a": {}}},
            {"values": {"type": "string"}},
            {"discriminator": "kind", "mapping": {}},
            {"ref": "text"},
        ],
    )
    def test_null_is_accepted_only_if_nullable(self, form: dict[str, Any]) -> None:
        root = {**form, "definitions": {"text": {"type": "string"}}}
        assert indicators({**root, "nullable": True}, None) == []
        assert len(indicators({**root, "nullable": False}, None)) == 1
        assert len(indicators(root, None)) == 1
        assert indicators({**root, "nullable": True}, 5) == indicators(root, 5) != []

    def test_a_ref_is_nullable_if_its_definition_is(self) -> None:
        schema = {"definitions": {"text": {"type": "string", "nullable": True}}, "ref": "text"}
        assert indicators(schema, None) == []


class TestEmpty:
    """3.3.1: the empty form accepts every value."""

    @pytest.mark.parametrize("value", [None, True, 1, 3.5, "text", [1], {"a": {"b": []}}])
    def test_everything_is_accepted(self, value: object) -> None:
        assert indicators({}, value) == []

    def test_metadata_and_definitions_do_not_change_the_empty_form(self) -> None:
        assert indicators({"metadata": {"description": "any"}, "definitions": {"a": {}}}, 5) == []


class TestRef:
    """3.3.2: a ref is checked by its definition, and errors point into the definition."""

    def test_an_error_points_into_the_definition(self) -> None:
        schema = {"definitions": {"a": {"type": "float32"}}, "ref": "a"}
        assert indicators(schema, "text") == [("", "/definitions/a/type")]

    def test_a_ref_below_the_root_points_there_as_well(self) -> None:
        schema = {"definitions": {"a~b/c": {"enum": ["x"]}}, "elements": {"ref": "a~b/c"}}
        assert indicators(schema, ["x", "y"]) == [("/1", "/definitions/a~0b~1c/enum")]

    def test_a_ref_may_lead_to_a_ref(self) -> None:
        schema = {"definitions": {"a": {"ref": "b"}, "b": {"type": "string"}}, "ref": "a"}
        assert indicators(schema, 1) == [("", "/definitions/b/type")]

    def test_a_definition_may_refer_to_itself_inside_the_value(self) -> None:
        tree = {
            "definitions": {"tree": {"properties": {"kids": {"elements": {"ref": "tree"}}}}},
            "ref": "tree",
        }
        assert indicators(tree, {"kids": [{"kids": []}, {"kids": [{"kids": 1}]}]}) == [
            ("/kids/1/kids/0/kids", "/definitions/tree/properties/kids/elements"),
        ]


class TestType:
    """3.3.3: a value of the type, integers by their value and range, and timestamps of RFC 3339."""

    @pytest.mark.parametrize(
        ("kind", "value"),
        [
            ("boolean", True),
            ("boolean", False),
            ("float32", 1),
            ("float64", -3.5e300),
            ("string", ""),
            ("timestamp", "1985-04-12T23:20:50.52Z"),
            ("int8", -128),
            ("int8", 127),
            ("uint8", 0),
            ("uint8", 255),
            ("int16", -32768),
            ("int16", 32767),
            ("uint16", 65535),
            ("int32", -2147483648),
            ("int32", 2147483647),
            ("uint32", 4294967295),
            ("int8", 3.0),
            ("uint32", 1e3),
            ("uint8", -0.0),
        ],
    )
    def test_a_value_of_the_type_is_accepted(self, kind: str, value: object) -> None:
        assert indicators({"type": kind}, value) == []

    @pytest.mark.parametrize(
        ("kind", "value"),
        [
            ("boolean", 1),
            ("boolean", "true"),
            ("float32", True),
            ("float64", "1"),
            ("string", 1),
            ("timestamp", 1),
            ("timestamp", "2026-01-01"),
            ("int8", -129),
            ("int8", 128),
            ("uint8", -1),
            ("uint8", 256),
            ("int16", -32769),
            ("int16", 32768),
            ("uint16", -1),
            ("uint16", 65536),
            ("int32", -2147483649),
            ("int32", 2147483648),
            ("uint32", -1),
            ("uint32", 4294967296),
            ("int8", 3.5),
            ("int8", True),
            ("int8", "3"),
            ("uint32", 10**400),
            ("uint32", float("inf")),
            ("uint32", float("nan")),
            *product(("string", "uint8", "timestamp"), NOT_A_SCALAR),
        ],
    )
    def test_values_of_another_type_are_errors_at_type(self, kind: str, value: object) -> None:
        assert indicators({"type": kind}, value) == [("", "/type")]

    def test_the_message_names_the_type(self) -> None:
        assert [error.message for error in errors({"type": "uint8"}, 300)] == ["must be of type uint8"]

    @pytest.mark.parametrize("value", ["2026-03-15", "2026-03-15T10:00:00", "15/03/2026", 1])
    def test_the_message_about_a_timestamp_says_its_form(self, value: object) -> None:
        assert [error.message for error in errors({"type": "timestamp"}, value)] == [
            "must be of type timestamp; write a date and time with an offset such as 2026-01-31T10:00:00Z"
        ]


class TestTimestamp:
    """3.3.3: a timestamp is an RFC 3339 date and time that exists."""

    @pytest.mark.parametrize(
        "text",
        [
            "1985-04-12T23:20:50.52Z",
            "1996-12-19T16:39:57-08:00",
            "1990-12-31T23:59:60Z",
            "1990-12-31T15:59:60-08:00",
            "2017-01-01T05:29:60.123+05:30",
            "1937-01-01T12:00:27.87+00:20",
            "1985-04-12t23:20:50z",
            "2024-02-29T00:00:00-00:00",
            "2000-02-29T00:00:00Z",
            "0000-02-29T00:00:00Z",
            "9999-12-31T23:59:59.123456789012-23:59",
        ],
    )
    def test_an_existing_date_and_time_is_a_timestamp(self, text: str) -> None:
        assert is_timestamp(text)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "now",
            "1985-04-12",
            "1985-04-12T23:20:50",
            "1985-04-12T23:20Z",
            "1985-04-12 23:20:50Z",
            "1985-04-12T23:20:50.Z",
            "1985-04-12T23:20:50,5Z",
            "1985-04-12T23:20:50+0100",
            "1985-04-12T23:20:50+24:00",
            "1985-04-12T23:20:50+01:60",
            "1985-04-12T24:00:00Z",
            "1985-04-12T23:60:00Z",
            "1985-04-12T23:20:61Z",
            "1985-04-12T23:20:60Z",
            "1990-12-31T23:59:60-08:00",
            "1985-00-12T23:20:50Z",
            "1985-13-12T23:20:50Z",
            "1985-04-00T23:20:50Z",
            "1985-04-31T23:20:50Z",
            "2023-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "85-04-12T23:20:50Z",
            "1985-04-12T23:20:50Z\n",
            "１985-04-12T23:20:50Z",  # noqa: RUF001 - a digit, but not one of RFC 3339
        ],
    )
    def test_other_texts_are_no_timestamps(self, text: str) -> None:
        assert not is_timestamp(text)


class TestEnum:
    """3.3.4: a string is valid if it is listed."""

    @pytest.mark.parametrize("value", ["PENDING", "DONE"])
    def test_a_string_of_the_enum_is_accepted(self, value: str) -> None:
        assert indicators({"enum": ["PENDING", "DONE"]}, value) == []

    @pytest.mark.parametrize("value", [0, 1, "pending", None, True, ["DONE"], {"DONE": 1}])
    def test_other_values_are_errors_at_enum(self, value: object) -> None:
        assert indicators({"enum": ["PENDING", "DONE"]}, value) == [("", "/enum")]


class TestElements:
    """3.3.5: a list is valid if every element is."""

    def test_every_wrong_element_is_an_error(self) -> None:
        schema = {"elements": {"type": "float32"}}
        assert indicators(schema, []) == []
        assert indicators(schema, [1, 2, 3]) == []
        assert indicators(schema, [1, 2, "foo", 3, "bar"]) == [
            ("/2", "/elements/type"),
            ("/4", "/elements/type"),
        ]

    @pytest.mark.parametrize("value", [None, True, 1, 3.14, "foo", {}])
    def test_values_that_are_no_list_are_errors_at_elements(self, value: object) -> None:
        assert indicators({"elements": {}}, value) == [("", "/elements")]

    def test_lists_in_lists_are_checked(self) -> None:
        schema = {"elements": {"elements": {"type": "string"}}}
        assert indicators(schema, [[], ["a", 1], 5]) == [
            ("/1/1", "/elements/elements/type"),
            ("/2", "/elements/elements"),
        ]


class TestProperties:
    """3.3.6: an object is valid if it has all required members, and no additional ones unless they are allowed."""

    SCHEMA: dict[str, Any] = {  # noqa: RUF012 - never changed
        "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
        "optionalProperties": {"c": {"type": "string"}, "d": {"type": "string"}},
    }

    @pytest.mark.parametrize(
        "value", [{"a": "foo", "b": "bar"}, {"a": "foo", "b": "bar", "c": "baz", "d": "quux"}]
    )
    def test_required_and_optional_members_are_accepted(self, value: object) -> None:
        assert indicators(self.SCHEMA, value) == []

    def test_missing_wrong_and_additional_members_are_all_reported(self) -> None:
        assert indicators(self.SCHEMA, {"b": 3, "c": 3, "e": 3}) == [
            ("", "/properties/a"),
            ("/b", "/properties/b/type"),
            ("/c", "/optionalProperties/c/type"),
            ("/e", ""),
        ]

    def test_additional_members_are_accepted_if_allowed(self) -> None:
        schema = {**self.SCHEMA, "additionalProperties": True}
        assert indicators(schema, {"a": "foo", "b": "bar", "e": 3}) == []
        assert indicators({**schema, "additionalProperties": False}, {"a": "foo", "b": "bar", "e": 3}) == [
            ("/e", "")
        ]

    def test_an_additional_member_points_to_the_enclosing_schema(self) -> None:
        schema: dict[str, Any] = {"elements": {"optionalProperties": {"a": {}}}}
        assert indicators(schema, [{"x/y": 1}]) == [("/0/x~1y", "/elements")]

    def test_additional_members_of_an_inner_object_follow_its_own_schema(self) -> None:
        schema = {"properties": {"in": {"properties": {}}}, "additionalProperties": True}
        assert indicators(schema, {"in": {"x": 1}, "y": 1}) == [("/in/x", "/properties/in")]

    @pytest.mark.parametrize("value", NOT_AN_OBJECT)
    def test_values_that_are_no_object_are_errors_at_the_keyword(self, value: object) -> None:
        assert indicators(self.SCHEMA, value) == [("", "/properties")]
        assert indicators({"properties": {}}, value) == [("", "/properties")]
        assert indicators({"optionalProperties": {"a": {}}}, value) == [("", "/optionalProperties")]

    def test_a_nullable_member_is_still_required(self) -> None:
        schema = {"properties": {"a": {"type": "string", "nullable": True}}}
        assert indicators(schema, {"a": None}) == []
        assert indicators(schema, {}) == [("", "/properties/a")]


class TestValues:
    """3.3.7: an object is valid if all its values are."""

    def test_every_wrong_value_is_an_error(self) -> None:
        schema = {"values": {"type": "float32"}}
        assert indicators(schema, {}) == []
        assert indicators(schema, {"a": 1, "b": 2}) == []
        assert indicators(schema, {"a": 1, "b": 2, "c": "foo", "d": 3, "e": "bar"}) == [
            ("/c", "/values/type"),
            ("/e", "/values/type"),
        ]

    @pytest.mark.parametrize("value", NOT_AN_OBJECT)
    def test_values_that_are_no_object_are_errors_at_values(self, value: object) -> None:
        assert indicators({"values": {}}, value) == [("", "/values")]


class TestDiscriminator:
    """3.3.8: an object whose tag selects the schema for the rest."""

    SCHEMA: dict[str, Any] = {  # noqa: RUF012 - never changed
        "discriminator": "version",
        "mapping": {
            "v1": {"properties": {"a": {"type": "float32"}}},
            "v2/x": {"optionalProperties": {"a": {"type": "string"}}},
        },
    }

    @pytest.mark.parametrize(
        "value", [{"version": "v1", "a": 3}, {"version": "v2/x", "a": "foo"}, {"version": "v2/x"}]
    )
    def test_the_tag_selects_the_schema_and_is_no_additional_member(self, value: object) -> None:
        assert indicators(self.SCHEMA, value) == []

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            (3, [("", "/discriminator")]),
            ("example", [("", "/discriminator")]),
            (None, [("", "/discriminator")]),
            ([], [("", "/discriminator")]),
            ({}, [("", "/discriminator")]),
            ({"version": 1}, [("/version", "/discriminator")]),
            ({"version": None}, [("/version", "/discriminator")]),
            ({"version": "v3"}, [("/version", "/mapping")]),
            ({"version": "v1"}, [("", "/mapping/v1/properties/a")]),
            ({"version": "v2/x", "a": 3}, [("/a", "/mapping/v2~1x/optionalProperties/a/type")]),
            ({"version": "v1", "a": 1, "b": 2}, [("/b", "/mapping/v1")]),
        ],
    )
    def test_every_failure_has_its_place(self, value: object, expected: Indicators) -> None:
        assert indicators(self.SCHEMA, value) == expected

    def test_the_tag_is_known_only_to_its_own_object(self) -> None:
        inner: dict[str, Any] = {"properties": {"a": {"properties": {}}}}
        schema = {"discriminator": "kind", "mapping": {"x": inner}}
        assert indicators(schema, {"kind": "x", "a": {"kind": "x"}}) == [
            ("/a/kind", "/mapping/x/properties/a")
        ]


class TestDepth:
    """A part more than 32 levels inside the value is an error if it would be checked."""

    LIST: dict[str, Any] = {"definitions": {"list": {"elements": {"ref": "list"}}}, "ref": "list"}  # noqa: RUF012

    @staticmethod
    def nested(levels: int) -> list[Any]:
        value: list[Any] = []
        for _ in range(levels):
            value = [value]
        return value

    def test_the_limit_itself_is_accepted(self) -> None:
        assert indicators(self.LIST, self.nested(MAX_DEPTH)) == []

    @pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 50_000])
    def test_a_deeper_value_is_an_error(self, levels: int) -> None:
        assert indicators(self.LIST, self.nested(levels)) == [("/0" * 33, "/definitions/list/elements")]

    def test_parts_that_are_not_checked_may_be_deeper(self) -> None:
        assert indicators({"properties": {"any": {}}}, {"any": self.nested(900)}) == []
