"""The selection of instances. Source: docs/design.md section 8."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from shared.domain.bulk.selection import (
    Filter,
    OfAttribute,
    OfFolder,
    OfPhases,
    OfReference,
    OfStrategy,
    created_since,
    created_until,
    is_selected,
    is_still_selected,
    scanned_statuses,
)
from shared.domain.ids import StrategySid
from shared.domain.instance.model import InstanceStatus
from shared.domain.instance.phase import Phase, PhaseRange
from shared.domain.instance.reason import Cause, StopReason
from tests.factories import a_stop, an_instance

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
STRATEGY = StrategySid("strategy")


class TestReasons:
    """A selection by phase or attribute is checked again when an instance's turn comes."""

    def test_an_instance_stopped_for_another_reason_is_no_longer_selected(self) -> None:
        exhausted = PhaseRange(phase=Phase.STUCK, cause=Cause.EXHAUSTED)
        reason = StopReason(cause=Cause.EXHAUSTED, detail="http-402")
        stuck = an_instance(status=InstanceStatus.PAUSED, stop=a_stop(reason=reason, for_event=1))
        on_vacation = an_instance(status=InstanceStatus.PAUSED, stop=a_stop())

        assert is_still_selected(OfPhases(ranges=(exhausted,)), stuck, now=NOON)
        assert not is_still_selected(OfPhases(ranges=(exhausted,)), on_vacation, now=NOON)
        assert not is_still_selected(OfPhases(ranges=(exhausted,)), an_instance(), now=NOON)

    def test_an_instance_whose_attribute_has_changed_is_no_longer_selected(self) -> None:
        bonn = OfAttribute(name="city", text="Bonn")
        instance = an_instance(attributes={"city": "Bonn"}, searchable=("city",))

        assert is_still_selected(bonn, instance, now=NOON)
        assert not is_still_selected(bonn, replace(instance, attributes={"city": "Ulm"}), now=NOON)

    def test_a_reference_never_changes(self) -> None:
        assert is_still_selected(OfReference(reference="o-1"), an_instance(), now=NOON)

    def test_a_filter_of_stops_scans_their_partitions_only(self) -> None:
        stuck = OfStrategy(strategy=STRATEGY, instance_filter=Filter(phases=(Phase.STUCK,)))
        either = OfStrategy(strategy=STRATEGY, instance_filter=Filter(phases=(Phase.STUCK, Phase.AHEAD)))

        assert scanned_statuses(stuck) == (Phase.STUCK,)
        assert scanned_statuses(either) == either.statuses


class TestStatusAndVersion:
    """Only the given statuses (by default the unfinished ones) and the given version (by default any) are
    selected.
    """

    @pytest.mark.parametrize("status", InstanceStatus)
    def test_unfinished_instances_are_selected_by_default(self, status: InstanceStatus) -> None:
        instance = an_instance(status=status)

        assert is_selected(OfStrategy(strategy=STRATEGY), instance, now=NOON) is not status.is_final
        assert is_selected(OfFolder(folder="/"), instance, now=NOON) is not status.is_final

    def test_only_instances_with_the_statuses_are_selected(self) -> None:
        canceled = OfStrategy(strategy=STRATEGY, statuses=(InstanceStatus.CANCELED,))

        assert is_selected(canceled, an_instance(status=InstanceStatus.CANCELED), now=NOON)
        assert not is_selected(canceled, an_instance(), now=NOON)

    def test_only_instances_of_the_version_are_selected(self) -> None:
        second = OfStrategy(strategy=STRATEGY, version=2)

        assert is_selected(second, an_instance(strategy_version=2), now=NOON)
        assert not is_selected(second, an_instance(strategy_version=1), now=NOON)


class TestCreationDates:
    """Instances created after the operation began are never selected; both bounds are inclusive."""

    MILLISECOND = timedelta(milliseconds=1)
    ALL = OfStrategy(strategy=STRATEGY)

    def test_later_instances_are_never_selected(self) -> None:
        assert created_until(self.ALL, NOON) == NOON
        assert created_until(replace(self.ALL, created_to=NOON + self.MILLISECOND), NOON) == NOON

    def test_the_upper_bound_is_inclusive(self) -> None:
        request = replace(self.ALL, created_to=NOON - self.MILLISECOND)

        assert created_until(request, NOON) == NOON - self.MILLISECOND

    def test_the_lower_bound_is_inclusive(self) -> None:
        assert created_since(self.ALL) is None
        assert created_since(replace(self.ALL, created_from=NOON)) == NOON

    def test_bounds_between_milliseconds_are_rounded_inwards(self) -> None:
        between = NOON + timedelta(microseconds=500)
        request = replace(self.ALL, created_from=between, created_to=between)

        assert created_since(request) == NOON + self.MILLISECOND
        assert created_until(request, NOON + timedelta(days=1)) == NOON
