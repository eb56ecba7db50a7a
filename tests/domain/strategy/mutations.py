"""Any JSON, and example settings changed at random, for properties."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

from tests.domain.strategy.definitions import example, full, minimal

EXAMPLES = [example("gym-membership"), example("water-filter-refill"), minimal(), full()]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of each place in a document."""
    members = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for name, member in members:
        yield (*path, name)
        yield from places(member, (*path, name))


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None), max_size=8)
    | st.sampled_from(["", "{", "${", "{{env}}", "charge", "dev", "callback", "onError", "days", "https://x"])
)
names = st.text(max_size=4) | st.sampled_from(
    sorted({"type", "ref", *(str(path[-1]) for path in places(full()))} - set("0123"))
)
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=20,
)
"""Any JSON."""


@st.composite
def mutations(draw: st.DrawFn) -> Any:
    """Return an example with one to three places replaced, removed, renamed or doubled."""
    document = deepcopy(draw(st.sampled_from(EXAMPLES)))
    for _ in range(draw(st.integers(1, 3))):
        *path, last = draw(st.sampled_from(list(places(document))))
        place: Any = document
        for name in path:
            place = place[name]
        match draw(st.sampled_from(["replace", "remove", "rename", "double"])):
            case "replace":
                place[last] = draw(documents)
            case "rename" if isinstance(place, dict):
                place[draw(names)] = place.pop(last)
            case "double" if isinstance(place, list):
                place.append(deepcopy(place[last]))
            case _:
                del place[last]
        if not document:
            break
    return document
