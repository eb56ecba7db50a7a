"""The contract of an ``AccessStore``, on every engine."""

import pytest
from msgspec.structs import replace

from shared.domain.access import Role
from shared.domain.ids import AccountId
from shared.domain.instance.flags import Flags
from shared.domain.instance.model import BlockedBy
from shared.domain.strategy.flag import Flag, FlagPause
from tests import full
from tests.engines import Stores


class TestKeys:
    """A key is found by its id alone."""

    def test_an_unknown_key_is_none(self, stores: Stores) -> None:
        assert stores.access.key("k0") is None

    def test_every_field_of_a_key_survives(self, stores: Stores) -> None:
        stores.access.put_key(full.KEY)
        assert stores.access.key("k1") == full.KEY

    @pytest.mark.parametrize("role", list(Role))
    def test_every_role_survives(self, stores: Stores, role: Role) -> None:
        stores.access.put_key(replace(full.KEY, role=role, description=""))
        assert stores.access.key("k1") == replace(full.KEY, role=role, description="")

    def test_a_key_of_the_same_id_is_replaced(self, stores: Stores) -> None:
        stores.access.put_key(full.KEY)
        stores.access.put_key(replace(full.KEY, role=Role.VIEWER))
        assert stores.access.key("k1") == replace(full.KEY, role=Role.VIEWER)


class TestRemovingAKey:
    """A removed key is refused from now on."""

    def test_a_removed_key_is_gone_with_its_list_entry(self, stores: Stores) -> None:
        stores.access.put_key(full.KEY)
        stores.access.remove_key(full.KEY, audit=full.AUDIT)
        assert stores.access.key("k1") is None
        assert stores.access.keys(full.ACCOUNT, before=None, limit=9) == []
        assert stores.audits() == [full.AUDIT]

    def test_removing_a_key_again_changes_nothing(self, stores: Stores) -> None:
        stores.access.put_key(replace(full.KEY, key_id="k2"))
        for _ in range(2):
            stores.access.remove_key(full.KEY, audit=replace(full.AUDIT, event=None))
        assert stores.access.key("k2") is not None

    def test_the_audit_entry_is_stored_with_the_key(self, stores: Stores) -> None:
        stores.access.put_key(full.KEY, audit=full.AUDIT)
        assert stores.audits() == [full.AUDIT]


class TestSessions:
    """A session is found by the hash of its token until it is closed."""

    def test_an_unknown_session_is_none(self, stores: Stores) -> None:
        assert stores.access.session(full.SESSION.token_hash) is None

    def test_every_field_of_a_session_survives(self, stores: Stores) -> None:
        stores.access.open_session(full.SESSION)
        assert stores.access.session(full.SESSION.token_hash) == full.SESSION

    def test_the_end_of_a_session_is_extended(self, stores: Stores) -> None:
        stores.access.open_session(full.SESSION)
        moved = replace(full.SESSION, idle_until=full.at(3))
        stores.access.extend_session(moved)
        assert stores.access.session(full.SESSION.token_hash) == moved

    def test_a_closed_session_is_not_extended(self, stores: Stores) -> None:
        stores.access.open_session(full.SESSION)
        for _ in range(2):
            stores.access.close_session(full.SESSION.token_hash)
        stores.access.extend_session(full.SESSION)
        assert stores.access.session(full.SESSION.token_hash) is None

    def test_sessions_and_keys_are_not_confused(self, stores: Stores) -> None:
        stores.access.open_session(full.SESSION)
        stores.access.put_key(full.KEY)
        assert stores.access.key(full.SESSION.token_hash) is None
        assert stores.access.session("k1") is None
        assert stores.access.keys(full.ACCOUNT, before=None, limit=9) == [full.KEY]


class TestTheQueue:
    """One flag pauses all due events of an account."""

    def test_the_queue_is_paused_and_resumed_for_one_account(self, stores: Stores) -> None:
        flags = stores.strategies.flags
        assert flags(full.ACCOUNT, full.STRATEGY).blocked_by is None
        stores.access.set_queue_flag(full.ACCOUNT, Flag(is_paused=True))
        assert flags(full.ACCOUNT, full.STRATEGY).blocked_by is BlockedBy.QUEUE
        assert stores.access.queue_flag(full.ACCOUNT).is_paused
        assert not stores.access.queue_flag(AccountId("other")).is_paused
        assert flags(AccountId("other"), full.STRATEGY).blocked_by is None
        stores.access.set_queue_flag(full.ACCOUNT, Flag(is_paused=False))
        assert flags(full.ACCOUNT, full.STRATEGY).blocked_by is None

    def test_the_last_pauses_of_the_queue_are_remembered(self, stores: Stores) -> None:
        flag = Flag(
            is_paused=True,
            pauses=(FlagPause(since=full.at(1), until=full.at(2)), FlagPause(since=full.at(3))),
        )
        stores.access.set_queue_flag(full.ACCOUNT, flag)
        assert stores.access.queue_flag(full.ACCOUNT) == flag
        assert stores.strategies.flags(full.ACCOUNT, full.STRATEGY) == Flags(queue=flag)

    def test_pausing_and_resuming_repeat_safely(self, stores: Stores) -> None:
        for paused in (False, True, True, False, False):
            stores.access.set_queue_flag(full.ACCOUNT, Flag(is_paused=paused))
        assert stores.strategies.flags(full.ACCOUNT, full.STRATEGY).blocked_by is None
