"""The recipes of docs/cookbook.md and the strategy of README.md are accepted and have the dates of their pages."""

import json
import re
from dataclasses import dataclass
from typing import Any

import pytest

from tests.dialects.core.client import Client
from tests.dialects.wire import ROOT

PAGE = (ROOT / "docs" / "cookbook.md").read_text()
RECIPE = re.compile(
    r"^## \d+\. (?P<title>.*?)\n.*?^```json\n(?P<settings>.*?)^```$.*?"
    r"^Simulated from `(?P<start>[^`]*)` with `(?P<attributes>[^`]*)`:\n\n```text\n(?P<dates>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
SECRET = "cookbook-secret-2026"


@dataclass(frozen=True)
class Recipe:
    """A recipe as the page shows it."""

    title: str
    settings: dict[str, Any]
    start: str
    attributes: dict[str, Any]
    dates: list[str]


RECIPES = [
    Recipe(
        match["title"],
        json.loads(match["settings"]),
        match["start"],
        json.loads(match["attributes"]),
        match["dates"].splitlines(),
    )
    for match in RECIPE.finditer(PAGE)
]

NOT_YET = {"The last working day of the month": "plans do not use business days yet"}
MARKED = [
    pytest.param(
        recipe,
        marks=[pytest.mark.xfail(reason=NOT_YET[recipe.title], strict=True)]
        if recipe.title in NOT_YET
        else [],
    )
    for recipe in RECIPES
]


def simulated(client: Client, recipe: Recipe) -> list[str]:
    """Return a line for each simulated event: cycle, date, task."""
    strategy = {"name": "recipe", "secret": SECRET, "settings": recipe.settings}
    sid = client.saved(strategy)["sid"]
    cycles = max(int(line.split()[0]) for line in recipe.dates) if recipe.dates else 2
    body = {"cycles": cycles, "startDate": recipe.start, "attributes": recipe.attributes}
    status, answer = client("POST", f"/execution-strategy/{sid}/simulate-execution", body, secret=SECRET)
    assert status == 200, answer
    lines = []
    for cycle in answer["cycleEvents"]:
        events = cycle["events"]
        listed = [*events.get("onCreateEvents", ()), *events.get("leadingUpEvents", ()), events["mainEvent"]]
        lines += [f"{cycle['cycle']}  {event['date']}  {event['task']}" for event in listed]
    return lines


class TestRecipes:
    """Every recipe can be saved, and simulates as the page says."""

    def test_the_page_has_ten_or_more(self) -> None:
        assert len(RECIPES) >= 10
        assert len(RECIPES) == PAGE.count("\n## ")

    @pytest.mark.parametrize("recipe", MARKED, ids=lambda recipe: recipe.title)
    def test_a_recipe_simulates_the_dates_on_the_page(self, client: Client, recipe: Recipe) -> None:
        assert simulated(client, recipe) == recipe.dates


class TestReadmeStrategy:
    """The strategy in README.md can be saved and has the dates that the text below it names."""

    def test_charges_and_reminders_have_the_dates_of_the_text(self, client: Client) -> None:
        (text,) = re.findall(
            r"^```json\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL
        )
        strategy = json.loads(text)
        sid = client.saved(strategy)["sid"]
        body = {"cycles": 3, "startDate": "2026-01-31T10:00:00+01:00", "attributes": {"member": "ann"}}

        status, answer = client(
            "POST", f"/execution-strategy/{sid}/simulate-execution", body, secret=strategy["secret"]
        )

        assert status == 200, answer
        assert [
            (
                cycle["events"]["mainEvent"]["date"],
                [event["date"] for event in cycle["events"]["leadingUpEvents"]],
            )
            for cycle in answer["cycleEvents"]
        ] == [
            # This date has passed at the start, so the first mail is sent at once.
            ("2026-01-31T09:00:00.000Z", ["2026-01-28T09:00:00.000Z"]),
            ("2026-02-28T09:00:00.000Z", ["2026-02-25T09:00:00.000Z"]),
            # Summer time has begun, and the local time is still 10:00.
            ("2026-03-31T08:00:00.000Z", ["2026-03-28T09:00:00.000Z"]),
        ]
