"""Names of things, and how a name tells where its thing lives.

To clients every id is opaque. Inside, an event's sid starts with its instance's, and a correlation
id with its event's, so that nothing needs an index to be found.
"""

import re
from hashlib import sha256
from typing import NewType

AccountId = NewType("AccountId", str)
StrategySid = NewType("StrategySid", str)
InstanceSid = NewType("InstanceSid", str)
EventSid = NewType("EventSid", str)
CorrelationId = NewType("CorrelationId", str)
CallKey = NewType("CallKey", str)
OperationSid = NewType("OperationSid", str)

_KEYED_ORDER = re.compile(r"#[0-9-]{10}#T(?P<number>[0-9]{20})-.*", re.DOTALL)
_EVENT = re.compile(r"(?P<instance>[0-9A-Za-z-]{1,40})-(?P<seq>[1-9][0-9]{0,7})")


def event_sid(instance: InstanceSid, seq: int) -> EventSid:
    """The sid of the ``seq``-th event of an instance: ``<instanceSid>-<seq>``."""
    return EventSid(f"{instance}-{seq}")


def sid_of_request(account: AccountId, kind: str, key: str) -> str:
    """The sid of what a creating request with an ``Idempotency-Key`` makes: the same for every sending of it.

    A UUID of version 8 (RFC 9562). kind: what is created, so that one key may serve for several things.
    """
    digest = sha256(f"{kind}:{len(account)}:{account}:{key}".encode()).digest()[:16]
    value = int.from_bytes(digest, "big") & ~(0xF << 76) | 0x8 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def order_sid(account: AccountId, order_id: str) -> InstanceSid:
    """The sid of the instance that an account calls by that name among orders.

    Of one that was added under an ``Idempotency-Key`` only its number counts: sent again, the id may name another day.
    """
    keyed = _KEYED_ORDER.fullmatch(order_id)
    return numbered_order_sid(account, order_id if keyed is None else keyed["number"])


def numbered_order_sid(account: AccountId, number: str) -> InstanceSid:
    """The sid of the order that ``order_number`` names."""
    return InstanceSid(sid_of_request(account, "order", number))


def order_number(account: AccountId, key: str, place: int) -> str:
    """Twenty digits: the number of the order that a request with an ``Idempotency-Key`` adds at a place."""
    digits = sid_of_request(account, f"order {place}", key).replace("-", "")
    return f"{int(digits, 16) % 10**20:020}"


def event_address(sid: str) -> tuple[InstanceSid, int] | None:
    """The owner and number an event sid names, or None where the text cannot be an event sid."""
    match = _EVENT.fullmatch(sid)
    if match is None:
        return None
    return InstanceSid(match["instance"]), int(match["seq"])


def call_key(event: EventSid, *, run: int, visit: int) -> CallKey:
    """The idempotency key of one call: the same for every sending of it."""
    return CallKey(f"{event}-{run}-{visit}")


def correlation_id(event: EventSid, token: str) -> CorrelationId:
    """The id an answer to an asynchronous call is sent to; ``token`` makes it unguessable."""
    return CorrelationId(f"{event}.{token}")


def event_of_correlation(correlation: str) -> str:
    """The event sid a correlation id would start with, whatever the text is."""
    return correlation.partition(".")[0]


def answer_key(correlation: CorrelationId, body: str) -> str:
    """What an answer is kept under: the same only for the same body to the same correlation id."""
    return sha256(f"{correlation} {body}".encode()).hexdigest()[:32]


def wakeup_name(event: EventSid, seq: int) -> str:
    """Return the name of the schedule that wakes a runner for an event; ``seq`` rises with each new date of it."""
    return f"{event}-{seq}"
