"""Golden access keys, sessions, flags, webhooks and audit entries."""

from msgspec.structs import replace

from shared.application.ports import AuditPosition
from shared.domain.access import AccessKey, Role, Session
from shared.domain.ids import OperationSid, event_sid
from shared.domain.instance.verdict import AuditEntry
from shared.domain.limits.state import Bounds, LimitChange, LimitState, Member, micros_of, slot_name
from shared.domain.notifications.model import NotificationKind
from shared.domain.notifications.webhook import Webhook
from shared.domain.strategy.flag import Flag
from tests.engines import Stores
from tests.golden.golden import ACCOUNT, SID, Golden, at, expiring
from tests.golden.instances import NEW as INSTANCE
from tests.golden.strategies import PAUSED_HEAD

KEYS = (
    AccessKey(key_id="k1", account_id=ACCOUNT, role=Role.ADMIN, secret_hash="5ec2e7", created_at=at(1)),
    AccessKey(
        key_id="k2",
        account_id=ACCOUNT,
        role=Role.OPERATOR,
        secret_hash="5ec2e8",
        created_at=at(2, microsecond=7),
        description="the shop",
        created_by="k1",
    ),
    AccessKey(key_id="k3", account_id=ACCOUNT, role=Role.VIEWER, secret_hash="5ec2e9", created_at=at(3)),
)

SESSION = Session(token_hash="70ce11", account_id=ACCOUNT, key_id="k1", opened_at=at(1), idle_until=at(2))

WEBHOOK = Webhook(
    account_id=ACCOUNT,
    url="https://hooks.example.com/it?token=5",
    updated_at=at(2),
    updated_by="key-9",
    kinds=tuple(NotificationKind),
)

SECRET = "whsec_Z29sZGVuIHNlY3JldCBvZiAyNCBieXRlcyE="

ORIGIN = "https://billing.example.test"

LIMIT = LimitState(
    values={
        Member.NEXT_AT: 1_772_356_200_005_500,
        Member.LINE_AT: 1_772_356_260_000_000,
        Member.NOT_BEFORE: 1_772_355_000_000_000,
        Member.PER_SECOND: 200,
        Member.STATED_AT: 1_772_356_200_000_000,
    }
)

OPEN_CIRCUIT = LimitState(
    values={
        Member.OPEN_UNTIL: 1_772_356_260_000_000,
        Member.OPEN_FOR: 60_000_000,
        Member.FAILURES: 6,
        Member.OPENS_AFTER: 5,
    }
)

TAKEN_SLOTS = LimitState(
    values={
        Member.CONCURRENT: 3,
        Member.CONCURRENT_AT: 1_772_356_200_000_000,
        Member.TAKEN_FOR: 1_250_000,
        slot_name(0): 1_772_356_365_080_000,
        slot_name(1): 0,
        slot_name(2): 1_772_356_371_205_000,
    }
)

MINIMAL_AUDIT = AuditEntry(account_id=ACCOUNT, target="queue", at=at(9), by="key-1", command="pause")

AUDIT = AuditEntry(
    account_id=ACCOUNT,
    target=SID,
    at=at(9, microsecond=5_000),
    by="key-1",
    command="pause",
    event=event_sid(SID, 7),
    from_state="ACTIVE",
    to_state="PAUSED",
    reason="asked to",
    operation=OperationSid("b-1"),
    minutes_spent=2,
    ticket="https://tickets.example/1",
    options=("kill", "deep"),
)


def _keys() -> Golden:
    def write(stores: Stores) -> None:
        for key in KEYS:
            stores.access.put_key(key)

    def read(stores: Stores) -> object:
        access = stores.access
        return [access.key(key.key_id) for key in KEYS], access.keys(ACCOUNT, before=None, limit=9)

    value = list(KEYS), list(reversed(KEYS))
    return Golden(name="access/keys", value=value, write=write, read=read)


def _flag(name: str, flag: Flag) -> Golden:
    return Golden(
        name=f"access/{name}",
        value=flag,
        write=lambda stores: stores.access.set_queue_flag(ACCOUNT, flag),
        read=lambda stores: stores.access.queue_flag(ACCOUNT),
    )


def _limit(name: str, state: LimitState) -> Golden:
    change = LimitChange(
        at=micros_of(at(1)),
        guards={member: Bounds(low=0, high=0) for member in Member},
        sets=state.values,
    )
    return Golden(
        name=f"access/{name}",
        value=state,
        write=lambda stores: _change(stores, change),
        read=lambda stores: stores.limits.load(ACCOUNT, ORIGIN),
    )


def _change(stores: Stores, change: LimitChange) -> None:
    stores.limits.change(ACCOUNT, ORIGIN, change)


def _webhook(name: str, webhook: Webhook) -> Golden:
    return Golden(
        name=f"access/{name}",
        value=(webhook, SECRET),
        write=lambda stores: stores.webhooks.put(webhook, secret=SECRET, audit=MINIMAL_AUDIT),
        read=lambda stores: stores.webhooks.find_with_secret(ACCOUNT),
    )


def _audit(name: str, audit: AuditEntry) -> Golden:
    """Return a golden entry, found by its day, its target and its operation."""

    def read(stores: Stores) -> object:
        trail, since, before = stores.audit, at(9, 0), AuditPosition(at=at(10), key="")
        operation = audit.operation or OperationSid("none")
        lists = {
            "day": trail.of_day(ACCOUNT, at(9).date(), since=since, before=before, limit=9),
            "target": trail.of_target(ACCOUNT, audit.target, since=since, before=before, limit=9),
            "operation": trail.of_operation(ACCOUNT, operation, since=since, before=before, limit=9),
        }
        return {kind: [entry for _, entry in entries] for kind, entries in lists.items()}

    def write(stores: Stores) -> None:
        if audit.target == SID:
            stores.instances.create(INSTANCE, audit=audit)
        else:
            stores.access.set_queue_flag(ACCOUNT, Flag(is_paused=True), audit=audit)

    value = {"day": [audit], "target": [audit], "operation": [audit] if audit.operation else []}
    return Golden(name=f"audit/{name}", value=value, write=write, read=read)


ACCESS = (
    _keys(),
    Golden(
        name="access/session",
        value=SESSION,
        write=lambda stores: stores.access.open_session(SESSION),
        read=lambda stores: stores.access.session("70ce11"),
    ),
    _flag("queue-paused", Flag(is_paused=True)),
    _flag("queue-running", Flag()),
    _flag("queue-paused-before", Flag(is_paused=True, pauses=PAUSED_HEAD.pauses)),
    _webhook("webhook-for-all", replace(WEBHOOK, kinds=())),
    _webhook("webhook-full", WEBHOOK),
    _limit("limit", LIMIT),
    _limit("open-circuit", OPEN_CIRCUIT),
    _limit("taken-slots", TAKEN_SLOTS),
    _audit("command", replace(MINIMAL_AUDIT, target=SID, from_state="ACTIVE", to_state="PAUSED")),
    _audit("of-account", MINIMAL_AUDIT),
    _audit("full", AUDIT),
    expiring(_audit("expiring", AUDIT)),
    expiring(_audit("expiring-of-account", MINIMAL_AUDIT)),
)
