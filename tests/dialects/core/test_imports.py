"""Importing running subscriptions. Source: docs/contracts/core.md sections 3.3 and 5."""

from typing import Any

import pytest

from tests.dialects.core.client import WATER, Client

PAST = "2024-01-05T08:00:00Z"


def created(client: Client, **body: Any) -> tuple[int, Any]:
    return client("POST", "/execution-instance", {"strategyId": WATER["name"], "startDate": PAST, **body})


class TestDryRun:
    """``dryRun`` tells which dates will run and which will not, and stores nothing."""

    @pytest.mark.parametrize("missed", ["last", "all", "skip"])
    def test_it_tells_what_then_happens(self, client: Client, missed: str) -> None:
        client.saved(WATER)
        status, preview = created(client, missed=missed, dryRun=True)
        assert (status, preview["dryRun"], preview["status"]) == (200, True, "ACTIVE")
        assert client.ports.instances.instances == {}

        status, answer = created(client, missed=missed)
        assert status == 201
        for name in ("overdueEvents", "skipped"):
            assert preview.get(name) == answer.get(name)
        main = answer["createdEvents"]["mainEvent"]
        assert preview["createdEvents"]["mainEvent"]["date"] == main["date"]

    def test_skip_lists_the_cycles_that_do_not_run(self, client: Client) -> None:
        client.saved(WATER)
        _, preview = created(client, missed="skip", dryRun=True)
        (skipped,) = preview["skipped"]
        assert (skipped["first"], skipped["date"], skipped["why"]) == (
            1,
            "2024-01-05T08:00:00.000Z",
            "skipped: its date has passed (onResume: skip)",
        )
        assert "overdueEvents" not in preview

    def test_last_lists_the_date_that_runs(self, client: Client) -> None:
        client.saved(WATER)
        _, preview = created(client, missed="last", dryRun=True)
        (late,) = preview["overdueEvents"]
        assert late["cycle"] == preview["skipped"][0]["last"] + 1

    def test_its_problems_are_those_of_the_creation(self, client: Client) -> None:
        client.saved(WATER)
        status, answer = created(client, endDate="2023-01-01", dryRun=True)
        assert (status, [one["pointer"] for one in answer["problems"]]) == (400, ["/endDate"])


class TestBadInput:
    @pytest.mark.parametrize(("member", "value"), [("missed", "shift"), ("missed", 1), ("dryRun", "yes")])
    def test_it_is_refused(self, client: Client, member: str, value: Any) -> None:
        client.saved(WATER)
        status, answer = created(client, **{member: value})
        assert (status, [one["pointer"] for one in answer["problems"]]) == (400, [f"/{member}"])
        assert client.ports.instances.instances == {}

    def test_null_is_as_left_out(self, client: Client) -> None:
        client.saved(WATER)
        assert created(client, missed=None)[0] == 201


def test_an_answer_about_a_start_in_the_future_says_nothing_of_it(client: Client) -> None:
    client.saved(WATER)
    status, answer = created(client, startDate="2060-01-01T08:00:00Z", missed="skip")
    assert (status, {"overdueEvents", "skipped"} & set(answer)) == (201, set())
