"""Random strategies: their plans, tasks, services and rules are drawn."""

import random
from collections.abc import Mapping
from typing import Any

from shared.domain.ids import AccountId, StrategySid
from shared.domain.strategy.model import Strategy
from shared.domain.strategy.parse import read_definition

TASKS = ("main", "before", "extra", "welcome", "farewell")
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Etc/UTC")
CONDITIONS = ("true", "false", "attempt == 1", "event.run > 1", "attributes.n > 3.0")
SIDE_KINDS = ("onError", "onBeforeRetry", "onBeforePause")


def any_strategy(rng: random.Random, version: int = 1) -> Strategy:
    """Return a random strategy, as valid as any that is saved."""
    return Strategy(
        sid=StrategySid("s-9"),
        account_id=AccountId("a-1"),
        name="anything",
        version=version,
        definition=read_definition(_settings(rng, version), environment="dev"),
        environment="dev",
    )


def _settings(rng: random.Random, version: int) -> dict[str, Any]:
    tasks = [_task(rng, key) for key in TASKS]
    steps = [step for task in tasks for step in task["steps"] if "action" in step]
    methods = [_method(rng, step["key"], version) for step in steps]
    for step, method in zip(steps, methods, strict=True):
        if "async" in method and rng.random() < 0.7:
            step["resumeControllerCallback"] = (
                f'response.status == "CONFIRMED" ? {_orders(rng, step["key"])} : {{"fail": dyn("declined")}}'
            )
    every = rng.choice(
        [
            {"unit": "days", "amount": 1},
            {"unit": "days", "amount": 7},
            {"unit": "hours", "amount": 30},
            {"unit": "months", "amount": 1},
        ]
    )
    calendar = {
        "key": "plan",
        "task": "main",
        "scheduleAfter": every,
        "leadingUpTasks": [
            {
                "task": "before",
                "scheduleBefore": {"unit": "hours", "amount": rng.choice([1, 6, 20])},
                "runLate": every["unit"] != "days",
            }
        ][: rng.randint(0, 1)],
        **_moves(_beside(rng), is_weekly=every["amount"] == 7),
    }
    return {
        "config": {
            "timezone": _zone(rng, rng.choice(ZONES)),
            "requestDelayTime": rng.choice([0, 250]),
            "onResume": rng.choice(["last", "all", "skip"]),
        },
        "schedule": {"calendars": [calendar]},
        "onCreateTasks": [{"task": "welcome"}, {"task": "extra", "manualTrigger": True}][: rng.randint(0, 2)],
        "onCancelTasks": [{"task": "farewell", "delayBy": {"unit": "hours", "amount": 2}}][
            : rng.randint(0, 1)
        ],
        "services": [
            {
                "key": "anybody",
                "baseUrls": [{"environment": "dev", "url": "https://any.example.test"}],
                "methods": methods,
            }
        ],
        "actions": [_action(step["key"]) for step in steps],
        "tasks": tasks,
    }


def _beside(rng: random.Random) -> random.Random:
    """Return a generator whose draws leave those of ``rng`` as they are."""
    beside = random.Random()
    beside.setstate(rng.getstate())
    return beside


def _zone(rng: random.Random, named: str) -> str:
    """Return a zone, or the attribute of the instance that names it."""
    return "{{attributes.zone}}" if _beside(rng).random() < 0.3 else named


def _moves(rng: random.Random, *, is_weekly: bool) -> dict[str, Any]:
    """Return the settings that move the dates of a calendar, if any do."""
    moves: dict[str, Any] = {}
    if rng.random() < 0.3:
        moves["nextCycleDateCallback"] = rng.choice(
            [
                "date.getDayOfWeek() == 6 ? date + duration('48h') : date",
                "date.getDayOfWeek() == 0 ? date - duration('48h') : date",
                "cycle % 3 == 0 ? date + duration('30h') : date",
            ]
        )
    if rng.random() < 0.4:
        # Under ``skip``, a weekly plan on a day of the weekend never runs.
        conventions = ["following", "preceding", "modifiedFollowing", *([] if is_weekly else ["skip"])]
        moves["businessDays"] = {
            "convention": rng.choice(conventions),
            "weekend": rng.choice([["saturday", "sunday"], ["friday"]]),
        }
    return moves


def _task(rng: random.Random, name: str) -> dict[str, Any]:
    keys = [f"{name}{number}" for number in range(1, rng.randint(1, 5) + 1)]
    drawn = {key: _step(rng, keys, index) for index, key in enumerate(keys)}
    reached = _reached(drawn, keys[0])
    for rule in (rule for key in reached for rule in drawn[key]["nextStepRules"]):
        named = rule["ifCallback"].split(".")
        if named[0] == "stack" and named[1] not in reached:
            rule["ifCallback"] = "true"
    return {
        "key": name,
        "initialStep": keys[0],
        "retryConfig": _retries(rng),
        "steps": [drawn[key] for key in reached],
    }


def _retries(rng: random.Random) -> dict[str, Any]:
    return {
        "times": rng.choice([0, 2, 4, 8]),
        "retryAfter": {"unit": "minutes", "amount": rng.choice([0, 5, 90])},
        "pauseBeforeCancel": rng.random() < 0.8,
    }


def _step(rng: random.Random, keys: list[str], index: int) -> dict[str, Any]:
    key = keys[index]
    step: dict[str, Any] = {"key": key}
    controls = rng.random() < 0.25
    if not controls or rng.random() < 0.6:
        step["action"] = key
    if controls:
        step["controllerCallback"] = _orders(rng, key)
    for name, chance in (("optional", 0.15), ("repeatOnRetry", 0.15), ("resetAttempts", 0.1)):
        if rng.random() < chance:
            step[name] = True
    if rng.random() < 0.12:
        step["delay"] = {"unit": "minutes", "amount": rng.choice([1, 120])}
    if rng.random() < 0.15:
        step["retryConfig"] = _retries(rng)
    step["nextStepRules"] = [_rule(rng, keys, index) for _ in range(rng.choice([0, 0, 1, 2]))]
    following = keys[index + 1 :][:1] if rng.random() < 0.93 else [rng.choice(keys)]
    if following:
        step["nextStep"] = following[0]
    ways = [*following, *(rule["nextStep"] for rule in step["nextStepRules"])]
    if any(keys.index(way) <= index for way in ways):  # a loop needs a delay
        step["delay"] = {"unit": "hours", "amount": 7}
    return step


def _rule(rng: random.Random, keys: list[str], index: int) -> dict[str, Any]:
    ahead = keys[index + 1 :] or keys
    return {
        "if": rng.choice(["callback", *SIDE_KINDS]),
        "nextStep": rng.choice(ahead if rng.random() < 0.9 else keys),
        "ifCallback": rng.choice((*CONDITIONS, *(f"stack.{one}.success" for one in keys[: index + 1]))),
    }


def _orders(rng: random.Random, key: str) -> str:
    orders = ['"attributes": {"n": attributes.n + 1.0}']
    if key.startswith("main") and rng.random() < 0.3:
        orders.append('"createEvents": [{"task": "extra"}]')
    if rng.random() < 0.1:
        orders.append('"cancelTasks": ["extra"]')
    if rng.random() < 0.03:
        orders.append('"pauseInstance": "enough"')
    if rng.random() < 0.01:
        orders.append('"cancelInstance": "enough"')
    return "{" + ", ".join(orders) + "}"


def _method(rng: random.Random, key: str, version: int) -> dict[str, Any]:
    found: dict[str, Any] = {
        "key": key,
        "url": f"/{version}/{key}",
        "method": rng.choice(["post", "post", "post", "patch", "put", "get", "delete"]),
    }
    if found["method"] in ("post", "patch"):
        found["inDoubt"] = rng.choice(["retry", "retry", "retry", "retry", "pause", "fail"])
        if rng.random() < 0.2:
            found |= {"async": True, "answerWithin": {"unit": "hours", "amount": rng.choice([1, 6])}}
    return found


def _action(key: str) -> dict[str, Any]:
    return {
        "key": key,
        "service": "anybody",
        "method": key,
        "headers": {"X-Correlation-Id": "{{event.correlationId}}"},
    }


def _reached(drawn: Mapping[str, dict[str, Any]], first: str) -> list[str]:
    """Return the steps that can be reached. A definition may contain no others."""
    found: list[str] = []
    ahead = [first]
    while ahead:
        key = ahead.pop()
        if key not in found:
            found.append(key)
            ahead += [rule["nextStep"] for rule in drawn[key]["nextStepRules"]]
            ahead += [drawn[key]["nextStep"]] if "nextStep" in drawn[key] else []
    return found
