"""The contract of a ``StrategyStore``, on every engine."""

from typing import Any

import pytest
from msgspec.structs import replace

from shared.application.ports import NameTakenError, StaleRevError, UnknownStrategyError, all_readable
from shared.domain.ids import AccountId, StrategySid
from shared.domain.instance.model import BlockedBy
from shared.domain.instance.verdict import AuditEntry
from shared.domain.strategy.flag import Flag
from shared.domain.strategy.model import Strategy
from shared.domain.strategy.parse import stored_definition
from tests import full
from tests.contract.strategies import settings
from tests.engines import ENVIRONMENT, Stores

HEAD = replace(full.HEAD, deleted_at=None)
OTHER = StrategySid("01890a5d-ac96-774b-bcce-b302099a0002")


class TestAHead:
    """The head has the facts that all versions of a strategy share."""

    def test_the_head_of_an_unknown_strategy_is_none(self, stores: Stores) -> None:
        assert stores.strategies.head(OTHER) is None

    def test_every_field_of_a_head_survives(self, stores: Stores) -> None:
        stores.strategies.create(HEAD, settings())
        assert stores.strategies.head(HEAD.sid) == HEAD

    def test_a_minimal_head_survives(self, stores: Stores) -> None:
        bare = replace(HEAD, folder="/", description="", is_paused=False, secret_hash=None)
        stores.strategies.create(bare, settings())
        assert stores.strategies.head(HEAD.sid) == bare


class TestNames:
    """An account has one strategy with a name, whatever its folder."""

    def test_a_strategy_is_found_by_account_and_name(self, stores: Stores) -> None:
        stores.strategies.create(HEAD, settings())
        named = stores.strategies.named
        assert named(HEAD.account_id, HEAD.name) == HEAD
        assert named(HEAD.account_id, "other") is None
        assert named(AccountId("other"), HEAD.name) is None

    def test_a_taken_name_is_refused_and_nothing_is_written(self, stores: Stores) -> None:
        stores.strategies.create(HEAD, settings())
        with pytest.raises(NameTakenError):
            stores.strategies.create(replace(HEAD, sid=OTHER), settings())
        assert stores.strategies.head(OTHER) is None
        assert stores.strategies.named(HEAD.account_id, HEAD.name) == HEAD
        with pytest.raises(UnknownStrategyError):
            stores.strategies.load(OTHER, 1)

    @pytest.mark.parametrize(
        "other",
        [
            replace(HEAD, sid=OTHER, account_id=AccountId("other")),
            replace(HEAD, sid=OTHER, name="other"),
            replace(HEAD, sid=OTHER, name="gym"),
        ],
    )
    def test_another_name_or_account_is_free(self, stores: Stores, other: Any) -> None:
        stores.strategies.create(HEAD, settings())
        stores.strategies.create(other, settings())
        assert stores.strategies.named(other.account_id, other.name) == other


class TestCreatingAgain:
    """Creating the same strategy again changes nothing. Another one with the sid is refused."""

    def test_the_same_head_changes_nothing(self, stores: Stores) -> None:
        stores.strategies.create(HEAD, settings())
        stores.strategies.create(HEAD, settings())
        assert stores.strategies.head(HEAD.sid) == HEAD

    def test_another_head_of_the_same_sid_is_refused(self, stores: Stores) -> None:
        stores.strategies.create(HEAD, settings())
        for other in (replace(HEAD, name="other"), replace(HEAD, description="other")):
            with pytest.raises(StaleRevError):
                stores.strategies.create(other, settings())
        assert stores.strategies.head(HEAD.sid) == HEAD
        assert stores.strategies.named(HEAD.account_id, "other") is None

    def test_another_head_of_the_same_sid_under_a_taken_name_is_refused(self, stores: Stores) -> None:
        stores.strategies.create(HEAD, settings())
        stores.strategies.create(replace(HEAD, sid=OTHER, name="other"), settings())
        with pytest.raises(NameTakenError):
            stores.strategies.create(replace(HEAD, name="other"), settings())


class TestAVersion:
    """A version never changes."""

    def test_a_version_is_read_as_stored(self, stores: Stores) -> None:
        stores.strategies.create(HEAD, settings())
        expected = Strategy(
            sid=HEAD.sid,
            account_id=HEAD.account_id,
            name=HEAD.name,
            version=HEAD.version,
            definition=stored_definition(settings()),
            environment=ENVIRONMENT,
        )
        assert stores.strategies.load(HEAD.sid, HEAD.version) == expected
        assert stores.strategies.load(HEAD.sid, HEAD.version) == expected

    def test_an_unknown_version_is_refused(self, stores: Stores) -> None:
        stores.strategies.create(HEAD, settings())
        with pytest.raises(UnknownStrategyError):
            stores.strategies.load(HEAD.sid, 2)
        with pytest.raises(UnknownStrategyError):
            stores.strategies.load(OTHER, 1)


SOURCE = {"definition": {"name": "n", "steps": [{"id": "a"}]}}


class TestWhatTheSettingsWereMadeFrom:
    """The source of the settings is stored with each version, if there is one."""

    def test_each_version_has_its_own_source(self, stores: Stores) -> None:
        head = replace(HEAD, version=2, updated_at=full.at(5))
        stores.strategies.create(HEAD, settings(), source=SOURCE)
        stores.strategies.replace(head, settings("water-filter-refill"), before=HEAD, audit=audit_of())

        first, second = (stores.strategies.settings(HEAD.sid, version) for version in (1, 2))

        assert (first.source, first.plain) == (SOURCE, settings())
        assert (second.source, second.plain) == (None, settings("water-filter-refill"))
        assert stores.strategies.load(HEAD.sid, 1).definition == stored_definition(settings())


class TestLabels:
    """Labels change without a new version, if the head has not changed since."""

    OTHERS = replace(HEAD, labels={"status": "disabled", "deletedVersions": "1"}, updated_at=full.at(5))

    def test_labels_are_stored_with_their_audit_entry(self, stores: Stores) -> None:
        stores.strategies.create(HEAD, settings())
        stores.strategies.relabel(self.OTHERS, before=HEAD, audit=audit_of("delete-version"))

        assert stores.strategies.head(HEAD.sid) == self.OTHERS
        assert [
            one.version for one in all_readable(stores.strategies.versions(HEAD.sid, before=None, limit=9))
        ] == [HEAD.version]
        assert stores.audits() == [audit_of("delete-version")]

    def test_labels_of_a_changed_head_are_refused(self, stores: Stores) -> None:
        stores.strategies.create(HEAD, settings())
        with pytest.raises(StaleRevError):
            stores.strategies.relabel(self.OTHERS, before=replace(HEAD, labels={}), audit=audit_of())

        assert stores.strategies.head(HEAD.sid) == HEAD
        assert stores.audits() == []


class TestWhatHoldsEventsBack:
    """The queue of the account is reported before the strategy."""

    @pytest.mark.parametrize(
        ("queue", "strategy", "flag"),
        [
            (False, False, None),
            (False, True, BlockedBy.STRATEGY),
            (True, False, BlockedBy.QUEUE),
            (True, True, BlockedBy.QUEUE),
        ],
    )
    def test_either_flag_blocks_due_events(
        self, stores: Stores, *, queue: bool, strategy: bool, flag: BlockedBy | None
    ) -> None:
        stores.strategies.create(replace(HEAD, is_paused=strategy), settings())
        stores.access.set_queue_flag(HEAD.account_id, Flag(is_paused=queue))
        assert stores.strategies.flags(HEAD.account_id, HEAD.sid).blocked_by is flag

    def test_an_unknown_strategy_is_not_blocked(self, stores: Stores) -> None:
        assert stores.strategies.flags(HEAD.account_id, OTHER).blocked_by is None


def audit_of(command: str = "update-strategy") -> AuditEntry:
    return replace(full.AUDIT, target=HEAD.sid, command=command, event=None)


class TestAFurtherVersion:
    """A new version is stored beside the older ones, and the head names the latest."""

    NEXT = replace(HEAD, version=2, description="newer", updated_at=full.at(5), secret_hash="0ther")

    def test_the_head_names_the_latest_version(self, stores: Stores) -> None:
        stores.strategies.create(HEAD, settings())
        stores.strategies.replace(self.NEXT, settings("water-filter-refill"), before=HEAD, audit=audit_of())

        assert stores.strategies.head(HEAD.sid) == self.NEXT
        assert stores.strategies.settings(HEAD.sid, 1).plain == settings()
        assert stores.strategies.settings(HEAD.sid, 2).plain == settings("water-filter-refill")
        assert stores.strategies.load(HEAD.sid, 2).version == 2
        assert stores.audits() == [audit_of()]

    def test_each_version_keeps_its_description(self, stores: Stores) -> None:
        stores.strategies.create(HEAD, settings())
        stores.strategies.replace(self.NEXT, settings(), before=HEAD, audit=audit_of())

        latest, first = all_readable(stores.strategies.versions(HEAD.sid, before=None, limit=9))

        assert (latest.version, latest.description, latest.created_at) == (2, "newer", full.at(5))
        assert (latest.created_by, first.created_by) == ("key-1", HEAD.created_by)
        assert stores.strategies.settings(HEAD.sid, 2).version == latest

    def test_versions_are_sorted_latest_first(self, stores: Stores) -> None:
        stores.strategies.create(HEAD, settings())
        before = HEAD
        for version in (2, 3, 4):
            after = replace(HEAD, version=version)
            stores.strategies.replace(after, settings(), before=before, audit=audit_of())
            before = after
        listing = stores.strategies.versions

        assert [v.version for v in all_readable(listing(HEAD.sid, before=None, limit=3))] == [4, 3, 2]
        assert [v.version for v in all_readable(listing(HEAD.sid, before=2, limit=3))] == [1]
        assert listing(HEAD.sid, before=1, limit=3) == []
        assert listing(OTHER, before=None, limit=3) == []

    @pytest.mark.parametrize(
        "changes", [{"version": 2}, {"description": "x"}, {"is_paused": False}, {"secret_hash": None}]
    )
    def test_a_changed_head_is_not_replaced(self, stores: Stores, changes: dict[str, Any]) -> None:
        stores.strategies.create(HEAD, settings())
        with pytest.raises(StaleRevError):
            stores.strategies.replace(
                self.NEXT, settings(), before=replace(HEAD, **changes), audit=audit_of()
            )
        assert stores.strategies.head(HEAD.sid) == HEAD
        assert stores.audits() == []

    def test_settings_of_an_unknown_version_are_refused(self, stores: Stores) -> None:
        stores.strategies.create(HEAD, settings())
        with pytest.raises(UnknownStrategyError):
            stores.strategies.settings(HEAD.sid, 2)


class TestADeletedStrategy:
    """The name of a deleted strategy is free, and its versions can still be loaded."""

    GONE = replace(HEAD, deleted_at=full.at(9))

    def test_a_deleted_strategy_frees_its_name_and_keeps_its_versions(self, stores: Stores) -> None:
        stores.strategies.create(HEAD, settings())
        stores.strategies.delete(self.GONE, before=HEAD, audit=audit_of("delete-strategy"))

        assert stores.strategies.named(HEAD.account_id, HEAD.name) is None
        assert stores.strategies.head(HEAD.sid) == self.GONE
        assert stores.strategies.load(HEAD.sid, 1).name == HEAD.name
        assert stores.audits() == [audit_of("delete-strategy")]
        stores.strategies.create(replace(HEAD, sid=OTHER), settings())
        assert stores.strategies.named(HEAD.account_id, HEAD.name) == replace(HEAD, sid=OTHER)

    def test_a_changed_strategy_is_not_deleted(self, stores: Stores) -> None:
        stores.strategies.create(HEAD, settings())
        with pytest.raises(StaleRevError):
            stores.strategies.delete(self.GONE, before=replace(HEAD, version=2), audit=audit_of())
        assert stores.strategies.named(HEAD.account_id, HEAD.name) == HEAD


class TestPausing:
    """The flag and its release jobs are stored together or not at all."""

    PAUSED = replace(HEAD, is_paused=True)
    ACTIVE = replace(HEAD, is_paused=False)

    def test_flag_release_jobs_and_audit_are_stored_together(self, stores: Stores) -> None:
        stores.strategies.create(self.PAUSED, settings())
        stores.strategies.set_paused(
            self.ACTIVE, before=self.PAUSED, audit=audit_of("resume-strategy"), release_jobs=[full.DRAIN]
        )
        assert stores.strategies.head(HEAD.sid) == self.ACTIVE
        assert stores.strategies.flags(HEAD.account_id, HEAD.sid).blocked_by is None
        assert stores.operations.load(full.DRAIN.sid) == full.DRAIN
        assert stores.audits() == [audit_of("resume-strategy")]

    def test_the_flag_of_a_changed_head_is_not_stored(self, stores: Stores) -> None:
        stores.strategies.create(self.ACTIVE, settings())
        with pytest.raises(StaleRevError):
            stores.strategies.set_paused(
                self.PAUSED,
                before=replace(self.ACTIVE, version=2),
                audit=audit_of(),
                release_jobs=[full.DRAIN],
            )
        assert stores.strategies.head(HEAD.sid) == self.ACTIVE
        assert stores.operations.load(full.DRAIN.sid) is None
