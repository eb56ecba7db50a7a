"""Restores the six tables of a deployment to one moment, under new names, ready to be adopted by it.

``make restore STAGE= AT= SUFFIX=``. It can be repeated after any failure: finished parts are left as they are. It
changes nothing of the tables that are in use.

DynamoDB restores keys, indexes and items, and neither streams nor expiry nor point-in-time recovery. Those are set
again, as template.yaml has them. The queues of all accounts are paused in the restored tables, because the events
that ran since that moment would otherwise run again as soon as they are adopted.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError
from msgspec.structs import fields

from dev.aws import database
from dev.template import Template
from shared.adapters.aws.errors import AwsError
from shared.adapters.dynamodb.access import DynamoDbAccess
from shared.adapters.dynamodb.client import DynamoDbClient
from shared.adapters.dynamodb.tables import Tables
from shared.application.flags import ACTIVE, PAUSED
from shared.application.ports import UnavailableError
from shared.domain.ids import AccountId
from shared.domain.instance.verdict import Actor, audit_entry

NAMES = tuple(field.name for field in fields(Tables))
"""The names of the tables, by their contents: strategies, instances and so on."""

_TEMPLATE = Path(__file__).parents[1] / "template.yaml"
_POLL_SECONDS = 10.0
# A table that has just been restored may have no continuous backups for some moments.
_ATTEMPTS = 30


class RestoreError(Exception):
    """The tables cannot be restored as asked. Nothing was changed by this run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """The parameters to deploy with, and the accounts whose queues were paused by the restore."""

    at: datetime | None
    parameters: Mapping[str, str]
    paused: Sequence[AccountId]


@dataclass(frozen=True, slots=True, kw_only=True)
class Restore:
    """A restore of the tables of ``stage`` whose names end in ``source``, to tables whose names end in ``suffix``.

    ``client`` is boto3's, and ``stores`` the one of our own stores.
    """

    client: Any
    stores: DynamoDbClient
    stage: str
    suffix: str
    source: str = ""
    sleep: Callable[[float], None] = time.sleep
    report: Callable[[str], None] = lambda _: None

    def run(self, at: datetime | None = None, *, pause: bool = True) -> Restored:
        """Restore to a moment, or to the latest that all tables have. Return the parameters to deploy with.

        Raises: RestoreError: a table cannot be restored to that moment, or a table of that name holds another one.
        """
        moment = self._moment(at)
        missing = [name for name in NAMES if self._described(self._target(name)) is None]
        for name in missing:
            self.report(f"restoring {self._target(name)} to {moment.isoformat()}")
            self.client.restore_table_to_point_in_time(
                SourceTableName=self._source(name), TargetTableName=self._target(name), RestoreDateTime=moment
            )
        return self._prepared(moment, pause=pause)

    def prepare(self, *, pause: bool = True) -> Restored:
        """Prepare tables that were restored by other means, for example from AWS Backup.

        Return the parameters to deploy with.
        Raises: RestoreError: a table is missing.
        """
        missing = [self._target(name) for name in NAMES if self._described(self._target(name)) is None]
        if missing:
            raise RestoreError(f"not found: {', '.join(missing)}")
        return self._prepared(None, pause=pause)

    def _moment(self, at: datetime | None) -> datetime:
        """Return the moment to restore to, if every table can be restored to it."""
        begun = {
            self._target(name): summary["RestoreDateTime"]
            for name in NAMES
            if (table := self._described(self._target(name))) is not None
            and (summary := self._summary(name, table))
        }
        windows = {self._source(name): self._window(self._source(name)) for name in NAMES}
        earliest = max(window[0] for window in windows.values())
        latest = min(window[1] for window in windows.values())
        chosen = at or next(iter(begun.values()), latest)
        for target, moment in begun.items():
            # DynamoDB keeps whole seconds.
            if abs(moment - chosen) >= timedelta(seconds=1):
                raise RestoreError(
                    f"{target} exists and was restored to {moment.isoformat()}: "
                    "choose that moment or another suffix"
                )
        if not begun and not earliest <= chosen <= latest:
            raise RestoreError(
                f"the tables can be restored to moments from {earliest.isoformat()} to {latest.isoformat()}"
            )
        return chosen

    def _summary(self, name: str, table: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return from where and to when an existing table was restored."""
        summary: Mapping[str, Any] = table.get("RestoreSummary", {})
        if not summary.get("SourceTableArn", "").endswith(f":table/{self._source(name)}"):
            raise RestoreError(
                f"{self._target(name)} exists and was not restored from {self._source(name)}: "
                "choose another suffix, or prepare the tables as they are"
            )
        return summary

    def _window(self, table: str) -> tuple[datetime, datetime]:
        """Return the earliest and the latest moment that a table can be restored to."""
        try:
            found = self.client.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
        except ClientError as error:
            raise RestoreError(f"{table}: {error.response['Error']['Code']}") from error
        recovery = found.get("PointInTimeRecoveryDescription", {})
        if recovery.get("PointInTimeRecoveryStatus") != "ENABLED":
            raise RestoreError(f"{table} has no point-in-time recovery")
        return recovery["EarliestRestorableDateTime"], recovery["LatestRestorableDateTime"]

    def _prepared(self, at: datetime | None, *, pause: bool) -> Restored:
        settings = {table["TableName"]: table for table in _settings(self.stage)}
        labels = {}
        for name in NAMES:
            self._await_active(self._target(name))
            label = self._set_up(self._target(name), settings[f"ritornello-{self.stage}-{name}"])
            if label:
                labels[name] = label
        paused = self._pause_queues() if pause else []
        streams = {f"{name.capitalize()}Stream": label for name, label in labels.items()}
        return Restored(
            at=at,
            parameters={"AdoptTables": "true", "TablesSuffix": self.suffix, **streams},
            paused=paused,
        )

    def _set_up(self, table: str, settings: Mapping[str, Any]) -> str | None:
        """Set the properties that a restore omits. Return the label of the table's stream, if it is to have one."""
        self._enable_recovery(table)
        label = self._set_stream(table, settings.get("StreamSpecification"))
        # After the stream, which must have what expires.
        expiry = settings.get("TimeToLiveSpecification")
        if expiry is not None:
            status = self.client.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
            if status["TimeToLiveStatus"] not in ("ENABLED", "ENABLING"):
                self.client.update_time_to_live(TableName=table, TimeToLiveSpecification=expiry)
        return label

    def _set_stream(self, table: str, stream: Mapping[str, Any] | None) -> str | None:
        """Enable the stream of a table, if it is to have one. Return its label."""
        if stream is None:
            return None
        described = self._found(table)
        if not described.get("StreamSpecification", {}).get("StreamEnabled"):
            self.report(f"enabling the stream of {table}")
            self.client.update_table(TableName=table, StreamSpecification={"StreamEnabled": True, **stream})
            described = self._await_active(table)
        if described["StreamSpecification"]["StreamViewType"] != stream["StreamViewType"]:
            raise RestoreError(f"the stream of {table} must have {stream['StreamViewType']}")
        label: str = described["LatestStreamLabel"]
        return label

    def _enable_recovery(self, table: str) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                self.client.update_continuous_backups(
                    TableName=table, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
                )
            except self.client.exceptions.ContinuousBackupsUnavailableException:
                if attempt == _ATTEMPTS:
                    raise
                self.sleep(_POLL_SECONDS)
            else:
                return

    def _pause_queues(self) -> list[AccountId]:
        """Pause the queue of every account in the restored tables. Return the accounts whose queue was active."""
        tables = Tables(**{name: self._target(name) for name in NAMES})
        access = DynamoDbAccess(client=self.stores, tables=tables)
        by = Actor(name="make restore", reason=f"restored as {self.suffix}")
        paused = []
        for account in sorted(self._accounts()):
            flag, now = access.queue_flag(account), datetime.now(UTC)
            if not flag.is_paused:
                audit = audit_entry(
                    account,
                    "queue",
                    "pause-queue",
                    by=by,
                    now=now,
                    states=(ACTIVE, PAUSED),
                )
                access.set_queue_flag(account, flag.paused(now=now), audit=audit)
                paused.append(account)
        return paused

    def _accounts(self) -> set[AccountId]:
        """Return every account that has a strategy or an access key."""
        return {
            AccountId(item["accountId"]["S"])
            for name in ("strategies", "access")
            for page in self.client.get_paginator("scan").paginate(
                TableName=self._target(name), ProjectionExpression="accountId", ConsistentRead=True
            )
            for item in page["Items"]
            if "accountId" in item
        }

    def _await_active(self, table: str) -> Mapping[str, Any]:
        """Return the description of a table once it and its indexes can be used. A restore takes up to hours."""
        while True:
            described = self._found(table)
            indexes = described.get("GlobalSecondaryIndexes", [])
            if described["TableStatus"] == "ACTIVE" and all(i["IndexStatus"] == "ACTIVE" for i in indexes):
                return described
            self.sleep(_POLL_SECONDS)

    def _found(self, table: str) -> Mapping[str, Any]:
        described = self._described(table)
        if described is None:
            raise RestoreError(f"{table} has been removed")
        return described

    def _described(self, table: str) -> Mapping[str, Any] | None:
        try:
            found: Mapping[str, Any] = self.client.describe_table(TableName=table)["Table"]
        except self.client.exceptions.ResourceNotFoundException:
            return None
        return found

    def _source(self, name: str) -> str:
        return f"ritornello-{self.stage}-{name}{self.source}"

    def _target(self, name: str) -> str:
        return f"ritornello-{self.stage}-{name}{self.suffix}"


def _settings(stage: str) -> Iterator[dict[str, Any]]:
    """Yield the properties of each table in the template."""
    template = Template(_TEMPLATE, {"Stage": stage})
    for resource in template.document["Resources"].values():
        if resource["Type"] == "AWS::DynamoDB::Table":
            yield template.resolve(resource["Properties"])


def _instant(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError("a moment needs an offset, such as 2026-01-31T06:00:00Z")
    return moment


def main(arguments: Sequence[str] | None = None) -> int:
    """Restore the tables and print the parameters to deploy with."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--stage", default="prod", help="which deployment")
    parser.add_argument("--suffix", required=True, help="the end of the new names, such as -restored-1")
    parser.add_argument("--source", default="", help="the end of the names of the tables to restore, if any")
    parser.add_argument("--at", type=_instant, help="the moment; by default the latest that all tables have")
    parser.add_argument("--prepare", action="store_true", help="the tables of the new names exist already")
    parser.add_argument(
        "--keep-queues", action="store_true", help="leave the queues of all accounts as they were"
    )
    options = parser.parse_args(arguments)
    if options.prepare and options.at:
        parser.error("--prepare takes the tables as they are: it has no --at")
    restore = Restore(
        client=boto3.client("dynamodb"),
        stores=database(boto3.Session()),
        stage=options.stage,
        suffix=options.suffix,
        source=options.source,
        report=lambda line: print(line, file=sys.stderr),  # noqa: T201 - its progress
    )
    pause = not options.keep_queues
    try:
        made = restore.prepare(pause=pause) if options.prepare else restore.run(options.at, pause=pause)
    except (RestoreError, ClientError, AwsError, UnavailableError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    parameters = " ".join(f"{name}={value}" for name, value in made.parameters.items())
    sys.stdout.write(f"parameters to deploy with: {parameters}\n")
    if made.paused:
        sys.stdout.write(f"queues paused, to be resumed by POST /queue: {', '.join(made.paused)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
