"""What a ``StrategyStore`` promises, on every engine."""

from dataclasses import replace
from typing import Any

import pytest

from shared.application.ports import NameTakenError, StaleRevError, UnknownStrategyError
from shared.domain.ids import AccountId, StrategySid
from shared.domain.instance.model import BlockedBy
from shared.domain.instance.verdict import AuditEntry
from shared.domain.strategy.model import Strategy
from shared.domain.strategy.parse import stored_definition
from tests import full
from tests.contract.strategies import settings
from tests.engines import ENVIRONMENT, Stores

HEAD = replace(full.HEAD, deleted_at=None)
OTHER = StrategySid("01890a5d-ac96-774b-bcce-b302099a0002")


class TestAHead:
    """What holds for all versions of a strategy."""

    def test_of_an_unknown_strategy_is_none(self, stores: Stores) -> None:
        assert stores.strategies.head(OTHER) is None

    def test_every_field_survives(self, stores: Stores) -> None:
        stores.strategies.create(HEAD, settings())
        assert stores.strategies.head(HEAD.sid) == HEAD

    def test_it_survives_with_nothing_but_what_it_must_have(self, stores: Stores) -> None:
        bare = replace(HEAD, folder="/", description="", is_paused=False, secret_hash=None)
        stores.strategies.create(bare, settings())
        assert stores.strategies.head(HEAD.sid) == bare


class TestNames:
    """An account has one strategy of a name, whatever its folder."""

    def test_a_strategy_is_found_by_account_and_name(self, stores: Stores) -> None:
        stores.strategies.create(HEAD, settings())
        named = stores.strategies.named
        assert named(HEAD.account_id, HEAD.name) == HEAD
        assert named(HEAD.account_id, "other") is None
        assert named(AccountId("other"), HEAD.name) is None

    def test_a_taken_one_is_refused_and_nothing_is_written(self, stores: Stores) -> None:
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
    """The same changes nothing; another is refused."""

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
    """It never changes."""

    def test_it_is_read_as_it_was_stored(self, stores: Stores) -> None:
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

    def test_an_unknown_one_is_refused(self, stores: Stores) -> None:
        stores.strategies.create(HEAD, settings())
        with pytest.raises(UnknownStrategyError):
            stores.strategies.load(HEAD.sid, 2)
        with pytest.raises(UnknownStrategyError):
            stores.strategies.load(OTHER, 1)


SOURCE = {"definition": {"name": "n", "steps": [{"id": "a"}]}}


class TestWhatTheSettingsWereMadeFrom:
    """It is kept with them, version by version; without one there is none."""

    def test_of_each_version(self, stores: Stores) -> None:
        head = replace(HEAD, version=2, updated_at=full.at(5))
        stores.strategies.create(HEAD, settings(), source=SOURCE)
        stores.strategies.replace(head, settings("water-filter-refill"), before=HEAD, audit=told())

        first, second = (stores.strategies.settings(HEAD.sid, version) for version in (1, 2))

        assert (first.source, first.plain) == (SOURCE, settings())
        assert (second.source, second.plain) == (None, settings("water-filter-refill"))
        assert stores.strategies.load(HEAD.sid, 1).definition == stored_definition(settings())


class TestLabels:
    """They change without a further version, whoever else has changed the head meanwhile being told so."""

    OTHERS = replace(HEAD, labels={"status": "disabled", "deletedVersions": "1"}, updated_at=full.at(5))

    def test_they_are_stored_with_who_did_it(self, stores: Stores) -> None:
        stores.strategies.create(HEAD, settings())
        stores.strategies.relabel(self.OTHERS, before=HEAD, audit=told("delete-version"))

        assert stores.strategies.head(HEAD.sid) == self.OTHERS
        assert [one.version for one in stores.strategies.versions(HEAD.sid, before=None, limit=9)] == [
            HEAD.version
        ]
        assert stores.audits() == [told("delete-version")]

    def test_of_another_head_they_are_refused_and_nothing_is_written(self, stores: Stores) -> None:
        stores.strategies.create(HEAD, settings())
        with pytest.raises(StaleRevError):
            stores.strategies.relabel(self.OTHERS, before=replace(HEAD, labels={}), audit=told())

        assert stores.strategies.head(HEAD.sid) == HEAD
        assert stores.audits() == []


class TestWhatHoldsEventsBack:
    """The queue of the account before the strategy."""

    @pytest.mark.parametrize(
        ("queue", "strategy", "held"),
        [
            (False, False, None),
            (False, True, BlockedBy.STRATEGY),
            (True, False, BlockedBy.QUEUE),
            (True, True, BlockedBy.QUEUE),
        ],
    )
    def test_each_flag_is_seen(
        self, stores: Stores, *, queue: bool, strategy: bool, held: BlockedBy | None
    ) -> None:
        stores.strategies.create(replace(HEAD, is_paused=strategy), settings())
        stores.access.set_queue_paused(HEAD.account_id, paused=queue)
        assert stores.strategies.blocked_by(HEAD.account_id, HEAD.sid) is held

    def test_nothing_is_known_of_an_unknown_strategy(self, stores: Stores) -> None:
        assert stores.strategies.blocked_by(HEAD.account_id, OTHER) is None


def told(command: str = "update-strategy") -> AuditEntry:
    return replace(full.AUDIT, target=HEAD.sid, command=command, event=None)


class TestAFurtherVersion:
    """It stands beside those before it; the head says which is the latest."""

    NEXT = replace(HEAD, version=2, description="newer", updated_at=full.at(5), secret_hash="0ther")

    def test_head_and_versions(self, stores: Stores) -> None:
        stores.strategies.create(HEAD, settings())
        stores.strategies.replace(self.NEXT, settings("water-filter-refill"), before=HEAD, audit=told())

        assert stores.strategies.head(HEAD.sid) == self.NEXT
        assert stores.strategies.settings(HEAD.sid, 1).plain == settings()
        assert stores.strategies.settings(HEAD.sid, 2).plain == settings("water-filter-refill")
        assert stores.strategies.load(HEAD.sid, 2).version == 2
        assert stores.audits() == [told()]

    def test_what_is_known_of_each(self, stores: Stores) -> None:
        stores.strategies.create(HEAD, settings())
        stores.strategies.replace(self.NEXT, settings(), before=HEAD, audit=told())

        latest, first = stores.strategies.versions(HEAD.sid, before=None, limit=9)

        assert (latest.version, latest.description, latest.created_at) == (2, "newer", full.at(5))
        assert (latest.created_by, first.created_by) == ("key-1", HEAD.created_by)
        assert stores.strategies.settings(HEAD.sid, 2).version == latest

    def test_they_are_listed_latest_first_page_by_page(self, stores: Stores) -> None:
        stores.strategies.create(HEAD, settings())
        before = HEAD
        for version in (2, 3, 4):
            after = replace(HEAD, version=version)
            stores.strategies.replace(after, settings(), before=before, audit=told())
            before = after
        listing = stores.strategies.versions

        assert [v.version for v in listing(HEAD.sid, before=None, limit=3)] == [4, 3, 2]
        assert [v.version for v in listing(HEAD.sid, before=2, limit=3)] == [1]
        assert listing(HEAD.sid, before=1, limit=3) == []
        assert listing(OTHER, before=None, limit=3) == []

    @pytest.mark.parametrize(
        "changes", [{"version": 2}, {"description": "x"}, {"is_paused": False}, {"secret_hash": None}]
    )
    def test_a_head_that_has_changed_is_not_replaced(self, stores: Stores, changes: dict[str, Any]) -> None:
        stores.strategies.create(HEAD, settings())
        with pytest.raises(StaleRevError):
            stores.strategies.replace(self.NEXT, settings(), before=replace(HEAD, **changes), audit=told())
        assert stores.strategies.head(HEAD.sid) == HEAD
        assert stores.audits() == []

    def test_settings_of_an_unknown_version_are_refused(self, stores: Stores) -> None:
        stores.strategies.create(HEAD, settings())
        with pytest.raises(UnknownStrategyError):
            stores.strategies.settings(HEAD.sid, 2)


class TestADeletedStrategy:
    """Its name is free; what ran under it still finds it."""

    GONE = replace(HEAD, deleted_at=full.at(9))

    def test_its_name_is_free_and_its_versions_stay(self, stores: Stores) -> None:
        stores.strategies.create(HEAD, settings())
        stores.strategies.delete(self.GONE, before=HEAD, audit=told("delete-strategy"))

        assert stores.strategies.named(HEAD.account_id, HEAD.name) is None
        assert stores.strategies.head(HEAD.sid) == self.GONE
        assert stores.strategies.load(HEAD.sid, 1).name == HEAD.name
        assert stores.audits() == [told("delete-strategy")]
        stores.strategies.create(replace(HEAD, sid=OTHER), settings())
        assert stores.strategies.named(HEAD.account_id, HEAD.name) == replace(HEAD, sid=OTHER)

    def test_one_that_has_changed_is_not_deleted(self, stores: Stores) -> None:
        stores.strategies.create(HEAD, settings())
        with pytest.raises(StaleRevError):
            stores.strategies.delete(self.GONE, before=replace(HEAD, version=2), audit=told())
        assert stores.strategies.named(HEAD.account_id, HEAD.name) == HEAD


class TestPausing:
    """The flag with the drains of what it held, or neither."""

    PAUSED = replace(HEAD, is_paused=True)
    ACTIVE = replace(HEAD, is_paused=False)

    def test_flag_drains_and_audit_are_stored_together(self, stores: Stores) -> None:
        stores.strategies.create(self.PAUSED, settings())
        stores.strategies.set_paused(
            self.ACTIVE, before=self.PAUSED, audit=told("resume-strategy"), release_jobs=[full.DRAIN]
        )
        assert stores.strategies.head(HEAD.sid) == self.ACTIVE
        assert stores.strategies.blocked_by(HEAD.account_id, HEAD.sid) is None
        assert stores.operations.load(full.DRAIN.sid) == full.DRAIN
        assert stores.audits() == [told("resume-strategy")]

    def test_a_head_that_has_changed_is_left_alone(self, stores: Stores) -> None:
        stores.strategies.create(self.ACTIVE, settings())
        with pytest.raises(StaleRevError):
            stores.strategies.set_paused(
                self.PAUSED, before=replace(self.ACTIVE, version=2), audit=told(), release_jobs=[full.DRAIN]
            )
        assert stores.strategies.head(HEAD.sid) == self.ACTIVE
        assert stores.operations.load(full.DRAIN.sid) is None
