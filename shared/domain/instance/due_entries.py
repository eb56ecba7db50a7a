"""The entries of the due index, and the order in which a sweep takes them.

Source: docs/design.md section 3.2.
"""

from collections.abc import Sequence
from datetime import datetime
from itertools import zip_longest
from typing import Generic, TypeVar

from msgspec import Struct

from shared.domain.ids import InstanceSid, OperationSid
from shared.domain.instance.due import SHARDS

Sid = TypeVar("Sid", InstanceSid, OperationSid)


class DueEntry(Struct, Generic[Sid], frozen=True, kw_only=True):
    """An entry of the due index: an instance or operation, its partition, and since when the entry has been due."""

    sid: Sid
    partition: str
    at: datetime


# Prime to the number of shards, so that each is first once in sixteen sweeps. Sweeps that reach only five shards reach
# all of them within four minutes.
STRIDE = 5
"""How many shards further each sweep begins than the one before."""


def sweep_order(now: datetime) -> list[int]:
    """Return all shards in the order in which a sweep of this minute takes them.

    The first shard follows from the minute, so nothing is stored, and a sweep that failed costs no shard its place.
    """
    first = int(now.timestamp()) // 60 * STRIDE
    return [(first + number) % SHARDS for number in range(SHARDS)]


def in_turns(
    partitions: Sequence[Sequence[DueEntry[InstanceSid]]],
) -> list[DueEntry[InstanceSid]]:
    """Return the entries of all partitions, first the first of each, then the second of each, and so on.

    A sweep that ends early has then woken as many of one partition as of another.
    """
    rounds = zip_longest(*partitions)
    return [entry for entries in rounds for entry in entries if entry is not None]
