import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from shared.domain.ids import AccountId
from shared.domain.instance.journal import StepResult
from shared.domain.instance.reason import ErrorKind
from shared.domain.instance.run import StepError
from shared.domain.instance.scope import Scope, scope
from shared.domain.steps.call import (
    CallNotPossibleError,
    Credential,
    SecretSlot,
    ServiceRequest,
    method_of,
    prepare,
)
from shared.domain.steps.request_digest import digest_of
from shared.domain.strategy.model import Authorization, Strategy
from shared.domain.strategy.secret_names import SecretKind, SecretReference
from tests.factories import NOON, an_event, an_instance, an_intent, settings, step, strategy_from, task

GYM = json.loads((Path(__file__).parents[3] / "events" / "gym-membership.json").read_text())["settings"]
INTENT = an_intent("charge", attempt=2)


def strategy_with(
    action: dict[str, Any], *, method: dict[str, Any] | None = None, **service: Any
) -> Strategy:
    """Return a strategy whose action ``post`` posts to ``/things`` by default."""
    posting = {"key": "post", "url": "/things", "method": "post", **(method or {})}
    return strategy_from(
        settings(
            task("charge", step("quote", nextStep="only"), step("only")),
            services=[
                {
                    "key": "api",
                    "baseUrls": [{"environment": "dev", "url": "https://api.example.com/v1/"}],
                    "methods": [posting],
                    **service,
                }
            ],
            actions=[{"key": "post", "service": "api", "method": "post", **action}],
        )
    )


def variables(strategy: Strategy, attributes: dict[str, Any] | None = None, response: Any = None) -> Scope:
    return scope(
        strategy,
        an_instance(attributes=attributes or {}),
        now=NOON,
        event=an_event(),
        intent=INTENT,
        stack={"quote": StepResult(success=True, response=response)},
    )


def request(
    action: dict[str, Any], *, attributes: dict[str, Any] | None = None, response: Any = None, **members: Any
) -> ServiceRequest:
    strategy = strategy_with(action, **members)
    return prepare(
        strategy,
        strategy.definition.actions["post"],
        INTENT,
        variables(strategy, attributes, response),
    )


def refusal(action: dict[str, Any], **members: Any) -> str:
    with pytest.raises(CallNotPossibleError) as refused:
        request(action, **members)
    assert refused.value.error == StepError(message=str(refused.value), kind=ErrorKind.EXPRESSION)
    return str(refused.value)


class TestRequest:
    """A call is ready to be sent: its templates are rendered, and nothing is left to decide."""

    def test_a_request_has_all_rendered_parts(self) -> None:
        sent = request(
            {
                "headers": {"X-Cycle": "${cycle}"},
                "params": {"vip": "{{attributes.vip}}"},
                "data": {"fee": "{{attributes.fee}}"},
                "attributes": {"id": "{{attributes.id}}"},
            },
            attributes={"vip": True, "fee": 39, "id": "a b/c"},
            method={"url": "/members/:id/charges", "timeoutSeconds": 7},
        )

        assert sent == ServiceRequest(
            method="post",
            url="https://api.example.com/v1/members/a%20b%2Fc/charges",
            headers={"X-Cycle": "1", "Idempotency-Key": "i-1-1-1"},
            params={"vip": "true"},
            body={"fee": 39},
            timeout_seconds=7,
            call_key="i-1-1-1",
        )

    def test_templates_keep_json_types(self) -> None:
        data = {
            "fee": "{{attributes.fee}}",
            "half": "${attributes.fee / 2.0}",
            "vip": "{{attributes.vip}}",
            "quote": "{{stack.quote.response}}",
            "gone": "{{attributes.gone}}",
            "text": "fee {{attributes.fee}}, {{attributes.gone}}",
            "deep": {"list": ["{{attempt}}", 1.5]},
        }
        body = request({"data": data}, attributes={"fee": 39, "vip": False}, response={"a": [1]}).body

        assert body == {
            "fee": 39,
            "half": 19.5,
            "vip": False,
            "quote": {"a": [1]},
            "gone": None,
            "text": "fee 39, ",
            "deep": {"list": [2, 1.5]},
        }
        assert isinstance(body["fee"], int)

    def test_a_request_without_data_has_no_body(self) -> None:
        assert request({}).body is None

    def test_a_template_that_cannot_be_rendered_fails_the_step(self) -> None:
        assert refusal({"data": {"fee": "${attributes.fee}"}}).startswith("action post: ")

    def test_a_deployment_without_a_base_url_fails_the_step(self) -> None:
        strategy = replace(strategy_with({}), environment="prod")

        with pytest.raises(CallNotPossibleError, match="service api has no URL for environment 'prod'"):
            prepare(strategy, strategy.definition.actions["post"], INTENT, variables(strategy))

    def test_an_action_names_its_service_and_method(self) -> None:
        strategy = strategy_with({})
        service, method = method_of(strategy, strategy.definition.actions["post"])

        assert (service.key, method.key) == ("api", "post")


class TestHeadersAndParameters:
    """Null is left out. A value is refused if it cannot be sent, or if it would end the header."""

    def test_null_values_are_left_out(self) -> None:
        sent = request({"headers": {"X-A": "{{attributes.a}}"}, "params": {"b": "{{attributes.b}}"}})

        assert "X-A" not in sent.headers
        assert sent.params == {}

    def test_numbers_are_sent_as_text(self) -> None:
        assert request(
            {"params": {"fee": "{{attributes.fee}}", "rate": "{{attributes.rate}}"}},
            attributes={"fee": 39, "rate": 0.5},
        ).params == {"fee": "39", "rate": "0.5"}

    @pytest.mark.parametrize("place", ["headers", "params"])
    def test_lists_and_maps_are_refused(self, place: str) -> None:
        why = refusal({place: {"a": "{{stack.quote.response}}"}}, response={"b": 1})

        assert why == "action post: a dict cannot be used in a header, parameter or URL"

    @pytest.mark.parametrize("value", ["a\r\nX-Admin: 1", "a\nb", "a\rb", "a\x7fb", "\x1b[0m"])
    def test_control_characters_are_refused(self, value: str) -> None:
        why = refusal({"headers": {"X-A": "{{attributes.a}}"}}, attributes={"a": value})

        assert why == "action post: header X-A holds a control character"

    def test_tabs_and_latin_1_are_allowed(self) -> None:
        sent = request({"headers": {"X-A": "{{attributes.a}}"}}, attributes={"a": "\tcafé ÿ"})

        assert sent.headers["X-A"] == "\tcafé ÿ"

    @pytest.mark.parametrize("value", ["Ā", "€", "é日"])
    def test_characters_beyond_latin_1_are_refused(self, value: str) -> None:
        why = refusal({"headers": {"X-A": "{{attributes.a}}"}}, attributes={"a": value})

        assert why == "action post: header X-A holds a character beyond Latin-1"

    @pytest.mark.parametrize("place", ["headers", "params", "data"])
    def test_half_of_a_surrogate_pair_is_refused(self, place: str) -> None:
        why = refusal({place: {"a": "{{stack.quote.response.half}}"}}, response={"half": "\ud83d"})

        assert why == "action post: half of a surrogate pair cannot be sent"


class TestIdempotencyKey:
    """The call key is sent as Idempotency-Key unless the action sets that header."""

    def test_the_header_is_the_key_of_the_intent(self) -> None:
        assert request({}).headers == {"Idempotency-Key": "i-1-1-1"}

    def test_a_header_of_the_action_wins_in_any_case(self) -> None:
        assert request({"headers": {"idempotency-KEY": "own-{{event.idempotencyKey}}"}}).headers == {
            "idempotency-KEY": "own-i-1-1-1"
        }

    def test_a_null_header_of_the_action_does_not_count(self) -> None:
        assert request({"headers": {"idempotency-key": "{{attributes.key}}"}}).headers == {
            "Idempotency-Key": "i-1-1-1"
        }


class TestUrl:
    """attributes fill the :name parts of the URL, percent-encoded; a part without a usable value is refused."""

    def url(self, path: str, value: Any) -> str:
        return request(
            {"attributes": {"id": "{{attributes.id}}"}}, attributes={"id": value}, method={"url": path}
        ).url

    @pytest.mark.parametrize(
        ("value", "encoded"),
        [
            ("m-1", "m-1"),
            ("a/../b", "a%2F..%2Fb"),
            ("?q=1#f", "%3Fq%3D1%23f"),
            ("%2e%2e", "%252e%252e"),
            ("é", "%C3%A9"),
            (12, "12"),
            (True, "true"),
        ],
    )
    def test_values_in_a_url_are_percent_encoded(self, value: Any, encoded: str) -> None:
        assert self.url("/members/:id/state", value) == f"https://api.example.com/v1/members/{encoded}/state"

    @pytest.mark.parametrize("value", ["", ".", ".."])
    def test_empty_and_dot_values_are_refused(self, value: str) -> None:
        why = refusal(
            {"attributes": {"id": "{{attributes.id}}"}}, attributes={"id": value}, method={"url": "/m/:id"}
        )

        assert why == "action post: :id of the URL has no usable value"

    def test_a_null_value_in_a_url_is_refused(self) -> None:
        why = refusal({"attributes": {"id": "{{attributes.id}}"}}, method={"url": "/m/:id"})

        assert why == "action post: :id of the URL has no usable value"

    def test_a_colon_inside_a_segment_is_no_part(self) -> None:
        sent = request({}, method={"url": "/things:batch"})

        assert sent.url == "https://api.example.com/v1/things:batch"

    def test_a_filled_value_is_not_filled_again(self) -> None:
        assert self.url("/:id/x", "/:id") == "https://api.example.com/v1/%2F%3Aid/x"


class TestRequestValidation:
    """A request is validated before it is sent: by JTD, by JSON Schema, or by CEL with the body as ``response``."""

    def with_rule(self, rule: Any) -> dict[str, Any]:
        return {
            "action": {"data": {"fee": "{{attributes.fee}}"}},
            "attributes": {"fee": 39},
            "method": {"requestValidation": rule},
        }

    JTD = '{"properties": {"fee": {"type": "float64"}}}'

    @pytest.mark.parametrize(
        "rule",
        [
            JTD,
            json.loads(JTD),
            {"type": "object", "properties": {"fee": {"minimum": 1}}},
            "response.fee + 0.5 > 39.0 && attributes.fee == response.fee",
        ],
    )
    def test_a_valid_request_is_allowed(self, rule: Any) -> None:
        assert request(**self.with_rule(rule)).body == {"fee": 39}

    @pytest.mark.parametrize(
        ("rule", "why"),
        [
            (
                {"properties": {"fee": {"type": "string"}}},
                "requestValidation: /fee: must be of type string",
            ),
            (
                {"type": "object", "properties": {"fee": {"maximum": 9}}},
                "requestValidation: /fee: the value is greater than the maximum of 9",
            ),
            ("response.fee < 9.0", "requestValidation does not allow this request"),
        ],
    )
    def test_an_invalid_request_is_refused(self, rule: Any, why: str) -> None:
        assert refusal(**self.with_rule(rule)).startswith(f"action post: {why}")

    def test_a_rule_that_cannot_be_evaluated_refuses(self) -> None:
        assert "missing" in refusal(**self.with_rule("response.missing == 1.0"))

    def test_only_the_first_problems_are_reported(self) -> None:
        names = [f"p{n}" for n in range(9)]
        schema = {"properties": {name: {"type": "string"} for name in names}, "additionalProperties": True}
        why = refusal(**self.with_rule(schema))

        assert why.count("; ") == 3
        assert why.endswith("; and 6 more")

    def test_of_very_many_problems_the_number_is_not_known(self) -> None:
        schema = {
            "properties": {f"p{n}": {"type": "string"} for n in range(99)},
            "additionalProperties": True,
        }
        assert refusal(**self.with_rule(schema)).endswith("; and at least 48 more")


AUTHORIZATION = {
    "environment": "dev",
    "url": "https://auth.example.com/:tenant/token",
    "method": "post",
    "headers": {"X-Env": "{{env}}", "X-None": "{{attributes.none}}"},
    "params": {"scope": "charges"},
    "data": {"client_id": "gym-{{env}}"},
    "attributes": {"tenant": "{{attributes.tenant}}"},
    "noCache": True,
}


class TestCredential:
    """The request for a token, rendered for the environment of this deployment."""

    def credential(self, **entry: Any) -> Credential | None:
        return request(
            {},
            attributes={"tenant": "a b"},
            authorization=[{**AUTHORIZATION, **entry}],
            credentialPath="access_token",
            credentialType="Bearer",
        ).credential

    def test_a_credential_has_all_rendered_parts(self) -> None:
        assert self.credential() == Credential(
            request=Authorization(
                url="https://auth.example.com/a%20b/token",
                method="post",
                headers={"X-Env": "dev"},
                params={"scope": "charges"},
                data={"client_id": "gym-dev"},
                no_cache=True,
            ),
            path="access_token",
            scheme="Bearer",
        )

    def test_another_environment_has_no_credential(self) -> None:
        assert self.credential(environment="prod") is None

    def test_headers_of_a_credential_are_checked(self) -> None:
        with pytest.raises(CallNotPossibleError, match="header X-Env holds a control character"):
            self.credential(headers={"X-Env": "${'a' + '\\r\\n' + env}"})


class TestGymMembership:
    """The requests of the example strategy."""

    STRATEGY = strategy_from(GYM)

    def sent(self, action: str) -> ServiceRequest:
        seen = scope(
            self.STRATEGY,
            an_instance(attributes={"memberId": "m-1", "email": "ana@example.com", "monthlyFee": 39.9}),
            now=NOON,
            event=an_event(task="charge-fee"),
            intent=INTENT,
            stack={"charge": StepResult(success=True, response={"id": "ch-9", "status": "CONFIRMED"})},
        )
        return prepare(self.STRATEGY, self.STRATEGY.definition.actions[action], INTENT, seen)

    def test_the_charge_has_its_amount_and_credential(self) -> None:
        assert self.sent("charge-card") == ServiceRequest(
            method="post",
            url="http://127.0.0.1:4020/charges",
            headers={"Idempotency-Key": "i-1-1-1"},
            params={},
            body={"member": "m-1", "amount": 39.9, "currency": "EUR"},
            timeout_seconds=30,
            call_key="i-1-1-1",
            credential=Credential(
                request=Authorization(
                    url="http://127.0.0.1:4020/oauth/token",
                    method="post",
                    data={"grant_type": "client_credentials", "client_id": "gym", "client_secret": "s3cr3t"},
                ),
                path="access_token",
                scheme="Bearer",
            ),
        )

    def test_the_crm_call_fills_its_url(self) -> None:
        paid = self.sent("crm-mark-paid")

        assert (paid.method, paid.url) == ("put", "http://127.0.0.1:4022/members/m-1/state")
        assert paid.body == {"state": "paid", "chargeId": "ch-9"}
        assert self.sent("crm-mark-on-hold").body == {"state": "on-hold", "attempts": 2}

    def test_the_mails_have_their_data_and_parameters(self) -> None:
        assert self.sent("mail-failed").body == {
            "to": "ana@example.com",
            "template": "charge-failed",
            "attempt": 2,
        }
        assert self.sent("mail-welcome").params == {"priority": "high"}


class TestSecrets:
    """A request has the references to secrets where their values belong, and the positions of those."""

    def secret(self, name: str, key: str | None = None) -> SecretReference:
        return SecretReference(account_id=AccountId("account"), kind=SecretKind.SECRET, name=name, key=key)

    def test_headers_params_and_body_keep_the_references(self) -> None:
        sent = request(
            {
                "headers": {"X-Key": "{{attributes.id}} {{secret.gateway#key}}"},
                "params": {"token": "{{ secret.token }}"},
                "data": {"a": [1, {"b": "{{secret.token}}"}]},
            },
            attributes={"id": "m-1"},
        )

        assert sent.headers["X-Key"] == "m-1 {{secret.gateway#key}}"
        assert sent.params == {"token": "{{secret.token}}"}
        assert sent.body == {"a": [1, {"b": "{{secret.token}}"}]}
        assert sent.secrets == (
            SecretSlot(place=("headers", "X-Key"), start=4, end=26, secret=self.secret("gateway", "key")),
            SecretSlot(place=("body", "a", 1, "b"), start=0, end=16, secret=self.secret("token")),
            SecretSlot(place=("params", "token"), start=0, end=16, secret=self.secret("token")),
        )

    def test_a_text_that_looks_like_a_reference_is_none(self) -> None:
        text = "{{secret.gateway}}"
        sent = request(
            {
                "headers": {"X": "{{attributes.text}}"},
                "params": {"x": "a ${attributes.text}"},
                "data": {"x": "{{stack.quote.response}}"},
            },
            attributes={"text": text},
            response=text,
        )

        assert (sent.headers["X"], sent.params["x"], sent.body["x"]) == (text, f"a {text}", text)
        assert sent.secrets == ()

    def test_a_validation_of_the_request_sees_the_reference(self) -> None:
        sent = request(
            {"data": {"key": "{{secret.gateway}}"}},
            method={"requestValidation": "response.key == '{{secret.gateway}}'"},
        )

        assert sent.secrets != ()

    def test_an_authorization_has_its_own_secrets(self) -> None:
        entry = {
            "environment": "dev",
            "url": "https://auth.example.com/token",
            "method": "post",
            "headers": {"X-Key": "{{secret.gateway}}"},
            "data": {"secret": "{{parameter.client}}"},
        }
        sent = request({}, authorization=[entry], credentialPath="token")

        assert sent.secrets == ()
        assert sent.credential is not None
        assert [(slot.place, str(slot.secret)) for slot in sent.credential.secrets] == [
            (("headers", "X-Key"), "secret.gateway"),
            (("data", "secret"), "parameter.client"),
        ]

    def test_a_digest_of_the_request_is_of_the_reference(self) -> None:
        with_secret = request({"data": {"key": "{{secret.gateway}}"}})
        with_text = request({"data": {"key": "\\{{secret.gateway}}"}})

        assert digest_of(with_secret) == digest_of(with_text)
