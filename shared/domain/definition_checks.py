"""What makes a definition wrong although each of its fields is well formed.

References, reachability, loops, zones, callbacks, templates, schemas, environments.
Source: contracts/core.md sections 2.2, 4 and 4.1; design sections 5 and 6.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta

from shared.domain.callbacks import VARIABLES
from shared.domain.dates import KEEP_ALL, zone_named
from shared.domain.errors import DateError, Problem
from shared.domain.reader import repeated, schema_or_callback
from shared.domain.step import TOKEN_TIMEOUT_SECONDS
from shared.domain.strategy import Definition, Delta, Json, RuleKind, Step, Task
from shared.domain.validation import check_schema
from shared.expressions import ResultType, template_problems
from shared.expressions import check as check_expression

LONGEST_STEP = timedelta(seconds=880)
"""A step must fit one Lambda: 900 s less what it takes to set it down."""

Report = Callable[[str, str, str], None]
"""Takes a pointer, a rule and a message."""


def check(
    definition: Definition, settings: Json, *, environment: str, pointer: str, problems: list[Problem]
) -> None:
    """Add every problem of the whole; ``settings`` is the document the definition was read from."""
    if not isinstance(settings, Mapping):
        return
    document = _Document(settings, pointer, problems)
    document.repeated_keys()
    _check_zone(definition, document)
    _check_calendars(definition, document)
    _check_references(definition, document)
    _check_services(definition, document, environment)
    for index, entry in document.entries("tasks"):
        task = definition.tasks.get(str(entry.get("key")))
        if task is not None and isinstance(entry.get("steps"), list):
            _check_task(definition, document, task, f"/tasks/{index}", entry["steps"])
    _check_texts(document)


class _Document:
    """The settings as they were sent, to say where a problem is."""

    def __init__(self, settings: Mapping[str, Json], pointer: str, problems: list[Problem]) -> None:
        self.settings = settings
        self._pointer = pointer
        self._problems = problems

    def report(self, pointer: str, rule: str, message: str, caret: str | None = None) -> None:
        self._problems.append(
            Problem(pointer=self._pointer + pointer, rule=rule, message=message, caret=caret)
        )

    def add(self, problems: list[Problem]) -> None:
        self._problems.extend(problems)

    def whole(self, pointer: str) -> str:
        return self._pointer + pointer

    def entries(self, *path: str) -> Iterator[tuple[int, Mapping[str, Json]]]:
        """The objects of a list, with their positions; nothing where it is malformed."""
        value: Json = self.settings
        for name in path:
            value = value.get(name) if isinstance(value, Mapping) else None
        for index, entry in enumerate(value if isinstance(value, list) else []):
            if isinstance(entry, Mapping):
                yield index, entry

    def entries_of(self, parent: Mapping[str, Json], name: str) -> Iterator[tuple[int, Mapping[str, Json]]]:
        """The objects of one entry's list, with their positions."""
        inner = parent.get(name)
        for index, entry in enumerate(inner if isinstance(inner, list) else []):
            if isinstance(entry, Mapping):
                yield index, entry

    def repeated_keys(self) -> None:
        """Entries of one list with equal keys."""
        self._repeated("", self.settings)

    def _repeated(self, pointer: str, value: Json) -> None:
        if isinstance(value, Mapping):
            for name, member in value.items():
                if name not in ("data", "instanceValidation", "requestValidation", "responseValidation"):
                    self._repeated(f"{pointer}/{name}", member)
        elif isinstance(value, list):
            self._repeated_in(pointer, value)
            for index, entry in enumerate(value):
                self._repeated(f"{pointer}/{index}", entry)

    def _repeated_in(self, pointer: str, entries: list[Json]) -> None:
        for name in ("key", "environment"):
            keys = [str(entry.get(name) or "") if isinstance(entry, Mapping) else "" for entry in entries]
            for index in repeated(keys):
                message = f"{keys[index]!r} is given more than once"
                self.report(f"{pointer}/{index}/{name}", "repeated-key", message)


def _check_zone(definition: Definition, document: _Document) -> None:
    try:
        zone_named(definition.timezone)
    except DateError as error:
        document.report("/config/timezone", "zone", str(error))


def _check_calendars(definition: Definition, document: _Document) -> None:
    for index, calendar in enumerate(definition.calendars):
        at = f"/schedule/calendars/{index}"
        if calendar.run_on_cycle is not None and calendar.run_on_cycle_callback is not None:
            document.report(
                f"{at}/runOnCycleCallback", "exclusive", "stands beside runOnCycle, which decides alone"
            )
        if _stands_still(calendar.schedule_after, calendar.next_cycle_date_callback):
            first_only = calendar.run_on_cycle == 1
            if not first_only:
                document.report(
                    f"{at}/scheduleAfter/amount", "not-rising", "a cycle must be later than the one before it"
                )


def _stands_still(delta: Delta, callback: str | None) -> bool:
    """Whether a delta visibly gives the anchor's own date, or an earlier one, again."""
    computed = delta.retry_event_callback is not None or callback is not None
    kept = delta.reset_to == KEEP_ALL
    return delta.amount == 0 and kept and not computed and delta.from_attribute is None


def _check_references(definition: Definition, document: _Document) -> None:
    for index, entry in document.entries("schedule", "calendars"):
        at = f"/schedule/calendars/{index}"
        _known(document, f"{at}/task", entry.get("task"), definition.tasks, "task")
        leading = entry.get("leadingUpTasks")
        for inner, task in enumerate(leading if isinstance(leading, list) else []):
            if isinstance(task, Mapping):
                _known(
                    document, f"{at}/leadingUpTasks/{inner}/task", task.get("task"), definition.tasks, "task"
                )
    for name in ("onCreateTasks", "onCancelTasks"):
        for index, entry in document.entries(name):
            _known(document, f"/{name}/{index}/task", entry.get("task"), definition.tasks, "task")
    for index, entry in document.entries("actions"):
        at = f"/actions/{index}"
        if _known(document, f"{at}/service", entry.get("service"), definition.services, "service"):
            methods = definition.services[str(entry["service"])].methods
            _known(document, f"{at}/method", entry.get("method"), methods, "method of that service")


def _known(document: _Document, pointer: str, key: Json, known: Mapping[str, object], what: str) -> bool:
    """Whether a reference leads somewhere; a missing or mistyped one has been told already."""
    if not isinstance(key, str) or not key:
        return False
    if key not in known:
        document.report(pointer, "reference", f"there is no {what} {key!r}")
        return False
    return True


def _check_services(definition: Definition, document: _Document, environment: str) -> None:
    for index, entry in document.entries("services"):
        service = definition.services.get(str(entry.get("key")))
        if service is None:
            continue
        at = f"/services/{index}"
        if service.base_urls and environment not in service.base_urls:
            document.report(
                f"{at}/baseUrls", "environment", f"has no URL for the environment {environment!r}"
            )
        token = TOKEN_TIMEOUT_SECONDS if service.authorization else 0
        for inner, method in document.entries_of(entry, "methods"):
            own = service.methods.get(str(method.get("key")))
            if own is None:
                continue
            span = definition.request_delay + timedelta(seconds=2 * (token + own.timeout_seconds))
            if span > LONGEST_STEP:
                document.report(
                    f"{at}/methods/{inner}/timeoutSeconds",
                    "too-long",
                    f"with one repeat the call takes up to {span.total_seconds():g} s, a run at most 880 s",
                )


def _check_task(
    definition: Definition, document: _Document, task: Task, at: str, entries: list[Json]
) -> None:
    if task.initial_step and task.initial_step not in task.steps:
        document.report(
            f"{at}/initialStep", "reference", f"there is no step {task.initial_step!r} in this task"
        )
        return
    positions = {str(e.get("key")): i for i, e in enumerate(entries) if isinstance(e, Mapping)}
    for key, step in task.steps.items():
        _check_step(definition, document, task, step, f"{at}/steps/{positions.get(key, 0)}")
    reached = _reachable(task)
    for key in task.steps:
        if key not in reached:
            document.report(
                f"{at}/steps/{positions.get(key, 0)}/key", "unreachable", f"no way leads to the step {key!r}"
            )
    loop = _loop_without_wait(task)
    if loop is not None:
        document.report(
            f"{at}/steps/{positions.get(loop, 0)}/key",
            "loop",
            f"the step {loop!r} leads back to itself without a step that waits",
        )


def _check_step(definition: Definition, document: _Document, task: Task, step: Step, at: str) -> None:
    if step.action is None and step.controller_callback is None and step.delay is None:
        document.report(at, "required", "must have an action, a controllerCallback or a delay")
    if step.action is not None:
        _known(document, f"{at}/action", step.action, definition.actions, "action")
    if step.next_step is not None:
        _known(document, f"{at}/nextStep", step.next_step, task.steps, "step in this task")
    if step.final and step.next_step is not None:
        document.report(f"{at}/nextStep", "exclusive", "is never reached: the step is final")
    for index, rule in enumerate(step.rules):
        where = f"{at}/nextStepRules/{index}"
        _known(document, f"{where}/nextStep", rule.next_step, task.steps, "step in this task")
        if rule.kind is RuleKind.CALLBACK and not rule.if_callback:
            document.report(f"{where}/ifCallback", "required", "is required for a callback rule")


def _targets(step: Step) -> list[str]:
    targets = [rule.next_step for rule in step.rules if not (step.final and rule.kind is RuleKind.CALLBACK)]
    if step.next_step is not None and not step.final:
        targets.append(step.next_step)
    return targets


def _reachable(task: Task) -> set[str]:
    reached: set[str] = set()
    ahead = [task.initial_step]
    while ahead:
        key = ahead.pop()
        if key in task.steps and key not in reached:
            reached.add(key)
            ahead.extend(_targets(task.steps[key]))
    return reached


def _loop_without_wait(task: Task) -> str | None:
    """A step on a loop that no ``delay`` step is part of, or None."""
    waitless = {key: step for key, step in task.steps.items() if step.delay is None}
    for start, first in waitless.items():
        seen: set[str] = set()
        ahead = _targets(first)
        while ahead:
            key = ahead.pop()
            if key == start:
                return start
            if key in waitless and key not in seen:
                seen.add(key)
                ahead.extend(_targets(waitless[key]))
    return None


_CALLBACKS: Mapping[str, ResultType] = {
    "runOnCycleCallback": ResultType.BOOL,
    "nextCycleDateCallback": ResultType.TIMESTAMP,
    "retryEventCallback": ResultType.MAP,
    "createIf": ResultType.BOOL,
    "ifCallback": ResultType.BOOL,
    "controllerCallback": ResultType.MAP,
}
"""What each callback must return."""

_SCHEMAS = ("instanceValidation", "responseValidation", "requestValidation")
_TEMPLATES = ("headers", "params", "data", "attributes")


def _check_texts(document: _Document) -> None:
    """Every callback, schema and template of the document, wherever it stands."""
    _check_members(document, "", document.settings)


def _check_members(document: _Document, at: str, value: Json) -> None:
    if isinstance(value, list):
        for index, entry in enumerate(value):
            _check_members(document, f"{at}/{index}", entry)
    if not isinstance(value, Mapping):
        return
    for name, member in value.items():
        where = f"{at}/{name}"
        if name in _CALLBACKS and isinstance(member, str):
            _check_callback(document, where, member, _CALLBACKS[name])
        elif name in _SCHEMAS:
            _check_validation(document, where, member)
        elif name in _TEMPLATES and at.startswith(("/actions/", "/services/")):
            for inner, problem in template_problems(member, variables=VARIABLES):
                document.report(where + inner, problem.rule, problem.message, problem.caret)
        else:
            _check_members(document, where, member)


def _check_callback(document: _Document, at: str, source: str, returns: ResultType) -> None:
    problem = check_expression(source, variables=VARIABLES, returns=returns)
    if problem is not None:
        document.report(at, problem.rule, problem.message, problem.caret)


def _check_validation(document: _Document, at: str, value: Json) -> None:
    schema = schema_or_callback(value)
    if isinstance(schema, Mapping):
        document.add(check_schema(schema, pointer=document.whole(at)))
    elif isinstance(schema, str) and at.endswith("requestValidation"):
        _check_callback(document, at, schema, ResultType.BOOL)
