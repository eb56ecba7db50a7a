"""A row of a dialect's table of routes."""

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from enum import Enum, auto
from http import HTTPStatus
from inspect import get_annotations
from types import NoneType
from typing import Any, Generic, TypeVar, get_args

from msgspec import Struct
from pydantic import BaseModel

from shared.domain.access import Role
from shared.domain.ids import AccountId


class Principal(Struct, frozen=True, kw_only=True):
    """The holder of a valid access key, session or token.

    ``name`` is the id of the key, or ``token:`` and the subject of the token.
    """

    name: str
    account_id: AccountId
    role: Role


Shape_co = TypeVar("Shape_co", covariant=True)


class Answer(Struct, Generic[Shape_co], frozen=True, kw_only=True):
    """The answer of an operation. ``body`` is a JSON value, or None if the answer has no body."""

    body: Shape_co
    status: int = HTTPStatus.OK
    headers: Mapping[str, str] = {}


class Target(Enum):
    """The object that a request names. The gateway finds it and checks its Strategy-Secret first."""

    NOTHING = auto()
    STRATEGY = auto()
    """The strategy in the path."""
    STRATEGY_OR_DELETED = auto()
    """The strategy in the path, even if it is deleted."""
    NAMED_STRATEGY = auto()
    """The strategy that the body or the query names, if they name one."""
    INSTANCE = auto()
    EVENT = auto()
    OPERATION = auto()
    """The bulk operation in the path. It has no Strategy-Secret."""
    KEY = auto()
    """The access key in the path. It has no Strategy-Secret."""
    WEBHOOK = auto()
    """The webhook of the caller's account. It has no Strategy-Secret."""
    IDS = auto()
    """Ids in the path. Only their form is checked; the operation finds the objects after the body was read."""

    @property
    def has_secret(self) -> bool:
        """Whether the caller must know a Strategy-Secret, in the dialect that has them."""
        # These objects belong to the account, not to one strategy.
        return self not in (Target.NOTHING, Target.OPERATION, Target.KEY, Target.WEBHOOK, Target.IDS)


@dataclass(frozen=True, slots=True)
class Route:
    """One operation, with all that the gateway checks and reads before it runs.

    ``role`` is the lowest role that may call it, None for every role. ``place`` is method and path: ``GET /audit``.
    ``operation`` is called with the request, the object that the path names, and ``query`` and ``body`` if it has
    these parameters. The types in its signature are its models, and the type of its answer.
    ``authenticate`` replaces the dialect's function.
    ``read`` reads the body if more than its model must be checked; it is called with the request and ``body``.
    ``shape`` is the body in the OpenAPI document if it differs from the signature: a model, or the name of a schema.
    If ``is_idempotent``, the route takes an ``Idempotency-Key``. ``statuses`` are those of success.
    ``suffix`` is added to the name of an operation that has two paths.
    """

    role: Role | None
    place: str
    operation: Callable[..., Answer[Any]]
    target: Target = Target.NOTHING
    _: KW_ONLY
    authenticate: Callable[..., Principal | None] | None = None
    read: Callable[..., Any] | None = None
    shape: type[BaseModel] | str | None = None
    body_is_optional: bool = False
    is_idempotent: bool = False
    statuses: tuple[int, ...] = (HTTPStatus.OK,)
    suffix: str = ""

    @property
    def method(self) -> str:
        """The HTTP method."""
        return self.place.split()[0]

    @property
    def path(self) -> str:
        """The path, with its names in ``<>``."""
        return self.place.split()[1]

    @property
    def body(self) -> type[BaseModel] | str | None:
        """The model or the name of the shape of the body; None if the route takes none."""
        return self.shape or self._model("body")

    @property
    def query(self) -> type[BaseModel] | None:
        """The model of the query; None if the route takes none."""
        return self._model("query")

    @property
    def name(self) -> str:
        """The name of the operation, unlike that of any other route of the dialect."""
        return f"{self.operation.__name__}{self.suffix}"

    @property
    def answer(self) -> Any:  # noqa: ANN401 - any type
        """The type of the answer's body, from the signature; None if the answer has no body."""
        (declared,) = get_args(get_annotations(self.operation)["return"])
        return None if declared is NoneType else declared

    def _model(self, parameter: str) -> type[BaseModel] | None:
        model: type[BaseModel] | None = get_annotations(self.operation).get(parameter)
        return model
