"""What the use-cases need of the world. Anyone can implement these without asking.

A method that writes may have written although it raised (a lost reply); every use-case is made for that.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol

from shared.domain.access import AccessKey, Session
from shared.domain.bulk.operation import BulkOperation
from shared.domain.bulk.release import ReleaseJob
from shared.domain.errors import RitornelloError
from shared.domain.ids import AccountId, InstanceSid, OperationSid, StrategySid
from shared.domain.instance.journal import Answer, EventHistory, EventRecord, JournalEntry
from shared.domain.instance.model import BlockedBy, Instance, InstanceStatus
from shared.domain.instance.verdict import AuditEntry
from shared.domain.steps.call import CallOutcome, ServiceRequest
from shared.domain.strategy.model import Json, Strategy, StrategyHead, StrategyVersion


class StaleRevError(Exception):
    """Another writer was first, or this very write had already happened. Nothing was written now."""


class OverloadedError(Exception):
    """A store refuses for now, since too much is asked of it. Nothing was written."""


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class PageKey:
    """A place in a list that is ordered by age; unique, and the same whatever is written meanwhile."""

    created_at: datetime
    sid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderEntry:
    """A strategy in its folder. folder_name: its place among those of its account, which never changes."""

    sid: StrategySid
    folder_name: str


Operation = ReleaseJob | BulkOperation
"""Work on many instances."""


class InstanceStore(Protocol):
    """Where instances, their journals and records are kept."""

    def load(self, sid: InstanceSid) -> Instance | None:
        """The instance as last stored, by a strongly consistent read; None where there is none."""

    def create(
        self,
        instance: Instance,
        *,
        records: Sequence[EventRecord] = (),
        audit: AuditEntry | None = None,
    ) -> None:
        """Store a new instance, with its records and audit entry or not at all.

        Raises: StaleRevError: one of that sid exists. Nothing was written.
        """

    def commit(
        self,
        instance: Instance,
        *,
        records: Sequence[EventRecord] = (),
        audit: AuditEntry | None = None,
        reopened: EventRecord | None = None,
    ) -> None:
        """Replace the instance whose stored rev is ``instance.rev - 1``.

        Records and audit entry are stored with it or not at all. All fields survive a round trip; its
        sweep entry moves with it. reopened: the record of an event that is open again; in the same write it
        is removed, and its ``last`` joins the journal.
        Raises: StaleRevError: the stored rev is another one. Nothing was written.
        """

    def append(self, instance: Instance, entry: JournalEntry) -> None:
        """Store a journal entry under (event, run, visit), unless one with a higher fence stands there."""

    def put_answer(self, instance: Instance, seq: int, answer: Answer) -> None:
        """Store an answer to an asynchronous call of an event, under its key; storing it again changes nothing."""

    def put_record(self, instance: Instance, record: EventRecord) -> None:
        """Store the record of an event of an instance, unless one with a higher fence stands there."""

    def event_history(self, sid: InstanceSid, seq: int) -> EventHistory:
        """The journal of an event in order of (run, visit), the answers to it, and its record.

        By strongly consistent reads.
        """

    def records_before(self, sid: InstanceSid, seq: int, *, limit: int) -> list[EventRecord]:
        """The records of an instance's events with a number below ``seq``, highest first, at most ``limit``.

        By strongly consistent reads. An open event may have one that does not count: of a runner that had lost
        its lease.
        """

    def journal_between(self, sid: InstanceSid, first: int, last: int) -> list[JournalEntry]:
        """The journals of the events of these numbers, both included, in order of (event, run, visit).

        By strongly consistent reads.
        """

    def records_of_month(
        self, account: AccountId, month: date, *, since: datetime, until: datetime, limit: int
    ) -> Iterator[EventRecord]:
        """The latest records of an account's events that closed in a month (UTC), latest first, at most ``limit``.

        month: any day of it. since (included), until (not included): when they closed. Only so many are read as are
        asked for, some at a time. An index, as below.
        """

    def due(self, partition: str, *, until: datetime, limit: int) -> list[InstanceSid]:
        """Instances of a partition whose sweep entry is due, earliest first.

        An index: it may lag behind, so who acts on it loads the instance first.
        """

    def load_many(self, sids: Sequence[InstanceSid]) -> list[Instance]:
        """Those of these instances that there are, at most 100, in any order, as last stored."""

    def of_strategy(
        self, strategy: StrategySid, statuses: Sequence[InstanceStatus], *, before: PageKey | None, limit: int
    ) -> list[PageKey]:
        """The youngest instances of a strategy with one of these statuses, older than ``before``.

        An index: an instance may stand there for a moment under a status it has left, or not yet.
        """

    def oldest_of_strategy(
        self,
        strategy: StrategySid,
        statuses: Sequence[InstanceStatus],
        *,
        after: PageKey | None,
        until: datetime,
        limit: int,
    ) -> list[PageKey]:
        """The oldest instances of a strategy with one of these statuses, oldest first.

        Only those behind ``after``, and created up to ``until``, which is in whole milliseconds. An index, as above.
        """

    def of_account(self, account: AccountId, *, before: PageKey | None, limit: int) -> list[PageKey]:
        """The youngest instances of an account, older than ``before``. An index, as above."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedSettings:
    """Encrypted settings, each part in base64.

    iv: the nonce. hash: SHA-256 of the encrypted text. key: the data key they are encrypted with, itself
    encrypted; None where one key stands for all.
    """

    iv: str
    hash: str
    encrypted_text: str
    key: str | None = None


class SealBrokenError(RitornelloError):
    """Encrypted settings cannot be opened: altered, moved elsewhere, or sealed under another key."""

    code = "SEAL_BROKEN"


class Sealer(Protocol):
    """Encrypts settings at rest."""

    def seal(self, plaintext: bytes, *, context: str) -> SealedSettings:
        """The settings encrypted; they open only under the same context, a text that says whose they are."""

    def open(self, sealed: SealedSettings, *, context: str) -> bytes:
        """What was sealed. Raises: SealBrokenError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedSettings:
    """The settings of one version: plain, encrypted, and what is known of the version.

    source: what they were made from, where a dialect has made them from a document of its own.
    """

    version: StrategyVersion
    plain: Mapping[str, Json]
    sealed: SealedSettings
    source: Json = None


class NameTakenError(Exception):
    """The account has another strategy of that name. Nothing was written."""


class StrategyStore(Protocol):
    """Where strategies and flags are kept. Settings are encrypted at rest."""

    def create(self, head: StrategyHead, settings: Mapping[str, Json], *, source: Json = None) -> None:
        """Store a new strategy with its first version, which was checked before.

        source: what the settings were made from; it is kept with them.

        Storing the same head again changes nothing. Raises: NameTakenError; StaleRevError: there is
        another strategy of that sid.
        """

    def replace(
        self,
        head: StrategyHead,
        settings: Mapping[str, Json],
        *,
        before: StrategyHead,
        audit: AuditEntry,
        source: Json = None,
    ) -> None:
        """Store a further version, ``head.version``, and the head with it.

        Raises: StaleRevError: the stored head is not ``before`` any more. Nothing was written.
        """

    def delete(self, head: StrategyHead, *, before: StrategyHead, audit: AuditEntry) -> None:
        """Store the head of a deleted strategy: it leaves the lists and its name is free.

        Its versions stay, for the instances that ran under them. Raises: StaleRevError, as above.
        """

    def relabel(self, head: StrategyHead, *, before: StrategyHead, audit: AuditEntry) -> None:
        """Store the head of a strategy whose labels have changed. Raises: StaleRevError, as above."""

    def set_paused(
        self,
        head: StrategyHead,
        *,
        before: StrategyHead,
        audit: AuditEntry,
        release_jobs: Sequence[ReleaseJob] = (),
    ) -> None:
        """Store the head of a strategy that was paused or resumed, with the drains of what it held.

        All together or not at all; drains of the same sids are replaced. Raises: StaleRevError, as above.
        """

    def settings(self, sid: StrategySid, version: int) -> SavedSettings:
        """The settings of a version as they were sent, and as they are stored.

        Raises: UnknownStrategyError.
        """

    def versions(self, sid: StrategySid, *, before: int | None, limit: int) -> list[StrategyVersion]:
        """The latest versions of a strategy before a number, latest first."""

    def of_account(self, account: AccountId, *, before: PageKey | None, limit: int) -> list[StrategyHead]:
        """The youngest strategies of an account, older than ``before``, youngest first. An index."""

    def in_folder(self, account: AccountId, folder: str, *, after: str, limit: int) -> list[FolderEntry]:
        """The strategies of an account in a folder or below it, behind a place, by folder and name. An index.

        folder: ``/`` is all of them. after: the empty text for the first ones.
        """

    def head(self, sid: StrategySid) -> StrategyHead | None:
        """What holds for all versions of a strategy, by a strongly consistent read; None if unknown.

        A deleted one is still known by its sid.
        """

    def named(self, account: AccountId, name: str) -> StrategyHead | None:
        """The strategy an account has under a name."""

    def load(self, sid: StrategySid, version: int) -> Strategy:
        """One version of a strategy; versions never change, so it may come from a cache.

        Raises: UnknownStrategyError.
        """

    def blocked_by(self, account: AccountId, strategy: StrategySid) -> BlockedBy | None:
        """What holds due events back, queue or strategy; by strongly consistent reads."""


class SecretHasher(Protocol):
    """Hashes secrets under the deployment's pepper."""

    def hash(self, secret: str) -> str:
        """The hash under which a secret is kept."""

    def matches(self, secret: str, secret_hash: str) -> bool:
        """Whether a secret is the one of a hash, in constant time."""


class AccessStore(Protocol):
    """Where access keys and the accounts' queue flags are kept."""

    def key(self, key_id: str) -> AccessKey | None:
        """An access key; None where there is none."""

    def put_key(self, key: AccessKey, *, audit: AuditEntry | None = None) -> None:
        """Store an access key; one of the same id is replaced."""

    def remove_key(self, key: AccessKey, *, audit: AuditEntry) -> None:
        """Remove an access key; it opens nothing from now on. Removing it again changes nothing."""

    def keys(self, account: AccountId, *, before: PageKey | None, limit: int) -> list[AccessKey]:
        """The youngest keys of an account, older than ``before``, youngest first."""

    def session(self, token_hash: str) -> Session | None:
        """The session of a token, by a strongly consistent read; None where there is none.

        One that has expired stays for a while, so that its end can be told from a token nobody knows.
        """

    def open_session(self, session: Session) -> None:
        """Store a new session."""

    def extend_session(self, session: Session) -> None:
        """Store a session that is there already; one that has been closed meanwhile stays closed."""

    def close_session(self, token_hash: str) -> None:
        """Remove a session. Removing it again changes nothing."""

    def queue_paused(self, account: AccountId) -> bool:
        """Whether all due events of an account wait; by a strongly consistent read."""

    def set_queue_paused(
        self,
        account: AccountId,
        *,
        paused: bool,
        audit: AuditEntry | None = None,
        release_jobs: Sequence[ReleaseJob] = (),
    ) -> None:
        """Pause or resume all due events of an account: one flag, however many instances.

        Audit entry and drains are stored with it or not at all; drains of the same sids are replaced.
        """


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class AuditPosition:
    """A place in the audit trail of an account; unique. key: tells entries of one instant apart."""

    at: datetime
    key: str


class AuditStore(Protocol):
    """Where it is written down who did what. Entries are stored with what they are about, by its own store."""

    def of_day(
        self, account: AccountId, day: date, *, since: datetime, before: AuditPosition, limit: int
    ) -> list[tuple[AuditPosition, AuditEntry]]:
        """The latest entries of a day (UTC), not before ``since``, before a place; latest first."""


class OperationStore(Protocol):
    """Where work on many instances is kept."""

    def load(self, sid: OperationSid) -> Operation | None:
        """The operation as last stored; None where there is none, or it is a drain that is done."""

    def create(self, bulk: BulkOperation, *, audit: AuditEntry) -> None:
        """Store a new operation. Raises: StaleRevError: there is one of that sid. Nothing was written."""

    def commit(self, operation: Operation, *, audit: AuditEntry | None = None) -> None:
        """Replace the operation whose stored rev is ``operation.rev - 1``, with the audit entry or not at all.

        Raises: StaleRevError. Nothing was written.
        """

    def remove(self, release_job: ReleaseJob) -> None:
        """Remove the drain whose stored rev is ``release_job.rev``. Raises: StaleRevError."""

    def due(self, *, until: datetime, limit: int) -> list[OperationSid]:
        """Operations that are to go on, the longest due first. An index: it may lag behind."""

    def of_account(self, account: AccountId, *, before: PageKey | None, limit: int) -> list[BulkOperation]:
        """The youngest bulk operations of an account, older than ``before``, youngest first. An index."""


class UnknownStrategyError(Exception):
    """There is no such version of a strategy."""


class ServiceCaller(Protocol):
    """Calls services."""

    def call(self, request: ServiceRequest) -> CallOutcome:
        """Send it once and tell what came of it; at most one repeat, after a token was refused.

        Never raises for what a service or network does.
        """


class Controllers(Protocol):
    """The functions that the deployer has registered for steps to name."""

    @property
    def names(self) -> Collection[str]:
        """The registered names."""

    def run(self, name: str, variables: Mapping[str, Any]) -> Json:
        """What a controller orders, as JSON, given the variables of a callback.

        It may be asked again about the same step, after a crash. Raises: ControllerError: it is unknown, it
        raised, or its answer is no JSON.
        """


class Wakeups(Protocol):
    """Rings doorbells. Best effort: a failure is noted by the adapter and not raised."""

    def arm(self, name: str, at: datetime, sid: InstanceSid) -> None:
        """Ring once at an instant (UTC). A name already armed stays as it is, whatever its instant."""

    def invoke(self, sid: InstanceSid) -> None:
        """Ring at once, without waiting for what comes of it."""

    def invoke_operation(self, sid: OperationSid) -> None:
        """Have an operation carried on, without waiting for what comes of it."""


class Clock(Protocol):
    """The only source of time."""

    def now(self) -> datetime:
        """The present instant, aware, UTC, in whole milliseconds."""

    def sleep(self, seconds: float) -> None:
        """Return once ``seconds`` have passed by ``now``; zero or less returns at once."""


class Ids(Protocol):
    """The only source of entropy."""

    def instance_sid(self) -> InstanceSid:
        """A new sid, unique and sortable by time."""

    def token(self) -> str:
        """An unguessable text of 22 or more URL-safe characters."""

    def secret(self) -> str:
        """32 unguessable bytes as URL-safe text."""

    def shard(self) -> int:
        """A partition of the due index, 0 to 15, evenly spread."""


class Ports(Protocol):
    """All of them."""

    @property
    def instances(self) -> InstanceStore:
        """Where instances are kept."""

    @property
    def strategies(self) -> StrategyStore:
        """Where strategies are kept."""

    @property
    def access(self) -> AccessStore:
        """Where access keys are kept."""

    @property
    def audit(self) -> AuditStore:
        """Where it is written down who did what."""

    @property
    def operations(self) -> OperationStore:
        """Where operations are kept."""

    @property
    def caller(self) -> ServiceCaller:
        """Who calls services."""

    @property
    def controllers(self) -> Controllers:
        """Who runs named controllers."""

    @property
    def wakeups(self) -> Wakeups:
        """Who rings."""

    @property
    def clock(self) -> Clock:
        """Who knows the time."""

    @property
    def ids(self) -> Ids:
        """Who makes names."""
