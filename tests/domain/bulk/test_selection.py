"""Which instances are selected. Source: design section 8."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.bulk.selection import OfFolder, OfStrategy, created_since, created_until, is_selected
from shared.domain.ids import StrategySid
from shared.domain.instance.model import InstanceStatus
from tests.factories import an_instance

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
STRATEGY = StrategySid("strategy")


class TestStatusAndVersion:
    """Of the statuses asked for, unfinished ones if none are; of the version asked for, any if none is."""

    @pytest.mark.parametrize("status", InstanceStatus)
    def test_unfinished_ones_are_selected_where_nothing_else_is_said(self, status: InstanceStatus) -> None:
        instance = an_instance(status=status)

        assert is_selected(OfStrategy(strategy=STRATEGY), instance, now=NOON) is not status.is_final
        assert is_selected(OfFolder(folder="/"), instance, now=NOON) is not status.is_final

    def test_only_those_of_the_statuses_asked_for(self) -> None:
        canceled = OfStrategy(strategy=STRATEGY, statuses=(InstanceStatus.CANCELED,))

        assert is_selected(canceled, an_instance(status=InstanceStatus.CANCELED), now=NOON)
        assert not is_selected(canceled, an_instance(), now=NOON)

    def test_only_those_of_the_version_asked_for(self) -> None:
        second = OfStrategy(strategy=STRATEGY, version=2)

        assert is_selected(second, an_instance(strategy_version=2), now=NOON)
        assert not is_selected(second, an_instance(strategy_version=1), now=NOON)


class TestWhenTheyWereCreated:
    """Never after the operation began; within the time asked for, its ends included."""

    MILLISECOND = timedelta(milliseconds=1)
    ALL = OfStrategy(strategy=STRATEGY)

    def test_later_ones_are_never_meant(self) -> None:
        assert created_until(self.ALL, NOON) == NOON
        assert created_until(replace(self.ALL, created_to=NOON + self.MILLISECOND), NOON) == NOON

    def test_up_to_the_date_asked_for(self) -> None:
        asked = replace(self.ALL, created_to=NOON - self.MILLISECOND)

        assert created_until(asked, NOON) == NOON - self.MILLISECOND

    def test_since_the_date_asked_for(self) -> None:
        assert created_since(self.ALL) is None
        assert created_since(replace(self.ALL, created_from=NOON)) == NOON

    def test_dates_between_two_milliseconds_leave_out_what_lies_outside(self) -> None:
        between = NOON + timedelta(microseconds=500)
        asked = replace(self.ALL, created_from=between, created_to=between)

        assert created_since(asked) == NOON + self.MILLISECOND
        assert created_until(asked, NOON + timedelta(days=1)) == NOON
