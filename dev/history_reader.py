"""Reads the stored history of instances, and compares it with the calls that the services received."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import boto3

from dev.aws import database
from dev.client import Api
from dev.template import REGION
from shared.adapters.dynamodb.instances import DynamoDbInstances
from shared.adapters.dynamodb.tables import Tables
from shared.domain.ids import AccountId, InstanceSid
from shared.domain.instance.event import Event
from shared.domain.instance.journal import EventRecord, JournalEntry
from shared.domain.instance.model import Instance

_REFUSALS = (409, 425, 429, 503)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A stored step of an event, and when it was executed."""

    at: datetime
    event: Event
    entry: JournalEntry


class HistoryReader:
    """Reads instances, journals and records with the engine's own adapter."""

    def __init__(self, store: DynamoDbInstances) -> None:
        self._store = store

    @classmethod
    def of(cls, stack: Api) -> "HistoryReader":
        """Return a reader of the local stack."""
        found = stack.call("GET", "/_local/database")
        session = boto3.Session("local", "local", region_name=REGION)  # the emulator takes any
        client = database(session, url=found["endpoint"])
        return cls(DynamoDbInstances(client=client, tables=Tables(**found["tables"])))

    def instance(self, sid: str) -> Instance:
        """Return an instance. Raises: LookupError: there is none."""
        instance = self._store.load(InstanceSid(sid))
        if instance is None:
            raise LookupError(sid)
        return instance

    def sids(self, account: AccountId, *, limit: int) -> list[InstanceSid]:
        """Return the instances of an account, newest first."""
        return [InstanceSid(key.sid) for key in self._store.of_account(account, before=None, limit=limit)]

    def events(self, sid: str) -> Iterator[tuple[Event, EventRecord | None, tuple[JournalEntry, ...]]]:
        """Yield every event of an instance, open or closed, with its record and all steps of all its runs."""
        instance = self.instance(sid)
        for seq in range(1, instance.next_seq):
            event_history = self._store.event_history(instance.sid, seq)
            # The record of an open event is that of a runner that had lost its claim.
            record = None if instance.event(seq) else event_history.record
            event = instance.event(seq) or (record.event if record else None)
            last = () if record is None or record.last is None else (record.last,)
            if event is not None:
                yield event, record, (*event_history.entries, *last)

    def lines(self, sid: str) -> list[Line]:
        """Return every step of an instance, in the order of execution."""
        found = [
            Line(at=entry.started_at, event=event, entry=entry)
            for event, _, entries in self.events(sid)
            for entry in entries
        ]
        return sorted(
            found, key=lambda line: (line.at, line.event.seq, line.entry.run, line.entry.intent.visit)
        )


def contradictions(history: HistoryReader, sids: list[str], ledger: list[dict[str, Any]]) -> list[str]:
    """Return the calls for which the downstream's ledger and the engine's history contradict each other."""
    sent = Counter(line["key"] for line in ledger if line["key"])
    done = Counter(line["key"] for line in ledger if line["key"] and _can_be_in_doubt(line))
    answers = {line["key"]: line["answer"]["status"] for line in ledger if line["key"]}
    problems: list[str] = []
    known: set[str] = set()
    for sid in sids:
        for event, record, entries in history.events(sid):
            for entry in entries:
                key = str(entry.intent.call_key)
                known.add(key)
                marked = event.in_doubt or (record is not None and record.in_doubt)
                if done[key] > 1 and not marked:
                    problems.append(f"{key} was received {done[key]} times and is not marked as in doubt")
                problems += _about(entry, sent[key], answers.get(key))
    problems += [f"{key} was received but is not in the history" for key in sent if key not in known]
    return problems


def _can_be_in_doubt(line: dict[str, Any]) -> bool:
    """Return whether a call must not be sent twice without a mark: a POST or PATCH that was not refused for now."""
    return line["method"] in ("POST", "PATCH") and line["answer"]["status"] not in _REFUSALS


def _about(entry: JournalEntry, times: int, status: int | None) -> Iterator[str]:
    if entry.digest is None:
        return  # the step made no call: a controller, or the answer to an earlier call
    key, outcome = entry.intent.call_key, entry.outcome
    if times == 0:
        yield f"{key} is in the history but was never received"
    if status is not None and not outcome.in_doubt and outcome.success != (200 <= status < 300):
        yield f"{key} was answered {status} and is recorded as {'done' if outcome.success else 'failed'}"
