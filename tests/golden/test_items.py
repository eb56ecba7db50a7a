"""Items that an earlier release stored are read by today's stores, and keep their meaning.

Source: docs/decisions/0051-what-is-stored-outlives-a-release.md.
"""

import json

import pytest

from shared.adapters.dynamodb.documents import READABLE, SCHEMA
from shared.adapters.dynamodb.items import read as read_attributes
from shared.application.ports import AuditPosition, PageKey, Unreadable
from shared.domain.errors import StoredShapeError
from tests.engines import DynamoDb, Stores
from tests.golden.catalogue import GOLDENS, WRITTEN
from tests.golden.documents import DOCUMENTS
from tests.golden.files import (
    digest_of,
    empty,
    items_in,
    names_in,
    pinned,
    put_items,
    read,
    text_of,
    written,
)
from tests.golden.golden import ACCOUNT, SID, STRATEGY, Golden, at, under_local_key
from tests.golden.operations import BULK_SID

WRITTEN_OTHERWISE: frozenset[str] = frozenset()
"""Goldens that today's stores write in another way, which the release before this one can read. Say why."""

SEVERAL = [(schema, golden) for schema in READABLE for golden in GOLDENS if golden.name in names_in(schema)]

NAMES = [*(golden.name for golden in GOLDENS), *(document.name for document in DOCUMENTS)]

WHY = f"an item has schema {SCHEMA + 1} instead of {' or '.join(map(str, READABLE))}"

HELP = "CONTRIBUTING.md, 'Change what is stored', says how."


def _id(value: object) -> str:
    return value.name if isinstance(value, Golden) else f"schema-{value}"


class TestReading:
    """Today's stores read each golden item as the value that was stored, from every table, list and query."""

    @pytest.mark.parametrize(("schema", "golden"), SEVERAL, ids=_id)
    def test_a_golden_item_is_read_as_the_value_that_was_stored(
        self, schema: int, golden: Golden, dynamodb: DynamoDb
    ) -> None:
        found = read(golden, items_in(schema, golden.name), dynamodb)

        assert found == golden.value, (
            f"schema-{schema}/{golden.name} is read as another value. What is stored must keep its meaning, and an "
            f"entry of the catalogue must not be changed: add a new one. {HELP}"
        )

    @pytest.mark.parametrize("golden", WRITTEN, ids=_id)
    def test_a_schema_above_the_known_ones_is_refused_and_named(self, golden: Golden) -> None:
        for items in items_in(SCHEMA, golden.name).values():
            for item in items:
                with pytest.raises(StoredShapeError, match=f"an item has schema {SCHEMA + 1} instead of"):
                    read_attributes({**item, "schema": {"N": f"{SCHEMA + 1}"}})


class TestNaming:
    """A list names the items of a schema that this code does not know, and has the others."""

    def newer(self, name: str, dynamodb: DynamoDb) -> Stores:
        """Return stores whose items are of the next schema number."""
        items = {
            table: [{**item, "schema": {"N": f"{SCHEMA + 1}"}} for item in some]
            for table, some in items_in(SCHEMA, name).items()
        }
        empty(dynamodb)
        put_items(dynamodb, items)
        return under_local_key(dynamodb)

    def test_an_instance_is_named_by_its_sid(self, dynamodb: DynamoDb) -> None:
        store = self.newer("instances/new", dynamodb).instances

        assert store.load_many([SID]) == [Unreadable(key=SID, why=WHY, account_id=ACCOUNT)]
        with pytest.raises(StoredShapeError, match=WHY):
            store.load(SID)

    def test_records_and_journal_entries_are_named_by_their_event(self, dynamodb: DynamoDb) -> None:
        store = self.newer("events/record-and-journal", dynamodb).instances

        assert store.records_before(SID, 2, limit=9) == [Unreadable(key=1, why=WHY, account_id=ACCOUNT)]
        assert store.journal_between(SID, 1, 1) == [Unreadable(key=1, why=WHY, account_id=ACCOUNT)]

    def test_strategies_operations_keys_and_audit_entries_are_named_by_their_place(
        self, dynamodb: DynamoDb
    ) -> None:
        strategies = self.newer("strategies/new", dynamodb).strategies
        head = Unreadable(key=PageKey(created_at=at(1), sid=STRATEGY), why=WHY, account_id=ACCOUNT)
        assert strategies.of_account(ACCOUNT, before=None, limit=9) == [head]

        operations = self.newer("operations/bulk-new", dynamodb).operations
        bulk = Unreadable(key=PageKey(created_at=at(1), sid=BULK_SID), why=WHY, account_id=ACCOUNT)
        assert operations.of_account(ACCOUNT, before=None, limit=9) == [bulk]

        keys = self.newer("access/keys", dynamodb).access.keys(ACCOUNT, before=None, limit=9)
        assert [isinstance(key, Unreadable) and key.why for key in keys] == [WHY] * 3

        audit = self.newer("audit/of-account", dynamodb).audit
        last = AuditPosition(at=at(10), key="")
        day = audit.of_day(ACCOUNT, at(9).date(), since=at(9, 0), before=last, limit=9)
        place = AuditPosition(at=at(9), key="queue#pause")
        assert day == [(place, Unreadable(key=place, why=WHY, account_id=ACCOUNT))]


class TestWriting:
    """Today's stores write the items of the golden files, so that the release before this one can read them."""

    @pytest.mark.parametrize("golden", WRITTEN, ids=_id)
    def test_a_value_is_written_as_its_golden_items(self, golden: Golden, dynamodb: DynamoDb) -> None:
        if golden.name in WRITTEN_OTHERWISE:
            pytest.skip("written in a way that the release before this one can read")
        assert text_of(written(golden, dynamodb)) == text_of(items_in(SCHEMA, golden.name)), (
            f"{golden.name} is written in another way than before. If the release before this one can read it, name "
            f"it in WRITTEN_OTHERWISE; if not, the schema number must rise. {HELP}"
        )

    def test_every_item_has_the_schema_number_of_its_folder(self) -> None:
        for schema, golden in SEVERAL:
            for items in items_in(schema, golden.name).values():
                assert {item["schema"]["N"] for item in items} == {str(schema)}, golden.name

    def test_what_is_written_is_read(self) -> None:
        assert SCHEMA in READABLE


class TestFiles:
    """Files are added, never changed."""

    @pytest.mark.parametrize("schema", READABLE)
    def test_no_file_is_changed_or_removed(self, schema: int) -> None:
        changed = [
            name
            for name, digest in pinned(schema).items()
            if name not in names_in(schema) or digest_of(schema, name) != digest
        ]
        assert changed == [], (
            f"These files of schema-{schema} were changed or removed. They hold what a release stored: restore them, "
            f"and add new ones beside them. {HELP}"
        )

    @pytest.mark.parametrize("schema", READABLE)
    def test_every_file_is_pinned_and_in_the_catalogue(self, schema: int) -> None:
        assert names_in(schema) == set(pinned(schema)), "write files with `make golden`"
        assert names_in(schema) <= set(NAMES), f"an entry of the catalogue was removed or renamed. {HELP}"

    def test_every_entry_of_the_catalogue_has_a_file(self) -> None:
        assert len(set(NAMES)) == len(NAMES)
        current = set(NAMES) - {golden.name for golden in GOLDENS if golden.until is not None}
        assert current - names_in(SCHEMA) == set(), "run `make golden`, and commit the new files"

    def test_the_files_stay_small(self) -> None:
        size = sum(len(json.dumps(items_in(SCHEMA, golden.name))) for golden in WRITTEN)
        assert size < 200_000


class TestMutations:
    """The tests above notice an item with another meaning, and an index key of another form."""

    @pytest.mark.parametrize(
        ("name", "old", "new"),
        [
            ("instances/retrying", '"attempt":2', '"attempt":3'),
            ("instances/stuck-in-doubt", '"pausedFor":"IN_DOUBT"', '"pausedFor":"EXHAUSTED"'),
            ("strategies/full", '"paused": {"BOOL": true}', '"paused": {"BOOL": false}'),
            ("access/keys", '"role":"viewer"', '"role":"admin"'),
            ("audit/full", "b-1", "b-2"),
        ],
    )
    def test_an_item_with_another_meaning_is_read_as_another_value(
        self, name: str, old: str, new: str, dynamodb: DynamoDb
    ) -> None:
        golden = next(golden for golden in GOLDENS if golden.name == name)
        text = json.dumps(items_in(1, name))
        escaped = {old, json.dumps(old)[1:-1]}
        assert any(form in text for form in escaped), name
        for form in escaped:
            text = text.replace(form, new if form == old else json.dumps(new)[1:-1])

        assert read(golden, json.loads(text), dynamodb) != golden.value

    def test_an_index_key_of_another_form_is_not_found(self, dynamodb: DynamoDb) -> None:
        golden = next(golden for golden in GOLDENS if golden.name == "instances/retrying")
        (item,) = items_in(1, golden.name)["instances"]
        moved = {**item, "phaseShard": {"S": "acme/RETRYING/5"}}

        assert read(golden, {"instances": [moved]}, dynamodb) != golden.value
