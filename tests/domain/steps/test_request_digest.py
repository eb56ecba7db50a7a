"""What is kept of a call. Source: contracts/core.md section 5 (an instance's events)."""

from base64 import urlsafe_b64encode
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from shared.domain.steps.call import ServiceRequest
from shared.domain.steps.request_digest import Target, digest_of, target_of
from tests.factories import settings, step, strategy_from, task


def request(**members: Any) -> ServiceRequest:
    known: dict[str, Any] = {
        "method": "post",
        "url": "https://api.example.com:8443/bot123:t0ken/charges",
        "headers": {"Authorization": "Bearer s3cr3t"},
        "params": {"key": "s3cr3t"},
        "body": {"card": "s3cr3t", "amount": 12},
        "timeout_seconds": 30,
        "call_key": "i-1-1-1",
    }
    return ServiceRequest(**{**known, **members})


class TestWhatIsKept:
    """A hash and no more: nothing that may hold a secret."""

    def test_of_a_call(self) -> None:
        told = (
            '["post","https://api.example.com:8443/bot123:t0ken/charges",{"key":"s3cr3t"},'
            '{"amount":12,"card":"s3cr3t"}]'
        )
        assert digest_of(request()) == "Gy0dzLukBoAplNYrTXM50w"
        assert urlsafe_b64encode(sha256(told.encode()).digest()[:16]) == b"Gy0dzLukBoAplNYrTXM50w=="

    def test_texts_of_any_script_have_one(self) -> None:
        assert digest_of(request(body={"name": "会员 é"})) != digest_of(request())


class TestTheHash:
    """The same for the same request, another one for another."""

    def test_the_order_of_members_does_not_matter(self) -> None:
        other = request(body={"amount": 12, "card": "s3cr3t"}, params={"key": "s3cr3t"})
        assert digest_of(other) == digest_of(request())

    def test_nor_do_the_headers_which_change_with_every_token(self) -> None:
        other = request(headers={"Authorization": "Bearer another"})
        assert digest_of(other) == digest_of(request())

    @pytest.mark.parametrize(
        "change",
        [
            {"method": "put"},
            {"url": "https://api.example.com:8443/bot123:t0ken/refunds"},
            {"params": {"key": "other"}},
            {"params": {}},
            {"body": {"card": "s3cr3t", "amount": 13}},
            {"body": None},
        ],
    )
    def test_anything_else_does(self, change: dict[str, Any]) -> None:
        assert digest_of(request(**change)) != digest_of(request())


class TestWhereItWent:
    """Action, HTTP method and host, from the definition the event is bound to; no path, which may hold a secret."""

    def test_of_a_step_with_an_action(self) -> None:
        of = strategy_from(settings(task("charge", step("pay", action="put"))))
        assert target_of(of, "charge", "pay") == Target(action="put", method="put", host="api.example.com")

    def test_a_controller_calls_nobody(self) -> None:
        of = strategy_from(settings(task("charge", step("pay", controllerCallback="{}"))))
        assert target_of(of, "charge", "pay") is None

    @pytest.mark.parametrize(("name", "key"), [("other", "pay"), ("charge", "other")])
    def test_nor_does_a_step_that_is_not_there(self, name: str, key: str) -> None:
        assert target_of(strategy_from(settings(task("charge", step("pay")))), name, key) is None

    def test_the_host_is_the_environments(self) -> None:
        of = replace(strategy_from(settings(task("charge", step("pay")))), environment="nowhere")
        assert target_of(of, "charge", "pay") == Target(action="post", method="post", host="")
