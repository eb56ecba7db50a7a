"""The flow cursor: it moves through a task's flow to the next step to execute, or to the end.

Steps with reusable results are passed. ``flow.py`` creates the cursor.
Source: docs/contracts/core.md sections 3.5 and 3.6; docs/design.md section 5.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from msgspec import Struct, field
from msgspec.structs import replace

from shared.domain.ids import call_key, correlation_id
from shared.domain.instance.event import Event
from shared.domain.instance.journal import EventHistory, StepResult
from shared.domain.instance.model import Instance
from shared.domain.instance.reason import ErrorKind
from shared.domain.instance.replay import chain, is_refused, open_sending, stored_results
from shared.domain.instance.run import (
    Certainty,
    Ending,
    Failure,
    Intent,
    Outcome,
    Path,
    RunEnd,
    StepError,
    Then,
)
from shared.domain.instance.scope import Scope, scope, with_failure
from shared.domain.steps.retry import FailedStep, due_after, failure, policy_of
from shared.domain.steps.rules import first_match, next_steps
from shared.domain.strategy.model import Json, RuleKind, Step, Strategy, Task, answers_later, json_size
from shared.domain.strategy.variables import VARIABLES
from shared.expressions import EvaluationError, render

MAX_OUTPUTS_BYTES = 2 * 1024
"""The largest size of an event's outputs, and of an instance's, as compact JSON in bytes."""

MAX_VISITS = 200
"""The most steps that a run may execute; after that its attempt fails."""

MAX_BRANCHES = 32
"""The most branches that may wait for their turn in a run."""


class StepContext(Struct, frozen=True, kw_only=True):
    """The input of every decision about a step: its event with its history, at one instant.

    ``token`` is unguessable and used in the correlation id of the next intent.
    """

    strategy: Strategy
    instance: Instance
    event: Event
    event_history: EventHistory
    now: datetime
    token: str

    @property
    def task(self) -> Task:
        """Return the task of the event."""
        return self.strategy.definition.tasks[self.event.task]

    def scope_at(self, intent: Intent | None, results: Mapping[str, StepResult]) -> Scope:
        """Return the variables at a step, with the given results as its stack."""
        return scope(
            self.strategy, self.instance, now=self.now, event=self.event, intent=intent, stack=results
        )


class _OpenCall(NamedTuple):
    """A call whose repeat keeps the ids.

    ``has_acted`` means that the service did it, and a ``callback`` rule could not be evaluated on its answer.
    """

    sent: Intent
    certainty: Certainty
    has_acted: bool
    at: datetime

    @property
    def may_have_effect(self) -> bool:
        """Return whether a repeat could have its effect twice."""
        return self.has_acted or self.certainty is Certainty.IN_DOUBT

    @property
    def in_doubt_since(self) -> datetime | None:
        """Return when the first sending without a definite answer was over, or None if no sending is in doubt."""
        return self.sent.in_doubt_since or (self.at if self.certainty is Certainty.IN_DOUBT else None)


class FlowCursor(Struct, kw_only=True):
    """A position in the flow of a run.

    The methods take the result of a step and return the key of the next step, or None at the end.

    ``after`` is the step just executed, and ``certainty`` that of its call. ``visit`` is the number of the
    next step. ``path``, ``attempt``, ``resets``, ``branches`` and ``failure`` are as in ``Intent``. ``results`` is the
    stack. ``earliest`` is when the service of the step just executed wants to be called again, if it has said so.

    ``passed`` lists the steps passed with reused results since ``after``. ``seen`` has all such steps of this run on
    this path; if a loop returns to such a step, it is executed. ``reached`` has the steps that the run has reached on
    its main path; it is filled only for redriven events. ``notes`` describe expressions that failed.
    """

    context: StepContext
    after: Intent | None = None
    certainty: Certainty = Certainty.DEFINITE
    earliest: datetime | None = None
    visit: int = 1
    path: Path = Path.MAIN
    attempt: int
    resets: tuple[str, ...]
    branches: tuple[str, ...] = ()
    failure: Failure | None = None
    results: dict[str, StepResult] = field(default_factory=dict)
    passed: tuple[str, ...] = ()
    seen: frozenset[str] = frozenset()
    reached: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()

    def finish_step(self, outcome: Outcome, target: str | None) -> tuple[Outcome, Then]:
        """Return the outcome to be stored, with the notes, and the next action."""
        then = self.follow(target)
        return replace(outcome, notes=outcome.notes + self.notes), then

    def follow(self, target: str | None) -> Then:
        """Return the intent for a step, or the action after it if its stored result can be reused."""
        while target is not None:
            step = self.context.task.steps[target]
            stored = self._stored(step)
            if stored is not None:
                target = self._pass(step, stored)
            elif self.visit <= MAX_VISITS or self._steps_executed() < MAX_VISITS:
                return self._intent(step)
            else:
                too_many = StepError(message=f"more than {MAX_VISITS} steps in one run", kind=ErrorKind.LIMIT)
                target = self.attempt_failed(step, too_many)
        return self._end()

    def succeeded(self, step: Step) -> str | None:
        """Return the next step after a success; at the end of a branch, the first step of the next branch.

        Raises: EvaluationError: if a rule cannot be evaluated.
        """
        targets = next_steps(step, self._variables)
        # The last entry is next, so the chosen branches are pushed in reverse order.
        waiting = (*self.branches, *reversed(targets))
        if len(waiting) > MAX_BRANCHES + 1:
            raise EvaluationError(f"more than {MAX_BRANCHES} branches wait")
        self.branches = waiting[:-1]
        return waiting[-1] if waiting else None

    def failed(self, step: Step, error: StepError) -> str | None:
        """Return the next step after an error.

        It is the first matching ``onError`` rule's step. Without one, an optional step continues, and any other step
        fails the attempt.
        """
        target = self._first_match(step, RuleKind.ON_ERROR)
        if target is not None:
            return target
        return self.pass_step(step, error) if step.optional else self.attempt_failed(step, error)

    def pass_step(self, step: Step, error: StepError) -> str | None:
        """Continue as after a success. If a rule cannot be evaluated, the attempt fails."""
        try:
            return self.succeeded(step)
        except EvaluationError as problem:
            self.notes += (rule_failed(step, problem).message,)
            return self.attempt_failed(step, error)

    def attempt_failed(self, step: Step, error: StepError) -> str | None:
        """Continue on the side path of the failed step, or end the run."""
        # On a side path the attempt has already failed, so a further error ends the run.
        if self.failure is not None:
            return None
        is_executed = self.after is not None and self.after.step == step.key
        self.failure, notes = failure(
            self.context.strategy,
            self.context.instance,
            self.context.event,
            policy_of(self.context.instance, self.context.task, step),
            FailedStep(
                step=step,
                error=error,
                attempt=self.attempt,
                result=self.results.get(step.key) if is_executed else None,
                earliest=self.earliest,
            ),
            variables=self._variables(),
            now=self.context.now,
        )
        self.notes += notes
        self.branches, self.seen = (), frozenset()
        if self.failure.retry_at is not None:
            self.path = Path.BEFORE_RETRY
            return self._first_match(step, RuleKind.ON_BEFORE_RETRY)
        if self.failure.pauses:
            self.path = Path.BEFORE_PAUSE
            return self._first_match(step, RuleKind.ON_BEFORE_PAUSE)
        return None

    def _stored(self, step: Step) -> StepResult | None:
        repeats = self.path is not Path.MAIN if step.repeat_on_retry is None else step.repeat_on_retry
        if repeats or step.key in self.seen:
            return None
        since = self._since(step) if self.path is Path.MAIN else 1
        return stored_results(self.context.event_history, self.context.event, self.path, since=since).get(
            step.key
        )

    def _since(self, step: Step) -> int:
        """Return the first run whose results are reused at a step. After a redriven step it is the redrive's run."""
        reached = self.reached | {step.key}
        return max(
            (redriven.run for redriven in self.context.event.reuse.redriven_from if redriven.step in reached),
            default=1,
        )

    def _pass(self, step: Step, stored: StepResult) -> str | None:
        """Pass a step with a stored success. The result stays a success, even if a rule of the step now fails."""
        self.results[step.key] = stored
        self.passed += (step.key,)
        self.seen |= {step.key}
        self.reached |= {step.key}
        if not stored.success:
            # An operator skipped it, and its ``onError`` rules were not followed then either.
            return self.pass_step(step, stored.error or StepError(message="skipped"))
        try:
            return self.succeeded(step)
        except EvaluationError as problem:
            return self.failed(step, rule_failed(step, problem))

    def _intent(self, step: Step) -> Intent:
        event, sid = self.context.event, self.context.instance.event_sid(self.context.event)
        resets = step.reset_attempts and step.key not in self.resets and self.path is Path.MAIN
        open_call = self._open_call(step)
        sent = None if open_call is None else open_call.sent
        intent = Intent(
            visit=self.visit,
            step=step.key,
            call_key=sent.call_key if sent else call_key(sid, run=event.run, visit=self.visit),
            correlation_id=sent.correlation_id if sent else correlation_id(sid, self.context.token),
            path=self.path,
            repeat=open_call is not None and open_call.may_have_effect,
            in_doubt_since=None if open_call is None else open_call.in_doubt_since,
            passed=self.passed,
            branches=self.branches,
            attempt=1 if resets else self.attempt,
            resets=(*self.resets, step.key) if resets else self.resets,
            failure=self.failure,
            answers_later=self.path is Path.MAIN and answers_later(self.context.strategy, step),
        )
        return replace(intent, not_before=self._not_before(step, intent))

    def _open_call(self, step: Step) -> _OpenCall | None:
        """Return the step's last call if its next call keeps the ids, else None."""
        result = self.results.get(step.key)
        if result is not None and result.error is not None and result.error.kind is ErrorKind.SKIPPED:
            # An operator has dealt with it in this run, so the flow means another call.
            return None
        if self.after is not None and self.after.step == step.key:
            is_open = self.certainty is not Certainty.DEFINITE
            has_acted = result is not None and result.success and result.error is not None
            return _OpenCall(self.after, self.certainty, has_acted, self.context.now) if is_open else None
        entry = open_sending(self.context.event_history, self.context.event, step.key)
        if entry is None:
            return None
        outcome = entry.outcome
        has_acted = outcome.success and outcome.error is not None
        return _OpenCall(entry.intent, outcome.certainty, has_acted, entry.finished_at)

    def _steps_executed(self) -> int:
        """Return how many steps the run has executed. A call that was refused for now counts when it is answered."""
        entries = chain(self.context.event_history, self.context.event.run)
        return self.visit - 1 - sum(is_refused(entry) for entry in entries)

    def _not_before(self, step: Step, intent: Intent) -> datetime | None:
        """Return the end of the step's ``delay``, or None if it has none or no date results."""
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
        """Return the rendered outputs of the task.

        An output that cannot be rendered is left out. If all together exceed 2 KB, all are left out.
        """
        outputs: dict[str, Json] = {}
        variables = self._variables() if self.context.task.outputs else {}
        for name, template in self.context.task.outputs.items():
            try:
                outputs[name] = render(template, variables, variables=VARIABLES)
            except EvaluationError as error:
                self.notes += (f"output {name}: {error}",)
        if json_size(outputs) > MAX_OUTPUTS_BYTES:
            self.notes += ("outputs: dropped, because they take more than 2 KB",)
            return {}
        return outputs

    def _first_match(self, step: Step, kind: RuleKind) -> str | None:
        target, notes = first_match(step, kind, self._variables)
        self.notes += notes
        return target

    def _variables(self) -> Scope:
        variables = self.context.scope_at(self.after, self.results)
        # The rules that begin a side path see the failure, although the step just executed is not on that path.
        return variables if self.failure is None else with_failure(variables, self.failure)


def rule_failed(step: Step, problem: EvaluationError) -> StepError:
    """Return the error of a step with a ``callback`` rule that cannot be evaluated."""
    return StepError(message=f"rule of {step.key}: {problem}", kind=ErrorKind.EXPRESSION)
