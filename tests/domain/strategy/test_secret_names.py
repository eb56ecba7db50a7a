"""References to secrets in settings. Source: docs/contracts/core.md section 4.1."""

from typing import Any

import pytest

from shared.domain.ids import AccountId
from shared.domain.strategy.secret_names import (
    MAX_NAME_LENGTH,
    SecretKind,
    SecretReference,
    has_references,
    reference_of,
    why_no_reference,
)
from tests.domain.strategy.definitions import problems
from tests.factories import settings, step, strategy_from, task

ACCOUNT = AccountId("acme")
NAME_RULE = (
    "the name of a secret must be 1 to 128 letters, digits, '_' and '-', with '/' between at most 5 parts"
)
PLACE_RULE = "a secret may be used in headers, params and data of actions and authorizations only, not here"


def with_action(**members: Any) -> dict[str, Any]:
    """Return settings whose only action has these members."""
    whole = settings(task("charge", step("pay")))
    whole["actions"] = [{**whole["actions"][1], **members}]
    return whole


def with_authorization(**members: Any) -> dict[str, Any]:
    """Return settings with an authorization that has these members."""
    whole = settings(task("charge", step("pay")))
    entry = {"environment": "dev", "url": "https://auth.example.com/token", "method": "post", **members}
    whole["services"] = [{**whole["services"][0], "authorization": [entry], "credentialPath": "token"}]
    return whole


def found(whole: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(one.pointer, one.rule, one.message) for one in problems(whole)]


class TestReference:
    """A placeholder names a secret of the strategy's own account."""

    def test_a_secret_has_a_name(self) -> None:
        assert reference_of(("secret", "billing/gateway"), ACCOUNT) == SecretReference(
            account_id=ACCOUNT, kind=SecretKind.SECRET, name="billing/gateway"
        )

    def test_a_secret_may_have_a_key(self) -> None:
        reference = reference_of(("secret", "gateway#api-key"), ACCOUNT)

        assert reference == SecretReference(
            account_id=ACCOUNT, kind=SecretKind.SECRET, name="gateway", key="api-key"
        )
        assert str(reference) == "secret.gateway#api-key"

    def test_a_parameter_has_a_name(self) -> None:
        assert str(reference_of(("parameter", "token"), ACCOUNT)) == "parameter.token"

    def test_references_are_found_at_any_depth(self) -> None:
        assert has_references({"a": "x"}, None, {"b": ["{{ parameter.token }}"]})
        assert not has_references({"a": "secret.token", "b": "{{attributes.secret}}"}, None)


class TestNames:
    """A name cannot lead out of the account's prefix, and has a bounded length."""

    @pytest.mark.parametrize(
        "name", ["a", "gateway_1", "a/b/c/d/e", "x" * MAX_NAME_LENGTH, "gateway#key_1-a"]
    )
    def test_a_valid_name_is_accepted(self, name: str) -> None:
        assert why_no_reference(("secret", name)) is None

    @pytest.mark.parametrize(
        "name",
        [
            "",
            "/a",
            "a/",
            "a//b",
            "a/b/c/d/e/f",
            "..",
            "../other/key",
            "a/../../other/key",
            "%2e%2e/other",
            "a:b",
            "a*",
            "a?",
            "a@b",
            "ключ",
            "#key",
            "x" * (MAX_NAME_LENGTH + 1),
        ],
    )
    def test_any_other_name_is_refused(self, name: str) -> None:
        # A template splits paths at their dots.
        assert why_no_reference(("secret", *name.split("."))) == NAME_RULE

    def test_a_reference_needs_a_name(self) -> None:
        assert why_no_reference(("secret",)) == NAME_RULE

    @pytest.mark.parametrize("key", ["", "a#b", "a/b", "x" * 65])
    def test_a_key_has_a_form_too(self, key: str) -> None:
        rule = "the key after '#' must be 1 to 64 letters, digits, '_' and '-'"

        assert why_no_reference(("secret", f"a#{key}")) == rule

    def test_a_parameter_has_no_key(self) -> None:
        rule = "a parameter has no '#key': only a secret may be a JSON object"

        assert why_no_reference(("parameter", "a#b")) == rule


class TestSettings:
    """References are allowed in headers, params and data of actions and authorizations only."""

    @pytest.mark.parametrize(
        "members",
        [
            {"headers": {"Authorization": "Basic {{secret.gateway#basic}}"}},
            {"params": {"key": "{{parameter.key}}"}},
            {"data": {"deep": [{"key": "{{ secret.gateway }} {{attributes.id}}"}]}},
        ],
    )
    def test_requests_may_name_secrets(self, members: dict[str, Any]) -> None:
        action, authorization = with_action(**members), with_authorization(**members)

        assert problems(action) == []
        assert problems(authorization) == []
        (only,) = strategy_from(action).definition.actions.values()
        assert only.names_secrets
        services = strategy_from(authorization).definition.services
        assert next(iter(services.values())).authorization["dev"].names_secrets

    def test_a_request_without_references_names_no_secret(self) -> None:
        strategy = strategy_from(with_authorization(data={"key": "{{attributes.id}}"}))

        assert not any(action.names_secrets for action in strategy.definition.actions.values())
        service = next(iter(strategy.definition.services.values()))
        assert not service.authorization["dev"].names_secrets

    def test_a_url_may_not_name_a_secret(self) -> None:
        whole = with_action(attributes={"id": "{{secret.gateway}}"})
        whole["services"][0]["methods"][0]["url"] = "/x/:id"
        expected = ("/actions/0/attributes/id", "secret-place", PLACE_RULE)

        assert expected in found(whole)

    def test_the_url_of_an_authorization_may_not_name_a_secret(self) -> None:
        whole = with_authorization(
            url="https://auth.example.com/:key", attributes={"key": "{{parameter.key}}"}
        )

        assert found(whole) == [("/services/0/authorization/0/attributes/key", "secret-place", PLACE_RULE)]

    def test_the_key_of_a_call_may_not_name_a_secret(self) -> None:
        whole = with_action(headers={"idempotency-key": "{{secret.gateway}}"})
        why = "must not name a secret: a repeated call would have another key after a rotation"

        assert found(whole) == [("/actions/0/headers/idempotency-key", "secret-place", why)]

    def test_an_output_may_not_name_a_secret(self) -> None:
        whole = settings(task("charge", step("pay"), outputs={"key": "x {{secret.gateway}}"}))

        assert [(one.pointer, one.rule, one.message, one.caret) for one in problems(whole)] == [
            ("/tasks/0/outputs/key", "secret-place", PLACE_RULE, "x {{secret.gateway}}\n  ^")
        ]

    @pytest.mark.parametrize("source", ["secret.gateway", "parameter.key == 'x' ? {} : {}"])
    def test_an_expression_may_not_name_a_secret(self, source: str) -> None:
        whole = settings(task("charge", step("pay", controllerCallback=source)))

        assert [one[:2] for one in found(whole)] == [("/tasks/0/steps/0/controllerCallback", "undeclared")]

    def test_a_wrong_name_is_reported_where_it_stands(self) -> None:
        whole = with_action(headers={"X-Key": "a {{secret.../x}}", "X-Other": "{{secret.a.b}}"})

        assert [(one.pointer, one.rule, one.message, one.caret) for one in problems(whole)] == [
            (
                "/actions/0/headers/X-Key",
                "template",
                "a path is names separated by dots, e.g. {{instance.attributes.email}}",
                "a {{secret.../x}}\n  ^",
            ),
            ("/actions/0/headers/X-Other", "secret-name", NAME_RULE, "{{secret.a.b}}\n^"),
        ]

    def test_an_action_names_at_most_ten_secrets(self) -> None:
        ten = {f"k{number}": f"{{{{secret.s{number}}}}} {{{{secret.s{number}}}}}" for number in range(10)}

        assert problems(with_action(data=ten)) == []
        assert found(with_action(data=ten, headers={"X": "{{parameter.s0}}"})) == [
            ("/actions/0", "too-many-secrets", "names 11 secrets; at most 10 different ones are allowed here")
        ]

    def test_an_action_names_secrets_at_a_hundred_places_at_most(self) -> None:
        assert problems(with_action(data={"a": ["{{secret.a}}"] * 100})) == []
        assert found(with_action(data={"a": ["{{secret.a}}"] * 101})) == [
            ("/actions/0", "too-many-secrets", "names secrets at 101 places; at most 100 are allowed here")
        ]

    def test_parts_of_another_form_are_left_to_the_other_checks(self) -> None:
        whole = with_action()
        whole |= {"actions": [1, *whole["actions"]], "tasks": {"outputs": {"a": "{{secret.a}}"}}}

        assert "secret-place" not in {rule for _, rule, _ in found(whole)}
