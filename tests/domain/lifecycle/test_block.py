"""Instances blocked by a paused flag, and their release. Source: docs/design.md section 3.3."""

import pytest
from msgspec.structs import replace

from shared.domain.instance.event import EventStatus
from shared.domain.instance.model import Blocked, BlockedBy, InstanceStatus
from shared.domain.instance.verdict import AlreadyThere, Applied
from shared.domain.lifecycle.commands import Block, Cancel, Pause, Resume, Unblock
from shared.domain.lifecycle.takeover import MAX_CRASHES
from shared.domain.strategy.model import Json
from tests.factories import changed, stop_of
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
LAPSED = at("2026-01-31T12:02")
PART: Json = {"onCancelTasks": [{"task": "part"}]}


def claimed(of: Life) -> Life:
    of.claim(of.main, NOON)
    assert of.instance.executing is not None
    return of


def blocked(of: Life, *, now: str = "2026-01-31T12:00") -> Life:
    """Return a claim because the strategy is paused."""
    before = of.main
    of.claim(before, at(now))
    of.decide(Block(before=before, fence=of.instance.fence, blocked_by=BlockedBy.STRATEGY), at(now))
    return of


class TestBlock:
    """A claim returned because of a paused flag leaves the event as it was, and blocks the instance."""

    def test_the_event_is_as_it_was(self) -> None:
        of = life()
        before = of.main
        blocked(of)
        assert replace(of.main, updated_at=before.updated_at) == before
        assert (of.instance.lease, of.instance.blocked_by, of.instance.fence) == (None, BlockedBy.STRATEGY, 1)

    def test_the_possible_call_of_a_crashed_runner_stays_known(self) -> None:
        of = claimed(life())
        before = of.running
        of.claim(before, LAPSED)
        of.decide(Block(before=before, fence=of.instance.fence, blocked_by=BlockedBy.QUEUE), LAPSED)
        assert (of.main.status, of.main.progress.call_in_doubt, of.main.progress.crashes) == (
            EventStatus.QUEUED,
            True,
            1,
        )
        assert of.main.times.begun_at == NOON

    def test_a_runner_that_lost_its_claim_blocks_nothing(self) -> None:
        of = claimed(life())
        before = of.running
        of.claim(before, LATER)
        verdict = of.decide(Block(before=before, fence=1, blocked_by=BlockedBy.QUEUE), LATER)
        assert verdict == AlreadyThere(instance=of.instance)

    def test_a_runner_without_a_claim_blocks_nothing(self) -> None:
        of = life()
        verdict = of.decide(Block(before=of.main, fence=0, blocked_by=BlockedBy.QUEUE), LATER)
        assert verdict == AlreadyThere(instance=of.instance)

    def test_an_event_of_an_instance_paused_meanwhile_waits_and_has_drained(self) -> None:
        of = life()
        before = of.main
        claimed(of).decide(Pause(by=ANN), NOON)
        of.decide(Block(before=before, fence=1, blocked_by=BlockedBy.QUEUE), LATER)
        assert of.main.status is EventStatus.PENDING
        assert (of.instance.blocked_by, stop_of(of.instance).drained_at) == (BlockedBy.QUEUE, LATER)

    def test_an_event_of_an_instance_canceled_meanwhile_closes(self) -> None:
        of = life()
        before = of.main
        claimed(of).decide(Cancel(by=ANN), NOON)
        of.decide(Block(before=before, fence=1, blocked_by=BlockedBy.QUEUE), LATER)
        assert of.closed == [("bill", "CANCELED")]
        assert (of.instance.events, of.instance.blocked_by, stop_of(of.instance).drained_at) == (
            (),
            None,
            LATER,
        )

    def test_a_returned_on_cancel_event_keeps_drained_at(self) -> None:
        of = life(strategy(parts=PART))
        of.decide(Cancel(by=ANN), NOON)
        before = of.event("part")
        of.claim(before, LATER)
        assert not of.instance.is_draining
        of.decide(Block(before=before, fence=1, blocked_by=BlockedBy.QUEUE), LATER)
        assert (of.instance.blocked_by, stop_of(of.instance).drained_at) == (BlockedBy.QUEUE, NOON)


class TestAClaimOfABlockedInstance:
    """A claim does not end a block until the runner has found the flag cleared."""

    def test_the_claimed_instance_is_not_blocked(self) -> None:
        of = claimed(blocked(life()))
        assert (of.instance.blocked_by, of.instance.blocked) == (
            None,
            Blocked(by=BlockedBy.STRATEGY, since=NOON),
        )

    def test_a_returned_claim_continues_the_same_block(self) -> None:
        of = blocked(blocked(life()), now="2026-01-31T13:00")
        assert of.instance.blocked == Blocked(by=BlockedBy.STRATEGY, since=NOON)

    def test_another_command_after_the_claim_ends_the_block(self) -> None:
        of = claimed(blocked(life()))
        of.decide(Pause(by=ANN), LATER)
        assert of.instance.blocked is None
        assert [(one.blocked_by, one.until) for one in of.instance.downtimes] == [(BlockedBy.STRATEGY, LATER)]

    def test_a_takeover_that_releases_the_event_ends_the_block(self) -> None:
        of = claimed(blocked(life()))
        main = changed(of.running, crashes=MAX_CRASHES - 1)
        of.instance = of.instance.with_event(main)
        of.claim(main, LAPSED)
        assert (of.instance.status, of.instance.lease) == (InstanceStatus.PAUSED, None)
        assert of.instance.blocked is None


class TestUnblock:
    """A blocked instance is released after its flag is cleared."""

    def test_the_event_is_due_again(self) -> None:
        of = blocked(life())
        of.decide(Unblock(), LATER)
        assert of.instance.blocked_by is None
        of.claim(of.main, LATER)
        assert of.running.seq == 1

    def test_an_instance_without_a_block_is_unchanged(self) -> None:
        of = life()
        assert of.decide(Unblock(), LATER) == AlreadyThere(instance=of.instance)

    def test_a_claim_ends_the_block_too(self) -> None:
        of = blocked(life())
        of.claim(of.main, LATER)
        assert of.instance.blocked_by is None

    @pytest.mark.parametrize("unblock", [True, False], ids=["drained", "found by a stray wakeup"])
    def test_a_plan_that_moved_on_is_not_blocked(self, unblock: bool) -> None:  # noqa: FBT001 - a case
        of = blocked(life(strategy(onResume="skip")))
        verdict = of.decide(Unblock(), LATER) if unblock else of.claim(of.main, LATER)
        assert isinstance(verdict, Applied)
        assert of.open == [("bill", "2026-02-28T00:00")]
        assert of.instance.blocked_by is None

    def test_a_paused_instance_stays_blocked_until_its_resume(self) -> None:
        of = blocked(life(strategy(onResume="skip")))
        of.decide(Pause(by=ANN), NOON)
        assert of.decide(Unblock(), LATER) == AlreadyThere(instance=of.instance)
        of.decide(Resume(by=ANN), LATER)
        assert of.instance.blocked_by is None
        assert of.open == [("bill", "2026-02-28T00:00")]

    def test_a_cycle_that_cannot_be_dated_cancels_the_instance_with_an_audit_entry(self) -> None:
        of = blocked(life(strategy(calendar(runOnCycle=1), onResume="skip")))
        of.decide(Unblock(), LATER)
        assert of.instance.cancel_reason == "CREATE_CYCLE_ERROR"
        assert (of.audit[-1].command, of.audit[-1].reason) == ("unblock", "no calendar for cycle 2")

    def test_a_blocked_instance_shows_the_dates_of_its_plan(self) -> None:
        of = blocked(life())
        assert shown(of.main.date) == ["2026-01-31T00:00"]
