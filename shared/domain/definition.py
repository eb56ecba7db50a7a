"""The settings of a strategy, from the document a company sends to what the engine reads.

``read_definition`` is the only way in; what it answers without problems can be run.
Source: contracts/core.md sections 2.2 and 4.1.
"""

from collections.abc import Mapping
from datetime import timedelta

from shared.domain.callbacks import RESET_BOUNDS
from shared.domain.dates import KEEP_ALL, ResetTo, Unit
from shared.domain.definition_checks import check
from shared.domain.errors import InvalidInputError, Problem
from shared.domain.reader import Reader, schema_or_callback
from shared.domain.strategy import (
    Action,
    Authorization,
    Calendar,
    Definition,
    Delta,
    InDoubt,
    Json,
    LeadingUpTask,
    LifecycleTask,
    Method,
    NextStepRule,
    OnResume,
    RetryConfig,
    RuleKind,
    Service,
    Step,
    Task,
)

LONGEST_AMOUNT = 1_000_000
"""No delta counts more units than this."""

MAX_ENTRIES = 25
"""On-create and on-cancel tasks at most; leading-up tasks of a calendar: 20."""

_HTTP_METHODS = ("get", "delete", "post", "put", "patch")


def read_definition(settings: Json, *, environment: str, pointer: str = "") -> Definition:
    """The definition these settings describe, fit to run in an environment.

    Raises: InvalidInputError: with every problem, each at its JSON pointer below ``pointer``.
    """
    problems: list[Problem] = []
    definition = _definition(Reader(settings, pointer, problems))
    check(definition, settings, environment=environment, pointer=pointer, problems=problems)
    if problems:
        raise InvalidInputError(tuple(sorted(problems, key=lambda problem: problem.pointer)))
    return definition


def stored_definition(settings: Mapping[str, Json]) -> Definition:
    """The definition of settings that were checked when they were saved."""
    return _definition(Reader(settings, "", []))


def _definition(reader: Reader) -> Definition:
    config = reader.one("config", _config) or {}
    schedule = reader.required("schedule", _schedule) or (None, ())
    definition = Definition(
        initial_delay=schedule[0],
        calendars=schedule[1],
        on_create_tasks=reader.many("onCreateTasks", _lifecycle_task),
        on_cancel_tasks=reader.many("onCancelTasks", _lifecycle_task),
        services={service.key: service for service in reader.many("services", _service, required=True)},
        tasks={task.key: task for task in reader.many("tasks", _task, required=True)},
        actions={action.key: action for action in reader.many("actions", _action, required=True)},
        instance_validation=_schema(reader, "instanceValidation"),
        **config,
    )
    _limit(reader, "onCreateTasks", len(definition.on_create_tasks), MAX_ENTRIES)
    _limit(reader, "onCancelTasks", len(definition.on_cancel_tasks), MAX_ENTRIES)
    reader.finish()
    return definition


def _config(reader: Reader) -> dict[str, Json]:
    on_resume = reader.choice("onResume", OnResume, default=OnResume.LAST)
    if on_resume is OnResume.SHIFT:
        reader.problem("onResume", "enum", "must be one of last, all, skip; shift is for a single resume")
    return {
        "timezone": reader.optional_text("timezone", longest=64) or "UTC",
        "request_delay": timedelta(milliseconds=reader.whole("requestDelayTime", 0, 5000) or 0),
        "manual_trigger": reader.flag("manualTrigger"),
        "on_resume": on_resume,
    }


def _schedule(reader: Reader) -> tuple[Delta | None, tuple[Calendar, ...]]:
    return reader.one("initialDelay", _delta), reader.many("calendars", _calendar, required=True)


def _calendar(reader: Reader) -> Calendar:
    reader.optional_text("description")
    calendar = Calendar(
        key=reader.text("key", longest=100),
        task=reader.text("task", longest=100),
        schedule_after=reader.required("scheduleAfter", _delta) or Delta(unit=Unit.DAYS, amount=1),
        run_on_cycle=reader.whole("runOnCycle", 1, 1_000_000_000),
        run_on_cycle_callback=reader.optional_text("runOnCycleCallback"),
        next_cycle_date_callback=reader.optional_text("nextCycleDateCallback"),
        leading_up_tasks=reader.many("leadingUpTasks", _leading_up),
    )
    _limit(reader, "leadingUpTasks", len(calendar.leading_up_tasks), 20)
    return calendar


def _leading_up(reader: Reader) -> LeadingUpTask:
    return LeadingUpTask(
        task=reader.text("task", longest=100),
        schedule_before=reader.required("scheduleBefore", _delta) or Delta(unit=Unit.DAYS, amount=0),
    )


def _lifecycle_task(reader: Reader) -> LifecycleTask:
    return LifecycleTask(
        task=reader.text("task", longest=100),
        delay_by=reader.one("delayBy", _delta),
        manual_trigger=reader.flag("manualTrigger"),
        create_if=reader.optional_text("createIf"),
    )


def _delta(reader: Reader) -> Delta:
    if not reader.has("unit"):
        reader.problem("unit", "required", "is required")
    if not reader.has("amount"):
        reader.problem("amount", "required", "is required")
    return Delta(
        unit=reader.choice("unit", Unit) or Unit.DAYS,
        amount=reader.whole("amount", 0, LONGEST_AMOUNT) or 0,
        from_attribute=reader.optional_text("from", longest=100),
        reset_to=reader.one("resetTo", _reset_to) or KEEP_ALL,
        retry_event_callback=reader.optional_text("retryEventCallback"),
    )


def _reset_to(reader: Reader) -> ResetTo:
    return ResetTo(**{name: reader.whole(name, low, high) for name, (low, high) in RESET_BOUNDS.items()})


def _service(reader: Reader) -> Service:
    reader.optional_text("description")
    urls = reader.many("baseUrls", _environment_url, required=True)
    entries = reader.many("authorization", _authorization)
    return Service(
        key=reader.text("key", longest=100),
        base_urls=dict(urls),
        authorization=dict(entries),
        credential_path=reader.optional_text("credentialPath", longest=200),
        credential_type=reader.optional_text("credentialType", longest=50),
        methods={method.key: method for method in reader.many("methods", _method, required=True)},
    )


def _environment_url(reader: Reader) -> tuple[str, str]:
    return reader.text("environment", longest=50), _url(reader, "url")


def _authorization(reader: Reader) -> tuple[str, Authorization]:
    environment = reader.text("environment", longest=50)
    return environment, Authorization(
        url=_url(reader, "url"),
        method=_http_method(reader),
        headers=reader.texts("headers"),
        params=reader.texts("params"),
        data=_data(reader),
        attributes=reader.texts("attributes"),
        no_cache=reader.flag("noCache"),
    )


def _method(reader: Reader) -> Method:
    reader.optional_text("description")
    if reader.flag("async"):
        reader.problem("async", "not-supported", "asynchronous methods are not supported yet")
    return Method(
        key=reader.text("key", longest=100),
        url=reader.text("url", longest=1000),
        method=_http_method(reader),
        request_validation=_request_validation(reader),
        response_validation=_schema(reader, "responseValidation"),
        timeout_seconds=reader.whole("timeoutSeconds", 1, 300) or 30,
        in_doubt=reader.choice("inDoubt", InDoubt) or InDoubt.RETRY,
    )


def _task(reader: Reader) -> Task:
    reader.optional_text("description")
    return Task(
        key=reader.text("key", longest=100),
        initial_step=reader.text("initialStep", longest=100),
        retry_config=reader.one("retryConfig", _retry_config),
        steps={step.key: step for step in reader.many("steps", _step, required=True)},
    )


def _retry_config(reader: Reader) -> RetryConfig:
    strategy = reader.many("retryStrategy", _retry_delay)
    after = reader.one("retryAfter", _delta)
    times = reader.whole("times", 0, 1000)
    if times and not strategy and after is None:
        reader.problem("times", "no-delay", "needs retryAfter or retryStrategy beside it")
    if times and after is None and strategy and times > len(strategy):
        reader.problem(
            "retryStrategy", "no-delay", f"holds {len(strategy)} of {times} delays; retryAfter is missing"
        )
    return RetryConfig(
        times=len(strategy) if times is None else times,
        retry_after=after,
        retry_strategy=strategy,
        pause_before_cancel=reader.flag("pauseBeforeCancel"),
    )


def _retry_delay(reader: Reader) -> Delta:
    return Delta(
        unit=reader.choice("unit", Unit) or Unit.DAYS, amount=reader.whole("amount", 0, LONGEST_AMOUNT) or 0
    )


def _step(reader: Reader) -> Step:
    reader.optional_text("description")
    return Step(
        key=reader.text("key", longest=100),
        action=reader.optional_text("action", longest=100),
        controller_callback=reader.optional_text("controllerCallback"),
        retry_config=reader.one("retryConfig", _retry_config),
        reset_attempts=reader.flag("resetAttempts"),
        final=reader.flag("final"),
        optional=reader.flag("optional"),
        repeat_on_retry=reader.flag("repeatOnRetry"),
        next_step=reader.optional_text("nextStep", longest=100),
        rules=reader.many("nextStepRules", _rule),
        delay=reader.one("delay", _delta),
    )


def _rule(reader: Reader) -> NextStepRule:
    reader.optional_text("description")
    if not reader.has("if"):
        reader.problem("if", "required", "is required")
    return NextStepRule(
        kind=reader.choice("if", RuleKind) or RuleKind.CALLBACK,
        if_callback=reader.optional_text("ifCallback"),
        next_step=reader.text("nextStep", longest=100),
    )


def _action(reader: Reader) -> Action:
    return Action(
        key=reader.text("key", longest=100),
        service=reader.text("service", longest=100),
        method=reader.text("method", longest=100),
        headers=reader.texts("headers"),
        params=reader.texts("params"),
        data=_data(reader),
        attributes=reader.texts("attributes"),
    )


def _data(reader: Reader) -> Json:
    """A body: a map of JSON values, or None."""
    value = reader.take("data")
    if value is not None and not isinstance(value, Mapping):
        reader.problem("data", "type", "must be an object")
        return None
    return value


def _schema(reader: Reader, name: str) -> Mapping[str, Json] | None:
    value = reader.take(name)
    if value is not None and not isinstance(value, Mapping):
        reader.problem(name, "type", "must be an object")
        return None
    return value


def _request_validation(reader: Reader) -> Mapping[str, Json] | str | None:
    """A schema, given as an object or as JSON text; any other text is a callback."""
    value = reader.take("requestValidation")
    if value is None or isinstance(value, Mapping):
        return value
    if not isinstance(value, str):
        reader.problem("requestValidation", "type", "must be a schema or an expression")
        return None
    read = schema_or_callback(value)
    return read if isinstance(read, Mapping | str) else None


def _http_method(reader: Reader) -> str:
    value = reader.text("method", longest=10)
    if value and value not in _HTTP_METHODS:
        reader.problem("method", "enum", f"must be one of {', '.join(_HTTP_METHODS)}")
    return value


def _url(reader: Reader, name: str) -> str:
    value = reader.text(name, longest=1000)
    if value and not value.startswith(("http://", "https://")):
        reader.problem(name, "url", "must start with http:// or https://")
    return value


def _limit(reader: Reader, name: str, number: int, most: int) -> None:
    if number > most:
        reader.problem(name, "too-many", f"must hold at most {most} entries")
