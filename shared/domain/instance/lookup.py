"""The keys by which an instance is found: its reference, and the attributes that its strategy declares as searchable.

Source: docs/contracts/core.md section 5.
"""

from shared.domain.instance.model import Instance
from shared.domain.strategy.model import Json
from shared.expressions.texts import text_of


def searched_attributes(instance: Instance) -> tuple[tuple[str, str], ...]:
    """Return the names and texts of the searchable attributes that the instance has, in the order of the strategy."""
    found = ((name, instance.attributes.get(name)) for name in instance.searchable)
    return tuple((name, attribute_text(value)) for name, value in found if value is not None)


def attribute_text(value: Json) -> str:
    """Return the text under which an attribute is found. The number 17 and the text "17" have the same one."""
    return value if isinstance(value, str) else text_of(value)
