"""A position in a task's flow, moved past steps with stored results to the next step to execute, or to the end.

``flow.py`` says where it begins.
Source: contracts/core.md sections 3.5 and 3.6; design section 5.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from shared.domain.ids import call_key, correlation_id
from shared.domain.instance.event import Event
from shared.domain.instance.journal import EventHistory, StepResult
from shared.domain.instance.model import Instance
from shared.domain.instance.replay import stored_results, unanswered_sending
from shared.domain.instance.run import Ending, Failure, Intent, Outcome, Path, RunEnd, StepError, Then
from shared.domain.instance.scope import Scope, scope
from shared.domain.steps.retry import due_after, failure, policy_of
from shared.domain.steps.rules import first_match, ways_on
from shared.domain.strategy.model import Json, RuleKind, Step, Strategy, Task, answers_later, json_size
from shared.domain.strategy.variables import VARIABLES
from shared.expressions import EvaluationError, render

MAX_OUTPUTS_BYTES = 2 * 1024
"""What the outputs of an event, and those of an instance, may take together, as JSON."""

MAX_VISITS = 200
"""A run executes at most so many steps; then its attempt fails."""

MAX_BRANCHES = 32
"""At most so many branches wait to be run one after another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepContext:
    """What a step of a run is decided on: its event with what is stored of it, at one instant.

    token: unguessable, for the correlation id of the next intent.
    """

    strategy: Strategy
    instance: Instance
    event: Event
    event_history: EventHistory
    now: datetime
    token: str

    @property
    def task(self) -> Task:
        """The task of the event."""
        return self.strategy.definition.tasks[self.event.task]

    def scope_at(self, intent: Intent | None, results: Mapping[str, StepResult]) -> Scope:
        """The variables at a step, over the given stack."""
        return scope(
            self.strategy, self.instance, now=self.now, event=self.event, intent=intent, stack=results
        )


@dataclass(slots=True, kw_only=True)
class FlowCursor:
    """A position in the flow of a run, from its start or an executed step to the next step or the end.

    Its methods take the result of a step and return the key of the next step, None for the end.

    after: the step just executed. unanswered: no definite answer to it came.
    visit: of the next step. path, attempt, resets, branches, failure: as an ``Intent`` has them.
    results: the stack. passed: steps taken from stored results since ``after``.
    seen: all such steps of this run on this path; a loop that comes back to one executes it.
    come_to: the steps this run has come to on its main path; known only where it matters (``event.again``).
    notes: what could not be evaluated.
    """

    context: StepContext
    after: Intent | None = None
    unanswered: bool = False
    visit: int = 1
    path: Path = Path.MAIN
    attempt: int
    resets: tuple[str, ...]
    branches: tuple[str, ...] = ()
    failure: Failure | None = None
    results: dict[str, StepResult] = field(default_factory=dict)
    passed: tuple[str, ...] = ()
    seen: frozenset[str] = frozenset()
    come_to: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()

    def decided(self, outcome: Outcome, target: str | None) -> tuple[Outcome, Then]:
        """The outcome as it is to be stored, and what follows it."""
        then = self.follow(target)
        return replace(outcome, notes=outcome.notes + self.notes), then

    def follow(self, target: str | None) -> Then:
        """The intent for a step, or what follows it where an earlier run has already done it."""
        while target is not None:
            step = self.context.task.steps[target]
            stored = self._stored(step)
            if stored is not None:
                target = self._pass(step, stored)
            elif self.visit <= MAX_VISITS:
                return self._intent(step)
            else:
                too_many = StepError(message=f"more than {MAX_VISITS} steps in one run")
                target = self.attempt_failed(step, too_many)
        return self._end()

    def succeeded(self, step: Step) -> str | None:
        """Where the step leads; at the end of a branch, the branch that waits.

        Raises: EvaluationError: a rule cannot be evaluated.
        """
        targets = ways_on(step, self._variables)
        waiting = (*self.branches, *reversed(targets))
        if len(waiting) > MAX_BRANCHES + 1:
            raise EvaluationError(f"more than {MAX_BRANCHES} branches wait")
        self.branches = waiting[:-1]
        return waiting[-1] if waiting else None

    def failed(self, step: Step, error: StepError) -> str | None:
        """The first matching ``onError`` rule, else on if it is optional, else the attempt has failed."""
        target = self._first_match(step, RuleKind.ON_ERROR)
        if target is not None:
            return target
        return self.passed_over(step, error) if step.optional else self.attempt_failed(step, error)

    def passed_over(self, step: Step, error: StepError) -> str | None:
        """As after success; where a rule cannot be evaluated then, the attempt has failed."""
        try:
            return self.succeeded(step)
        except EvaluationError as problem:
            self.notes += (rule_failed(step, problem).message,)
            return self.attempt_failed(step, error)

    def attempt_failed(self, step: Step, error: StepError) -> str | None:
        """On to the side path of the failed step, or to the end. On a side path errors are only recorded."""
        if self.failure is not None:
            return None
        self.failure, note = failure(
            self.context.strategy,
            self.context.instance,
            policy_of(self.context.instance, self.context.task, step),
            step,
            error,
            attempt=self.attempt,
            variables=self._variables(),
            now=self.context.now,
        )
        self.notes += (note,) if note else ()
        self.branches, self.seen = (), frozenset()
        if self.failure.retry_at is not None:
            self.path = Path.BEFORE_RETRY
            return self._first_match(step, RuleKind.ON_BEFORE_RETRY)
        if self.failure.pauses:
            self.path = Path.BEFORE_PAUSE
            return self._first_match(step, RuleKind.ON_BEFORE_PAUSE)
        return None

    def _stored(self, step: Step) -> StepResult | None:
        if step.repeat_on_retry or step.key in self.seen:
            return None
        since = self._since(step) if self.path is Path.MAIN else 1
        return stored_results(self.context.event_history, self.context.event, self.path, since=since).get(
            step.key
        )

    def _since(self, step: Step) -> int:
        """The first run whose results count at a step: from one that was redriven from on, only those since."""
        come_to = self.come_to | {step.key}
        return max(
            (again.run for again in self.context.event.reuse.redriven_from if again.step in come_to),
            default=1,
        )

    def _pass(self, step: Step, stored: StepResult) -> str | None:
        """Past a step with a stored success. It stays one on the stack, even if its rules now fail."""
        self.results[step.key] = stored
        self.passed += (step.key,)
        self.seen |= {step.key}
        self.come_to |= {step.key}
        try:
            return self.succeeded(step)
        except EvaluationError as problem:
            return self.failed(step, rule_failed(step, problem))

    def _intent(self, step: Step) -> Intent:
        event, sid = self.context.event, self.context.instance.event_sid(self.context.event)
        resets = step.reset_attempts and step.key not in self.resets and self.path is Path.MAIN
        sent = self._unanswered_sending(step)
        intent = Intent(
            visit=self.visit,
            step=step.key,
            call_key=sent.call_key if sent else call_key(sid, run=event.run, visit=self.visit),
            correlation_id=sent.correlation_id if sent else correlation_id(sid, self.context.token),
            path=self.path,
            repeat=sent is not None,
            passed=self.passed,
            branches=self.branches,
            attempt=1 if resets else self.attempt,
            resets=(*self.resets, step.key) if resets else self.resets,
            failure=self.failure,
            answers_later=self.path is Path.MAIN and answers_later(self.context.strategy, step),
        )
        return replace(intent, not_before=self._not_before(step, intent))

    def _unanswered_sending(self, step: Step) -> Intent | None:
        if self.after is not None and self.after.step == step.key:
            return self.after if self.unanswered else None
        return unanswered_sending(self.context.event_history, self.context.event, step.key)

    def _not_before(self, step: Step, intent: Intent) -> datetime | None:
        """When a step with ``delay`` acts; at once where no such date exists."""
        if step.delay is None:
            return None
        variables = self.context.scope_at(intent, self.results)
        at, note = due_after(
            self.context.strategy, self.context.instance, step.delay, variables, now=self.context.now
        )
        self.notes += (f"delay of {step.key}: {note}",) if note else ()
        return at

    def _end(self) -> RunEnd:
        if self.failure is None:
            how = Ending.SUCCEEDED
        else:
            how = Ending.EXHAUSTED if self.failure.retry_at is None else Ending.RETRY
        return RunEnd(
            how=how,
            attempt=self.attempt,
            resets=self.resets,
            passed=self.passed,
            failure=self.failure,
            outputs=self._outputs() if how is Ending.SUCCEEDED else {},
        )

    def _outputs(self) -> dict[str, Json]:
        """The outputs of the task. One that cannot be rendered is left out; together they take 2 KB at most."""
        found: dict[str, Json] = {}
        variables = self._variables() if self.context.task.outputs else {}
        for name, template in self.context.task.outputs.items():
            try:
                found[name] = render(template, variables, variables=VARIABLES)
            except EvaluationError as error:
                self.notes += (f"output {name}: {error}",)
        if json_size(found) > MAX_OUTPUTS_BYTES:
            self.notes += ("outputs: they take more than 2 KB and are left out",)
            return {}
        return found

    def _first_match(self, step: Step, kind: RuleKind) -> str | None:
        target, notes = first_match(step, kind, self._variables)
        self.notes += notes
        return target

    def _variables(self) -> Scope:
        return self.context.scope_at(self.after, self.results)


def rule_failed(step: Step, problem: EvaluationError) -> StepError:
    """What a step came to of which a ``callback`` rule cannot be evaluated."""
    return StepError(message=f"rule of {step.key}: {problem}")
