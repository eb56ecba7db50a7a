"""The changelog lists for every release the changes of stored items.

Source: docs/deployment.md, "Upgrade and roll back".
"""

import re
from pathlib import Path

import pytest

from shared.adapters.dynamodb.documents import SCHEMA

CHANGELOG = (Path(__file__).parents[2] / "CHANGELOG.md").read_text()

LINE = re.compile(
    r"Schema (?P<schema>\d+)\.|(?:Reads|No longer reads): .+\."
    r"|Stores: .+, read since (?P<since>\d+\.\d+\.\d+)\.|Nothing new\."
)


def stored(changelog: str) -> dict[str, list[str]]:
    """Return the lines of each version's section ``Stored``, without line breaks."""
    releases = re.split(r"^## ", changelog, flags=re.MULTILINE)[1:]
    found = {}
    for release in releases:
        sections = release.split("\n### Stored\n")
        text = sections[1].split("\n### ")[0] if len(sections) == 2 else ""
        lines = [" ".join(line.split()) for line in text.split("\n- ") if line.strip()]
        found[re.split(r"[, \n]", release, maxsplit=1)[0]] = lines
    return found


def faults(changelog: str) -> list[str]:
    """Return the faults of the sections ``Stored``."""
    releases = stored(changelog)
    versions = list(releases)
    found = []
    for place, (version, lines) in enumerate(releases.items()):
        if not lines:
            found.append(f"{version} has no section `### Stored`")
        for line in lines:
            match = LINE.fullmatch(line)
            if match is None:
                found.append(f"{version}: {line!r} has none of the forms in ADR 51")
            elif match["since"] is not None and match["since"] not in versions[place + 1 :]:
                found.append(f"{version}: {match['since']} is no earlier release")
    return found


class TestStored:
    """Operators read there how far they can roll back."""

    def test_every_release_says_what_it_stores(self) -> None:
        assert faults(CHANGELOG) == []

    def test_the_latest_schema_is_the_one_that_is_written(self) -> None:
        lines = [line for lines in stored(CHANGELOG).values() for line in lines]
        schemas = [int(match["schema"]) for match in map(LINE.fullmatch, lines) if match and match["schema"]]

        assert schemas[0] == SCHEMA

    @pytest.mark.parametrize(
        ("section", "fault"),
        [
            ("", "0.3.0 has no section `### Stored`"),
            ("\n### Stored\n\n- Something.\n", "0.3.0: 'Something.' has none of the forms in ADR 51"),
            (
                "\n### Stored\n\n- Stores: snoozes,\n  read since 0.3.0.\n",
                "0.3.0: 0.3.0 is no earlier release",
            ),
        ],
    )
    def test_a_release_without_a_valid_section_is_reported(self, section: str, fault: str) -> None:
        earlier = "## 0.2.0\n\n### Stored\n\n- Reads: snoozes.\n- Schema 1.\n"
        assert faults(f"## 0.3.0, today\n{section}\n{earlier}") == [fault]

    def test_what_the_release_before_reads_may_be_stored(self) -> None:
        now = "## 0.3.0\n\n### Stored\n\n- Stores: snoozes, read since 0.2.0.\n\n### Other\n\n- More.\n\n"
        assert faults(f"{now}## 0.2.0\n\n### Stored\n\n- Nothing new.\n") == []
