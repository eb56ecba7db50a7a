"""Settings for tests to change, and their problems."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

from shared.domain.errors import InvalidInputError, Problem
from shared.domain.strategy.parse import read_definition

REMOVED = object()
EVENTS = Path(__file__).parents[3] / "events"


def example(name: str) -> dict[str, Any]:
    """Return the settings of an example strategy."""
    settings: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())["settings"]
    return settings


def minimal() -> dict[str, Any]:
    """Return the shortest settings: one calendar, service, method, task, step and action."""
    return {
        "schedule": {
            "calendars": [
                {"key": "monthly", "task": "bill", "scheduleAfter": {"unit": "months", "amount": 1}}
            ]
        },
        "services": [
            {
                "key": "billing",
                "baseUrls": [{"environment": "dev", "url": "https://billing.example.test"}],
                "methods": [{"key": "charge", "url": "/charges", "method": "post"}],
            }
        ],
        "tasks": [
            {"key": "bill", "initialStep": "charge", "steps": [{"key": "charge", "action": "charge-card"}]}
        ],
        "actions": [{"key": "charge-card", "service": "billing", "method": "charge"}],
    }


def full() -> dict[str, Any]:
    """Return settings with every field, each different from its default."""
    return {
        "config": {
            "timezone": "Asia/Manila",
            "requestDelayTime": 5000,
            "manualTrigger": True,
            "anyAttributes": True,
            "onResume": "skip",
        },
        "instanceValidation": {"properties": {"email": {"type": "string"}}, "additionalProperties": True},
        "schedule": {
            "initialDelay": {
                "unit": "days",
                "amount": 7,
                "from": "trialEnd",
                "resetTo": {"month": 12, "day": 31, "hour": 24, "minute": 59},
                "retryEventCallback": '{"unit": "days", "amount": 1}',
            },
            "calendars": [
                {
                    "key": "first",
                    "description": "The first cycle",
                    "task": "bill",
                    "scheduleAfter": {"unit": "minutes", "amount": 0},
                    "runOnCycle": 1,
                },
                {
                    "key": "yearly",
                    "task": "bill",
                    "scheduleAfter": {"unit": "years", "amount": 1},
                    "runOnCycleCallback": "cycle % 12 == 0",
                    "nextCycleDateCallback": "date",
                    "businessDays": {
                        "convention": "modifiedFollowing",
                        "weekend": ["friday", "saturday"],
                        "country": "DE",
                        "subdivision": "BY",
                        "holidays": ["2026-12-24", "2026-12-31"],
                        "closed": "closedOn",
                    },
                    "spreadMinutes": 90,
                    "leadingUpTasks": [
                        {
                            "task": "bill",
                            "scheduleBefore": _two_hours(businessDays={"convention": "preceding"}),
                            "runLate": True,
                        }
                    ],
                },
                {"key": "mondays", "task": "bill", "cron": "0 9 * * MON"},
            ],
        },
        "onCreateTasks": [
            {
                "task": "bill",
                "delayBy": _two_hours(),
                "manualTrigger": True,
                "createIf": "attributes.vip == true",
            }
        ],
        "onCancelTasks": [{"task": "bill"}],
        "services": [
            {
                "key": "billing",
                "description": "",
                "baseUrls": [{"environment": "dev", "url": "http://127.0.0.1:4020/v1"}],
                "authorization": [
                    {
                        "environment": "dev",
                        "url": "https://login.example.test/:tenant/token?v=2",
                        "method": "post",
                        "headers": {"X-Env": "{{env}}"},
                        "params": {"scope": "all"},
                        "data": {"grant_type": "client_credentials"},
                        "attributes": {"tenant": "{{attributes.tenant}}"},
                        "noCache": True,
                    }
                ],
                "credentialPath": "data.token",
                "credentialType": "Bearer",
                "limit": {"perSecond": 200, "concurrent": 20, "circuit": {"failures": 5, "openSeconds": 30}},
                "methods": [
                    {
                        "key": "charge",
                        "description": "Charge a card",
                        "url": "/members/:memberId/charges",
                        "method": "put",
                        "async": True,
                        "answerWithin": _two_hours(),
                        "requestValidation": '{"properties": {"amount": {"type": "float64"}}}',
                        "responseValidation": {"type": "object"},
                        "timeoutSeconds": 300,
                        "inDoubt": "pause",
                    },
                    {
                        "key": "look",
                        "url": "/",
                        "method": "get",
                        "requestValidation": "cycle > 0",
                        "wholeAnswer": True,
                        "definiteStatuses": [404, 503],
                    },
                ],
            }
        ],
        "tasks": [
            {
                "key": "bill",
                "description": "Charge",
                "initialStep": "charge",
                "retryConfig": {"retryStrategy": [_two_hours(), _two_hours()]},
                "outputs": {"payment": "{{stack.charge.response.id}}"},
                "steps": [
                    {
                        "key": "charge",
                        "description": "The call",
                        "action": "charge-card",
                        "controller": "charged",
                        "controllerCallback": '{"response": response}',
                        "resumeControllerCallback": '{"response": response}',
                        "retryConfig": {
                            "times": 4,
                            "retryAfter": _two_hours(
                                businessDays={"convention": "following", "country": "US"}
                            ),
                            "retryStrategy": [
                                _two_hours(businessDays={"convention": "following", "weekend": []})
                            ],
                            "pauseBeforeCancel": True,
                            "jitterPercent": 25,
                            "refusedHours": 6,
                            "stopIf": "response.code == 'lost_card'",
                            "retryAt": ["18:30", "09:00"],
                        },
                        "resetAttempts": True,
                        "optional": True,
                        "repeatOnRetry": True,
                        "nextStep": "wait",
                        "everyRule": True,
                        "nextStepRules": [
                            {"if": "onError", "nextStep": "wait", "description": "never mind"},
                            {"if": "callback", "ifCallback": "attempt > 1", "nextStep": "wait"},
                        ],
                    },
                    {"key": "wait", "delay": _two_hours(), "waitForAnswer": _two_hours(), "final": True},
                ],
            }
        ],
        "actions": [
            {
                "key": "charge-card",
                "service": "billing",
                "method": "charge",
                "headers": {"Idempotency-Key": "{{event.idempotencyKey}}"},
                "params": {"cycle": "{{cycle}}"},
                "data": {"amount": "${double(cycle) * 2.5}", "list": [None, True, 1.5]},
                "attributes": {"memberId": "{{attributes.memberId}}"},
            }
        ],
    }


def _two_hours(**more: Any) -> dict[str, Any]:
    return {"unit": "hours", "amount": 2, **more}


def changed(pointer: str, value: object, of: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return settings, by default the minimal ones, with a place set, added (``-`` in a list) or ``REMOVED``."""
    settings = deepcopy(minimal() if of is None else of)
    *way, last = pointer.split("/")[1:]
    place: Any = settings
    for name in way:
        place = place[int(name)] if isinstance(place, list) else place.setdefault(name, {})
    if isinstance(place, list):
        if last == "-":
            place.append(value)
        else:
            place[int(last)] = value
    elif value is REMOVED:
        del place[last]
    else:
        place[last] = value
    return settings


CONTROLLERS = ("charged",)
"""The registered controllers."""


def problems(settings: object, *, environment: str = "dev", pointer: str = "") -> list[Problem]:
    """Return every problem of the settings."""
    try:
        read_definition(settings, environment=environment, pointer=pointer, controllers=CONTROLLERS)
    except InvalidInputError as error:
        return list(error.problems)
    return []


def broken_rules(settings: object) -> list[tuple[str, str]]:
    """Return the pointer and rule of every problem."""
    return [(problem.pointer, problem.rule) for problem in problems(settings)]
