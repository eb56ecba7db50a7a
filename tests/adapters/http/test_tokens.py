import json
import time
from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread
from typing import Any

import pytest

from shared.adapters.http.exchange import Reply, Sending
from shared.adapters.http.service_caller import HttpServiceCaller
from shared.adapters.http.tokens import MAX_TOKENS, NoToken, Token, TokenCache
from shared.domain.steps.call import (
    AddressRefused,
    Answered,
    CallOutcome,
    RetryAfter,
    TimedOut,
    TokenRefused,
    Unreachable,
)
from tests.adapters.http.http_stub import Make, Script, Stub, a_credential, a_request, answer, serving

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

REFUSED = answer({"code": "expired"}, 401)
OK = answer({"ok": True})


def token(text: str, **more: Any) -> bytes:
    return answer({"access_token": text, **more})


def sent(service: Stub) -> list[str | None]:
    """Return the Authorization header of each request."""
    return [request.headers.get("authorization") for request in service.seen]


def called(
    caller: HttpServiceCaller, authority: Stub, service: Stub, *, times: int = 1, **credential: Any
) -> CallOutcome:
    request = a_request(service.url(), credential=a_credential(authority.url("/token"), **credential))
    for _ in range(times - 1):
        caller.call(request)
    return caller.call(request)


class TestTheRequestForAToken:
    """A token is requested as the strategy says: method, headers, parameters and data."""

    def seen(self, caller: HttpServiceCaller, **credential: Any) -> Any:
        with serving(token("t")) as authority, serving() as service:
            assert called(caller, authority, service, **credential) == Answered(status=200, body={"ok": True})
            (request,) = authority.seen
            return request

    def test_json_by_default(self, caller: HttpServiceCaller) -> None:
        request = self.seen(caller, params={"scope": "a b"}, headers={"X-Tenant": "7"})

        assert (request.method, request.target) == ("POST", "/token?scope=a+b")
        assert json.loads(request.body) == {"client_id": "c", "client_secret": "hush-client"}
        assert (request.headers["content-type"], request.headers["x-tenant"]) == ("application/json", "7")

    def test_a_form_is_sent_if_the_headers_say_so(self, caller: HttpServiceCaller) -> None:
        request = self.seen(caller, headers={"content-type": "application/x-www-form-urlencoded"})

        assert request.body == b"client_id=c&client_secret=hush-client"
        assert request.headers["content-type"] == "application/x-www-form-urlencoded"

    def test_a_get_without_data(self, caller: HttpServiceCaller) -> None:
        request = self.seen(caller, method="get", data=None)

        assert (request.method, request.body) == ("GET", b"")


class TestWhereTheTokenIs:
    """The token is at a path of the JSON answer, or is the whole text. It follows its scheme."""

    @pytest.mark.parametrize(
        ("body", "path", "scheme", "header"),
        [
            ({"access_token": "t"}, "access_token", "Bearer", "Bearer t"),
            ({"data": {"auth": {"token": "t"}}}, "data.auth.token", "JWT", "JWT t"),
            ({"tokens": [{"v": "a"}, {"v": "t"}]}, "tokens.1.v", None, "t"),
            (b" t\n", None, "Bearer", "Bearer t"),
            (b"12345678901234567890.0", None, None, "12345678901234567890.0"),
            ({"access_token": "t"}, "access_token", "", "t"),
        ],
    )
    def test_the_token_is_read_at_its_path(
        self, caller: HttpServiceCaller, body: Any, path: str | None, scheme: str | None, header: str
    ) -> None:
        with serving(answer(body)) as authority, serving() as service:
            called(caller, authority, service, path=path, scheme=scheme)

            assert sent(service) == [header]

    @pytest.mark.parametrize(
        ("script", "path", "why"),
        [
            (answer({"a": 1}), "a", "the authorization's response has no text at credentialPath"),
            (answer({"a": ""}), "a", "the authorization's response has no text at credentialPath"),
            (answer({"a": "b"}), "a.b", "the authorization's response has no text at credentialPath"),
            (answer(["b"]), "3", "the authorization's response has no text at credentialPath"),
            (answer(b""), None, "the authorization's response has no text at credentialPath"),
            (answer(b"hush"), "a", "the authorization's response is not JSON"),
            (answer(b"[" * 60_000), "a", "the authorization's response is not JSON"),
            (
                answer({"a": "hush\r\nX: y"}),
                "a",
                "the authorization returned a text that cannot be sent in a header",
            ),
            (
                answer({"a": "hush\u20ac"}),
                "a",
                "the authorization returned a text that cannot be sent in a header",
            ),
            (answer(b"x" * 200_000), None, "the body of the authorization's response is larger than 128 KB"),
            (answer({"a": "hush"}, 403), "a", "the authorization returned HTTP 403"),
            (answer({"a": "hush"}, 302), "a", "the authorization returned HTTP 302"),
        ],
    )
    def test_without_a_token_nothing_is_sent(
        self, caller: HttpServiceCaller, script: Script, path: str | None, why: str
    ) -> None:
        with serving(script) as authority, serving() as service:
            assert called(caller, authority, service, path=path) == Unreachable(
                why=f"no token: {why}", tried=False
            )
            assert service.connections == 0

    @pytest.mark.parametrize(
        ("status", "headers", "retry_after"),
        [
            (429, {}, None),
            (503, {}, None),
            (429, {"Retry_After": "7200"}, timedelta(hours=2)),
            (503, {"Retry_After": "Sun Nov  6 08:49:37 2050"}, datetime(2050, 11, 6, 8, 49, 37, tzinfo=UTC)),
        ],
    )
    def test_an_authorization_that_is_busy_refuses_the_call_for_now(
        self, caller: HttpServiceCaller, status: int, headers: dict[str, str], retry_after: RetryAfter | None
    ) -> None:
        with serving(answer(b"busy", status, **headers)) as authority, serving() as service:
            assert called(caller, authority, service) == TokenRefused(
                why=f"no token: the authorization returned HTTP {status}", retry_after=retry_after
            )
            assert service.connections == 0

    @pytest.mark.parametrize("status", [409, 425, 500, 502, 504])
    def test_another_failure_of_the_authorization_is_no_refusal(
        self, caller: HttpServiceCaller, status: int
    ) -> None:
        with serving(answer(b"", status, Retry_After="9")) as authority, serving() as service:
            assert called(caller, authority, service) == Unreachable(
                why=f"no token: the authorization returned HTTP {status}", tried=False
            )

    @pytest.mark.parametrize(
        ("status", "outcome"),
        [
            (503, TokenRefused(why="no token: the authorization returned HTTP 503")),
            (500, Answered(status=401, body={"code": "expired"})),
        ],
    )
    def test_a_call_with_an_old_token_waits_while_a_new_one_is_refused(
        self, caller: HttpServiceCaller, status: int, outcome: CallOutcome
    ) -> None:
        with serving(token("old"), answer(b"", status)) as authority, serving(REFUSED) as service:
            assert called(caller, authority, service) == outcome
            assert sent(service) == ["Bearer old"]

    def test_with_an_unreachable_authorization_nothing_is_sent(self, make: Make) -> None:
        with serving() as service:
            with serving() as authority:
                pass

            assert called(make(), authority, service) == Unreachable(
                why="no token: 127.0.0.1: Connection refused", tried=False
            )
            assert called(make(allowed=()), authority, service) == Unreachable(
                why="no token: 127.0.0.1 is at an internal address", tried=False
            )
            assert service.connections == 0

    def test_an_authorization_of_the_action_wins(self, caller: HttpServiceCaller) -> None:
        with serving(token("t")) as authority, serving() as service:
            caller.call(
                a_request(
                    service.url(),
                    headers={"authorization": "Basic eA=="},
                    credential=a_credential(authority.url()),
                )
            )

            assert sent(service) == ["Basic eA=="]
            assert authority.seen == []


class TestHowLongATokenIsKept:
    """A token is cached for its ``expires_in`` less 60 s, or for an hour if that is not given."""

    @pytest.mark.parametrize(
        ("body", "passed", "fetches"),
        [
            ({"access_token": "t"}, 3590, 1),
            ({"access_token": "t"}, 3601, 2),
            ({"access_token": "t", "expires_in": 7200}, 7130, 1),
            ({"access_token": "t", "expires_in": 7200}, 7141, 2),
            ({"access_token": "t", "expires_in": "7200"}, 7130, 1),
            ({"access_token": "t", "expires_in": 0}, 0, 2),
            ({"access_token": "t", "expires_in": 60}, 0, 2),
            ({"access_token": "t", "expires_in": True}, 3590, 1),
            ({"access_token": "t", "expires_in": "soon"}, 3590, 1),
            ({"access_token": "t", "expires_in": 10**400}, 3590, 1),
        ],
    )
    def test_an_expired_token_is_fetched_again(
        self, make: Make, body: Any, passed: float, fetches: int
    ) -> None:
        later = [0.0]
        caller = make(seconds=lambda: later[0])
        with serving(answer(body)) as authority, serving() as service:
            called(caller, authority, service)
            later[0] = passed
            called(caller, authority, service)

            assert len(authority.seen) == fetches

    def test_expires_in_beside_the_token_counts(self, make: Make) -> None:
        later = [0.0]
        caller = make(seconds=lambda: later[0])
        body = {"expires_in": 9999, "data": {"token": "t", "expires_in": 0}}
        with serving(answer(body)) as authority, serving() as service:
            called(caller, authority, service, times=2, path="data.token")

            assert len(authority.seen) == 2

    def test_many_calls_take_one_token(self, caller: HttpServiceCaller) -> None:
        with serving(token("t")) as authority, serving() as service:
            called(caller, authority, service, times=10)

            assert len(authority.seen) == 1
            assert sent(service) == ["Bearer t"] * 10

    def test_other_credentials_are_another_token(self, caller: HttpServiceCaller) -> None:
        with serving(token("a"), token("b"), token("c"), token("d")) as authority, serving() as service:
            changes: list[dict[str, Any]] = [
                {},
                {"data": {"client_id": "d"}},
                {"headers": {"X": "y"}},
                {"params": {"x": "y"}},
                {},
            ]
            for change in changes:
                called(caller, authority, service, **change)

            assert sent(service) == [f"Bearer {one}" for one in "abcda"]

    def test_no_cache_fetches_one_per_call(self, caller: HttpServiceCaller) -> None:
        with serving(token("a"), token("b"), token("c")) as authority, serving() as service:
            called(caller, authority, service, times=3, no_cache=True)

            assert sent(service) == ["Bearer a", "Bearer b", "Bearer c"]

    def test_a_failure_is_not_kept(self, caller: HttpServiceCaller) -> None:
        with serving(answer(b"", 500), token("t")) as authority, serving() as service:
            assert isinstance(called(caller, authority, service), Unreachable)
            assert isinstance(called(caller, authority, service), Answered)


class TestARefusedToken:
    """After a 401 a new token is fetched, and the call is repeated once under the same key."""

    def test_the_repeat_succeeds(self, caller: HttpServiceCaller) -> None:
        with serving(token("old"), token("new")) as authority, serving(OK, REFUSED, OK) as service:
            assert called(caller, authority, service, times=2) == Answered(status=200, body={"ok": True})
            assert sent(service) == ["Bearer old", "Bearer old", "Bearer new"]
            assert {request.headers["idempotency-key"] for request in service.seen} == {"i-1-1-1"}

            called(caller, authority, service)
            assert (sent(service)[-1], len(authority.seen)) == ("Bearer new", 2)

    def test_a_second_401_is_the_answer(self, caller: HttpServiceCaller) -> None:
        with serving(token("a"), token("b")) as authority, serving(REFUSED) as service:
            assert called(caller, authority, service) == Answered(status=401, body={"code": "expired"})
            assert (len(authority.seen), len(service.seen)) == (2, 2)

    def test_without_a_new_token_the_401_is_the_answer(self, caller: HttpServiceCaller) -> None:
        with serving(token("a"), answer(b"", 500), token("b")) as authority, serving(REFUSED, OK) as service:
            assert called(caller, authority, service) == Answered(status=401, body={"code": "expired"})
            assert called(caller, authority, service) == Answered(status=200, body={"ok": True})
            assert sent(service) == ["Bearer a", "Bearer b"]

    def test_an_uncached_token_is_renewed_too(self, caller: HttpServiceCaller) -> None:
        with serving(token("a"), token("b")) as authority, serving(REFUSED, OK) as service:
            called(caller, authority, service, no_cache=True)

            assert sent(service) == ["Bearer a", "Bearer b"]

    @pytest.mark.parametrize("status", [400, 403, 407, 500])
    def test_only_status_401_renews_the_token(self, caller: HttpServiceCaller, status: int) -> None:
        with serving(token("a")) as authority, serving(answer(b"", status)) as service:
            assert called(caller, authority, service) == Answered(status=status)
            assert (len(authority.seen), len(service.seen)) == (1, 1)

    def test_a_repeat_without_an_answer_has_none(self, caller: HttpServiceCaller) -> None:
        with serving(token("a"), token("b")) as authority, serving(REFUSED, lambda _: None) as service:
            assert isinstance(called(caller, authority, service), TimedOut)

    def test_without_credential_401_is_the_answer(self, caller: HttpServiceCaller) -> None:
        with serving(REFUSED) as service:
            assert caller.call(a_request(service.url())) == Answered(status=401, body={"code": "expired"})
            assert len(service.seen) == 1


class TestOneFetchAtATime:
    """Threads that need the same token wait for one fetch. The cache has room for 256."""

    def test_threads_wait_for_one_fetch_of_the_first_token(self, caller: HttpServiceCaller) -> None:
        def slowly(connection: Any) -> None:
            time.sleep(0.2)
            connection.sendall(token("t"))

        with serving(slowly) as authority, serving() as service:
            self.together(8, lambda: called(caller, authority, service))

            assert (len(authority.seen), sent(service)) == (1, ["Bearer t"] * 8)

    def test_threads_wait_for_one_fetch_of_a_new_token(self) -> None:
        made: list[str] = []

        def fetch(_: Sending) -> Reply:
            time.sleep(0.05)
            made.append("x")
            return Reply(status=200, text=f"token-{len(made)}")

        cache = TokenCache(fetch, time.monotonic)
        credential = a_credential("http://a/", path=None)
        old = cache.token(credential)
        assert isinstance(old, Token)
        found: list[Token | NoToken] = []
        self.together(8, lambda: found.append(cache.renewed(credential, refused=old)))

        assert len(made) == 2
        assert {one.text for one in found if isinstance(one, Token)} == {"token-2"}

    def test_the_token_unused_for_longest_goes(self) -> None:
        fetched: list[str] = []

        def fetch(sending: Sending) -> Reply:
            fetched.append(sending.url)
            return Reply(status=200, text="t")

        cache = TokenCache(fetch, time.monotonic)
        for number in (*range(MAX_TOKENS), 0, MAX_TOKENS, 0, 1):
            cache.token(a_credential(f"http://a/{number}", path=None))

        assert fetched[MAX_TOKENS:] == [f"http://a/{MAX_TOKENS}", "http://a/1"]

    @pytest.mark.parametrize("outcome", [TimedOut(why="x"), Unreachable(why="x"), AddressRefused(why="x")])
    def test_no_answer_is_no_token(self, outcome: Any) -> None:
        cache = TokenCache(lambda _: outcome, time.monotonic)

        assert cache.token(a_credential("http://a/")) == NoToken("no token: x")

    def test_a_token_has_thirty_seconds(self) -> None:
        fetched: list[float] = []

        def fetch(sending: Sending) -> TimedOut:
            fetched.append(sending.seconds)
            return TimedOut(why="x")

        TokenCache(fetch, time.monotonic).token(a_credential("http://a/"))

        assert fetched == [30]

    def together(self, count: int, act: Any) -> None:
        """Run ``act`` in ``count`` threads at once."""
        gate = Barrier(count)

        def one() -> None:
            gate.wait(10)
            act()

        threads = [Thread(target=one) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
