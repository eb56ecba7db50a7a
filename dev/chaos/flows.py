"""The flows that run under faults: strategies with two paid calls, due every few seconds to a minute."""

from datetime import timedelta
from typing import Any

SECRET = "chaos-strategy-secret"  # noqa: S105 - it exists only for a run

CHARGES, RECEIPTS, NOTES = "/chaos/charges", "/chaos/receipts", "/chaos/notes"
PATHS = (CHARGES, RECEIPTS, NOTES)

PERIODS = (timedelta(seconds=5), timedelta(seconds=15), timedelta(seconds=45))
TIMEOUT_SECONDS = 4
"""How long a call may take. A service that hangs takes longer."""


START_KEY = "startKey"
"""The attribute with the Idempotency-Key of the request that started an instance."""


def strategy(period: timedelta, downstream: str) -> dict[str, Any]:
    """Return a strategy that charges, and then sends a receipt, once in a period."""
    seconds = int(period.total_seconds())
    return {"name": name_of(period), "secret": SECRET, "settings": _settings(seconds, downstream)}


def name_of(period: timedelta) -> str:
    """Return the name of the strategy with that period."""
    return f"chaos-{int(period.total_seconds())}"


def _settings(seconds: int, downstream: str) -> dict[str, Any]:
    # Attempts never run out, so that every event ends well unless a command stops it.
    retries = {"times": 1000, "retryAfter": {"unit": "seconds", "amount": 2}, "refusedHours": 24}
    return {
        "config": {"onResume": "all"},
        "schedule": {
            "calendars": [
                {
                    "key": "often",
                    "task": "pay",
                    "scheduleAfter": {"unit": "seconds", "amount": seconds},
                }
            ]
        },
        "services": [
            {
                "key": "bank",
                "baseUrls": [{"environment": "dev", "url": downstream}],
                "methods": [
                    {"key": "charge", "url": CHARGES, "method": "post", "timeoutSeconds": TIMEOUT_SECONDS},
                    {"key": "receipt", "url": RECEIPTS, "method": "post", "timeoutSeconds": TIMEOUT_SECONDS},
                ],
            }
        ],
        "actions": [
            {"key": "charge", "service": "bank", "method": "charge", "data": {"of": "{{instance.sid}}"}},
            {"key": "receipt", "service": "bank", "method": "receipt", "data": {"of": "{{instance.sid}}"}},
        ],
        "tasks": [
            {
                "key": "pay",
                "initialStep": "charge",
                "retryConfig": {**retries, "jitterPercent": 0, "pauseBeforeCancel": True},
                "steps": [
                    {"key": "charge", "action": "charge", "nextStep": "receipt"},
                    {"key": "receipt", "action": "receipt", "final": True},
                ],
            }
        ],
    }


def definition(downstream: str) -> dict[str, Any]:
    """Return an automation definition: a call, a wait of some seconds, and another call."""

    def call(step: str, path: str, **members: Any) -> dict[str, Any]:  # noqa: ANN401 - parts of a JSON document
        inputs = {
            "url": f"{downstream}{path}",
            "method": "POST",
            "body": {"of": "{{data.customerId}}"},
            "timeoutSeconds": TIMEOUT_SECONDS,
        }
        return {"id": step, "stepType": "HttpRequest", "inputs": inputs, **members}

    return {
        "subAccountId": "chaos",
        "trigger": "http_request",
        "status": "enabled",
        "definition": {
            "name": "chaos",
            "steps": [
                call("record", NOTES, nextStepId="pause"),
                {
                    "id": "pause",
                    "stepType": "Wait",
                    "inputs": {"duration": "00:00:10"},
                    "nextStepId": "charge",
                },
                call("charge", CHARGES),
            ],
        },
    }
