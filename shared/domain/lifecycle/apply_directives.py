"""Applying a controller's directives to an instance.

Source: docs/design.md sections 6 and 3.8.
"""

from collections.abc import Mapping
from datetime import datetime

from msgspec.structs import replace

from shared.domain.calendar.dates import parse_instant
from shared.domain.instance.attributes import merge_attributes
from shared.domain.instance.event import Event, EventKind, EventStatus
from shared.domain.instance.journal import ClosedBy
from shared.domain.instance.model import CancelReason, Instance, InstanceStatus, Stoppage
from shared.domain.instance.reason import Cause, StopReason
from shared.domain.instance.verdict import Actor, Change
from shared.domain.instance.zone import zone_or_utc
from shared.domain.planning.closing import add_event, cancel_instance
from shared.domain.planning.plan import cancel_events
from shared.domain.planning.redate import redate
from shared.domain.steps.directives import has_room
from shared.domain.strategy.model import Json, Strategy


def apply_directives(
    strategy: Strategy, instance: Instance, running: Event, ordered: Mapping[str, Json], *, now: datetime
) -> Change:
    """Return the instance after the directives of a running event. On a final instance only attributes change.

    The directives were checked before they were journaled, but the instance may have changed since. An event is
    therefore not created if there is no room left, or if the current version has no such task. The attribute that names
    the zone for the current version is not changed if it would have no zone. Changed attributes date again the
    events that have not begun, as an update does.
    """
    before = instance
    if "attributes" in ordered:
        attributes = _with_zone(strategy, instance, merge_attributes(instance, ordered["attributes"]))
        instance = replace(instance, attributes=attributes, updated_at=now)
    if instance.status.is_final:
        return Change(instance=instance)
    change = redate(strategy, before, instance, now=now).change
    for entry in ordered.get("createEvents", ()):
        change = Change(instance=_created(strategy, change.instance, entry, now=now))
    # The order matters (ADR 8): a canceled instance neither cancels tasks nor pauses.
    if "cancelInstance" in ordered:
        return change.then(_cancel(strategy, change.instance, running, ordered["cancelInstance"], now=now))
    if "cancelTasks" in ordered:
        change = change.then(_canceled(strategy, change.instance, running, ordered["cancelTasks"], now=now))
    if "pauseInstance" in ordered:
        change = change.then(Change(instance=_paused(change.instance, ordered["pauseInstance"], now=now)))
    return change


def _with_zone(strategy: Strategy, instance: Instance, attributes: Mapping[str, Json]) -> Mapping[str, Json]:
    """Return attributes with the instance's own zone if they name none."""
    name = strategy.definition.zone_attribute
    if name is None or zone_or_utc(strategy.definition, attributes)[1] is None:
        return attributes
    return {**attributes, **{key: value for key, value in instance.attributes.items() if key == name}}


def _cancel(strategy: Strategy, instance: Instance, running: Event, note: str, *, now: datetime) -> Change:
    """Cancel the instance. The event that gave the directive runs to its end; its siblings are canceled."""
    # Otherwise the cancelation would close this event as well.
    spared = instance.with_event(replace(running, after_cancellation=True))
    by = Actor(name="controller", reason=note)
    return cancel_instance(strategy, spared, CancelReason.CONTROLLER_HELPER, by=by, now=now)


def _paused(instance: Instance, note: str, *, now: datetime) -> Instance:
    """Pause the instance unless it is already PAUSED, or ended when its main event was canceled."""
    if instance.status is not InstanceStatus.ACTIVE:
        return instance
    stop = Stoppage(at=now, by="controller", reason=StopReason(cause=Cause.CONTROLLER), note=note)
    return instance.stopped(InstanceStatus.PAUSED, stop)


def _canceled(
    strategy: Strategy, instance: Instance, running: Event, tasks: list[str], *, now: datetime
) -> Change:
    """Cancel the events of these tasks, except those in flight. If the main event is canceled, the plan continues."""
    doomed = [e for e in instance.events if e.task in tasks and _can_be_closed(e, running)]
    why, cause = "canceled by a controller", ClosedBy.CONTROLLER
    return cancel_events(strategy, instance, doomed, now=now, why=why, cause=cause).change


def _can_be_closed(event: Event, running: Event) -> bool:
    return event.seq != running.seq and event.status is not EventStatus.EXECUTING


def _created(strategy: Strategy, instance: Instance, entry: Mapping[str, Json], *, now: datetime) -> Instance:
    if not has_room(instance) or entry["task"] not in strategy.definition.tasks:
        return instance
    return add_event(
        replace(instance, updated_at=now),
        EventKind.ADDED,
        entry["task"],
        parse_instant(entry["date"]),
        now=now,
        onhold=entry["manualTrigger"],
        data=entry["data"],
    )
