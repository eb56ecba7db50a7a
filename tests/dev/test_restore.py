"""Tables restored to one moment, under new names, with the settings that DynamoDB leaves out of a restore."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.dynamodb.models import dynamodb_backends

from dev.aws import database
from dev.restore import NAMES, Restore, RestoreError, main
from dev.template import Template
from shared.adapters.dynamodb.access import DynamoDbAccess
from shared.adapters.dynamodb.tables import Tables, table_definitions
from shared.domain.access import AccessKey, Role
from shared.domain.ids import AccountId
from shared.domain.strategy.flag import Flag

REGION, ACCOUNT = "eu-central-1", "123456789012"
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
AT = datetime(2026, 2, 20, 6, 0, tzinfo=UTC)
IN_USE = Tables(**{name: f"ritornello-test-{name}" for name in NAMES})
RESTORED = Tables(**{name: f"ritornello-test-{name}-restored-1" for name in NAMES})
ROOT = Path(__file__).parents[2]


def denied(*_: object, **__: object) -> None:
    """Fail as DynamoDB does if a right is missing."""
    error = {"Code": "AccessDeniedException", "Message": "not authorized to perform: dynamodb:DescribeTable"}
    raise ClientError({"Error": error}, "RestoreTableToPointInTime")


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with mock_aws():
        made = boto3.client("dynamodb")
        for definition in table_definitions(IN_USE):
            made.create_table(**definition)
            recoverable(definition["TableName"], NOW - timedelta(days=35), NOW)
        yield made


def recoverable(table: str, earliest: datetime, latest: datetime) -> None:
    """Let the emulated table be restored to the moments between these two."""
    backups = dynamodb_backends[ACCOUNT][REGION].tables[table].continuous_backups
    backups["PointInTimeRecoveryDescription"] = {
        "PointInTimeRecoveryStatus": "ENABLED",
        "EarliestRestorableDateTime": earliest.timestamp(),
        "LatestRestorableDateTime": latest.timestamp(),
    }


def restored_to(table: str, moment: datetime) -> None:
    """Let an emulated table remember that it was restored to a moment; the emulator takes the present for it."""
    restored: Any = dynamodb_backends[ACCOUNT][REGION].tables[table]
    restored.restore_date_time = moment.timestamp()


@pytest.fixture
def restore(client: Any) -> Restore:
    return a_restore(client, "test")


def a_restore(client: Any, stage: str) -> Restore:
    stores = database(boto3.Session())
    return Restore(client=client, stores=stores, stage=stage, suffix="-restored-1", sleep=lambda _: None)


def a_key(account: str) -> AccessKey:
    return AccessKey(
        key_id=f"key-{account}",
        account_id=AccountId(account),
        role=Role.ADMIN,
        secret_hash="0" * 64,
        created_at=NOW,
    )


class TestRestoring:
    """All six tables are restored to the same moment, and those in use stay as they are."""

    def test_every_table_is_restored_under_its_new_name(self, client: Any, restore: Restore) -> None:
        DynamoDbAccess(client=client, tables=IN_USE).put_key(a_key("acme"))

        made = restore.run(AT)

        assert made.at == AT
        assert DynamoDbAccess(client=client, tables=RESTORED).key("key-acme") == a_key("acme")
        assert set(client.list_tables()["TableNames"]) == {
            *(getattr(IN_USE, name) for name in NAMES),
            *(getattr(RESTORED, name) for name in NAMES),
        }

    def test_the_latest_moment_is_one_that_all_tables_have(self, restore: Restore) -> None:
        recoverable(IN_USE.events, NOW - timedelta(days=35), NOW - timedelta(minutes=4))

        assert restore.run().at == NOW - timedelta(minutes=4)

    def test_a_moment_that_one_table_lacks_restores_nothing(self, client: Any, restore: Restore) -> None:
        recoverable(IN_USE.audit, AT + timedelta(seconds=1), NOW)

        with pytest.raises(RestoreError, match="from 2026-02-20T06:00:01"):
            restore.run(AT)

        assert len(client.list_tables()["TableNames"]) == len(NAMES)

    def test_a_table_without_recovery_restores_nothing(self, client: Any, restore: Restore) -> None:
        client.update_continuous_backups(
            TableName=IN_USE.access, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": False}
        )

        with pytest.raises(RestoreError, match="ritornello-test-access has no point-in-time recovery"):
            restore.run(AT)

        assert len(client.list_tables()["TableNames"]) == len(NAMES)

    def test_a_deployment_that_does_not_exist_is_named(self, client: Any) -> None:
        with pytest.raises(RestoreError, match="ritornello-prod-strategies: TableNotFoundException"):
            a_restore(client, "prod").run()


class TestRepeating:
    """A restore that was cut off is repeated, and never mixes two moments."""

    def test_a_repeated_restore_gives_the_same(self, client: Any, restore: Restore) -> None:
        first = restore.run(AT, pause=False)
        for name in NAMES:
            restored_to(getattr(RESTORED, name), AT)

        assert restore.run(AT, pause=False) == first
        assert len(client.list_tables()["TableNames"]) == 2 * len(NAMES)

    def test_missing_tables_are_restored_to_the_moment_of_the_rest(
        self, client: Any, restore: Restore
    ) -> None:
        restore.run(AT)
        for name in NAMES:
            restored_to(getattr(RESTORED, name), AT)
        client.delete_table(TableName=RESTORED.audit)

        assert restore.run().at == AT

    def test_another_moment_under_the_same_names_is_refused(self, restore: Restore) -> None:
        restore.run(AT)
        for name in NAMES:
            restored_to(getattr(RESTORED, name), AT)

        with pytest.raises(RestoreError, match="was restored to 2026-02-20T06:00:00"):
            restore.run(AT + timedelta(hours=1))

    def test_a_table_of_another_origin_is_refused(self, client: Any, restore: Restore) -> None:
        foreign = next(d for d in table_definitions(RESTORED) if d["TableName"] == RESTORED.events)
        client.create_table(**foreign)

        with pytest.raises(RestoreError, match="was not restored from ritornello-test-events"):
            restore.run(AT)


class TestWhatARestoreLeavesOut:
    """Streams, expiry and point-in-time recovery are set as the template has them."""

    def test_it_is_set_as_in_the_template(self, client: Any, restore: Restore) -> None:
        restore.run(AT)

        template = Template(ROOT / "template.yaml", {"Stage": "test"})
        tables = [r["Properties"] for r in template.document["Resources"].values() if "Table" in r["Type"]]
        for table in tables:
            name = f"{template.resolve(table['TableName'])}-restored-1"
            described = client.describe_table(TableName=name)["Table"]
            stream = described.get("StreamSpecification", {"StreamEnabled": False})
            expiry = client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
            backups = client.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
            assert stream == (
                {"StreamEnabled": True, **table["StreamSpecification"]}
                if "StreamSpecification" in table
                else {"StreamEnabled": False}
            )
            assert expiry.get("AttributeName") == table.get("TimeToLiveSpecification", {}).get(
                "AttributeName"
            )
            assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"

    def test_the_parameters_name_the_streams(self, client: Any, restore: Restore) -> None:
        made = restore.run(AT)

        labels = {
            f"{name.capitalize()}Stream": client.describe_table(TableName=getattr(RESTORED, name))["Table"][
                "LatestStreamLabel"
            ]
            for name in ("instances", "strategies", "operations", "events")
        }
        assert made.parameters == {"AdoptTables": "true", "TablesSuffix": "-restored-1", **labels}

    def test_tables_of_another_backup_are_prepared_as_they_are(self, client: Any, restore: Restore) -> None:
        for definition in table_definitions(RESTORED):
            client.create_table(**definition)

        made = restore.prepare()

        assert made.at is None
        assert set(made.parameters) == {
            "AdoptTables",
            "TablesSuffix",
            "InstancesStream",
            "StrategiesStream",
            "OperationsStream",
            "EventsStream",
        }

    def test_preparing_tables_that_are_missing_is_refused(self, restore: Restore) -> None:
        with pytest.raises(RestoreError, match="not found: ritornello-test-strategies-restored-1, "):
            restore.prepare()


class TestQueues:
    """Events that have run since the moment do not run again before an operator resumes the queue."""

    def test_every_queue_is_paused_in_the_restored_tables_only(self, client: Any, restore: Restore) -> None:
        in_use = DynamoDbAccess(client=client, tables=IN_USE)
        for account in ("acme", "zoo"):
            in_use.put_key(a_key(account))
        in_use.set_queue_flag(AccountId("zoo"), Flag(is_paused=True))

        made = restore.run(AT)

        restored = DynamoDbAccess(client=client, tables=RESTORED)
        assert made.paused == ["acme"]
        assert restored.queue_flag(AccountId("acme")).is_paused
        assert restored.queue_flag(AccountId("zoo")).is_paused
        assert not in_use.queue_flag(AccountId("acme")).is_paused

    def test_the_audit_has_it(self, client: Any, restore: Restore) -> None:
        DynamoDbAccess(client=client, tables=IN_USE).put_key(a_key("acme"))

        restore.run(AT)

        (entry,) = client.scan(TableName=RESTORED.audit)["Items"]
        assert "pause-queue" in str(entry)
        assert "make restore" in str(entry)

    def test_queues_can_be_left_as_they_were(self, client: Any, restore: Restore) -> None:
        DynamoDbAccess(client=client, tables=IN_USE).put_key(a_key("acme"))

        assert restore.run(AT, pause=False).paused == []
        assert not DynamoDbAccess(client=client, tables=RESTORED).queue_flag(AccountId("acme")).is_paused


class TestTheCommand:
    """The command prints the parameters to deploy with. If it fails, it prints the reason in one line."""

    ARGUMENTS = ("--stage", "test", "--suffix=-restored-1")

    def test_the_parameters_and_the_paused_queues_are_printed(
        self, client: Any, capsys: pytest.CaptureFixture[str]
    ) -> None:
        DynamoDbAccess(client=client, tables=IN_USE).put_key(a_key("acme"))

        assert main([*self.ARGUMENTS, "--at", "2026-02-20T06:00:00Z"]) == 0

        printed = capsys.readouterr().out.splitlines()
        assert printed[0].startswith("parameters to deploy with: AdoptTables=true TablesSuffix=-restored-1 ")
        assert printed[1:] == ["queues paused, to be resumed by POST /queue: acme"]

    def test_a_refusal_is_one_line(self, client: Any, capsys: pytest.CaptureFixture[str]) -> None:
        assert client
        assert main([*self.ARGUMENTS, "--prepare"]) == 1
        assert capsys.readouterr().err.startswith("not found: ")

    def test_a_missing_right_is_one_line(
        self, monkeypatch: pytest.MonkeyPatch, client: Any, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert client
        monkeypatch.setattr(Restore, "run", denied)
        assert main(self.ARGUMENTS) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert "AccessDeniedException" in line
        assert "RestoreTableToPointInTime" in line

    @pytest.mark.parametrize(
        "wrong", [["--at", "2026-02-20T06:00:00"], ["--at", "2026-02-20T06:00:00Z", "--prepare"]]
    )
    def test_a_moment_without_an_offset_or_to_no_purpose_is_refused(self, wrong: list[str]) -> None:
        with pytest.raises(SystemExit):
            main([*self.ARGUMENTS, *wrong])
