"""Stored histories and long lists can be read back. Source: docs/contracts/core.md section 5."""

from typing import Any

import pytest

from shared.domain.steps.call import Answered
from tests.cases.engine import Engine, Running, changed, settings_of

ACCEPTED = Answered(status=202)
SETTINGS = settings_of("history-after-answer")


class TestHistoryAfterAnAnswer:
    """The history of an event can be read at once after the answer to its asynchronous call."""

    def waiting(self, stored: Engine, *answers: Answered, **changes: Any) -> tuple[Running, str]:
        """Return an instance whose event waits, and the path for the answer."""
        stored.services.answers = list(answers or [ACCEPTED])
        run = stored.start(changed(SETTINGS, **changes))
        return run, f"/execution-event/{stored.services.sent[-1].body['cb']}/resume"

    def steps(self, run: Running) -> list[tuple[str, str, int | None]]:
        event = run.history()[-1]
        return [(event["status"], step["outcome"], step.get("status")) for step in event["steps"]]

    def test_the_history_has_the_event_before_and_after_the_answer(self, stored: Engine) -> None:
        run, path = self.waiting(stored)
        assert self.steps(run) == [("PAUSED", "SENT", 202), ("PAUSED", "AWAITED", None)]

        run.command(path, {"ok": True})
        assert self.steps(run) == [("QUEUED", "SENT", 202)]

        run.advance()
        assert self.steps(run) == [("PROCESSED", "SENT", 202), ("PROCESSED", "SUCCEEDED", None)]
        assert [event["sid"] for event in run.history()] == [f"{run.sid}-2", f"{run.sid}-1"]

    @pytest.mark.parametrize("body", [None, {}, {"ok": False, "n": 7615917337495251231}, {"l": [[], {}]}])
    def test_the_answer_may_be_any_object(self, stored: Engine, body: Any) -> None:
        run, path = self.waiting(stored)
        run.command(path, body)

        assert self.steps(run) == [("QUEUED", "SENT", 202)]
        assert run.advance().event()["taskStatus"]["taskResults"][0].get("response") == body

    def test_an_answer_to_a_paused_instance_is_in_it(self, stored: Engine) -> None:
        run, path = self.waiting(stored)
        run.command("/execution-instance/{sid}/pause")
        run.command(path, {"ok": True})

        assert self.steps(run) == [("QUEUED", "SENT", 202)]
        assert run.instance()["status"] == "PAUSED"

    def test_a_call_without_an_answer_in_time_is_in_it(self, stored: Engine) -> None:
        method = {"key": "m", "url": "/as", "method": "post", "async": True, "answerWithin": _hours(1)}
        run, _ = self.waiting(stored, services_0_methods_0=method)
        run.advance(hours=1)

        assert self.steps(run) == [("FAILED", "SENT", 202), ("FAILED", "UNANSWERED", None)]

    def test_an_answer_that_the_workflow_refuses_is_in_it(self, stored: Engine) -> None:
        callback = 'response.ok ? {} : {"fail": "declined"}'
        run, path = self.waiting(stored, tasks_0_steps_0_resumeControllerCallback=callback)
        run.command(path, {"ok": False})
        run.advance()

        assert self.steps(run) == [("FAILED", "SENT", 202), ("FAILED", "FAILED", None)]


def _hours(amount: int) -> dict[str, Any]:
    return {"unit": "hours", "amount": amount}


@pytest.mark.parametrize("dynamodb", ["roto"], indirect=True)
@pytest.mark.allow_hosts(["127.0.0.1"])
class TestLongLists:
    """A list of more than a hundred items has pages: 100 items and a cursor, then the rest."""

    def pages(self, stored: Engine, path: str) -> list[int]:
        """Return the number of items of each page. No item may be on two of them."""
        sizes: list[int] = []
        seen: set[str] = set()
        cursor = ""
        while True:
            status, answer = stored.client("GET", f"{path}?limit=100{cursor}", secret=None)
            assert status == 200, answer
            sizes.append(len(answer["items"]))
            seen |= {str(one.get("sid") or one.get("keyId")) for one in answer["items"]}
            if "nextCursor" not in answer:
                break
            cursor = f"&cursor={answer['nextCursor']}"
        assert len(seen) == sum(sizes)
        return sizes

    @pytest.mark.parametrize(("count", "pages"), [(99, [99]), (100, [100]), (101, [100, 1])])
    def test_strategies_fill_pages_of_a_hundred(self, stored: Engine, count: int, pages: list[int]) -> None:
        settings = settings_of("nul-attribute")
        for number in range(count):
            body = {"name": f"n{number}", "secret": "p" * 16, "settings": settings}
            assert stored.client("POST", "/execution-strategy", body)[0] == 201

        assert self.pages(stored, "/execution-strategy") == pages

    def test_bulk_operations_fill_pages_of_a_hundred(self, stored: Engine) -> None:
        run = stored.start(settings_of("nul-attribute"))
        for _ in range(101):
            body = {"selection": {"ids": [run.sid]}, "command": {"name": "pause"}}
            assert stored.client("POST", "/bulk-operation", body)[0] == 200

        assert self.pages(stored, "/bulk-operation") == [100, 1]

    def test_access_keys_fill_pages_of_a_hundred(self, stored: Engine) -> None:
        before = self.pages(stored, "/access-key")
        for _ in range(101 - sum(before)):
            assert stored.client("POST", "/access-key", {"role": "viewer"})[0] == 201

        assert self.pages(stored, "/access-key") == [100, 1]

    def test_instances_fill_pages_of_a_hundred(self, stored: Engine) -> None:
        stored.start(settings_of("nul-attribute"))
        for _ in range(100):
            body = {"strategyId": "case"}
            assert stored.client("POST", "/execution-instance", body)[0] == 201

        assert self.pages(stored, "/execution-instance") == [100, 1]

    @pytest.mark.parametrize("limit", ["0", "101", "-1", "x", ""])
    def test_a_limit_beyond_a_hundred_is_refused(self, stored: Engine, limit: str) -> None:
        for path in ("execution-strategy", "bulk-operation", "access-key", "execution-instance", "audit"):
            status, answer = stored.client("GET", f"/{path}?limit={limit}", secret=None)
            assert (status, [one["pointer"] for one in answer["problems"]]) == (400, ["/limit"])
