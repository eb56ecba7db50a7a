"""The grammar of schemas. Source: RFC 8927 section 2."""

import pytest

from shared.domain.validation.jtd import MAX_DEPTH, JtdError, schema_problems


def places(schema: object) -> list[str]:
    return [problem.schema_path for problem in schema_problems(schema)]


class TestCorrectSchemas:
    """Every form of the RFC, alone and nested, with the keywords that all forms allow."""

    @pytest.mark.parametrize(
        "schema",
        [
            {},
            {"nullable": True},
            {"nullable": False, "metadata": {"anything": [1, {"type": "nonsense"}]}},
            {"definitions": {}},
            {"definitions": {"a": {}, "b": {"ref": "a"}}, "ref": "b", "nullable": True},
            *[{"type": name} for name in ("boolean", "string", "timestamp", "float32", "float64")],
            *[{"type": name} for name in ("int8", "uint8", "int16", "uint16", "int32", "uint32")],
            {"enum": ["one"]},
            {"enum": ["", "a", "A"]},
            {"elements": {"elements": {"type": "string"}}},
            {"properties": {}},
            {"optionalProperties": {}},
            {"properties": {"a": {}}, "optionalProperties": {"b": {}}, "additionalProperties": True},
            {"optionalProperties": {"b": {}}, "additionalProperties": False},
            {"values": {"nullable": True, "type": "uint8"}},
            {"discriminator": "kind", "mapping": {}},
            {"discriminator": "kind", "mapping": {"a": {"properties": {"x": {}}, "nullable": False}}},
            {"properties": {"ref": {"type": "string"}, "type": {}, "definitions": {}}},
            {"definitions": {"tree": {"properties": {"kids": {"elements": {"ref": "tree"}}}}}, "ref": "tree"},
        ],
    )
    def test_a_correct_schema_has_no_problems(self, schema: object) -> None:
        assert list(schema_problems(schema)) == []


class TestIncorrectSchemas:
    """Any other schema is refused, each problem at its place."""

    @pytest.mark.parametrize("schema", [None, True, 1, 3.14, "foo", []])
    def test_a_schema_is_an_object(self, schema: object) -> None:
        assert places(schema) == [""]

    @pytest.mark.parametrize(
        ("schema", "place"),
        [
            ({"foo": 123}, "/foo"),
            ({"nullable": 123}, "/nullable"),
            ({"nullable": None}, "/nullable"),
            ({"metadata": "text"}, "/metadata"),
            ({"definitions": 123}, "/definitions"),
            ({"definitions": {"foo": 123}}, "/definitions/foo"),
            ({"definitions": {"foo": {"definitions": {}}}}, "/definitions/foo/definitions"),
            ({"ref": 123}, "/ref"),
            ({"ref": "foo"}, "/ref"),
            ({"definitions": {}, "ref": "foo"}, "/ref"),
            ({"definitions": {}, "elements": {"ref": "foo"}}, "/elements/ref"),
            ({"type": 123}, "/type"),
            ({"type": "foo"}, "/type"),
            ({"type": ["string"]}, "/type"),
            ({"enum": 123}, "/enum"),
            ({"enum": []}, "/enum"),
            ({"enum": ["foo", 123, "baz"]}, "/enum"),
            ({"enum": ["foo", "bar", "foo"]}, "/enum"),
            ({"elements": 123}, "/elements"),
            ({"elements": {"definitions": {}}}, "/elements/definitions"),
            ({"properties": 123}, "/properties"),
            ({"properties": {"a/b": {"definitions": {}}}}, "/properties/a~1b/definitions"),
            ({"optionalProperties": 123}, "/optionalProperties"),
            ({"optionalProperties": {"foo": 1}}, "/optionalProperties/foo"),
            ({"properties": {}, "additionalProperties": 123}, "/additionalProperties"),
            ({"properties": {"a": {}, "b": {}}, "optionalProperties": {"b": {}}}, "/optionalProperties/b"),
            ({"values": 123}, "/values"),
            ({"values": {"definitions": {}}}, "/values/definitions"),
            ({"discriminator": 123, "mapping": {}}, "/discriminator"),
            ({"discriminator": [], "mapping": {"x": {"properties": {"a": {}}}}}, "/discriminator"),
            ({"discriminator": "foo", "mapping": 123}, "/mapping"),
            ({"discriminator": "foo", "mapping": {"x": 5}}, "/mapping/x"),
            ({"discriminator": "foo", "mapping": {"x": {"properties": 5}}}, "/mapping/x/properties"),
            ({"discriminator": "foo", "mapping": {"x": {}}}, "/mapping/x"),
            ({"discriminator": "a", "mapping": {"x": {"properties": {"a": {}}}}}, "/mapping/x/properties/a"),
            (
                {"discriminator": "a", "mapping": {"x": {"optionalProperties": {"a": {}}}}},
                "/mapping/x/optionalProperties/a",
            ),
            (
                {"discriminator": "a", "mapping": {"x": {"properties": {}, "nullable": True}}},
                "/mapping/x/nullable",
            ),
            ({"discriminator": "foo"}, ""),
            ({"mapping": {}}, ""),
            ({"additionalProperties": True}, ""),
        ],
    )
    def test_a_problem_is_reported_at_its_place(self, schema: object, place: str) -> None:
        assert places(schema) == [place]

    @pytest.mark.parametrize(
        "schema",
        [
            {"definitions": {"foo": {}}, "ref": "foo", "type": "uint32"},
            {"type": "uint32", "enum": ["foo"]},
            {"enum": ["foo"], "elements": {}},
            {"elements": {}, "properties": {}},
            {"elements": {}, "optionalProperties": {}},
            {"properties": {}, "values": {}},
            {"values": {}, "discriminator": "foo", "mapping": {}},
        ],
    )
    def test_mixed_forms_are_refused(self, schema: object) -> None:
        (problem,) = schema_problems(schema)
        assert problem.schema_path == ""
        assert problem.message.startswith("a schema has one form, this mixes ")

    def test_every_problem_is_reported_in_the_order_of_the_schema(self) -> None:
        schema = {"properties": {"b": {"type": "int64"}, "a": {"ref": "x"}}, "nullabel": True, "metadata": []}
        assert places(schema) == ["/properties/b/type", "/properties/a/ref", "/nullabel", "/metadata"]

    def test_a_message_states_the_expectation(self) -> None:
        (problem,) = schema_problems({"elements": {"ref": "order"}})
        assert problem == JtdError("", "/elements/ref", "there is no definition 'order'")


class TestLoops:
    """Refs that lead to themselves without going into the value are refused."""

    def test_a_definition_of_itself_is_refused(self) -> None:
        assert places({"definitions": {"a": {"ref": "a"}}}) == ["/definitions/a/ref"]

    def test_every_definition_of_a_loop_is_reported(self) -> None:
        loop = {"a": {"ref": "b"}, "b": {"ref": "c/d"}, "c/d": {"ref": "b", "nullable": True}}
        assert places({"definitions": loop, "ref": "a"}) == ["/definitions/b/ref", "/definitions/c~1d/ref"]

    def test_a_long_chain_of_refs_is_refused(self) -> None:
        steps = {f"d{n}": {"ref": f"d{n + 1}"} for n in range(MAX_DEPTH)}
        assert places({"definitions": {**steps, f"d{MAX_DEPTH}": {}}}) == ["/definitions/d0/ref"]
        assert places({"definitions": {**steps, f"d{MAX_DEPTH}": {}, "d0": {"ref": "d2"}}}) == []


class TestDepth:
    """A schema must nest at most 32 levels deep; deeper parts are refused unchecked."""

    @staticmethod
    def nested(levels: int) -> dict[str, object]:
        schema: dict[str, object] = {"nonsense": 1}
        for level in range(levels):
            schema = {"elements": schema} if level % 2 else {"properties": {"x": schema}}
        return schema

    def test_a_schema_at_the_limit_is_checked(self) -> None:
        (place,) = places(self.nested(MAX_DEPTH))
        assert place.endswith("/nonsense")

    @pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 10_000])
    def test_a_deeper_schema_is_refused(self, levels: int) -> None:
        (problem,) = schema_problems(self.nested(levels))
        assert problem.message == "must nest at most 32 levels deep"
