"""Postponing an entry of the due index if DynamoDB refuses the update."""

from datetime import UTC, datetime
from typing import Any

import pytest

from shared.adapters.aws.errors import AwsError
from shared.adapters.dynamodb.due_index import postpone_entry
from shared.domain.ids import InstanceSid
from shared.domain.instance.due_entries import DueEntry

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
ENTRY = DueEntry(sid=InstanceSid("i-1"), partition="3", at=NOON)


class Refusing:
    """A client whose updates are refused with a code."""

    def __init__(self, code: str) -> None:
        self.code = code

    def update_item(self, **_: Any) -> Any:
        raise AwsError(service="dynamodb", operation="UpdateItem", code=self.code, status=400, body={})


class TestRefusedUpdates:
    """A failed condition is an answer; every other error is raised."""

    def test_a_failed_condition_means_that_the_entry_has_moved(self) -> None:
        client: Any = Refusing("ConditionalCheckFailedException")

        assert not postpone_entry(client, "instances", ENTRY, now=NOON)

    @pytest.mark.parametrize("code", ["AccessDeniedException", "ValidationException", "InternalServerError"])
    def test_another_error_is_raised(self, code: str) -> None:
        client: Any = Refusing(code)

        with pytest.raises(AwsError, match=code):
            postpone_entry(client, "instances", ENTRY, now=NOON)
