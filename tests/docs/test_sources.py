"""Every ``Source:`` in the code names a file, and a section of it, that exist."""

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("shared", "functions", "dev", "tests")
SOURCE = re.compile(r"Source: (.*?)(?=\n\s*\n|\n\s*Raises:|\Z)", re.DOTALL)
FILE = re.compile(r"\b(?:docs|shared|functions|dev|tests|events)/[\w./-]*\w|\btemplate\.yaml")
SECTION = re.compile(r"\b[A-D]\.\d+\b|(?<![\w.])\d+(?:\.\d+)?(?![\w.]*\w)")
OURS = re.compile(r"(?<![\w/.])(?:design|contracts?|mapping)(?: section| [A-D]\.|/|\.md)|\bseeds?\b")


def docstrings() -> Iterator[tuple[str, str]]:
    """Return each docstring of the code with the place it is at."""
    files = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                text = ast.get_docstring(node)
                if text and "Source:" in text:
                    yield f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}", text


SOURCES = [
    pytest.param(" ".join(match[1].split()), id=f"{place} {number}")
    for place, text in docstrings()
    for number, match in enumerate(SOURCE.finditer(text))
]


@cache
def headings(file: str) -> frozenset[str]:
    """Return the numbers of a document's sections: ``3``, ``3.1``, ``A.2``."""
    lines = (ROOT / file).read_text().splitlines()
    found = (re.match(r"#+ (?:\d+(?:\.\d+)?|[A-D]\.\d+)", line) for line in lines)
    return frozenset(match[0].split()[1] for match in found if match)


def sections_of(part: str, file: str) -> set[str]:
    """Return the sections that a part of a reference names after its file."""
    named = re.sub(
        r"\([^)]*\)|rows? [\d, to and]+|, [SIEQA]\d(?: to [SIEQA]\d)?", "", part.partition(file)[2]
    )
    if not file.startswith(("docs/design.md", "docs/contracts/")):
        return set()
    return set(SECTION.findall(named))


@pytest.mark.parametrize("source", SOURCES)
def test_file_and_section_of_a_source_exist(source: str) -> None:
    assert not OURS.search(source), "name the file: docs/design.md, docs/contracts/<dialect>.md"
    for part in source.split(";"):
        for file in FILE.findall(part):
            exists = (ROOT / file).exists() or any(ROOT.glob(f"{file}*"))
            assert exists, f"{file} does not exist"
            if (ROOT / file).suffix == ".md":
                assert sections_of(part, file) <= headings(file)


def test_sources_are_found() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout  # noqa: S607
    assert "docs/design.md" in tracked
    assert len(SOURCES) > 200
