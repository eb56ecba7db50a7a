"""Stopping an instance whose settings cannot be read. Source: docs/design.md section 7."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from shared.domain.instance.event import EventStatus, PausedFor
from shared.domain.instance.model import InstanceStatus
from shared.domain.instance.verdict import Actor, AlreadyThere, Applied, Refused
from shared.domain.lifecycle.commands import Cancel, Pause
from shared.domain.lifecycle.decide import decide
from shared.domain.lifecycle.unread import decide_unread
from shared.domain.strategy.model import Json
from tests.factories import stop_of
from tests.lifecycle_factories import Life, at, life, strategy

ANN = Actor(name="ann")
NOON = at("2026-01-31T12:00")
WHY = "SealBrokenError"
NOTE = "decided without the settings of version 1 (SealBrokenError)"
PART: Json = {"onCancelTasks": [{"task": "part"}]}


def applied(of: Life, command: Pause | Cancel) -> Applied:
    verdict = decide_unread(of.instance, command, why=WHY, now=NOON)
    assert isinstance(verdict, Applied)
    return verdict


class TestPausingUnread:
    """A pause needs no settings."""

    def test_it_differs_from_a_pause_with_settings_by_its_note_only(self) -> None:
        of = life()
        verdict = applied(of, Pause(by=ANN))
        usual = decide(of.strategy, of.instance, Pause(by=ANN), now=NOON)
        assert isinstance(usual, Applied)
        assert verdict.audit is not None
        assert verdict.audit.reason == NOTE
        assert replace(verdict, audit=None) == replace(usual, audit=None)

    def test_the_operators_reason_comes_first(self) -> None:
        verdict = applied(life(), Pause(by=replace(ANN, reason="fraud")))
        assert verdict.audit is not None
        assert verdict.audit.reason == f"fraud; {NOTE}"
        assert verdict.instance.stop_note == "fraud"

    def test_an_event_with_a_live_lease_is_left_to_its_runner(self) -> None:
        of = life()
        of.claim(of.main, NOON)
        verdict = applied(of, Pause(by=ANN))
        assert verdict.instance.is_draining

    def test_an_event_of_a_crashed_runner_is_released(self) -> None:
        of = life()
        of.claim(of.main, NOON - timedelta(hours=1))
        after = applied(of, Pause(by=ANN)).instance
        (event,) = after.events
        assert (event.status, event.paused_for) == (EventStatus.PAUSED, PausedFor.OPERATOR)
        assert (after.lease, after.fence, after.is_draining) == (None, 2, False)

    def test_pausing_again_changes_nothing(self) -> None:
        of = life()
        of.decide(Pause(by=ANN), NOON)
        again = decide_unread(of.instance, Pause(by=ANN), why=WHY, now=NOON)
        assert isinstance(again, AlreadyThere)


class TestCancelingUnread:
    """A cancel closes everything and creates no on-cancel events."""

    def test_everything_closes_without_on_cancel_events(self) -> None:
        verdict = applied(life(strategy(parts=PART)), Cancel(by=ANN))
        assert (verdict.instance.status, verdict.instance.events) == (InstanceStatus.CANCELED, ())
        assert [record.event.status for record in verdict.records] == [EventStatus.CANCELED]
        assert verdict.audit is not None
        assert verdict.audit.reason == f"{NOTE}; no on-cancel events were created"
        assert stop_of(verdict.instance).by == "ann"

    def test_a_paused_instance_is_canceled(self) -> None:
        of = life()
        of.decide(Pause(by=ANN), NOON)
        assert applied(of, Cancel(by=ANN)).instance.status is InstanceStatus.CANCELED

    def test_an_event_whose_runner_crashed_after_the_cancel_is_closed_by_canceling_again(self) -> None:
        of = life()
        of.claim(of.main, NOON - timedelta(hours=1))
        of.decide(Cancel(by=ANN), NOON - timedelta(hours=1))
        assert of.instance.is_draining
        after = applied(of, Cancel(by=ANN)).instance
        assert (after.events, after.is_draining) == ((), False)

    @pytest.mark.parametrize("command", [Pause(by=ANN), Cancel(by=ANN, unless_begun=True)])
    def test_what_is_refused_stays_refused(self, command: Pause | Cancel) -> None:
        of = life()
        of.run(of.main, NOON)
        if isinstance(command, Pause):
            of.decide(Cancel(by=ANN), NOON)
        assert isinstance(decide_unread(of.instance, command, why=WHY, now=NOON), Refused)
