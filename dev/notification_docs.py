"""Writes the schemas of the notifications into docs/events/, and the section about each kind into docs/events.md.

``python -m dev.notification_docs`` rewrites them. A test fails if they are not up to date.
"""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from dev.workers import ROOT
from shared.domain.bulk.operation import BulkStatus, Counts
from shared.domain.ids import AccountId, EventSid, InstanceSid, OperationSid, StrategySid
from shared.domain.instance.event import EventKind
from shared.domain.instance.model import InstanceStatus
from shared.domain.notifications.message import VERSION, message_of
from shared.domain.notifications.model import (
    AboutEvent,
    AboutInstance,
    AboutOperation,
    AboutStrategy,
    Notification,
    NotificationId,
    NotificationKind,
    NotificationReason,
)

PAGE = ROOT / "docs" / "events.md"
FOLDER = ROOT / "docs" / "events"
HEADING = "## Every kind\n"

INSTANCE = InstanceSid("019c10ee-7d00-7b6e-8f3a-52c7d2f7a001")
STRATEGY = StrategySid("019c10ee-6c00-7d11-9a40-1d2b3c4d5e6f")
OPERATION = OperationSid("019c10ee-8e00-7aa1-b1c2-a1b2c3d4e5f6")
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)

_Kind = NotificationKind
_ABOUT = {
    _Kind.EVENT_PROCESSED: "An event is `PROCESSED`: its task ended.",
    _Kind.EVENT_FAILED: "An event is `FAILED`: its attempts are used up, or its runners crashed too often.\n"
    "The reason is missing if the event was redriven before it could be read.",
    _Kind.EVENT_RETRY_SCHEDULED: "An attempt failed, and another one follows at `event.retryAt`.\n"
    "`event.attempt` and `event.run` are those of the coming attempt.",
    _Kind.EVENT_IN_DOUBT: "A call got no definite answer and may have taken effect.\n"
    "If the method says `inDoubt: pause`, `instance.paused` follows with the same instance, and `resolve` decides.",
    _Kind.EVENT_AWAITING_ANSWER: "An asynchronous call was sent. The event waits until `event.answerBy`, or without\n"
    "limit if there is none. The correlation id is not part of the message, because it permits to answer.",
    _Kind.EVENT_ANSWER_OVERDUE: "The answer has not come in time. With `answerBy`, the event continues without it.\n"
    "Without, its method sets no `answerWithin`: seven days have passed, and the event waits on.\n"
    "While the instance is paused the event waits, and this is announced after the resume.",
    _Kind.INSTANCE_CREATED: "An instance was created.",
    _Kind.INSTANCE_PAUSED: "An instance is `PAUSED`, by an operator, a controller or the engine (`reason.by`).\n"
    "With `until`, it resumes by itself at that date. Another date that is set later is not announced.",
    _Kind.INSTANCE_RESUMED: "An instance is `ACTIVE` again.",
    _Kind.INSTANCE_CANCELED: "An instance is `CANCELED`.",
    _Kind.INSTANCE_COMPLETED: "An instance is `COMPLETED`: its plan has ended.",
    _Kind.INSTANCE_MIGRATED: "An instance continues under `strategyVersion`, and no longer `migratedFromVersion`.",
    _Kind.STRATEGY_PUBLISHED: "A strategy was created, or has a new version.",
    _Kind.STRATEGY_PAUSED: "A strategy is paused: its due events wait.",
    _Kind.STRATEGY_RESUMED: "A strategy is no longer paused.",
    _Kind.OPERATION_FINISHED: "A bulk operation is `COMPLETED` or `CANCELED`.",
}
_REASONS = {
    _Kind.EVENT_FAILED: NotificationReason(
        code="RUN", message="billing/charge returned HTTP 402 (card_declined)"
    ),
    _Kind.EVENT_RETRY_SCHEDULED: NotificationReason(
        message="billing/charge returned HTTP 402 (card_declined)"
    ),
    _Kind.EVENT_IN_DOUBT: NotificationReason(message="billing/charge did not answer within 30 s"),
    _Kind.INSTANCE_CREATED: NotificationReason(by="9mHbWv0Gf2sVtVqk7kzq5w"),
    _Kind.INSTANCE_PAUSED: NotificationReason(message="holiday", by="9mHbWv0Gf2sVtVqk7kzq5w"),
    _Kind.INSTANCE_CANCELED: NotificationReason(
        code="MAX_ATTEMPTS", message="charge: billing/charge returned HTTP 402 (card_declined)", by="engine"
    ),
    _Kind.INSTANCE_COMPLETED: NotificationReason(by="engine"),
    _Kind.STRATEGY_PUBLISHED: NotificationReason(by="9mHbWv0Gf2sVtVqk7kzq5w"),
    _Kind.OPERATION_FINISHED: NotificationReason(message="price change", by="9mHbWv0Gf2sVtVqk7kzq5w"),
}
_STATUSES = {
    _Kind.INSTANCE_PAUSED: InstanceStatus.PAUSED,
    _Kind.INSTANCE_CANCELED: InstanceStatus.CANCELED,
    _Kind.INSTANCE_COMPLETED: InstanceStatus.COMPLETED,
    _Kind.EVENT_FAILED: InstanceStatus.CANCELED,
}


def main() -> None:
    """Rewrite the schemas and the page."""
    FOLDER.mkdir(exist_ok=True)
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")
    PAGE.write_text(with_kinds(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def files() -> dict[Path, str]:
    """Return the files of the schemas with their content."""
    return {
        FOLDER / f"{kind.value}.v{VERSION}.json": json.dumps(schema_of(kind), indent=2) + "\n"
        for kind in NotificationKind
    }


def with_kinds(page: str) -> str:
    """Return the page with the current section about the kinds."""
    before, _, _ = page.partition(HEADING)
    return before + HEADING + "".join(_section(kind) for kind in NotificationKind)


def example_of(kind: NotificationKind) -> dict[str, Any]:
    """Return the message of an example of a kind."""
    revision = {"event": f"{INSTANCE}-1-17", "instance": f"{INSTANCE}-17"}
    owner = kind.value.partition(".")[0]
    mark = revision.get(owner, f"{STRATEGY}-3" if owner == "strategy" else OPERATION)
    return message_of(
        Notification(
            id=NotificationId(f"{mark}-{kind.value}"),
            kind=kind,
            at=NOON,
            account_id=AccountId("acme"),
            about=_example_subject(kind, owner),
            reason=_REASONS.get(kind),
        )
    )


def schema_of(kind: NotificationKind) -> dict[str, Any]:
    """Return the JSON Schema of the messages of a kind. Further members may be added within a version."""
    owner = kind.value.partition(".")[0]
    own, links = _members(kind, owner)
    members = {
        "version": {"const": VERSION},
        "id": _text("Stable: a message that is delivered again has the same id."),
        "kind": {"const": kind.value},
        "at": _instant("When the change was made."),
        "accountId": _text("The account."),
        **own,
        "reason": _object(
            {
                "code": _text("Stable name of the cause."),
                "message": _text("The cause, for people."),
                "by": _text("The id of an access key, `engine` or `controller`."),
            },
            required=(),
        ),
        "links": _object({name: _text("Path of the core API.") for name in links}),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": kind.value,
        "description": _ABOUT[kind].replace("\n", " "),
        **_object(members, required=tuple(name for name in members if name not in ("reason", "until"))),
    }


def _example_subject(kind: NotificationKind, owner: str) -> AboutInstance | AboutStrategy | AboutOperation:
    if owner == "strategy":
        return AboutStrategy(sid=STRATEGY, name="gym-membership", version=3)
    if owner == "operation":
        counts = Counts(changed=1180, already_there=20, refused=3)
        return AboutOperation(sid=OPERATION, command="migrate", status=BulkStatus.COMPLETED, counts=counts)
    retries, waits = kind is _Kind.EVENT_RETRY_SCHEDULED, "answer" in kind.value
    event = AboutEvent(
        sid=EventSid(f"{INSTANCE}-1"),
        task="charge",
        kind=EventKind.MAIN,
        cycle=1,
        attempt=2 if retries else 1,
        run=2 if retries else 1,
        in_doubt=kind is _Kind.EVENT_IN_DOUBT,
        retry_at=NOON + timedelta(days=1) if retries else None,
        answer_by=NOON + timedelta(hours=6) if waits else None,
    )
    return AboutInstance(
        sid=INSTANCE,
        status=_STATUSES.get(kind, InstanceStatus.ACTIVE),
        strategy_sid=STRATEGY,
        strategy_version=3,
        migrated_from=2 if kind is _Kind.INSTANCE_MIGRATED else None,
        paused_until=NOON + timedelta(days=30) if kind is _Kind.INSTANCE_PAUSED else None,
        event=event if owner == "event" else None,
    )


def _members(kind: NotificationKind, owner: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the members that only some kinds have, and the names of their links."""
    if owner == "operation":
        counts = ("changed", "alreadyThere", "refused", "unknown", "failed")
        return {
            "operationSid": _text("The operation."),
            "command": _text("The command that it sent."),
            "operationStatus": {"enum": ["COMPLETED", "CANCELED"]},
            "counts": _object({name: _whole("Instances with this outcome.", 0) for name in counts}),
        }, ("operation",)
    strategy: dict[str, Any] = {
        "strategySid": _text("The strategy."),
        "strategyVersion": _whole("Its version.", 1),
    }
    if owner == "strategy":
        return strategy | {"strategyName": _text("Its name.")}, ("strategy",)
    members = strategy | {
        "instanceSid": _text("The instance."),
        "instanceStatus": {"enum": [status.value for status in InstanceStatus]},
    }
    if kind is _Kind.INSTANCE_MIGRATED:
        members["migratedFromVersion"] = _whole("The version before.", 1)
    if kind is _Kind.INSTANCE_PAUSED:
        members["until"] = _instant("When it resumes by itself; missing if only a resume ends the pause.")
    if owner == "instance":
        return members, ("instance", "strategy")
    return members | {"event": _event(kind)}, ("instance", "strategy", "event")


def _event(kind: NotificationKind) -> dict[str, Any]:
    members = {
        "sid": _text("The event."),
        "task": _text("The key of its task."),
        "kind": {"enum": [kind.value for kind in EventKind]},
        "cycle": _whole("The cycle in which it was created.", 0),
        "attempt": _whole("The attempt, back to 1 on a reset.", 1),
        "run": _whole("The run, never reset.", 1),
        "inDoubt": {"type": "boolean", "description": "Whether one of its calls was ever in doubt."},
    }
    required = (*members, "retryAt") if kind is _Kind.EVENT_RETRY_SCHEDULED else tuple(members)
    if kind is _Kind.EVENT_RETRY_SCHEDULED:
        members["retryAt"] = _instant("When the next attempt is due.")
    if kind in (_Kind.EVENT_AWAITING_ANSWER, _Kind.EVENT_ANSWER_OVERDUE):
        members["answerBy"] = _instant("Until when an answer counts; missing if there is no limit.")
    return _object(members, required=required)


def _section(kind: NotificationKind) -> str:
    example = json.dumps(example_of(kind), indent=2)
    schema = f"events/{kind.value}.v{VERSION}.json"
    return f"\n### {kind.value}\n\n{_ABOUT[kind]}\nSchema: [{schema}]({schema}).\n\n```json\n{example}\n```\n"


def _object(members: dict[str, Any], *, required: tuple[str, ...] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": members,
        "required": list(members if required is None else required),
    }


def _text(does: str) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "description": does}


def _whole(does: str, least: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": least, "description": does}


def _instant(does: str) -> dict[str, Any]:
    return {"type": "string", "format": "date-time", "description": does}


if __name__ == "__main__":
    main()
