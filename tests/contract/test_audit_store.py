"""The contract of an ``AuditStore``, on every engine."""

from datetime import date, datetime, timedelta

from msgspec.structs import replace

from shared.application.audit import from_the_end
from shared.application.ports import AuditPosition, all_readable
from shared.domain.ids import AccountId, OperationSid
from shared.domain.instance.verdict import AuditEntry
from shared.domain.strategy.flag import Flag
from tests import full
from tests.contract.instances import an_instance, changed
from tests.engines import Stores
from tests.full import at

DAY = date(2026, 1, 9)
LONG_AGO = at(1)


def entry_of(number: int, *, when: datetime | None = None) -> AuditEntry:
    moment = when or at(9) + timedelta(seconds=number)
    return replace(full.AUDIT, target=f"i-{number}", at=moment, event=None)


def kept(stores: Stores, entries: list[AuditEntry]) -> None:
    """Store the entries with their instances, in different shards."""
    for number, entry in enumerate(entries):
        instance = replace(an_instance(entry.target), shard=number)
        stores.instances.create(instance)
        stores.instances.commit(changed(instance), audit=entry)


def read(
    stores: Stores, before: AuditPosition, limit: int = 9, since: datetime = LONG_AGO
) -> list[AuditEntry]:
    found = stores.audit.of_day(full.ACCOUNT, DAY, since=since, before=before, limit=limit)
    return all_readable(entry for _, entry in found)


class TestADay:
    """The entries of a day are read from all partitions, latest first."""

    def test_entries_are_read_as_stored(self, stores: Stores) -> None:
        entries = [entry_of(number) for number in range(5)]
        kept(stores, entries)

        assert read(stores, from_the_end(at(10))) == entries[::-1]
        assert read(stores, from_the_end(at(10)), limit=2) == [entries[4], entries[3]]

    def test_a_page_continues_before_a_position(self, stores: Stores) -> None:
        entries = [entry_of(number) for number in range(5)]
        kept(stores, entries)
        first = stores.audit.of_day(full.ACCOUNT, DAY, since=LONG_AGO, before=from_the_end(at(10)), limit=2)

        assert read(stores, first[-1][0]) == [entries[2], entries[1], entries[0]]

    def test_entries_of_the_same_instant_are_distinguished(self, stores: Stores) -> None:
        entries = [entry_of(number, when=at(9)) for number in range(3)]
        kept(stores, entries)
        of_day = stores.audit.of_day

        first = of_day(full.ACCOUNT, DAY, since=LONG_AGO, before=from_the_end(at(10)), limit=2)
        rest = of_day(full.ACCOUNT, DAY, since=LONG_AGO, before=first[-1][0], limit=2)

        assert {entry.target for entry in all_readable(entry for _, entry in first + rest)} == {
            "i-0",
            "i-1",
            "i-2",
        }

    def test_other_days_and_accounts_are_left_out(self, stores: Stores) -> None:
        kept(stores, [entry_of(1), entry_of(2), entry_of(3, when=at(8))])
        everything = from_the_end(at(10))

        assert [entry.target for entry in read(stores, everything, since=entry_of(2).at)] == ["i-2"]
        assert stores.audit.of_day(AccountId("other"), DAY, since=LONG_AGO, before=everything, limit=9) == []

    def test_entries_about_the_queue_are_included(self, stores: Stores) -> None:
        paused = replace(full.AUDIT, target="queue", command="pause-queue", event=None)
        stores.access.set_queue_flag(full.ACCOUNT, Flag(is_paused=True), audit=paused)

        assert read(stores, from_the_end(at(10))) == [paused]


class TestATarget:
    """The entries with a target, and those that an operation sent, are read from indexes, latest first."""

    @staticmethod
    def stored(stores: Stores) -> list[AuditEntry]:
        """Store entries about two instances, a month apart; an operation sent the last one."""
        instance, other = an_instance("i-1"), an_instance("i-2")
        stores.instances.create(instance)
        stores.instances.create(other)
        entries = [replace(entry_of(1), at=at(day)) for day in (1, 9, 28)]
        entries[-1] = replace(entries[-1], operation=OperationSid("op-1"))
        for number, entry in enumerate(entries):
            instance = changed(instance, fence=number)
            stores.instances.commit(instance, audit=entry)
        stores.instances.commit(changed(other), audit=replace(entry_of(2), at=at(9)))
        return entries

    def test_entries_with_a_target_are_read_as_stored(self, stores: Stores) -> None:
        entries = self.stored(stores)
        end = from_the_end(at(30))

        found = stores.audit.of_target(full.ACCOUNT, "i-1", since=LONG_AGO, before=end, limit=9)
        assert all_readable(entry for _, entry in found) == entries[::-1]
        assert stores.audit.of_target(full.ACCOUNT, "i-1", since=LONG_AGO, before=end, limit=2) == found[:2]
        assert (
            stores.audit.of_target(full.ACCOUNT, "i-1", since=LONG_AGO, before=found[0][0], limit=9)
            == found[1:]
        )
        assert stores.audit.of_target(full.ACCOUNT, "i-1", since=at(2), before=found[0][0], limit=9) == [
            found[1]
        ]

    def test_positions_are_those_of_the_day(self, stores: Stores) -> None:
        self.stored(stores)
        end = from_the_end(at(30))

        of_target = stores.audit.of_target(full.ACCOUNT, "i-2", since=LONG_AGO, before=end, limit=9)
        of_day = stores.audit.of_day(full.ACCOUNT, DAY, since=LONG_AGO, before=end, limit=9)
        assert of_target[0] in of_day

    def test_other_targets_and_accounts_have_none(self, stores: Stores) -> None:
        self.stored(stores)
        end = from_the_end(at(30))

        assert stores.audit.of_target(full.ACCOUNT, "i-3", since=LONG_AGO, before=end, limit=9) == []
        assert stores.audit.of_target(AccountId("other"), "i-1", since=LONG_AGO, before=end, limit=9) == []
        assert stores.audit.of_target(full.ACCOUNT, "op-1", since=LONG_AGO, before=end, limit=9) == []

    def test_the_commands_of_an_operation_are_found_by_its_sid(self, stores: Stores) -> None:
        entries = self.stored(stores)
        end, sid = from_the_end(at(30)), OperationSid("op-1")

        found = stores.audit.of_operation(full.ACCOUNT, sid, since=LONG_AGO, before=end, limit=9)
        assert all_readable(entry for _, entry in found) == entries[2:]
        assert stores.audit.of_operation(AccountId("other"), sid, since=LONG_AGO, before=end, limit=9) == []
