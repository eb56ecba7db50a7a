import re
from dataclasses import replace
from pathlib import Path

import pytest

from dev.mutants.__main__ import Noticed, apply, first_failure, rows
from dev.mutants.bugs import BUGS, Bug
from dev.workers import ROOT

BUG = Bug(name="off by one", file="a.py", old="n + 1", new="n", layers=("tests",))


class TestBugs:
    """Every bug can be put into the tree as it is now, and its tests are there."""

    @pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
    def test_the_text_of_a_bug_is_in_its_file_once(self, bug: Bug, tmp_path: Path) -> None:
        copy = tmp_path / bug.file
        copy.parent.mkdir(parents=True)
        copy.write_text((ROOT / bug.file).read_text(encoding="utf-8"), encoding="utf-8")

        apply(bug, tmp_path)

        assert bug.old not in copy.read_text(encoding="utf-8") or bug.old in bug.new

    @pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
    def test_the_tests_of_a_bug_exist(self, bug: Bug) -> None:
        assert bug.layers
        assert all((ROOT / layer).exists() for layer in bug.layers)

    def test_names_are_unique(self) -> None:
        assert len({bug.name for bug in BUGS}) == len(BUGS) >= 10


class TestApplying:
    """A text that is missing, or that is there twice, is an error."""

    @pytest.mark.parametrize(("source", "times"), [("n - 1", 0), ("n + 1\nn + 1\n", 2)])
    def test_a_text_that_is_not_there_once_is_refused(self, tmp_path: Path, source: str, times: int) -> None:
        (tmp_path / "a.py").write_text(source, encoding="utf-8")

        with pytest.raises(ValueError, match=f"is there {times} times"):
            apply(BUG, tmp_path)


class TestTable:
    """A row names the first failing test; without one, the bug has survived."""

    def test_the_first_failed_test_is_named(self) -> None:
        output = "...F\nFAILED tests/a.py::test_one - AssertionError\nFAILED tests/a.py::test_two\n"
        assert first_failure(output) == "tests/a.py::test_one"

    def test_no_failed_test_is_named_if_all_passed(self) -> None:
        assert first_failure("....\n4 passed\n") is None

    def test_a_bug_without_a_failing_test_has_survived(self) -> None:
        noticed = Noticed(bug=BUG, test="tests/a.py::test_one", seconds=1.2)
        alive = replace(noticed, test=None)

        assert list(rows(iter([noticed, alive]))) == [
            ("| off by one | `tests/a.py::test_one` | 1 s |", False),
            ("| off by one | `SURVIVED: no test failed` | 1 s |", True),
        ]


class TestDocumentation:
    """The page on reliability lists every bug, with the layer that notices it."""

    def test_each_bug_has_its_row(self) -> None:
        page = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
        listed = re.findall(
            r"^\| (.+) \| (?:domain|application|contract|adapter|dialect|golden) tests \|$|^\| (.+) \| simulation \|$",
            page,
            re.MULTILINE,
        )

        assert {first or second for first, second in listed} == {bug.name for bug in BUGS}
