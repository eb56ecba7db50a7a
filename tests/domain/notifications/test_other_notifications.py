"""The notifications about strategies and bulk operations. Source: docs/events.md."""

import pytest
from msgspec.structs import replace

from shared.domain.bulk.operation import BulkStatus
from shared.domain.notifications.decide import notifications_of
from shared.domain.notifications.model import (
    AboutOperation,
    AboutStrategy,
    HeadWrite,
    NotificationReason,
    OperationWrite,
    VersionWrite,
)
from tests.full import ACCOUNT, BULK, HEAD, STRATEGY, VERSION, at

ACTIVE = replace(HEAD, is_paused=False, deleted_at=None)
PAUSED = replace(HEAD, deleted_at=None)


class TestStrategies:
    """A version is published once; the flag of a head is announced when it changes."""

    def test_a_version_is_published_by_its_author(self) -> None:
        write = VersionWrite(account_id=ACCOUNT, name="gym", version=VERSION)

        (notification,) = notifications_of(write)

        assert notification.id == f"{STRATEGY}-3-strategy.published"
        assert notification.about == AboutStrategy(sid=STRATEGY, name="gym", version=3)
        assert (notification.at, notification.reason) == (at(2), NotificationReason(by="key-9"))

    def test_a_version_without_an_author_has_no_reason(self) -> None:
        write = VersionWrite(account_id=ACCOUNT, name="gym", version=replace(VERSION, created_by=None))

        assert notifications_of(write)[0].reason is None

    def test_a_pause_and_a_resume_are_announced(self) -> None:
        (paused,) = notifications_of(HeadWrite(before=ACTIVE, after=PAUSED))
        (resumed,) = notifications_of(HeadWrite(before=PAUSED, after=replace(ACTIVE, updated_at=at(3))))

        assert paused.id == f"{STRATEGY}-2026-01-02T10:30:15.000Z-strategy.paused"
        assert resumed.id == f"{STRATEGY}-2026-01-03T10:30:15.000Z-strategy.resumed"

    def test_a_new_head_announces_nothing_unless_it_is_paused(self) -> None:
        assert notifications_of(HeadWrite(before=None, after=ACTIVE)) == ()
        assert [n.kind for n in notifications_of(HeadWrite(before=None, after=PAUSED))] == ["strategy.paused"]

    def test_labels_and_deletion_announce_nothing(self) -> None:
        assert notifications_of(HeadWrite(before=PAUSED, after=replace(PAUSED, labels={}))) == ()
        assert notifications_of(HeadWrite(before=PAUSED, after=HEAD)) == ()


class TestOperations:
    """The end of an operation is announced once."""

    @pytest.mark.parametrize("status", [BulkStatus.COMPLETED, BulkStatus.CANCELED])
    def test_an_operation_that_ends_is_announced_with_its_counts(self, status: BulkStatus) -> None:
        (notification,) = notifications_of(OperationWrite(before=BULK, after=replace(BULK, status=status)))

        assert notification.id == f"{BULK.sid}-operation.finished"
        assert notification.at == at(5)
        assert notification.about == AboutOperation(
            sid=BULK.sid, command="cancel-tasks", status=status, counts=BULK.counts
        )
        assert notification.reason == NotificationReason(message="€ asked to", by="key-1")

    def test_an_operation_that_ends_in_its_first_write_is_announced(self) -> None:
        ended = replace(BULK, status=BulkStatus.COMPLETED, finished_at=None)

        (notification,) = notifications_of(OperationWrite(before=None, after=ended))

        assert notification.at == at(2)

    @pytest.mark.parametrize("status", [BulkStatus.ACTIVE, BulkStatus.PAUSED])
    def test_an_operation_that_goes_on_is_not_announced(self, status: BulkStatus) -> None:
        assert notifications_of(OperationWrite(before=BULK, after=replace(BULK, status=status))) == ()

    def test_results_counted_after_a_cancelation_announce_nothing(self) -> None:
        canceled = replace(BULK, status=BulkStatus.CANCELED)

        assert notifications_of(OperationWrite(before=canceled, after=replace(canceled, rev=18))) == ()
