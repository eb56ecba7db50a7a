"""Warnings about valid settings that probably do something unintended.

Each names a place, a rule, and the setting to use instead. Nothing is refused for a warning.
Source: docs/contracts/core.md section 1.3; docs/concepts.md "Retries, and what happens without them".
"""

from collections.abc import Iterator, Mapping, Sequence

from shared.domain.calendar.public_holidays import last_year_of
from shared.domain.errors import Problem
from shared.domain.strategy.business_day_rules import business_day_rules
from shared.domain.strategy.model import Definition, NextStepRule, RetryConfig, RuleKind, Step, Task
from shared.domain.validation.formats import unchecked_formats

MAX_WARNINGS = 50
"""The maximum number of warnings in one answer."""

KNOWN_LONG = 2050
"""Public holidays that are known until this year or longer cause no warning."""

_EXAMPLE = '{"times": 3, "retryAfter": {"unit": "hours", "amount": 1}}'


def warnings_of(
    definition: Definition, *, pointer: str = "", more: Sequence[Problem] = ()
) -> tuple[Problem, ...]:
    """Return the warnings about a definition, at most ``MAX_WARNINGS``, in the order of the document.

    ``pointer`` is the pointer of the settings in the request body. ``more`` are warnings found elsewhere.
    """
    found = [
        *_unchecked_formats(definition),
        *_tasks_without_retries(definition),
        *_retries_that_never_happen(definition),
        *_messages_sent_once(definition),
        *_settings_of_no_retry(definition),
        *_holidays_that_end(definition),
    ]
    placed = [
        Problem(pointer=f"{pointer}{warning.pointer}", rule=warning.rule, message=warning.message)
        for warning in found
    ]
    return tuple(sorted([*placed, *more], key=lambda warning: warning.pointer)[:MAX_WARNINGS])


def _tasks_without_retries(definition: Definition) -> Iterator[Problem]:
    """Warn about each main task with a call whose failure cancels the instance at once."""
    main = {calendar.task for calendar in definition.calendars}
    for place, task in _tasks(definition):
        on_main_path = _main_path(task)
        steps = (step for step in task.steps.values() if step.key in on_main_path)
        fatal = next((step for step in steps if _is_fatal(task, step)), None)
        if task.key in main and fatal is not None:
            message = (
                f"one failed call of step {fatal.key!r} cancels the instance for good; "
                f"add a retryConfig, for example {_EXAMPLE}, or pauseBeforeCancel"
            )
            yield Problem(pointer=place, rule="no-retry", message=message)


def _is_fatal(task: Task, step: Step) -> bool:
    """Return whether a failure of a step leaves its attempt without a retry, and so ends the instance."""
    calls = step.action is not None or step.wait_for_answer is not None
    return calls and not step.optional and _catch_all(step) is None and not _retries(_policy(task, step))


def _retries_that_never_happen(definition: Definition) -> Iterator[Problem]:
    """Warn about each step whose errors are all handled by a rule, although it has retries."""
    for place, task in _tasks(definition):
        on_main_path = _main_path(task)
        for index, step in enumerate(task.steps.values()):
            policy, rule = _policy(task, step), _catch_all(step)
            if rule is None or policy is None or not policy.times or step.key not in on_main_path:
                continue
            owner = "the step's" if step.retry_config is not None else "the task's"
            message = (
                f"handles every error of step {step.key!r}, so {owner} retryConfig never applies to it; "
                "give the rule an ifCallback, or leave one of the two out"
            )
            at = f"{place}/steps/{index}/nextStepRules/{step.rules.index(rule)}"
            yield Problem(pointer=at, rule="retries-never-happen", message=message)


def _messages_sent_once(definition: Definition) -> Iterator[Problem]:
    """Warn about each step of an ``onBeforeRetry`` path that is executed before the first retry only."""
    for place, task in _tasks(definition):
        before_retries = _side_paths(task, RuleKind.ON_BEFORE_RETRY)
        for index, step in enumerate(task.steps.values()):
            if step.key in before_retries and step.repeat_on_retry is False:
                message = (
                    f"step {step.key!r} is executed before the first retry only; "
                    "leave repeatOnRetry out to execute it before each one"
                )
                at = f"{place}/steps/{index}/repeatOnRetry"
                yield Problem(pointer=at, rule="side-path-once", message=message)


def _settings_of_no_retry(definition: Definition) -> Iterator[Problem]:
    """Warn about each ``stopIf`` and ``retryAt`` of a configuration without retries."""
    for place, task in _tasks(definition):
        of_steps = (
            (f"{place}/steps/{index}", step.retry_config) for index, step in enumerate(task.steps.values())
        )
        for owner, policy in [(place, task.retry_config), *of_steps]:
            if policy is None or policy.times:
                continue
            given = {"stopIf": policy.stop_if is not None, "retryAt": bool(policy.retry_at)}
            for name in (name for name, is_given in given.items() if is_given):
                message = "has no effect, because there are no retries; give times or retryStrategy"
                yield Problem(pointer=f"{owner}/retryConfig/{name}", rule="without-retries", message=message)


def _holidays_that_end(definition: Definition) -> Iterator[Problem]:
    """Warn about each country whose public holidays are known for a few years only."""
    for place, days in business_day_rules(definition):
        if days.country is None:
            continue
        last = last_year_of(days.country)
        if last is not None and last < KNOWN_LONG:
            message = (
                f"the public holidays of {days.country} are known until {last}; "
                "after that, list them in holidays or deploy newer holiday data"
            )
            yield Problem(pointer=f"{place}/businessDays/country", rule="holidays-end", message=message)


def _unchecked_formats(definition: Definition) -> Iterator[Problem]:
    """Warn about each ``format`` of a JSON Schema that is not checked."""
    schemas: dict[str, object] = {"/instanceValidation": definition.instance_validation}
    for number, service in enumerate(definition.services.values()):
        for index, method in enumerate(service.methods.values()):
            place = f"/services/{number}/methods/{index}"
            schemas[f"{place}/requestValidation"] = method.request_validation
            schemas[f"{place}/responseValidation"] = method.response_validation
    for place, schema in schemas.items():
        for below, name in unchecked_formats(schema) if isinstance(schema, Mapping) else ():
            message = f"the format {name!r} is not checked; use a pattern"
            yield Problem(pointer=f"{place}{below}", rule="format", message=message)


def _tasks(definition: Definition) -> Iterator[tuple[str, Task]]:
    return ((f"/tasks/{index}", task) for index, task in enumerate(definition.tasks.values()))


def _policy(task: Task, step: Step) -> RetryConfig | None:
    return step.retry_config or task.retry_config


def _retries(policy: RetryConfig | None) -> bool:
    return policy is not None and (policy.times > 0 or policy.pause_before_cancel)


def _catch_all(step: Step) -> NextStepRule | None:
    """Return the rule that handles every error of a step, or None."""
    return next((rule for rule in step.rules_of(RuleKind.ON_ERROR) if rule.if_callback is None), None)


def _main_path(task: Task) -> set[str]:
    """Return the steps of the main path. Errors on side paths neither retry nor cancel."""
    return _followed(task, [task.initial_step])


def _side_paths(task: Task, kind: RuleKind) -> set[str]:
    """Return the steps of the side paths that rules of one kind begin."""
    return _followed(task, [rule.next_step for step in task.steps.values() for rule in step.rules_of(kind)])


def _followed(task: Task, ahead: list[str]) -> set[str]:
    """Return the steps that are reached from some steps without leaving their path."""
    reached: set[str] = set()
    while ahead:
        key = ahead.pop()
        if key in reached:
            continue
        reached.add(key)
        step = task.steps[key]
        ahead += [
            rule.next_step for rule in step.rules if rule.kind in (RuleKind.CALLBACK, RuleKind.ON_ERROR)
        ]
        ahead += [] if step.next_step is None else [step.next_step]
    return reached
