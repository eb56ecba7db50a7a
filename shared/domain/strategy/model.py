"""A strategy: the definition of a flow as immutable data.

Everything was checked when the strategy was saved (``parse.py``); the engine only reads it.
Source: docs/contracts/core.md section 2.2 and 4.1.
"""

import json
from collections.abc import Mapping
from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import Any

from msgspec import Struct, field

from shared.domain.calendar.business_days import BusinessDays
from shared.domain.calendar.cron import Cron
from shared.domain.calendar.dates import KEEP_ALL, ResetTo, Unit
from shared.domain.ids import AccountId, StrategySid
from shared.domain.strategy.flag import Flag, FlagPause

Json = Any
"""Any JSON value: None, bool, int, float, str, list or dict of them."""


def json_size(value: Json) -> int:
    """Return the size of a JSON value in bytes, written compactly in UTF-8."""
    return len(_compact(value).encode())


# ``json.dumps`` would make an encoder for each value.
_compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class OnResume(StrEnum):
    """The rule for dates that passed during a pause. Source: docs/design.md section 4, missed dates."""

    LAST = "last"
    """The latest missed date runs once, at once. Earlier ones are skipped."""
    ALL = "all"
    """Every missed date runs, one after another."""
    SKIP = "skip"
    """No missed date runs. The plan continues with its first future date."""
    SHIFT = "shift"
    """The whole plan moves by the length of the downtime. Only for a resume."""


class OnMissed(StrEnum):
    """The rule for dates that were missed although nothing was paused. Source: docs/design.md section 4."""

    ALL = "all"
    """Every missed date runs, one after another."""
    LAST = "last"
    """The latest missed date runs once, at once. Earlier ones are skipped."""
    SKIP = "skip"
    """No missed date runs. The plan continues with its first future date."""


class InDoubt(StrEnum):
    """The policy for a POST or PATCH that may or may not have reached its service."""

    RETRY = "retry"
    """Send it again under the same call key."""
    PAUSE = "pause"
    """Pause event and instance until an operator decides."""
    FAIL = "fail"
    """Count the attempt as failed, without sending the call again at once."""


class RuleKind(StrEnum):
    """When a next-step rule is evaluated."""

    ON_ERROR = "onError"
    ON_BEFORE_RETRY = "onBeforeRetry"
    ON_BEFORE_PAUSE = "onBeforePause"
    CALLBACK = "callback"


class Delta(Struct, frozen=True, kw_only=True):
    """A distance in time as settings declare it; ``amount`` >= 0.

    ``from_attribute`` is the instance attribute to count from, instead of the usual base date.
    ``retry_event_callback`` is CEL that returns unit and amount (and resetTo) instead. ``business_days`` are the days
    that the resulting date may be on, None for all; only a leading-up task and a retry have them.
    """

    unit: Unit
    amount: int
    from_attribute: str | None = None
    reset_to: ResetTo = KEEP_ALL
    retry_event_callback: str | None = None
    business_days: BusinessDays | None = None


class LeadingUpTask(Struct, frozen=True, kw_only=True):
    """A task that runs before a cycle's main task.

    With ``run_late`` it also runs if its date had passed when its cycle was planned.
    """

    task: str
    schedule_before: Delta
    run_late: bool = False


class Calendar(Struct, frozen=True, kw_only=True):
    """The task of a cycle, and its date: either ``schedule_after`` the previous cycle, or by ``cron``.

    ``business_days`` are the days that the cycle may be due on, None for all. ``spread_minutes`` is the time over which
    the due dates of different instances are spread, None for not at all. Only the due date moves: the next cycle is
    counted from the unadjusted date.
    """

    key: str
    task: str
    schedule_after: Delta | None = None
    cron: Cron | None = None
    run_on_cycle: int | None = None
    run_on_cycle_callback: str | None = None
    next_cycle_date_callback: str | None = None
    business_days: BusinessDays | None = None
    spread_minutes: int | None = None
    leading_up_tasks: tuple[LeadingUpTask, ...] = ()


class LifecycleTask(Struct, frozen=True, kw_only=True):
    """A task that runs when an instance is created or canceled."""

    task: str
    delay_by: Delta | None = None
    manual_trigger: bool = False
    create_if: str | None = None


class Authorization(Struct, frozen=True, kw_only=True):
    """How to fetch the token of a service in one environment. ``names_secrets`` is true if a template names one."""

    url: str
    method: str
    headers: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    data: Json = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    no_cache: bool = False
    names_secrets: bool = False


class Method(Struct, frozen=True, kw_only=True):
    """One endpoint of a service.

    ``request_validation`` and ``response_validation`` are schemas (mappings); the former may be a CEL string.
    ``answers_later`` means that its reply is only an acknowledgement, and the answer is sent to the engine within
    ``answer_within``. With ``whole_answer`` any answer is a success, and the response is ``{status, reason, body}``.
    ``definite_statuses`` are statuses after which the service has done nothing and will do nothing.
    """

    key: str
    url: str
    method: str
    request_validation: Mapping[str, Json] | str | None = None
    response_validation: Mapping[str, Json] | None = None
    timeout_seconds: int = 30
    in_doubt: InDoubt = InDoubt.RETRY
    answers_later: bool = False
    answer_within: Delta | None = None
    whole_answer: bool = False
    definite_statuses: frozenset[int] = frozenset()

    @property
    def is_safe_to_repeat(self) -> bool:
        """Return whether sending it twice has the same effect as once, by the rules of HTTP."""
        return self.method in ("get", "put", "delete")


class Circuit(Struct, frozen=True, kw_only=True):
    """When the calls of a service wait because it is unreachable.

    The circuit opens after ``failures`` calls in a row that did not reach the service, first for ``open_for``.
    """

    failures: int
    open_for: timedelta


class ServiceLimit(Struct, frozen=True, kw_only=True):
    """How much the runners of an account may ask of a service together.

    ``per_second`` is how many calls a second its origin gets at most, and ``concurrent`` how many are in flight at most
    at the same time; None for any number. ``circuit`` is None if failed calls do not make others wait. In any case a
    ``Retry-After`` of the service slows all of them down.
    """

    per_second: int | None = None
    concurrent: int | None = None
    circuit: Circuit | None = None


class Service(Struct, frozen=True, kw_only=True):
    """An HTTP API: its URL in each environment, its authorization, its methods, and its limit if it has one."""

    key: str
    base_urls: Mapping[str, str]
    methods: Mapping[str, Method]
    authorization: Mapping[str, Authorization] = field(default_factory=dict)
    credential_path: str | None = None
    credential_type: str | None = None
    limit: ServiceLimit | None = None


class RetryConfig(Struct, frozen=True, kw_only=True):
    """How often and when a failed attempt is repeated: 1 + ``times`` runs in all.

    ``jitter_percent`` is how much of its delay may be added to a retry, to spread retries. ``refused_hours`` is how
    long in all a service may refuse a call for now before that is an error. ``stop_if`` is CEL over the failed answer;
    if it is true, no retry follows. ``retry_at`` are the times of day, in the strategy's zone and sorted, at which
    retries run; none means at any time.
    """

    times: int
    retry_after: Delta | None = None
    retry_strategy: tuple[Delta, ...] = ()
    pause_before_cancel: bool = False
    jitter_percent: int = 0
    refused_hours: int = 24
    stop_if: str | None = None
    retry_at: tuple[time, ...] = ()


class NextStepRule(Struct, frozen=True, kw_only=True):
    """A conditional next step."""

    kind: RuleKind
    next_step: str
    if_callback: str | None = None


class Step(Struct, frozen=True, kw_only=True):
    """One action, controller or delay of a task, and its next steps.

    ``controller`` is the name of a registered function; it runs before ``controller_callback``.
    ``resume_controller_callback`` processes the answer to an asynchronous method. With ``every_rule``, all true
    ``callback`` rules are followed in turn, instead of only the first. ``repeat_on_retry`` None means only on a side
    path: every failure has its mail. A step with ``wait_for_answer`` calls nothing
    and waits that long for an answer.
    """

    key: str
    action: str | None = None
    controller: str | None = None
    controller_callback: str | None = None
    resume_controller_callback: str | None = None
    retry_config: RetryConfig | None = None
    reset_attempts: bool = False
    final: bool = False
    optional: bool = False
    repeat_on_retry: bool | None = None
    next_step: str | None = None
    rules: tuple[NextStepRule, ...] = ()
    delay: Delta | None = None
    every_rule: bool = False
    wait_for_answer: Delta | None = None

    def rules_of(self, kind: RuleKind) -> tuple[NextStepRule, ...]:
        """Return the step's rules of one kind, in order."""
        return tuple(rule for rule in self.rules if rule.kind is kind)


class Task(Struct, frozen=True, kw_only=True):
    """A flow of steps. ``outputs`` are templates by name, rendered when an event of the task has succeeded."""

    key: str
    initial_step: str
    steps: Mapping[str, Step]
    retry_config: RetryConfig | None = None
    outputs: Mapping[str, str] = field(default_factory=dict)


class Action(Struct, frozen=True, kw_only=True):
    """One parameterised call of a service method.

    Its strings may be templates. ``names_secrets`` is true if any string names a secret.
    """

    key: str
    service: str
    method: str
    headers: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    data: Json = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    names_secrets: bool = False


class Definition(Struct, frozen=True, kw_only=True):
    """The settings of a strategy, parsed and checked.

    ``timezone`` is the zone of all date arithmetic, or a template of the attribute ``zone_attribute``, which then names
    the zone of each instance. ``names_timezone`` is False if the settings name no time zone and UTC applies. With
    ``any_attributes``, attributes may be any JSON values instead of only strings, numbers and booleans. ``searchable``
    are the attributes that instances are found by. With ``unique_reference``, no two unfinished instances have the same
    reference.
    """

    calendars: tuple[Calendar, ...]
    tasks: Mapping[str, Task]
    services: Mapping[str, Service]
    actions: Mapping[str, Action]
    timezone: str = "UTC"
    names_timezone: bool = False
    zone_attribute: str | None = None
    request_delay: timedelta = timedelta()
    manual_trigger: bool = False
    any_attributes: bool = False
    on_resume: OnResume = OnResume.LAST
    on_missed: OnMissed = OnMissed.ALL
    searchable: tuple[str, ...] = ()
    unique_reference: bool = False
    instance_validation: Mapping[str, Json] | None = None
    initial_delay: Delta | None = None
    on_create_tasks: tuple[LifecycleTask, ...] = ()
    on_cancel_tasks: tuple[LifecycleTask, ...] = ()


class StrategyHead(Struct, frozen=True, kw_only=True):
    """The properties that all versions of a strategy share. (account, name) is unique.

    ``is_paused`` blocks its due events. ``secret_hash`` is the hash of its Strategy-Secret, None if it has none.
    ``created_by`` is the id of the access key. ``request_hash`` is the hash of the creating body, if the request may
    be repeated. After ``deleted_at`` only its remaining instances can use it. ``labels`` hold data that a dialect
    needs without decrypting the settings. ``pauses`` are the last periods in which the flag was paused.
    """

    sid: StrategySid
    account_id: AccountId
    name: str
    version: int
    created_at: datetime
    updated_at: datetime
    folder: str = "/"
    description: str = ""
    is_paused: bool = False
    secret_hash: str | None = None
    created_by: str | None = None
    request_hash: str | None = None
    deleted_at: datetime | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    pauses: tuple[FlagPause, ...] = ()

    @property
    def flag(self) -> Flag:
        """Return the flag that blocks its due events."""
        return Flag(is_paused=self.is_paused, pauses=self.pauses)


class StrategyVersion(Struct, frozen=True, kw_only=True):
    """The metadata of one version of a strategy. ``created_by`` is the id of the access key."""

    sid: StrategySid
    version: int
    description: str
    created_at: datetime
    created_by: str | None = None


class Strategy(Struct, frozen=True, kw_only=True):
    """One version of a strategy in one deployment.

    ``environment`` selects its base URLs. ``horizon`` is how far ahead wakeups are scheduled, None for no limit.
    ``flag_pauses`` are the last periods in which it, or its account's queue, was paused, as far as they were read.
    """

    sid: StrategySid
    account_id: AccountId
    name: str
    version: int
    definition: Definition
    environment: str
    horizon: timedelta | None = None
    flag_pauses: tuple[FlagPause, ...] = ()


def method_called(strategy: Strategy, step: Step) -> Method | None:
    """Return the method that a step calls, or None if it calls none."""
    if step.action is None:
        return None
    action = strategy.definition.actions[step.action]
    return strategy.definition.services[action.service].methods[action.method]


def answers_later(strategy: Strategy, step: Step) -> bool:
    """Return whether the answer of a step is sent to the engine later."""
    method = method_called(strategy, step)
    return step.wait_for_answer is not None or (method is not None and method.answers_later)


def answer_within(strategy: Strategy, step: Step) -> Delta | None:
    """Return how long a step waits for its answer, or None for no limit."""
    method = method_called(strategy, step)
    return step.wait_for_answer if method is None else method.answer_within
