"""The ids, and how an id names its owner.

Clients treat every id as opaque. Inside, an event's sid starts with its instance's, and a correlation id with its
event's, so no index is needed to find either.
"""

import re
from datetime import datetime
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
    """Return the sid of the ``seq``-th event of an instance: ``<instanceSid>-<seq>``."""
    return EventSid(f"{instance}-{seq}")


def sid_of_request(account: AccountId, kind: str, key: str) -> str:
    """Return the sid of the item that a request with an ``Idempotency-Key`` creates: the same for every repeat.

    It is a UUID of version 8 (RFC 9562). ``kind`` names the kind of item, so one key can serve for several kinds.
    """
    digest = sha256(f"{kind}:{len(account)}:{account}:{key}".encode()).digest()[:16]
    value = int.from_bytes(digest, "big") & ~(0xF << 76) | 0x8 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def order_sid(account: AccountId, order_id: str) -> InstanceSid:
    """Return the sid of the instance with that order id.

    If the order was added under an ``Idempotency-Key``, only the number in its id counts, because a repeat on another
    day has another date in it.
    """
    keyed = _KEYED_ORDER.fullmatch(order_id)
    return numbered_order_sid(account, order_id if keyed is None else keyed["number"])


def numbered_order_sid(account: AccountId, number: str) -> InstanceSid:
    """Return the sid of the order with the number that ``order_number`` returned."""
    return InstanceSid(sid_of_request(account, "order", number))


def order_number(account: AccountId, key: str, place: int) -> str:
    """Return the number, twenty digits, of the order at a place of a request with an ``Idempotency-Key``."""
    digits = sid_of_request(account, f"order {place}", key).replace("-", "")
    return f"{int(digits, 16) % 10**20:020}"


def event_address(sid: str) -> tuple[InstanceSid, int] | None:
    """Return the instance and number of an event sid, or None if the text cannot be an event sid."""
    match = _EVENT.fullmatch(sid)
    if match is None:
        return None
    return InstanceSid(match["instance"]), int(match["seq"])


def call_key(event: EventSid, *, run: int, visit: int) -> CallKey:
    """Return the idempotency key of one call: the same for every repeat of it."""
    return CallKey(f"{event}-{run}-{visit}")


def correlation_id(event: EventSid, token: str) -> CorrelationId:
    """Return the id that an asynchronous call is answered under; ``token`` makes it unguessable."""
    return CorrelationId(f"{event}.{token}")


def event_of_correlation(correlation: str) -> str:
    """Return the event sid that a correlation id starts with, for any text."""
    return correlation.partition(".")[0]


def answer_key(correlation: CorrelationId, body: str) -> str:
    """Return the key an answer is stored under: the same only for the same body and correlation id."""
    return sha256(f"{correlation} {body}".encode()).hexdigest()[:32]


def wakeup_name(event: EventSid, seq: int) -> str:
    """Return the name of the schedule that wakes a runner for an event; ``seq`` rises with each new date of it."""
    return f"{event}-{seq}"


def dated_change_name(instance: InstanceSid, at: datetime) -> str:
    """Return the name of the schedule that wakes a runner when an instance's status changes by itself, at ``at``.

    It differs from every name of an event's wakeup, whose event has a number there.
    """
    # The same instant has the same name, so a change that is moved and moved back finds the schedule that it needs.
    return f"{instance}-at-{int(at.timestamp() * 1000):x}"
