"""The settings of a strategy as JSON Schema, with what each field does.

It says what a schema can: types, bounds, choices, what is required. What one part says of another (references,
reachability, expressions, schemas in schemas) only the reader checks; ``/execution-strategy/validate`` tells.
Source: contracts/core.md sections 2.2 and 4.1; the bounds are those of shared/domain/definition*.py.
"""

from enum import StrEnum
from typing import Any

from shared.api.reference.openapi import Json, list_of, ref
from shared.domain.calendar.cron import LONGEST_CRON
from shared.domain.calendar.dates import Unit
from shared.domain.strategy.model import InDoubt, OnResume, RuleKind
from shared.domain.strategy.parse import LONGEST_REQUEST_DELAY_MS, MAX_LIFECYCLE_TASKS
from shared.domain.strategy.parse_schedule import LARGEST_AMOUNT, MAX_CYCLE, MAX_LEADING_UP
from shared.domain.strategy.parse_tasks import MOST_RETRIES
from shared.domain.strategy.reader import LONGEST_KEY, LONGEST_TEXT
from shared.domain.strategy.variables import RESET_BOUNDS

_URL = r"A-Za-z0-9\-._~:/@!$&'()*+,;=%\[\]"
_HEADER_NAME = r"^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$"


def _text(does: str, longest: int = LONGEST_TEXT, **more: Any) -> Json:  # noqa: ANN401 - keywords of a schema
    return {"type": "string", "minLength": 1, "maxLength": longest, "description": does, **more}


def _key(does: str) -> Json:
    return _text(does, LONGEST_KEY)


def _callback(returns: str, does: str) -> Json:
    return _text(f"CEL that returns {returns}: {does}")


def _flag(does: str) -> Json:
    return {"type": "boolean", "default": False, "description": does}


def _whole(low: int, high: int, does: str, **more: Any) -> Json:  # noqa: ANN401 - keywords of a schema
    return {"type": "integer", "minimum": low, "maximum": high, "description": does, **more}


def _choice(values: list[StrEnum] | type[StrEnum], does: str, **more: Any) -> Json:  # noqa: ANN401 - keywords of a schema
    return {"type": "string", "enum": [value.value for value in values], "description": does, **more}


def _one(name: str, does: str) -> Json:
    return ref(name) | {"description": does}


def _list(name: str, does: str, *, least: int = 0, most: int | None = None) -> Json:
    bounds = {"minItems": least} if least else {}
    bounds |= {} if most is None else {"maxItems": most}
    return list_of(ref(name)) | bounds | {"description": does}


def _templates(does: str) -> Json:
    values = {"type": ["string", "null"]}
    return {
        "type": "object",
        "additionalProperties": values,
        "description": f"{does} The values are templates.",
    }


_SCHEMA: Json = {"type": "object"}
_DESCRIPTION: Json = {"type": "string", "maxLength": LONGEST_TEXT, "description": "For people."}
_HEADERS: Json = {
    "type": "object",
    "patternProperties": {_HEADER_NAME: {"type": ["string", "null"]}},
    "additionalProperties": False,
    "description": "Headers of the request by name. The values are templates.",
}
_REQUEST: Json = {
    "headers": _HEADERS,
    "params": _templates("Parameters of the query by name."),
    "data": {
        "type": "object",
        "description": "The body of the request; strings at any depth are templates. Its nulls are data.",
    },
    "attributes": _templates("What fills the `:name` parts of the URL."),
}
_HTTP_METHOD: Json = {
    "type": "string",
    "enum": ["get", "delete", "post", "put", "patch"],
    "description": "HTTP method of the request.",
}
_ENVIRONMENT = _text("The environment it holds in; the deployment's own one picks the entry.", 50)


def _object(does: str, needed: Json, optional: Json, **more: Any) -> Json:  # noqa: ANN401 - keywords of a schema
    """An object. needed: its required members; a null among the others counts as left out."""
    members = needed | {name: _or_null(of) for name, of in optional.items()}
    return {
        "type": "object",
        "description": does,
        "properties": members,
        "required": list(needed),
        "additionalProperties": False,
        **more,
    }


def _or_null(of: Json) -> Json:
    if "$ref" in of:
        return {"anyOf": [{"$ref": of["$ref"]}, {"type": "null"}], "description": of["description"]}
    kinds = of["type"] if isinstance(of["type"], list) else [of["type"]]
    nullable = of | {"type": [*kinds, "null"]}
    return nullable | {"enum": [*of["enum"], None]} if "enum" in of else nullable


def _any_of(*names: str) -> list[Json]:
    return [{"required": [name]} for name in names]


_BARE: Json = {
    "unit": _choice(Unit, "What is counted."),
    "amount": _whole(0, LARGEST_AMOUNT, "How many of them."),
}
_RESET: Json = {
    name: _whole(low, high, f"The {name} it is set to.") for name, (low, high) in RESET_BOUNDS.items()
}

SETTINGS_SHAPES: Json = {
    "Settings": _object(
        "What a strategy does: when which tasks are due, and what their steps call. 200 KB as JSON at most."
        " A null member counts as left out.",
        {
            "schedule": _one("Schedule", "When the cycles are due."),
            "services": _list("Service", "What can be called.", least=1),
            "tasks": _list("Task", "The flows.", least=1),
            "actions": _list("Action", "Calls with their parameters.", least=1),
        },
        {
            "config": _one("Config", "What holds for the strategy as a whole."),
            "instanceValidation": _SCHEMA
            | {
                "description": "Schema of an instance's attributes: JSON Schema where it has `$schema` or a type"
                " that only JSON Schema knows, as `object`; else JTD (RFC 8927)."
            },
            "onCreateTasks": _list(
                "LifecycleTask", "Tasks that an instance's creation plans.", most=MAX_LIFECYCLE_TASKS
            ),
            "onCancelTasks": _list(
                "LifecycleTask", "Tasks that an instance's cancelation plans.", most=MAX_LIFECYCLE_TASKS
            ),
        },
    ),
    "Config": _object(
        "What holds for the strategy as a whole.",
        {},
        {
            "requestDelayTime": _whole(
                0, LONGEST_REQUEST_DELAY_MS, "Milliseconds to wait before each call of a service.", default=0
            ),
            "manualTrigger": _flag("Main events wait on hold until somebody executes them."),
            "timezone": _text(
                "IANA zone in which dates are reckoned and simulated dates are told.", 64, default="UTC"
            ),
            "anyAttributes": _flag(
                "Attributes may be any JSON values, not only texts, numbers and booleans."
            ),
            "onResume": _choice(
                [OnResume.LAST, OnResume.ALL, OnResume.SKIP],
                "What becomes of planned dates that have passed unrun.",
                default=OnResume.LAST.value,
            ),
        },
    ),
    "Schedule": _object(
        "When the cycles are due.",
        {"calendars": _list("Calendar", "Which of them dates a cycle is asked in this order.", least=1)},
        {"initialDelay": _one("TimeDelta", "Moves cycle 1 away from the start date.")},
    ),
    "Calendar": _object(
        "Dates cycles, by a distance or by cron, and says what is due then.",
        {"key": _key("Its name."), "task": _key("Key of the main task of its cycles.")},
        {
            "description": _DESCRIPTION,
            "scheduleAfter": _one("TimeDelta", "Distance of its cycle from the one before it."),
            "cron": _text(
                "When its cycles are due, in place of `scheduleAfter`: 5 fields of Unix, 6 or 7 of Quartz.",
                LONGEST_CRON,
            ),
            "runOnCycle": _whole(1, MAX_CYCLE, "The one cycle that it is for."),
            "runOnCycleCallback": _callback("a bool", "whether it is for a cycle."),
            "nextCycleDateCallback": _callback("a timestamp", "the date of its cycle, in place of `date`."),
            "leadingUpTasks": _list(
                "LeadingUpTask", "Tasks that run ahead of the main one.", most=MAX_LEADING_UP
            ),
        },
        anyOf=_any_of("scheduleAfter", "cron"),
    ),
    "LeadingUpTask": _object(
        "A task that runs ahead of a cycle's main one.",
        {
            "task": _key("Key of the task."),
            "scheduleBefore": _one("TimeDelta", "How long before the main task."),
        },
        {},
    ),
    "LifecycleTask": _object(
        "A task planned where an instance is created or canceled.",
        {"task": _key("Key of the task.")},
        {
            "delayBy": _one("TimeDelta", "How long afterwards it is due."),
            "manualTrigger": _flag("It waits on hold until somebody executes it."),
            "createIf": _callback("a bool", "whether it is planned at all."),
        },
    ),
    "TimeDelta": _object(
        "A distance in time, reckoned in the strategy's zone.",
        _BARE,
        {
            "from": _key("The instance attribute with the date to count from, in place of the usual one."),
            "resetTo": _one("ResetTo", "Parts of the date that are set once the distance is added."),
            "retryEventCallback": _callback("a map", "`unit`, `amount` and `resetTo` in place of these."),
        },
    ),
    "ResetTo": _object("Parts of a date and the values they are set to.", {}, _RESET),
    "BareDelta": _object("A distance in time.", _BARE, {}),
    "RetryConfig": _object(
        "How often and when a failed attempt is repeated.",
        {},
        {
            "times": _whole(
                0, MOST_RETRIES, "Retries at most; where it is left out, as many as `retryStrategy` holds."
            ),
            "retryAfter": _one("TimeDelta", "Delay of the retries that `retryStrategy` has none for."),
            "retryStrategy": _list("BareDelta", "The delay of each retry in turn."),
            "pauseBeforeCancel": _flag(
                "When the attempts are used up, the instance is paused, not canceled."
            ),
        },
    ),
    "Service": _object(
        "Somebody's HTTP API.",
        {
            "key": _key("Its name."),
            "baseUrls": _list("BaseUrl", "Where it is, by environment.", least=1),
            "methods": _list("Method", "What it can be asked.", least=1),
        },
        {
            "description": _DESCRIPTION,
            "authorization": _list("Authorization", "How to fetch its token, by environment."),
            "credentialPath": _text("Where the token stands in the answer, as in `data.token`.", 200),
            "credentialType": _text(
                "The word before the token in `Authorization`, as `Bearer`; none by default.", 50
            ),
        },
    ),
    "BaseUrl": _object(
        "Where a service is in an environment.",
        {
            "environment": _ENVIRONMENT,
            "url": _text("Absolute URL without query and fragment.", 1000, pattern=f"^https?://[{_URL}]+$"),
        },
        {},
    ),
    "Authorization": _object(
        "The request that fetches a service's token in an environment.",
        {
            "environment": _ENVIRONMENT,
            "url": _text("Absolute URL of the request.", 1000, pattern=f"^https?://[{_URL}?]+$"),
            "method": _HTTP_METHOD,
        },
        _REQUEST | {"noCache": _flag("A token is fetched for every call, not kept while it lasts.")},
    ),
    "Method": _object(
        "One endpoint of a service.",
        {
            "key": _key("Its name."),
            "url": _text("Its path, with `:name` parts.", 1000, pattern=f"^/[{_URL}?]*$"),
            "method": _HTTP_METHOD,
        },
        {
            "description": _DESCRIPTION,
            "async": _flag("Its answer comes later, by `resume`."),
            "answerWithin": _one("TimeDelta", "How long that answer is waited for; for `async` only."),
            "wholeAnswer": _flag(
                "Any answer is a success, and its response is `{status, reason, body}`; not for `async`."
            ),
            "requestValidation": {
                "type": ["object", "string"],
                "minLength": 1,
                "description": "Schema of the body that is sent, as an object or as JSON text; any other text is"
                " CEL that returns a bool: whether the request may be sent.",
            },
            "responseValidation": _SCHEMA | {"description": "Schema of the body that is answered."},
            "timeoutSeconds": _whole(1, 300, "How long a call may take.", default=30),
            "inDoubt": _choice(
                InDoubt,
                "What becomes of a POST or PATCH that may have taken effect.",
                default=InDoubt.RETRY.value,
            ),
        },
    ),
    "Action": _object(
        "A call of a method with its parameters.",
        {
            "key": _key("Its name."),
            "service": _key("Key of the service."),
            "method": _key("Key of its method."),
        },
        _REQUEST,
    ),
    "Task": _object(
        "A flow of steps.",
        {
            "key": _key("Its name."),
            "initialStep": _key("Key of the step it begins with."),
            "steps": _list("Step", "Its steps.", least=1),
        },
        {
            "description": _DESCRIPTION,
            "retryConfig": _one("RetryConfig", "The retries of its steps."),
            "outputs": _templates("What is kept on event and instance when it has succeeded, by name."),
        },
    ),
    "Step": _object(
        "One thing a task does: an action, a controller, or a delay.",
        {"key": _key("Its name.")},
        {
            "description": _DESCRIPTION,
            "action": _key("Key of the action it calls."),
            "controller": _key("Name of the registered controller that judges its result."),
            "controllerCallback": _callback("a map", "directives that its result is judged by."),
            "resumeControllerCallback": _callback(
                "a map", "directives that a later answer is judged by; where the action's method is `async`."
            ),
            "retryConfig": _one("RetryConfig", "Its own retries, in place of the task's."),
            "resetAttempts": _flag("Coming to it for the first time sets the count of attempts back to 1."),
            "final": _flag(
                "The task ends here: neither `nextStep` nor `callback` rules may stand beside it."
            ),
            "optional": _flag("Its failure does not fail the task."),
            "repeatOnRetry": _flag("A retry executes it again, although it has succeeded."),
            "nextStep": _key("Key of the step after it."),
            "nextStepRules": _list("NextStepRule", "Ways on under conditions."),
            "everyRule": _flag(
                "All its `callback` rules that hold are followed, one after another, not only the first."
            ),
            "delay": _one("TimeDelta", "How long it waits before it acts, holding nothing."),
            "waitForAnswer": _one(
                "TimeDelta", "How long it waits for an answer sent to its correlation id; without an action."
            ),
        },
        anyOf=_any_of("action", "controller", "controllerCallback", "delay", "waitForAnswer"),
    ),
    "NextStepRule": _object(
        "Where a task goes on under a condition.",
        {
            "if": _choice(RuleKind, "When it is looked at."),
            "nextStep": _key("Key of the step it leads to."),
        },
        {
            "description": _DESCRIPTION,
            "ifCallback": _callback("a bool", "whether it holds; required where `if` is `callback`."),
        },
    ),
}
"""``Settings`` and all that it is made of, by name."""
