"""An instance costs the same in its ten thousandth cycle as in its tenth. Source: docs/performance.md."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from itertools import islice

from msgspec.structs import replace

from shared.adapters.dynamodb.items import instance_item, record_item
from shared.application.control import control
from shared.application.explain import explain_at
from shared.application.history import history_page
from shared.application.runner.loop import run_due_events
from shared.domain.calendar.dates import Span, Unit, later, zone_named
from shared.domain.explain.instance import Explanation
from shared.domain.ids import InstanceSid
from shared.domain.instance.event import Event
from shared.domain.instance.journal import EventRecord
from shared.domain.instance.model import Instance
from shared.domain.instance.verdict import Actor
from shared.domain.lifecycle.commands import Cancel, Pause, Resume
from tests.bench.rig import NOON, Rig, put, rig_on
from tests.engines import DynamoDb

ANN = Actor(name="key-1")
UTC_ZONE = zone_named("UTC")


def due_in_cycle(rig: Rig, moto: DynamoDb, cycle: int) -> Instance:
    """Return an instance whose main event of a cycle is due, with the history of all earlier cycles."""
    sid = rig.started(3, NOON)
    run(rig, sid)
    instance, record = loaded(rig, sid), rig.instances.event_history(sid, 1).record
    assert record is not None
    items = [record_item(instance, one) for one in later_records(record, cycle)]
    event, moment = instance.main_event, instance.plan.moment
    assert event is not None
    assert moment is not None
    at = later(moment, Span(unit=Unit.MONTHS, amount=cycle - 2), UTC_ZONE)
    there = replace(
        instance,
        plan=instance.plan.at_cycle(cycle, at, due=at.at),
        events=(of_cycle(event, cycle, shift=at.at - event.date),),
        next_seq=cycle + 1,
        fence=cycle - 1,
        rev=3 * cycle,
    )
    put(moto, moto.tables.events, items)
    put(moto, moto.tables.instances, [instance_item(there)])
    rig.clock.at = at.at
    return loaded(rig, sid)


def later_records(record: EventRecord, cycle: int) -> Iterator[EventRecord]:
    """Yield the records of cycle 2 up to the one before ``cycle``, as the first cycle left its own."""
    for number in range(2, cycle):
        shift = timedelta(days=30) * (number - 1)
        yield replace(
            record,
            event=of_cycle(record.event, number, shift=shift),
            fence=number,
            finished_at=record.finished_at + shift,
        )


def of_cycle(event: Event, cycle: int, *, shift: timedelta) -> Event:
    """Return the event of another cycle, whose number it has."""
    return replace(
        event,
        seq=cycle,
        created_cycle=cycle,
        created_at=event.created_at + shift - timedelta(days=1),
        date=event.date + shift,
        due_at=event.due_at + shift,
    )


def loaded(rig: Rig, sid: InstanceSid) -> Instance:
    found = rig.instances.load(sid)
    assert found is not None
    return found


def run(rig: Rig, sid: InstanceSid) -> None:
    run_due_events(rig, sid, job="job-1", time_left=lambda: timedelta(seconds=900))


def costs_in(rig: Rig, moto: DynamoDb, cycle: int) -> Mapping[str, tuple[float, int, int]]:
    """Return read units, write units and trips of each operation on an instance in a cycle."""
    instance = due_in_cycle(rig, moto, cycle)
    sid, now = instance.sid, rig.clock.at
    assert instance.plan.cycle == cycle
    costs = {
        "history": rig.reads(lambda: history_page(rig, instance, before=None, limit=5)),
        "explain": rig.reads(lambda: explain_at(rig, instance, now)),
        "explain the last cycle": rig.reads(lambda: explain_at(rig, instance, now - timedelta(days=30))),
        "run": rig.reads(lambda: run(rig, sid)),
    }
    assert loaded(rig, sid).plan.cycle == cycle + 1
    return costs | {
        "pause": rig.reads(lambda: control(rig, sid, Pause(by=ANN))),
        "resume": rig.reads(lambda: control(rig, sid, Resume(by=ANN))),
        "cancel": rig.reads(lambda: control(rig, sid, Cancel(by=ANN))),
    }


def test_cycle_ten_thousand_costs_what_cycle_ten_costs(moto: DynamoDb) -> None:
    rig = rig_on(moto)
    tenth, later, late = (costs_in(rig, moto, cycle) for cycle in (10, 200, 10_000))
    assert late == later
    # In a longer history an explanation reads one record to find the position, and the first ones.
    more = {name: 2 if name.startswith("explain") else 0 for name in late}
    assert {name: late[name][2] - tenth[name][2] for name in late} == more
    assert {name: late[name][1] for name in late} == {name: tenth[name][1] for name in late}
    assert all(late[name][0] <= tenth[name][0] for name in late if not more[name])


def test_an_old_date_is_found_by_halves(moto: DynamoDb) -> None:
    rig = rig_on(moto)
    instance = due_in_cycle(rig, moto, 2000)
    found: list[Explanation] = []
    at = NOON + timedelta(days=30 * 1000)
    _, _, trips = rig.reads(lambda: found.append(explain_at(rig, instance, at)))
    assert [one.planned.event.seq for one in found[0].events] == [1001]
    assert trips <= 6 + (2000).bit_length()


def test_the_history_has_as_many_pages_as_events(moto: DynamoDb) -> None:
    rig = rig_on(moto)
    instance = due_in_cycle(rig, moto, 200)
    page = history_page(rig, instance, before=None, limit=100)
    assert [past.event.seq for past in islice(page.events, 3)] == [200, 199, 198]
