"""A row of a dialect's table of routes: everything that is true of one operation before it runs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel

from shared.domain.access import Role
from shared.domain.ids import AccountId


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """The holder of a valid access key or session."""

    key_id: str
    account_id: AccountId
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What an operation answers. body: a JSON value; the empty text for an answer without a body."""

    body: Any = ""
    status: int = HTTPStatus.OK
    headers: Mapping[str, str] = field(default_factory=dict)


class Target(Enum):
    """What a request names. It is found, and its Strategy-Secret checked, before the operation runs."""

    NOTHING = auto()
    STRATEGY = auto()
    """The strategy in the path."""
    STRATEGY_OR_DELETED = auto()
    """The same, also after its deletion."""
    NAMED_STRATEGY = auto()
    """The strategy that body or query name, if they name one."""
    INSTANCE = auto()
    EVENT = auto()
    OPERATION = auto()
    """The bulk operation in the path; no secret guards it."""
    KEY = auto()
    """The access key in the path; no secret guards it."""
    IDS = auto()
    """Ids in the path, of which only the form is checked: what they name is looked for after the body was read."""

    @property
    def has_secret(self) -> bool:
        """Whether the caller must know a Strategy-Secret, in the dialect that has them."""
        return self not in (Target.NOTHING, Target.OPERATION, Target.KEY, Target.IDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One operation, and what the gateway checks and reads before it runs.

    operation: called with the request, what the path names, and ``query`` and ``body`` if the route takes them.
    role: the lowest that may call it; None for every role.
    authenticate: instead of the dialect's way to show who calls.
    body: the model that the body is read as, or the name of its shape in the OpenAPI document if ``read`` does it all.
    read: reads the body if more than its model is to be checked; called with the request and ``body``.
    is_idempotent: takes an Idempotency-Key. is_audited: takes an Audit-Comment.
    answer: the name of its answer's shape in the OpenAPI document; None for an answer without a body.
    statuses: those of success. suffix: to the name of an operation that is served under two paths.
    """

    method: str
    path: str
    operation: Callable[..., Answer]
    role: Role | None
    answer: str | None
    target: Target = Target.NOTHING
    authenticate: Callable[..., Principal | None] | None = None
    body: type[BaseModel] | str | None = None
    body_is_optional: bool = False
    read: Callable[..., Any] | None = None
    query: type[BaseModel] | None = None
    is_idempotent: bool = False
    is_audited: bool = False
    statuses: tuple[int, ...] = (HTTPStatus.OK,)
    suffix: str = ""

    @property
    def name(self) -> str:
        """The name of the operation, unlike that of any other route of the dialect."""
        return f"{self.operation.__name__}{self.suffix}"
