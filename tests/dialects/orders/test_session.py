"""Login, logout and sessions. Source: docs/contracts/orders.md, head; B.5."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from shared.domain.access import Role
from tests.dialects.orders.client import ACCOUNT, BASE, MINE, Joc
from tests.dialects.wire import NOON

LOGIN, LOGOUT, ORDERS = (
    f"{BASE}{path}" for path in ("/authentication/login", "/authentication/logout", "/orders")
)
NOBODY = {
    "deliveryDate": "2026-01-01T12:00:00.000Z",
    "isAuthenticated": False,
    "isPermitted": False,
    "account": "",
    "accessToken": "",
    "hasRole": False,
}


class TestLogin:
    """A login needs Basic keyId:secret; the token is in the header and in the body."""

    def test_the_token_authenticates_requests(self, joc: Joc) -> None:
        status, answer = joc.log_in("viewer")
        token = joc.headers["X-Access-Token"]

        assert status == 200
        assert answer == {
            "deliveryDate": "2026-01-01T12:00:00.000Z",
            "isAuthenticated": True,
            "isPermitted": True,
            "message": "",
            "account": "viewer",
            "accessToken": token,
            "hasRole": False,
            "role": "viewer",
            "sessionTimeout": 1_800_000,
        }
        assert joc.send(ORDERS, MINE, headers={"X-Access-Token": token})[0] == 200
        assert joc.send(f"{ORDERS}?accessToken={token}", MINE)[0] == 200

    def test_the_header_takes_precedence_over_the_query(self, joc: Joc) -> None:
        token = joc.token("viewer")

        assert joc.send(f"{ORDERS}?accessToken=x", MINE, headers={"X-Access-Token": token})[0] == 200
        assert joc.send(f"{ORDERS}?accessToken={token}", MINE, headers={"X-Access-Token": "x"})[0] == 401

    @pytest.mark.parametrize(
        "shown",
        [None, "Basic", "Basic !!!", "Basic dmlld2Vy", "Basic dmlld2VyOndyb25n", "Bearer viewer.secret"],
    )
    def test_a_login_without_a_valid_key_is_refused(self, joc: Joc, shown: str | None) -> None:
        status, answer = joc.send(LOGIN, headers={} if shown is None else {"authorization": shown})

        assert status == 401
        assert answer == NOBODY | {"message": "JocAuthenticationException: access denied"}
        assert joc.ports.access.sessions == {}

    def test_only_a_hash_of_the_token_is_stored(self, joc: Joc) -> None:
        token = joc.token("viewer")
        (session,) = joc.ports.access.sessions.values()

        assert token not in str(session)
        assert (session.key_id, session.account_id, session.opened_at) == ("viewer", ACCOUNT, NOON)


class TestRequestsWithoutASession:
    """If a request has no session, it is 401 with the security object."""

    @pytest.mark.parametrize(
        "headers", [{}, {"X-Access-Token": "made-up"}, {"authorization": "Bearer admin.secret"}]
    )
    def test_a_request_without_session_is_refused(self, joc: Joc, headers: dict[str, str]) -> None:
        status, answer = joc.send(ORDERS, MINE, headers=headers)

        assert status == 401
        assert answer == NOBODY | {
            "message": "JocAuthenticationException: a valid X-Access-Token is required",
            "apiCall": "./orders",
        }


class TestExpiry:
    """A session ends when it was not used for half an hour, its key was removed, or the client logged out."""

    def test_a_session_expires_after_half_an_hour_without_use(self, joc: Joc) -> None:
        joc.token("viewer")
        joc.ports.clock.at = NOON + timedelta(seconds=1799)
        assert joc("/orders", key="viewer")[0] == 200
        joc.ports.clock.at += timedelta(seconds=1800)

        status, answer = joc("/orders", key="viewer")

        assert status == 440
        assert answer == NOBODY | {
            "deliveryDate": "2026-01-01T12:59:59.000Z",
            "account": "viewer",
            "message": "SessionNotExistException: the session has expired",
            "apiCall": "./orders",
        }

    def test_a_session_is_written_at_most_once_a_minute(self, joc: Joc) -> None:
        joc.token("viewer")
        for seconds, ends in ((59, 1800), (60, 1860), (119, 1860), (120, 1920)):
            joc.ports.clock.at = NOON + timedelta(seconds=seconds)
            assert joc("/orders", key="viewer")[0] == 200
            (session,) = joc.ports.access.sessions.values()
            assert session.idle_until == NOON + timedelta(seconds=ends)

    def test_sessions_of_a_removed_key_are_invalid(self, joc: Joc) -> None:
        joc.token("viewer")
        del joc.ports.access.all_keys["viewer"]

        assert joc("/orders", key="viewer")[0] == 401

    def test_a_session_has_the_current_role_of_its_key(self, joc: Joc) -> None:
        joc.token("viewer")
        key = joc.ports.access.all_keys["viewer"]
        assert joc("/orders/cancel", key="viewer")[0] == 403
        joc.ports.access.put_key(replace(key, role=Role.OPERATOR))

        assert joc("/orders/cancel", key="viewer")[0] == 420

    def test_the_token_is_invalid_after_a_logout(self, joc: Joc) -> None:
        token = {"X-Access-Token": joc.token("viewer")}

        assert joc.send(LOGOUT, headers=token) == (200, NOBODY | {"account": "viewer", "message": ""})
        assert joc("/orders", key="viewer")[0] == 401
        assert joc.send(LOGOUT, headers=token)[0] == 401

    def test_a_logout_of_an_expired_session_is_440(self, joc: Joc) -> None:
        token = {"X-Access-Token": joc.token("viewer")}
        joc.ports.clock.at += timedelta(hours=1)

        assert joc.send(LOGOUT, headers=token)[0] == 440
        assert joc.send(LOGOUT, headers=token)[0] == 401


class TestPermissions:
    """A viewer reads, an operator commands."""

    def test_a_command_of_a_viewer_is_403(self, joc: Joc) -> None:
        status, answer = joc("/orders/cancel", key="viewer")

        assert status == 403
        assert answer == NOBODY | {
            "isAuthenticated": True,
            "account": "viewer",
            "message": "Access denied",
            "apiCall": "./orders/cancel",
        }
