"""The declaration of a strategy's settings: each field with its type, bounds, default and effect.

The reader checks form and bounds by it. The JSON Schema in the OpenAPI document, the reference in docs/api/core.md
and the schema for editors are generated from it. References, reachability, expressions and dates are checked by the
``parse*`` modules.
Source: docs/contracts/core.md sections 2.2 and 4.1; the bounds are ours.
"""

from enum import StrEnum

from shared.domain.calendar.business_days import MAX_DATES, MAX_DAYS_MOVED, Convention, Weekday
from shared.domain.calendar.cron import MAX_CRON_CHARACTERS
from shared.domain.calendar.dates import Unit
from shared.domain.strategy.model import InDoubt, OnMissed, OnResume, RuleKind
from shared.domain.strategy.shapes import (
    MAX_KEY_LENGTH,
    Exclusive,
    Field,
    Kind,
    callback,
    choice,
    choices,
    dates,
    flag,
    json,
    key,
    names,
    optional_flag,
    part,
    parts,
    shape,
    templates,
    text,
    times_of_day,
    whole,
    wholes,
)
from shared.domain.strategy.variables import RESET_BOUNDS

MAX_SETTINGS_BYTES = 200 * 1024
MAX_LIFECYCLE_TASKS = 25
MAX_LEADING_UP_TASKS = 20
MAX_CYCLE = 1_000_000_000
MAX_SPREAD_MINUTES = 24 * 60
MAX_AMOUNT = 1_000_000
"""The largest amount of a distance in time, in its unit."""
MAX_RETRIES = 1000
MAX_RETRY_TIMES = 24
MAX_SEARCHABLE = 3
"""How many attributes of a strategy are searchable: there are as many indexes."""
MAX_REFUSED_HOURS = 7 * 24
"""The longest time that a service may refuse a call for now before that is an error."""
MAX_PER_SECOND = 500
"""The highest limit of a service: each call is a write of one item, and DynamoDB takes 1,000 of those a second."""
MAX_CONCURRENT = 100
"""The most calls in flight to limit a service to: each is a number of one item, whose size a write pays for."""
MAX_CIRCUIT_FAILURES = 100
MAX_OPEN_SECONDS = 15 * 60
"""The longest time for which a circuit is open before the next probe."""
MAX_URL_LENGTH = 1000
MAX_ZONE_LENGTH = 128
"""Room for a template with the longest name of an attribute; zones are shorter."""

URL_CHARACTERS = r"A-Za-z0-9\-._~:/@!$&'()*+,;=%\[\]"
"""The characters of RFC 3986, without ``?`` and ``#``."""

HEADER_NAME = r"^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$"
"""A token of RFC 9110 section 5.6.2."""


class HttpMethod(StrEnum):
    """The HTTP methods that actions can use."""

    GET = "get"
    DELETE = "delete"
    POST = "post"
    PUT = "put"
    PATCH = "patch"


_KEY = key("Its name.").required
_DESCRIPTION = text("For people.", low=0)
_HTTP_METHOD = choice(HttpMethod, "HTTP method of the request.").required
_ENVIRONMENT = text("The environment it is for; the deployment's own one is used.", high=50).required
_REQUEST = {
    "headers": templates("Headers of the request by name; they may name secrets.", names=HEADER_NAME),
    "params": templates("Parameters of the query by name; they may name secrets."),
    "data": json(
        "The body of the request; strings at any depth are templates and may name secrets. Nulls are sent as they are."
    ),
    "attributes": templates("Values of the `:name` parts of the URL."),
}

_BARE_DELTA = {
    "unit": choice(Unit, "What is counted.").required,
    "amount": whole(0, MAX_AMOUNT, "How many units.").required,
}

RESET_TO = shape(
    "ResetTo",
    "Parts of a date and the values they are set to.",
    {name: whole(low, high, f"The {name} of the result.") for name, (low, high) in RESET_BOUNDS.items()},
)

BUSINESS_DAYS = shape(
    "BusinessDays",
    "Which days are business days, and what happens to a date on another day: its time of day stays, its day moves"
    f" by at most {MAX_DAYS_MOVED} days, and later dates are computed from the unmoved one.",
    {
        "convention": choice(
            Convention,
            "To the next business day; to the one before; to the next, or to the one before if the next is in another"
            " month; or no date at all.",
        ).required,
        "weekend": choices(
            Weekday,
            "Days of the week that are no business days; Saturday and Sunday if it is left out.",
            high=len(Weekday) - 1,
            hint=": one day must be left",
        ),
        "country": text(
            "Code of ISO 3166-1 (`DE`): its public holidays are no business days.",
            high=MAX_KEY_LENGTH,
            pattern="^[A-Z]{2}$",
        ),
        "subdivision": key("Code of a part of the country (`BY`), for its own holidays too."),
        "holidays": dates("Further dates that are no business days.", high=MAX_DATES),
        "closed": key(
            "The instance attribute with further dates that are no business days: a text such as"
            f" `2026-12-24, 2026-12-31`, {MAX_DATES} dates at most."
        ),
    },
)

TIME_DELTA = shape(
    "TimeDelta",
    "A distance in time, computed in the strategy's zone.",
    _BARE_DELTA
    | {
        "from": key(
            "The instance attribute with the date to count from, instead of the usual one. A date alone begins its day."
        ),
        "resetTo": part(RESET_TO, "Parts of the date that are set after the distance was added."),
        "retryEventCallback": callback("a map", "`unit`, `amount` and `resetTo` instead of these."),
        "businessDays": part(
            BUSINESS_DAYS,
            "The days that the result may be on; only for `scheduleBefore` and, with `following`, `retryAfter`.",
        ),
    },
)

BARE_DELTA = shape(
    "BareDelta",
    "A distance in time.",
    _BARE_DELTA
    | {"businessDays": part(BUSINESS_DAYS, "The days that the result may be on; only with `following`.")},
)

LEADING_UP_TASK = shape(
    "LeadingUpTask",
    "A task that runs before the main task of a cycle.",
    {
        "task": key("Key of the task.").required,
        "scheduleBefore": part(TIME_DELTA, "How long before the main task.").required,
        "runLate": flag(
            "It runs at once if its date had passed when its cycle was planned, unless the main event is overdue too."
            " By default it is skipped then."
        ),
    },
)

CALENDAR = shape(
    "Calendar",
    "When cycles are due, by a distance or by cron, and the tasks that run then.",
    {
        "key": _KEY,
        "task": key("Key of the main task of its cycles.").required,
        "description": _DESCRIPTION,
        "scheduleAfter": part(TIME_DELTA, "Distance of a cycle from the one before it."),
        "cron": text("Due times by cron, instead of `scheduleAfter`.", high=MAX_CRON_CHARACTERS),
        "runOnCycle": whole(1, MAX_CYCLE, "Use this calendar only for this cycle."),
        "runOnCycleCallback": callback("a bool", "whether to use this calendar for a cycle."),
        "nextCycleDateCallback": callback(
            "a timestamp", "when the cycle is due, instead of its planned `date`."
        ),
        "businessDays": part(BUSINESS_DAYS, "The days that a cycle may be due on."),
        "spreadMinutes": whole(
            1,
            MAX_SPREAD_MINUTES,
            "Spreads the instances that would be due at once: each is due later by its own part of so many minutes,"
            " on the same local day.",
        ),
        "leadingUpTasks": parts(LEADING_UP_TASK, "Tasks that run before it.", high=MAX_LEADING_UP_TASKS),
    },
    any_of=("scheduleAfter", "cron"),
    needs="is required",
    exclusive=(
        Exclusive(
            "cron", "scheduleAfter", "must not be given beside scheduleAfter: one of them dates the cycles"
        ),
        Exclusive("runOnCycleCallback", "runOnCycle", "is never evaluated: runOnCycle decides alone"),
    ),
)

SCHEDULE = shape(
    "Schedule",
    "When the cycles are due.",
    {
        "calendars": parts(
            CALENDAR,
            "The calendar of a cycle is the one with its number, else the first whose callback applies, else the"
            " first with neither.",
            low=1,
        ).required,
        "initialDelay": part(TIME_DELTA, "Distance of cycle 1 from the start date."),
    },
)

LIFECYCLE_TASK = shape(
    "LifecycleTask",
    "A task planned when an instance is created or canceled.",
    {
        "task": key("Key of the task.").required,
        "delayBy": part(TIME_DELTA, "How long afterwards it is due."),
        "manualTrigger": flag("Its event stays `ONHOLD` until it is executed by hand."),
        "createIf": callback("a bool", "whether it is planned at all."),
    },
)

CONFIG = shape(
    "Config",
    "Settings of the strategy as a whole.",
    {
        "requestDelayTime": whole(0, 5000, "Milliseconds to wait before each call of a service.", default=0),
        "manualTrigger": flag("Main events stay `ONHOLD` until they are executed by hand."),
        "timezone": text(
            "IANA zone of all date arithmetic and of simulated dates, or the attribute that names the zone of each"
            " instance, as in `{{attributes.timezone}}`.",
            high=MAX_ZONE_LENGTH,
            default="UTC",
        ),
        "anyAttributes": flag("Attributes may be any JSON values, not only strings, numbers and booleans."),
        "onResume": choice(
            (value for value in OnResume if value is not OnResume.SHIFT),
            "Which dates that passed during a pause run when an instance continues: the last one, all, or none.",
            default=OnResume.LAST,
            hint="; shift is for a single resume",
        ),
        "onMissed": choice(
            OnMissed,
            "Which dates run that passed while an earlier event was not finished, or no runner was there: all, the "
            "last one, or none.",
            default=OnMissed.ALL,
        ),
        "searchable": names(
            "Attributes that instances are found by, in `GET /execution-instance?attribute.<name>=`.",
            high=MAX_SEARCHABLE,
        ),
        "uniqueReference": flag("No two unfinished instances have the same `reference`."),
    },
)

BASE_URL = shape(
    "BaseUrl",
    "Where a service is in an environment.",
    {
        "environment": _ENVIRONMENT,
        "url": text(
            "Absolute URL without a query.", high=MAX_URL_LENGTH, pattern=f"^https?://[{URL_CHARACTERS}]+$"
        ).required,
    },
)

AUTHORIZATION = shape(
    "Authorization",
    "The request that fetches a service's token in an environment.",
    {
        "environment": _ENVIRONMENT,
        "url": text(
            "Absolute URL.", high=MAX_URL_LENGTH, pattern=f"^https?://[{URL_CHARACTERS}?]+$"
        ).required,
        "method": _HTTP_METHOD,
        **_REQUEST,
        "noCache": flag("A token is fetched for every call, not kept until it expires."),
    },
)

METHOD = shape(
    "Method",
    "One endpoint of a service.",
    {
        "key": _KEY,
        "url": text(
            "Its path, with `:name` parts.", high=MAX_URL_LENGTH, pattern=f"^/[{URL_CHARACTERS}?]*$"
        ).required,
        "method": _HTTP_METHOD,
        "description": _DESCRIPTION,
        "async": flag("The service answers later, by `resume`."),
        "answerWithin": part(TIME_DELTA, "How long to wait for that answer; only for `async`."),
        "wholeAnswer": flag("Any answer succeeds, as `{status, reason, body}`; not for `async`."),
        "requestValidation": Field(
            Kind.SCHEMA_OR_EXPRESSION,
            "Schema of the body that is sent, as an object or as JSON text. Any other text is CEL that returns a"
            " bool: whether the request may be sent.",
            low=1,
        ),
        "responseValidation": json("Schema of the body of the answer."),
        "timeoutSeconds": whole(1, 300, "How long a call may take.", default=30),
        "inDoubt": choice(InDoubt, "What to do if a POST or PATCH is in doubt.", default=InDoubt.RETRY),
        "definiteStatuses": wholes(
            300,
            599,
            "Statuses after which nothing was done: errors like any other 4xx, and the next call is a new one.",
        ),
    },
)

CIRCUIT = shape(
    "Circuit",
    "Calls that do not reach the service (no connection, no answer in time, 502, 503, 504) make all others wait, until"
    " a single call has got an answer. `{}` takes the defaults.",
    {
        "failures": whole(1, MAX_CIRCUIT_FAILURES, "After how many of them in a row it opens.", default=5),
        "openSeconds": whole(
            1,
            MAX_OPEN_SECONDS,
            "How long calls wait before one of them probes the service; twice as long after each probe that fails,"
            f" {MAX_OPEN_SECONDS} at most.",
            default=30,
        ),
    },
)

SERVICE_LIMIT = shape(
    "ServiceLimit",
    "How much all runners of the account may ask of the service together. The strictest limit counts that a strategy"
    " states for the same scheme, host and port. `{}` limits nothing, but a `Retry-After` slows everyone down.",
    {
        "perSecond": whole(1, MAX_PER_SECOND, "Calls in any second at most."),
        "concurrent": whole(1, MAX_CONCURRENT, "Calls in flight at the same time at most."),
        "circuit": part(
            CIRCUIT, "When calls wait because the service is unreachable; without one, they do not."
        ),
    },
)

SERVICE = shape(
    "Service",
    "An HTTP API that actions call.",
    {
        "key": _KEY,
        "baseUrls": parts(BASE_URL, "Where it is, by environment.", low=1, unique="environment").required,
        "methods": parts(METHOD, "Its endpoints.", low=1).required,
        "description": _DESCRIPTION,
        "authorization": parts(AUTHORIZATION, "How to fetch its token.", unique="environment"),
        "credentialPath": text("Path to the token in the answer, for example `data.token`.", high=200),
        "credentialType": text("The word before the token in the header, for example `Bearer`.", high=50),
        "limit": part(
            SERVICE_LIMIT, "The most that its calls may ask of it; without one, none wait for each other."
        ),
    },
)

ACTION = shape(
    "Action",
    "A call of a method with its parameters.",
    {
        "key": _KEY,
        "service": key("Key of the service.").required,
        "method": key("Key of its method.").required,
        **_REQUEST,
    },
)

RETRY_CONFIG = shape(
    "RetryConfig",
    "How often and when a failed attempt is repeated.",
    {
        "times": whole(0, MAX_RETRIES, "Retries at most; if it is left out, the length of `retryStrategy`."),
        "retryAfter": part(TIME_DELTA, "Delay of the retries beyond the end of `retryStrategy`."),
        "retryStrategy": parts(BARE_DELTA, "The delay of each retry in turn."),
        "pauseBeforeCancel": flag("If no attempts are left, the instance is paused, not canceled."),
        "jitterPercent": whole(
            0,
            100,
            "How much of its delay is added to a retry at most, so that retries spread. None with `resetTo`.",
            default=10,
        ),
        "refusedHours": whole(
            0,
            MAX_REFUSED_HOURS,
            "How long a service may refuse a call for now (429, 503) before that is an error.",
            default=24,
        ),
        "stopIf": callback(
            "a bool",
            "whether no retry follows although attempts are left. `response` is the body of the failed answer.",
        ),
        "retryAt": times_of_day(
            "Times of day in the strategy's zone, for example `09:00`: a retry waits for the next of them.",
            high=MAX_RETRY_TIMES,
        ),
    },
)

NEXT_STEP_RULE = shape(
    "NextStepRule",
    "The next step under a condition.",
    {
        "if": choice(RuleKind, "When the rule is evaluated.").required,
        "nextStep": key("Key of the next step.").required,
        "description": _DESCRIPTION,
        "ifCallback": callback("a bool", "whether the rule applies; required if `if` is `callback`."),
    },
)

STEP = shape(
    "Step",
    "One thing a task does: an action, a controller, or a delay.",
    {
        "key": _KEY,
        "description": _DESCRIPTION,
        "action": key("Key of the action it calls."),
        "controller": key("Name of the registered controller that evaluates its result."),
        "controllerCallback": callback("a map", "directives that follow from its result."),
        "resumeControllerCallback": callback(
            "a map", "directives that follow from a later answer (`async`)."
        ),
        "retryConfig": part(RETRY_CONFIG, "Its own retries, instead of the task's."),
        "resetAttempts": flag("When the step is reached for the first time, attempts count from 1 again."),
        "final": flag("The task ends here: neither `nextStep` nor `callback` rules may be given beside it."),
        "optional": flag("The task continues if this step fails."),
        "repeatOnRetry": optional_flag(
            "Whether a retry executes it again, even if it succeeded. By default a step of a side path is, a step of"
            " the main path is not."
        ),
        "nextStep": key("Key of the step after it."),
        "nextStepRules": parts(NEXT_STEP_RULE, "Next steps under conditions."),
        "everyRule": flag("All `callback` rules that apply are followed in turn, not only the first."),
        "delay": part(TIME_DELTA, "How long it waits before it acts; no runner is occupied meanwhile."),
        "waitForAnswer": part(TIME_DELTA, "How long to wait for an answer sent to its correlation id."),
    },
    any_of=("action", "controller", "controllerCallback", "delay", "waitForAnswer"),
    needs="a step needs an action, a controller, a controllerCallback, a delay or a waitForAnswer",
    exclusive=(
        Exclusive(
            "waitForAnswer",
            "action",
            "must not be given beside an action: an asynchronous method has its own answerWithin",
        ),
    ),
)

TASK = shape(
    "Task",
    "A flow of steps.",
    {
        "key": _KEY,
        "initialStep": key("Key of the first step.").required,
        "steps": parts(STEP, "Its steps.", low=1).required,
        "description": _DESCRIPTION,
        "retryConfig": part(RETRY_CONFIG, "The retries of its steps."),
        "outputs": templates("What is kept on event and instance when the task has succeeded, by name."),
    },
)

SETTINGS = shape(
    "Settings",
    "What a strategy does: when which tasks are due, and what their steps call."
    f" {MAX_SETTINGS_BYTES // 1024} KB as JSON at most. A null member counts as left out.",
    {
        "schedule": part(SCHEDULE, "When the cycles are due.").required,
        "services": parts(SERVICE, "The HTTP APIs that actions call.", low=1).required,
        "tasks": parts(TASK, "The flows of steps.", low=1).required,
        "actions": parts(ACTION, "Calls with their parameters.", low=1).required,
        "config": part(CONFIG, "Settings of the strategy as a whole."),
        "instanceValidation": json(
            "Schema of an instance's attributes. It is JSON Schema if it has `$schema` or a type that only JSON"
            " Schema has, for example `object`; otherwise JTD (RFC 8927). 64 KB as JSON at most."
        ),
        "onCreateTasks": parts(
            LIFECYCLE_TASK, "Tasks for the creation of an instance.", high=MAX_LIFECYCLE_TASKS
        ),
        "onCancelTasks": parts(LIFECYCLE_TASK, "Tasks for its cancelation.", high=MAX_LIFECYCLE_TASKS),
    },
)
