"""Regular expressions: bounded in their program and in the text that they run over."""

import pytest

from shared.expressions import EvaluationError, ResultType, Variables, VariableType, check, evaluate
from shared.expressions.regex import RegexTooLargeError, program_size

VARIABLES: Variables = {"text": VariableType.STRING, "pattern": VariableType.STRING}


def value_of(source: str, **context: object) -> object:
    return evaluate(source, context, variables=VARIABLES, returns=ResultType.ANY)


def refusal(source: str, **context: object) -> str:
    with pytest.raises(EvaluationError) as caught:
        value_of(source, **context)
    return caught.value.message


class TestMatches:
    """`matches` is CEL's: a part of the text matches, and it is a function and a method."""

    @pytest.mark.parametrize(
        ("source", "expected"),
        [
            ("'abc'.matches('b')", True),
            ("'abc'.matches('^b')", False),
            ("matches('abc', '^[a-c]{3}$')", True),
            ("text.matches(pattern)", True),
            ("['a1', 'b'].filter(x, x.matches('[0-9]'))", ["a1"]),
        ],
    )
    def test_a_part_of_the_text_matches(self, source: str, expected: object) -> None:
        assert value_of(source, text="2026-03", pattern=r"\d{4}-\d\d") == expected

    def test_what_is_no_regular_expression_is_refused_when_used(self) -> None:
        assert refusal("text.matches(pattern)", text="x", pattern="(") == (
            "invalid regular expression: missing ): ("
        )


class TestProgram:
    """At most 500 parts, each as often as it is repeated, and 256 characters."""

    @pytest.mark.parametrize(
        ("pattern", "size"),
        [
            ("", 1),
            ("abc", 3),
            ("a{3}", 3),
            ("a{2,5}", 5),
            ("a{0}", 1),
            ("a{3,}", 4),
            ("(ab){10}", 30),
            ("(?:ab){10}c", 31),
            ("(?P<n>a)(?i:b)(?s)", 5),
            ("((a{2}){3}){4}", 40),
            ("x(a|b)*y", 7),
            (r"\d+\.\d{2}", 14),
            (".*", 5),
            ("[a-z]{2}", 12),
            ("[[:alpha:]_]", 10),
            ("[]a]x", 7),
            (r"[\]]", 6),
            (r"\pL", 50),
            (r"\p{Greek}", 50),
            (r"[\pL]", 56),
            (r"\Qa.b\E{2}", 14),
            (r"\x{10FFFF}\x41", 2),
            ("a)b(", 4),
            ("{2}", 1),
            ("a{2,1}{x}", 6),
            ("[", 4),
            ("\\", 1),
        ],
    )
    def test_its_size_counts_every_repetition(self, pattern: str, size: int) -> None:
        assert program_size(pattern) == size

    def test_500_parts_are_the_most(self) -> None:
        assert program_size("a{500}") == 500
        with pytest.raises(RegexTooLargeError, match="its repetitions make more than 500 parts"):
            program_size("a{501}")

    @pytest.mark.parametrize(
        "pattern", ["(x{1,100}){1,10}y", "((((a{9}){9}){9}){9}){9}", "(.{100}){100}", r"\pL{11}"]
    )
    def test_large_programs_are_refused_when_saved_and_when_used(self, pattern: str) -> None:
        source = f"text.matches(r'{pattern}')"
        found = check(source, variables=VARIABLES, returns=ResultType.ANY)

        assert found is not None
        assert (found.rule, found.caret) == ("pattern", f"{source}\n             ^")
        assert found.message == (
            "matches: this regular expression is too large: its repetitions make more than 500 parts"
        )
        assert refusal("matches(text, pattern)", text="x", pattern=pattern) == (
            "this regular expression is too large: its repetitions make more than 500 parts"
        )

    def test_256_characters_are_the_most(self) -> None:
        assert value_of("text.matches(pattern)", text="a" * 256, pattern="a" * 256) is True
        assert refusal("text.matches(pattern)", text="a", pattern="a" * 257) == (
            "a regular expression has at most 256 characters"
        )


class TestText:
    """The size of the program times the length of the text is at most four million."""

    def test_a_small_program_may_run_over_a_long_text(self) -> None:
        assert value_of("text.matches('y$')", text="x" * 200_000) is False

    def test_a_larger_program_may_not(self) -> None:
        assert value_of("text.matches(pattern)", text="x" * 10_000, pattern="x{400}") is True
        assert refusal("text.matches(pattern)", text="x" * 10_001, pattern="x{400}") == (
            "a regular expression of this size can be applied to 10000 characters"
        )

    def test_all_texts_of_an_evaluation_are_counted(self) -> None:
        source = "[1,2,3,4,5,6,7,8,9].all(a, [1,2,3,4,5,6,7].all(b, !text.matches('y')))"

        assert value_of(source, text="x" * 60_000) is True
        assert refusal(source, text="x" * 70_000) == (
            "functions are given more than 4194304 characters in one evaluation"
        )
