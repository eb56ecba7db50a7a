"""What an ``AccessStore`` promises, on every engine."""

from dataclasses import replace

import pytest

from shared.domain.access import Role
from shared.domain.ids import AccountId
from shared.domain.instance import HeldBy
from tests import full
from tests.engines import Stores


class TestKeys:
    """A key is found by its id alone."""

    def test_one_that_was_never_stored_is_none(self, stores: Stores) -> None:
        assert stores.access.key("k0") is None

    def test_every_field_survives(self, stores: Stores) -> None:
        stores.access.put_key(full.KEY)
        assert stores.access.key("k1") == full.KEY

    @pytest.mark.parametrize("role", list(Role))
    def test_every_role_survives(self, stores: Stores, role: Role) -> None:
        stores.access.put_key(replace(full.KEY, role=role, description=""))
        assert stores.access.key("k1") == replace(full.KEY, role=role, description="")

    def test_one_of_the_same_id_is_replaced(self, stores: Stores) -> None:
        stores.access.put_key(full.KEY)
        stores.access.put_key(replace(full.KEY, role=Role.VIEWER))
        assert stores.access.key("k1") == replace(full.KEY, role=Role.VIEWER)


class TestTheQueue:
    """One flag for all due events of an account."""

    def test_it_is_paused_and_resumed_for_one_account(self, stores: Stores) -> None:
        held = stores.strategies.held_by
        assert held(full.ACCOUNT, full.STRATEGY) is None
        stores.access.set_queue_paused(full.ACCOUNT, paused=True)
        assert held(full.ACCOUNT, full.STRATEGY) is HeldBy.QUEUE
        assert held(AccountId("other"), full.STRATEGY) is None
        stores.access.set_queue_paused(full.ACCOUNT, paused=False)
        assert held(full.ACCOUNT, full.STRATEGY) is None

    def test_pausing_and_resuming_repeat_safely(self, stores: Stores) -> None:
        for paused in (False, True, True, False, False):
            stores.access.set_queue_paused(full.ACCOUNT, paused=paused)
        assert stores.strategies.held_by(full.ACCOUNT, full.STRATEGY) is None
