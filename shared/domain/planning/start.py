"""Creating an instance.

Source: docs/contracts/core.md section 3.3; docs/design.md section 4.
"""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from shared.domain.calendar.dates import DATE_FORMS
from shared.domain.calendar.instance_schedule import OwnSchedule
from shared.domain.errors import DateError, InvalidInputError, Problem
from shared.domain.ids import InstanceSid
from shared.domain.instance.attributes import (
    MAX_ATTRIBUTES_BYTES,
    closed_days,
    date_attribute,
    invalid_attributes,
)
from shared.domain.instance.due import beyond_horizon
from shared.domain.instance.event import EventKind, EventStatus
from shared.domain.instance.journal import ClosedBy
from shared.domain.instance.model import Instance, Origin, Plan, Sweep
from shared.domain.instance.verdict import Applied, Change
from shared.domain.instance.zone import zone_for, zone_or_utc
from shared.domain.planning.closing import close_all, lifecycle_events
from shared.domain.planning.cycles import MISSED, CycleError, TooManyMissedError, first_cycle, outlook
from shared.domain.planning.missed_dates import missed_rules
from shared.domain.planning.plan import Replanned, continue_from
from shared.domain.strategy.business_day_rules import business_day_rules
from shared.domain.strategy.model import Delta, Json, OnResume, Strategy, json_size
from shared.domain.validation.pointers import escaped
from shared.domain.validation.schema import violations
from shared.expressions import spending


class NewInstance(Struct, frozen=True, kw_only=True):
    """The request for a new instance.

    ``start_date`` is None for now. ``missed`` is the rule for dates before now, None for the strategy's.
    """

    sid: InstanceSid
    origin: Origin
    shard: int
    attributes: Mapping[str, Json]
    description: str = ""
    start_date: datetime | None = None
    end_date: datetime | None = None
    schedule: OwnSchedule | None = None
    missed: OnResume | None = None


@spending()
def start(strategy: Strategy, new: NewInstance, *, now: datetime) -> Applied:
    """Create the instance with its on-create events and its first cycle.

    If the start date is in the past, the rule for missed dates applies. If the request says ``skip``, on-create events
    whose date has passed do not run either: an instance is imported without any call.
    Raises: InvalidInputError: with every problem; the pointers refer to the request body (``/attributes/...``,
        ``/endDate``).
    """
    instance = blank_instance(strategy, new, now=now)
    problems = start_problems(strategy, instance)
    if problems:
        raise InvalidInputError(tuple(problems))
    created = lifecycle_events(
        strategy,
        instance,
        strategy.definition.on_create_tasks,
        EventKind.ON_CREATE,
        base=instance.start_date,
        now=now,
    )
    change = Change(instance=created)
    if new.missed is OnResume.SKIP:
        passed = [
            event for event in created.events if event.status is EventStatus.PENDING and event.date < now
        ]
        change = close_all(created, passed, now=now, why=MISSED, cause=ClosedBy.LATE_PLAN)
    planned = first_planned(strategy, change.instance, now=now)
    change = change.then(planned.change)
    sweep = Sweep(schedule_at=beyond_horizon(change.instance, strategy.horizon, now=now))
    instance = replace(change.instance, rev=1, sweep=sweep)
    return Applied(instance=instance, records=change.records, skipped=planned.skipped)


def first_planned(strategy: Strategy, instance: Instance, *, now: datetime) -> Replanned:
    """Plan the first cycle. Dates before ``now`` fall under the rule for missed dates.

    Raises: InvalidInputError: if the cycle cannot be dated, or too many dates were missed.
    """
    try:
        dated = first_cycle(strategy, instance, now=now)
        ahead = outlook(strategy, instance, dated, now=now, rule_for=missed_rules(strategy, instance))
    except TooManyMissedError as error:
        problem = Problem(pointer="/startDate", rule="too-many-missed", message=str(error))
        raise InvalidInputError((problem,)) from error
    except CycleError as error:
        raise InvalidInputError((Problem(pointer="", rule="create-cycle", message=str(error)),)) from error
    return continue_from(strategy, instance, ahead, now=now)


def start_problems(strategy: Strategy, instance: Instance) -> list[Problem]:
    """Return every problem that prevents the start of an instance."""
    problems = attribute_problems(strategy, instance.attributes)
    if instance.plan.schedule is None:
        problems += _from_problems(strategy, instance)
    problems += _closed_problems(strategy, instance)
    if instance.plan.end_date is not None and instance.plan.end_date < instance.start_date:
        problems.append(Problem(pointer="/endDate", rule="range", message="must not be before startDate"))
    return problems


def attribute_problems(strategy: Strategy, attributes: Mapping[str, Json]) -> list[Problem]:
    """Return every problem of the attributes, with pointers below ``/attributes``.

    Attributes that are too large are not examined further.
    """
    if json_size(dict(attributes)) > MAX_ATTRIBUTES_BYTES:
        return [Problem(pointer="/attributes", rule="too-long", message="must take at most 16 KB")]
    problems = [
        Problem(
            pointer=f"/attributes/{escaped(name)}",
            rule="type",
            message="must be a string, a number or a boolean",
        )
        for name in invalid_attributes(strategy, attributes)
    ]
    rule = strategy.definition.instance_validation
    if rule is not None:
        problems.extend(violations(rule, dict(attributes), pointer="/attributes"))
    problems.extend(_zone_problems(strategy, attributes))
    return problems


def blank_instance(strategy: Strategy, new: NewInstance, *, now: datetime) -> Instance:
    """Return the instance before anything is planned."""
    return Instance(
        sid=new.sid,
        account_id=strategy.account_id,
        strategy_sid=strategy.sid,
        strategy_version=strategy.version,
        origin=new.origin,
        description=new.description,
        start_date=new.start_date or now,
        attributes=dict(new.attributes),
        searchable=strategy.definition.searchable,
        shard=new.shard,
        plan=Plan(schedule=new.schedule, end_date=new.end_date, on_late=new.missed),
        created_at=now,
        updated_at=now,
    )


def _zone_problems(strategy: Strategy, attributes: Mapping[str, Json]) -> list[Problem]:
    """Return a problem if the attribute that names the zone of the plan has no zone."""
    name = strategy.definition.zone_attribute
    try:
        zone_for(strategy.definition, attributes)
    except DateError as error:
        pointer = f"/attributes/{escaped(name or '')}"
        return [Problem(pointer=pointer, rule="zone", message=str(error))]
    return []


def _from_problems(strategy: Strategy, instance: Instance) -> list[Problem]:
    """Return a problem for each attribute that the plan counts from and that is not a date."""
    problems: list[Problem] = []
    # Without a zone, which is a problem by itself, the forms of the dates are still checked.
    zone, _ = zone_or_utc(strategy.definition, instance.attributes)
    for name in dict.fromkeys(delta.from_attribute for delta in _deltas(strategy) if delta.from_attribute):
        try:
            date_attribute(instance, name, zone)
        except DateError:
            pointer = f"/attributes/{escaped(name)}"
            problems.append(
                Problem(
                    pointer=pointer,
                    rule="date",
                    message=f"must be {DATE_FORMS}, because the plan counts from it",
                )
            )
    return problems


def _closed_problems(strategy: Strategy, instance: Instance) -> list[Problem]:
    """Return a problem for each attribute that must list closed days and does not."""
    problems: dict[str, Problem] = {}
    for _, rule in business_day_rules(strategy.definition):
        if rule.closed is None:
            continue
        try:
            closed_days(instance, rule)
        except DateError as error:
            pointer = f"/attributes/{escaped(rule.closed)}"
            problems[pointer] = Problem(pointer=pointer, rule="dates", message=str(error))
    return list(problems.values())


def _deltas(strategy: Strategy) -> list[Delta]:
    definition = strategy.definition
    deltas: list[Delta | None] = [
        definition.initial_delay,
        *(entry.delay_by for entry in definition.on_create_tasks),
    ]
    for calendar in definition.calendars:
        deltas.append(calendar.schedule_after)
        deltas.extend(entry.schedule_before for entry in calendar.leading_up_tasks)
    return [delta for delta in deltas if delta is not None]
