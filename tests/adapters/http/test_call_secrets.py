"""Secrets in calls: filled in as a call is sent, renewed after a refusal, removed from answers.

Source: docs/decisions/0046; docs/service-calls.md.
"""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dev.memory.secrets import MemorySecrets
from dev.memory.world import ManualClock
from shared.adapters.http.call_secrets import MIN_REMOVED, CallSecrets
from shared.adapters.http.service_caller import HttpServiceCaller
from shared.adapters.secrets import MAX_AGE, CachedSecrets
from shared.application.ports import ConnectionLostError, OverloadedError, UnavailableError
from shared.domain.ids import AccountId
from shared.domain.instance.scope import scope
from shared.domain.steps.call import Answered, Credential, SecretSlot, TokenRefused, Unreachable, prepare
from shared.domain.strategy.secret_names import SecretKind, SecretReference
from tests.adapters.http.http_stub import Make, Stub, a_credential, a_request, answer, reset, sending, serving
from tests.factories import NOON as AT_NOON
from tests.factories import an_event, an_instance, an_intent, settings, step, strategy_from, task

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

ACME = AccountId("acme")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
OLD, NEW = "old-hush-hush-1", "new-hush-hush-2"


def slot(text: str, *place: str | int, key: str | None = None, name: str = "gateway") -> SecretSlot:
    """Return the slot of the reference in a text."""
    secret = SecretReference(account_id=ACME, kind=SecretKind.SECRET, name=name, key=key)
    reference = f"{{{{{secret}}}}}"
    start = text.index(reference)
    return SecretSlot(place=place, start=start, end=start + len(reference), secret=secret)


KEY = "Key {{secret.gateway}}"
BY_HEADER: dict[str, Any] = {"headers": {"X-Key": KEY}, "secrets": (slot(KEY, "headers", "X-Key"),)}


def by_token(url: str, **changes: Any) -> Credential:
    """Return a credential whose token is fetched with the secret."""
    credential = a_credential(url, data={"client_secret": "{{secret.gateway}}"}, **changes)
    slots = (slot("{{secret.gateway}}", "data", "client_secret"),)
    return Credential(
        request=credential.request, path=credential.path, scheme=credential.scheme, secrets=slots
    )


@dataclass
class Container:
    """A caller with a source in memory and a clock of its own."""

    make: Make
    source: MemorySecrets = field(default_factory=MemorySecrets)
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOON))

    def __post_init__(self) -> None:
        self.set(OLD)
        self.caller: HttpServiceCaller = self.make(secrets=CachedSecrets(self.source, self.clock))

    def set(self, text: str | None, name: str = "gateway") -> None:
        self.source.texts[SecretKind.SECRET, ACME, name] = text

    def remove(self) -> None:
        self.source.texts.clear()

    def warm(self) -> None:
        """Let the cache have the old value, and rotate the secret."""
        with serving() as service:
            self.caller.call(a_request(service.url(), **BY_HEADER))
        self.set(NEW)


@pytest.fixture
def container(make: Make) -> Container:
    return Container(make)


def keys(service: Stub) -> list[str]:
    return [one.headers.get("x-key", one.headers.get("X-Key", "")) for one in service.seen]


class TestFilling:
    """The value of a secret is sent in place of its reference, and nowhere else."""

    def test_headers_params_and_body_have_the_values(self, container: Container) -> None:
        container.set('{"user": "u/1", "key": "k&2"}', "pair")
        texts = {"both": "{{secret.pair#user}}:{{secret.pair#key}}", "plain": "{{secret.gateway}}"}
        changes: dict[str, Any] = {
            "headers": {"X-Key": KEY},
            "params": {"token": texts["both"]},
            "body": {"a": [1, {"b": texts["plain"]}], "c": texts["plain"]},
            "secrets": (
                slot(KEY, "headers", "X-Key"),
                slot(texts["both"], "params", "token", name="pair", key="user"),
                slot(texts["both"], "params", "token", name="pair", key="key"),
                slot(texts["plain"], "body", "a", 1, "b"),
            ),
        }
        with serving() as service:
            request = a_request(service.url("/x"), **changes)
            container.caller.call(request)

        (sent,) = service.seen
        assert keys(service) == [f"Key {OLD}"]
        assert sent.target == "/x?token=u%2F1%3Ak%262"
        # A customer's text that looks like a reference has no slot.
        assert json.loads(sent.body) == {"a": [1, {"b": OLD}], "c": "{{secret.gateway}}"}
        assert request.headers == {"X-Key": KEY}
        assert sorted(container.source.fetched) == ["secret.gateway", "secret.pair"]

    def test_a_call_without_secrets_reads_none(self, container: Container) -> None:
        with serving() as service:
            container.caller.call(a_request(service.url(), body={"a": "{{secret.gateway}}"}))

        assert json.loads(service.seen[0].body) == {"a": "{{secret.gateway}}"}
        assert container.source.fetched == []

    def test_a_token_is_fetched_with_the_secret(self, container: Container) -> None:
        with serving(answer({"access_token": "t-1"}), answer({"ok": True})) as service:
            outcome = container.caller.call(
                a_request(service.url(), credential=by_token(service.url("/token")))
            )

        assert outcome == Answered(status=200, body={"ok": True})
        assert json.loads(service.seen[0].body) == {"client_secret": OLD}

    def test_a_token_of_a_rotated_secret_is_not_used_longer_than_five_minutes(
        self, container: Container
    ) -> None:
        with serving(answer({"access_token": "t-1"})) as service:
            request = a_request(service.url(), credential=by_token(service.url("/token")))
            container.caller.call(request)
            container.set(NEW)
            container.caller.call(request)
            container.clock.at += MAX_AGE
            container.caller.call(request)

        assert [one.target for one in service.seen] == ["/token", "/", "/", "/token", "/"]
        assert json.loads(service.seen[3].body) == {"client_secret": NEW}

    def test_secrets_of_an_unused_authorization_are_not_read(self, container: Container) -> None:
        with serving() as service:
            request = a_request(
                service.url(), headers={"Authorization": "own"}, credential=by_token(service.url("/token"))
            )
            container.caller.call(request)

        assert container.source.fetched == []


class TestNotSent:
    """A secret that cannot be used is an error of the step, and nothing is sent. The message has no value."""

    def unsent(self, container: Container, **changes: Any) -> str:
        with serving() as service:
            outcome = container.caller.call(a_request(service.url(), **{**BY_HEADER, **changes}))
        assert service.seen == []
        assert isinstance(outcome, Unreachable)
        assert "hush" not in outcome.why
        return outcome.why

    def test_a_missing_secret(self, container: Container) -> None:
        container.remove()

        assert self.unsent(container) == "secret.gateway: there is none"

    @pytest.mark.parametrize("text", [f"{OLD}\r\nX-Admin: yes", f"{OLD}\n", f"{OLD}\x00"])
    def test_a_control_character_in_a_header(self, container: Container, text: str) -> None:
        container.set(text)

        assert self.unsent(container) == "header X-Key holds a control character, which comes from a secret"

    def test_a_character_beyond_latin_1_in_a_header(self, container: Container) -> None:
        container.set(f"{OLD}€")

        assert self.unsent(container) == (
            "header X-Key holds a character beyond Latin-1, which comes from a secret"
        )

    def test_half_of_a_surrogate_pair(self, container: Container) -> None:
        container.set('{"key": "hush-\\ud800"}')
        text = "{{secret.gateway#key}}"
        changes = {"headers": {}, "body": {"a": text}, "secrets": (slot(text, "body", "a", key="key"),)}

        assert self.unsent(container, **changes) == "secret.gateway#key: it holds half of a surrogate pair"

    def test_a_line_break_may_be_sent_in_a_body(self, container: Container) -> None:
        container.set(f"{OLD}\n")
        text = "{{secret.gateway}}"
        with serving() as service:
            container.caller.call(
                a_request(service.url(), body={"a": text}, secrets=(slot(text, "body", "a"),))
            )

        assert json.loads(service.seen[0].body) == {"a": f"{OLD}\n"}

    def test_an_unavailable_source_sends_nothing(self, container: Container) -> None:
        container.source.error = OverloadedError("secret: ThrottlingException")
        with serving() as service, pytest.raises(UnavailableError):
            container.caller.call(a_request(service.url(), **BY_HEADER))

        assert service.seen == []

    def test_secrets_that_take_too_long_are_unavailable(self, make: Make) -> None:
        container = Container(make)
        seconds = iter([0.0, 8.1])
        container.caller = make(
            secrets=CachedSecrets(container.source, container.clock), seconds=lambda: next(seconds)
        )
        container.set(NEW, "second")
        texts = "{{secret.gateway}}{{secret.second}}"
        slots = (slot(texts, "body", "a"), slot(texts, "body", "a", name="second"))
        with serving() as service, pytest.raises(ConnectionLostError, match="not read in time"):
            container.caller.call(a_request(service.url(), body={"a": texts}, secrets=slots))

        assert service.seen == []
        assert len(container.source.fetched) == 1


class TestRenewal:
    """A 401 with a cached secret is repaired in the same attempt: one read, one more call under the same key."""

    def test_a_rotated_secret_is_repaired_once(self, container: Container) -> None:
        container.warm()
        with serving(answer(status=401), answer({"ok": True})) as service:
            outcome = container.caller.call(a_request(service.url(), **BY_HEADER))

        assert outcome == Answered(status=200, body={"ok": True})
        assert keys(service) == [f"Key {OLD}", f"Key {NEW}"]
        assert len(container.source.fetched) == 2

    def test_a_second_401_is_the_answer(self, container: Container) -> None:
        container.warm()
        with serving(answer(status=401)) as service:
            outcome = container.caller.call(a_request(service.url(), **BY_HEADER))

        assert outcome == Answered(status=401)
        assert keys(service) == [f"Key {OLD}", f"Key {NEW}"]

    @pytest.mark.parametrize("is_cached", [False, True])
    def test_two_keys_of_one_secret_are_one_read(self, container: Container, is_cached: bool) -> None:  # noqa: FBT001
        both = "{{secret.pair#user}}:{{secret.pair#key}}"
        slots = (
            slot(both, "headers", "X-Key", name="pair", key="user"),
            slot(both, "headers", "X-Key", name="pair", key="key"),
        )
        container.set('{"user": "u", "key": "old"}', "pair")
        with serving(*([answer({})] if is_cached else []), answer({}, status=401), answer({})) as service:
            request = a_request(service.url(), headers={"X-Key": both}, secrets=slots)
            if is_cached:
                container.caller.call(request)
                container.set('{"user": "u", "key": "new"}', "pair")
            outcome = container.caller.call(request)

        assert container.source.fetched == ["secret.pair"] * (1 + is_cached)
        assert outcome == Answered(status=200 if is_cached else 401, body={})
        assert keys(service)[-1] == ("u:new" if is_cached else "u:old")

    def test_a_fresh_secret_is_not_read_again(self, container: Container) -> None:
        with serving(answer(status=401)) as service:
            outcome = container.caller.call(a_request(service.url(), **BY_HEADER))

        assert outcome == Answered(status=401)
        assert keys(service) == [f"Key {OLD}"]
        assert len(container.source.fetched) == 1

    def test_an_unchanged_secret_is_not_sent_again(self, container: Container) -> None:
        container.warm()
        container.set(OLD)
        with serving(answer(status=401)) as service:
            container.caller.call(a_request(service.url(), **BY_HEADER))

        assert keys(service) == [f"Key {OLD}"]

    @pytest.mark.parametrize("status", [400, 403, 407, 500])
    def test_another_status_renews_nothing(self, container: Container, status: int) -> None:
        container.warm()
        with serving(answer(status=status)) as service:
            container.caller.call(a_request(service.url(), **BY_HEADER))

        assert len(service.seen) == 1
        assert len(container.source.fetched) == 1

    def test_no_answer_renews_nothing(self, container: Container) -> None:
        container.warm()
        with serving(reset) as service:
            container.caller.call(a_request(service.url(), **BY_HEADER))

        assert len(service.seen) == 1

    def test_a_401_without_secrets_is_the_answer(self, container: Container) -> None:
        with serving(answer(status=401)) as service:
            assert container.caller.call(a_request(service.url())) == Answered(status=401)

        assert len(service.seen) == 1

    @pytest.mark.parametrize("text", [None, f"{NEW}\n"])
    def test_a_new_value_that_cannot_be_used_leaves_the_401(
        self, container: Container, text: str | None
    ) -> None:
        container.warm()
        container.set(text)
        with serving(answer(status=401)) as service:
            assert container.caller.call(a_request(service.url(), **BY_HEADER)) == Answered(status=401)

        assert len(service.seen) == 1

    def test_an_unavailable_source_after_a_401_is_no_answer(self, container: Container) -> None:
        container.warm()
        container.source.error = ConnectionLostError("secret: EndpointConnectionError")
        with serving(answer(status=401)) as service, pytest.raises(UnavailableError):
            container.caller.call(a_request(service.url(), **BY_HEADER))

        assert len(service.seen) == 1


class TestRenewalWithAToken:
    """With an authorization, at most two tokens are fetched and two calls are sent."""

    @pytest.mark.parametrize("status", [400, 401])
    def test_a_secret_that_gives_no_token_is_read_again(self, container: Container, status: int) -> None:
        container.warm()
        scripts = answer(status=status), answer({"access_token": "t-1"}), answer({"ok": True})
        with serving(*scripts) as service:
            outcome = container.caller.call(
                a_request(service.url(), credential=by_token(service.url("/token")))
            )

        assert outcome == Answered(status=200, body={"ok": True})
        assert [json.loads(one.body) for one in service.seen[:2]] == [
            {"client_secret": OLD},
            {"client_secret": NEW},
        ]

    def test_after_two_tokens_a_401_is_the_answer(self, container: Container) -> None:
        container.warm()
        scripts = answer(status=401), answer({"access_token": "t-1"}), answer(status=401)
        with serving(*scripts) as service:
            outcome = container.caller.call(
                a_request(service.url(), credential=by_token(service.url("/token")))
            )

        assert outcome == Answered(status=401)
        assert [one.target for one in service.seen] == ["/token", "/token", "/"]

    @pytest.mark.parametrize("status", [403, 429, 503])
    def test_another_refusal_of_a_token_renews_nothing(self, container: Container, status: int) -> None:
        container.warm()
        with serving(answer(status=status)) as service:
            outcome = container.caller.call(
                a_request(service.url(), credential=by_token(service.url("/token")))
            )

        assert isinstance(outcome, Unreachable | TokenRefused)
        assert len(service.seen) == 1

    def test_a_refused_call_gets_a_token_of_the_new_secret(self, container: Container) -> None:
        container.warm()
        scripts = (
            answer({"access_token": "t-1"}),
            answer(status=401),
            answer({"access_token": "t-2"}),
            answer({"ok": True}),
        )
        with serving(*scripts) as service:
            outcome = container.caller.call(
                a_request(service.url(), credential=by_token(service.url("/token")), **BY_HEADER)
            )

        assert outcome == Answered(status=200, body={"ok": True})
        assert json.loads(service.seen[2].body) == {"client_secret": NEW}
        assert [one for one in keys(service) if one] == [f"Key {OLD}", f"Key {NEW}"]

    def test_an_unchanged_secret_still_gets_a_new_token(self, container: Container) -> None:
        scripts = (
            answer({"access_token": "t-1"}),
            answer(status=401),
            answer({"access_token": "t-2"}),
            answer({"ok": True}),
        )
        with serving(*scripts) as service:
            outcome = container.caller.call(
                a_request(service.url(), credential=by_token(service.url("/token")))
            )

        assert outcome == Answered(status=200, body={"ok": True})
        assert container.source.fetched == ["secret.gateway"]

    def test_a_new_value_that_cannot_be_sent_leaves_the_401(self, container: Container) -> None:
        container.warm()
        container.set(f"{NEW}\n")
        with serving(answer({"access_token": "t-1"}), answer(status=401)) as service:
            outcome = container.caller.call(
                a_request(service.url(), credential=by_token(service.url("/token")), **BY_HEADER)
            )

        assert outcome == Answered(status=401)
        assert len(service.seen) == 2


class TestRemoval:
    """An answer has ``***`` instead of each secret that was sent, in the forms in which services repeat it."""

    SECRET = 'h/u+s&h "one" é'

    def returned(self, container: Container, body: Any, secret: str = SECRET, **head: Any) -> Any:
        text = "{{secret.gateway}}"
        container.set(secret)
        request: dict[str, Any] = {"body": {"a": text}, "secrets": (slot(text, "body", "a"),)}
        with serving(answer(body, **head)) as service:
            outcome = container.caller.call(a_request(service.url(), **request))
        assert isinstance(outcome, Answered)
        return outcome.body

    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            ({"echo": f"<{SECRET}>"}, {"echo": "<***>"}),
            ([[{SECRET: 1}]], [[{"***": 1}]]),
            ({"query": "key=h%2Fu%2Bs%26h%20%22one%22%20%C3%A9&a=1"}, {"query": "key=***&a=1"}),
            ({"query": "key=h%2fu%2bs%26h%20%22one%22%20%c3%a9&a=1"}, {"query": "key=***&a=1"}),
            ({"form": "key=h%2Fu%2Bs%26h+%22one%22+%C3%A9&a=1"}, {"form": "key=***&a=1"}),
            ({"data": json.dumps({"a": SECRET})}, {"data": '{"a": "***"}'}),
            ({"data": json.dumps({"a": SECRET}, ensure_ascii=False)}, {"data": '{"a": "***"}'}),
            ({"page": "<b>h/u+s&amp;h &quot;one&quot; é</b>"}, {"page": "<b>***</b>"}),
            ({"page": '<b>h/u+s&amp;h "one" é</b>'}, {"page": "<b>***</b>"}),
            ({"other": 1, "none": None, "yes": True}, {"other": 1, "none": None, "yes": True}),
        ],
    )
    def test_a_json_answer(self, container: Container, body: Any, expected: Any) -> None:
        assert self.returned(container, body) == expected

    def test_a_text_answer(self, container: Container) -> None:
        body = f"unknown key: {self.SECRET}".encode()

        assert self.returned(container, body, Content_Type="text/plain") == "unknown key: ***"

    @pytest.mark.parametrize("status", [200, 402, 500])
    def test_a_secret_is_removed_whatever_the_status(self, container: Container, status: int) -> None:
        assert self.returned(container, {"echo": self.SECRET}, status=status) == {"echo": "***"}

    def test_a_number_that_is_the_secret(self, container: Container) -> None:
        body = {"a": 123456789, "b": 1234567890}

        assert self.returned(container, body, "123456789") == {"a": "***", "b": 1234567890}

    def test_the_end_of_a_line_belongs_to_no_answer(self, container: Container) -> None:
        assert self.returned(container, {"a": OLD}, f"{OLD}\n") == {"a": "***"}

    def test_an_answer_that_is_nested_too_deep_is_unusable(self, container: Container) -> None:
        # The parser of the newest Python allows more levels than a function in Python.
        deep: Any = "x"
        for _ in range(5_000):
            deep = [deep]
        container.warm()
        secrets = CallSecrets(CachedSecrets(container.source, container.clock), lambda: 0.0)
        secrets.fill(a_request("http://127.0.0.1/", **BY_HEADER))

        assert secrets.removed_from(Answered(status=200, body=deep)) == Answered(
            status=200, unusable="nested too deep"
        )

    @pytest.mark.parametrize("body", [b'{"a": 1e999}', b'{"a": -1.5}', b'{"a": ' + b"7" * 4000 + b"}"])
    def test_other_numbers_stay(self, container: Container, body: bytes) -> None:
        assert self.returned(container, body, OLD) == json.loads(body)

    def test_a_short_value_is_kept(self, container: Container) -> None:
        short = "x" * (MIN_REMOVED - 1)

        assert self.returned(container, {"a": short}, short) == {"a": short}

    def test_both_values_of_a_rotated_secret(self, container: Container) -> None:
        container.warm()
        with serving(answer(status=401), answer({"echo": [OLD, NEW]})) as service:
            outcome = container.caller.call(a_request(service.url(), **BY_HEADER))

        assert outcome == Answered(status=200, body={"echo": ["***", "***"]})

    def test_a_header_that_is_quoted_in_a_message(self, container: Container) -> None:
        with serving(sending(b"")) as service:
            service.scripts[:] = [answer(b"x", Content_Encoding=OLD)]
            outcome = container.caller.call(a_request(service.url(), **BY_HEADER))

        assert outcome == Answered(status=200, unusable="in an unsupported encoding")

    def test_a_header_of_an_authorization_that_is_quoted(self, container: Container) -> None:
        with serving(answer(b"x", Content_Type=f"text/plain; charset={OLD}")) as service:
            outcome = container.caller.call(
                a_request(service.url(), credential=by_token(service.url("/token")))
            )

        assert outcome == Unreachable(
            why="no token: the body of the authorization's response is in an unsupported charset", tried=False
        )

    def test_a_call_without_secrets_keeps_its_answer(self, container: Container) -> None:
        container.warm()
        with serving(answer({"echo": OLD})) as service:
            assert container.caller.call(a_request(service.url())) == Answered(status=200, body={"echo": OLD})


def test_an_age_of_five_minutes_is_the_promise() -> None:
    assert timedelta(minutes=5) == MAX_AGE


SECRET, ATTRIBUTE = "{{secret.gateway}}", "{{attributes.text}}"
PIECES = st.lists(
    st.sampled_from([SECRET, "{{ secret.gateway }}", ATTRIBUTE, "${attributes.text}"])
    | st.text(alphabet='ab}. "', max_size=4),
    max_size=6,
)


class TestNoInjection:
    """Only a reference that the template itself contains is filled in, whatever is inserted beside it."""

    @given(
        pieces=PIECES,
        text=st.sampled_from(
            ["x", SECRET, "{{parameter.gateway}}", "}}{{secret.gateway", "{{secret.", "${1}", ""]
        ),
    )
    def test_inserted_texts_stay_as_they_are(self, pieces: list[str], text: str) -> None:
        document = settings(task("charge", step("only")))
        document["actions"][0] |= {"data": {"a": "|".join(pieces)}}
        strategy = strategy_from(document)
        action = next(iter(strategy.definition.actions.values()))
        intent = an_intent("only")
        seen = scope(
            strategy, an_instance(attributes={"text": text}), now=AT_NOON, event=an_event(), intent=intent
        )
        source = MemorySecrets({(SecretKind.SECRET, strategy.account_id, "gateway"): NEW})

        request = prepare(strategy, action, intent, seen)
        sent = CallSecrets(CachedSecrets(source, ManualClock(NOON)), lambda: 0.0).fill(request)

        values = {
            SECRET: NEW,
            "{{ secret.gateway }}": NEW,
            ATTRIBUTE: text,
            "${attributes.text}": text,
        }
        expected = "|".join(values.get(piece, piece) for piece in pieces)
        # A lone attribute keeps its type, and that is text too.
        assert sent.body == {"a": expected}
        assert len(request.secrets) == sum(values.get(piece) == NEW for piece in pieces)
