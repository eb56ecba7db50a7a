"""Templates: their syntax, and their results."""

from datetime import UTC, datetime
from itertools import islice

import pytest

from shared.expressions import (
    EvaluationError,
    ExpressionProblem,
    JsonValue,
    Reference,
    Variables,
    VariableType,
    references_in,
    render,
    render_with_references,
    template_problems,
)
from shared.expressions.problems import MAX_LINE

VARIABLES: Variables = {
    "instance": VariableType.MAP,
    "stack": VariableType.MAP,
    "event": VariableType.MAP,
    "cycle": VariableType.INT,
    "date": VariableType.TIMESTAMP,
    "response": VariableType.ANY,
}
CONTEXT: dict[str, object] = {
    "instance": {
        "sid": "i-1",
        "attributes": {"email": "a@b.test", "fee": 30.0, "rate": 2.5, "vip": True, "tags": ["x", {"y": "z"}]},
        "cancelReason": None,
        "endsAt": datetime(2026, 5, 1, tzinfo=UTC),
    },
    "stack": {"check-policy": {"response": {"id": "P7", "0": "zero"}}},
    "event": {"attempt": 2, "idempotencyKey": "k"},
    "cycle": 3,
    "date": datetime(2026, 3, 1, 9, 0, tzinfo=UTC),
    "response": "${cycle} {{cycle}}",
}


def rendered(value: JsonValue) -> JsonValue:
    return render(value, CONTEXT, variables=VARIABLES)


def refusal(value: JsonValue, context: dict[str, object] | None = None) -> str:
    with pytest.raises(EvaluationError) as caught:
        render(value, CONTEXT if context is None else context, variables=VARIABLES)
    return caught.value.message


def problems(value: JsonValue) -> list[tuple[str, ExpressionProblem]]:
    return list(template_problems(value, variables=VARIABLES))


class TestAlone:
    """A placeholder that is the whole string keeps the JSON type of its value."""

    @pytest.mark.parametrize(
        ("template", "expected"),
        [
            ("{{instance.attributes.email}}", "a@b.test"),
            ("{{ instance.sid }}", "i-1"),
            ("{{instance.attributes.fee}}", 30),
            ("{{instance.attributes.rate}}", 2.5),
            ("{{instance.attributes.vip}}", True),
            ("{{instance.attributes.tags}}", ["x", {"y": "z"}]),
            ("{{instance.attributes.tags.1.y}}", "z"),
            ("{{stack.check-policy.response.id}}", "P7"),
            ("{{stack.check-policy.response.0}}", "zero"),
            ("{{event.attempt}}", 2),
            ("{{date}}", "2026-03-01T09:00:00.000Z"),
            ("{{instance.endsAt}}", "2026-05-01T00:00:00.000Z"),
            ("${cycle + 1}", 4),
            ("${instance.attributes.fee * 2.0}", 60),
            ("${date}", "2026-03-01T09:00:00.000Z"),
            ('${ {"a": {"b": "}"}}.a }', {"b": "}"}),
        ],
    )
    def test_a_lone_placeholder_keeps_the_json_type(self, template: str, expected: JsonValue) -> None:
        found = rendered(template)

        assert found == expected
        assert type(found) is type(expected)

    @pytest.mark.parametrize(
        "template",
        [
            "{{instance.cancelReason}}",
            "{{instance.nope.deeper}}",
            "{{instance.attributes.tags.2}}",
            "{{instance.attributes.tags.first}}",
            "{{instance.attributes.tags." + "9" * 5000 + "}}",
            "{{instance.attributes.tags.0000001}}",
            "{{instance.attributes.tags.²}}",
            "{{instance.sid.length}}",
            "${null}",
        ],
    )
    def test_a_missing_path_and_null_are_none(self, template: str) -> None:
        assert rendered(template) is None


class TestInsideText:
    """Inside text every value has a text form."""

    @pytest.mark.parametrize(
        ("template", "expected"),
        [
            ("/policies/{{stack.check-policy.response.id}}/resume", "/policies/P7/resume"),
            ("<{{instance.cancelReason}}{{instance.nope}}${null}>", "<>"),
            ("fee {{instance.attributes.fee}} EUR", "fee 30 EUR"),
            ("rate {{instance.attributes.rate}}", "rate 2.5"),
            ("${cycle > 1}/{{instance.attributes.vip}}/${false}", "true/true/false"),
            ("tags={{instance.attributes.tags}}", 'tags=["x",{"y":"z"}]'),
            ("{{cycle}}${cycle}", "33"),
            ("on {{date}}", "on 2026-03-01T09:00:00.000Z"),
            ("due ${formatDate(date, 'DD.MM.', 'UTC')}", "due 01.03."),
            ("", ""),
            ("{{cycle}}" + "x" * 5000, "3" + "x" * 5000),
            ("a { b } $ c", "a { b } $ c"),
        ],
    )
    def test_values_inside_text_have_a_text_form(self, template: str, expected: str) -> None:
        assert rendered(template) == expected

    def test_inserted_text_is_not_rendered_again(self) -> None:
        assert rendered("{{response}}") == "${cycle} {{cycle}}"
        assert rendered("x ${response}") == "x ${cycle} {{cycle}}"


class TestEscape:
    """A backslash turns a placeholder into text."""

    def test_both_kinds_of_placeholders_can_be_escaped(self) -> None:
        assert rendered("\\${cycle} and \\{{cycle}} and {{cycle}}") == "${cycle} and {{cycle}} and 3"

    def test_a_lone_placeholder_can_be_escaped(self) -> None:
        assert rendered("\\{{cycle}}") == "{{cycle}}"


class TestBraces:
    """The closing brace is found after maps, texts and comments."""

    @pytest.mark.parametrize(
        ("template", "expected"),
        [
            ("${ '}' }!", "}!"),
            ('${ "\\"}" }!', '"}!'),
            ("${ r'\\d}' }!", "\\d}!"),
            ("${ '''a'}b''' }!", "a'}b!"),
            ("${ cycle // }\n }!", "3!"),
            ("${ {'a': {'b': 1}}.a.b }!", "1!"),
        ],
    )
    def test_braces_inside_an_expression_are_skipped(self, template: str, expected: str) -> None:
        assert rendered(template) == expected


class TestNesting:
    """Strings in maps and lists are rendered; keys and other values stay as they are."""

    def test_strings_of_a_document_are_rendered(self) -> None:
        value: JsonValue = {
            "{{cycle}}": ["{{cycle}}", {"deep": "n{{cycle}}"}],
            "fixed": [1, 2.0, True, None],
        }

        assert rendered(value) == {"{{cycle}}": [3, {"deep": "n3"}], "fixed": [1, 2.0, True, None]}


class TestFailures:
    """An expression without a value is an error; nothing is half rendered."""

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            ("${instance.nope}", 'Key not found in map : "nope"'),
            ("x {{open", "'{{' is never closed"),
            ("${1.0 / 0.0}", "a number of the result is NaN or infinite"),
        ],
    )
    def test_failures_have_their_messages(self, value: str, message: str) -> None:
        assert refusal(value) == message

    def test_an_expression_that_does_not_compile_fails(self) -> None:
        assert refusal("${cycle +}").startswith("syntax: mismatched input")

    def test_a_document_takes_at_most_256_kb(self) -> None:
        context: dict[str, object] = {"response": "é" * 20_000}

        assert refusal(["{{response}}"] * 7, context) == "the result is larger than 262144 bytes"

    def test_a_value_without_a_json_form_fails(self) -> None:
        assert refusal("{{response}}", {"response": {1, 2}}) == "a set has no JSON form"

    def test_a_value_nested_too_deep_fails(self) -> None:
        nested: object = []
        for _ in range(100_000):
            nested = [nested]

        assert refusal("{{response}}", {"response": nested}) == (
            "a template or a value in it is nested too deep"
        )


class TestProblems:
    """Broken templates are found before anything runs, each with its pointer and a caret."""

    def test_valid_templates_have_no_problems(self) -> None:
        assert problems({"a": ["{{instance.x}} ${cycle}", 1, None, "plain"], "b": "\\{{"}) == []

    def test_pointers_are_escaped(self) -> None:
        found = problems({"a/b": [1, {"c~d": "{{nope.x}}"}]})

        assert found == [
            (
                "/a~1b/1/c~0d",
                ExpressionProblem("undeclared", "unknown variable 'nope'", "{{nope.x}}\n^"),
            )
        ]

    def test_the_whole_value_has_the_empty_pointer(self) -> None:
        assert [pointer for pointer, _ in problems("${nope}")] == [""]

    def test_several_problems_of_a_string_are_reported(self) -> None:
        found = problems("{{nope}}\nand ${cycle +} {{also.nope}}")

        assert [problem.rule for _, problem in found] == ["undeclared", "syntax", "undeclared"]
        assert found[2][1].caret == "and ${cycle +} {{also.nope}}\n               ^"

    @pytest.mark.parametrize(
        ("template", "message", "caret"),
        [
            ("a {{cycle", "'{{' is never closed", "a {{cycle\n  ^"),
            ("a ${cycle", "'${' is never closed", "a ${cycle\n  ^"),
            ("${ {'a': 1 }", "'${' is never closed", "${ {'a': 1 }\n^"),
        ],
    )
    def test_open_placeholders_are_reported(self, template: str, message: str, caret: str) -> None:
        assert problems(template) == [("", ExpressionProblem("template", message, caret))]

    @pytest.mark.parametrize("template", ["{{}}", "{{ }}", "{{a..b}}", "{{.a}}", "{{a b}}", "{{{cycle}}}"])
    def test_invalid_paths_are_reported(self, template: str) -> None:
        message = "a path is names separated by dots, e.g. {{instance.attributes.email}}"

        assert problems(template) == [("", ExpressionProblem("template", message, f"{template}\n^"))]

    def test_nothing_is_checked_after_what_takes_too_long(self) -> None:
        slow = "['x']" + ".map(a, a + a)" * 9
        found = problems([f"${{cycle +}} ${{{slow}}} ${{cycle +}}", "${cycle +}"])

        assert [(pointer, problem.rule) for pointer, problem in found] == [
            ("/0", "syntax"),
            ("/0", "too-complex"),
            ("/1", "syntax"),
        ]

    def test_an_expression_without_a_json_form_is_reported(self) -> None:
        assert problems("${b'x'}")[0][1].rule == "type"


class TestManyProblems:
    """Problems are found one by one, and each shows only a part of a long line."""

    @pytest.mark.parametrize("place", [0, 1, 25, 4_998, 4_999])
    def test_a_caret_of_a_long_line_shows_the_part_around_it(self, place: int) -> None:
        template = "{{a}} " * place + "{{b}} " + "{{a}} " * (4_999 - place)
        variables = {"a": VariableType.MAP}
        ((pointer, found),) = template_problems({"t": template}, variables=variables)
        assert (pointer, found.message) == ("/t", "unknown variable 'b'")
        assert found.caret is not None
        line, mark = found.caret.split("\n")
        assert len(line) <= MAX_LINE
        assert line[len(mark) - 1 :].startswith("{{b}}")

    def test_no_more_problems_are_made_than_are_taken(self) -> None:
        found = template_problems(["{{b}}"] * 100_000, variables={"a": VariableType.MAP})
        assert [pointer for pointer, _ in islice(found, 2)] == ["/0", "/1"]


class TestReferences:
    """Placeholders of reserved paths stay as they are, with their positions; only the template itself has them."""

    def rendered(self, value: JsonValue, **context: object) -> tuple[JsonValue, tuple[Reference, ...]]:
        return render_with_references(
            value, {**CONTEXT, **context}, variables=VARIABLES, reserved={"secret", "parameter"}
        )

    def test_a_reference_stays_in_its_text(self) -> None:
        assert self.rendered("Bearer {{secret.gateway#key}}") == (
            "Bearer {{secret.gateway#key}}",
            (Reference(place=(), start=7, end=29, segments=("secret", "gateway#key")),),
        )

    def test_the_position_counts_what_was_inserted_before(self) -> None:
        text, (first, second) = self.rendered("{{cycle}} {{ secret.a }}${cycle}{{parameter.b/c}}")

        assert isinstance(text, str)
        assert text == "3 {{secret.a}}3{{parameter.b/c}}"
        assert text[first.start : first.end] == "{{secret.a}}"
        assert text[second.start : second.end] == "{{parameter.b/c}}"

    def test_the_place_leads_through_objects_and_lists(self) -> None:
        value: JsonValue = {"a": ["x", {"b/c": "{{secret.k}}"}], "d": 1}

        assert self.rendered(value) == (
            value,
            (Reference(place=("a", 1, "b/c"), start=0, end=12, segments=("secret", "k")),),
        )

    @pytest.mark.parametrize("template", ["{{response}}", "${response}", "a {{response}}", "\\{{secret.a}}"])
    def test_an_inserted_or_escaped_text_is_no_reference(self, template: str) -> None:
        text, references = self.rendered(template, response="{{secret.a}}")

        assert isinstance(text, str)
        assert text.endswith("{{secret.a}}")
        assert references == ()

    def test_without_reserved_names_the_path_is_missing(self) -> None:
        assert rendered("a {{secret.b}}") == "a "

    def test_a_reserved_path_is_no_unknown_variable(self) -> None:
        value: JsonValue = ["{{secret.a}}", "{{secrets.a}}", "${secret.a}"]
        found = list(template_problems(value, variables=VARIABLES, reserved={"secret"}))

        assert [(pointer, problem.rule) for pointer, problem in found] == [
            ("/1", "undeclared"),
            ("/2", "undeclared"),
        ]

    def test_references_are_found_with_their_pointers(self) -> None:
        value: JsonValue = {"a/b": ["{{secret.x}} {{cycle}} {{ secret.y.z }}", "{{secret", "none", 1]}
        found = list(references_in(value, reserved={"secret"}))

        assert [(pointer, lookup.segments, lookup.at) for pointer, _, lookup in found] == [
            ("/a~1b/0", ("secret", "x"), 0),
            ("/a~1b/0", ("secret", "y", "z"), 23),
        ]
