"""The contract of a ``LimitStore``, on every engine."""

import pytest
from msgspec.structs import replace

from shared.adapters.aws.errors import AwsError
from shared.adapters.dynamodb.limits import DynamoDbLimits
from shared.application.ports import ConnectionLostError, LimitAttempt
from shared.domain.errors import StoredShapeError
from shared.domain.ids import AccountId
from shared.domain.limits.state import Bounds, LimitChange, LimitState, Member, micros_of, slot_name
from tests import full
from tests.contract.test_lost_replies import asks_again, gives_up
from tests.engines import DynamoDb, Stores, on_dynamodb

ORIGIN = "https://api.example.com"
NOW = micros_of(full.at(1))


def change(
    guards: dict[str, Bounds] | None = None,
    *,
    sets: dict[str, int] | None = None,
    adds: dict[str, int] | None = None,
) -> LimitChange:
    return LimitChange(at=NOW, guards=guards or {}, sets=sets or {}, adds=adds or {})


def guarded(low: int, high: int) -> LimitChange:
    """Return a change that stores 9 as the number of calls a second, if the next permit is within bounds."""
    return change({Member.NEXT_AT: Bounds(low=low, high=high)}, sets={Member.PER_SECOND: 9})


EVERY: dict[str, int] = {member: 10**15 + number for number, member in enumerate(Member)}


class TestAState:
    """A state belongs to one origin of one account, and is empty before its first change."""

    def test_a_state_that_was_never_changed_is_empty(self, stores: Stores) -> None:
        assert stores.limits.load(full.ACCOUNT, ORIGIN) == LimitState()

    def test_every_number_survives(self, stores: Stores) -> None:
        stores.limits.change(full.ACCOUNT, ORIGIN, change(guards_of_an_empty_state(), sets=EVERY))
        assert stores.limits.load(full.ACCOUNT, ORIGIN) == LimitState(values=EVERY)

    def test_slots_survive(self, stores: Stores) -> None:
        slots: dict[str, int] = {slot_name(number): 10**15 + number for number in (0, 1, 9, 10, 99)}
        taking = change({name: Bounds(low=0, high=5) for name in slots}, sets=slots)

        assert stores.limits.change(full.ACCOUNT, ORIGIN, taking).is_stored
        assert stores.limits.load(full.ACCOUNT, ORIGIN) == LimitState(values=slots)
        refused = stores.limits.change(full.ACCOUNT, ORIGIN, taking)
        assert (refused.is_stored, refused.before) == (False, LimitState(values=slots))

    def test_accounts_and_origins_have_states_of_their_own(self, stores: Stores) -> None:
        stores.limits.change(full.ACCOUNT, ORIGIN, guarded(0, 0))
        assert stores.limits.load(AccountId("other"), ORIGIN) == LimitState()
        assert stores.limits.load(full.ACCOUNT, f"{ORIGIN}:8443") == LimitState()


def guards_of_an_empty_state() -> dict[str, Bounds]:
    return {member: Bounds(low=0, high=0) for member in Member}


class TestAChange:
    """A change is stored if every guarded number is within its bounds, and the state before it is returned."""

    def test_a_number_that_is_not_stored_counts_as_zero(self, stores: Stores) -> None:
        attempt = stores.limits.change(full.ACCOUNT, ORIGIN, guarded(0, 5))
        assert (attempt.is_stored, attempt.before) == (True, LimitState())

    def test_a_guard_above_zero_refuses_an_empty_state(self, stores: Stores) -> None:
        attempt = stores.limits.change(full.ACCOUNT, ORIGIN, guarded(1, 5))
        assert (attempt.is_stored, attempt.before) == (False, LimitState())
        assert stores.limits.load(full.ACCOUNT, ORIGIN) == LimitState()

    @pytest.mark.parametrize(
        ("low", "high", "is_stored"),
        [(6, 8, True), (7, 7, True), (0, 7, True), (7, 1 << 62, True), (0, 6, False), (8, 9, False)],
    )
    def test_bounds_are_inclusive(self, stores: Stores, low: int, high: int, is_stored: object) -> None:
        stores.limits.change(
            full.ACCOUNT, ORIGIN, change(guards_of_an_empty_state(), sets={Member.NEXT_AT: 7})
        )

        attempt = stores.limits.change(full.ACCOUNT, ORIGIN, guarded(low, high))

        assert (attempt.is_stored, attempt.before) == (is_stored, LimitState(values={Member.NEXT_AT: 7}))
        after = stores.limits.load(full.ACCOUNT, ORIGIN)
        assert after[Member.PER_SECOND] == (9 if is_stored else 0)
        assert after[Member.NEXT_AT] == 7

    def test_a_refused_change_changes_no_number(self, stores: Stores) -> None:
        stores.limits.change(full.ACCOUNT, ORIGIN, change(guards_of_an_empty_state(), sets=EVERY))
        refused = change(
            {Member.LINE_AT: Bounds(low=0, high=1)}, sets={Member.NEXT_AT: 1}, adds={Member.STATED_AT: 1}
        )

        attempt = stores.limits.change(full.ACCOUNT, ORIGIN, refused)

        assert (attempt.is_stored, attempt.before) == (False, LimitState(values=EVERY))
        assert stores.limits.load(full.ACCOUNT, ORIGIN) == LimitState(values=EVERY)

    def test_numbers_are_added_one_after_another(self, stores: Stores) -> None:
        adding = change({Member.NEXT_AT: Bounds(low=0, high=100)}, adds={Member.NEXT_AT: 40})

        attempts = [stores.limits.change(full.ACCOUNT, ORIGIN, adding) for _ in range(4)]

        assert [attempt.before[Member.NEXT_AT] for attempt in attempts] == [0, 40, 80, 120]
        assert [attempt.is_stored for attempt in attempts] == [True, True, True, False]
        assert stores.limits.load(full.ACCOUNT, ORIGIN)[Member.NEXT_AT] == 120

    def test_what_is_set_and_added_is_stored_together(self, stores: Stores) -> None:
        both = change(
            {Member.PER_SECOND: Bounds(low=0, high=0)}, sets={Member.PER_SECOND: 5}, adds={Member.LINE_AT: 3}
        )
        stores.limits.change(full.ACCOUNT, ORIGIN, both)

        assert stores.limits.load(full.ACCOUNT, ORIGIN) == LimitState(
            values={Member.PER_SECOND: 5, Member.LINE_AT: 3}
        )

    def test_a_change_that_is_tried_is_a_change(self, stores: Stores) -> None:
        slowing = change({Member.NOT_BEFORE: Bounds(low=0, high=6)}, sets={Member.NOT_BEFORE: 7})
        attempts = [stores.limits.try_change(full.ACCOUNT, ORIGIN, slowing) for _ in range(2)]

        assert attempts == [
            LimitAttempt(is_stored=True, before=LimitState()),
            LimitAttempt(is_stored=False, before=LimitState(values={Member.NOT_BEFORE: 7})),
        ]
        assert stores.limits.load(full.ACCOUNT, ORIGIN) == LimitState(values={Member.NOT_BEFORE: 7})


class TestTheItem:
    """A state is one item of the table of access. It expires a day after its last change."""

    def test_the_item_is_of_its_account_and_expires(self, dynamodb: DynamoDb) -> None:
        store = DynamoDbLimits(client=dynamodb.client, tables=dynamodb.tables, report=lambda *_: None)
        store.change(full.ACCOUNT, ORIGIN, guarded(0, 0))

        (item,) = dynamodb.admin.scan(TableName=dynamodb.tables.access)["Items"]
        assert item == {
            "pk": {"S": f"limit#{full.ACCOUNT}#{ORIGIN}"},
            "sk": {"S": "limit"},
            "accountId": {"S": full.ACCOUNT},
            "schema": {"N": "1"},
            "expiresAt": {"N": str(NOW // 1_000_000 + 24 * 3600)},
            "perSecond": {"N": "9"},
        }

    def test_a_state_of_a_newer_release_is_refused(self, dynamodb: DynamoDb) -> None:
        store = DynamoDbLimits(client=dynamodb.client, tables=dynamodb.tables, report=lambda *_: None)
        store.change(full.ACCOUNT, ORIGIN, guarded(0, 0))
        (item,) = dynamodb.admin.scan(TableName=dynamodb.tables.access)["Items"]
        dynamodb.admin.put_item(TableName=dynamodb.tables.access, Item={**item, "schema": {"N": "2"}})

        with pytest.raises(StoredShapeError, match="schema 2"):
            store.load(full.ACCOUNT, ORIGIN)

    def test_a_state_of_a_newer_release_is_not_changed(self, dynamodb: DynamoDb) -> None:
        """Also by a change that no read goes before, as after an answer."""
        reported: list[Exception] = []
        store = DynamoDbLimits(
            client=dynamodb.client, tables=dynamodb.tables, report=lambda _, error: reported.append(error)
        )
        store.change(full.ACCOUNT, ORIGIN, guarded(0, 0))
        (item,) = dynamodb.admin.scan(TableName=dynamodb.tables.access)["Items"]
        newer = {**item, "schema": {"N": "2"}}
        dynamodb.admin.put_item(TableName=dynamodb.tables.access, Item=newer)

        with pytest.raises(StoredShapeError, match="schema 2"):
            store.change(full.ACCOUNT, ORIGIN, guarded(0, 5))
        assert store.try_change(full.ACCOUNT, ORIGIN, guarded(0, 5)) is None

        assert [type(error) for error in reported] == [StoredShapeError]
        assert dynamodb.admin.scan(TableName=dynamodb.tables.access)["Items"] == [newer]

    def test_a_state_of_a_schema_that_can_be_read_is_changed(
        self, dynamodb: DynamoDb, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As by the release after the next, which writes another schema and still reads this one."""
        store = DynamoDbLimits(client=dynamodb.client, tables=dynamodb.tables, report=lambda *_: None)
        store.change(full.ACCOUNT, ORIGIN, guarded(0, 0))
        monkeypatch.setattr("shared.adapters.dynamodb.items.READABLE", (1, 2))
        monkeypatch.setattr("shared.adapters.dynamodb.limits.READABLE", (1, 2))
        monkeypatch.setattr("shared.adapters.dynamodb.limits.SCHEMA", 2)

        assert store.change(full.ACCOUNT, ORIGIN, guarded(0, 5)).is_stored
        assert store.change(full.ACCOUNT, ORIGIN, guarded(0, 5)).is_stored

        (item,) = dynamodb.admin.scan(TableName=dynamodb.tables.access)["Items"]
        assert item["schema"] == {"N": "2"}

    def test_numbers_of_a_newer_release_are_ignored_and_kept(self, dynamodb: DynamoDb) -> None:
        """As by the release before circuits, which changes the same item."""
        store = DynamoDbLimits(client=dynamodb.client, tables=dynamodb.tables, report=lambda *_: None)
        store.change(full.ACCOUNT, ORIGIN, guarded(0, 0))
        (item,) = dynamodb.admin.scan(TableName=dynamodb.tables.access)["Items"]
        dynamodb.admin.put_item(TableName=dynamodb.tables.access, Item={**item, "newer": {"N": "7"}})

        assert store.load(full.ACCOUNT, ORIGIN) == LimitState(values={Member.PER_SECOND: 9})
        store.change(
            full.ACCOUNT,
            ORIGIN,
            change(adds={Member.NEXT_AT: 1}, guards={Member.NEXT_AT: Bounds(low=0, high=0)}),
        )
        (item,) = dynamodb.admin.scan(TableName=dynamodb.tables.access)["Items"]
        assert (item["newer"], item["nextAt"]) == ({"N": "7"}, {"N": "1"})

    def test_the_item_beside_the_account_is_no_key_of_it(self, stores: Stores) -> None:
        stores.limits.change(full.ACCOUNT, ORIGIN, guarded(0, 0))

        assert stores.access.keys(full.ACCOUNT, before=None, limit=9) == []
        assert stores.webhooks.find(full.ACCOUNT) is None


class TestFailures:
    """A store that is unavailable raises, but a change that is only tried reports it."""

    def test_a_change_whose_reply_was_lost_is_made_again_by_the_client(self, dynamodb: DynamoDb) -> None:
        store = on_dynamodb(dynamodb).limits
        asks_again(dynamodb, "UpdateItem")
        adding = change({Member.NEXT_AT: Bounds(low=0, high=100)}, adds={Member.NEXT_AT: 40})

        attempt = store.change(full.ACCOUNT, ORIGIN, adding)

        assert (attempt.is_stored, attempt.before[Member.NEXT_AT]) == (True, 40)
        assert store.load(full.ACCOUNT, ORIGIN)[Member.NEXT_AT] == 80

    def test_a_change_without_any_reply_raises(self, dynamodb: DynamoDb) -> None:
        gives_up(dynamodb, "UpdateItem")

        with pytest.raises(ConnectionLostError):
            on_dynamodb(dynamodb).limits.change(full.ACCOUNT, ORIGIN, guarded(0, 0))

    def test_a_change_that_is_tried_and_may_not_be_stored_is_reported(self, dynamodb: DynamoDb) -> None:
        reported: list[str] = []
        store = DynamoDbLimits(
            client=dynamodb.client, tables=dynamodb.tables, report=lambda origin, _: reported.append(origin)
        )
        gives_up(dynamodb, "UpdateItem")

        attempt = store.try_change(full.ACCOUNT, ORIGIN, guarded(0, 0))

        assert (attempt, reported) == (None, [ORIGIN])

    def test_a_request_that_is_refused_otherwise_raises(self, dynamodb: DynamoDb) -> None:
        elsewhere = replace(dynamodb.tables, access="missing")
        store = DynamoDbLimits(client=dynamodb.client, tables=elsewhere, report=lambda *_: None)

        with pytest.raises(AwsError):
            store.change(full.ACCOUNT, ORIGIN, guarded(0, 0))
