"""Reads the facts that the judge compares: the ledger of the services, and the instances that the engine has stored."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from dev.chaos.flows import PATHS, START_KEY
from dev.chaos.judge import Call, EventFact, InstanceFact, StepFact
from dev.chaos.report import Lateness, lateness
from dev.chaos.stops import Operation
from dev.history_reader import HistoryReader
from shared.domain.ids import AccountId, StrategySid
from shared.domain.instance.event import Event
from shared.domain.instance.journal import EventRecord, JournalEntry
from shared.domain.strategy.model import Json

MAX_INSTANCES = 100_000
ACCOUNT = AccountId("dev")

UNKNOWN = "unknown"
"""In place of a trigger: another runner has taken the event over, and several may have begun it."""


def calls_of(ledger: list[dict[str, Any]]) -> list[Call]:
    """Return the calls of the flows that the services received."""
    return [
        Call(
            key=line["key"] or "",
            at=datetime.fromisoformat(line["at"]),
            path=line["path"],
            status=line["answer"]["status"],
            effect=line["effect"],
        )
        for line in ledger
        if line["path"] in PATHS
    ]


def failures_of(ledger: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Return how many calls of the flows met each failure. One that was planned and met no call does not count."""
    return dict(
        Counter(_failure(line["failure"]) for line in ledger if line["path"] in PATHS and line["failure"])
    )


def _failure(failure: Mapping[str, Any]) -> str:
    if failure.get("delaySeconds"):
        return "hang"
    return "drop" if failure.get("drop") else f"{'lied ' * failure.get('lie', False)}{failure['status']}"


def instances_of(history: HistoryReader, periods: Mapping[StrategySid, timedelta]) -> list[InstanceFact]:
    """Return every instance of the account with its history. ``periods`` are those of recurring strategies."""
    return [_instance(history, sid, periods) for sid in history.sids(ACCOUNT, limit=MAX_INSTANCES)]


def resumes_of(operations: Sequence[Mapping[str, Any]]) -> list[Operation]:
    """Return the bulk operations that resume instances, as the core dialect shows them."""
    return [
        Operation(
            began_at=datetime.fromisoformat(one["createdAt"]),
            ended_at=datetime.fromisoformat(one["finishedAt"]) if "finishedAt" in one else None,
        )
        for one in operations
        if one["command"]["name"] == "resume"
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """An invocation of the step runner for one instance. ``ended_at`` is None if it is not known to have ended.

    The stack knows of no end if it was killed meanwhile. The runner may have continued.
    """

    trigger: str
    sid: str
    began_at: datetime
    ended_at: datetime | None = None


def late_by_trigger(
    instances: Sequence[InstanceFact], invocations: Mapping[str, Invocation], *, until: datetime
) -> dict[str, Lateness]:
    """Return how late the events of instances began before ``until``, by the trigger of the runner that began them."""
    late: dict[str, list[float]] = {}
    by_instance: dict[str, dict[str, Invocation]] = {}
    for job, invocation in invocations.items():
        by_instance.setdefault(invocation.sid, {})[job] = invocation
    for instance in instances:
        of_instance = by_instance.get(instance.sid, {})
        for event in instance.events:
            if event.begun_at is not None and event.begun_at <= until:
                trigger = _first_trigger(event.begun_at, event.job, of_instance)
                late.setdefault(trigger, []).append((event.begun_at - event.date).total_seconds())
    figures = {trigger: lateness(seconds) for trigger, seconds in late.items()}
    return {trigger: figure for trigger, figure in figures.items() if figure is not None}


def _first_trigger(begun_at: datetime, last_job: str | None, invocations: Mapping[str, Invocation]) -> str:
    """Return the trigger of the runner that claimed an event first, at ``begun_at``, or ``UNKNOWN``.

    The event stores only its last claim. So if that runner did not run yet, the first one was another of those that
    ran at that instant.
    """
    running = {
        job: one.trigger
        for job, one in invocations.items()
        if one.began_at <= begun_at and (one.ended_at is None or begun_at <= one.ended_at)
    }
    if last_job in running:
        return running[last_job]
    triggers = set(running.values())
    return triggers.pop() if len(triggers) == 1 else UNKNOWN


def invocations_of(file: Path) -> dict[str, Invocation]:
    """Return the invocations of the step runner by their ids, from the file that the stack has written."""
    found: dict[str, Invocation] = {}
    for line in file.read_text().splitlines() if file.exists() else []:
        try:
            members = json.loads(line)
        except ValueError:
            continue  # the stack was killed while it wrote
        job = members["id"]
        if "began" in members:
            began_at = datetime.fromisoformat(members["began"])
            found[job] = Invocation(trigger=members["trigger"], sid=members["sid"], began_at=began_at)
        elif job in found:
            found[job] = replace(found[job], ended_at=datetime.fromisoformat(members["ended"]))
    return found


def _instance(history: HistoryReader, sid: str, periods: Mapping[StrategySid, timedelta]) -> InstanceFact:
    instance = history.instance(sid)
    plan = instance.plan
    recurs = plan.schedule is None and plan.end_date is not None
    return InstanceFact(
        sid=sid,
        status=instance.status.value,
        start=instance.start_date,
        cycle=plan.cycle,
        has_own_schedule=plan.schedule is not None,
        retries=instance.strategy_sid in periods,
        period=periods.get(instance.strategy_sid) if recurs else None,
        end=plan.end_date,
        drained_at=instance.stop.drained_at if instance.status.is_final and instance.stop else None,
        start_key=_text(instance.attributes.get(START_KEY)),
        events=tuple(
            _event(str(instance.event_sid(event)), event, record, entries)
            for event, record, entries in history.events(sid)
        ),
    )


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) else None


def _event(
    sid: str, event: Event, record: EventRecord | None, entries: tuple[JournalEntry, ...]
) -> EventFact:
    first, last = (None if record is None else record.skipped_cycles) or (event.created_cycle,) * 2
    return EventFact(
        sid=sid,
        status=event.status.value,
        is_main=event.is_main,
        cycle=last,
        first_cycle=first,
        date=event.first_date or event.date,
        due_at=event.due_at,
        is_open=record is None,
        in_doubt=event.in_doubt or (record is not None and record.in_doubt),
        skipped=record is not None and record.skipped_cycles is not None,
        after_cancellation=event.after_cancellation,
        begun_at=event.times.begun_at,
        job=event.claim.job,
        steps=tuple(
            StepFact(
                key=str(entry.intent.call_key),
                success=entry.outcome.success,
                in_doubt=entry.outcome.in_doubt,
                repeat=entry.intent.repeat,
                sent=entry.digest is not None,
                answered=entry.answered,
            )
            for entry in entries
        ),
    )
