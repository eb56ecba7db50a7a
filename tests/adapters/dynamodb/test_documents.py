"""Stored documents and items are read back exactly as they were written, or not at all."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import NODEFAULT, Struct
from msgspec.structs import FieldInfo, fields, replace

from shared.adapters.dynamodb import bulk_documents, documents
from shared.adapters.dynamodb.forms import (
    ANCHOR,
    FLAG,
    OWN,
    PAIR,
    TEXT,
    WHOLE,
    from_text,
    instant_text,
    read_instant,
    several,
    to_text,
)
from shared.adapters.dynamodb.items import (
    answer_item,
    answer_of,
    audit_item,
    audit_of,
    entry_item,
    entry_of,
    instance_item,
    instance_of,
    record_item,
    record_of,
)
from shared.adapters.dynamodb.shapes import Member, Shape
from shared.domain.access import Role
from shared.domain.calendar.dates import Anchor
from shared.domain.errors import DateError, StoredShapeError
from shared.domain.instance.event import Event, EventKind, EventStatus, PausedFor, Resolution
from shared.domain.instance.model import BlockedBy, CancelReason, InstanceStatus, Sweep
from shared.domain.instance.run import Ending, Path, StepError
from tests import full
from tests.factories import changed

INSTANTS = st.datetimes(timezones=st.just(UTC))
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda values: st.lists(values) | st.dictionaries(st.text(), values),
)
EMPTY: tuple[object, ...] = (None, "", (), {}, 0, False)


class Half(Struct, frozen=True, kw_only=True):
    note: str = ""


class Halves(Struct, frozen=True, kw_only=True):
    first: Half | None = None


class Whole(Struct, frozen=True, kw_only=True):
    note: str


class Pair(Struct, frozen=True, kw_only=True):
    note: str
    part: Whole


def forgotten(value: object, path: str) -> Iterator[str]:
    """Yield the fields, at any depth, that are empty or have their default."""
    if isinstance(value, tuple):
        for element in value:
            yield from forgotten(element, path)
    if isinstance(value, Struct):
        for field in fields(value):
            found = getattr(value, field.name)
            # False says something where the default is True.
            if found == default(field) or (found in EMPTY and default(field) is not True):
                yield f"{path}.{field.name}"
            yield from forgotten(found, f"{path}.{field.name}")


def default(field: FieldInfo) -> object:
    return field.default if field.default_factory is NODEFAULT else field.default_factory()


class TestTheFullObjects:
    """``tests/full.py`` sets every field of every stored class, so contract tests see it survive."""

    @pytest.mark.parametrize("value", full.EVERYTHING, ids=lambda value: type(value).__name__)
    def test_the_full_objects_set_every_field(self, value: object) -> None:
        assert list(forgotten(value, type(value).__name__)) == []

    def test_the_full_objects_include_every_shape(self) -> None:
        told = [*vars(documents).values(), *vars(bulk_documents).values()]
        shapes = {v._kind for v in told if isinstance(v, Shape)}
        found: set[type] = set()

        def collect(value: object) -> None:
            if isinstance(value, tuple):
                for element in value:
                    collect(element)
            if isinstance(value, Struct):
                found.add(type(value))
                for field in fields(value):
                    collect(getattr(value, field.name))

        collect(full.EVERYTHING)
        assert shapes <= found

    def test_a_shape_that_forgets_a_field_is_refused(self) -> None:
        with pytest.raises(
            TypeError, match=r"StepError: shape and class differ in \['data', 'kind', 'status'\]"
        ):
            Shape(StepError, {"message": Member("message", TEXT)})


class TestParts:
    """The members of a value object are in the document of its owner, beside the owner's own."""

    def test_dividing_a_class_into_parts_changes_no_document(self) -> None:
        document = documents.EVENT.write(full.EVENT)
        assert (document["run"], document["crashes"], document["pausedFor"]) == (3, 2, "IN_DOUBT")
        assert not {"times", "claim", "progress", "pause"} & set(document)

    def test_a_missing_part_is_read_as_none(self) -> None:
        event = replace(full.EVENT, pause=None)
        document = documents.EVENT.write(event)
        assert "pausedFor" not in document
        assert documents.EVENT.read(document) == event

    def test_an_incomplete_part_is_refused(self) -> None:
        document = documents.EVENT.write(full.EVENT)
        del document["pausedFor"]
        with pytest.raises(StoredShapeError, match=r"EventPause: .*waits_for"):
            documents.EVENT.read(document)

    def test_a_part_that_could_be_lost_is_refused(self) -> None:
        with pytest.raises(TypeError, match="a part would be lost"):
            Shape(Halves, {}, parts={"first": Shape(Half, {"note": Member("note", TEXT)})})

    def test_two_members_with_the_same_name_are_refused(self) -> None:
        part = Shape(Whole, {"note": Member("note", TEXT)})
        with pytest.raises(TypeError, match="two fields have the same name"):
            Shape(Pair, {"note": Member("note", TEXT)}, parts={"part": part})


class TestItems:
    """An item has keys, attributes for indexes, and one document."""

    def test_an_instance_item_has_its_keys_and_indexes(self) -> None:
        item = instance_item(full.INSTANCE)
        assert instance_of(item) == full.INSTANCE
        assert {name: value for name, value in item.items() if name != "doc"} == {
            "sid": {"S": full.SID},
            "accountId": {"S": "acme"},
            "schema": {"N": "1"},
            "rev": {"N": "21"},
            "strategyPhase": {"S": f"{full.STRATEGY}#STUCK"},
            "ownerShard": {"S": "acme#5"},
            "createdSid": {"S": f"2026-01-01T10:30:15.001Z#{full.SID}"},
            "phaseShard": {"S": "acme#STUCK#5"},
            "phaseOrder": {
                "S": f"exhausted:http-402#{full.STRATEGY}#2026-01-01T10:30:15.001Z#{full.SID}",
            },
            "problemShard": {"S": "acme#5"},
            "problemAt": {"S": f"2026-01-12T10:30:15.000Z#{full.SID}"},
            "referenceKey": {"S": "acme#order-4711"},
            "attribute1": {"S": 'acme#["memberId","m-1"]'},
            "attribute2": {"S": 'acme#["monthlyFee","39"]'},
            "sweepPartition": {"S": "far#13"},
            "sweepAt": {"S": "2026-01-10T10:30:15.000Z"},
        }

    def test_an_instance_without_sweep_has_no_sweep_entry(self) -> None:
        stop = None if full.INSTANCE.stop is None else replace(full.INSTANCE.stop, until=None)
        item = instance_item(replace(full.INSTANCE, lease=None, cancellation=None, stop=stop))
        assert not {"sweepPartition", "sweepAt"} & set(item)

    @pytest.mark.parametrize("is_canceled", [False, True])
    def test_a_paused_instance_has_a_sweep_entry_for_its_next_date(self, is_canceled: bool) -> None:  # noqa: FBT001 - a case
        """The pause ends on 11 January; the cancellation is on 28 January."""
        instance = replace(full.INSTANCE, lease=None, sweep=Sweep())
        if is_canceled:
            stop = None if instance.stop is None else replace(instance.stop, until=None)
            instance = replace(instance, stop=stop)
        item = instance_item(instance)
        day = "28" if is_canceled else "11"
        # The queue blocks it, but the sweeper must find it.
        assert item["sweepPartition"] == {"S": "13"}
        assert item["sweepAt"] == {"S": f"2026-01-{day}T10:33:15.000Z"}

    def test_a_journal_entry_item_has_its_keys(self) -> None:
        item = entry_item(full.INSTANCE, full.ENTRY)
        assert entry_of(item) == full.ENTRY
        assert {name: value for name, value in item.items() if name != "doc"} == {
            "instanceSid": {"S": full.SID},
            "sk": {"S": "s#00000007#0002#0003"},
            "accountId": {"S": "acme"},
            "schema": {"N": "1"},
            "fence": {"N": "11"},
        }

    def test_an_answer_item_has_its_keys(self) -> None:
        item = answer_item(full.INSTANCE, 7, full.ANSWER)
        assert answer_of(item) == full.ANSWER
        assert {name: value for name, value in item.items() if name != "doc"} == {
            "instanceSid": {"S": full.SID},
            "sk": {"S": "s#00000007#answer#f00d"},
            "accountId": {"S": "acme"},
            "schema": {"N": "1"},
        }

    def test_a_record_item_has_its_keys_and_index(self) -> None:
        item = record_item(full.INSTANCE, full.RECORD)
        assert record_of(item) == full.RECORD
        assert {name: value for name, value in item.items() if name != "doc"} == {
            "instanceSid": {"S": full.SID},
            "sk": {"S": "e#00000007"},
            "accountId": {"S": "acme"},
            "schema": {"N": "1"},
            "fence": {"N": "11"},
            "accountMonth": {"S": "acme#2026-01#13"},
            "finishedAt": {"S": f"2026-01-10T10:30:15.000Z#{full.RECORD.event.status.value}"},
        }

    def test_a_record_expires_some_time_after_its_event_closed(self) -> None:
        item = record_item(full.INSTANCE, full.RECORD, kept=timedelta(days=90))
        assert record_of(item) == full.RECORD
        assert item["expiresAt"] == {"N": str(int(datetime(2026, 4, 10, 10, 30, 15, tzinfo=UTC).timestamp()))}
        assert {**item, "expiresAt": None} == {**record_item(full.INSTANCE, full.RECORD), "expiresAt": None}

    def test_an_audit_entry_expires_some_time_after_its_instant(self) -> None:
        item = audit_item(full.AUDIT, kept=timedelta(days=365))
        assert audit_of(item) == full.AUDIT
        assert item["expiresAt"] == {"N": str(int(datetime(2027, 1, 9, 10, 30, 15, tzinfo=UTC).timestamp()))}

    @pytest.mark.parametrize(
        "item", [entry_item(full.INSTANCE, full.ENTRY), answer_item(full.INSTANCE, 7, full.ANSWER)]
    )
    def test_the_journal_of_an_event_never_expires_by_itself(self, item: dict[str, Any]) -> None:
        assert "expiresAt" not in item

    def test_an_audit_entry_item_has_its_keys(self) -> None:
        item = audit_item(full.AUDIT, shard=full.INSTANCE.shard, rev=full.INSTANCE.rev)
        assert audit_of(item) == full.AUDIT
        assert {name: value for name, value in item.items() if name != "doc"} == {
            "accountDay": {"S": "acme#2026-01-09#5"},
            "sk": {"S": f"2026-01-09T10:30:15.005Z#{full.SID}#21"},
            "accountTarget": {"S": f"acme#{full.SID}"},
            "accountOperation": {"S": f"acme#{full.AUDIT.operation}"},
            "accountId": {"S": "acme"},
            "schema": {"N": "1"},
        }

    def test_an_audit_entry_without_operation_is_in_one_index_only(self) -> None:
        assert "accountOperation" not in audit_item(replace(full.AUDIT, operation=None))

    @pytest.mark.parametrize(
        ("changes", "complaint"),
        [
            ({"schema": {"N": "2"}}, "an item has schema 2 instead of 1"),
            ({"schema": None}, "an item has schema None"),
            ({"rev": None}, "an item has no rev"),
            ({"accountId": None, "doc": None}, "an item has no accountId, doc"),
            ({"doc": {"S": "{"}}, "is not a JSON document"),
            ({"doc": {"S": "[]"}}, "Instance is not an object but list"),
        ],
    )
    def test_an_item_of_another_shape_is_refused(self, changes: dict[str, Any], complaint: str) -> None:
        item: dict[str, Any] = {**instance_item(full.INSTANCE), **changes}
        with pytest.raises(StoredShapeError, match=complaint):
            instance_of({name: value for name, value in item.items() if value is not None})


class TestDocuments:
    """Documents are short, and leave out usual values."""

    def test_usual_values_of_an_event_are_left_out(self) -> None:
        when = datetime(2026, 2, 1, 9, tzinfo=UTC)
        event = Event(
            seq=1,
            kind=EventKind.MAIN,
            task="charge",
            date=when,
            due_at=when,
            status=EventStatus.PENDING,
            created_at=when,
            updated_at=when,
            created_cycle=1,
        )
        assert documents.EVENT.write(event) == {
            "seq": 1,
            "task": "charge",
            "date": "2026-02-01T09:00:00.000Z",
            "created": "2026-02-01T09:00:00.000Z",
            "cycle": 1,
        }
        assert documents.EVENT.read(documents.EVENT.write(event)) == event

    @pytest.mark.parametrize(
        ("path", "value", "complaint"),
        [
            (["surprise"], 1, "Instance has no member 'surprise'"),
            (["version"], None, "Instance: .*strategy_version"),
            (["status"], "RESTING", "Instance.status is not a valid InstanceStatus: 'RESTING'"),
            (["status"], 7, "Instance.status is not a valid InstanceStatus"),
            (["cycle"], True, "Plan.cycle is not a whole number but bool"),
            (["cycle"], 1.0, "Plan.cycle is not a whole number but float"),
            (["note"], 1, "Stoppage.note is not a text but int"),
            (["planEnded"], 1, "Plan.planEnded is not true or false but int"),
            (["attributes"], [], "Instance.attributes is not an object but list"),
            (["events"], {}, "Instance.events is not a list but dict"),
            (["events", 0, "applied"], [1], "Instance.events Event.applied is not a pair"),
            (["events", 0, "created"], "yesterday", "Event.created is not an instant"),
            (["events", 0, "created"], "2026-02-30T00:00:00.000Z", "Event.created is not an instant"),
            (["events", 0, "created"], 5, "Event.created is not an instant"),
            (
                ["events", 0, "action"],
                {"intent": {}, "end": {}},
                "RunProgress.action is not one of intent, end",
            ),
            (["events", 0, "action"], {"begin": {}}, "RunProgress.action is not one of intent, end"),
            (["events", 0, "action", "intent", "failure", "error", "message"], None, "StepError: .*message"),
            (["plan", "anchor"], "2026-02-31", "Moment.anchor is not a local date and time"),
            (["plan", "anchor"], 20260231, "Moment.anchor is not a local date and time"),
        ],
    )
    def test_an_invalid_document_is_refused(self, path: list[Any], value: object, complaint: str) -> None:
        document = json.loads(to_text(documents.INSTANCE.write(full.INSTANCE)))
        place = document
        for step in path[:-1]:
            place = place[step]
        if value is None:
            del place[path[-1]]
        else:
            place[path[-1]] = value
        with pytest.raises(StoredShapeError, match=complaint):
            documents.INSTANCE.read(
                document,
                full.SID,
                sid=full.SID,
                account_id=full.ACCOUNT,
                rev=1,
                strategy_sid=full.STRATEGY,
                created_at=full.at(1),
            )

    @pytest.mark.parametrize("begun", [None, full.at(3)])
    @pytest.mark.parametrize("scheduled", [None, full.at(3), full.at(4)])
    @pytest.mark.parametrize("executed", [None, full.at(3), full.at(4)])
    def test_omitted_times_are_not_confused_with_none(
        self, begun: datetime | None, scheduled: datetime | None, executed: datetime | None
    ) -> None:
        event = changed(full.EVENT, begun_at=begun, scheduled_at=scheduled, executed_at=executed)
        assert documents.EVENT.read(from_text(to_text(documents.EVENT.write(event)))) == event

    def test_null_is_refused_for_a_member_that_is_never_null(self) -> None:
        with pytest.raises(StoredShapeError, match=r"StepError\.status is not a whole number but NoneType"):
            documents.STEP_ERROR.read({"message": "", "status": None})

    @pytest.mark.parametrize(
        ("kind", "field", "shape", "of"),
        [
            (EventKind, "kind", documents.EVENT, full.EVENT),
            (EventStatus, "status", documents.EVENT, full.EVENT),
            (PausedFor, "waits_for", documents.PAUSE, full.EVENT.pause),
            (Resolution, "resolution", documents.PROGRESS, full.EVENT.progress),
            (CancelReason, "cancel_reason", documents.STOPPAGE, full.INSTANCE.stop),
            (BlockedBy, "by", documents.BLOCKED, full.INSTANCE.blocked),
            (Path, "path", documents.INTENT, full.INTENT),
            (Ending, "how", documents.RUN_END, full.END),
        ],
    )
    def test_every_member_of_every_enumeration_survives(
        self, kind: type[StrEnum], field: str, shape: Shape[Any], of: Any
    ) -> None:
        for member in kind:
            value = replace(of, **{field: member})
            assert shape.read(from_text(to_text(shape.write(value)))) == value

    def test_every_status_of_an_instance_survives(self) -> None:
        for status in InstanceStatus:
            value = replace(full.INSTANCE, status=status)
            assert instance_of(instance_item(value)) == value

    def test_every_role_survives(self) -> None:
        for role in Role:
            key = replace(full.KEY, role=role)
            document = documents.ACCESS_KEY.write(key)
            assert documents.ACCESS_KEY.read(document, key_id="k1", account_id=full.ACCOUNT) == key


class TestForms:
    """The forms of single values."""

    @pytest.mark.parametrize(
        ("at", "text"),
        [
            (datetime(2026, 1, 31, 9, tzinfo=UTC), "2026-01-31T09:00:00.000Z"),
            (datetime(2026, 1, 31, 9, 0, 0, 250_000, tzinfo=UTC), "2026-01-31T09:00:00.250Z"),
            (datetime(2026, 1, 31, 9, 0, 0, 250_001, tzinfo=UTC), "2026-01-31T09:00:00.250001Z"),
            (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00.000Z"),
        ],
    )
    def test_an_instant_is_written_in_utc(self, at: datetime, text: str) -> None:
        assert instant_text(at) == text
        assert read_instant(text) == at

    def test_an_instant_without_an_offset_is_not_written(self) -> None:
        with pytest.raises(DateError):
            instant_text(datetime(2026, 1, 31))  # noqa: DTZ001 - the point of the test

    @given(INSTANTS)
    def test_every_instant_survives_exactly(self, at: datetime) -> None:
        assert read_instant(instant_text(at)) == at

    @pytest.mark.parametrize(
        ("value", "stored"),
        [("i-1-7-2-3", "-7-2-3"), ("i-12-7-2-3", "i-12-7-2-3"), ("i-1", "i-1"), ("", "")],
    )
    def test_an_id_is_stored_without_its_owners_sid(self, value: str, stored: str) -> None:
        assert OWN.write(value, "i-1") == stored
        assert OWN.read(stored, "i-1") == value

    def test_an_id_that_would_be_read_as_another_is_not_written(self) -> None:
        with pytest.raises(StoredShapeError, match="is not an id"):
            OWN.write("-7", "i-1")

    @pytest.mark.parametrize(
        ("anchor", "text"),
        [
            (Anchor(year=2026, month=2, day=31, hour=24), "2026-02-31T24:00"),
            (Anchor(year=2026, month=2, day=3, hour=4, minute=5, second=6), "2026-02-03T04:05:06"),
            (Anchor(year=26, month=2, day=3, microsecond=70), "0026-02-03T00:00:00.000070"),
        ],
    )
    def test_a_local_date_is_written_as_requested(self, anchor: Anchor, text: str) -> None:
        assert ANCHOR.write(anchor, "") == text
        assert ANCHOR.read(text, "") == anchor

    @given(
        st.builds(
            Anchor,
            year=st.integers(1, 9999),
            month=st.integers(1, 12),
            day=st.integers(1, 31),
            hour=st.integers(0, 24),
            minute=st.integers(0, 59),
            second=st.integers(0, 59),
            microsecond=st.integers(0, 999_999),
        )
    )
    def test_every_local_date_survives_exactly(self, anchor: Anchor) -> None:
        assert ANCHOR.read(ANCHOR.write(anchor, ""), "") == anchor

    @given(JSON)
    def test_every_json_value_survives_exactly(self, value: Any) -> None:
        assert from_text(to_text(value)) == value

    @pytest.mark.parametrize("value", ["\ud83d", {"\udc00": ["a\udfffb"]}])
    def test_an_unpaired_surrogate_is_escaped(self, value: Any) -> None:
        assert to_text(value).encode()
        assert from_text(to_text(value)) == value

    def test_letters_outside_ascii_are_not_escaped(self) -> None:
        assert to_text({"name": "会员 ünï"}) == '{"name":"会员 ünï"}'

    @pytest.mark.parametrize(
        ("form", "stored"), [(TEXT, 1), (WHOLE, "1"), (FLAG, 0), (PAIR, "ab"), (several(TEXT), ["a", 1])]
    )
    def test_values_of_another_type_are_refused(self, form: Any, stored: object) -> None:
        with pytest.raises(StoredShapeError):
            form.read(stored, "")
