from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import settings as given_settings
from hypothesis import strategies as st

from shared.domain.errors import InvalidInputError
from shared.domain.instance.replay import position, stack
from shared.domain.instance.run import Ending, Intent, Outcome, Path
from shared.domain.steps.flow import MAX_VISITS
from shared.domain.strategy.parse import read_definition
from tests.factories import NO_ANSWER, Journey, a_success, an_error, hours, settings

KEYS = ("a", "b", "c", "d")
MOST_RETRIES = 2
MAX_RUNS = (1 + MOST_RETRIES) * (1 + len(KEYS))  # each step may set the attempts back once
KINDS = ("callback", "onError", "onBeforeRetry", "onBeforePause")
CONDITIONS = ("true", "false", "attempt == 1", "stack.a.success", "attributes.missing == 1.0")
OUTCOMES: tuple[Outcome, ...] = (a_success({"n": 1}), a_success(), an_error(500), NO_ANSWER)

rules = st.fixed_dictionaries(
    {
        "if": st.sampled_from(KINDS),
        "nextStep": st.sampled_from(KEYS),
        "ifCallback": st.sampled_from(CONDITIONS),
    }
)
steps = st.fixed_dictionaries(
    {
        "optional": st.booleans(),
        "repeatOnRetry": st.booleans(),
        "resetAttempts": st.booleans(),
        "nextStepRules": st.lists(rules, max_size=3),
        "nextStep": st.none() | st.sampled_from(KEYS),
        "delay": st.none() | st.just(hours(1)),
    }
)


def reached(chosen: Mapping[str, dict[str, Any]]) -> list[str]:
    """Return the keys that can be reached from ``a``; a definition may have no others."""
    found: list[str] = []
    ahead = ["a"]
    while ahead:
        key = ahead.pop()
        if key not in found:
            found.append(key)
            ahead += [rule["nextStep"] for rule in chosen[key]["nextStepRules"]]
            ahead += [chosen[key]["nextStep"]] if chosen[key]["nextStep"] else []
    return found


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """Return settings of one task; a loop without a wait gets a delay."""
    chosen = {key: draw(steps) for key in KEYS}
    retry = {
        "times": draw(st.integers(0, MOST_RETRIES)),
        "retryAfter": hours(1),
        "pauseBeforeCancel": draw(st.booleans()),
    }
    graph: list[dict[str, Any]] = [{"key": key, "action": "post", **chosen[key]} for key in reached(chosen)]
    document = settings({"key": "charge", "initialStep": "a", "retryConfig": retry, "steps": graph})
    try:
        read_definition(document, environment="dev")
    except InvalidInputError:
        for step in graph:
            step["delay"] = hours(1)
    return document


class TestEveryRunEnds:
    """Any graph and any answers: a run ends within bounds, and replaying its journal leads to the same position."""

    @given_settings(max_examples=60, deadline=None)
    @given(document=documents(), outcomes=st.lists(st.sampled_from(OUTCOMES), min_size=1, max_size=12))
    def test_the_journal_leads_to_the_same_position(
        self, document: dict[str, Any], outcomes: list[Outcome]
    ) -> None:
        run = Journey(document)
        self.run_to_the_end(run, outcomes)
        runs = 1
        while run.end.how is Ending.RETRY:
            run.retry()
            self.run_to_the_end(run, outcomes)
            runs += 1
            assert runs <= MAX_RUNS

        assert run.end.how is Ending.SUCCEEDED or run.end.failure is not None
        assert run.event.attempt <= 1 + MOST_RETRIES

    def run_to_the_end(self, run: Journey, outcomes: list[Outcome]) -> None:
        visits = 0
        while isinstance(run.then, Intent):
            assert position(run.event_history, run.event) == run.then
            assert set(run.intent.passed) <= set(stack(run.event_history, run.event, run.intent))
            assert run.intent.visit == visits + 1
            assert (run.intent.failure is None) == (run.intent.path is Path.MAIN)
            run.goes(outcomes[visits % len(outcomes)])
            visits += 1
            assert visits <= MAX_VISITS
        assert position(run.event_history, run.event) == run.then
