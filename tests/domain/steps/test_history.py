"""What became of an event, step by step, over all of its runs. Source: contracts/core.md section 5."""

from dataclasses import replace

from shared.domain.ids import InstanceSid
from shared.domain.instance.event import EventKind, EventStatus
from shared.domain.instance.journal import EventHistory, EventRecord
from shared.domain.instance.run import Ending, Intent, Outcome, Path, RunEnd
from shared.domain.lifecycle.commands import CancelEvent, Conclude, Pause, Wait
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
    """The main event claimed and executed; its end concluded, its last step in the record where it closes."""
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


def told(of: Life) -> list[tuple[str, int, str]]:
    return [(step.step, step.run, step.outcome.value) for step in past(of).steps]


class TestTheStepsOfAnEvent:
    """Every run, every step: executed, passed, under way or cut off."""

    def test_of_one_that_has_run_the_last_step_is_the_records(self) -> None:
        of = run(life(strategy(steps=STEPS)), DONE, DONE)
        assert told(of) == [("call", 1, "SUCCEEDED"), ("tell", 1, "SUCCEEDED")]
        found = past(of)
        assert found.record == of.records[0]
        assert [step.entry is not None for step in found.steps] == [True, True]

    def test_of_all_its_runs_with_their_side_paths_and_what_they_passed(self) -> None:
        of = life(strategy(steps=STEPS, retry=retries(2)))
        run(of, DONE, DECLINED, DONE)
        run(of, SILENT, now="2026-01-31T13:00")
        run(of, DONE, now="2026-01-31T14:00")
        assert told(of) == [
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

    def test_what_was_passed_has_neither_call_nor_end(self) -> None:
        of = life(strategy(steps=STEPS, retry=retries(2)))
        run(of, DONE, DECLINED, DONE)
        run(of, DONE, now="2026-01-31T13:00")
        cached = past(of).steps[3]
        assert (cached.step, cached.intent, cached.entry) == ("call", None, None)

    def test_of_one_that_runs_the_step_it_is_at(self) -> None:
        of = life(strategy(steps=STEPS))
        run(of, DONE)
        assert told(of) == [("call", 1, "SUCCEEDED"), ("tell", 1, "UNDER_WAY")]
        at_it = past(of).steps[-1]
        assert (at_it.intent is not None, at_it.entry) == (True, None)

    def test_of_one_taken_over_from_a_dead_runner_the_step_may_have_been_done(self) -> None:
        of = life(strategy(steps=STEPS))
        run(of, DONE)
        assert of.instance.lease is not None
        of.claim(of.running, of.instance.lease.until)
        assert told(of)[-1] == ("tell", 1, "CUT_OFF")

    def test_and_the_next_one_has_just_begun(self) -> None:
        of = life(strategy(steps=STEPS))
        of.claim(of.main, NOON)
        assert of.instance.lease is not None
        of.claim(of.running, of.instance.lease.until)
        of.step(DONE, LATER)
        assert told(of) == [("call", 1, "SUCCEEDED"), ("tell", 1, "UNDER_WAY")]

    def test_of_one_canceled_in_flight_the_step_may_have_been_done(self) -> None:
        of = life(strategy(steps=STEPS))
        run(of, DONE)
        of.decide(CancelEvent(seq=1, by=ANN), LATER)
        assert told(of) == [("call", 1, "SUCCEEDED"), ("tell", 1, "CUT_OFF")]

    def test_of_one_set_down_between_two_steps_the_next_has_not_begun(self) -> None:
        of = life(strategy(steps=STEPS))
        run(of, DONE)
        of.decide(Wait(seq=1, fence=1, until=None, known_visits=1), LATER)
        assert told(of) == [("call", 1, "SUCCEEDED")]

    def test_of_one_whose_call_an_operator_has_to_decide_about(self) -> None:
        of = life(strategy(steps=STEPS))
        run(of, DONE)
        of.conclude(ended(Ending.IN_DOUBT, NOON), NOON)
        assert told(of) == [("call", 1, "SUCCEEDED"), ("tell", 1, "CUT_OFF")]

    def test_of_one_that_has_not_begun_there_is_none(self) -> None:
        assert told(life()) == []


class TestARunWithoutSteps:
    """All its steps were passed from earlier runs: nothing of it is in the journal once the next run has begun."""

    def test_is_left_out(self) -> None:
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


class TestWhatStandsOnTheInstance:
    """An open event is what its instance says; a record beside it is of a runner that had lost its lease."""

    def test_a_record_of_an_open_event_does_not_count(self) -> None:
        of = life(strategy(steps=STEPS))
        run(of, DONE)
        twin = Life(strategy=of.strategy, instance=of.instance, event_histories=dict(of.event_histories))
        end = twin.step(DONE, NOON)
        twin.conclude(end, NOON)
        found = past_event(of.instance, 1, replace(of.event_history(1), record=twin.records[0]))
        assert found is not None
        assert (found.record, found.event.status) == (None, EventStatus.EXECUTING)

    def test_there_is_none_of_an_unknown_number(self) -> None:
        assert past_event(life().instance, 9, EventHistory()) is None

    def test_a_paused_one_keeps_its_place(self) -> None:
        of = life(strategy(steps=STEPS))
        run(of, DONE)
        of.decide(Pause(by=ANN, kill=True), LATER)
        (_, at_it) = past(of).steps
        assert (at_it.outcome, isinstance(at_it.intent, Intent)) == (StepOutcome.CUT_OFF, True)


class TestTheRunThatFinishedLast:
    """The main event that closed last by a run, well or in vain."""

    def closed(
        self, seq: int, status: EventStatus, hour: int, kind: EventKind = EventKind.MAIN
    ) -> EventRecord:
        event = an_event(seq, status=status, kind=kind)
        finished_at = at(f"2026-01-31T{hour}:00")
        return EventRecord(instance_sid=InstanceSid("i"), event=event, fence=1, finished_at=finished_at)

    def test_by_when_it_finished(self) -> None:
        first = self.closed(1, EventStatus.PROCESSED, 15)
        second = self.closed(2, EventStatus.FAILED, 14)

        assert last_finished_run(an_instance(next_seq=3), [second, first]) == first

    def test_nothing_else_counts(self) -> None:
        ran = self.closed(1, EventStatus.FAILED, 13)
        canceled = self.closed(2, EventStatus.CANCELED, 14)
        beside = self.closed(3, EventStatus.PROCESSED, 15, EventKind.LEADING_UP)
        too_late = self.closed(4, EventStatus.PROCESSED, 16)
        instance = an_instance(an_event(4))

        assert last_finished_run(instance, [too_late, beside, canceled, ran]) == ran
        assert last_finished_run(instance, [too_late, beside, canceled]) is None
