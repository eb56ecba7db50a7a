"""The history of an event: every step of all its runs. Source: docs/contracts/core.md section 5."""

from msgspec.structs import replace

from shared.domain.ids import InstanceSid
from shared.domain.instance.event import EventKind, EventStatus
from shared.domain.instance.journal import EventHistory, EventRecord
from shared.domain.instance.run import Ending, Intent, Outcome, Path, RunEnd
from shared.domain.lifecycle.commands import CancelEvent, Conclude, Pause, Wait
from shared.domain.steps.call import Answered
from shared.domain.steps.history import PastEvent, StepOutcome, last_finished_run, past_event
from shared.domain.strategy.model import Json
from tests.factories import an_event, an_instance
from tests.lifecycle_factories import (
    ANN,
    DECLINED,
    DONE,
    SILENT,
    Life,
    at,
    ended,
    life,
    retries,
    strategy,
)

NOON = at("2026-01-31T12:00")
LATER = at("2026-01-31T13:00")
STEPS: Json = [
    {"key": "call", "action": "post", "nextStep": "tell"},
    {
        "key": "tell",
        "action": "post",
        "nextStepRules": [
            {"if": "onBeforeRetry", "nextStep": "mail"},
            {"if": "onBeforePause", "nextStep": "mail"},
        ],
    },
    {"key": "mail", "action": "post", "final": True},
]


def run(of: Life, *outcomes: Outcome, now: str = "2026-01-31T12:00") -> Life:
    """Claim and execute the main event, conclude its end, and keep its last step in the record if it closes."""
    of.claim(of.main, at(now))
    for outcome in outcomes:
        then = of.step(outcome, at(now))
        if isinstance(then, RunEnd):
            entries = of.event_history(1).entries
            closes = then.how is Ending.SUCCEEDED
            if closes:
                of.event_histories[1] = EventHistory(entries=entries[:-1])
            of.decide(
                Conclude(
                    seq=1,
                    fence=of.instance.fence,
                    end=then,
                    in_doubt=False,
                    known_visits=0,
                    last=entries[-1] if closes else None,
                ),
                at(now),
            )
    return of


def past(of: Life, seq: int = 1) -> PastEvent:
    record = next((record for record in of.records if record.event.seq == seq), None)
    found = past_event(of.instance, seq, replace(of.event_history(seq), record=record))
    assert found is not None
    return found


def step_outcomes(of: Life) -> list[tuple[str, int, str]]:
    return [(step.step, step.run, step.outcome.value) for step in past(of).steps]


class TestStepsOfAnEvent:
    """Every step of every run is listed: executed, passed, running or interrupted."""

    def test_the_last_step_of_a_closed_event_is_in_its_record(self) -> None:
        of = run(life(strategy(steps=STEPS)), DONE, DONE)
        assert step_outcomes(of) == [("call", 1, "SUCCEEDED"), ("tell", 1, "SUCCEEDED")]
        found = past(of)
        assert found.record == of.records[0]
        assert [step.entry is not None for step in found.steps] == [True, True]

    def test_all_runs_appear_with_side_paths_and_passed_steps(self) -> None:
        once = [*STEPS[:2], {**STEPS[2], "repeatOnRetry": False}]
        of = life(strategy(steps=once, retry=retries(2)))
        run(of, DONE, DECLINED, DONE)
        run(of, SILENT, now="2026-01-31T13:00")
        run(of, DONE, now="2026-01-31T14:00")
        assert step_outcomes(of) == [
            ("call", 1, "SUCCEEDED"),
            ("tell", 1, "FAILED"),
            ("mail", 1, "SUCCEEDED"),
            ("call", 2, "FROM_CACHE"),
            ("tell", 2, "UNANSWERED"),
            ("mail", 2, "FROM_CACHE"),
            ("call", 3, "FROM_CACHE"),
            ("tell", 3, "SUCCEEDED"),
        ]
        assert [(step.attempt, step.path) for step in past(of).steps] == [
            (1, Path.MAIN),
            (1, Path.MAIN),
            (1, Path.BEFORE_RETRY),
            (2, Path.MAIN),
            (2, Path.MAIN),
            (2, Path.BEFORE_RETRY),
            (3, Path.MAIN),
            (3, Path.MAIN),
        ]

    def test_a_passed_step_has_neither_intent_nor_entry(self) -> None:
        of = life(strategy(steps=STEPS, retry=retries(2)))
        run(of, DONE, DECLINED, DONE)
        run(of, DONE, now="2026-01-31T13:00")
        cached = past(of).steps[3]
        assert (cached.step, cached.intent, cached.entry) == ("call", None, None)

    def test_a_refused_call_is_repeated_by_the_next_step(self) -> None:
        of = life(strategy(steps=STEPS, retry={"times": 0}))
        of.refuse(Answered(status=503), at("2026-01-31T12:00"))
        assert step_outcomes(of) == [("call", 1, "REFUSED")]

        run(of, DONE, DONE, now="2026-01-31T12:01")

        assert step_outcomes(of) == [
            ("call", 1, "REFUSED"),
            ("call", 1, "SUCCEEDED"),
            ("tell", 1, "SUCCEEDED"),
        ]
        first, second = (step.intent for step in past(of).steps[:2])
        assert first is not None
        assert second is not None
        assert (second.call_key, second.attempt) == (first.call_key, 1)

    def test_the_current_step_of_a_running_event_is_running(self) -> None:
        of = life(strategy(steps=STEPS))
        run(of, DONE)
        assert step_outcomes(of) == [("call", 1, "SUCCEEDED"), ("tell", 1, "UNDER_WAY")]
        at_it = past(of).steps[-1]
        assert (at_it.intent is not None, at_it.entry) == (True, None)

    def test_the_current_step_after_a_takeover_is_cut_off(self) -> None:
        of = life(strategy(steps=STEPS))
        run(of, DONE)
        assert of.instance.lease is not None
        of.claim(of.running, of.instance.lease.until)
        assert step_outcomes(of)[-1] == ("tell", 1, "CUT_OFF")

    def test_the_step_after_a_takeover_is_running(self) -> None:
        of = life(strategy(steps=STEPS))
        of.claim(of.main, NOON)
        assert of.instance.lease is not None
        of.claim(of.running, of.instance.lease.until)
        of.step(DONE, LATER)
        assert step_outcomes(of) == [("call", 1, "SUCCEEDED"), ("tell", 1, "UNDER_WAY")]

    def test_the_step_of_an_event_canceled_in_flight_is_cut_off(self) -> None:
        of = life(strategy(steps=STEPS))
        run(of, DONE)
        of.decide(CancelEvent(seq=1, by=ANN), LATER)
        assert step_outcomes(of) == [("call", 1, "SUCCEEDED"), ("tell", 1, "CUT_OFF")]

    def test_the_next_step_of_a_released_event_is_not_reported(self) -> None:
        of = life(strategy(steps=STEPS))
        run(of, DONE)
        of.decide(Wait(seq=1, fence=1, until=None, known_visits=1), LATER)
        assert step_outcomes(of) == [("call", 1, "SUCCEEDED")]

    def test_a_step_in_doubt_is_cut_off(self) -> None:
        of = life(strategy(steps=STEPS))
        run(of, DONE)
        of.conclude(ended(Ending.IN_DOUBT, NOON), NOON)
        assert step_outcomes(of) == [("call", 1, "SUCCEEDED"), ("tell", 1, "CUT_OFF")]

    def test_an_event_that_has_not_begun_has_no_steps(self) -> None:
        assert step_outcomes(life()) == []


class TestARunWithoutSteps:
    """A run in which every step was passed leaves no journal entry once the next run has begun."""

    def test_a_run_without_executed_steps_is_left_out(self) -> None:
        of = life(strategy(steps=STEPS, retry=retries(2)))
        run(of, DONE, DECLINED, DONE)
        (first, *others) = of.event_history(1).entries
        of.event_histories[1] = EventHistory(entries=(first, *others, replace(first, run=3)))
        of.instance = of.instance.with_event(replace(of.main, run=3))
        assert [(step.step, step.run) for step in past(of).steps] == [
            ("call", 1),
            ("tell", 1),
            ("mail", 1),
            ("call", 3),
        ]


class TestOpenEvents:
    """For an open event the instance is the truth; a record was written by a runner without its lease."""

    def test_a_record_of_an_open_event_does_not_count(self) -> None:
        of = life(strategy(steps=STEPS))
        run(of, DONE)
        twin = Life(strategy=of.strategy, instance=of.instance, event_histories=dict(of.event_histories))
        end = twin.step(DONE, NOON)
        twin.conclude(end, NOON)
        found = past_event(of.instance, 1, replace(of.event_history(1), record=twin.records[0]))
        assert found is not None
        assert (found.record, found.event.status) == (None, EventStatus.EXECUTING)

    def test_an_unknown_event_has_no_history(self) -> None:
        assert past_event(life().instance, 9, EventHistory()) is None

    def test_a_paused_event_keeps_its_place(self) -> None:
        of = life(strategy(steps=STEPS))
        run(of, DONE)
        of.decide(Pause(by=ANN, kill=True), LATER)
        (_, at_it) = past(of).steps
        assert (at_it.outcome, isinstance(at_it.intent, Intent)) == (StepOutcome.CUT_OFF, True)


class TestLastFinishedRun:
    """The main event whose run finished last, whether it succeeded or failed."""

    def closed(
        self, seq: int, status: EventStatus, hour: int, kind: EventKind = EventKind.MAIN
    ) -> EventRecord:
        event = an_event(seq, status=status, kind=kind)
        finished_at = at(f"2026-01-31T{hour}:00")
        return EventRecord(instance_sid=InstanceSid("i"), event=event, fence=1, finished_at=finished_at)

    def test_the_last_finished_main_event_is_returned(self) -> None:
        first = self.closed(1, EventStatus.PROCESSED, 15)
        second = self.closed(2, EventStatus.FAILED, 14)

        assert last_finished_run(an_instance(next_seq=3), [second, first]) == first

    def test_other_events_do_not_count(self) -> None:
        ran = self.closed(1, EventStatus.FAILED, 13)
        canceled = self.closed(2, EventStatus.CANCELED, 14)
        beside = self.closed(3, EventStatus.PROCESSED, 15, EventKind.LEADING_UP)
        too_late = self.closed(4, EventStatus.PROCESSED, 16)
        instance = an_instance(an_event(4))

        assert last_finished_run(instance, [too_late, beside, canceled, ran]) == ran
        assert last_finished_run(instance, [too_late, beside, canceled]) is None
