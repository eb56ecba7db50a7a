"""Whether an event of an instance has ever begun, and a cancel that depends on it. Source: docs/contracts/orders.md
B.3.
"""

import pytest
from msgspec.structs import replace

from shared.domain.ids import OperationSid
from shared.domain.instance.event import EventStatus
from shared.domain.instance.model import Instance, InstanceStatus
from shared.domain.instance.verdict import Actor, AlreadyThere, Applied, Refused, Verdict
from shared.domain.lifecycle.commands import Cancel, CancelEvent, Command, Execute, Pause
from shared.domain.lifecycle.decide import decide
from tests.factories import (
    HOUR,
    NOON,
    a_running_event,
    a_strategy,
    an_event,
    an_instance,
    an_intent,
    changed,
    running,
)

ANN = Actor(name="ann")
FRESH_ONLY = Cancel(by=ANN, unless_begun=True)
BEGUN = an_event(date=NOON + HOUR, begun_at=NOON, version=1)


def verdict_of(instance: Instance, command: Command) -> Verdict:
    return decide(a_strategy(), instance, command, now=NOON)


class TestHavingBegun:
    """An instance has begun if an event on it has begun, or if a begun event has left it."""

    def test_a_new_instance_has_not_begun(self) -> None:
        assert not an_instance(an_event()).has_begun

    def test_an_instance_with_a_running_or_past_event_has_begun(self) -> None:
        assert running(a_running_event()).has_begun
        assert an_instance(has_run=True).has_begun

    def test_a_begun_event_that_leaves_is_recorded(self) -> None:
        verdict = verdict_of(an_instance(BEGUN), CancelEvent(seq=1, by=ANN))

        assert isinstance(verdict, Applied)
        assert verdict.instance.has_run

    def test_an_event_that_never_began_is_not_recorded(self) -> None:
        verdict = verdict_of(an_instance(an_event(date=NOON + HOUR)), CancelEvent(seq=1, by=ANN))

        assert isinstance(verdict, Applied)
        assert not verdict.instance.has_run

    def test_a_begun_event_on_the_instance_needs_no_record(self) -> None:
        verdict = verdict_of(an_instance(BEGUN), Pause(by=ANN))

        assert isinstance(verdict, Applied)
        assert (verdict.instance.has_run, verdict.instance.has_begun) == (False, True)


class TestCancelUnlessBegun:
    """The command is refused if any event has begun. If none has, it works like any cancel."""

    @pytest.mark.parametrize("status", [InstanceStatus.ACTIVE, InstanceStatus.PAUSED])
    def test_a_fresh_instance_is_canceled(self, status: InstanceStatus) -> None:
        verdict = verdict_of(an_instance(an_event(), status=status), FRESH_ONLY)

        assert isinstance(verdict, Applied)
        assert verdict.instance.status is InstanceStatus.CANCELED

    @pytest.mark.parametrize("instance", [an_instance(BEGUN), an_instance(an_event(), has_run=True)])
    def test_an_instance_that_has_begun_is_refused(self, instance: Instance) -> None:
        verdict = verdict_of(instance, FRESH_ONLY)

        assert isinstance(verdict, Refused)
        assert (verdict.why, verdict.rule) == ("the instance has already started an event", "begun")

    def test_kill_does_not_override_the_refusal(self) -> None:
        assert isinstance(verdict_of(running(a_running_event()), replace(FRESH_ONLY, kill=True)), Refused)

    def test_a_canceled_instance_is_already_there(self) -> None:
        instance = an_instance(status=InstanceStatus.CANCELED, has_run=True)

        assert isinstance(verdict_of(instance, FRESH_ONLY), AlreadyThere)

    def test_a_running_event_of_a_canceled_instance_is_not_killed(self) -> None:
        draining = running(a_running_event(), status=InstanceStatus.CANCELED)

        assert isinstance(verdict_of(draining, replace(FRESH_ONLY, kill=True)), AlreadyThere)
        assert isinstance(verdict_of(draining, Cancel(by=ANN, kill=True)), Applied)


class TestSkippedDelay:
    """Execute skips the delay of the current step, and of no later step."""

    DELAYED = an_event(due_at=NOON + HOUR, first_action=an_intent(), begun_at=NOON, version=1)

    @pytest.mark.parametrize(
        ("event", "skips_delay"),
        [
            (DELAYED, True),
            (an_event(date=NOON + HOUR), False),
            (an_event(date=NOON + HOUR, run=2, begun_at=NOON), False),
            (an_event(status=EventStatus.ONHOLD), False),
        ],
    )
    def test_only_a_delay_is_skipped(self, event: object, *, skips_delay: bool) -> None:
        verdict = verdict_of(an_instance(event), Execute(seq=1, by=ANN))  # type: ignore[arg-type]

        assert isinstance(verdict, Applied)
        assert verdict.instance.events[0].status is EventStatus.QUEUED
        assert verdict.instance.events[0].progress.delay_skipped is skips_delay

    def test_the_mark_ends_with_its_step(self) -> None:
        assert changed(self.DELAYED, delay_skipped=True).after_visits(1).progress.delay_skipped is False
        assert changed(self.DELAYED, delay_skipped=True).after_visits(0).progress.delay_skipped is True

    def test_execute_by_an_operation_applies_once(self) -> None:
        by = replace(ANN, operation=OperationSid("b-1"))
        first = verdict_of(an_instance(self.DELAYED), Execute(seq=1, by=by))
        assert isinstance(first, Applied)

        again = verdict_of(replace(first.instance, events=(self.DELAYED,)), Execute(seq=1, by=by))

        assert isinstance(again, AlreadyThere)
