"""The filter of a selection. Source: docs/decisions/0026; docs/contracts/orders.md B.3."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from shared.domain.bulk.selection import (
    Filter,
    OfAny,
    OfFolder,
    OfIds,
    OfStrategy,
    combine_parts,
    filter_of,
    is_below,
    is_selected,
    is_still_selected,
    passes,
)
from shared.domain.calendar.instance_schedule import OwnSchedule
from shared.domain.ids import InstanceSid, StrategySid
from shared.domain.instance.event import EventKind, EventStatus
from shared.domain.instance.model import Instance, InstanceStatus
from shared.domain.instance.phase import Phase, Waiting, phase_of, planned_date, waiting_event
from tests.factories import HOUR, NOON, a_running_event, a_stop, an_event, an_instance, an_intent, running

SOON = NOON + HOUR
ONE, TWO = StrategySid("s-1"), StrategySid("s-2")
AHEAD = an_instance(an_event(date=SOON))
ON_CALL = an_instance(an_event(status=EventStatus.ONHOLD), schedule=OwnSchedule(on_call=True))
AWAKE = Filter(phases=(Phase.AHEAD, Phase.UNDATED))


def is_through(instance: Instance, **instance_filter: Any) -> bool:
    return passes(Filter(**instance_filter), instance, now=NOON)


class TestPhases:
    """The phase of the instance at the given instant."""

    def test_an_instance_in_another_phase_does_not_pass(self) -> None:
        assert is_through(AHEAD, phases=(Phase.AHEAD,))
        assert not is_through(AHEAD, phases=(Phase.OVERDUE,))
        assert passes(Filter(phases=(Phase.OVERDUE,)), AHEAD, now=SOON + HOUR)

    def test_an_instance_in_any_phase_passes_without_phases(self) -> None:
        assert is_through(an_instance(status=InstanceStatus.CANCELED))

    @pytest.mark.parametrize("phase", Phase)
    def test_every_phase_has_one_status(self, phase: Phase) -> None:
        assert (phase.status.is_final, phase.status is InstanceStatus.PAUSED) == (
            phase.is_over,
            phase in (Phase.PAUSED, Phase.STUCK),
        )

    def test_a_draining_instance_is_not_at_rest(self) -> None:
        stopped = running(a_running_event(), status=InstanceStatus.PAUSED, stop=a_stop(drained_at=None))

        assert is_through(stopped)
        assert not is_through(stopped, at_rest=True)
        assert is_through(an_instance(status=InstanceStatus.PAUSED, stop=a_stop()), at_rest=True)


class TestDates:
    """The planned date of the instance: from the first bound on, before the second."""

    @pytest.mark.parametrize(
        ("since", "until", "is_in"),
        [
            (SOON, None, True),
            (SOON + timedelta(milliseconds=1), None, False),
            (None, SOON, False),
            (None, SOON + timedelta(milliseconds=1), True),
            (SOON, SOON + HOUR, True),
            (SOON, SOON, False),
        ],
    )
    def test_the_first_bound_is_inclusive_the_second_exclusive(
        self, since: datetime | None, until: datetime | None, *, is_in: bool
    ) -> None:
        assert is_through(AHEAD, planned_from=since, planned_until=until) is is_in

    def test_an_instance_on_call_does_not_pass_with_a_bound(self) -> None:
        assert is_through(ON_CALL)
        assert not is_through(ON_CALL, planned_until=SOON)
        assert not is_through(ON_CALL, planned_from=NOON - HOUR)
        paused = replace(ON_CALL, status=InstanceStatus.PAUSED)
        assert not is_through(paused, phases=(Phase.PAUSED,), planned_from=NOON - HOUR)

    def test_an_instance_without_any_date_passes(self) -> None:
        dateless = an_instance(status=InstanceStatus.PAUSED, moment=None)

        assert planned_date(dateless) is None
        assert is_through(dateless, planned_from=SOON)

    def test_a_retry_does_not_move_the_planned_date(self) -> None:
        moved = an_event(date=SOON + 9 * HOUR, first_date=SOON, begun_at=NOON)

        assert planned_date(an_instance(moved)) == SOON

    def test_the_planned_date_without_a_main_event_is_the_plans(self) -> None:
        assert planned_date(an_instance(status=InstanceStatus.COMPLETED)) == NOON

    def test_the_planned_date_without_a_plan_is_the_next_events(self) -> None:
        added = an_event(date=SOON, kind=EventKind.ADDED)
        assert planned_date(an_instance(added, moment=None)) == SOON


class TestFilterOfASelection:
    """Selections of strategies, folders or several parts have a filter; selections of ids have none."""

    def test_status_version_and_filter_must_match(self) -> None:
        assert is_selected(OfStrategy(strategy=ONE, instance_filter=AWAKE), AHEAD, now=NOON)
        assert not is_selected(OfStrategy(strategy=ONE, instance_filter=AWAKE), AHEAD, now=SOON + HOUR)
        assert not is_selected(OfStrategy(strategy=ONE, version=2, instance_filter=AWAKE), AHEAD, now=NOON)

    @pytest.mark.parametrize(
        "selection",
        [
            OfStrategy(strategy=ONE, instance_filter=AWAKE),
            OfFolder(folder="/", instance_filter=AWAKE),
            OfAny(
                parts=(
                    OfFolder(folder="/a", instance_filter=AWAKE),
                    OfFolder(folder="/b", instance_filter=AWAKE),
                )
            ),
        ],
    )
    def test_a_selected_instance_may_no_longer_pass(self, selection: OfStrategy | OfFolder | OfAny) -> None:
        assert filter_of(selection) == AWAKE
        assert is_still_selected(selection, AHEAD, now=NOON)
        assert not is_still_selected(selection, AHEAD, now=SOON + HOUR)

    @pytest.mark.parametrize(
        "selection", [OfIds(ids=(InstanceSid("i"),)), OfAny(parts=()), OfFolder(folder="/")]
    )
    def test_an_instance_stays_selected_without_a_filter(self, selection: OfIds | OfFolder | OfAny) -> None:
        assert is_still_selected(selection, AHEAD, now=SOON + HOUR)


class TestSeveralParts:
    """No instance is in two parts."""

    ROOT, A, B = (OfFolder(folder=folder) for folder in ("/", "/a", "/a/b"))
    FLAT = OfFolder(folder="/a", is_flat=True)
    FLAT_B = OfFolder(folder="/a/b", is_flat=True)
    ANY = OfStrategy(strategy=ONE)
    FIRST, SECOND = (OfStrategy(strategy=ONE, version=version) for version in (1, 2))
    OTHER = OfStrategy(strategy=TWO, version=1)

    def test_a_repeated_part_counts_once(self) -> None:
        assert combine_parts([self.A, self.A]).parts == (self.A,)
        assert combine_parts([self.OTHER, self.OTHER, self.ANY]).parts == (self.OTHER, self.ANY)

    def test_a_subfolder_is_part_of_its_folder(self) -> None:
        assert combine_parts([self.B, self.A]).parts == (self.A,)
        assert combine_parts([self.FLAT, self.A, self.FLAT_B]).parts == (self.A,)
        assert combine_parts([self.A, self.ROOT]).parts == (self.ROOT,)

    def test_a_separate_part_stays(self) -> None:
        sosx = OfFolder(folder="/ax")
        assert combine_parts([self.A, sosx]).parts == (self.A, sosx)
        assert combine_parts([self.FLAT, self.B]).parts == (self.FLAT, self.B)
        assert combine_parts([self.FLAT, self.FLAT_B]).parts == (self.FLAT, self.FLAT_B)

    def test_a_version_is_part_of_its_strategy(self) -> None:
        assert combine_parts([self.FIRST, self.ANY, self.SECOND, self.OTHER]).parts == (self.ANY, self.OTHER)
        assert combine_parts([self.FIRST, self.SECOND]).parts == (self.FIRST, self.SECOND)

    def test_a_folder_and_a_strategy_stay_separate(self) -> None:
        assert combine_parts([self.ROOT, self.ANY]).parts == (self.ROOT, self.ANY)

    @pytest.mark.parametrize(
        ("folder", "one", "lies"),
        [
            ("/", "/a", True),
            ("/a", "/a", True),
            ("/a", "/a/b", True),
            ("/a", "/ab", False),
            ("/a/b", "/a", False),
        ],
    )
    def test_a_folder_contains_itself_and_its_subfolders(self, folder: str, one: str, *, lies: bool) -> None:
        assert is_below(folder, one) is lies


class TestWaiting:
    """The current event, if it waits for a date, a retry, a delay or a call; or for an operator."""

    BEGUN: Any = {"begun_at": NOON, "version": 1}  # noqa: RUF012 - never changed

    @pytest.mark.parametrize(
        ("instance", "what"),
        [
            (AHEAD, Waiting.FOR_DATE),
            (ON_CALL, Waiting.FOR_DATE),
            (an_instance(an_event(date=SOON, run=2, begun_at=NOON)), Waiting.FOR_DATE),
            (an_instance(an_event(due_at=SOON, first_action=an_intent(), begun_at=NOON)), Waiting.FOR_DATE),
            (an_instance(an_event(status=EventStatus.ONHOLD)), Waiting.FOR_OPERATOR),
        ],
    )
    def test_a_waiting_event_waits_for_a_date_or_an_operator(self, instance: Instance, what: Waiting) -> None:
        (other,) = set(Waiting) - {what}

        assert waiting_event(instance, what, now=NOON) == instance.events[0]
        assert waiting_event(instance, other, now=NOON) is None

    @pytest.mark.parametrize(
        "instance",
        [an_instance(), running(a_running_event()), an_instance(an_event(date=NOON - HOUR))],
    )
    def test_an_instance_without_a_waiting_event_has_none(self, instance: Instance) -> None:
        assert phase_of(instance, now=NOON) not in (Phase.AHEAD, Phase.ONHOLD)
        assert [waiting_event(instance, what, now=NOON) for what in Waiting] == [None, None]
