from dataclasses import replace
from typing import Any

from shared.domain.instance.event import Event, EventStatus
from shared.domain.instance.journal import StepResult
from shared.domain.instance.replay import (
    chain,
    heard,
    passed_in_run,
    position,
    stack,
    stored_results,
    unanswered_sending,
    unapplied,
)
from shared.domain.instance.run import Outcome, Path, StepError
from tests.factories import NO_ANSWER, a_success, an_audit, an_end, an_entry, an_error, an_event, an_intent

CHARGE = an_intent("charge")
MAIL = an_intent("mail", visit=2)
CRM = an_intent("crm", visit=2)
RECEIPT = an_intent("receipt", visit=3)


class TestChain:
    """The entries of one run follow from each other. An entry whose step was not the one chosen, or whose
    fence is lower than the one before it, was written by a runner that had lost its lease: it ends the chain.
    """

    def test_entries_in_the_order_of_their_visits(self) -> None:
        first = an_entry(intent=CHARGE, then=MAIL)
        second = an_entry(intent=MAIL, then=an_end())

        assert chain(an_audit(second, first), 1) == (first, second)

    def test_only_of_the_run_asked_for(self) -> None:
        first, retry = an_entry(intent=CHARGE), an_entry(intent=CHARGE, run=2)

        assert chain(an_audit(first, retry), 2) == (retry,)
        assert chain(an_audit(first, retry), 3) == ()

    def test_a_lower_fence_ends_it(self) -> None:
        first = an_entry(intent=CHARGE, then=MAIL, fence=2)
        zombie = an_entry(intent=MAIL, then=RECEIPT, fence=1)
        after = an_entry(intent=RECEIPT, fence=1)

        assert chain(an_audit(first, zombie, after), 1) == (first,)

    def test_a_higher_fence_goes_on_from_a_lower_one(self) -> None:
        first = an_entry(intent=CHARGE, then=MAIL, fence=1)
        second = an_entry(intent=MAIL, fence=3)

        assert chain(an_audit(first, second), 1) == (first, second)

    def test_a_step_that_was_not_chosen_ends_it(self) -> None:
        first = an_entry(intent=CHARGE, then=CRM, fence=2)
        zombie = an_entry(intent=MAIL, fence=2)

        assert chain(an_audit(first, zombie), 1) == (first,)

    def test_nothing_follows_the_end_of_a_run(self) -> None:
        first = an_entry(intent=CHARGE, then=an_end())
        zombie = an_entry(intent=MAIL)

        assert chain(an_audit(first, zombie), 1) == (first,)

    def test_a_gap_ends_it(self) -> None:
        assert chain(an_audit(an_entry(intent=MAIL)), 1) == ()


class TestWhatIsHeard:
    """What was written down after another had claimed the event, and may not be so any more, does not count.

    Source: decisions 28 and 29.
    """

    CLAIMED = an_event(fence=3, known_visits=1, first_action=CHARGE, run=2)

    ORDERED = Outcome(success=True, directives={"attributes": {"n": 1}})

    def counts(self, event: Event = CLAIMED, **entry: Any) -> bool:
        given: dict[str, Any] = {"intent": MAIL, "run": 2, "fence": 2, "outcome": an_error(402)} | entry
        of = an_entry(**given)
        event_history = an_audit(an_entry(intent=CHARGE, then=MAIL, run=2), of)
        return of in heard(event_history, event).entries

    def test_a_late_refusal_does_not_count(self) -> None:
        assert not self.counts()
        assert not self.counts(outcome=NO_ANSWER)

    def test_a_late_success_does(self) -> None:
        assert self.counts(outcome=a_success())

    def test_what_the_claim_knew_or_made_itself_does(self) -> None:
        assert self.counts(intent=an_intent("mail", visit=1))
        assert self.counts(fence=3)
        assert self.counts(fence=4)

    def test_what_an_earlier_run_came_to_does(self) -> None:
        assert self.counts(run=1)
        assert self.counts(run=1, outcome=self.ORDERED)

    def test_late_orders_do_not(self) -> None:
        under_way = replace(self.CLAIMED, status=EventStatus.EXECUTING)
        assert not self.counts(under_way, outcome=self.ORDERED)
        assert self.counts(under_way, outcome=self.ORDERED, fence=3)

    def test_nor_those_that_were_not_handed_over_before_the_event_was_set_down(self) -> None:
        assert not self.counts(outcome=self.ORDERED, fence=3)
        assert not self.counts(outcome=self.ORDERED, fence=3, intent=an_intent("mail", visit=1))

    def test_what_was_handed_over_does(self) -> None:
        applied = replace(self.CLAIMED, applied=(2, 2))
        assert self.counts(applied, outcome=self.ORDERED)
        assert self.counts(replace(applied, status=EventStatus.EXECUTING), outcome=self.ORDERED)

    def test_an_event_that_does_not_know_its_fence_takes_what_is_there(self) -> None:
        late = an_entry(intent=CHARGE, outcome=an_error(402))

        assert heard(an_audit(late), an_event(first_action=CHARGE)).entries == (late,)


class TestPosition:
    """Journalled outcomes and chosen next steps are followed as stored, never evaluated again."""

    def test_before_the_first_entry_it_is_what_the_run_set_out_to_do(self) -> None:
        assert position(an_audit(), an_event(first_action=CHARGE)) == CHARGE
        assert position(an_audit(an_entry(intent=CHARGE)), an_event(run=2, first_action=CRM)) == CRM

    def test_before_the_first_run_there_is_none(self) -> None:
        assert position(an_audit(), an_event()) is None

    def test_then_it_is_what_the_last_entry_chose(self) -> None:
        event_history = an_audit(an_entry(intent=CHARGE, then=MAIL))

        assert position(event_history, an_event(first_action=CHARGE)) == MAIL

    def test_to_the_end(self) -> None:
        event_history = an_audit(an_entry(intent=CHARGE, then=MAIL), an_entry(intent=MAIL, then=an_end()))

        assert position(event_history, an_event(first_action=CHARGE)) == an_end()


class TestUnapplied:
    """Directives are in the journal first; the event tells the last entry whose directives it was given."""

    ORDERS = a_success(directives={"cancelTasks": ["charge"]})

    def test_entries_after_the_one_noted(self) -> None:
        first = an_entry(intent=CHARGE, then=MAIL, outcome=self.ORDERS, run=2)
        second = an_entry(intent=MAIL, then=RECEIPT, run=2)
        third = an_entry(intent=RECEIPT, outcome=self.ORDERS, run=2)
        event_history = an_audit(first, second, third)

        assert unapplied(event_history, an_event(run=2, applied=(1, 7))) == (first, third)
        assert unapplied(event_history, an_event(run=2, applied=(2, 1))) == (third,)
        assert unapplied(event_history, an_event(run=2, applied=(2, 3))) == ()

    def test_not_of_a_runner_that_had_lost_its_lease(self) -> None:
        first = an_entry(intent=CHARGE, then=MAIL, fence=2)
        zombie = an_entry(intent=MAIL, outcome=self.ORDERS, fence=1)

        assert unapplied(an_audit(first, zombie), an_event()) == ()


class TestStoredResults:
    """What a retry need not call again: steps whose last execution in an earlier run was a success, of the
    main path for the main path, of side paths for side paths."""

    def test_successes_of_earlier_runs(self) -> None:
        event_history = an_audit(
            an_entry(intent=CHARGE, then=MAIL, outcome=a_success({"id": 7})),
            an_entry(intent=MAIL, outcome=an_error()),
            an_entry(intent=an_intent("mail"), run=2, outcome=a_success("sent")),
        )

        assert stored_results(event_history, an_event(run=1), Path.MAIN) == {}
        assert stored_results(event_history, an_event(run=2), Path.MAIN) == {
            "charge": StepResult(success=True, response={"id": 7}, from_cache=True)
        }
        assert stored_results(event_history, an_event(run=3), Path.MAIN) == {
            "charge": StepResult(success=True, response={"id": 7}, from_cache=True),
            "mail": StepResult(success=True, response="sent", from_cache=True),
        }

    def test_the_last_execution_counts(self) -> None:
        event_history = an_audit(
            an_entry(intent=CHARGE, then=replace(CHARGE, visit=2), outcome=a_success()),
            an_entry(intent=replace(CHARGE, visit=2), outcome=an_error()),
        )

        assert stored_results(event_history, an_event(run=2), Path.MAIN) == {}

    def test_side_paths_are_kept_apart(self) -> None:
        side = replace(MAIL, path=Path.BEFORE_RETRY)
        event_history = an_audit(
            an_entry(intent=CHARGE, then=side, outcome=a_success()),
            an_entry(intent=side, outcome=a_success()),
        )
        event = an_event(run=2)

        assert list(stored_results(event_history, event, Path.MAIN)) == ["charge"]
        assert list(stored_results(event_history, event, Path.BEFORE_RETRY)) == ["mail"]
        assert list(stored_results(event_history, event, Path.BEFORE_PAUSE)) == ["mail"]

    def test_side_results_count_from_the_last_restart_on(self) -> None:
        side = replace(CHARGE, path=Path.BEFORE_RETRY)
        event_history = an_audit(an_entry(intent=side, run=1), an_entry(intent=CHARGE, run=2))
        restarted = an_event(run=3, side_results_from=3)

        assert stored_results(event_history, restarted, Path.BEFORE_RETRY) == {}
        assert list(stored_results(event_history, restarted, Path.MAIN)) == ["charge"]


class TestStack:
    """The stack holds what the steps of the current run came to, and what they were passed with."""

    def test_results_of_the_current_run(self) -> None:
        event_history = an_audit(
            an_entry(intent=CHARGE, then=MAIL, outcome=an_error(402, {"code": "declined"})),
            an_entry(intent=MAIL, then=RECEIPT, outcome=a_success("sent")),
        )

        assert stack(event_history, an_event(), RECEIPT) == {
            "charge": StepResult(
                success=False, error=StepError(message="answered 402", status=402, data={"code": "declined"})
            ),
            "mail": StepResult(success=True, response="sent"),
        }

    def test_with_what_was_passed_on_the_way(self) -> None:
        retry = an_intent("mail", passed=("charge",))
        receipt = an_intent("receipt", visit=2, passed=("crm",))
        event_history = an_audit(
            an_entry(intent=CHARGE, then=CRM, outcome=a_success(1)),
            an_entry(intent=CRM, then=RECEIPT, outcome=a_success(2)),
            an_entry(intent=RECEIPT, outcome=an_error()),
            an_entry(intent=retry, then=receipt, run=2, outcome=a_success(3)),
        )

        assert stack(event_history, an_event(run=2), receipt) == {
            "charge": StepResult(success=True, response=1, from_cache=True),
            "mail": StepResult(success=True, response=3),
            "crm": StepResult(success=True, response=2, from_cache=True),
        }

    def test_on_a_side_path_with_what_was_passed_before_it_and_on_it(self) -> None:
        sent = replace(MAIL, path=Path.BEFORE_RETRY)
        event_history = an_audit(
            an_entry(intent=CHARGE, then=sent, outcome=a_success(1)),
            an_entry(intent=sent, outcome=a_success(2)),
        )
        side = an_intent("crm", path=Path.BEFORE_RETRY, passed=("charge", "mail"))

        assert stack(event_history, an_event(run=2), side) == {
            "charge": StepResult(success=True, response=1, from_cache=True),
            "mail": StepResult(success=True, response=2, from_cache=True),
        }


class TestUnansweredSending:
    """The intent of a step's last sending, as long as no definite answer to it came."""

    def test_none_before_it_was_sent(self) -> None:
        assert unanswered_sending(an_audit(), an_event(), "charge") is None

    def test_the_last_one_counts_over_all_runs(self) -> None:
        asked = an_entry(intent=CHARGE, outcome=NO_ANSWER)
        answered = an_entry(intent=CHARGE, run=2, outcome=an_error())

        assert unanswered_sending(an_audit(asked), an_event(run=2), "charge") == CHARGE
        assert unanswered_sending(an_audit(asked), an_event(run=2), "mail") is None
        assert unanswered_sending(an_audit(asked, answered), an_event(run=3), "charge") is None


class TestPassedInRun:
    """A loop must not pass a step twice: what the current run has passed on a path is told."""

    def test_by_path(self) -> None:
        main = an_intent("charge", passed=("login",))
        side = an_intent("mail", visit=2, path=Path.BEFORE_RETRY, passed=("crm",))
        event_history = an_audit(
            an_entry(intent=CHARGE, run=1),
            an_entry(intent=main, then=side, run=2),
        )

        assert passed_in_run(event_history, an_event(run=2), side) == {"crm"}
        assert passed_in_run(event_history, an_event(run=2), replace(side, path=Path.MAIN)) == {
            "login",
            "crm",
        }
