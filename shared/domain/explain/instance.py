"""Why something did or did not run on an instance at an instant.

Pure: told from the instance, its events around that time, what its strategy foresees, and the flags of now.
Source: contracts/core.md section 5; docs/api/core.md (what ``at`` means); docs/decisions/0021.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.domain.explain.event import Question, Told, held, stood_still, told
from shared.domain.explain.reasons import Reason
from shared.domain.instance.downtime import StatusAt, status_at
from shared.domain.instance.due import GRACE
from shared.domain.instance.event import Event, EventStatus
from shared.domain.instance.journal import EventRecord
from shared.domain.instance.model import BlockedBy, Instance, InstanceStatus
from shared.domain.instance.verdict import AuditEntry
from shared.domain.planning.forecast import ForeseenCycle
from shared.domain.steps.history import PastEvent

A_MINUTE = timedelta(minutes=1)

MAX_SUBJECTS = 20
"""So many events are told about at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What there is to tell from.

    events: open and closed, those around the time at least. ahead: what is foreseen, up to beyond the time where
    that has not come; all of it where ``plan_ends``. blocked_by: the flag that is up now. audit: entries about the
    instance around the time.
    """

    instance: Instance
    now: datetime
    events: tuple[PastEvent, ...] = ()
    ahead: tuple[ForeseenCycle, ...] = ()
    plan_ends: bool = False
    blocked_by: BlockedBy | None = None
    audit: tuple[AuditEntry, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """An event and its planned date. past: None for one that is only foreseen."""

    event: Event
    cycle: int
    past: PastEvent | None = None

    @property
    def is_open(self) -> bool:
        """Whether it has not closed."""
        return self.past is None or self.past.record is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Why one event had or had not run."""

    about: Planned
    told: Told


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why something did or did not run.

    told: of the first of the events, or, where none was meant to run then, of the instance. before, after: the
    nearest planned dates of other events, as far as they are known.
    """

    at: datetime
    told: Told
    stood: StatusAt | None
    events: tuple[Answer, ...] = ()
    before: Planned | None = None
    after: Planned | None = None


def subjects(instance: Instance, records: Iterable[EventRecord], at: datetime) -> tuple[int, ...]:
    """The numbers of the events that a question about an instant is about, main events first.

    Those planned for that minute, begun last in it, or standing for skipped dates around it; where there are none,
    those whose date had come by then and that had not closed yet.
    """
    closed = [record for record in records if instance.event(record.event.seq) is None]
    pairs = [(record.event, record) for record in closed] + [(event, None) for event in instance.events]
    minute = at.replace(second=0, microsecond=0)
    found = [event for event, record in pairs if _is_meant(event, record, minute)]
    if not found:
        found = [event for event, record in pairs if _was_open(event, record, at)]
    found.sort(key=lambda event: (not event.is_main, -event.seq))
    return tuple(event.seq for event in found[:MAX_SUBJECTS])


def explain(known: Known, about: Sequence[int], at: datetime) -> Explanation:
    """The answer. about: the events that are meant, by ``subjects``, none where ``at`` is still to come."""
    before, after = _neighbours(known, at)
    if at < known.instance.created_at:
        created = Told(reason=Reason.CREATED_LATER, since=known.instance.created_at)
        return Explanation(at=at, told=created, stood=None, after=after)
    if at > known.now:
        return _ahead(known, at, before, after)
    stood = status_at(known.instance, at, known.audit)
    answers = tuple(_answers(known, about, at))
    first = answers[0].told if answers else _nothing_meant(known, stood, at, after)
    return Explanation(at=at, told=first, stood=stood, events=answers, before=before, after=after)


def _answers(known: Known, about: Sequence[int], at: datetime) -> Iterator[Answer]:
    """What is meant for a minute is looked at when it should have begun at the latest, had nothing been wrong."""
    minute = at.replace(second=0, microsecond=0)
    by_seq = {past.event.seq: past for past in known.events}
    for seq in about:
        past = by_seq.get(seq)
        if past is None:
            continue
        meant = _is_meant(past.event, past.record, minute)
        then = min(minute + A_MINUTE + GRACE, known.now) if meant else at
        asked = Question(
            instance=known.instance,
            stood=status_at(known.instance, then, known.audit),
            at=then,
            now=known.now,
            blocked_by=known.blocked_by,
        )
        yield Answer(about=_planned(past), told=told(asked, past))


def _nothing_meant(known: Known, stood: StatusAt, at: datetime, after: Planned | None) -> Told:
    """No event was to run then: where the instance stood says why, or nothing was planned."""
    kept = stood_still(stood)
    if kept is not None:
        return kept
    if stood.status is InstanceStatus.CANCELED:
        return Told(reason=Reason.CANCELED, since=stood.since, by=stood.by, why=stood.why)
    if stood.status is InstanceStatus.COMPLETED:
        return Told(reason=Reason.COMPLETED, since=stood.since, by=stood.by, why=stood.why)
    if at == known.now and known.blocked_by is not None:
        return held(known.blocked_by)
    if stood.status is None:
        return Told(reason=Reason.UNKNOWN)
    ended = known.instance.plan.has_ended and after is None
    return Told(reason=Reason.PLAN_ENDED if ended else Reason.NOT_PLANNED)


def _ahead(known: Known, at: datetime, before: Planned | None, after: Planned | None) -> Explanation:
    """The same for a time that has not come: as things stand now, and as the plan is foreseen."""
    instance = known.instance
    stood = status_at(instance, known.now)
    minute = at.replace(second=0, microsecond=0)
    meant = [
        one for one in _all_planned(known) if one.is_open and minute <= one.event.date < minute + A_MINUTE
    ]
    meant.sort(key=lambda one: not one.event.is_main)
    kept = stood_still(stood) or (None if known.blocked_by is None else held(known.blocked_by))
    answers = tuple(Answer(about=one, told=_not_yet(one.event, kept)) for one in meant[:MAX_SUBJECTS])
    if answers:
        first = answers[0].told
    elif instance.status.is_final:
        first = _nothing_meant(known, stood, at, after)
    else:
        first = kept or _not_foreseen(known, after)
    return Explanation(at=at, told=first, stood=stood, events=answers, before=before, after=after)


def _not_yet(event: Event, kept: Told | None) -> Told:
    if event.status is EventStatus.ONHOLD:
        return Told(reason=Reason.ON_HOLD, since=event.created_at, why=event.problem)
    return kept or Told(reason=Reason.NOT_YET_DUE, until=event.date)


def _not_foreseen(known: Known, after: Planned | None) -> Told:
    if after is not None:
        return Told(reason=Reason.NOT_PLANNED)
    return Told(reason=Reason.PLAN_ENDED if known.plan_ends else Reason.UNKNOWN)


def _neighbours(known: Known, at: datetime) -> tuple[Planned | None, Planned | None]:
    """The planned events nearest to the minute of an instant, before it and after it."""
    minute = at.replace(second=0, microsecond=0)
    planned = sorted(_all_planned(known), key=lambda one: one.event.planned_at)
    before = [one for one in planned if one.event.planned_at < minute]
    after = (one for one in planned if one.event.planned_at >= minute + A_MINUTE)
    return (before[-1] if before else None), next(after, None)


def _all_planned(known: Known) -> Iterator[Planned]:
    """What is known to have been planned, and what is foreseen beyond that."""
    for past in known.events:
        yield _planned(past)
    planned = {event.seq for event in known.instance.events}
    for foreseen in known.ahead:
        for event in (*foreseen.leading_up, foreseen.main):
            if event.seq not in planned:
                yield Planned(event=event, cycle=foreseen.cycle)


def _planned(past: PastEvent) -> Planned:
    return Planned(event=past.event, cycle=past.event.created_cycle, past=past)


def _is_meant(event: Event, record: EventRecord | None, minute: datetime) -> bool:
    """Whether it was planned for a minute, began last in it, or stands for skipped dates around it."""
    end = minute + A_MINUTE
    begun = event.times.executed_at
    if minute <= event.planned_at < end or (begun is not None and minute <= begun < end):
        return True
    until = None if record is None else record.skipped_until
    return until is not None and event.planned_at < end and minute <= until


def _was_open(event: Event, record: EventRecord | None, at: datetime) -> bool:
    return event.planned_at <= at and (record is None or record.finished_at > at)
