"""The downtimes of an instance. Source: docs/contracts/core.md section 5 (``explain``)."""

from datetime import datetime

import pytest
from msgspec.structs import replace

from shared.domain.instance.downtime import is_forgotten, status_at
from shared.domain.instance.model import MAX_DOWNTIMES, Blocked, BlockedBy, Downtime, InstanceStatus
from shared.domain.instance.verdict import Actor
from shared.domain.lifecycle.commands import AddEvent, Block, Cancel, Pause, Resume, Unblock
from tests.lifecycle_factories import ANN, Life, at, life, strategy


def paused(of: Life, since: str, until: str, why: str = "asked by phone") -> Life:
    of.decide(Pause(by=Actor(name="ann", reason=why)), at(since))
    of.decide(Resume(by=ANN), at(until))
    return of


def blocked(of: Life, since: str, flag: BlockedBy = BlockedBy.QUEUE) -> Life:
    """Claim the main event and return the claim because a flag is paused."""
    before = of.main
    of.claim(before, at(since))
    of.decide(Block(before=before, fence=of.instance.fence, blocked_by=flag), at(since))
    assert of.instance.blocked_by is flag
    return of


def downtimes(of: Life) -> list[tuple[BlockedBy | None, datetime, datetime | None]]:
    return [(downtime.blocked_by, downtime.since, downtime.until) for downtime in of.instance.downtimes]


class TestPauses:
    """A pause is remembered with its author, reason, begin and end."""

    def test_a_pause_is_remembered_once_the_instance_is_resumed(self) -> None:
        of = paused(life(), "2026-01-31", "2026-02-03")
        assert of.instance.downtimes == (
            Downtime(
                since=at("2026-01-31"),
                until=at("2026-02-03"),
                by="ann",
                why="asked by phone",
            ),
        )

    def test_a_pause_is_remembered_once_the_instance_is_canceled(self) -> None:
        of = life()
        of.decide(Pause(by=ANN), at("2026-01-31"))
        of.decide(Cancel(by=ANN), at("2026-02-01"))
        assert downtimes(of) == [(None, at("2026-01-31"), at("2026-02-01"))]

    def test_a_current_pause_is_only_in_the_stop(self) -> None:
        of = life()
        of.decide(Pause(by=ANN), at("2026-01-31"))
        assert of.instance.downtimes == ()

    def test_the_last_four_downtimes_are_kept(self) -> None:
        of = life()
        for day in range(1, 7):
            paused(of, f"2026-02-0{day}", f"2026-02-0{day}T12:00")
        assert MAX_DOWNTIMES == 4
        assert [downtime.since for downtime in of.instance.downtimes] == [
            at(f"2026-02-0{day}") for day in (3, 4, 5, 6)
        ]

    def test_a_long_reason_is_cut(self) -> None:
        of = paused(life(), "2026-01-31", "2026-02-03", why="x" * 999)
        assert of.instance.downtimes[0].why == "x" * 200

    def test_other_changes_keep_the_downtimes(self) -> None:
        of = paused(life(), "2026-01-31", "2026-02-03")
        of.applied(AddEvent(task="greet", by=ANN), at("2026-02-04"))
        assert len(of.instance.downtimes) == 1


class TestBlocks:
    """A block is remembered from when a runner found the flag paused until it was cleared."""

    def test_a_current_block_is_no_downtime_yet(self) -> None:
        of = blocked(life(), "2026-01-31")
        assert of.instance.blocked == Blocked(by=BlockedBy.QUEUE, since=at("2026-01-31"))

    def test_a_block_is_remembered_once_it_ends(self) -> None:
        of = blocked(life(), "2026-01-31", BlockedBy.STRATEGY)
        of.decide(Unblock(), at("2026-02-02"))
        assert downtimes(of) == [(BlockedBy.STRATEGY, at("2026-01-31"), at("2026-02-02"))]
        assert of.instance.blocked is None

    def test_a_returned_claim_does_not_end_the_block(self) -> None:
        of = blocked(life(), "2026-01-31")
        blocked(of, "2026-02-01")
        assert of.instance.blocked == Blocked(by=BlockedBy.QUEUE, since=at("2026-01-31"))
        assert of.instance.downtimes == ()

    def test_a_run_ends_the_block(self) -> None:
        of = blocked(life(), "2026-01-31")
        of.run(of.main, at("2026-02-01"))
        assert downtimes(of) == [(BlockedBy.QUEUE, at("2026-01-31"), at("2026-02-01"))]

    def test_another_flag_is_another_block(self) -> None:
        of = blocked(life(), "2026-01-31")
        blocked(of, "2026-02-01", BlockedBy.STRATEGY)
        assert downtimes(of) == [(BlockedBy.QUEUE, at("2026-01-31"), at("2026-02-01"))]
        assert of.instance.blocked == Blocked(by=BlockedBy.STRATEGY, since=at("2026-02-01"))

    def test_a_pause_of_a_blocked_instance_keeps_the_block_until_the_resume(self) -> None:
        of = blocked(life(), "2026-01-31")
        of.decide(Pause(by=ANN), at("2026-02-01"))
        assert of.instance.blocked is not None
        of.decide(Resume(by=ANN), at("2026-02-02"))
        assert [blocked_by for blocked_by, _, _ in downtimes(of)] == [BlockedBy.QUEUE, None]


class TestStatusAt:
    """The status is known for any instant that the instance or the audit trail covers."""

    def test_an_instance_is_active_by_default(self) -> None:
        stood = status_at(life().instance, at("2026-02-01"))
        assert (stood.status, stood.downtime) == (InstanceStatus.ACTIVE, None)

    def test_an_instant_in_a_past_pause_is_paused(self) -> None:
        of = paused(life(), "2026-02-01", "2026-02-03")
        stood = status_at(of.instance, at("2026-02-02"))
        assert (stood.status, stood.by, stood.why) == (InstanceStatus.PAUSED, "ann", "asked by phone")
        assert stood.downtime == of.instance.downtimes[0]

    @pytest.mark.parametrize("day", ["2026-01-31T23:59", "2026-02-03"])
    def test_instants_around_a_pause_are_active(self, day: str) -> None:
        of = paused(life(), "2026-02-01", "2026-02-03")
        assert status_at(of.instance, at(day)).status is InstanceStatus.ACTIVE

    def test_an_instant_in_a_current_pause_is_paused(self) -> None:
        of = life()
        of.decide(Pause(by=ANN), at("2026-02-01"))
        stood = status_at(of.instance, at("2026-02-02"))
        assert (stood.status, stood.since) == (InstanceStatus.PAUSED, at("2026-02-01"))
        assert stood.downtime == Downtime(since=at("2026-02-01"), by="ann", why="asked by phone")

    def test_a_blocked_instance_is_active(self) -> None:
        of = blocked(life(), "2026-01-31")
        stood = status_at(of.instance, at("2026-02-02"))
        downtime = Downtime(blocked_by=BlockedBy.QUEUE, since=at("2026-01-31"))
        assert (stood.status, stood.downtime) == (InstanceStatus.ACTIVE, downtime)

    def test_a_pause_wins_over_a_block(self) -> None:
        of = blocked(life(), "2026-01-31")
        of.decide(Pause(by=ANN), at("2026-02-01"))
        of.decide(Resume(by=ANN), at("2026-02-03"))
        assert status_at(of.instance, at("2026-02-02")).status is InstanceStatus.PAUSED

    def test_a_canceled_instance_is_canceled_from_then_on(self) -> None:
        of = life()
        of.decide(Cancel(by=ANN), at("2026-02-01"))
        stood = status_at(of.instance, at("2026-02-02"))
        assert (stood.status, stood.by, stood.downtime) == (InstanceStatus.CANCELED, "ann", None)
        assert status_at(of.instance, at("2026-01-31")).status is InstanceStatus.ACTIVE


class TestForgottenDowntimes:
    """Before the last four downtimes, the audit trail is read."""

    def forgetful(self) -> Life:
        of = life(strategy())
        for day in range(1, 7):
            paused(of, f"2026-02-0{day}", f"2026-02-0{day}T12:00")
        return of

    def test_instants_before_the_last_four_downtimes_are_forgotten(self) -> None:
        of = self.forgetful()
        assert is_forgotten(of.instance, at("2026-02-02"))
        assert not is_forgotten(of.instance, at("2026-02-03"))
        assert not is_forgotten(paused(life(), "2026-02-01", "2026-02-03").instance, at("2026-01-31"))

    def test_the_last_entry_before_the_instant_has_the_status(self) -> None:
        of = self.forgetful()
        stood = status_at(of.instance, at("2026-02-02T06:00"), of.audit[::-1])
        assert (stood.status, stood.since, stood.by) == (InstanceStatus.PAUSED, at("2026-02-02"), "ann")
        assert stood.downtime is not None
        assert stood.downtime.why == "asked by phone"
        stood = status_at(of.instance, at("2026-02-02T13:00"), of.audit)
        assert (stood.status, stood.downtime) == (InstanceStatus.ACTIVE, None)

    def test_the_first_entry_after_the_instant_has_the_status_otherwise(self) -> None:
        of = self.forgetful()
        after = [entry for entry in of.audit if entry.at > at("2026-02-01T06:00")]
        assert status_at(of.instance, at("2026-02-01T06:00"), after).status is InstanceStatus.PAUSED

    def test_an_entry_without_a_change_has_the_status_but_not_its_author(self) -> None:
        of = self.forgetful()
        execute = replace(
            of.audit[0], at=at("2026-02-02T01:00"), command="execute", from_state="PAUSED", to_state="PAUSED"
        )
        stood = status_at(of.instance, at("2026-02-02T06:00"), [execute])
        assert (stood.status, stood.since, stood.by) == (InstanceStatus.PAUSED, None, None)
        assert stood.downtime == Downtime(since=at("2026-02-02T01:00"))

    def test_without_entries_the_status_is_unknown(self) -> None:
        stood = status_at(self.forgetful().instance, at("2026-01-31T06:00"))
        assert (stood.status, stood.downtime) == (None, None)
