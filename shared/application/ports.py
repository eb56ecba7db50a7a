"""The ports: interfaces that the use cases need, documented so that anyone can implement them.

A method that writes may have written although it raised, if its reply was lost. Every use case allows for that.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Generic, Protocol, TypeVar

from msgspec import Struct

from shared.domain.access import AccessKey, Session
from shared.domain.bulk.operation import BulkOperation
from shared.domain.bulk.release import ReleaseJob
from shared.domain.calendar.dates import format_instant, parse_instant
from shared.domain.errors import RitornelloError, StoredShapeError
from shared.domain.ids import AccountId, InstanceSid, OperationSid, StrategySid
from shared.domain.instance.due_entries import DueEntry
from shared.domain.instance.event import EventStatus
from shared.domain.instance.flags import Flags
from shared.domain.instance.journal import Answer, EventHistory, EventRecord, JournalEntry
from shared.domain.instance.model import Instance, InstanceStatus
from shared.domain.instance.phase import Phase, PhaseRange
from shared.domain.instance.verdict import AuditEntry
from shared.domain.limits.state import LimitChange, LimitState
from shared.domain.notifications.webhook import Webhook
from shared.domain.redacted import Redacted
from shared.domain.steps.call import CallOutcome, ServiceRequest
from shared.domain.strategy.flag import Flag
from shared.domain.strategy.model import Json, Strategy, StrategyHead, StrategyVersion
from shared.domain.strategy.secret_names import SecretReference

Item = TypeVar("Item")
Result = TypeVar("Result")


class StaleRevError(Exception):
    """Another writer was faster, or this very write had already been stored. Nothing was written now."""


class UnavailableError(Exception):
    """A store, KMS or a service of secrets cannot be used for now.

    A write may have been stored, if only its reply was lost.
    """


class OverloadedError(UnavailableError):
    """A store refuses requests for now because it is overloaded."""


class ConnectionLostError(UnavailableError):
    """A store could not be reached, gave no answer in time, or failed inside."""


class PageKey(Struct, frozen=True, order=True, kw_only=True):
    """A position in a list that is ordered by creation. It is unique and never changes."""

    created_at: datetime
    sid: str


def page_key_text(place: PageKey) -> str:
    """Return a position in a list that is sorted by age, as text."""
    return f"{format_instant(place.created_at)}#{place.sid}"


def page_key_of(text: str) -> PageKey:
    """Return the position of a text that ``page_key_text`` made."""
    at, _, sid = text.partition("#")
    return PageKey(created_at=parse_instant(at), sid=sid)


class PhaseEntry(Struct, frozen=True, order=True, kw_only=True):
    """An instance in a list by phase.

    Lists are ordered by ``order``: by cause, detail and strategy, and among equal ones by age. It ends with the sid.
    """

    order: str
    sid: InstanceSid


class PhaseWindow(Struct, frozen=True, kw_only=True):
    """The part of a list by phase to read: the entries that follow ``after``, in ascending or descending order."""

    after: str | None = None
    is_ascending: bool = False


class FolderEntry(Struct, frozen=True, kw_only=True):
    """A strategy in its folder. ``folder_name`` is its position in the list of its account and never changes."""

    sid: StrategySid
    folder_name: str


Key_co = TypeVar("Key_co", covariant=True)


class Unreadable(Struct, Generic[Key_co], frozen=True, kw_only=True):
    """An item of a list that is stored and cannot be read, for example because a newer version of the code wrote it.

    ``key`` is its key or position in the list. ``why`` is for operators. ``account_id`` is its account; None if that is
    unknown, too.
    """

    key: Key_co
    why: str
    account_id: AccountId | None = None


class UnreadableError(StoredShapeError):
    """An item cannot be read without which there is no answer."""

    def __init__(self, item: Unreadable[object]) -> None:
        """Keep the item."""
        self.item = item
        super().__init__(f"{item.key}: {item.why}")


def all_readable(found: Iterable[Result | Unreadable[object]]) -> list[Result]:
    """Return the items of a list. Raises: UnreadableError: an item cannot be read."""
    items: list[Result] = []
    for item in found:
        if isinstance(item, Unreadable):
            raise UnreadableError(item)
        items.append(item)
    return items


def seq_of(record: EventRecord | Unreadable[int]) -> int:
    """Return the number of the event of one of an instance's records."""
    return record.key if isinstance(record, Unreadable) else record.event.seq


class Reservation(Struct, frozen=True, kw_only=True):
    """Reserves the reference of a new instance within its strategy.

    ``instead_of`` is the instance that may hold it until now, None if no instance may.
    """

    instead_of: InstanceSid | None = None


class ReservedError(Exception):
    """Another instance of the strategy holds the reference. Nothing was written."""

    def __init__(self, holder: InstanceSid) -> None:
        self.holder = holder
        super().__init__(holder)


Operation = ReleaseJob | BulkOperation
"""Work on many instances."""


class InstanceStore(Protocol):
    """Store of instances, their journals and their records."""

    def load(self, sid: InstanceSid) -> Instance | None:
        """Return the instance as last stored, by a strongly consistent read, or None if there is none."""

    def create(
        self,
        instance: Instance,
        *,
        records: Sequence[EventRecord] = (),
        audit: AuditEntry | None = None,
        reservation: Reservation | None = None,
    ) -> None:
        """Store a new instance, its records, its audit entry and the reservation of its reference, all or nothing.

        Raises: StaleRevError: an instance with that sid exists. ReservedError. Nothing was written.
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

        Records and audit entry are stored with it, all or nothing. All fields survive a round trip, and the sweep
        entry moves with the instance. ``reopened`` is the record of an event that is open again: the same write
        removes it and adds its ``last`` to the journal.
        Raises: StaleRevError: the stored rev is another one, or ``reopened`` is no longer stored, for example because
        it has expired. Nothing was written.
        """

    def append(self, instance: Instance, entry: JournalEntry) -> None:
        """Store a journal entry under (event, run, visit), unless an entry with a higher fence is stored there."""

    def put_answer(self, instance: Instance, seq: int, answer: Answer) -> None:
        """Store an answer to an asynchronous call of an event, under its key. Storing it again changes nothing."""

    def put_record(self, instance: Instance, record: EventRecord) -> None:
        """Store the record of an event, unless a record with a higher fence is stored there."""

    def event_history(self, sid: InstanceSid, seq: int) -> EventHistory:
        """Return the journal of an event in order of (run, visit), the answers to it, and its record.

        Reads are strongly consistent.
        """

    def records_before(
        self, sid: InstanceSid, seq: int, *, limit: int
    ) -> list[EventRecord | Unreadable[int]]:
        """Return up to ``limit`` records of an instance's events with a number below ``seq``, highest first.

        Reads are strongly consistent. An open event may have a record that does not count, if a runner wrote it after
        it lost its lease.
        """

    def journal_between(
        self, sid: InstanceSid, first: int, last: int
    ) -> list[JournalEntry | Unreadable[int]]:
        """Return the journals of the events with these numbers, both included, in order of (event, run, visit).

        Answers to the events are not among them. Reads are strongly consistent.
        """

    def records_of_month(
        self, account: AccountId, month: date, *, since: datetime, until: datetime, limit: int
    ) -> Iterator[EventRecord | Unreadable[str]]:
        """Yield up to ``limit`` records of an account's events that closed in a month (UTC), latest first.

        ``month`` is any day of the month. Events closed from ``since`` (included) until ``until`` (not included)
        count. Records are read in batches, as the caller consumes them; an unreadable one has the sid of its event
        as its key. The index is eventually consistent.
        """

    def due(self, partition: str, *, until: datetime, limit: int) -> list[DueEntry[InstanceSid]]:
        """Return the sweep entries of a partition that are due, earliest first.

        The index is eventually consistent, so a caller loads the instance before it acts on it.
        """

    def postpone(self, entry: DueEntry[InstanceSid], *, now: datetime) -> bool:
        """Move a sweep entry on by a back-off, without reading or changing the instance it belongs to.

        The back-off is ``back_off(k)`` if this is the k-th time since the instance was last stored. Storing it puts
        the entry where the instance says.
        Return False if the stored entry is not this one; then nothing has changed, or a lost reply was this one's.
        """

    def load_many(self, sids: Sequence[InstanceSid]) -> list[Instance | Unreadable[InstanceSid]]:
        """Return those of these instances that exist, as last stored, in any order."""

    def of_strategy(
        self,
        strategy: StrategySid,
        statuses: Sequence[InstanceStatus | Phase],
        *,
        before: PageKey | None,
        limit: int,
        since: datetime | None = None,
    ) -> list[PageKey]:
        """Return the youngest instances of a strategy with one of these statuses, older than ``before``.

        A status may also be the phase of a stop, which is a part of a status. The instances are not older than
        ``since``. The index is eventually consistent: for a moment it may list an instance under a status it has left.
        """

    def oldest_of_strategy(
        self,
        strategy: StrategySid,
        statuses: Sequence[InstanceStatus | Phase],
        *,
        after: PageKey | None,
        until: datetime,
        limit: int,
    ) -> list[PageKey]:
        """Return the oldest instances of a strategy with one of these statuses, oldest first.

        Only instances after ``after`` and created up to ``until`` count; ``until`` is in whole milliseconds. The
        index is eventually consistent.
        """

    def of_account(
        self,
        account: AccountId,
        *,
        before: PageKey | None,
        limit: int,
        since: datetime | None = None,
    ) -> list[PageKey]:
        """Return the youngest instances of an account, older than ``before`` and not older than ``since``.

        The index is eventually consistent.
        """

    def with_reference(
        self, account: AccountId, reference: str, *, before: PageKey | None, limit: int
    ) -> list[PageKey]:
        """Return the youngest instances of an account with a reference, older than ``before``.

        The index is eventually consistent.
        """

    def with_attribute(
        self, account: AccountId, name: str, text: str, *, before: PageKey | None, limit: int
    ) -> list[PageKey]:
        """Return the youngest instances of an account with a value of a searchable attribute, older than ``before``.

        ``text`` is the value as ``attribute_text`` returns it. The index is eventually consistent.
        """

    def in_phases(
        self, account: AccountId, ranges: Sequence[PhaseRange], *, window: PhaseWindow, limit: int
    ) -> list[PhaseEntry]:
        """Return the instances of an account in some phases, for some reasons, in the order of ``PhaseEntry``.

        The index is eventually consistent: for a moment it may list an instance that has left its phase.
        """

    def count_in_phase(self, account: AccountId, phase: Phase, *, most: int) -> int:
        """Return how many instances of an account are in a stored phase, at most ``most``.

        The index is eventually consistent.
        """

    def count_of_strategy(self, strategy: StrategySid, status: InstanceStatus | Phase, *, most: int) -> int:
        """Return how many instances of a strategy have a status, or are in the phase of a stop, at most ``most``.

        The index is eventually consistent.
        """

    def count_with_problems(self, account: AccountId, *, most: int) -> int:
        """Return how many instances of an account have problems, at most ``most``. Eventually consistent."""

    def count_closed(
        self, account: AccountId, month: date, *, since: datetime, until: datetime, most: int
    ) -> Mapping[EventStatus, int]:
        """Return how many events of an account closed with each status from ``since`` until ``until``.

        ``month`` is any day of the month (UTC) in which they closed. At most ``most`` events are counted in all. The
        index is eventually consistent.
        """

    def with_problems(self, account: AccountId, *, before: PageKey | None, limit: int) -> list[PageKey]:
        """Return the instances of an account with problems, newest problem first.

        The instant of a position is when the newest problem of the instance began. ``before`` is such a position.
        The index is eventually consistent.
        """


class SealedSettings(Struct, frozen=True, kw_only=True):
    """Encrypted settings, each part in base64.

    ``iv`` is the nonce and ``hash`` the SHA-256 of the encrypted text. ``key`` is the encrypted data key, or None if
    one key encrypts all settings.
    """

    iv: str
    hash: str
    encrypted_text: str
    key: str | None = None


class KeyRefusedError(RitornelloError):
    """KMS refuses to decrypt with the key: it is disabled, deleted or forbidden to this function."""

    code = "KEY_REFUSED"


class SealBrokenError(RitornelloError):
    """Encrypted settings cannot be decrypted: they were altered, moved elsewhere, or encrypted under another key."""

    code = "SEAL_BROKEN"


class Sealer(Protocol):
    """Encryption of settings at rest."""

    def seal(self, plaintext: bytes, *, context: str) -> SealedSettings:
        """Encrypt settings. They decrypt only with the same ``context``, a text that identifies their owner."""

    def open(self, sealed: SealedSettings, *, context: str) -> bytes:
        """Decrypt settings. Raises: SealBrokenError."""


class SavedSettings(Struct, frozen=True, kw_only=True):
    """The settings of one version, plain and encrypted, with the facts about the version.

    ``source`` is the document they were made from, if a dialect made them from one.
    """

    version: StrategyVersion
    plain: Mapping[str, Json]
    sealed: SealedSettings
    source: Json = None


class NameTakenError(Exception):
    """The account has another strategy with that name. Nothing was written."""


class StrategyStore(Protocol):
    """Store of strategies and their flags. Settings are encrypted at rest."""

    def create(self, head: StrategyHead, settings: Mapping[str, Json], *, source: Json = None) -> None:
        """Store a new strategy with its first version. The settings are valid; ``source`` is stored with them.

        Storing the same head again changes nothing.
        Raises: NameTakenError. StaleRevError: another strategy has that sid.
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
        """Store version ``head.version`` and the head.

        Raises: StaleRevError: the stored head is no longer ``before``. Nothing was written.
        """

    def delete(self, head: StrategyHead, *, before: StrategyHead, audit: AuditEntry) -> None:
        """Store the head of a deleted strategy: it leaves the lists, and its name is free.

        Its versions stay for the instances that ran under them. Raises: StaleRevError, as for ``replace``.
        """

    def relabel(self, head: StrategyHead, *, before: StrategyHead, audit: AuditEntry) -> None:
        """Store the head of a strategy whose labels have changed. Raises: StaleRevError, as for ``replace``."""

    def set_paused(
        self,
        head: StrategyHead,
        *,
        before: StrategyHead,
        audit: AuditEntry,
        release_jobs: Sequence[ReleaseJob] = (),
    ) -> None:
        """Store the head of a strategy that was paused or resumed, and the release jobs, all or nothing.

        Release jobs with the same sids are replaced. Raises: StaleRevError, as for ``replace``.
        """

    def settings(self, sid: StrategySid, version: int) -> SavedSettings:
        """Return the settings of a version as they were sent and as they are stored.

        Raises: UnknownStrategyError.
        """

    def versions(
        self, sid: StrategySid, *, before: int | None, limit: int
    ) -> list[StrategyVersion | Unreadable[int]]:
        """Return the latest versions of a strategy with a number below ``before``, latest first."""

    def of_account(
        self, account: AccountId, *, before: PageKey | None, limit: int
    ) -> list[StrategyHead | Unreadable[PageKey]]:
        """Return the youngest strategies of an account, older than ``before``, youngest first.

        The index is eventually consistent.
        """

    def in_folder(self, account: AccountId, folder: str, *, after: str, limit: int) -> list[FolderEntry]:
        """Return the strategies of an account in a folder or below it, by folder and name. Eventually consistent.

        The folder ``/`` contains all of them. ``after`` is a ``folder_name``, or the empty text for the first page.
        """

    def head(self, sid: StrategySid) -> StrategyHead | None:
        """Return the head of a strategy by a strongly consistent read, or None if it is unknown.

        The head holds the facts that all versions share. A deleted strategy still has one.
        """

    def named(self, account: AccountId, name: str) -> StrategyHead | None:
        """Return the head of the strategy with that name in the account, or None."""

    def load(self, sid: StrategySid, version: int) -> Strategy:
        """Return one version of a strategy. Versions never change, so it may come from a cache.

        Raises: UnknownStrategyError.
        """

    def flags(self, account: AccountId, strategy: StrategySid) -> Flags:
        """Return the flags that block due events of the strategy's instances. Reads are strongly consistent."""


class SecretHasher(Protocol):
    """Hashes of secrets, made with the deployment's pepper.

    While the pepper is being replaced there are two, and hashes under both are accepted.
    """

    def hash(self, secret: str) -> str:
        """Return the hash under which a secret is stored."""

    def hashes(self, secret: str) -> Sequence[str]:
        """Return the hashes under which a secret may be stored; first the one under which it is stored now."""

    def matches(self, secret: str, secret_hash: str) -> bool:
        """Return whether a secret has that hash, in constant time."""


class AccessStore(Protocol):
    """Store of access keys, sessions and the queue flags of accounts."""

    def key(self, key_id: str) -> AccessKey | None:
        """Return an access key, or None if there is none."""

    def put_key(self, key: AccessKey, *, audit: AuditEntry | None = None) -> None:
        """Store an access key. A key with the same id is replaced."""

    def remove_key(self, key: AccessKey, *, audit: AuditEntry) -> None:
        """Remove an access key; it is refused from now on. Removing it again changes nothing."""

    def keys(
        self, account: AccountId, *, before: PageKey | None, limit: int
    ) -> list[AccessKey | Unreadable[PageKey]]:
        """Return the youngest keys of an account, older than ``before``, youngest first."""

    def session(self, token_hash: str) -> Session | None:
        """Return the session of a token by a strongly consistent read, or None if there is none.

        An expired session stays for a while, so that an expired token can be distinguished from an unknown one.
        """

    def open_session(self, session: Session) -> None:
        """Store a new session."""

    def extend_session(self, session: Session) -> None:
        """Store a session that exists already. If it was closed in the meantime, it stays closed."""

    def close_session(self, token_hash: str) -> None:
        """Remove a session. Removing it again changes nothing."""

    def queue_flag(self, account: AccountId) -> Flag:
        """Return the flag that blocks all due events of an account, by a strongly consistent read."""

    def set_queue_flag(
        self,
        account: AccountId,
        flag: Flag,
        *,
        audit: AuditEntry | None = None,
        release_jobs: Sequence[ReleaseJob] = (),
    ) -> None:
        """Pause or resume all due events of an account with one flag, however many instances it has.

        Audit entry and release jobs are stored with it, all or nothing. Release jobs with the same sids are replaced.
        """


class AuditPosition(Struct, frozen=True, order=True, kw_only=True):
    """A unique position in the audit trail of an account. ``key`` distinguishes entries of the same instant."""

    at: datetime
    key: str


def audit_position_text(place: AuditPosition) -> str:
    """Return a position in the audit trail as text."""
    return f"{format_instant(place.at)}#{place.key}"


def audit_position_of(text: str) -> AuditPosition:
    """Return the position of a text that ``audit_position_text`` made."""
    at, _, key = text.partition("#")
    return AuditPosition(at=parse_instant(at), key=key)


class WebhookStore(Protocol):
    """Store of the webhooks of accounts. Secrets are encrypted at rest."""

    def find(self, account: AccountId) -> Webhook | None:
        """Return the webhook of an account by a strongly consistent read, or None if it has none."""

    def find_with_secret(self, account: AccountId) -> tuple[Webhook, str] | None:
        """Return the webhook of an account with its secret. Raises: SealBrokenError, KeyRefusedError."""

    def put(self, webhook: Webhook, *, secret: str | None, audit: AuditEntry) -> None:
        """Store the webhook of an account, with its audit entry, all or nothing. The account's old one is replaced.

        If ``secret`` is None, the account has a webhook, whose secret stays.
        Raises: StaleRevError: it has none. Nothing was written.
        """

    def remove(self, account: AccountId, *, audit: AuditEntry) -> None:
        """Remove the webhook of an account with its secret. Removing it again changes nothing."""


class AuditStore(Protocol):
    """The audit trail. Other stores write its entries, together with the change an entry is about."""

    @property
    def kept(self) -> timedelta | None:
        """How long an entry is kept, None for good. Entries that have expired are not returned any more."""

    def of_day(
        self, account: AccountId, day: date, *, since: datetime, before: AuditPosition, limit: int
    ) -> list[tuple[AuditPosition, AuditEntry | Unreadable[AuditPosition]]]:
        """Return the latest entries of a day (UTC), since ``since`` and before a position, latest first."""

    def of_target(
        self, account: AccountId, target: str, *, since: datetime, before: AuditPosition, limit: int
    ) -> list[tuple[AuditPosition, AuditEntry | Unreadable[AuditPosition]]]:
        """Return the latest entries with a target, since ``since`` and before a position, latest first.

        Entries of the last moments may be missing.
        """

    def of_operation(
        self,
        account: AccountId,
        operation: OperationSid,
        *,
        since: datetime,
        before: AuditPosition,
        limit: int,
    ) -> list[tuple[AuditPosition, AuditEntry | Unreadable[AuditPosition]]]:
        """Return the latest entries of commands that a bulk operation sent, as ``of_target`` does."""


class OperationStore(Protocol):
    """Store of work on many instances."""

    def load(self, sid: OperationSid) -> Operation | None:
        """Return the operation as last stored. Return None if there is none, or if it is a finished release job."""

    def create(self, bulk: BulkOperation, *, audit: AuditEntry) -> None:
        """Store a new operation. Raises: StaleRevError: an operation with that sid exists. Nothing was written."""

    def commit(self, operation: Operation, *, audit: AuditEntry | None = None) -> None:
        """Replace the operation whose stored rev is ``operation.rev - 1``, with the audit entry, all or nothing.

        Raises: StaleRevError. Nothing was written.
        """

    def remove(self, release_job: ReleaseJob) -> None:
        """Remove the release job whose stored rev is ``release_job.rev``. Raises: StaleRevError."""

    def due(self, *, until: datetime, limit: int) -> list[DueEntry[OperationSid]]:
        """Return the entries of operations that are due, longest due first. The index is eventually consistent."""

    def postpone(self, entry: DueEntry[OperationSid], *, now: datetime) -> bool:
        """Move the entry of an operation on by a back-off, as ``InstanceStore.postpone`` does."""

    def of_account(
        self, account: AccountId, *, before: PageKey | None, limit: int
    ) -> list[BulkOperation | Unreadable[PageKey]]:
        """Return the youngest bulk operations of an account, older than ``before``, youngest first.

        The index is eventually consistent.
        """


class LimitAttempt(Struct, frozen=True, kw_only=True):
    """The result of a guarded change of a limit's state: whether it is stored, and the state before it."""

    is_stored: bool
    before: LimitState


class LimitStore(Protocol):
    """Store of the limits of services, one state for each account and origin. Only runners change it.

    A state may be lost a day after its last change (``LimitChange.at``).
    """

    def load(self, account: AccountId, origin: str) -> LimitState:
        """Return the state of a limit by a strongly consistent read; if there is none, a state of zeros."""

    def change(self, account: AccountId, origin: str, change: LimitChange) -> LimitAttempt:
        """Store a change if its guards hold. Changes of one state are stored one after another.

        If the reply to a change was lost, the change may be stored a second time.
        """

    def try_change(self, account: AccountId, origin: str, change: LimitChange) -> LimitAttempt | None:
        """Do the same, best effort: the adapter reports that the store is unavailable, and returns None."""


class UnknownStrategyError(Exception):
    """There is no such version of a strategy."""


class SecretRefusedError(Exception):
    """A secret cannot be used: there is none, it may not be read, or it is no text. The message has no value."""


class SecretValue(Redacted, Struct, frozen=True):
    """The value of a secret. ``is_fresh`` is true if it was read now, false if it was cached."""

    HIDDEN = ("text",)

    text: str
    is_fresh: bool


class Secrets(Protocol):
    """The secrets that calls of services name. Only a ``ServiceCaller`` uses them."""

    def read(self, secret: SecretReference) -> SecretValue:
        """Return the value of a secret: as it was at most five minutes ago, else read now.

        Raises: SecretRefusedError. UnavailableError.
        """

    def renewed(self, secret: SecretReference, *, refused: SecretValue) -> SecretValue:
        """Return the value of a secret instead of the one with which a service has refused a call.

        It may be the same, and need not be read again if that has just been in vain.
        Raises: SecretRefusedError. UnavailableError.
        """


class ServiceCaller(Protocol):
    """Calls of services."""

    def call(self, request: ServiceRequest) -> CallOutcome:
        """Send a request once and return its outcome.

        It is sent a second time only if the service refused a token, or a secret that has changed since it was read.
        An outcome does not contain a value of the request's secrets. An error of the service or the network never
        raises.
        Raises: UnavailableError: a secret cannot be read for now. The service has not done anything for this call.
        """


class Controllers(Protocol):
    """The functions that the deployer registered, by the names that steps use."""

    @property
    def names(self) -> Collection[str]:
        """The registered names."""

    def run(self, name: str, variables: Mapping[str, Any]) -> Json:
        """Return the directives of a controller as JSON, given the variables of a callback.

        After a crash it may be called again for the same step.
        Raises: ControllerError: the controller is not registered, it raised, or its result is not JSON.
        """


class Wakeups(Protocol):
    """Wakeups of runners, best effort: the adapter reports a failure and does not raise it."""

    def arm(self, name: str, at: datetime, sid: InstanceSid) -> None:
        """Schedule one wakeup of an instance for an instant (UTC).

        If a wakeup with that name is scheduled already, it stays as it is, even if its instant differs.
        """

    def invoke(self, sid: InstanceSid) -> None:
        """Wake the step runner for an instance now, and return without waiting for it."""

    def invoke_operation(self, sid: OperationSid) -> None:
        """Wake the bulk runner for an operation now, and return without waiting for it."""


class Crash(Struct, frozen=True):
    """The exception with which a piece of work ended."""

    error: Exception


class Workers(Protocol):
    """Workers that do pieces of work beside each other."""

    def run(self, work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result | Crash]:
        """Do the work for each item and return the results in order, when all of it is done.

        An exception ends its own piece of work only. Items are begun in order, and ``work`` must be thread-safe.
        """


class Clock(Protocol):
    """The only source of time."""

    def now(self) -> datetime:
        """Return the current instant: aware, UTC, in whole milliseconds."""

    def sleep(self, seconds: float) -> None:
        """Return when ``seconds`` have passed on this clock. Zero or less returns at once."""


class Ids(Protocol):
    """The only source of randomness."""

    def instance_sid(self) -> InstanceSid:
        """Return a new sid that is unique and sortable by time."""

    def token(self) -> str:
        """Return a random text of 22 or more URL-safe characters."""

    def secret(self) -> str:
        """Return 32 random bytes as URL-safe text."""

    def shard(self) -> int:
        """Return a shard of the due index, 0 to 15, evenly distributed."""


class Ports(Protocol):
    """All ports."""

    @property
    def instances(self) -> InstanceStore:
        """Store of instances."""

    @property
    def strategies(self) -> StrategyStore:
        """Store of strategies."""

    @property
    def access(self) -> AccessStore:
        """Store of access keys."""

    @property
    def audit(self) -> AuditStore:
        """Audit trail."""

    @property
    def operations(self) -> OperationStore:
        """Store of operations."""

    @property
    def webhooks(self) -> WebhookStore:
        """Store of webhooks."""

    @property
    def limits(self) -> LimitStore:
        """Store of the limits of services."""

    @property
    def caller(self) -> ServiceCaller:
        """Calls of services."""

    @property
    def controllers(self) -> Controllers:
        """Named controllers."""

    @property
    def wakeups(self) -> Wakeups:
        """Wakeups of runners."""

    @property
    def clock(self) -> Clock:
        """Time."""

    @property
    def ids(self) -> Ids:
        """Random ids."""
