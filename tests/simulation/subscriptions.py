"""Random subscriptions: calendars, business days, reminders, zones of customers, and rules for missed dates."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.domain.ids import AccountId, StrategySid
from shared.domain.strategy.model import Strategy, StrategyHead
from shared.domain.strategy.parse import read_definition

ZONES = ("Europe/Berlin", "America/New_York", "Asia/Manila", "Pacific/Auckland", "Pacific/Honolulu")
"""From the first to the last zone of the day, with and without clock changes."""

CALENDARS: tuple[tuple[int, dict[str, Any]], ...] = (
    (1, {"scheduleAfter": {"unit": "days", "amount": 1}}),
    (1, {"scheduleAfter": {"unit": "days", "amount": 1}}),
    (7, {"scheduleAfter": {"unit": "days", "amount": 7}}),
    (30, {"scheduleAfter": {"unit": "months", "amount": 1}}),
    (30, {"scheduleAfter": {"unit": "months", "amount": 1, "resetTo": {"hour": 9, "minute": 0}}}),
    (7, {"cron": "0 9 * * 1"}),
    (30, {"cron": "0 9 1 * *"}),
)
"""Days of a cycle, about, and the dates of a calendar."""

BEGINNING = datetime(2026, 2, 20, tzinfo=UTC)


def any_subscription(rng: random.Random) -> tuple[Strategy, int]:
    """Return a random strategy, as valid as any that is saved, and about how many days one of its cycles has."""
    days, calendar = rng.choice(CALENDARS)
    strategy = Strategy(
        sid=StrategySid("s-7"),
        account_id=AccountId("a-1"),
        name="subscription",
        version=1,
        definition=read_definition(_settings(rng, days, calendar), environment="dev"),
        environment="dev",
    )
    return strategy, days


def head_of(strategy: Strategy) -> StrategyHead:
    """Return the head of a strategy that has no secret."""
    return StrategyHead(
        sid=strategy.sid,
        account_id=strategy.account_id,
        name=strategy.name,
        version=strategy.version,
        created_at=BEGINNING,
        updated_at=BEGINNING,
    )


def any_attributes(rng: random.Random, now: datetime) -> dict[str, str]:
    """Return the attributes that dates may depend on."""
    return {"zone": rng.choice(ZONES), "trialEnd": any_day(rng, now, 1, 20), "closed": any_closed(rng, now)}


def any_day(rng: random.Random, now: datetime, first: int, last: int) -> str:
    """Return a day some days from now, or a time on it."""
    day = (now + timedelta(days=rng.randint(first, last))).date()
    return f"{day}{rng.choice(['', 'T09:00:00Z', 'T23:30:00Z'])}"


def any_closed(rng: random.Random, now: datetime) -> str:
    """Return the days on which a customer is closed."""
    days = sorted(rng.sample(range(1, 60), rng.randint(0, 6)))
    return ", ".join(str((now + timedelta(days=day)).date()) for day in days)


def _settings(rng: random.Random, days: int, dates: dict[str, Any]) -> dict[str, Any]:
    calendar: dict[str, Any] = {"key": "plan", "task": "charge", **dates}
    if rng.random() < (0.7 if days == 1 else 0.5):
        # Under ``skip``, a weekly plan on a day of the weekend never runs.
        conventions = ["following", "preceding", "modifiedFollowing", *(["skip"] if days != 7 else [])]
        calendar["businessDays"] = {"convention": rng.choice(conventions), **_days_off(rng)}
    if rng.random() < 0.3:
        calendar["spreadMinutes"] = rng.choice([10, 720])
    # A daily plan would run twice on some days.
    if rng.random() < 0.2 and days > 1:
        calendar["nextCycleDateCallback"] = "cycle % 3 == 0 ? date + duration('30h') : date"
    calendar["leadingUpTasks"] = [_reminder(rng, days) for _ in range(rng.choice([0, 1, 1, 2]))]
    schedule: dict[str, Any] = {"calendars": [calendar]}
    if rng.random() < 0.4:
        schedule["initialDelay"] = {"unit": "days", "amount": rng.choice([0, 1]), "from": "trialEnd"}
    return {
        "config": {
            "timezone": rng.choice(["{{attributes.zone}}", "{{attributes.zone}}", "Europe/Berlin"]),
            "onResume": rng.choice(["last", "all", "skip"]),
            "onMissed": rng.choice(["last", "all", "skip"]),
        },
        "schedule": schedule,
        "onCreateTasks": [
            {"task": "greet", "delayBy": {"unit": "days", "amount": 2, "from": "trialEnd"}},
            {"task": "greet", "delayBy": {"unit": "days", "amount": 2}},
        ][: rng.randint(0, 1)],
        "onCancelTasks": [{"task": "farewell", "delayBy": {"unit": "hours", "amount": 2}}][
            : rng.randint(0, 1)
        ],
        "services": [
            {
                "key": "shop",
                "baseUrls": [{"environment": "dev", "url": "https://shop.example.test"}],
                "methods": [{"key": "post", "url": "/orders", "method": "post"}],
            }
        ],
        "actions": [{"key": "post", "service": "shop", "method": "post"}],
        "tasks": [_task("charge", _retries(rng)), *(_task(key) for key in ("remind", "greet", "farewell"))],
    }


def _days_off(rng: random.Random) -> dict[str, Any]:
    return rng.choice(
        [{}, {"closed": "closed"}, {"closed": "closed"}, {"country": "DE", "subdivision": "BY"}]
    )


def _reminder(rng: random.Random, days: int) -> dict[str, Any]:
    """Return a leading-up task, whose distance is never that of a whole cycle: then every late run could cost it."""
    hours = rng.choice([5, 20] if days == 1 else [5, 20, 50, 75, 24 * 40 + 3])
    before: dict[str, Any] = {"unit": "hours", "amount": hours}
    if rng.random() < 0.3:
        before["businessDays"] = {
            "convention": rng.choice(["following", "preceding", "skip"]),
            **_days_off(rng),
        }
    return {"task": "remind", "scheduleBefore": before, "runLate": rng.random() < 0.3}


def _retries(rng: random.Random) -> dict[str, Any]:
    """Return retries that last for days."""
    return {
        "times": rng.choice([0, 1, 3]),
        "retryAfter": {"unit": "days", "amount": rng.choice([1, 2, 4])},
        "pauseBeforeCancel": rng.random() < 0.85,
        **({"retryAt": ["09:00"]} if rng.random() < 0.3 else {}),
    }


def _task(key: str, retries: dict[str, Any] | None = None) -> dict[str, Any]:
    task: dict[str, Any] = {"key": key, "initialStep": "call", "steps": [{"key": "call", "action": "post"}]}
    retries = retries or {"times": 2, "retryAfter": {"unit": "hours", "amount": 1}, "pauseBeforeCancel": True}
    return {**task, "retryConfig": retries}
