"""Factories for tests: small, literal values, valid by default.

``a_...`` and ``an_...`` return domain values. ``settings``, ``step``, ``task`` and ``rule`` return documents as
a company would send them, and ``strategy_from`` parses them like the engine.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from msgspec.structs import fields, replace

from shared.domain.calendar.dates import Unit, moment_at, zone_named
from shared.domain.ids import AccountId, CallKey, CorrelationId, InstanceSid, StrategySid
from shared.domain.instance.event import Event, EventKind, EventStatus
from shared.domain.instance.journal import EventHistory, JournalEntry
from shared.domain.instance.model import Instance, Lease, Origin, Plan, Stoppage
from shared.domain.instance.reason import Cause, ErrorKind, StopReason
from shared.domain.instance.run import Certainty, Ending, Intent, Outcome, RunEnd, StepError, Then
from shared.domain.instance.verdict import Actor, Applied
from shared.domain.lifecycle.commands import Redrive, Resume
from shared.domain.lifecycle.conclude import apply_run_end
from shared.domain.lifecycle.pause_resume_cancel import resume
from shared.domain.lifecycle.redrive import redrive
from shared.domain.steps.flow import StepContext, advance, first_action
from shared.domain.strategy.model import Calendar, Definition, Delta, Json, Step, Strategy, Task
from shared.domain.strategy.parse import read_definition

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
"""The default present of a test."""

HOUR = timedelta(hours=1)

T = TypeVar("T", Instance, Event)


# The documents a company sends.


def step(key: str, **members: Any) -> dict[str, Any]:
    """Return a step that posts by default."""
    acts = {"action", "controllerCallback", "delay"} & set(members)
    return {"key": key, **({} if acts else {"action": "post"}), **members}


def rule(kind: str, next_step: str, condition: str | None = None) -> dict[str, Any]:
    return {"if": kind, "nextStep": next_step, **({} if condition is None else {"ifCallback": condition})}


def task(key: str, *steps: dict[str, Any], **members: Any) -> dict[str, Any]:
    """Return a task that begins with its first step; if no steps are given, it has a step that posts."""
    steps = steps or (step("only"),)
    return {"key": key, "initialStep": steps[0]["key"], "steps": list(steps), **members}


def settings(*tasks: dict[str, Any], **members: Any) -> dict[str, Any]:
    """Return a monthly plan of the first task, and a service with one action per HTTP method.

    ``members`` replace whole top-level members.
    """
    tasks = tasks or (task("charge"),)
    methods = ("get", "post", "put", "patch", "delete")
    return {
        "schedule": {
            "calendars": [
                {
                    "key": "monthly",
                    "scheduleAfter": {"unit": "months", "amount": 1},
                    "task": tasks[0]["key"],
                }
            ]
        },
        "services": [
            {
                "key": "api",
                "baseUrls": [{"environment": "dev", "url": "https://api.example.com"}],
                "methods": [{"key": name, "url": "/things", "method": name} for name in methods],
            }
        ],
        "actions": [{"key": name, "service": "api", "method": name} for name in methods],
        "tasks": list(tasks),
        **members,
    }


def hours(amount: int) -> dict[str, Any]:
    return {"unit": "hours", "amount": amount}


# Strategies.


def exact(document: Json) -> Json:
    """Return settings whose retries are exactly on their dates, unless they say ``jitterPercent`` themselves."""
    if isinstance(document, list):
        return [exact(entry) for entry in document]
    if not isinstance(document, dict):
        return document
    members = {name: exact(member) for name, member in document.items()}
    if isinstance(members.get("retryConfig"), dict):
        members["retryConfig"] = {"jitterPercent": 0, **members["retryConfig"]}
    return members


def strategy_from(document: dict[str, Any] | None = None, **members: Any) -> Strategy:
    """Return the strategy of these settings, with exact retries. Raises: InvalidInputError: if they are invalid."""
    definition = read_definition(exact(document or settings()), environment="dev")
    return a_strategy(definition=definition, **members)


def a_strategy(**members: Any) -> Strategy:
    known: dict[str, Any] = {
        "sid": StrategySid("strategy"),
        "account_id": AccountId("account"),
        "name": "membership",
        "version": 1,
        "environment": "dev",
    }
    return Strategy(**{"definition": a_definition(), **known, **members})


def a_definition(*tasks: Task, **members: Any) -> Definition:
    """Return a monthly plan of the first task, without services."""
    tasks = tasks or (a_task(),)
    calendar = Calendar(key="monthly", task=tasks[0].key, schedule_after=Delta(unit=Unit.MONTHS, amount=1))
    known: dict[str, Any] = {"calendars": (calendar,), "services": {}, "actions": {}}
    return Definition(**{**known, "tasks": {each.key: each for each in tasks}, **members})


def a_task(*steps: Step, **members: Any) -> Task:
    """Return a task ``charge`` that begins with its first step."""
    steps = steps or (a_step("only"),)
    known: dict[str, Any] = {"key": "charge", "initial_step": steps[0].key}
    return Task(**{**known, "steps": {each.key: each for each in steps}, **members})


def a_step(key: str = "only", **members: Any) -> Step:
    """Return a step with a controller that does nothing by default."""
    if not {"action", "controller_callback", "delay"} & set(members):
        members["controller_callback"] = "{}"
    return Step(key=key, **members)


# Instances, events, journals.


PARTS: dict[type, tuple[str, ...]] = {
    Instance: ("origin", "plan", "sweep"),
    Event: ("times", "claim", "progress", "reuse"),
}


def changed(value: T, **members: Any) -> T:
    """Return the value with members changed by their own names, in any of its value objects."""
    for name in PARTS[type(value)]:
        part = getattr(value, name)
        own = {field.name: members.pop(field.name) for field in fields(part) if field.name in members}
        members.setdefault(name, replace(part, **own))
    return replace(value, **members)


def a_stop(**members: Any) -> Stoppage:
    """Return a stop at noon, already drained."""
    reason = StopReason(cause=Cause.OPERATOR, detail="ann")
    return Stoppage(**{"at": NOON, "by": "ann", "reason": reason, "drained_at": NOON, **members})


def stop_of(instance: Instance) -> Stoppage:
    """Return how an instance that must not be ACTIVE was stopped."""
    assert instance.stop is not None
    return instance.stop


def an_instance(*events: Event, **members: Any) -> Instance:
    """Return an ACTIVE instance in its first cycle, which is planned for noon."""
    instance = Instance(
        sid=InstanceSid("i"),
        account_id=AccountId("account"),
        strategy_sid=StrategySid("strategy"),
        strategy_version=1,
        origin=Origin(strategy_id="membership"),
        start_date=NOON,
        created_at=NOON,
        updated_at=NOON,
        shard=0,
        plan=Plan(moment=moment_at(NOON, zone_named(a_definition().timezone))),
        events=events,
        next_seq=max((event.seq for event in events), default=0) + 1,
    )
    return changed(instance, **members)


def an_event(seq: int = 1, **members: Any) -> Event:
    """Return the main event of the first cycle: a ``charge`` at noon, PENDING."""
    date = members.get("date", NOON)
    event = Event(
        seq=seq,
        kind=EventKind.MAIN,
        task="charge",
        date=date,
        due_at=date,
        status=EventStatus.PENDING,
        created_at=NOON,
        updated_at=NOON,
        created_cycle=1,
    )
    return changed(event, **members)


def a_running_event(seq: int = 1, **members: Any) -> Event:
    """Return ``an_event`` EXECUTING since noon."""
    return an_event(seq, **{"status": EventStatus.EXECUTING, "begun_at": NOON, "version": 1, **members})


def running(event: Event, *others: Event, **members: Any) -> Instance:
    """Return an instance whose lease covers the first of these events."""
    lease = Lease(seq=event.seq, until=NOON + HOUR)
    return an_instance(event, *others, **{"lease": lease, "fence": 1, **members})


def an_intent(key: str = "only", **members: Any) -> Intent:
    """Return the first intent of a run."""
    known: dict[str, Any] = {
        "visit": 1,
        "call_key": CallKey("i-1-1-1"),
        "correlation_id": CorrelationId("i-1.token"),
    }
    return Intent(**{**known, "step": key, **members})


def a_success(response: Json = None, **members: Any) -> Outcome:
    return Outcome(success=True, response=response, **members)


def an_error(status: int = 500, data: Json = None, **members: Any) -> Outcome:
    """Return the outcome of an answer with that status."""
    error = StepError(
        message=f"api/call returned HTTP {status}", kind=ErrorKind.HTTP, status=status, data=data
    )
    return Outcome(success=False, error=error, **members)


NO_ANSWER = Outcome(
    success=False,
    error=StepError(message="no answer: timeout", kind=ErrorKind.TIMEOUT),
    certainty=Certainty.IN_DOUBT,
)
"""The outcome of a call without an answer."""


def an_entry(key: str = "only", then: Then | None = None, **members: Any) -> JournalEntry:
    """Return a successful step of run 1, by default the last of its task."""
    known: dict[str, Any] = {
        "seq": 1,
        "run": 1,
        "fence": 1,
        "intent": an_intent(key),
        "outcome": a_success(),
        "then": then or an_end(),
        "started_at": NOON,
        "finished_at": NOON,
    }
    return JournalEntry(**{**known, **members})


def a_history(*entries: JournalEntry) -> EventHistory:
    return EventHistory(entries=entries)


def an_end(**members: Any) -> RunEnd:
    """Return an end that SUCCEEDED in the first attempt."""
    return RunEnd(**{"how": Ending.SUCCEEDED, "attempt": 1, **members})


class Journey:
    """The runs of one event, step by step, as a runner executes them, with a list as the store.

    Every step that ``goes`` is journaled; the domain itself decides about ``retry`` and ``restart``.
    """

    then: Then

    def __init__(
        self,
        strategy: Strategy | dict[str, Any],
        event: Event | None = None,
        **instance: Any,
    ) -> None:
        self.strategy = strategy if isinstance(strategy, Strategy) else strategy_from(strategy)
        begun = changed(event or an_event(), status=EventStatus.EXECUTING, begun_at=NOON)
        self.seq = begun.seq
        self.instance = running(begun, **instance)
        self.entries: list[JournalEntry] = []
        self.now = NOON
        self.last = a_success()
        self.decisions = 0
        self._set_out()

    @property
    def event(self) -> Event:
        found = self.instance.event(self.seq)
        assert found is not None
        return found

    @property
    def event_history(self) -> EventHistory:
        return EventHistory(entries=tuple(self.entries))

    @property
    def context(self) -> StepContext:
        """Return the context of the next step by the claim and the journal."""
        return StepContext(
            strategy=self.strategy,
            instance=self.instance,
            event=self.event,
            event_history=self.event_history,
            now=self.now,
            token=f"token{self.decisions}",
        )

    @property
    def intent(self) -> Intent:
        assert isinstance(self.then, Intent)
        return self.then

    @property
    def end(self) -> RunEnd:
        assert isinstance(self.then, RunEnd)
        return self.then

    @property
    def at(self) -> str:
        """Return the key of the current step, or how its run ended."""
        return self.then.step if isinstance(self.then, Intent) else self.then.how.value

    @property
    def executed(self) -> list[str]:
        """Return the steps executed so far, over all runs."""
        return [entry.intent.step for entry in self.entries]

    def goes(self, *outcomes: Outcome) -> "Journey":
        """Execute the next steps with these outcomes."""
        for outcome in outcomes:
            intent = self.intent
            self.decisions += 1
            self.last, self.then = advance(self.context, intent, outcome)
            self.entries.append(
                an_entry(
                    intent=intent,
                    run=self.event.run,
                    outcome=self.last,
                    then=self.then,
                    fence=self.instance.fence,
                    started_at=self.now,
                    finished_at=self.now,
                )
            )
        return self

    def succeeds(self, *responses: Json) -> "Journey":
        """Let the next steps succeed with these responses."""
        return self.goes(*(a_success(response) for response in responses or (None,)))

    def fails(self, *statuses: int) -> "Journey":
        """Let the next steps fail with these HTTP statuses."""
        return self.goes(*(an_error(status) for status in statuses or (500,)))

    def retry(self) -> "Journey":
        """Begin the next run when it is due, after a failed attempt."""
        assert self.end.failure is not None
        assert self.end.failure.retry_at is not None
        self._conclude()
        self.now = self.end.failure.retry_at
        return self._claimed()

    def restart(self, *, at: datetime | None = None) -> "Journey":
        """Resume the instance after the attempts were used up and the event was paused."""
        self._conclude()
        self.now = at or self.now + HOUR
        verdict = resume(self.strategy, self.instance, Resume(by=Actor(name="key")), now=self.now)
        assert isinstance(verdict, Applied)
        self.instance = verdict.instance
        return self._claimed()

    def redrive(self, from_step: str | None = None) -> "Journey":
        """Redrive the event after the attempts were used up and the event was paused."""
        self._conclude()
        self.now += HOUR
        steps = frozenset(self.strategy.definition.tasks[self.event.task].steps)
        by = Actor(name="key")
        command = Redrive(
            seq=self.seq, event_history=self.event_history, by=by, from_step=from_step, steps=steps
        )
        verdict = redrive(self.strategy, self.instance, command, now=self.now)
        assert isinstance(verdict, Applied), verdict
        self.instance = verdict.instance
        return self._claimed()

    def _conclude(self) -> None:
        self.instance = apply_run_end(
            self.strategy, self.instance, self.event, self.end, now=self.now
        ).instance

    def _claimed(self) -> "Journey":
        begun = replace(self.event, status=EventStatus.EXECUTING, pause=None)
        lease = Lease(seq=self.seq, until=self.now + HOUR)
        fence = self.instance.fence + 1
        self.instance = replace(self.instance.with_event(begun), lease=lease, fence=fence)
        self._set_out()
        return self

    def _set_out(self) -> None:
        self.then = first_action(self.context)
        self.instance = self.instance.with_event(changed(self.event, first_action=self.then))
