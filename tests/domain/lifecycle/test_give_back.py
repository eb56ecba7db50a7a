"""Claims that runners give back while a store is unavailable. Source: docs/design.md section 3.9."""

from datetime import datetime, timedelta

import pytest

from shared.domain.instance.due import SWEEP_MARGIN, Due, Scheduled, next_action, sweep_at
from shared.domain.instance.event import EventStatus, PausedFor
from shared.domain.instance.model import GivenBack, Lease
from shared.domain.instance.run import Outcome
from shared.domain.instance.verdict import AlreadyThere
from shared.domain.lifecycle.commands import Fence, GiveBack, Pause, Renew
from shared.domain.lifecycle.takeover import CRASH_WINDOW
from shared.domain.strategy.model import Json
from tests.lifecycle_factories import ANN, Life, at, life, strategy

NOON = at("2026-01-31T12:00")
LAPSED = at("2026-01-31T12:02")
DONE = Outcome(success=True)
TWO_STEPS: Json = [
    {"key": "call", "action": "post", "nextStep": "next"},
    {"key": "next", "action": "post"},
]


def claimed(of: Life) -> Life:
    of.claim(of.main, NOON)
    assert of.instance.executing is not None
    return of


def given_back(of: Life, now: datetime, *, sent_visit: int | None = None, known_visits: int = 0) -> Lease:
    """Give the claim back and return the lease that is left."""
    fence = of.instance.fence
    of.applied(
        GiveBack(
            seq=of.running.seq, fence=fence, token="t0k3n", known_visits=known_visits, sent_visit=sent_visit
        ),
        now,
    )
    assert of.instance.lease is not None
    return of.instance.lease


class TestGivingBack:
    """A runner that cannot use a store gives its claim back: no crash, no attempt, a back-off."""

    def test_the_event_stays_executing_until_the_back_off_ends(self) -> None:
        of = claimed(life())
        lease = given_back(of, NOON, sent_visit=1)
        assert lease.given_back == GivenBack(sent_visit=1)
        assert NOON + timedelta(minutes=1) <= lease.until <= NOON + timedelta(seconds=90)
        assert (of.running.status, of.running.attempt, of.running.run) == (EventStatus.EXECUTING, 1, 1)
        name = f"{of.instance.event_sid(of.running)}-{of.running.wakeup_seq}"
        assert next_action(of.instance, NOON) == Scheduled(at=lease.until, wakeup_name=name)
        assert next_action(of.instance, lease.until) == Due(event=of.running, abandoned=lease)
        assert sweep_at(of.instance) == lease.until + SWEEP_MARGIN

    def test_its_wakeup_has_a_new_name(self) -> None:
        of = claimed(life())
        before = of.running.wakeup_seq
        given_back(of, NOON)
        assert of.running.wakeup_seq == before + 1

    def test_each_back_off_is_longer_up_to_six_minutes(self) -> None:
        of, waits, now = claimed(life()), [], NOON
        for _ in range(5):
            lease = given_back(of, now)
            waits.append(lease.until - now)
            now = lease.until
            of.claim(of.running, now)
        for wait, least in zip(waits, [1, 2, 4, 4, 4], strict=True):
            assert timedelta(minutes=least) <= wait <= 1.5 * timedelta(minutes=least)

    def test_progress_starts_the_back_off_again(self) -> None:
        of = claimed(life(strategy(steps=TWO_STEPS)))
        of.claim(of.running, given_back(of, NOON).until)
        now = NOON + timedelta(minutes=3)
        of.step(DONE, now)
        assert given_back(of, now, known_visits=1).until <= now + timedelta(seconds=90)

    def test_a_claim_after_it_counts_no_crash_however_often(self) -> None:
        of, now = claimed(life()), NOON
        for _ in range(9):
            now = given_back(of, now).until
            of.claim(of.running, now)
        assert (of.running.progress.crashes, of.running.status) == (0, EventStatus.EXECUTING)
        assert of.instance.lease is not None
        assert of.instance.lease.given_back is None

    def test_crashes_before_and_after_it_count(self) -> None:
        of = claimed(life())
        of.claim(of.running, LAPSED)
        lease = given_back(of, LAPSED)
        of.claim(of.running, lease.until)
        assert of.instance.lease is not None
        of.claim(of.running, of.instance.lease.until)
        assert of.running.progress.crashes == 2

    @pytest.mark.parametrize(("sent_visit", "in_doubt"), [(None, False), (1, True), (2, False)])
    def test_only_a_call_that_was_sent_is_in_doubt(self, sent_visit: int | None, *, in_doubt: bool) -> None:
        of = claimed(life())
        lease = given_back(of, NOON, sent_visit=sent_visit)
        of.claim(of.running, lease.until)
        assert of.running.progress.call_in_doubt is in_doubt
        assert of.running.in_doubt is in_doubt

    def test_an_earlier_doubt_stays(self) -> None:
        of = claimed(life())
        of.claim(of.running, LAPSED)
        of.claim(of.running, given_back(of, LAPSED).until)
        assert of.running.progress.call_in_doubt

    def test_giving_back_twice_changes_nothing(self) -> None:
        of = claimed(life())
        given_back(of, NOON)
        again = GiveBack(seq=1, fence=1, token="t0k3n", known_visits=0, sent_visit=None)
        assert isinstance(of.decide(again, LAPSED), AlreadyThere)

    def test_a_runner_that_lost_its_claim_gives_nothing_back(self) -> None:
        of = claimed(life())
        of.claim(of.running, LAPSED)
        late = GiveBack(seq=1, fence=1, token="t0k3n", known_visits=0, sent_visit=None)
        assert isinstance(of.decide(late, LAPSED), AlreadyThere)

    @pytest.mark.parametrize("token", ["another", None])
    def test_the_claim_of_another_runner_is_not_given_back(self, token: str | None) -> None:
        """Both have claimed, so under the same fence, and this is the claim that was stored."""
        of = claimed(life())
        other = GiveBack(seq=1, fence=1, token=token, known_visits=0, sent_visit=None)
        assert of.decide(other, NOON) == AlreadyThere(instance=of.instance)

    def test_a_lease_that_was_given_back_is_not_renewed(self) -> None:
        of = claimed(life())
        given_back(of, NOON)
        renewal = Renew(seq=1, fence=1, until=LAPSED)
        assert of.decide(renewal, NOON) == AlreadyThere(instance=of.instance)

    def test_a_renewed_lease_is_given_back(self) -> None:
        of = claimed(life())
        of.applied(Renew(seq=1, fence=1, until=LAPSED), NOON)
        assert given_back(of, NOON).token is None

    def test_it_is_given_back_although_another_runner_has_moved_the_fence(self) -> None:
        of = claimed(life())
        of.applied(Fence(seq=1), LAPSED)
        undo = GiveBack(seq=1, fence=1, token="t0k3n", known_visits=0, sent_visit=None)
        of.applied(undo, LAPSED)
        assert of.instance.fence == 2
        assert of.instance.lease is not None
        of.claim(of.running, of.instance.lease.until)
        progress = of.running.progress
        assert (progress.crashes, progress.call_in_doubt, of.running.claim.fence) == (0, False, 3)

    def test_a_pause_takes_effect_at_the_next_claim(self) -> None:
        of = claimed(life())
        lease = given_back(of, NOON)
        of.decide(Pause(by=ANN), NOON)
        of.claim(of.running, lease.until)
        assert (of.main.status, of.main.paused_for) == (EventStatus.PAUSED, PausedFor.OPERATOR)
        assert of.instance.lease is None


class TestTheWindowForCrashes:
    """A takeover counts a crash only within five minutes after the end of the lease."""

    @pytest.mark.parametrize(
        ("late", "crashes"),
        [
            (timedelta(), 1),
            (CRASH_WINDOW - timedelta(seconds=1), 1),
            (CRASH_WINDOW, 0),
            (timedelta(hours=1), 0),
        ],
    )
    def test_a_late_takeover_counts_no_crash(self, late: timedelta, crashes: int) -> None:
        of = claimed(life())
        assert of.instance.lease is not None
        of.claim(of.running, of.instance.lease.until + late)
        assert (of.running.progress.crashes, of.running.progress.call_in_doubt) == (crashes, True)
