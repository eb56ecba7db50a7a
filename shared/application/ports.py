"""What the use-cases need of the world. Anyone can implement these without asking.

A method that writes may have written although it raised (a lost reply); every use-case is made for that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.domain.access import AccessKey
from shared.domain.call import CallOutcome, ServiceRequest
from shared.domain.decision import AuditEntry
from shared.domain.errors import RitornelloError
from shared.domain.ids import AccountId, InstanceSid, StrategySid
from shared.domain.instance import HeldBy, Instance
from shared.domain.journal import EventRecord, JournalEntry, Trail
from shared.domain.strategy import Json, Strategy, StrategyHead


class StaleRevError(Exception):
    """Another writer was first, or this very write had already happened. Nothing was written now."""


class InstanceStore(Protocol):
    """Where instances, their journals and records are kept."""

    def load(self, sid: InstanceSid) -> Instance | None:
        """The instance as last stored, by a strongly consistent read; None where there is none."""

    def create(self, instance: Instance, *, records: Sequence[EventRecord] = ()) -> None:
        """Store a new instance. Raises: StaleRevError: one of that sid exists. Nothing was written."""

    def commit(
        self,
        instance: Instance,
        *,
        records: Sequence[EventRecord] = (),
        audit: AuditEntry | None = None,
    ) -> None:
        """Replace the instance whose stored rev is ``instance.rev - 1``.

        Records and audit entry are stored with it or not at all. All fields survive a round trip; its
        attention entry moves with it.
        Raises: StaleRevError: the stored rev is another one. Nothing was written.
        """

    def append(self, instance: Instance, entry: JournalEntry) -> None:
        """Store a journal entry under (event, run, visit), unless one with a higher fence stands there."""

    def put_record(self, instance: Instance, record: EventRecord) -> None:
        """Store the record of an event of an instance, unless one with a higher fence stands there."""

    def trail(self, sid: InstanceSid, seq: int) -> Trail:
        """The journal of an event in order of (run, visit), and its record; by strongly consistent reads."""

    def attention(self, partition: str, *, until: datetime, limit: int) -> list[InstanceSid]:
        """Instances of a partition whose attention entry is due, earliest first.

        An index: it may lag behind, so who acts on it loads the instance first.
        """


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


class NameTakenError(Exception):
    """The account has another strategy of that folder and name. Nothing was written."""


class StrategyStore(Protocol):
    """Where strategies and flags are kept. Settings are encrypted at rest."""

    def create(self, head: StrategyHead, settings: Mapping[str, Json]) -> None:
        """Store a new strategy with its first version, which was checked before.

        Storing the same head again changes nothing. Raises: NameTakenError; StaleRevError: there is
        another strategy of that sid.
        """

    def head(self, sid: StrategySid) -> StrategyHead | None:
        """What holds for all versions of a strategy, by a strongly consistent read; None if unknown."""

    def named(self, account: AccountId, name: str, *, folder: str = "/") -> StrategyHead | None:
        """The strategy an account has under a name."""

    def load(self, sid: StrategySid, version: int) -> Strategy:
        """One version of a strategy; versions never change, so it may come from a cache.

        Raises: UnknownStrategyError.
        """

    def held_by(self, account: AccountId, strategy: StrategySid) -> HeldBy | None:
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

    def put_key(self, key: AccessKey) -> None:
        """Store an access key; one of the same id is replaced."""

    def set_queue_paused(self, account: AccountId, *, paused: bool) -> None:
        """Pause or resume all due events of an account: one flag, however many instances."""


class UnknownStrategyError(Exception):
    """There is no such version of a strategy."""


class ServiceCaller(Protocol):
    """Calls services."""

    def call(self, request: ServiceRequest) -> CallOutcome:
        """Send it once and tell what came of it; at most one repeat, after a token was refused.

        Never raises for what a service or network does.
        """


class Wakeups(Protocol):
    """Rings doorbells. Best effort: a failure is noted by the adapter and not raised."""

    def arm(self, name: str, at: datetime, sid: InstanceSid) -> None:
        """Ring once at an instant (UTC). A name already armed stays as it is, whatever its instant."""

    def invoke(self, sid: InstanceSid) -> None:
        """Ring at once, without waiting for what comes of it."""


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

    def shard(self) -> int:
        """A partition of the attention index, 0 to 15, evenly spread."""


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
    def caller(self) -> ServiceCaller:
        """Who calls services."""

    @property
    def wakeups(self) -> Wakeups:
        """Who rings."""

    @property
    def clock(self) -> Clock:
        """Who knows the time."""

    @property
    def ids(self) -> Ids:
        """Who makes names."""
