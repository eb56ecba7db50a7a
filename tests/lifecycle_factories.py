"""Small strategies, and lives of instances under them, driven by ``decide`` alone."""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from msgspec.structs import replace

from shared.domain.calendar.dates import format_instant, parse_instant
from shared.domain.ids import AccountId, InstanceSid, StrategySid
from shared.domain.instance.event import Event
from shared.domain.instance.journal import EventHistory, EventRecord, JournalEntry
from shared.domain.instance.model import Instance, Origin
from shared.domain.instance.reason import ErrorKind
from shared.domain.instance.replay import chain, position
from shared.domain.instance.run import Certainty, Ending, Failure, Intent, Outcome, RunEnd, StepError, Then
from shared.domain.instance.verdict import Actor, Applied, AuditEntry, Verdict
from shared.domain.lifecycle.commands import Claim, Command, Conclude, Fence, Redrive, Wait
from shared.domain.lifecycle.decide import decide
from shared.domain.planning.start import NewInstance, start
from shared.domain.steps.call import Answered, CallOutcome
from shared.domain.steps.flow import StepContext, advance
from shared.domain.steps.outcome import begin_wait, judge_call
from shared.domain.steps.refusal import decide_refusal
from shared.domain.strategy.model import Json, Strategy
from shared.domain.strategy.parse import read_definition
from tests.factories import exact

EXAMPLES = Path(__file__).parents[1] / "events"
ANN = Actor(name="ann", reason="asked by phone")
DONE = Outcome(success=True, response={"id": "r-1"})
DECLINED = Outcome(
    success=False, error=StepError(message="shop/charge returned HTTP 402", kind=ErrorKind.HTTP, status=402)
)
SILENT = Outcome(
    success=False, error=StepError(message="no answer", kind=ErrorKind.TIMEOUT), certainty=Certainty.IN_DOUBT
)

MONTHLY: Json = {"unit": "months", "amount": 1}
DAILY: Json = {"unit": "days", "amount": 1}
HOURLY: Json = {"unit": "hours", "amount": 1}


def at(text: str) -> datetime:
    """Return ``2026-01-31``, or a date with a time of day, as an instant in UTC."""
    return parse_instant(f"{text}Z" if "T" in text else f"{text}T00:00Z")


def shown(*instants: datetime) -> list[str]:
    """Return instants as the tests write them."""
    return [format_instant(instant).removesuffix(".000Z").removesuffix(":00") for instant in instants]


def calendar(after: Json = MONTHLY, **members: Json) -> Json:
    """Return a calendar of ``bill``."""
    return {"key": "plan", "task": "bill", "scheduleAfter": after, **members}


def by_cron(text: str, **members: Json) -> Json:
    """Return a calendar of ``bill`` dated by cron."""
    return {"key": "plan", "task": "bill", "cron": text, **members}


def strategy(
    *calendars: Json,
    retry: Json = None,
    steps: Json = None,
    initial_delay: Json = None,
    method: Json = None,
    service: Json = None,
    version: int = 1,
    parts: Json = None,
    **config: Json,
) -> Strategy:
    """Return a strategy that bills every month by default.

    Its tasks are ``bill`` (with ``retry`` and ``steps``), ``remind``, ``greet`` and ``part``, with one call
    each. ``parts`` are other members of the settings.
    """
    call = {"key": "call", "action": "post"}
    settings: Json = {
        "config": config,
        "schedule": {"calendars": list(calendars) or [calendar()]},
        "services": [
            {
                "key": "shop",
                "baseUrls": [{"environment": "dev", "url": "http://127.0.0.1:4010"}],
                "methods": [{"key": "post", "url": "/orders", "method": "post", **(method or {})}],
                **(service or {}),
            }
        ],
        "tasks": [
            {"key": "bill", "initialStep": "call", "steps": steps or [call]},
            *({"key": key, "initialStep": "call", "steps": [call]} for key in ("remind", "greet", "part")),
        ],
        "actions": [{"key": "post", "service": "shop", "method": "post"}],
        **(parts or {}),
    }
    if initial_delay is not None:
        settings["schedule"]["initialDelay"] = initial_delay
    if retry is not None:
        settings["tasks"][0]["retryConfig"] = retry
    return _strategy(settings, version=version)


def example(name: str, **config: Json) -> Strategy:
    """Return an example strategy with members of its ``config`` replaced."""
    settings = json.loads((EXAMPLES / f"{name}.json").read_text())["settings"]
    settings["config"].update(config)
    return _strategy(settings, name=name)


def _strategy(settings: Json, *, name: str = "shop", version: int = 1) -> Strategy:
    return Strategy(
        sid=StrategySid("s-1"),
        account_id=AccountId("a-1"),
        name=name,
        version=version,
        definition=read_definition(exact(settings), environment="dev"),
        environment="dev",
    )


def reminded(*, days: int = 3, late: bool = False, **members: Json) -> Json:
    """Return a monthly calendar with a reminder some days before, which with ``late`` has ``runLate``."""
    entry = {"task": "remind", "scheduleBefore": {"unit": "days", "amount": days}, "runLate": late}
    return calendar(**{"leadingUpTasks": [entry], **members})


def retries(times: int = 1, *, pause: bool = False) -> Json:
    """Return retries after an hour each."""
    return {"times": times, "retryAfter": HOURLY, "pauseBeforeCancel": pause}


def new(start_date: str | None = None, *, end_date: str | None = None, **attributes: Json) -> NewInstance:
    """Return the request for a new instance."""
    return NewInstance(
        sid=InstanceSid("i-1"),
        origin=Origin(strategy_id="shop"),
        shard=3,
        attributes=attributes,
        start_date=None if start_date is None else at(start_date),
        end_date=None if end_date is None else at(end_date),
    )


def succeeded() -> RunEnd:
    """Return the end of a run that reached the end of its task."""
    return RunEnd(how=Ending.SUCCEEDED, attempt=1)


def ended(how: Ending, now: datetime, *, pauses: bool = False, attempt: int = 1) -> RunEnd:
    """Return the end of a failed run; a retry is due in an hour."""
    failure = Failure(
        step="call",
        failed_at=now,
        error=StepError(message="shop/charge returned HTTP 402", kind=ErrorKind.HTTP, status=402),
        retry_at=now + timedelta(hours=1) if how is Ending.RETRY else None,
        pauses=pauses,
    )
    return RunEnd(how=how, attempt=attempt, failure=failure)


@dataclass(slots=True)
class Life:
    """An instance, everything stored beside it, and everything that happened to it."""

    strategy: Strategy
    instance: Instance
    event_histories: dict[int, EventHistory] = field(default_factory=dict)
    records: list[EventRecord] = field(default_factory=list)
    audit: list[AuditEntry] = field(default_factory=list)

    def decide(self, command: Command, now: datetime) -> Verdict:
        """Decide a command; if it is applied, the life continues with the result."""
        verdict = decide(self.strategy, self.instance, command, now=now)
        if isinstance(verdict, Applied):
            self.instance = verdict.instance
            self._reopen(verdict)
            self.records.extend(verdict.records)
            self.audit.extend([] if verdict.audit is None else [verdict.audit])
        return verdict

    def _reopen(self, verdict: Applied) -> None:
        """Remove the record of a reopened event, and move its last step to the journal."""
        record = verdict.reopened
        if record is not None:
            seq = record.event.seq
            self.records = [other for other in self.records if other.event.seq != seq]
            last = () if record.last is None else (record.last,)
            self.event_histories[seq] = EventHistory(entries=(*self.event_history(seq).entries, *last))

    def redrive(self, task: str, now: datetime, *, from_step: str | None = None) -> Verdict:
        """Redrive the last event of a task."""
        seqs = [event.seq for event in self.instance.events if event.task == task]
        seqs += [record.event.seq for record in self.records if record.event.task == task]
        seq = max(seqs)
        record = next((record for record in self.records if record.event.seq == seq), None)
        event_history = replace(self.event_history(seq), record=record)
        steps = frozenset(self.strategy.definition.tasks[task].steps)
        return self.decide(
            Redrive(seq=seq, event_history=event_history, by=ANN, from_step=from_step, steps=steps), now
        )

    def applied(self, command: Command, now: datetime) -> Applied:
        """Decide a command that must be applied."""
        verdict = self.decide(command, now)
        assert isinstance(verdict, Applied), verdict
        return verdict

    def claim(self, event: Event, now: datetime) -> Verdict:
        """Claim an event for a runner, which shuts an earlier one out first."""
        self.decide(Fence(seq=event.seq), now)
        command = Claim(
            seq=event.seq, event_history=self.event_history(event.seq), token="t0k3n", job="job-1"
        )
        return self.decide(command, now)

    def step(self, outcome: Outcome, now: datetime) -> Then:
        """Execute and journal the running event's next step."""
        event, event_history = self.running, self.event_history(self.running.seq)
        intent = position(event_history, event)
        assert isinstance(intent, Intent)
        token = f"t0k3n{len(event_history.entries)}"
        context = StepContext(
            strategy=self.strategy,
            instance=self.instance,
            event=event,
            event_history=event_history,
            now=now,
            token=token,
        )
        is_sending = outcome.success and intent.answers_later and not intent.awaits
        outcome, then = (begin_wait if is_sending else advance)(context, intent, outcome)
        entry = JournalEntry(
            seq=event.seq,
            run=event.run,
            fence=self.instance.fence,
            intent=intent,
            outcome=outcome,
            then=then,
            started_at=now,
            finished_at=now,
        )
        self.event_histories[event.seq] = replace(event_history, entries=(*event_history.entries, entry))
        return then

    def refuse(self, call: CallOutcome, now: datetime) -> Intent:
        """Let the service refuse the running event's next call for now, so that the event waits.

        Return the visit that sends the call again.
        """
        if self.instance.executing is None:
            self.claim(self.main, now)
        event, event_history = self.running, self.event_history(self.running.seq)
        intent = position(event_history, event)
        assert isinstance(intent, Intent)
        context = StepContext(
            strategy=self.strategy,
            instance=self.instance,
            event=event,
            event_history=event_history,
            now=now,
            token="t0k3n",
        )
        refused = decide_refusal(context, intent, judge_call(context, intent, call), call)
        assert refused is not None
        assert refused.again is not None
        entry = JournalEntry(
            seq=event.seq,
            run=event.run,
            fence=self.instance.fence,
            intent=intent,
            outcome=refused.outcome,
            then=refused.again,
            started_at=now,
            finished_at=now,
            answered=call.status if isinstance(call, Answered) else None,
        )
        self.event_histories[event.seq] = replace(event_history, entries=(*event_history.entries, entry))
        self.applied(
            Wait(
                seq=event.seq,
                fence=self.instance.fence,
                until=refused.again.not_before,
                known_visits=intent.visit,
            ),
            now,
        )
        return refused.again

    def conclude(self, end: Then, now: datetime) -> Verdict:
        """Conclude the running event's run."""
        assert isinstance(end, RunEnd), end
        event = self.running
        command = Conclude(
            seq=event.seq,
            fence=self.instance.fence,
            end=end,
            in_doubt=False,
            known_visits=len(chain(self.event_history(event.seq), event.run)),
        )
        return self.decide(command, now)

    def run(self, event: Event, now: datetime, end: RunEnd | None = None) -> Verdict:
        """Claim an event and end its run at once, by default with success."""
        self.claim(event, now)
        assert self.instance.executing is not None, "not claimed"
        return self.conclude(end or succeeded(), now)

    def event_history(self, seq: int) -> EventHistory:
        """Return the stored history of an event."""
        return self.event_histories.get(seq, EventHistory())

    def put_record(self, record: EventRecord) -> None:
        """Store an event's record, as a runner does just before it concludes."""
        seq = record.event.seq
        self.event_histories[seq] = replace(self.event_history(seq), record=record)

    @property
    def running(self) -> Event:
        """Return the event that a runner holds."""
        event = self.instance.executing
        assert event is not None
        return event

    @property
    def main(self) -> Event:
        """Return the open main event."""
        event = self.instance.main_event
        assert event is not None
        return event

    def event(self, task: str) -> Event:
        """Return the only open event of a task."""
        (event,) = (event for event in self.instance.events if event.task == task)
        return event

    def record(self, task: str) -> EventRecord:
        """Return the only record of a task's events."""
        (record,) = (record for record in self.records if record.event.task == task)
        return record

    @property
    def open(self) -> list[tuple[str, str]]:
        """Return task and date of every open event, in the order of creation."""
        return [(event.task, shown(event.date)[0]) for event in self.instance.events]

    @property
    def closed(self) -> list[tuple[str, str]]:
        """Return task and status of every closed event, in the order of closing."""
        return [(record.event.task, record.event.status.value) for record in self.records]


def life(of: Strategy | None = None, request: NewInstance | None = None, *, now: str = "2026-01-31") -> Life:
    """Return the life of a new instance, by default of a monthly bill from the day of its creation."""
    under = of or strategy()
    created = start(under, request or new(), now=at(now))
    return Life(strategy=under, instance=created.instance, records=list(created.records))
