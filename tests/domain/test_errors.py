"""Problems are bounded: in their number, and in the size of each."""

import json
from collections.abc import Iterator

import pytest

from shared.domain.errors import (
    MAX_CARET_BYTES,
    MAX_MESSAGE_BYTES,
    MAX_POINTER_BYTES,
    MAX_PROBLEMS,
    InvalidInputError,
    MoreProblems,
    Problem,
    Problems,
    first_problems,
    shortened,
)


def problem(number: int = 0) -> Problem:
    return Problem(pointer=f"/{number:04}", rule="r", message="is wrong")


def endless(made: list[Problem]) -> Iterator[Problem]:
    while True:
        made.append(problem(len(made)))
        yield made[-1]


class TestShortened:
    """A text takes at most so many bytes inside JSON. Characters outside ASCII are escaped there."""

    @pytest.mark.parametrize("text", ["", "a" * 10, "\u00e9a", "\n" * 5])
    def test_a_text_that_fits_is_not_changed(self, text: str) -> None:
        assert shortened(text, 10) == text

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("a" * 11, "aaaaaaa..."),
            ("a" * 1_000_000, "aaaaaaa..."),
            ("\u00e9\u00e9", "\u00e9..."),
            ("a\u00e9b\u00e9", "a\u00e9..."),
            ("\U0001f600", "..."),
            ("\ud800\ud800", "\ud800..."),
            ("\n" * 6, "\n\n\n..."),
        ],
    )
    def test_a_longer_text_is_cut(self, text: str, expected: str) -> None:
        assert shortened(text, 10) == expected

    @pytest.mark.parametrize("character", ["a", '"', "\0", "\u00e9", "\ud800", "\U0001f600"])
    @pytest.mark.parametrize("length", [1, 24, 25, 26, 99, 100, 101, 5000])
    def test_no_result_is_larger(self, character: str, length: int) -> None:
        assert len(json.dumps(shortened(character * length, 100))) - 2 <= 100


class TestSizeOfAProblem:
    """Pointer, message and caret are cut."""

    def test_a_short_problem_is_not_changed(self) -> None:
        found = Problem(pointer="/a", rule="r", message="m", caret="a +\n  ^")
        assert (found.pointer, found.message, found.caret) == ("/a", "m", "a +\n  ^")
        assert found.sentence == "/a: m"
        assert Problem(pointer="", rule="r", message="m").sentence == "/: m"

    def test_a_long_pointer_and_message_are_cut(self) -> None:
        found = Problem(pointer="/" + "a" * 1000, rule="r", message="m" * 1000)
        assert found.pointer == "/" + "a" * (MAX_POINTER_BYTES - 4) + "..."
        assert found.message == "m" * (MAX_MESSAGE_BYTES - 3) + "..."

    @pytest.mark.parametrize("at", [0, 1, 59, 60, 61, 500, 998, 999])
    def test_a_long_line_is_cut_around_its_caret(self, at: int) -> None:
        line = "".join(chr(ord("a") + number % 26) for number in range(1000))
        found = Problem(pointer="", rule="r", message="m", caret=f"{line}\n{' ' * at}^")
        assert found.caret is not None
        part, mark = found.caret.split("\n")
        assert len(json.dumps(found.caret)) - 2 <= MAX_CARET_BYTES
        assert part in line
        assert part[len(mark) - 1] == line[at]

    def test_a_line_of_large_characters_is_cut_too(self) -> None:
        found = Problem(pointer="", rule="r", message="m", caret="\U0001f600" * 900 + "\n" + " " * 800 + "^")
        assert found.caret is not None
        assert len(json.dumps(found.caret)) - 2 <= MAX_CARET_BYTES
        assert found.caret.endswith("^")


class TestNumberOfProblems:
    """Fifty problems are kept, and the others are counted."""

    @pytest.mark.parametrize("count", [0, 1, 49, 50])
    def test_few_problems_are_kept_in_order(self, count: int) -> None:
        problems = Problems(problem(number) for number in range(count))
        assert len(problems) == count
        assert problems.reported() == tuple(problem(number) for number in range(count))
        assert problems.is_full is (count == 50)

    @pytest.mark.parametrize(
        ("count", "message"),
        [(51, "and 1 more problem"), (52, "and 2 more problems"), (10_050, "and 10000 more problems")],
    )
    def test_the_others_are_counted(self, count: int, message: str) -> None:
        problems = Problems(problem(number) for number in range(count))
        assert len(problems) == count
        *kept, more = problems.reported()
        assert len(kept) == MAX_PROBLEMS
        assert (more.pointer, more.rule, more.message, more.sentence) == ("", "more", message, message)

    def test_no_more_problems_are_made_than_are_kept(self) -> None:
        made: list[Problem] = []
        found = first_problems(endless(made))
        assert len(made) == 51
        assert found[:-1] == made[:50]
        assert found[-1].message == "and at least 1 more problem"

    def test_a_list_that_was_cut_can_be_part_of_another(self) -> None:
        cut = first_problems(endless([]))
        assert Problems([problem(), *cut]).reported()[-1] == MoreProblems(count=2, is_exact=False)
        exact = Problems(problem(number) for number in range(60)).reported()
        assert Problems(exact).reported() == exact
        assert len(Problems(exact)) == 60

    def test_problems_are_sorted_by_pointer_and_their_rest_stays_last(self) -> None:
        problems = Problems(problem(number) for number in range(60, 0, -1))
        *kept, more = problems.sorted()
        assert [one.pointer for one in kept] == [f"/{number:04}" for number in range(11, 61)]
        assert more == MoreProblems(count=10)

    def test_an_error_keeps_and_says_no_more(self) -> None:
        error = InvalidInputError(problem(number) for number in range(2000))
        assert len(error.problems) == MAX_PROBLEMS + 1
        assert str(error).startswith("/0000: is wrong; /0001: is wrong; ")
        assert str(error).endswith("; and 1950 more problems")
