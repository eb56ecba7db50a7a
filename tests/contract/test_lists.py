"""The contract of lists, on every engine: sorted by age, and stable while items are added."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from shared.application.ports import PageKey, all_readable
from shared.domain.ids import AccountId, InstanceSid, StrategySid
from shared.domain.instance.model import Instance, InstanceStatus
from shared.domain.strategy.flag import Flag
from shared.domain.strategy.model import StrategyHead
from tests import full
from tests.contract.instances import an_instance, changed
from tests.contract.strategies import settings
from tests.engines import Stores
from tests.full import at

EVERY = list(InstanceStatus)
OTHER = AccountId("other")


def place(of: Instance | StrategyHead) -> PageKey:
    return PageKey(created_at=of.created_at, sid=of.sid)


def instances(count: int, **changes: Any) -> list[Instance]:
    """Return ``count`` instances, each a second younger than the one before, in different shards."""
    return [
        replace(
            an_instance(f"i-{number}"),
            created_at=at(1) + timedelta(seconds=number),
            shard=number % 16,
            **changes,
        )
        for number in range(count)
    ]


class TestInstancesOfAStrategy:
    """Instances of one strategy with the given statuses are listed."""

    def test_instances_of_a_strategy_are_sorted_youngest_first(self, stores: Stores) -> None:
        made = instances(5)
        for instance in made:
            stores.instances.create(instance)

        listed = stores.instances.of_strategy(full.STRATEGY, EVERY, before=None, limit=3)

        assert listed == [place(made[4]), place(made[3]), place(made[2])]

    def test_a_page_continues_before_a_position(self, stores: Stores) -> None:
        made = instances(5)
        for instance in made:
            stores.instances.create(instance)
        listing = stores.instances.of_strategy

        assert listing(full.STRATEGY, EVERY, before=place(made[2]), limit=9) == [
            place(made[1]),
            place(made[0]),
        ]
        assert listing(full.STRATEGY, EVERY, before=place(made[0]), limit=9) == []

    def test_instances_of_the_same_age_are_sorted_by_sid(self, stores: Stores) -> None:
        for name in ("a", "c", "b"):
            stores.instances.create(an_instance(name))
        listing = stores.instances.of_strategy

        first = listing(full.STRATEGY, EVERY, before=None, limit=2)
        rest = listing(full.STRATEGY, EVERY, before=first[-1], limit=2)

        assert [one.sid for one in first + rest] == ["c", "b", "a"]

    def test_an_instance_is_found_under_its_current_status(self, stores: Stores) -> None:
        active, paused = instances(2)
        stores.instances.create(active)
        stores.instances.create(paused)
        stores.instances.commit(changed(paused, status=InstanceStatus.PAUSED))
        listing = stores.instances.of_strategy

        assert listing(full.STRATEGY, [InstanceStatus.ACTIVE], before=None, limit=9) == [place(active)]
        assert listing(full.STRATEGY, [InstanceStatus.PAUSED], before=None, limit=9) == [place(paused)]
        assert listing(full.STRATEGY, EVERY, before=None, limit=9) == [place(paused), place(active)]

    def test_instances_of_another_strategy_are_excluded(self, stores: Stores) -> None:
        stores.instances.create(an_instance())

        assert stores.instances.of_strategy(StrategySid("other"), EVERY, before=None, limit=9) == []


class TestInstancesOfAnAccount:
    """Instances of one account are listed over all shards."""

    def test_instances_of_an_account_are_sorted_youngest_first(self, stores: Stores) -> None:
        made = instances(20)
        for instance in made:
            stores.instances.create(instance)
        listing = stores.instances.of_account
        youngest = [place(instance) for instance in reversed(made)]

        first = listing(full.ACCOUNT, before=None, limit=12)
        rest = listing(full.ACCOUNT, before=first[-1], limit=12)

        assert first + rest == youngest

    def test_instances_of_another_account_are_excluded(self, stores: Stores) -> None:
        stores.instances.create(an_instance())

        assert stores.instances.of_account(OTHER, before=None, limit=9) == []


class TestOldestOfAStrategy:
    """A strategy's instances are listed oldest first, with the given statuses, up to an instant."""

    LATER = at(2)

    def oldest(self, stores: Stores, **query: Any) -> list[PageKey]:
        given = {"statuses": EVERY, "after": None, "until": self.LATER, "limit": 9, **query}
        return stores.instances.oldest_of_strategy(full.STRATEGY, **given)

    def test_instances_are_sorted_oldest_first_page_by_page(self, stores: Stores) -> None:
        made = instances(5)
        for instance in made:
            stores.instances.create(instance)

        first = self.oldest(stores, limit=2)
        rest = self.oldest(stores, after=first[-1])

        assert first == [place(made[0]), place(made[1])]
        assert rest == [place(instance) for instance in made[2:]]
        assert self.oldest(stores, after=rest[-1]) == []

    def test_instances_of_several_statuses_are_in_one_order(self, stores: Stores) -> None:
        made = instances(6, status=InstanceStatus.ACTIVE)
        mixed = [
            replace(one, status=InstanceStatus.PAUSED) if number % 2 else one
            for number, one in enumerate(made)
        ]
        for instance in mixed:
            stores.instances.create(instance)
        both = [InstanceStatus.ACTIVE, InstanceStatus.PAUSED]

        assert self.oldest(stores, statuses=both, limit=4) == [place(one) for one in made[:4]]
        assert self.oldest(stores, statuses=both[:1]) == [place(one) for one in made[::2]]

    def test_a_page_continues_after_an_instance_that_changed_its_status(self, stores: Stores) -> None:
        made = instances(4, status=InstanceStatus.ACTIVE)
        for instance in made:
            stores.instances.create(instance)
        query = {"statuses": [InstanceStatus.ACTIVE]}
        first = self.oldest(stores, limit=2, **query)

        for instance in made[:2]:
            stores.instances.commit(changed(instance, status=InstanceStatus.CANCELED))

        assert self.oldest(stores, after=first[-1], **query) == [place(one) for one in made[2:]]
        assert self.oldest(stores, **query) == [place(one) for one in made[2:]]

    def test_instances_younger_than_the_limit_are_excluded(self, stores: Stores) -> None:
        made = instances(5)
        for instance in made:
            stores.instances.create(instance)

        assert self.oldest(stores, until=made[2].created_at) == [place(one) for one in made[:3]]
        before_all = made[0].created_at - timedelta(milliseconds=1)
        assert self.oldest(stores, until=before_all) == []
        assert self.oldest(stores, until=before_all, after=place(made[0])) == []

    def test_a_list_may_begin_at_an_instant(self, stores: Stores) -> None:
        made = instances(5)
        for instance in made:
            stores.instances.create(instance)

        begin = PageKey(created_at=made[3].created_at, sid="")

        assert self.oldest(stores, after=begin) == [place(one) for one in made[3:]]


class TestManyInstances:
    """Instances are loaded together. Unknown ones are left out."""

    def test_many_instances_are_loaded_as_last_stored(self, stores: Stores) -> None:
        one, two = instances(2)
        stores.instances.create(one)
        stores.instances.create(two)
        later = changed(two, description="changed")
        stores.instances.commit(later)

        found = stores.instances.load_many([one.sid, InstanceSid("gone"), two.sid])

        assert sorted(all_readable(found), key=lambda instance: instance.sid) == [one, later]

    def test_loading_no_instances_returns_none(self, stores: Stores) -> None:
        assert stores.instances.load_many([]) == []

    def test_more_instances_than_fit_a_batch_are_loaded_each_once(self, stores: Stores) -> None:
        made = instances(201)
        for instance in made:
            stores.instances.create(instance)

        for count in (99, 100, 101, 200, 201):
            sids = [instance.sid for instance in made[:count]]
            assert sorted(one.sid for one in all_readable(stores.instances.load_many(sids))) == sorted(sids)


class TestStrategiesOfAnAccount:
    """Strategies are listed youngest first, without deleted ones."""

    @staticmethod
    def heads(stores: Stores, count: int) -> list[StrategyHead]:
        made = [
            replace(
                full.HEAD,
                sid=StrategySid(f"s-{number}"),
                name=f"n-{number}",
                created_at=at(1) + timedelta(seconds=number),
                deleted_at=None,
            )
            for number in range(count)
        ]
        for head in made:
            stores.strategies.create(head, settings("water-filter-refill"))
        return made

    def test_strategies_are_sorted_youngest_first(self, stores: Stores) -> None:
        made = self.heads(stores, 5)
        listing = stores.strategies.of_account

        first = all_readable(listing(full.ACCOUNT, before=None, limit=3))
        rest = listing(full.ACCOUNT, before=place(first[-1]), limit=3)

        assert first + rest == made[::-1]
        assert listing(OTHER, before=None, limit=3) == []

    def test_a_deleted_strategy_is_excluded(self, stores: Stores) -> None:
        one, two = self.heads(stores, 2)

        stores.strategies.delete(replace(two, deleted_at=at(9)), before=two, audit=full.AUDIT)

        assert stores.strategies.of_account(full.ACCOUNT, before=None, limit=9) == [one]


class TestStrategiesOfAFolder:
    """Strategies of a folder and its subfolders are listed by folder and name."""

    FILED = (
        "/#b",
        "/de#a",
        "/de#b",
        "/de/berlin#a",
        "/de/berlin/mitte#a",
        "/de-old#a",
        "/denmark#a",
        "/fr#a",
    )

    def folder_entries(self, stores: Stores, folder: str, *, after: str = "", limit: int = 9) -> list[str]:
        for number, text in enumerate(self.FILED):
            of, _, name = text.partition("#")
            head = replace(full.HEAD, sid=StrategySid(f"s-{number}"), name=f"{name}{number}", folder=of)
            if stores.strategies.head(head.sid) is None:
                stores.strategies.create(replace(head, deleted_at=None), settings("water-filter-refill"))
        found = stores.strategies.in_folder(full.ACCOUNT, folder, after=after, limit=limit)
        assert [one.folder_name for one in found] == sorted(one.folder_name for one in found)
        return [one.folder_name[:-1] for one in found]

    def test_strategies_of_the_folder_come_before_those_of_subfolders(self, stores: Stores) -> None:
        assert self.folder_entries(stores, "/de") == ["/de#a", "/de#b", "/de/berlin#a", "/de/berlin/mitte#a"]

    def test_the_root_folder_lists_all_strategies(self, stores: Stores) -> None:
        assert sorted(self.folder_entries(stores, "/")) == sorted(self.FILED)

    def test_an_unknown_folder_is_empty(self, stores: Stores) -> None:
        assert self.folder_entries(stores, "/d") == []

    @pytest.mark.parametrize("limit", [1, 2, 3, 9])
    def test_pages_list_each_strategy_once(self, stores: Stores, limit: int) -> None:
        self.folder_entries(stores, "/de")
        found: list[str] = []
        while page := stores.strategies.in_folder(
            full.ACCOUNT, "/de", after=found[-1] if found else "", limit=limit
        ):
            found += [one.folder_name for one in page]

        assert found == ["/de#a1", "/de#b2", "/de/berlin#a3", "/de/berlin/mitte#a4"]

    def test_strategies_of_another_account_are_excluded(self, stores: Stores) -> None:
        self.folder_entries(stores, "/")

        assert stores.strategies.in_folder(OTHER, "/", after="", limit=9) == []

    def test_a_deleted_strategy_is_not_in_its_folder(self, stores: Stores) -> None:
        (head,) = TestStrategiesOfAnAccount.heads(stores, 1)

        stores.strategies.delete(replace(head, deleted_at=at(9)), before=head, audit=full.AUDIT)

        assert stores.strategies.in_folder(full.ACCOUNT, "/", after="", limit=9) == []


class TestKeysOfAnAccount:
    """Keys are listed youngest first, without removed ones."""

    def test_keys_are_sorted_youngest_first(self, stores: Stores) -> None:
        made = [
            replace(full.KEY, key_id=f"k{number}", created_at=at(1) + timedelta(seconds=number))
            for number in range(5)
        ]
        for key in made:
            stores.access.put_key(key)
        listing = stores.access.keys

        first = all_readable(listing(full.ACCOUNT, before=None, limit=3))
        last = first[-1]
        rest = listing(full.ACCOUNT, before=PageKey(created_at=last.created_at, sid=last.key_id), limit=3)

        assert first + rest == made[::-1]
        assert listing(OTHER, before=None, limit=3) == []

    def test_a_page_continues_before_a_removed_key(self, stores: Stores) -> None:
        gone = replace(full.KEY, key_id="k2", created_at=at(2))
        stores.access.put_key(full.KEY)

        listed = stores.access.keys(
            full.ACCOUNT, before=PageKey(created_at=gone.created_at, sid=gone.key_id), limit=1
        )

        assert listed == [full.KEY]

    def test_flags_of_the_account_are_no_keys_of_the_list(self, stores: Stores) -> None:
        stores.access.set_queue_flag(full.ACCOUNT, Flag(is_paused=True))

        assert stores.access.keys(full.ACCOUNT, before=None, limit=9) == []


@pytest.mark.parametrize("limit", [1, 100])
def test_no_list_is_longer_than_its_limit(stores: Stores, limit: int) -> None:
    for instance in instances(3):
        stores.instances.create(instance)

    assert len(stores.instances.of_account(full.ACCOUNT, before=None, limit=limit)) == min(limit, 3)
