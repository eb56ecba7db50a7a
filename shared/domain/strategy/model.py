"""A strategy: what a company's flow is, as immutable data.

Everything here was checked when the strategy was saved (``parse.py``); the engine only reads it.
Source: contracts/core.md section 2.2 and 4.1.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from shared.domain.calendar.cron import Cron
from shared.domain.calendar.dates import KEEP_ALL, ResetTo, Unit, zone_named
from shared.domain.ids import AccountId, StrategySid

Json = Any
"""Any JSON value: None, bool, int, float, str, list or dict of them."""


def json_size(value: Json) -> int:
    """How many bytes a JSON value takes, written compactly in UTF-8."""
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


class OnResume(StrEnum):
    """What becomes of planned dates that have passed unrun. Source: design section 4, late plans."""

    LAST = "last"
    """The latest missed date runs once, at once; the ones before it are skipped."""
    ALL = "all"
    """Every missed date runs, one after another."""
    SKIP = "skip"
    """None runs; the plan goes on with its first future date."""
    SHIFT = "shift"
    """The whole plan moves by the length of the standstill. Only for a resume."""


class InDoubt(StrEnum):
    """What to do about a POST or PATCH that may or may not have reached its service."""

    RETRY = "retry"
    """Send it again under the same call key."""
    PAUSE = "pause"
    """Pause event and instance until an operator decides."""
    FAIL = "fail"
    """Count it as failed, without sending it again at once."""


class RuleKind(StrEnum):
    """When a next-step rule is looked at."""

    ON_ERROR = "onError"
    ON_BEFORE_RETRY = "onBeforeRetry"
    ON_BEFORE_PAUSE = "onBeforePause"
    CALLBACK = "callback"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """A distance in time as a strategy states it; ``amount`` >= 0.

    from_attribute: the instance attribute to count from instead of the usual anchor.
    retry_event_callback: CEL that supplies unit and amount (and resetTo) in their place.
    """

    unit: Unit
    amount: int
    from_attribute: str | None = None
    reset_to: ResetTo = KEEP_ALL
    retry_event_callback: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadingUpTask:
    """A task run ahead of a cycle's main one."""

    task: str
    schedule_before: Delta


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """Which task a cycle runs and when it comes: so far after the one before, or by a cron expression.

    One of the two is given.
    """

    key: str
    task: str
    schedule_after: Delta | None = None
    cron: Cron | None = None
    run_on_cycle: int | None = None
    run_on_cycle_callback: str | None = None
    next_cycle_date_callback: str | None = None
    leading_up_tasks: tuple[LeadingUpTask, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LifecycleTask:
    """A task run at creation or cancelation of an instance."""

    task: str
    delay_by: Delta | None = None
    manual_trigger: bool = False
    create_if: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorization:
    """How to fetch the token of a service in one environment."""

    url: str
    method: str
    headers: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    data: Json = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    no_cache: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One endpoint of a service.

    request_validation, response_validation: a schema (a mapping), or for requests a CEL string.
    answers_later: its reply only says that it was heard; what came of it is sent to us, within ``answer_within``.
    whole_answer: any answer is a success, and its response is ``{status, reason, body}``.
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

    @property
    def is_safe_to_repeat(self) -> bool:
        """Whether sending it twice is the same as sending it once, by HTTP's own rules."""
        return self.method in ("get", "put", "delete")


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """An HTTP API: where it is in each environment, how to authenticate, what it offers."""

    key: str
    base_urls: Mapping[str, str]
    methods: Mapping[str, Method]
    authorization: Mapping[str, Authorization] = field(default_factory=dict)
    credential_path: str | None = None
    credential_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryConfig:
    """How often and when a failed attempt is tried again: 1 + ``times`` runs in all."""

    times: int
    retry_after: Delta | None = None
    retry_strategy: tuple[Delta, ...] = ()
    pause_before_cancel: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NextStepRule:
    """A conditional way on from a step."""

    kind: RuleKind
    next_step: str
    if_callback: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One action and/or controller of a task, and where to go from it.

    controller: the name of a function that the deployer has registered; it is asked before ``controller_callback``.
    resume_controller_callback: hears the answer to an asynchronous method, before it counts.
    every_rule: all true ``callback`` rules are followed, one after another, not only the first.
    wait_for_answer: it calls nothing and waits for so long for an answer that somebody sends by themselves.
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
    repeat_on_retry: bool = False
    next_step: str | None = None
    rules: tuple[NextStepRule, ...] = ()
    delay: Delta | None = None
    every_rule: bool = False
    wait_for_answer: Delta | None = None

    def rules_of(self, kind: RuleKind) -> tuple[NextStepRule, ...]:
        """Its rules of one kind, in their order."""
        return tuple(rule for rule in self.rules if rule.kind is kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A flow of steps. outputs: templates by name, rendered when an event of it has succeeded."""

    key: str
    initial_step: str
    steps: Mapping[str, Step]
    retry_config: RetryConfig | None = None
    outputs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One parameterised call of a service method; strings may hold templates."""

    key: str
    service: str
    method: str
    headers: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    data: Json = None
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """The settings of a strategy, read and checked.

    names_timezone: whether they say which; else it is UTC.
    any_attributes: its instances' attributes may be any JSON values, not only texts, numbers and booleans.
    """

    calendars: tuple[Calendar, ...]
    tasks: Mapping[str, Task]
    services: Mapping[str, Service]
    actions: Mapping[str, Action]
    timezone: str = "UTC"
    names_timezone: bool = False
    request_delay: timedelta = timedelta()
    manual_trigger: bool = False
    any_attributes: bool = False
    on_resume: OnResume = OnResume.LAST
    instance_validation: Mapping[str, Json] | None = None
    initial_delay: Delta | None = None
    on_create_tasks: tuple[LifecycleTask, ...] = ()
    on_cancel_tasks: tuple[LifecycleTask, ...] = ()

    @property
    def zone(self) -> ZoneInfo:
        """The zone of all its date arithmetic."""
        return zone_named(self.timezone)


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyHead:
    """What holds for all versions of a strategy. (account, name) is unique.

    is_paused: its due events wait. secret_hash: of its Strategy-Secret; None where it has and needs none.
    created_by: the access key's id. request_hash: of the body it was created by, where that may be repeated.
    deleted_at: since when it is gone for everybody but the instances it still has.
    labels: what a dialect wants to know of it without opening its settings.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyVersion:
    """What is known of one version of a strategy without reading it. created_by: the access key's id."""

    sid: StrategySid
    version: int
    description: str
    created_at: datetime
    created_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """One version of a strategy as it stands in one deployment.

    environment: which of its base URLs hold. horizon: how far ahead wakeups are armed; None for any distance.
    """

    sid: StrategySid
    account_id: AccountId
    name: str
    version: int
    definition: Definition
    environment: str
    horizon: timedelta | None = None


def method_called(strategy: Strategy, step: Step) -> Method | None:
    """The method a step calls; None where it calls none."""
    if step.action is None:
        return None
    action = strategy.definition.actions[step.action]
    return strategy.definition.services[action.service].methods[action.method]


def answers_later(strategy: Strategy, step: Step) -> bool:
    """Whether what a step comes to is sent to us later."""
    method = method_called(strategy, step)
    return step.wait_for_answer is not None or (method is not None and method.answers_later)


def answer_within(strategy: Strategy, step: Step) -> Delta | None:
    """How long a step waits for its answer; None without limit."""
    method = method_called(strategy, step)
    return step.wait_for_answer if method is None else method.answer_within
