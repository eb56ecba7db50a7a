"""The documents, held against the code."""

import ast
import re
from pathlib import Path

import pytest

from shared.domain.instance.event import EventStatus
from shared.domain.instance.model import InstanceStatus

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
STEP = re.compile(r"^\d+\. `(?P<path>[a-z_/]+\.py): (?P<name>[\w.]+)`", re.MULTILINE)


def names_in(path: Path) -> set[str]:
    """Functions, classes and methods (``Class.method``) of a module."""
    found: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {
                f"{node.name}.{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef)
            }
    return found


class TestPathOfOneEvent:
    """The walk names each function once, and each is there."""

    @pytest.mark.parametrize("step", list(STEP.finditer(ARCHITECTURE)), ids=lambda match: match["name"])
    def test_each_function_exists(self, step: re.Match[str]) -> None:
        assert step["name"] in names_in(ROOT / "shared" / step["path"])

    def test_each_function_is_named_once(self) -> None:
        names = [match["name"] for match in STEP.finditer(ARCHITECTURE)]

        assert len(names) >= 15
        assert len(names) == len(set(names))


class TestReadme:
    """Each make target that the README names exists, and each of its links leads to a file."""

    @pytest.mark.parametrize(
        "target", re.findall(r"^    make (\w+)", (ROOT / "README.md").read_text(), re.MULTILINE)
    )
    def test_each_make_target_exists(self, target: str) -> None:
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)

    @pytest.mark.parametrize("link", re.findall(r"\]\(([^)h][^)]*)\)", README))
    def test_each_link_leads_somewhere(self, link: str) -> None:
        assert (ROOT / link).exists()


class TestGlossary:
    """Every status has its place in the glossary."""

    @pytest.mark.parametrize("status", [*EventStatus, *InstanceStatus], ids=lambda status: status.value)
    def test_each_status_is_named(self, status: EventStatus | InstanceStatus) -> None:
        assert status.value in (ROOT / "docs" / "glossary.md").read_text()


class TestDecisions:
    """Decision records are numbered without holes and say whether they hold."""

    def test_numbers_have_no_holes(self) -> None:
        names = sorted(path.name for path in (ROOT / "docs" / "decisions").glob("*.md"))

        assert [name[:4] for name in names] == [f"{number:04}" for number in range(1, len(names) + 1)]

    @pytest.mark.parametrize("path", sorted((ROOT / "docs" / "decisions").glob("*.md")), ids=lambda p: p.name)
    def test_each_has_a_status(self, path: Path) -> None:
        assert re.search(r"^Status: (accepted|superseded by \d+)$", path.read_text(), re.MULTILINE)


class TestNamesInTheGlossary:
    """Every class the glossary names is in the code."""

    NAMED = re.findall(r"`([A-Z][a-z]\w+)`", (ROOT / "docs" / "glossary.md").read_text())

    @pytest.mark.parametrize("name", sorted(set(NAMED) - {"Idempotency"}))
    def test_each_class_exists(self, name: str) -> None:
        modules = [*(ROOT / "shared" / "domain").rglob("*.py"), ROOT / "shared" / "application" / "ports.py"]

        assert any(name in names_in(path) for path in modules)
