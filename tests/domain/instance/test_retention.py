"""The expiry of a record, and whether the history of its event may be deleted.

Source: docs/decisions/0052-records-and-audit-expire.md.
"""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from shared.domain.instance.event import EventKind, EventStatus, PausedFor
from shared.domain.instance.model import FailedEvent, Instance, InstanceStatus
from shared.domain.instance.reason import EventFailure
from shared.domain.instance.retention import MIN_RETENTION, Standing, expiry, standing
from shared.domain.steps.in_doubt import MAX_DOUBT_AGE
from tests.factories import NOON, a_running_event, an_instance, running

CLOSED = an_instance(next_seq=4, events=())


def failed(seq: int) -> FailedEvent:
    failure = EventFailure(message="shop/charge returned HTTP 402", error_class="http-402", at=NOON)
    return FailedEvent(seq=seq, kind=EventKind.ADDED, task="charge", failure=failure)


class TestExpiry:
    """Records and audit entries expire a fixed time after their instant, or never."""

    def test_it_is_the_retention_after_the_instant(self) -> None:
        assert expiry(NOON, timedelta(days=90)) == NOON + timedelta(days=90)

    def test_without_a_retention_nothing_expires(self) -> None:
        assert expiry(NOON, None) is None

    def test_a_record_outlasts_every_takeover_that_may_need_it_by_a_month(self) -> None:
        assert timedelta(days=30) <= MIN_RETENTION - MAX_DOUBT_AGE


class TestStanding:
    """Only the history of an event that can never run again is deleted."""

    def test_an_event_that_left_its_instance_is_closed(self) -> None:
        assert standing(CLOSED, 3, has_record=False) is Standing.CLOSED

    @pytest.mark.parametrize("status", list(InstanceStatus))
    def test_the_status_of_the_instance_does_not_matter(self, status: InstanceStatus) -> None:
        instance = replace(CLOSED, status=status)
        assert standing(instance, 3, has_record=False) is Standing.CLOSED

    @pytest.mark.parametrize(
        "status", [status for status in EventStatus if status is not EventStatus.EXECUTING]
    )
    def test_an_event_on_its_instance_is_open(self, status: EventStatus) -> None:
        event = a_running_event(3, status=status)
        instance = replace(CLOSED, events=(event,))
        assert standing(instance, 3, has_record=False) is Standing.OPEN

    def test_an_executing_event_is_open(self) -> None:
        instance = replace(running(a_running_event(3)), next_seq=4)
        assert standing(instance, 3, has_record=False) is Standing.OPEN

    def test_other_open_events_do_not_matter(self) -> None:
        instance = replace(CLOSED, events=(a_running_event(2).paused(PausedFor.ANSWER),))
        assert standing(instance, 3, has_record=False) is Standing.CLOSED

    def test_a_failed_event_is_a_problem_until_it_is_dismissed(self) -> None:
        instance: Instance = replace(CLOSED, failed_events=(failed(1), failed(3)))
        assert standing(instance, 3, has_record=False) is Standing.PROBLEM
        assert standing(instance, 2, has_record=False) is Standing.CLOSED

    def test_an_event_may_have_a_record_again(self) -> None:
        assert standing(CLOSED, 3, has_record=True) is Standing.RECORDED

    def test_an_instance_that_cannot_be_read_may_have_the_event_open(self) -> None:
        assert standing(None, 3, has_record=False) is Standing.UNKNOWN

    def test_an_instance_of_an_earlier_moment_does_not_know_the_event(self) -> None:
        assert standing(CLOSED, 4, has_record=False) is Standing.UNKNOWN
