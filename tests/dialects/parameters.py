"""Tables of the parameters of a dialect: each acts, because two requests that differ only in it differ in effect.

A row has two values for a parameter. ``MISSING`` leaves it out.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args
from urllib.parse import urlencode

import pytest
from pydantic import BaseModel

from shared.api.http.route import Route

Json = dict[str, Any]
MISSING = object()


@dataclass(frozen=True)
class Pair:
    """Two values of a parameter. ``beside`` has other parameters that the request needs."""

    one: Any
    other: Any
    beside: Mapping[str, Any] = field(default_factory=dict)


Table = Mapping[str, Mapping[str, Pair]]
"""The pairs of each operation by their parameters. Those of a query begin with ``?``; parts of a body have dots."""


def cells(table: Table) -> list[Any]:
    """Return place, parameter and pair of each row, for ``parametrize``."""
    return [
        pytest.param(place, name, pair, id=f"{place} {name}")
        for place, row in table.items()
        for name, pair in row.items()
    ]


def query_of(route: Route) -> set[str]:
    """Return the parameters of a route's query."""
    fields = {} if route.query is None else route.query.model_fields
    return {f"?{declared.alias or name}" for name, declared in fields.items()}


def members_of(model: type[BaseModel]) -> set[str]:
    """Return the members of a body, with those of the models inside it by the names of these."""
    found = set(model.model_fields)
    for declared in model.model_fields.values():
        for inner in _models(declared.annotation):
            found |= {f"{inner.__name__}.{name}" for name in inner.model_fields}
    return found


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)


def target_of(name: str, value: Any, beside: Mapping[str, Any]) -> tuple[str, Json]:
    """Return query and body of a request with a value of one parameter.

    If the parameter is a part's member, its value has the members of the body to replace.
    """
    given = {name: value} if name.startswith("?") or "." not in name else value
    members = {key: one for key, one in {**beside, **given}.items() if one is not MISSING}
    query = {
        name: text
        for key, one in members.items()
        if key.startswith("?")
        for name, text in (
            {f"{key[1:]}[{inner}]": text for inner, text in one.items()}
            if isinstance(one, Mapping)
            else {key[1:]: one}
        ).items()
    }
    body = {key: one for key, one in members.items() if not key.startswith("?")}
    return (f"?{urlencode(query)}" if query else ""), body
