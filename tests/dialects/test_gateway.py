"""The rules that all four dialects share, because one gateway serves them.

Source: docs/design.md section 9; docs/decisions/0016.
"""

import inspect
from datetime import UTC, datetime
from http import HTTPStatus

import pytest

from shared.api.automation.answers import Code
from shared.api.automation.dialect import AUTOMATION
from shared.api.automation.errors import REFUSALS as AUTOMATION_REFUSALS
from shared.api.core.dialect import CORE
from shared.api.core.errors import REFUSALS as CORE_REFUSALS
from shared.api.http.errors import (
    ForbiddenError,
    InvalidBodyError,
    InvalidHeaderError,
    InvalidQueryError,
    Occurrence,
    TooLargeError,
    UnauthorizedError,
    UnknownPathError,
)
from shared.api.http.gateway import Dialect
from shared.api.http.route import Principal, Route, Target
from shared.api.orders.dialect import ORDERS
from shared.api.process.dialect import PROCESS
from shared.application.ports import ConnectionLostError, OverloadedError
from shared.application.start import KeyReusedError
from shared.domain.access import Role
from shared.domain.errors import InvalidInputError, Problem
from shared.domain.ids import AccountId
from shared.domain.instance.verdict import RefusalRule

DIALECTS = (CORE, AUTOMATION, ORDERS, PROCESS)
EVERY_DIALECT = pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
ROUTES = [
    pytest.param(route, id=f"{dialect.name} {route.place}")
    for dialect in DIALECTS
    for route in dialect.routes
]
PROBLEMS = (Problem(pointer="/limit", rule="range", message="must be 1 to 100"),)
VIEWER = Principal(name="viewer", account_id=AccountId("a-1"), role=Role.VIEWER)
AT = Occurrence(at=datetime(2026, 1, 1, 12, tzinfo=UTC), error_id="error-1")


class TestErrors:
    """Every dialect has an answer to every error of the gateway and of use cases."""

    @EVERY_DIALECT
    @pytest.mark.parametrize(
        "error",
        [
            UnknownPathError(),
            TooLargeError(),
            UnauthorizedError(CORE.routes[0]),
            ForbiddenError(VIEWER, CORE.routes[0]),
            InvalidQueryError(PROBLEMS),
            InvalidBodyError(PROBLEMS),
            InvalidHeaderError("Idempotency-Key", "must have 1 to 255 characters"),
            InvalidInputError(PROBLEMS),
            OverloadedError(),
            ConnectionLostError(),
        ],
        ids=lambda error: type(error).__name__,
    )
    def test_every_error_of_the_gateway_has_an_answer(self, dialect: Dialect, error: Exception) -> None:
        refusal = dialect.errors.refusal_of(error)

        assert refusal is not None
        assert 400 <= refusal.status < 500 or refusal.status == 503
        assert refusal.body(AT)

    @EVERY_DIALECT
    def test_an_unknown_error_is_a_failure_with_an_id(self, dialect: Dialect) -> None:
        failure = dialect.errors.failure

        assert dialect.errors.refusal_of(KeyError("inside")) is None
        assert failure.status == 500
        assert "error-1" in str(failure.body(AT))
        assert "inside" not in str(failure.body(AT))

    def test_an_error_has_the_row_of_its_nearest_parent(self) -> None:
        class LaterError(KeyReusedError):
            """A new error of a use case."""

        refusal = CORE.errors.refusal_of(LaterError("used"))

        assert refusal is not None
        assert (refusal.status, refusal.message) == (422, "used")


class TestRefusedCommands:
    """Every dialect with commands that can be refused has an answer to every rule."""

    def test_the_core_dialect_has_a_status_for_every_rule(self) -> None:
        assert CORE_REFUSALS == {
            RefusalRule.STATE: 409,
            RefusalRule.FINISHED: 409,
            RefusalRule.UNKNOWN: 409,
            RefusalRule.BEGUN: 409,
            RefusalRule.SELECTION: 409,
            RefusalRule.ROOM: 409,
            RefusalRule.INPUT: 400,
            RefusalRule.ATTRIBUTES: 422,
            RefusalRule.SHIFT: 422,
            RefusalRule.TOO_MANY_MISSED: 422,
            RefusalRule.KEY_REUSED: 422,
        }
        assert set(CORE_REFUSALS) == set(RefusalRule)

    def test_the_automation_dialect_has_one_answer_to_every_rule(self) -> None:
        assert set(AUTOMATION_REFUSALS) == set(RefusalRule)
        assert set(AUTOMATION_REFUSALS.values()) == {(HTTPStatus.BAD_REQUEST, Code.INVALID_PARAMETER)}


class TestRoutes:
    """A row and the function in it fit together."""

    @pytest.mark.parametrize("route", ROUTES)
    def test_an_operation_with_a_body_parameter_has_a_body(self, route: Route) -> None:
        assert ("body" in inspect.signature(route.operation).parameters) == (route.body is not None)

    @pytest.mark.parametrize("route", CORE.routes, ids=lambda route: route.place)
    def test_the_object_in_a_core_path_is_an_argument_of_the_operation(self, route: Route) -> None:
        assert ("<" in route.path) <= (route.target not in (Target.NOTHING, Target.NAMED_STRATEGY))

    @EVERY_DIALECT
    def test_names_of_operations_are_unique(self, dialect: Dialect) -> None:
        assert len({route.name for route in dialect.routes}) == len(dialect.routes)
