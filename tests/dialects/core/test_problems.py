"""The list of problems, and dismissing a problem. Source: docs/contracts/core.md section 5."""

import json
from datetime import timedelta
from typing import Any

import pytest

from shared.application.commit import execute
from shared.application.ports import UnknownStrategyError
from shared.domain.instance.due import GRACE
from shared.domain.instance.problems import ProblemKind, Remedy
from shared.domain.lifecycle.commands import RecordSweep
from shared.domain.steps.call import Answered, TimedOut
from tests.dialects.automation.client import Services
from tests.dialects.core.client import WATER, Client
from tests.domain.strategy.definitions import changed
from tests.factories import settings, step, task

Json = dict[str, Any]
SECRET = WATER["secret"]
BASE = changed(
    "/services/0/methods/1/inDoubt",
    "pause",
    of=settings(task("charge", step("pay")), task("mail", step("send"))),
)
PAUSES = changed("/tasks/0/retryConfig", {"times": 0, "pauseBeforeCancel": True}, of=BASE)
CANCELS = BASE
ASKS = changed("/services/0/methods/1/async", value=True, of=BASE)


class Town:
    """Strategies whose services give the answers that the test chooses."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.services = Services()
        client.ports.caller = self.services
        for name, of in (("pauses", PAUSES), ("cancels", CANCELS), ("asks", ASKS)):
            client.saved({"name": name, "secret": SECRET, "settings": of})

    def started(self, strategy: str = "pauses", **more: Any) -> str:
        self.client.ports.clock.at += timedelta(seconds=1)
        return str(self.client.started(strategyId=strategy, **more)["executionInstance"]["sid"])

    def failing(self, answer: Answered | TimedOut, strategy: str = "pauses", **more: Any) -> str:
        sid = self.started(strategy, **more)
        self.services.answers = [answer]
        self.client.run(sid)
        return sid

    def with_failed_mail(self, **more: Any) -> str:
        """Return an instance whose added event has failed, a minute after its start."""
        sid = self.started(startDate="2030-01-01", **more)
        self.client("POST", f"/execution-instance/{sid}/events", {"task": "mail"})
        self.services.answers = [Answered(status=422, body={"error": "no queue"})]
        self.client.run(sid)
        return sid

    def problems(self, query: str = "", **more: Any) -> list[Json]:
        status, page = self.client("GET", f"/problems{query}", **more)
        assert status == 200, page
        return list(page["items"])

    def kinds_of(self, query: str = "") -> list[tuple[str, str]]:
        return [(one["kind"], one["executionInstanceSid"]) for one in self.problems(query)]


@pytest.fixture
def town(client: Client) -> Town:
    return Town(client)


class TestProblems:
    """Everything that needs a person is listed, newest first, and leaves the list when it is repaired."""

    def test_a_healthy_account_has_no_problem(self, town: Town) -> None:
        town.services.answers = [Answered(status=200, body={})]
        town.client.run(town.started())
        town.client("POST", f"/execution-instance/{town.started()}/pause")

        assert town.problems() == []

    def test_every_kind_is_shown_newest_first(self, town: Town) -> None:
        declined = town.failing(Answered(status=402))
        doubtful = town.failing(TimedOut(why="silence"))
        lost = town.failing(Answered(status=402), "cancels")
        mail = town.with_failed_mail()

        assert town.kinds_of() == [
            ("FAILED_EVENT", mail),
            ("EXHAUSTED", lost),
            ("IN_DOUBT", doubtful),
            ("EXHAUSTED", declined),
        ]

    def test_a_problem_says_what_failed_and_what_to_do(self, town: Town) -> None:
        sid = town.failing(Answered(status=402, body={"code": "declined"}), reference="o-1")

        (problem,) = town.problems()

        assert problem == {
            "kind": "EXHAUSTED",
            "since": "2026-01-01T12:00:01.000Z",
            "why": "api/post returned HTTP 402",
            "error": "http-402",
            "executionInstanceSid": sid,
            "executionEventSid": f"{sid}-1",
            "strategyId": "pauses",
            "reference": "o-1",
            "status": "PAUSED",
            "reason": "exhausted:http-402",
            "call": {"service": "api", "method": "post", "step": "pay", "status": 402},
            "commands": [
                f"POST /execution-instance/{sid}/resume",
                f"POST /execution-event/{sid}-1/retry",
                f"POST /execution-instance/{sid}/cancel",
            ],
        }

    def test_a_closed_event_has_its_call(self, town: Town) -> None:
        sid = town.failing(Answered(status=402), "cancels")

        (problem,) = town.problems()

        assert problem["call"]["status"] == 402
        assert problem["commands"] == [
            f"POST /execution-event/{sid}-1/retry",
            f"POST /execution-instance/{sid}/dismiss",
        ]

    def test_an_excerpt_needs_the_strategys_secret_and_hides_secrets(self, town: Town) -> None:
        body = {"code": "declined", "cardNumber": "4111", "nested": [{"accessToken": "t", "hint": "x" * 999}]}
        town.failing(Answered(status=402, body=body))

        assert "excerpt" not in town.problems()[0]["call"]
        excerpt = town.problems("?strategyId=pauses")[0]["call"]["excerpt"]
        assert excerpt.startswith(
            '{"code": "declined", "cardNumber": "***", "nested": [{"accessToken": "***"'
        )
        assert (len(excerpt), excerpt[-1]) == (500, "…")
        assert town.client("GET", "/problems?strategyId=pauses", secret="x" * 16)[0] == 403

    def test_a_body_that_is_a_text_is_shown_as_it_is(self, town: Town) -> None:
        town.failing(Answered(status=402, body="no funds"))

        assert town.problems("?strategyId=pauses")[0]["call"]["excerpt"] == "no funds"

    def test_repaired_problems_are_not_shown(self, town: Town) -> None:
        declined = town.failing(Answered(status=402))
        doubtful = town.failing(TimedOut(why="silence"))
        mail = town.with_failed_mail()
        town.services.answers = [Answered(status=200, body={}) for _ in range(3)]

        town.client("POST", f"/execution-instance/{declined}/resume")
        town.client("POST", f"/execution-event/{doubtful}-1/resolve", {"decision": "skip"})
        town.client("POST", f"/execution-event/{mail}-2/retry")

        assert town.problems() == []

    def test_a_problem_without_readable_settings_has_no_call(
        self, town: Town, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        town.failing(Answered(status=402))

        def missing(*_: Any) -> None:
            raise UnknownStrategyError

        monkeypatch.setattr(type(town.client.ports.strategies), "load", missing)
        (problem,) = town.problems()
        assert (problem["error"], "call" in problem) == ("http-402", False)


class TestFilters:
    """Problems are filtered by kind, strategy and class of error, and come page by page."""

    def test_kind_strategy_and_error(self, town: Town) -> None:
        declined = town.failing(Answered(status=402))
        refused = town.failing(Answered(status=422))
        lost = town.failing(Answered(status=402), "cancels")
        mail = town.with_failed_mail()

        assert town.kinds_of("?kind=FAILED_EVENT") == [("FAILED_EVENT", mail)]
        assert town.kinds_of("?error=http-402") == [("EXHAUSTED", lost), ("EXHAUSTED", declined)]
        assert town.kinds_of("?strategyId=cancels") == [("EXHAUSTED", lost)]
        assert town.kinds_of("?kind=EXHAUSTED&error=http-422") == [("EXHAUSTED", refused)]

    @pytest.mark.parametrize("query", ["", "&kind=EXHAUSTED", "&error=http-402"])
    def test_pages_continue_behind_the_last_instance(self, town: Town, query: str) -> None:
        sids = [town.failing(Answered(status=402)) for _ in range(5)]
        pages: list[list[str]] = []
        cursor = ""
        while True:
            _, page = town.client("GET", f"/problems?limit=2{query}{cursor}")
            pages.append([one["executionInstanceSid"] for one in page["items"]])
            if "nextCursor" not in page:
                break
            cursor = f"&cursor={page['nextCursor']}"

        assert pages == [sids[:2:-1], [sids[2], sids[1]], [sids[0]]]

    def test_a_filtered_page_scans_a_limited_number(
        self, town: Town, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("shared.application.problems.MAX_SCANNED", 2)
        oldest = town.failing(Answered(status=422))
        for _ in range(3):
            town.failing(Answered(status=402))

        _, page = town.client("GET", "/problems?limit=1&error=http-422")
        assert page["items"] == []
        _, page = town.client("GET", f"/problems?limit=1&error=http-422&cursor={page['nextCursor']}")
        assert [one["executionInstanceSid"] for one in page["items"]] == [oldest]

    def test_an_unknown_kind_is_refused(self, town: Town) -> None:
        status, answer = town.client("GET", "/problems?kind=BORED&color=red")

        assert status == 400
        assert {problem["pointer"] for problem in answer["problems"]} == {"/kind", "/color"}

    def test_problems_of_another_account_are_not_shown(self, town: Town) -> None:
        town.failing(Answered(status=402))

        assert town.problems(key="stranger.secret") == []


class TestLateness:
    """An event is late ten minutes after its date, whether the sweeper has met it or not."""

    def test_a_late_event_that_no_sweep_has_reached_is_shown(self, town: Town) -> None:
        sid = town.started()
        town.client.ports.clock.at += timedelta(minutes=9, seconds=59)
        assert town.problems() == []
        town.client.ports.clock.at += timedelta(seconds=1)

        (problem,) = town.problems()

        assert (problem["kind"], problem["executionInstanceSid"]) == ("LATE", sid)
        assert (problem["why"], problem["commands"]) == ("nothing has run it", [])
        assert town.kinds_of("?kind=EXHAUSTED") == []
        assert town.problems(key="stranger.secret") == []

    def test_an_event_whose_wakeups_have_no_effect_is_shown_once(self, town: Town) -> None:
        sid = town.started()
        town.client.ports.clock.at += GRACE + timedelta(minutes=10)
        for _ in range(4):
            execute(town.client.ports, sid, RecordSweep())  # type: ignore[arg-type]

        (problem,) = town.problems()

        assert problem["why"] == "runners were woken for it 4 times and did not run it"


class TestOverdueAnswers:
    """A call without ``answerWithin`` whose answer has not come for seven days is listed. Its event waits on."""

    def unanswered(self, town: Town) -> str:
        """Return an instance that has waited for an answer for seven days, after a runner has looked at it."""
        sid = town.failing(Answered(status=202, body={}), "asks")
        town.client.ports.clock.at += timedelta(days=7)
        town.client.run(sid)
        return sid

    def test_a_wait_is_shown_after_seven_days(self, town: Town) -> None:
        sid = town.failing(Answered(status=202, body={}), "asks", reference="o-1")
        town.client.ports.clock.at += timedelta(days=7) - timedelta(seconds=1)
        town.client.run(sid)
        assert town.problems() == []
        town.client.ports.clock.at += timedelta(seconds=1)
        town.client.run(sid)

        (problem,) = town.problems()

        event = town.client("GET", f"/execution-event/{sid}-1")[1]["event"]
        assert problem == {
            "kind": "ANSWER_OVERDUE",
            "since": "2026-01-08T12:00:01.000Z",
            "why": "the answer to its call has not come, and its method sets no `answerWithin`; the event waits on",
            "executionInstanceSid": sid,
            "executionEventSid": f"{sid}-1",
            "strategyId": "asks",
            "reference": "o-1",
            "status": "ACTIVE",
            "call": {"service": "api", "method": "post", "step": "pay"},
            "commands": [
                "POST /execution-event/<correlationId>/resume",
                f"POST /execution-event/{sid}-1/cancel",
                f"POST /execution-instance/{sid}/cancel",
            ],
        }
        (shown,) = town.problems("?strategyId=asks")
        assert shown["commands"][0] == f"POST /execution-event/{event['correlationId']}/resume"
        assert (event["status"], town.kinds_of("?kind=ANSWER_OVERDUE")) == (
            "PAUSED",
            [("ANSWER_OVERDUE", sid)],
        )

    def test_an_answer_takes_it_off_the_list(self, town: Town) -> None:
        sid = self.unanswered(town)
        (problem,) = town.problems("?strategyId=asks")
        path = problem["commands"][0].removeprefix("POST ")

        assert town.client("POST", path, {"status": "CONFIRMED"})[0] == 200

        assert town.problems() == []
        town.client.run(sid)
        assert town.client("GET", f"/execution-event/{sid}-1")[1]["event"]["status"] == "PROCESSED"

    def test_it_stays_a_problem_during_a_pause(self, town: Town) -> None:
        sid = self.unanswered(town)
        town.client("POST", f"/execution-instance/{sid}/pause")
        assert town.kinds_of() == [("ANSWER_OVERDUE", sid)]

    def test_without_readable_settings_the_command_names_no_correlation_id(
        self, town: Town, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.unanswered(town)

        def missing(*_: Any) -> None:
            raise UnknownStrategyError

        monkeypatch.setattr(type(town.client.ports.strategies), "load", missing)
        (problem,) = town.problems("?strategyId=asks")
        assert problem["commands"][0] == "POST /execution-event/<correlationId>/resume"
        assert "call" not in problem

    def test_sweeps_for_an_overdue_answer_do_not_make_another_event_late(self, town: Town) -> None:
        sid = town.failing(Answered(status=202, body={}), "asks")
        tomorrow = {"task": "mail", "date": "2026-01-09T12:00:00.000Z"}
        assert town.client("POST", f"/execution-instance/{sid}/events", tomorrow)[0] == 201
        town.client.ports.clock.at += timedelta(days=7, minutes=20)
        for _ in range(4):
            execute(town.client.ports, sid, RecordSweep())  # type: ignore[arg-type]

        assert town.problems() == []


class TestRefusedResumes:
    """An instance that could not resume at the end of its pause waits for a person."""

    def test_it_is_shown_with_the_commands_that_end_it(self, client: Client) -> None:
        every_minute = {"unit": "minutes", "amount": 1}
        dense = changed("/schedule/calendars/0/scheduleAfter", every_minute, of=WATER["settings"])
        client.saved({**WATER, "settings": dense})
        sid = client.started()["executionInstance"]["sid"]
        client("POST", f"/execution-instance/{sid}/pause", {"until": "2026-03-01T00:00:00Z"})
        client.ports.clock.at += timedelta(days=90)
        client.run(sid)

        (problem,) = client("GET", "/problems?kind=RESUME_REFUSED")[1]["items"]

        assert problem["why"] == (
            "the pause ended at 2026-03-01T00:00:00.000Z, but the resume was refused: more than 1000 planned dates "
            "were missed"
        )
        assert problem["commands"] == [
            f"POST /execution-instance/{sid}/resume",
            f"POST /execution-instance/{sid}/cancel",
        ]
        shown = client("GET", f"/execution-instance/{sid}")[1]
        assert (shown["status"], shown["resumeRefused"]["why"]) == ("PAUSED", problem["why"])
        assert client("POST", f"/execution-instance/{sid}/resume", {"onResume": "all"})[0] == 200
        assert client("GET", "/problems?kind=RESUME_REFUSED")[1]["items"] == []


class TestDismiss:
    """A final problem leaves the list with a comment. A problem that can still be repaired does not."""

    def dismiss(self, town: Town, sid: str, comment: str = "the customer died") -> tuple[int, Any]:
        return town.client("POST", f"/execution-instance/{sid}/dismiss", {"comment": comment})

    def test_a_final_problem_is_dismissed_and_audited(self, town: Town) -> None:
        lost = town.failing(Answered(status=402), "cancels")

        assert self.dismiss(town, lost)[0] == 200

        assert town.problems() == []
        entry = town.client("GET", f"/audit?target={lost}")[1]["items"][0]
        assert (entry["command"], entry["reason"], entry["by"]) == ("dismiss", "the customer died", "admin")
        assert self.dismiss(town, lost)[0] == 200

    def test_a_failed_side_task_is_dismissed_and_its_instance_continues(self, town: Town) -> None:
        mail = town.with_failed_mail()

        assert self.dismiss(town, mail)[1]["status"] == "ACTIVE"
        assert town.problems() == []

    def test_a_plan_that_cannot_continue_is_dismissed(self, town: Town) -> None:
        once = changed("/schedule/calendars/0/runOnCycle", 1, of=BASE)
        town.client.saved({"name": "once", "secret": SECRET, "settings": once})
        sid = town.failing(Answered(status=200, body={}), "once")
        assert town.kinds_of() == [("CREATE_CYCLE_ERROR", sid)]
        assert town.problems()[0]["commands"] == [f"POST /execution-instance/{sid}/dismiss"]

        self.dismiss(town, sid)

        assert town.problems() == []

    def test_a_problem_that_is_not_final_cannot_be_dismissed(self, town: Town) -> None:
        declined = town.failing(Answered(status=402))

        status, answer = self.dismiss(town, declined)

        assert (status, answer["message"]) == (
            409,
            ["the problem is not final (EXHAUSTED): resume, resolve, retry or cancel instead"],
        )

    def test_only_the_final_problems_of_an_instance_are_dismissed(self, town: Town) -> None:
        sid = town.with_failed_mail()
        town.client.ports.clock.at += timedelta(seconds=1)
        town.services.answers = [TimedOut(why="silence")]
        town.client("POST", f"/execution-instance/{sid}/events", {"task": "mail"})
        town.client.run(sid)
        assert town.kinds_of() == [("IN_DOUBT", sid), ("FAILED_EVENT", sid)]

        self.dismiss(town, sid)

        assert town.kinds_of() == [("IN_DOUBT", sid)]

    def test_many_are_dismissed_at_once(self, town: Town) -> None:
        lost = [town.failing(Answered(status=402), "cancels") for _ in range(3)]
        body = {
            "selection": {"phase": "FAULTED", "reason": "exhausted:http-402"},
            "command": {"name": "dismiss"},
            "comment": "written off",
        }

        _, answer = town.client("POST", "/bulk-operation", body)

        assert answer["counts"]["changed"] == len(lost)
        assert town.problems() == []
        assert town.client("POST", "/bulk-operation", body)[1]["counts"]["alreadyThere"] == len(lost)

    @pytest.mark.parametrize("body", [{}, {"comment": ""}, {"comment": "x" * 1001}, {"comment": 1}])
    def test_a_comment_is_required(self, town: Town, body: Json) -> None:
        lost = town.failing(Answered(status=402), "cancels")

        assert town.client("POST", f"/execution-instance/{lost}/dismiss", body)[0] == 400


class TestCommands:
    """Each command that a problem names works on it."""

    def world(self, town: Town) -> list[str]:
        return [
            town.failing(Answered(status=402)),
            town.failing(TimedOut(why="silence")),
            town.failing(Answered(status=402), "cancels"),
            town.with_failed_mail(),
            TestOverdueAnswers().unanswered(town),
        ]

    def test_every_named_command_is_applied(self, town: Town) -> None:
        bodies: dict[str, Json] = {"dismiss": {"comment": "no"}, "resolve": {"decision": "skip"}}
        seen: set[tuple[str, str]] = set()
        for number in range(5):
            for choice in range(3):
                sid = self.world(town)[number]
                strategy = town.client("GET", f"/execution-instance/{sid}")[1]["strategyId"]
                query = f"?limit=100&strategyId={strategy}"
                (problem,) = [one for one in town.problems(query) if one["executionInstanceSid"] == sid]
                for command in problem["commands"][choice : choice + 1]:
                    method, _, path = command.partition(" ")
                    name = path.rpartition("/")[2]
                    status, answer = town.client(method, path, bodies.get(name))
                    assert status == 200, (command, json.dumps(answer))
                    seen.add((path.split("/")[1], name))
                    left = [one["executionInstanceSid"] for one in town.problems("?limit=100")]
                    assert sid not in left, command

        instance, event = "execution-instance", "execution-event"
        assert seen == {
            (instance, "resume"),
            (instance, "cancel"),
            (instance, "dismiss"),
            (event, "retry"),
            (event, "resolve"),
            (event, "resume"),
            (event, "cancel"),
        }
        assert len(seen) == len(Remedy)

    def test_every_kind_has_a_test_here(self) -> None:
        assert {kind.value for kind in ProblemKind} == {
            "EXHAUSTED",
            "IN_DOUBT",
            "POISONED",
            "RESUME_REFUSED",
            "FAILED_EVENT",
            "CREATE_CYCLE_ERROR",
            "ANSWER_OVERDUE",
            "LATE",
        }
