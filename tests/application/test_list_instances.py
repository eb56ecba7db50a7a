"""Pages of instances that are filtered by status. Source: docs/contracts/core.md section 4, row 23."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from msgspec.structs import replace

from dev.memory.stores import MemoryInstances
from shared.application.list_instances import ByAccount, ByStrategy, page_of
from shared.application.ports import Unreadable
from shared.domain.ids import InstanceSid, StrategySid
from shared.domain.instance.model import Instance, InstanceStatus
from tests.application.bulk.bulk_worlds import ACCOUNT, NOON
from tests.application.bulk.release_worlds import a_world
from tests.contract.instances import an_instance

ACTIVE, PAUSED = InstanceStatus.ACTIVE, InstanceStatus.PAUSED


class Emptied(MemoryInstances):
    """A store whose index lists instances that no longer exist."""

    def load_many(self, sids: Sequence[InstanceSid]) -> list[Instance | Unreadable[InstanceSid]]:
        assert sids
        return []


def found(statuses: list[InstanceStatus], limit: int) -> list[list[str]]:
    """Return the paused instances of an account page by page, given the statuses of all its instances."""
    ports = a_world()
    for age, status in enumerate(statuses):
        instance = replace(
            an_instance(f"i-{age}"),
            account_id=ACCOUNT,
            created_at=NOON - timedelta(seconds=age),
            status=status,
        )
        ports.instances.create(instance)
    pages: list[list[str]] = []
    after: str | None = None
    while True:
        page = page_of(ports, ACCOUNT, ByAccount(status=PAUSED), after=after, limit=limit)
        pages.append([instance.sid for instance in page.instances])
        after = page.after
        if after is None:
            return pages


class TestPagesOfAStatus:
    """No instance is listed twice or left out, wherever the pages of the index end."""

    @pytest.mark.parametrize(
        ("statuses", "pages"),
        [
            ([], [[]]),
            ([ACTIVE], [[]]),
            ([PAUSED, PAUSED], [["i-0", "i-1"]]),
            ([PAUSED, PAUSED, PAUSED], [["i-0", "i-1"], ["i-2"]]),
            ([PAUSED, ACTIVE, PAUSED, PAUSED], [["i-0", "i-2"], ["i-3"]]),
            ([ACTIVE, PAUSED, ACTIVE, PAUSED, ACTIVE], [["i-1", "i-3"], []]),
            ([ACTIVE, ACTIVE, ACTIVE, ACTIVE, PAUSED], [["i-4"]]),
        ],
    )
    def test_matching_instances_are_returned_in_order(
        self, statuses: list[InstanceStatus], pages: list[list[str]]
    ) -> None:
        assert found(statuses, limit=2) == pages

    def test_an_instance_that_no_longer_exists_is_left_out(self) -> None:
        ports = a_world(Emptied())
        ports.instances.create(replace(an_instance("i-1"), account_id=ACCOUNT))

        page = page_of(ports, ACCOUNT, ByAccount(), after=None, limit=9)

        assert page.instances == ()

    def test_a_strategy_without_instances_has_an_empty_page(self) -> None:
        page = page_of(a_world(), ACCOUNT, ByStrategy(strategy=StrategySid("none")), after=None, limit=9)

        assert (page.instances, page.after) == ((), None)
