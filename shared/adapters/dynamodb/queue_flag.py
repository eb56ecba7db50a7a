"""The item with the flag of an account's queue."""

from shared.adapters.dynamodb.attributes import Attributes
from shared.adapters.dynamodb.documents import QUEUE_FLAG
from shared.adapters.dynamodb.forms import from_text, to_text
from shared.adapters.dynamodb.items import item_of, read
from shared.adapters.dynamodb.reading import Item
from shared.adapters.dynamodb.tables import flags_key
from shared.domain.ids import AccountId
from shared.domain.strategy.flag import Flag


def queue_flag_item(account: AccountId, flag: Flag) -> Attributes:
    """Return the item of a queue's flag."""
    doc = {"doc": to_text(QUEUE_FLAG.write(flag))} if flag.pauses else {}
    return item_of(account, flags_key(account), queuePaused=flag.is_paused, **doc)


def queue_flag_of(item: Item) -> Flag:
    """Return the queue's flag of an item."""
    found = read(item, "queuePaused")
    return QUEUE_FLAG.read(from_text(found.get("doc", "{}")), is_paused=bool(found["queuePaused"]))
