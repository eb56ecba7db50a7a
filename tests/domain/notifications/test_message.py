"""The JSON form of notifications, held against their published schemas. Source: docs/events.md."""

import json
from typing import Any

import jsonschema_rs
import pytest
from msgspec.structs import replace

from dev.notification_docs import FOLDER, PAGE, example_of, files, with_kinds
from shared.domain.bulk.operation import BulkStatus
from shared.domain.instance.event import EventPause, EventStatus, PausedFor
from shared.domain.instance.model import Instance, InstanceStatus
from shared.domain.notifications.decide import notifications_of
from shared.domain.notifications.message import message_of
from shared.domain.notifications.model import (
    HeadWrite,
    InstanceWrite,
    NotificationKind,
    OperationWrite,
    StoredWrite,
    VersionWrite,
)
from tests.full import ACCOUNT, BULK, EVENT, HEAD, INSTANCE, RECORD, VERSION, at

OPEN = replace(EVENT, in_doubt=False, pause=None, status=EventStatus.EXECUTING)
ACTIVE = replace(INSTANCE, status=InstanceStatus.ACTIVE, stop=None, events=(OPEN,))
ANSWER = EventPause(waits_for=PausedFor.ANSWER, answer_by=at(7))
AWAITING = replace(OPEN, status=EventStatus.PAUSED, pause=ANSWER, wakeup_seq=9)


def write(before: Instance | None = ACTIVE, **members: Any) -> InstanceWrite:
    return InstanceWrite(before=before, after=replace(ACTIVE, rev=22, **members))


WRITES: dict[NotificationKind, StoredWrite] = {
    NotificationKind.EVENT_PROCESSED: write(events=()),
    NotificationKind.EVENT_FAILED: write(events=()),
    NotificationKind.EVENT_RETRY_SCHEDULED: write(
        events=(replace(OPEN, run=4, attempt=3, status=EventStatus.PENDING),)
    ),
    NotificationKind.EVENT_IN_DOUBT: write(events=(replace(OPEN, in_doubt=True),)),
    NotificationKind.EVENT_AWAITING_ANSWER: write(events=(AWAITING,)),
    NotificationKind.EVENT_ANSWER_OVERDUE: write(replace(ACTIVE, events=(AWAITING,))),
    NotificationKind.INSTANCE_CREATED: write(None),
    NotificationKind.INSTANCE_PAUSED: write(status=InstanceStatus.PAUSED, stop=INSTANCE.stop),
    NotificationKind.INSTANCE_RESUMED: write(replace(ACTIVE, status=InstanceStatus.PAUSED)),
    NotificationKind.INSTANCE_CANCELED: write(status=InstanceStatus.CANCELED, stop=INSTANCE.stop),
    NotificationKind.INSTANCE_COMPLETED: write(status=InstanceStatus.COMPLETED, stop=INSTANCE.stop),
    NotificationKind.INSTANCE_MIGRATED: write(strategy_version=3),
    NotificationKind.STRATEGY_PUBLISHED: VersionWrite(account_id=ACCOUNT, name="gym", version=VERSION),
    NotificationKind.STRATEGY_PAUSED: HeadWrite(before=replace(HEAD, is_paused=False), after=HEAD),
    NotificationKind.STRATEGY_RESUMED: HeadWrite(before=HEAD, after=replace(HEAD, is_paused=False)),
    NotificationKind.OPERATION_FINISHED: OperationWrite(
        before=BULK, after=replace(BULK, status=BulkStatus.COMPLETED)
    ),
}
"""A write of every kind, of items in which every field is set."""


def message(kind: NotificationKind) -> dict[str, Any]:
    """Return the only message of the kind's write."""
    status = EventStatus.FAILED if kind is NotificationKind.EVENT_FAILED else EventStatus.PROCESSED
    record = replace(RECORD, event=replace(OPEN, status=status), in_doubt=False)
    (notification,) = notifications_of(WRITES[kind], {7: record})
    assert notification.kind is kind
    return message_of(notification)


def problems(kind: NotificationKind, value: object) -> list[str]:
    schema = (FOLDER / f"{kind.value}.v1.json").read_text()
    validator = jsonschema_rs.Draft202012Validator(json.loads(schema), validate_formats=True)
    return [error.message for error in validator.iter_errors(value)]


@pytest.mark.parametrize("kind", NotificationKind)
class TestEveryKind:
    """A kind has a schema, an example, and messages that keep to both."""

    def test_the_message_matches_its_schema(self, kind: NotificationKind) -> None:
        assert problems(kind, message(kind)) == []

    def test_the_example_matches_its_schema_and_has_the_same_members(self, kind: NotificationKind) -> None:
        assert problems(kind, example_of(kind)) == []
        assert {*example_of(kind)} - {"reason"} == {*message(kind)} - {"reason"}

    def test_a_message_without_one_of_its_members_does_not_match(self, kind: NotificationKind) -> None:
        whole = message(kind)
        for name in whole.keys() - {"reason", "until"}:
            assert problems(kind, {key: value for key, value in whole.items() if key != name}), name

    def test_nothing_secret_or_private_is_in_a_message(self, kind: NotificationKind) -> None:
        text = json.dumps(message(kind), ensure_ascii=False)

        # Attributes, outputs, event data, responses, correlation ids, hashes, labels, descriptions.
        for private in ("m-1", "39.0", "P0", "by hand", "busy", "t0ken", "5ec2e7", "b0d4", "enabled", "€5"):
            assert private not in text
        assert len(text) < 2000


class TestForm:
    """Members are spelled as in the core API, and absent ones are left out."""

    def test_a_failed_event(self) -> None:
        assert message(NotificationKind.EVENT_FAILED) == {
            "version": 1,
            "id": f"{INSTANCE.sid}-7-22-event.failed",
            "kind": "event.failed",
            "at": "2026-01-10T10:30:15.000Z",
            "accountId": "acme",
            "strategySid": INSTANCE.strategy_sid,
            "strategyVersion": 5,
            "instanceSid": INSTANCE.sid,
            "instanceStatus": "ACTIVE",
            "event": {
                "sid": f"{INSTANCE.sid}-7",
                "task": "win-back",
                "kind": "ON_CANCEL",
                "cycle": 4,
                "attempt": 2,
                "run": 3,
                "inDoubt": False,
            },
            "reason": {"code": "http-402", "message": "killed", "by": "key-1"},
            "links": {
                "instance": f"/execution-instance/{INSTANCE.sid}",
                "strategy": f"/execution-strategy/{INSTANCE.strategy_sid}",
                "event": f"/execution-event/{INSTANCE.sid}-7",
            },
        }

    def test_an_operation(self) -> None:
        found = message(NotificationKind.OPERATION_FINISHED)

        assert found["counts"] == {"changed": 4, "alreadyThere": 5, "refused": 6, "unknown": 7, "failed": 8}
        assert found["links"] == {"operation": f"/bulk-operation/{BULK.sid}"}

    def test_a_version_without_an_author_has_no_reason(self) -> None:
        version = replace(VERSION, created_by=None)
        (published,) = notifications_of(VersionWrite(account_id=ACCOUNT, name="gym", version=version))

        assert "reason" not in message_of(published)


class TestDocuments:
    """Schemas and examples are written from the code."""

    def test_schemas_and_page_are_up_to_date(self) -> None:
        assert {path: path.read_text() for path in FOLDER.glob("*.json")} == files(), "run `make examples`"
        page = PAGE.read_text()
        assert page == with_kinds(page), "run `make examples`"
