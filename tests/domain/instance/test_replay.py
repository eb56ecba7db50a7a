from typing import Any

import pytest
from msgspec.structs import replace

from shared.domain.instance.event import AnswerMark, Event, EventStatus
from shared.domain.instance.journal import StepResult
from shared.domain.instance.reason import ErrorKind
from shared.domain.instance.replay import (
    chain,
    entry_to_refence,
    is_refused,
    open_sending,
    passed_in_run,
    position,
    resumable_history,
    stack,
    stored_results,
    unapplied,
)
from shared.domain.instance.run import Certainty, Outcome, Path, Refusal, StepError
from tests.factories import (
    NO_ANSWER,
    NOON,
    a_history,
    a_success,
    an_end,
    an_entry,
    an_error,
    an_event,
    an_intent,
)

CHARGE = an_intent("charge")
MAIL = an_intent("mail", visit=2)
CRM = an_intent("crm", visit=2)
RECEIPT = an_intent("receipt", visit=3)


class TestChain:
    """ "Follow entries only while fences do not fall and each step is the step chosen before (ADR 3)"."""

    def test_entries_in_the_order_of_their_visits(self) -> None:
        first = an_entry(intent=CHARGE, then=MAIL)
        second = an_entry(intent=MAIL, then=an_end())

        assert chain(a_history(second, first), 1) == (first, second)

    def test_only_entries_of_the_run_count(self) -> None:
        first, retry = an_entry(intent=CHARGE), an_entry(intent=CHARGE, run=2)

        assert chain(a_history(first, retry), 2) == (retry,)
        assert chain(a_history(first, retry), 3) == ()

    def test_a_lower_fence_ends_the_chain(self) -> None:
        first = an_entry(intent=CHARGE, then=MAIL, fence=2)
        zombie = an_entry(intent=MAIL, then=RECEIPT, fence=1)
        after = an_entry(intent=RECEIPT, fence=1)

        assert chain(a_history(first, zombie, after), 1) == (first,)

    def test_a_higher_fence_continues_the_chain(self) -> None:
        first = an_entry(intent=CHARGE, then=MAIL, fence=1)
        second = an_entry(intent=MAIL, fence=3)

        assert chain(a_history(first, second), 1) == (first, second)

    def test_a_step_that_was_not_chosen_ends_the_chain(self) -> None:
        first = an_entry(intent=CHARGE, then=CRM, fence=2)
        zombie = an_entry(intent=MAIL, fence=2)

        assert chain(a_history(first, zombie), 1) == (first,)

    def test_nothing_follows_the_end_of_a_run(self) -> None:
        first = an_entry(intent=CHARGE, then=an_end())
        zombie = an_entry(intent=MAIL)

        assert chain(a_history(first, zombie), 1) == (first,)

    def test_a_gap_ends_the_chain(self) -> None:
        assert chain(a_history(an_entry(intent=MAIL)), 1) == ()


class TestValidEntries:
    """ "An entry written after another runner claimed the event counts only if it is a success (ADR 28) without
    directives (ADR 29)."

    Source: docs/decisions/0028 and docs/decisions/0029.
    """

    CLAIMED = an_event(fence=3, known_visits=1, first_action=CHARGE, run=2)

    WITH_DIRECTIVES = Outcome(success=True, directives={"attributes": {"n": 1}})

    def counts(self, event: Event = CLAIMED, **entry: Any) -> bool:
        given: dict[str, Any] = {"intent": MAIL, "run": 2, "fence": 2, "outcome": an_error(402)} | entry
        of = an_entry(**given)
        event_history = a_history(an_entry(intent=CHARGE, then=MAIL, run=2), of)
        return of in resumable_history(event_history, event).entries

    def test_a_late_failure_does_not_count(self) -> None:
        assert not self.counts()
        assert not self.counts(outcome=NO_ANSWER)

    def test_a_late_success_counts(self) -> None:
        assert self.counts(outcome=a_success())

    def test_after_a_kill_the_same_rules_apply(self) -> None:
        killed = replace(self.CLAIMED, progress=replace(self.CLAIMED.progress, was_killed=True))
        assert not self.counts(killed)
        assert self.counts(killed, outcome=a_success())
        assert self.counts(killed, fence=3)
        assert self.counts(killed, intent=an_intent("mail", visit=1))

    def test_entries_that_the_claim_knew_or_wrote_count(self) -> None:
        assert self.counts(intent=an_intent("mail", visit=1))
        assert self.counts(fence=3)
        assert self.counts(fence=4)

    def test_entries_of_an_earlier_run_count(self) -> None:
        assert self.counts(run=1)
        assert self.counts(run=1, outcome=self.WITH_DIRECTIVES)

    def test_late_directives_do_not_count(self) -> None:
        under_way = replace(self.CLAIMED, status=EventStatus.EXECUTING)
        assert not self.counts(under_way, outcome=self.WITH_DIRECTIVES)
        assert self.counts(under_way, outcome=self.WITH_DIRECTIVES, fence=3)

    def test_directives_that_were_not_applied_before_a_release_do_not_count(self) -> None:
        assert not self.counts(outcome=self.WITH_DIRECTIVES, fence=3)
        assert not self.counts(outcome=self.WITH_DIRECTIVES, fence=3, intent=an_intent("mail", visit=1))

    def test_applied_directives_count(self) -> None:
        applied = replace(self.CLAIMED, applied=(2, 2))
        assert self.counts(applied, outcome=self.WITH_DIRECTIVES)
        assert self.counts(replace(applied, status=EventStatus.EXECUTING), outcome=self.WITH_DIRECTIVES)

    def test_an_event_without_a_known_fence_counts_every_entry(self) -> None:
        late = an_entry(intent=CHARGE, outcome=an_error(402))

        assert resumable_history(a_history(late), an_event(first_action=CHARGE)).entries == (late,)


class TestPosition:
    """ "Follow journalled outcomes and chosen next steps as stored; never evaluate them again"."""

    def test_the_first_position_is_the_first_action(self) -> None:
        assert position(a_history(), an_event(first_action=CHARGE)) == CHARGE
        assert position(a_history(an_entry(intent=CHARGE)), an_event(run=2, first_action=CRM)) == CRM

    def test_an_event_before_its_first_run_has_no_position(self) -> None:
        assert position(a_history(), an_event()) is None

    def test_the_position_is_the_last_entrys_choice(self) -> None:
        event_history = a_history(an_entry(intent=CHARGE, then=MAIL))

        assert position(event_history, an_event(first_action=CHARGE)) == MAIL

    def test_the_last_position_is_the_run_end(self) -> None:
        event_history = a_history(an_entry(intent=CHARGE, then=MAIL), an_entry(intent=MAIL, then=an_end()))

        assert position(event_history, an_event(first_action=CHARGE)) == an_end()


class TestEntryToRefence:
    """ "A takeover stores the last entry again under its own fence (ADR 3)"."""

    HISTORY = a_history(
        an_entry(intent=CHARGE, then=MAIL, fence=3), an_entry(intent=MAIL, then=RECEIPT, fence=4)
    )

    def test_not_after_a_runner_that_left_the_event_in_order(self) -> None:
        event = an_event(status=EventStatus.QUEUED, fence=4)

        assert entry_to_refence(self.HISTORY, event, fence=5) is None

    def test_not_after_a_claim_that_a_flag_has_undone(self) -> None:
        assert entry_to_refence(self.HISTORY, an_event(fence=2), fence=6) is None

    def test_not_at_the_beginning_of_a_run(self) -> None:
        event = an_event(status=EventStatus.EXECUTING, fence=4, run=2)

        assert entry_to_refence(self.HISTORY, event, fence=5) is None

    @pytest.mark.parametrize(
        "event",
        [
            an_event(status=EventStatus.EXECUTING, fence=4),  # a takeover
            an_event(status=EventStatus.QUEUED, fence=4, call_in_doubt=True),  # after a kill
            an_event(
                status=EventStatus.QUEUED, fence=5
            ),  # after a takeover that paused the event, or a second wait
        ],
    )
    def test_if_an_earlier_runner_may_still_be_running(self, event: Event) -> None:
        assert entry_to_refence(self.HISTORY, event, fence=7) == replace(self.HISTORY.entries[1], fence=7)


class TestUnapplied:
    """Directives are in the journal first; the event has the last entry whose directives were applied."""

    DIRECTIVES = a_success(directives={"cancelTasks": ["charge"]})

    def test_entries_after_the_applied_one_are_unapplied(self) -> None:
        first = an_entry(intent=CHARGE, then=MAIL, outcome=self.DIRECTIVES, run=2)
        second = an_entry(intent=MAIL, then=RECEIPT, run=2)
        third = an_entry(intent=RECEIPT, outcome=self.DIRECTIVES, run=2)
        event_history = a_history(first, second, third)

        assert unapplied(event_history, an_event(run=2, applied=(1, 7))) == (first, third)
        assert unapplied(event_history, an_event(run=2, applied=(2, 1))) == (third,)
        assert unapplied(event_history, an_event(run=2, applied=(2, 3))) == ()

    def test_entries_of_a_runner_without_its_lease_do_not_count(self) -> None:
        first = an_entry(intent=CHARGE, then=MAIL, fence=2)
        zombie = an_entry(intent=MAIL, outcome=self.DIRECTIVES, fence=1)

        assert unapplied(a_history(first, zombie), an_event()) == ()


class TestStoredResults:
    """ "A retry walks from `initialStep` and reuses stored successes: main-path results on the main path, side-path
    results on side paths".
    """

    def test_successes_of_earlier_runs_are_reused(self) -> None:
        event_history = a_history(
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

    def test_only_the_last_execution_counts(self) -> None:
        event_history = a_history(
            an_entry(intent=CHARGE, then=replace(CHARGE, visit=2), outcome=a_success()),
            an_entry(intent=replace(CHARGE, visit=2), outcome=an_error()),
        )

        assert stored_results(event_history, an_event(run=2), Path.MAIN) == {}

    def test_main_and_side_paths_have_separate_results(self) -> None:
        side = replace(MAIL, path=Path.BEFORE_RETRY)
        event_history = a_history(
            an_entry(intent=CHARGE, then=side, outcome=a_success()),
            an_entry(intent=side, outcome=a_success()),
        )
        event = an_event(run=2)

        assert list(stored_results(event_history, event, Path.MAIN)) == ["charge"]
        assert list(stored_results(event_history, event, Path.BEFORE_RETRY)) == ["mail"]
        assert list(stored_results(event_history, event, Path.BEFORE_PAUSE)) == ["mail"]

    def test_side_results_are_reused_from_the_last_restart_on(self) -> None:
        side = replace(CHARGE, path=Path.BEFORE_RETRY)
        event_history = a_history(an_entry(intent=side, run=1), an_entry(intent=CHARGE, run=2))
        restarted = an_event(run=3, side_results_from=3)

        assert stored_results(event_history, restarted, Path.BEFORE_RETRY) == {}
        assert list(stored_results(event_history, restarted, Path.MAIN)) == ["charge"]


class TestStack:
    """The stack has the results of the current run's steps, and the results it was passed with."""

    def test_results_of_the_current_run(self) -> None:
        event_history = a_history(
            an_entry(intent=CHARGE, then=MAIL, outcome=an_error(402, {"code": "declined"})),
            an_entry(intent=MAIL, then=RECEIPT, outcome=a_success("sent")),
        )

        assert stack(event_history, an_event(), RECEIPT) == {
            "charge": StepResult(
                success=False,
                error=StepError(
                    message="api/call returned HTTP 402",
                    kind=ErrorKind.HTTP,
                    status=402,
                    data={"code": "declined"},
                ),
            ),
            "mail": StepResult(success=True, response="sent"),
        }

    def test_the_stack_includes_reused_results(self) -> None:
        retry = an_intent("mail", passed=("charge",))
        receipt = an_intent("receipt", visit=2, passed=("crm",))
        event_history = a_history(
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

    def test_the_stack_of_a_side_path_includes_results_of_both_paths(self) -> None:
        sent = replace(MAIL, path=Path.BEFORE_RETRY)
        event_history = a_history(
            an_entry(intent=CHARGE, then=sent, outcome=a_success(1)),
            an_entry(intent=sent, outcome=a_success(2)),
        )
        side = an_intent("crm", path=Path.BEFORE_RETRY, passed=("charge", "mail"))

        assert stack(event_history, an_event(run=2), side) == {
            "charge": StepResult(success=True, response=1, from_cache=True),
            "mail": StepResult(success=True, response=2, from_cache=True),
        }


class TestOpenSending:
    """The entry of a step's last call, as long as it has no definite answer."""

    def test_a_step_that_was_never_sent_has_none(self) -> None:
        assert open_sending(a_history(), an_event(), "charge") is None

    def test_the_last_call_over_all_runs_counts(self) -> None:
        request = an_entry(intent=CHARGE, outcome=NO_ANSWER)
        answered = an_entry(intent=CHARGE, run=2, outcome=an_error())

        assert open_sending(a_history(request), an_event(run=2), "charge") == request
        assert open_sending(a_history(request), an_event(run=2), "mail") is None
        assert open_sending(a_history(request, answered), an_event(run=3), "charge") is None

    @pytest.mark.parametrize(
        ("certainty", "is_open"),
        [(Certainty.DEFINITE, False), (Certainty.OPEN, True), (Certainty.IN_DOUBT, True)],
    )
    def test_only_a_definite_answer_ends_it(self, certainty: Certainty, is_open: bool) -> None:  # noqa: FBT001 - a parameter of the test
        entry = an_entry(intent=CHARGE, outcome=an_error(certainty=certainty))

        assert (open_sending(a_history(entry), an_event(run=2), "charge") is entry) is is_open


class TestRefusedCalls:
    """A call that was refused for now has no result. It leaves no trace on the stack, but its ids stay."""

    AGAIN = replace(CHARGE, visit=2, refusal=Refusal(since=NOON, times=1))
    REFUSED = an_entry(intent=CHARGE, outcome=an_error(503, certainty=Certainty.OPEN), then=AGAIN)
    MAIL_AFTER = replace(MAIL, visit=3)

    def test_the_visit_after_a_refusal_is_known(self) -> None:
        repeated = an_entry(intent=self.AGAIN, then=self.MAIL_AFTER)

        assert (is_refused(self.REFUSED), is_refused(repeated)) == (True, False)
        assert not is_refused(an_entry())

    def test_a_refusal_is_not_on_the_stack(self) -> None:
        passed = replace(CHARGE, passed=("quote",))
        quoted = an_entry(intent=an_intent("quote"), then=MAIL, outcome=a_success(1))
        refused = replace(self.REFUSED, intent=passed, run=2)

        found = stack(a_history(quoted, refused), an_event(run=2), self.AGAIN)

        assert found == {"quote": StepResult(success=True, response=1, from_cache=True)}

    def test_the_answer_replaces_nothing(self) -> None:
        answered = an_entry(intent=self.AGAIN, outcome=a_success(7), then=self.MAIL_AFTER)

        assert stack(a_history(self.REFUSED, answered), an_event(), self.MAIL_AFTER) == {
            "charge": StepResult(success=True, response=7)
        }

    def test_a_refusal_does_not_replace_a_stored_success(self) -> None:
        done = an_entry(intent=CHARGE, outcome=a_success(7))
        refused = replace(self.REFUSED, run=2)

        assert list(stored_results(a_history(done, refused), an_event(run=3), Path.MAIN)) == ["charge"]

    def test_the_ids_of_a_refused_call_stay(self) -> None:
        assert open_sending(a_history(self.REFUSED), an_event(run=2), "charge") is self.REFUSED

    def test_the_run_continues_with_the_visit_after_the_refusal(self) -> None:
        assert position(a_history(self.REFUSED), an_event()) == self.AGAIN

    def test_an_answer_during_the_wait_keeps_the_refusal(self) -> None:
        sending = replace(CHARGE, answers_later=True)
        refused = replace(self.REFUSED, intent=sending, then=replace(self.AGAIN, answers_later=True))
        event = an_event(known_visits=1, answered=AnswerMark(correlation_id=CHARGE.correlation_id, key="a"))

        assert resumable_history(a_history(refused), event).entries == (refused,)


class TestPassedInRun:
    """A loop must not pass a step twice, so the steps passed on a path are known."""

    def test_passed_steps_are_known_by_path(self) -> None:
        main = an_intent("charge", passed=("login",))
        side = an_intent("mail", visit=2, path=Path.BEFORE_RETRY, passed=("crm",))
        event_history = a_history(
            an_entry(intent=CHARGE, run=1),
            an_entry(intent=main, then=side, run=2),
        )

        assert passed_in_run(event_history, an_event(run=2), side) == {"crm"}
        assert passed_in_run(event_history, an_event(run=2), replace(side, path=Path.MAIN)) == {
            "login",
            "crm",
        }
