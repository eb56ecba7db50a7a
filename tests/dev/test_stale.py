"""Which scheduled wakeups of the local stack have become stale."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from dev.clock import ClockFile
from dev.memory.stores import MemoryInstances
from dev.schedules import Scheduled, Schedules
from dev.stale import stale_wakeups
from shared.application.ports import Unreadable
from shared.domain.ids import InstanceSid, wakeup_name
from shared.domain.instance.event import EventStatus
from shared.domain.instance.model import Instance, InstanceStatus
from tests.dev.test_clock_advance import Scheduler
from tests.factories import NOON, an_event, an_instance

MINUTE = timedelta(minutes=1)


def schedules_of(folder: Path, armed: Iterable[tuple[str, datetime]]) -> Schedules:
    schedules = Schedules(Scheduler(), "group", ClockFile(folder / "clock.json"))
    for name, at in armed:
        target = {"Input": json.dumps({"sid": sid_of(name)})}
        schedules.arm(name, {"ScheduleExpression": f"at({at:%Y-%m-%dT%H:%M:%S})", "Target": target})
    return schedules


def sid_of(name: str) -> str:
    return name.rsplit("-", 2)[0]


def name_of(instance: Instance, seq: int, wakeup_seq: int = 1) -> str:
    event = next(event for event in instance.events if event.seq == seq)
    return wakeup_name(instance.event_sid(event), wakeup_seq)


def stale(folder: Path, instance: Instance, *armed: tuple[str, datetime]) -> set[str]:
    store = MemoryInstances(instances={instance.sid: instance})
    schedules = schedules_of(folder, armed)
    found = [Scheduled(at, name, json.dumps({"sid": sid_of(name)})) for name, at in armed]
    return stale_wakeups(store, schedules, found)


class TestStale:
    """A wakeup is stale if its runner would find nothing to do and nothing to schedule."""

    def test_its_instance_does_not_exist(self, tmp_path: Path) -> None:
        assert stale(tmp_path, an_instance(), ("gone-1-1", NOON)) == {"gone-1-1"}

    def test_its_event_is_due_then(self, tmp_path: Path) -> None:
        instance = an_instance(an_event(date=NOON, due_at=NOON))

        assert stale(tmp_path, instance, (name_of(instance, 1), NOON)) == set()

    def test_another_event_of_the_instance_is_due_then(self, tmp_path: Path) -> None:
        instance = an_instance(an_event(date=NOON, due_at=NOON))

        assert stale(tmp_path, instance, (f"{instance.sid}-9-1", NOON + MINUTE)) == set()

    @pytest.mark.parametrize("status", [InstanceStatus.CANCELED, InstanceStatus.PAUSED])
    def test_its_instance_is_stopped(self, tmp_path: Path, status: InstanceStatus) -> None:
        instance = replace(an_instance(an_event(date=NOON, due_at=NOON)), status=status)
        name = name_of(instance, 1)

        assert stale(tmp_path, instance, (name, NOON)) == {name}

    def test_the_event_is_blocked_by_a_person(self, tmp_path: Path) -> None:
        instance = an_instance(an_event(date=NOON, due_at=NOON, status=EventStatus.ONHOLD))
        name = name_of(instance, 1)

        assert stale(tmp_path, instance, (name, NOON)) == {name}

    def test_a_moved_event_has_a_new_wakeup(self, tmp_path: Path) -> None:
        later = NOON + 5 * MINUTE
        instance = an_instance(an_event(date=NOON, due_at=later, wakeup_seq=2))
        old, new = name_of(instance, 1), name_of(instance, 1, 2)

        assert stale(tmp_path, instance, (old, NOON), (new, later)) == {old}

    def test_a_moved_event_whose_new_wakeup_was_lost(self, tmp_path: Path) -> None:
        instance = an_instance(an_event(date=NOON, due_at=NOON + 5 * MINUTE, wakeup_seq=2))

        assert stale(tmp_path, instance, (name_of(instance, 1), NOON)) == set()

    def test_the_new_wakeup_is_later_than_the_event(self, tmp_path: Path) -> None:
        instance = an_instance(an_event(date=NOON, due_at=NOON + MINUTE / 2, wakeup_seq=2))
        old, new = name_of(instance, 1), name_of(instance, 1, 2)

        assert stale(tmp_path, instance, (old, NOON), (new, NOON + MINUTE)) == set()


def test_the_wakeup_of_an_unreadable_instance_is_not_stale(tmp_path: Path) -> None:
    class Broken(MemoryInstances):
        def load_many(self, sids: Sequence[InstanceSid]) -> list[Instance | Unreadable[InstanceSid]]:
            return [Unreadable(key=sid, why="schema 99") for sid in sids if sid == "broken"]

    broken, gone = ("broken-1-1", NOON), ("gone-1-1", NOON)
    head = [Scheduled(NOON, broken[0], '{"sid": "broken"}'), Scheduled(NOON, gone[0], '{"sid": "gone"}')]

    assert stale_wakeups(Broken(), schedules_of(tmp_path, [broken, gone]), head) == {gone[0]}
