"""What an ``OperationStore`` promises, on every engine."""

from dataclasses import replace

import pytest

from shared.application.ports import StaleRevError
from shared.domain.ids import OperationSid
from shared.domain.operation import Drain
from tests import full
from tests.engines import Stores
from tests.full import at

DRAIN = full.DRAIN


def begun(stores: Stores, *drains: Drain) -> None:
    """Drains begin with the flag that is cleared."""
    stores.access.set_queue_paused(full.ACCOUNT, paused=False, audit=full.AUDIT, drains=drains)


class TestADrain:
    """It begins with its flag, and is found as it was stored last."""

    def test_one_that_never_began_is_none(self, stores: Stores) -> None:
        assert stores.operations.load(DRAIN.sid) is None

    def test_every_field_survives(self, stores: Stores) -> None:
        begun(stores, DRAIN)
        assert stores.operations.load(DRAIN.sid) == DRAIN

    def test_it_survives_with_nothing_but_what_it_must_have(self, stores: Stores) -> None:
        bare = replace(DRAIN, freed=0, empty_since=None, attention_at=DRAIN.started_at)
        begun(stores, bare)
        assert stores.operations.load(DRAIN.sid) == bare

    def test_begun_again_it_is_the_new_one(self, stores: Stores) -> None:
        begun(stores, DRAIN)
        begun(stores, replace(DRAIN, rev=99, freed=0))
        assert stores.operations.load(DRAIN.sid) == replace(DRAIN, rev=99, freed=0)

    def test_its_audit_entry_is_stored_with_it(self, stores: Stores) -> None:
        begun(stores, DRAIN)
        assert stores.audits() == [full.AUDIT]


class TestChanges:
    """Only on what was last stored."""

    def test_the_next_rev_replaces_it(self, stores: Stores) -> None:
        begun(stores, DRAIN)
        after = replace(DRAIN, rev=DRAIN.rev + 1, freed=9)
        stores.operations.commit(after)
        assert stores.operations.load(DRAIN.sid) == after

    @pytest.mark.parametrize("rev", [DRAIN.rev, DRAIN.rev + 2])
    def test_any_other_is_refused(self, stores: Stores, rev: int) -> None:
        begun(stores, DRAIN)
        with pytest.raises(StaleRevError):
            stores.operations.commit(replace(DRAIN, rev=rev))
        assert stores.operations.load(DRAIN.sid) == DRAIN

    def test_what_is_not_there_is_not_changed(self, stores: Stores) -> None:
        with pytest.raises(StaleRevError):
            stores.operations.commit(DRAIN)

    def test_it_is_removed(self, stores: Stores) -> None:
        begun(stores, DRAIN)
        stores.operations.remove(DRAIN)
        assert stores.operations.load(DRAIN.sid) is None

    def test_it_is_not_removed_once_it_has_moved_on(self, stores: Stores) -> None:
        begun(stores, DRAIN)
        with pytest.raises(StaleRevError):
            stores.operations.remove(replace(DRAIN, rev=1))
        assert stores.operations.load(DRAIN.sid) == DRAIN


class TestWhatIsDue:
    """The longest due first, and nothing that is ahead."""

    def test_it_is_found_by_its_attention(self, stores: Stores) -> None:
        drains = [
            replace(DRAIN, sid=OperationSid(f"drain-{day}"), attention_at=at(day)) for day in (3, 1, 2, 4)
        ]
        begun(stores, *drains)

        assert stores.operations.due(until=at(3), limit=9) == ["drain-1", "drain-2", "drain-3"]
        assert stores.operations.due(until=at(3), limit=2) == ["drain-1", "drain-2"]
