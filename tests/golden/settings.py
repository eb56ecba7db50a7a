"""The settings of golden strategies. Frozen, with the spelling of each field."""

from typing import Any

TWO_HOURS = {"unit": "hours", "amount": 2}

MINIMAL: dict[str, Any] = {
    "schedule": {
        "calendars": [
            {"key": "monthly", "task": "bill", "scheduleAfter": {"unit": "months", "amount": 1}},
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
"""The shortest settings: every optional field has its default."""

FULL: dict[str, Any] = {
    "config": {
        "timezone": "Asia/Manila",
        "requestDelayTime": 5000,
        "manualTrigger": True,
        "anyAttributes": True,
        "onResume": "skip",
        "searchable": ["memberId", "email"],
        "uniqueReference": True,
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
                "leadingUpTasks": [{"task": "bill", "scheduleBefore": TWO_HOURS}],
            },
            {"key": "mondays", "task": "bill", "cron": "0 9 * * MON"},
        ],
    },
    "onCreateTasks": [
        {"task": "bill", "delayBy": TWO_HOURS, "manualTrigger": True, "createIf": "attributes.vip == true"}
    ],
    "onCancelTasks": [{"task": "bill"}],
    "services": [
        {
            "key": "billing",
            "description": "",
            "baseUrls": [
                {"environment": "dev", "url": "http://127.0.0.1:4020/v1"},
                {"environment": "prod", "url": "https://billing.example.test/v1"},
            ],
            "authorization": [
                {
                    "environment": "dev",
                    "url": "https://login.example.test/:tenant/token?v=2",
                    "method": "post",
                    "headers": {"X-Env": "{{env}}"},
                    "params": {"scope": "all"},
                    "data": {
                        "grant_type": "client_credentials",
                        "client_secret": "{{secret.login#password}}",
                    },
                    "attributes": {"tenant": "{{attributes.tenant}}"},
                    "noCache": True,
                }
            ],
            "credentialPath": "data.token",
            "credentialType": "Bearer",
            "methods": [
                {
                    "key": "charge",
                    "description": "Charge a card",
                    "url": "/members/:memberId/charges",
                    "method": "put",
                    "async": True,
                    "answerWithin": TWO_HOURS,
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
                {"key": "mail", "url": "/mails", "method": "post", "inDoubt": "fail"},
                {"key": "note", "url": "/notes", "method": "patch", "inDoubt": "retry"},
            ],
        }
    ],
    "tasks": [
        {
            "key": "bill",
            "description": "Charge",
            "initialStep": "charge",
            "retryConfig": {"retryStrategy": [TWO_HOURS, {"unit": "seconds", "amount": 30}]},
            "outputs": {"payment": "{{stack.charge.response.id}}"},
            "steps": [
                {
                    "key": "charge",
                    "description": "The call",
                    "action": "charge-card",
                    "controllerCallback": '{"response": response}',
                    "resumeControllerCallback": '{"response": response}',
                    "retryConfig": {
                        "times": 4,
                        "retryAfter": TWO_HOURS,
                        "retryStrategy": [TWO_HOURS],
                        "pauseBeforeCancel": True,
                        "jitterPercent": 25,
                        "refusedHours": 6,
                    },
                    "resetAttempts": True,
                    "optional": True,
                    "repeatOnRetry": True,
                    "nextStep": "wait",
                    "everyRule": True,
                    "nextStepRules": [
                        {"if": "onError", "nextStep": "wait", "description": "never mind"},
                        {"if": "callback", "ifCallback": "attempt > 1", "nextStep": "wait"},
                        {"if": "onBeforeRetry", "nextStep": "mail"},
                        {"if": "onBeforePause", "nextStep": "mail"},
                    ],
                },
                {"key": "mail", "action": "send-mail", "final": True},
                {"key": "wait", "delay": TWO_HOURS, "nextStep": "answer"},
                {"key": "answer", "waitForAnswer": TWO_HOURS, "nextStep": "named"},
                {"key": "named", "controller": "charged", "repeatOnRetry": False},
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
        },
        {
            "key": "send-mail",
            "service": "billing",
            "method": "mail",
            "headers": {"X-Key": "{{secret.mail}}"},
        },
    ],
}
"""Settings with every field, each different from its default."""

DUNNING: dict[str, Any] = {
    **MINIMAL,
    "tasks": [
        {
            **MINIMAL["tasks"][0],
            "retryConfig": {
                "times": 3,
                "retryAfter": TWO_HOURS,
                "stopIf": "response.decline_code == 'lost_card'",
                "retryAt": ["18:30", "09:00"],
            },
        }
    ],
}
"""Settings with retries that stop, at times of day."""

SPARSE: dict[str, Any] = {
    **MINIMAL,
    "config": {"onResume": "all"},
    "services": [
        {
            **MINIMAL["services"][0],
            "credentialPath": "token",
            "authorization": [{"environment": "dev", "url": "https://login.example.test", "method": "get"}],
        }
    ],
    "tasks": [
        {**MINIMAL["tasks"][0], "retryConfig": {"times": 2, "retryAfter": TWO_HOURS, "jitterPercent": 0}}
    ],
}
"""Settings with parts that have their required fields only."""

BUSINESS_DAYS: dict[str, Any] = {
    **MINIMAL,
    "schedule": {
        "calendars": [
            {
                "key": "first",
                "task": "bill",
                "runOnCycle": 1,
                "scheduleAfter": {"unit": "months", "amount": 1},
                "businessDays": {"convention": "preceding", "weekend": []},
            },
            {
                "key": "second",
                "task": "bill",
                "runOnCycle": 2,
                "scheduleAfter": {"unit": "months", "amount": 1},
                "businessDays": {"convention": "skip", "weekend": ["friday", "saturday"]},
            },
            {
                "key": "monthly",
                "task": "bill",
                "scheduleAfter": {"unit": "months", "amount": 1},
                "businessDays": {
                    "convention": "modifiedFollowing",
                    "weekend": ["monday", "tuesday", "wednesday", "thursday", "sunday"],
                    "country": "DE",
                    "subdivision": "BY",
                    "holidays": ["2026-12-24", "2026-12-31"],
                    "closed": "closedOn",
                },
                "leadingUpTasks": [
                    {
                        "task": "bill",
                        "scheduleBefore": {
                            "unit": "days",
                            "amount": 3,
                            "businessDays": {"convention": "preceding", "country": "US"},
                        },
                    }
                ],
            },
        ]
    },
    "tasks": [
        {
            **MINIMAL["tasks"][0],
            "retryConfig": {
                "times": 3,
                "retryStrategy": [{"unit": "days", "amount": 1, "businessDays": {"convention": "following"}}],
                "retryAfter": {
                    "unit": "days",
                    "amount": 1,
                    "resetTo": {"hour": 9},
                    "businessDays": {"convention": "following", "country": "DE"},
                },
            },
        }
    ],
}
"""Settings with business days, each convention and each day of the week."""

SPREAD: dict[str, Any] = {
    **MINIMAL,
    "schedule": {
        "calendars": [
            {
                "key": "monthly",
                "task": "bill",
                "scheduleAfter": {"unit": "months", "amount": 1},
                "spreadMinutes": 90,
            }
        ]
    },
}
"""Settings with due dates that are spread."""

LATE_REMINDERS: dict[str, Any] = {
    **MINIMAL,
    "schedule": {
        "calendars": [
            {
                "key": "monthly",
                "task": "bill",
                "scheduleAfter": {"unit": "months", "amount": 1},
                "leadingUpTasks": [
                    {"task": "bill", "scheduleBefore": {"unit": "days", "amount": 3}, "runLate": True}
                ],
            }
        ]
    },
}
"""Settings with a reminder that also runs late."""

ZONE_OF_CUSTOMER: dict[str, Any] = {**MINIMAL, "config": {"timezone": "{{attributes.timezone}}"}}
"""Settings whose zone is an attribute."""

LIMITED: dict[str, Any] = {
    **MINIMAL,
    "services": [
        {**MINIMAL["services"][0], "limit": {"perSecond": 200}},
        {**MINIMAL["services"][0], "key": "other", "limit": {}},
    ],
}
"""A service with a limit, and one with a limit that has no rate."""

CIRCUITS: dict[str, Any] = {
    **MINIMAL,
    "services": [
        {**MINIMAL["services"][0], "limit": {"circuit": {"failures": 3, "openSeconds": 60}}},
        {**MINIMAL["services"][0], "key": "other", "limit": {"circuit": {}}},
    ],
}
"""A service with a circuit, and one with the default circuit."""

IN_FLIGHT: dict[str, Any] = {
    **MINIMAL,
    "services": [{**MINIMAL["services"][0], "limit": {"concurrent": 5, "perSecond": 200}}],
}
"""A service with a limit of the calls in flight."""

MISSED_RULES: dict[str, dict[str, Any]] = {
    rule: {**MINIMAL, "config": {"onMissed": rule}} for rule in ("all", "last", "skip")
}
"""Settings with each rule for missed dates."""
