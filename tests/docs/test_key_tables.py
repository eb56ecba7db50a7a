"""The tables that say when a call key changes, in docs/concepts.md and docs/contracts/core.md, row by row."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from shared.domain.instance.journal import Answer
from shared.domain.instance.reason import ErrorKind
from shared.domain.instance.run import Certainty, StepError
from shared.domain.steps.call import (
    AddressRefused,
    Answered,
    CallNotPossibleError,
    CallOutcome,
    TimedOut,
    TokenRefused,
    Unreachable,
)
from shared.domain.steps.outcome import fail_call, in_doubt, judge_answer, judge_call
from tests.factories import NOON, Journey, an_intent, rule, settings, step, task

DOCS = Path(__file__).parents[2] / "docs"
ROW = re.compile(
    r"^\| (?P<outcome>[^|]+) \|(?:[^|]+\|)? (?P<key>new|same) \| \**(?P<doubt>yes|no)\** \|$", re.MULTILINE
)
BROKEN = '{"response": response.missing}'
BROKEN_RULE = rule("callback", "end", "response.missing")


def journey(method: Mapping[str, Any], members: Mapping[str, Any]) -> Journey:
    """Return a journey at the first step of a task, a POST that was not sent before."""
    url = [{"environment": "dev", "url": "https://api.example.com"}]
    call = {"key": "call", "url": "/things", "method": "post", **method}
    steps = [step("charge", action="call", **members)]
    if "nextStepRules" in members:
        steps.append(step("end", controllerCallback="{}"))
    return Journey(
        settings(
            task("charge", *steps),
            services=[{"key": "api", "baseUrls": url, "methods": [call]}],
            actions=[{"key": "call", "service": "api", "method": "call"}],
        )
    )


def after(call: CallOutcome, method: Mapping[str, Any] | None = None, **members: Any) -> Certainty:
    """Return the certainty after an answer to the first sending of a POST."""
    run = journey(method or {}, members)
    run.goes(judge_call(run.context, run.intent, call))
    return run.last.certainty


def of_statuses(*statuses: int) -> list[Certainty]:
    return [after(Answered(status=status)) for status in statuses]


def of_answer() -> Certainty:
    run = journey({"async": True}, {"resumeControllerCallback": BROKEN})
    waiting = an_intent("charge", visit=2, awaits=True, answers_later=True)
    answer = Answer(correlation_id=waiting.correlation_id, key="a", at=NOON, by="gateway", body={})
    return judge_answer(run.context, waiting, answer).certainty


def not_sent() -> list[Certainty]:
    built = fail_call(an_intent("charge"), CallNotPossibleError(StepError(message="no customerId")))
    return [after(Unreachable(why="refused")), after(TokenRefused(why="no token")), built.certainty]


USABLE = Answered(status=201, body={"id": 7})
CANNOT_BE_STORED = (
    Answered(status=200, body={"x": "x" * (193 * 1024)}),
    Answered(status=200, unusable="is not UTF-8"),
    Answered(status=200, body={"a": "\ud800"}),
)
CLOSED: Mapping[str, Any] = {"responseValidation": {"properties": {}}}
CLIENT_ERRORS = (400, 401, 402, 403, 404, 405, 406, *range(410, 425), 426, 428, 431, 451, 499)
OTHER = (300, 302, 307, 501, 505, 507, 520, 599)


def usable() -> list[Certainty]:
    return [after(USABLE), after(Answered(status=299))]


def named_status() -> list[Certainty]:
    return [after(Answered(status=500), {"definiteStatuses": [500]})]


def fail_or_answer() -> list[Certainty]:
    return [after(USABLE, controllerCallback='{"fail": "declined"}'), of_answer()]


def no_answer() -> list[Certainty]:
    return [after(TimedOut(why="no reply")), in_doubt("the runner crashed", ErrorKind.CRASH).certainty]


def not_storable() -> list[Certainty]:
    return [after(answer) for answer in CANNOT_BE_STORED]


def refused_by_schema() -> list[Certainty]:
    return [after(USABLE, CLOSED)]


def controller_broken() -> list[Certainty]:
    return [after(USABLE, controllerCallback=BROKEN)]


def concepts() -> dict[str, list[Certainty]]:
    return {
        "2xx, and its body can be used": usable(),
        "4xx, except the four below": of_statuses(*CLIENT_ERRORS),
        "a status in `definiteStatuses`; a controller's `fail`; an answer to an asynchronous call": [
            *named_status(),
            *fail_or_answer(),
        ],
        "409, 425, 429, 503: refused for now": of_statuses(409, 425, 429, 503),
        "was not sent: no connection, no token": not_sent(),
        "no answer: a crash, a timeout, a connection that broke": no_answer(),
        "408, 500, 502, 504, a redirect, any other status": of_statuses(408, 500, 502, 504, *OTHER),
        "2xx that cannot be used": [*not_storable(), *refused_by_schema(), *controller_broken()],
    }


def contract() -> dict[str, list[Certainty]]:
    return {
        "usable 2xx": usable(),
        "4xx but 408, 409, 425, 429": of_statuses(*CLIENT_ERRORS),
        "a status in `definiteStatuses`": named_status(),
        "a controller's `fail`; the answer of an asynchronous call": fail_or_answer(),
        "409, 425": of_statuses(409, 425),
        "429, 503; a token refused so": [*of_statuses(429, 503), after(TokenRefused(why="HTTP 429"))],
        "not sent: no connection, no token, internal address, no request": [
            *not_sent(),
            after(AddressRefused(why="internal")),
        ],
        "no answer": no_answer(),
        "408, 500, 502, 504": of_statuses(408, 500, 502, 504),
        "3xx, 501, 505, 507, 52x and any other status": of_statuses(*OTHER),
        "2xx too large, undecodable, not storable": not_storable(),
        "2xx that breaks `responseValidation`": refused_by_schema(),
        "2xx whose controller cannot be evaluated": controller_broken(),
        "usable 2xx whose `callback` rule cannot be evaluated": [after(USABLE, nextStepRules=[BROKEN_RULE])],
    }


@pytest.mark.parametrize(
    ("page", "heading", "decided_of"),
    [
        ("concepts.md", "## Nothing twice", concepts),
        ("contracts/core.md", "**What a call's outcome means**", contract),
    ],
)
def test_every_row_is_what_the_code_decides(
    page: str, heading: str, decided_of: Callable[[], dict[str, list[Certainty]]]
) -> None:
    table = (DOCS / page).read_text(encoding="utf-8").partition(heading)[2]
    rows = {row["outcome"]: (row["key"], row["doubt"]) for row in ROW.finditer(table)}

    decided = {
        outcome: {
            (
                "new" if certainty is Certainty.DEFINITE else "same",
                "yes" if certainty is Certainty.IN_DOUBT else "no",
            )
            for certainty in certainties
        }
        for outcome, certainties in decided_of().items()
    }
    assert {outcome: {row} for outcome, row in rows.items()} == decided
