"""The JSON form of a notification, version 1. Source: docs/events.md."""

from typing import Final, assert_never

from shared.domain.calendar.dates import format_instant
from shared.domain.notifications.model import (
    AboutEvent,
    AboutInstance,
    AboutOperation,
    AboutStrategy,
    Notification,
    NotificationReason,
)
from shared.domain.strategy.model import Json

VERSION: Final = 1
"""The version of the form. Members are only added within a version, never changed or removed."""


def message_of(notification: Notification) -> dict[str, Json]:
    """Return a notification as JSON.

    It names ids and statuses. Attributes, settings, requests, responses and correlation ids are never part of it.
    """
    references, links = _about(notification.about)
    message: dict[str, Json] = {
        "version": VERSION,
        "id": notification.id,
        "kind": notification.kind.value,
        "at": format_instant(notification.at),
        "accountId": notification.account_id,
        **references,
    }
    if notification.reason is not None:
        message["reason"] = _reason(notification.reason)
    # Paths, because a deployment may be reached under several names.
    message["links"] = links
    return message


def _about(about: AboutInstance | AboutStrategy | AboutOperation) -> tuple[dict[str, Json], dict[str, Json]]:
    """Return the references and the links of the subject of a notification."""
    match about:
        case AboutInstance():
            instance: dict[str, Json] = {
                "strategySid": about.strategy_sid,
                "strategyVersion": about.strategy_version,
                "instanceSid": about.sid,
                "instanceStatus": about.status.value,
            }
            if about.migrated_from is not None:
                instance["migratedFromVersion"] = about.migrated_from
            if about.paused_until is not None:
                instance["until"] = format_instant(about.paused_until)
            links: dict[str, Json] = {
                "instance": f"/execution-instance/{about.sid}",
                "strategy": f"/execution-strategy/{about.strategy_sid}",
            }
            if about.event is None:
                return instance, links
            return instance | {"event": _event(about.event)}, links | {
                "event": f"/execution-event/{about.event.sid}"
            }
        case AboutStrategy():
            strategy: dict[str, Json] = {
                "strategySid": about.sid,
                "strategyVersion": about.version,
                "strategyName": about.name,
            }
            return strategy, {"strategy": f"/execution-strategy/{about.sid}"}
        case AboutOperation():
            return _operation(about), {"operation": f"/bulk-operation/{about.sid}"}
        case _:
            assert_never(about)


def _event(event: AboutEvent) -> dict[str, Json]:
    shape: dict[str, Json] = {
        "sid": event.sid,
        "task": event.task,
        "kind": event.kind.value,
        "cycle": event.cycle,
        "attempt": event.attempt,
        "run": event.run,
        "inDoubt": event.in_doubt,
    }
    if event.retry_at is not None:
        shape["retryAt"] = format_instant(event.retry_at)
    if event.answer_by is not None:
        shape["answerBy"] = format_instant(event.answer_by)
    return shape


def _operation(about: AboutOperation) -> dict[str, Json]:
    counts = about.counts
    return {
        "operationSid": about.sid,
        "command": about.command,
        "operationStatus": about.status.value,
        "counts": {
            "changed": counts.changed,
            "alreadyThere": counts.already_there,
            "refused": counts.refused,
            "unknown": counts.unknown,
            "failed": counts.failed,
        },
    }


def _reason(reason: NotificationReason) -> dict[str, Json]:
    given = {"code": reason.code, "message": reason.message, "by": reason.by}
    return {name: value for name, value in given.items() if value is not None}
