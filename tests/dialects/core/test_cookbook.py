"""The recipes of docs/cookbook.md and the strategy of README.md are accepted and have the dates of their pages."""

import json
import re
from dataclasses import dataclass
from typing import Any

import pytest

from shared.domain.steps.call import Answered, CallOutcome, TimedOut, Unreachable
from tests.application.lives import Life
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

    @pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.title)
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
            # At the start it is too late for the first mail.
            ("2026-01-31T09:00:00.000Z", []),
            ("2026-02-28T09:00:00.000Z", ["2026-02-25T09:00:00.000Z"]),
            # Summer time has begun, and the local time is still 10:00.
            ("2026-03-31T08:00:00.000Z", ["2026-03-28T09:00:00.000Z"]),
        ]


class TestHardDecline:
    """The recipe about hard declines works as its text says."""

    SETTINGS = next(recipe.settings for recipe in RECIPES if recipe.title == "A hard decline stops at once")

    def life(self, answer: CallOutcome) -> Life:
        """Return four days of a subscription whose first charge, at 13:00 in Paris on 1 January, has this answer."""
        attributes = {"customer": "ann", "price": 20}
        return Life(self.SETTINGS, answer, attributes=attributes, to="2026-01-05T12:00")

    def declined(self, **error: str) -> Life:
        return self.life(Answered(status=402, body={"error": {"code": "card_declined", **error}}))

    def test_a_soft_decline_is_retried_at_a_time_of_day(self) -> None:
        of = self.declined(decline_code="insufficient_funds")

        assert of.requests[1].body["text"] == (
            "Your card was declined. We try again on 3 January, 18:00; 3 attempts left."
        )
        assert [call[:11] for call in of.calls] == ["01-01 12:00", "01-01 12:00", "01-03 17:00"]

    @pytest.mark.parametrize(
        "code", ["lost_card", "stolen_card", "pickup_card", "revocation_of_authorization"]
    )
    def test_a_hard_decline_pauses_after_one_charge(self, code: str) -> None:
        of = self.declined(decline_code=code)

        assert [request.url.rsplit("/", 1)[1] for request in of.requests] == ["charges", "mails"]
        assert of.requests[1].body["reason"] == "exhausted:http-402"
        assert of.instance.status == "PAUSED"
        assert of.instance.stop_note == ("charge: shop/charge returned HTTP 402 (retries stopped by stopIf)")

    @pytest.mark.parametrize(
        "answer",
        [
            TimedOut(why="late"),
            Answered(status=500),
            Answered(status=402, body="<html>"),
            Unreachable(why="no"),
        ],
    )
    def test_any_other_failure_is_retried(self, answer: CallOutcome) -> None:
        of = self.life(answer)

        assert [request.url.rsplit("/", 1)[1] for request in of.requests] == ["charges", "mails", "charges"]

    def test_a_decline_without_a_code_is_retried(self) -> None:
        assert len(self.declined().requests) == 3
