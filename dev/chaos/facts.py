"""Reads the facts that the judge compares: the ledger of the services, and the instances that the engine has stored."""

import json
from collections.abc import Mapping, Sequence
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


def late_by_trigger(
    instances: list[InstanceFact], triggers: Mapping[str, str], *, until: datetime
) -> dict[str, Lateness]:
    """Return how late the events of instances began before ``until``, by the trigger of their runner."""
    late: dict[str, list[float]] = {}
    for instance in instances:
        for event in instance.events:
            if event.begun_at is not None and event.begun_at <= until:
                trigger = triggers.get(event.job or "", "unknown")
                late.setdefault(trigger, []).append((event.begun_at - event.date).total_seconds())
    figures = {trigger: lateness(seconds) for trigger, seconds in late.items()}
    return {trigger: figure for trigger, figure in figures.items() if figure is not None}


def triggers_of(invocations: Path) -> dict[str, str]:
    """Return the trigger of each invocation of the step runner."""
    if not invocations.exists():
        return {}
    lines = [json.loads(line) for line in invocations.read_text().splitlines() if line.endswith("}")]
    return {line["id"]: line["trigger"] for line in lines}


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
