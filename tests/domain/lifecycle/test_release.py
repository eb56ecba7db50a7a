"""Claims given back for a paused flag, and set free again. Source: design section 3, item 3."""

from dataclasses import replace

import pytest

from shared.domain.instance.event import EventStatus
from shared.domain.instance.model import HeldBy
from shared.domain.instance.verdict import AlreadyThere, Applied
from shared.domain.lifecycle.commands import Cancel, Pause, Release, Resume, Unpark
from shared.domain.strategy.model import Json
from tests.lifecycle_factories import (
    ANN,
    Life,
    at,
    calendar,
    life,
    shown,
    strategy,
)

NOON = at("2026-01-31T12:00")
LATER = at("2026-01-31T13:00")
PART: Json = {"onCancelTasks": [{"task": "part"}]}


def claimed(of: Life) -> Life:
    of.claim(of.main, NOON)
    assert of.instance.executing is not None
    return of


def parked(of: Life, *, now: str = "2026-01-31T12:00") -> Life:
    """A claim that was given back because the strategy is paused."""
    before = of.main
    of.claim(before, at(now))
    of.decide(Release(before=before, fence=of.instance.fence, held=HeldBy.STRATEGY), at(now))
    return of


class TestRelease:
    """A claim given back for a paused flag leaves the event as it was, and the instance parked."""

    def test_the_event_is_as_it_was(self) -> None:
        of = life()
        before = of.main
        parked(of)
        assert replace(of.main, updated_at=before.updated_at) == before
        assert (of.instance.lease, of.instance.held, of.instance.fence) == (None, HeldBy.STRATEGY, 1)

    def test_what_a_dead_runner_may_have_done_stays_known(self) -> None:
        of = claimed(life())
        before = of.running
        of.claim(before, LATER)
        of.decide(Release(before=before, fence=2, held=HeldBy.QUEUE), LATER)
        assert (of.main.status, of.main.unsure, of.main.crashes) == (EventStatus.QUEUED, True, 1)
        assert of.main.begun_at == NOON

    def test_the_late_one_of_two_releases_nothing(self) -> None:
        of = claimed(life())
        before = of.running
        of.claim(before, LATER)
        verdict = of.decide(Release(before=before, fence=1, held=HeldBy.QUEUE), LATER)
        assert verdict == AlreadyThere(instance=of.instance)

    def test_nor_does_one_without_a_claim(self) -> None:
        of = life()
        verdict = of.decide(Release(before=of.main, fence=0, held=HeldBy.QUEUE), LATER)
        assert verdict == AlreadyThere(instance=of.instance)

    def test_on_an_instance_paused_meanwhile_the_event_waits_and_has_drained(self) -> None:
        of = life()
        before = of.main
        claimed(of).decide(Pause(by=ANN), NOON)
        of.decide(Release(before=before, fence=1, held=HeldBy.QUEUE), LATER)
        assert of.main.status is EventStatus.PENDING
        assert (of.instance.held, of.instance.drained_at) == (HeldBy.QUEUE, LATER)

    def test_on_one_canceled_meanwhile_it_closes(self) -> None:
        of = life()
        before = of.main
        claimed(of).decide(Cancel(by=ANN), NOON)
        of.decide(Release(before=before, fence=1, held=HeldBy.QUEUE), LATER)
        assert of.closed == [("bill", "CANCELED")]
        assert (of.instance.events, of.instance.held, of.instance.drained_at) == ((), None, LATER)

    def test_a_parting_event_keeps_the_moment_its_instance_had_drained(self) -> None:
        of = life(strategy(parts=PART))
        of.decide(Cancel(by=ANN), NOON)
        before = of.event("part")
        of.claim(before, LATER)
        assert not of.instance.is_draining
        of.decide(Release(before=before, fence=1, held=HeldBy.QUEUE), LATER)
        assert (of.instance.held, of.instance.drained_at) == (HeldBy.QUEUE, NOON)


class TestUnpark:
    """What a flag held is free again once the flag has cleared."""

    def test_the_event_is_due_again(self) -> None:
        of = parked(life())
        of.decide(Unpark(), LATER)
        assert of.instance.held is None
        of.claim(of.main, LATER)
        assert of.running.seq == 1

    def test_what_nothing_holds_is_left_alone(self) -> None:
        of = life()
        assert of.decide(Unpark(), LATER) == AlreadyThere(instance=of.instance)

    def test_a_claim_unparks_too(self) -> None:
        of = parked(life())
        of.claim(of.main, LATER)
        assert of.instance.held is None

    @pytest.mark.parametrize("unpark", [True, False], ids=["drained", "found by a stray doorbell"])
    def test_once_its_plan_has_moved_on_it_is_parked_no_more(self, unpark: bool) -> None:  # noqa: FBT001 - a case
        of = parked(life(strategy(onResume="skip")))
        verdict = of.decide(Unpark(), LATER) if unpark else of.claim(of.main, LATER)
        assert isinstance(verdict, Applied)
        assert of.open == [("bill", "2026-02-28T00:00")]
        assert of.instance.held is None

    def test_a_paused_instance_stays_as_it_is_until_it_is_resumed(self) -> None:
        of = parked(life(strategy(onResume="skip")))
        of.decide(Pause(by=ANN), NOON)
        assert of.decide(Unpark(), LATER) == AlreadyThere(instance=of.instance)
        of.decide(Resume(by=ANN), LATER)
        assert of.instance.held is None
        assert of.open == [("bill", "2026-02-28T00:00")]

    def test_a_cycle_that_cannot_be_dated_cancels_and_says_so(self) -> None:
        of = parked(life(strategy(calendar(runOnCycle=1), onResume="skip")))
        of.decide(Unpark(), LATER)
        assert of.instance.cancel_reason == "CREATE_CYCLE_ERROR"
        assert (of.audit[-1].command, of.audit[-1].reason) == ("unpark", "no calendar for cycle 2")

    def test_shown_dates_are_those_of_the_plan(self) -> None:
        of = parked(life())
        assert shown(of.main.date) == ["2026-01-31T00:00"]
