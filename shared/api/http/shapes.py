"""Parts of the declarations of answers, and the decorator that leaves out optional members.

Each dialect declares its answers once, as ``TypedDict``s in its ``answers.py``. The functions that make them are
annotated with these types, and the schemas of the OpenAPI document are derived from them.
"""

from collections.abc import Callable, Mapping
from functools import wraps
from inspect import get_annotations
from typing import Annotated, Any, ParamSpec, TypeVar, cast

from msgspec import Struct

P = ParamSpec("P")
S = TypeVar("S", bound=Mapping[str, object])

ErrorId = Annotated[str, "Set if the failure is ours: the id of its log entry."]


class Keywords(Struct, frozen=True, eq=False):
    """Keywords of JSON Schema that a Python type cannot express, as metadata of ``Annotated``."""

    schema: Mapping[str, Any]


class Open:
    """Metadata of ``Annotated`` for an object that may have other members too."""


def omit_unset(render: Callable[P, S]) -> Callable[P, S]:
    """Leave out the ``NotRequired`` members that are None in the ``TypedDict`` that ``render`` returns."""
    optional = get_annotations(render)["return"].__optional_keys__

    @wraps(render)
    def rendered(*args: P.args, **kwargs: P.kwargs) -> S:
        shape = render(*args, **kwargs).items()
        return cast(S, {name: value for name, value in shape if value is not None or name not in optional})

    return rendered
