"""The streams of the local stack: a log of writes, and a feed that gives each to the publisher at least once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from dev.aws import database
from dev.change_log import STREAMED, WriteWatch, append, lines_from
from dev.feed import SETTLED_SECONDS, Feed
from shared.adapters.aws.errors import AwsError
from shared.adapters.dynamodb.items import instance_item
from shared.adapters.dynamodb.tables import Tables, table_definitions
from tests.factories import an_instance

TABLES = {kind: kind for kind in STREAMED}


def image(rev: int, **members: Any) -> dict[str, Any]:
    return {**instance_item(an_instance(rev=rev)), **members}


class TestTheLog:
    """Lines are appended by several processes, and a line that is cut off is not read."""

    def test_lines_are_read_with_their_places(self, tmp_path: Path) -> None:
        path = tmp_path / "log"
        append(path, {"n": 1})
        append(path, {"n": 22})

        assert list(lines_from(path, 0)) == [(0, 8, {"n": 1}), (8, 17, {"n": 22})]
        assert list(lines_from(path, 8)) == [(8, 17, {"n": 22})]
        assert list(lines_from(path, 17)) == []

    def test_a_line_that_is_being_written_is_not_read(self, tmp_path: Path) -> None:
        path = tmp_path / "log"
        append(path, {"n": 1})
        path.write_bytes(path.read_bytes() + b'{"n": 2')

        assert [line for *_, line in lines_from(path, 0)] == [{"n": 1}]

    def test_a_log_that_does_not_exist_is_empty(self, tmp_path: Path) -> None:
        assert list(lines_from(tmp_path / "log", 0)) == []


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with mock_aws():
        for definition in table_definitions(Tables()):
            boto3.client("dynamodb").create_table(**definition)
        yield database(boto3.Session())


class TestWatching:
    """Each write of a streamed table is logged before it is sent, and confirmed after it was stored."""

    @pytest.fixture
    def log(self, client: Any, tmp_path: Path) -> Path:
        WriteWatch(client, tmp_path / "log", TABLES).begin()
        return tmp_path / "log"

    @staticmethod
    def lines(log: Path) -> list[dict[str, Any]]:
        return [line for *_, line in lines_from(log, 0)]

    def test_a_write_has_both_images_and_is_confirmed(self, client: Any, log: Path) -> None:
        for rev in (1, 2):
            client.put_item(TableName="instances", Item=image(rev))

        first, stored, second, _ = self.lines(log)
        assert (first["kind"], first["before"], first["after"]) == ("instances", None, image(1))
        assert stored == {"stored": first["write"]}
        assert (second["before"], second["after"]) == (image(1), image(2))

    def test_each_put_of_a_transaction_is_a_write(self, client: Any, log: Path) -> None:
        strategy = {"sid": {"S": "s"}, "sk": {"S": "head"}}
        puts = [{"TableName": "instances", "Item": image(1)}, {"TableName": "strategies", "Item": strategy}]
        client.transact_write_items(TransactItems=[{"Put": put} for put in puts])

        writes = [line for line in self.lines(log) if "write" in line]
        assert [write["kind"] for write in writes] == ["instances", "strategies"]
        assert {line["stored"] for line in self.lines(log) if "stored" in line} == {
            w["write"] for w in writes
        }

    def test_a_refused_write_is_not_confirmed(self, client: Any, log: Path) -> None:
        with pytest.raises(AwsError):
            client.put_item(TableName="instances", Item=image(1), ConditionExpression="attribute_exists(sid)")

        assert ["write" in line for line in self.lines(log)] == [True]

    def test_other_tables_are_not_logged(self, client: Any, log: Path) -> None:
        client.put_item(TableName="audit", Item={"accountDay": {"S": "a"}, "sk": {"S": "b"}})

        assert self.lines(log) == []


@dataclass
class Town:
    """A log with its feed, an item in the table, and a publisher that returns ``answers`` in their order."""

    folder: Path
    item: Mapping[str, Any] | None = None
    answers: list[Mapping[str, Any] | None] = field(default_factory=list)
    batches: list[list[str]] = field(default_factory=list)
    now: float = 1000.0

    def feed(self) -> Feed:
        """Return a feed as a process has it after its start."""
        return Feed(
            self.folder / "log",
            self.folder,
            TABLES,
            read=lambda *_: self.item,
            publish=self.publish,
            seconds=lambda: self.now,
        )

    def write(self, name: str, before: Any, after: Any, *, stored: bool = True) -> None:
        append(self.folder / "log", {"write": name, "kind": "instances", "before": before, "after": after})
        if stored:
            append(self.folder / "log", {"stored": name})

    def publish(self, records: list[dict[str, Any]]) -> Mapping[str, Any] | None:
        self.batches.append([record["dynamodb"]["NewImage"]["rev"]["N"] for record in records])
        answer = self.answers.pop(0) if self.answers else {"batchItemFailures": []}
        if answer is not None and "from" in answer:
            failed = records[answer["from"]]["dynamodb"]["SequenceNumber"]
            return {"batchItemFailures": [{"itemIdentifier": failed}]}
        return answer


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path)


class TestPublishing:
    """Stored writes are published. The position advances only when they are."""

    def test_stored_writes_are_published_once(self, town: Town) -> None:
        feed = town.feed()
        town.write("a", None, image(1))
        town.write("b", image(1), image(2))

        assert feed.advance()
        assert feed.advance()
        assert town.batches == [["1", "2"]]

    def test_a_failed_batch_is_repeated(self, town: Town) -> None:
        feed = town.feed()
        town.write("a", None, image(1))
        town.answers = [None]

        assert not feed.advance()
        assert feed.position == 0
        assert feed.advance()
        assert town.batches == [["1"], ["1"]]

    def test_a_batch_is_repeated_from_its_first_failure(self, town: Town) -> None:
        feed = town.feed()
        for rev in (1, 2, 3):
            town.write(f"w{rev}", image(rev - 1), image(rev))
        town.answers = [{"from": 1}]

        assert not feed.advance()
        assert feed.advance()
        assert town.batches == [["1", "2", "3"], ["2", "3"]]

    def test_a_hundred_records_are_a_batch(self, town: Town) -> None:
        feed = town.feed()
        for rev in range(1, 202):
            town.write(f"w{rev}", image(rev - 1), image(rev))

        feed.advance()

        assert [len(batch) for batch in town.batches] == [100, 100, 1]

    def test_a_new_process_continues_after_what_was_published(self, town: Town) -> None:
        feed = town.feed()
        town.write("a", None, image(1))
        feed.advance()
        town.write("b", image(1), image(2))

        town.feed().advance()

        assert town.batches == [["1"], ["2"]]

    def test_a_process_that_was_killed_before_the_answer_publishes_again(self, town: Town) -> None:
        town.write("a", None, image(1))
        town.answers = [None]
        town.feed().advance()

        town.feed().advance()

        assert town.batches == [["1"], ["1"]]


class TestUnknownWrites:
    """If a process was killed between a write and its answer, the item says whether it was stored."""

    def settled(self, town: Town, feed: Feed) -> list[list[str]]:
        feed.advance()
        assert town.batches == [], "its answer may still come"
        town.now += SETTLED_SECONDS
        feed.advance()
        return town.batches

    def test_a_write_that_the_item_shows_is_published(self, town: Town) -> None:
        feed = town.feed()
        town.write("a", image(1), image(2), stored=False)
        town.item = image(2, sweepAt={"S": "moved on since"})

        assert self.settled(town, feed) == [["2"]]

    def test_a_write_that_a_later_one_replaced_is_published(self, town: Town) -> None:
        feed = town.feed()
        town.write("a", image(1), image(2), stored=False)
        town.write("b", image(2), image(3), stored=False)
        town.item = image(3)

        assert self.settled(town, feed) == [["2", "3"]]

    def test_a_write_that_was_never_stored_is_not(self, town: Town) -> None:
        feed = town.feed()
        town.write("a", image(1), image(2, doc={"S": "lost"}), stored=False)
        town.item = image(2)

        assert self.settled(town, feed) == []
        assert feed.position > 0

    def test_an_item_that_was_never_created_is_not(self, town: Town) -> None:
        feed = town.feed()
        town.write("a", None, image(1), stored=False)

        assert self.settled(town, feed) == []

    def test_an_unknown_write_keeps_its_place_in_the_log(self, town: Town) -> None:
        town.write("a", None, image(1), stored=False)
        town.write("b", image(1), image(2))
        town.feed().advance()
        assert town.batches == [["2"]]

        feed = town.feed()
        town.batches.clear()
        feed.advance()
        town.now += SETTLED_SECONDS
        feed.advance()

        assert town.batches == [["2"], ["1"]]
