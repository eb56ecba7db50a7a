"""The stored digest of a call. Source: docs/contracts/core.md section 5 (an instance's events)."""

from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any

import pytest
from msgspec.structs import replace

from shared.domain.steps.call import ServiceRequest
from shared.domain.steps.request_digest import CallTarget, digest_of, target_of
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


class TestStoredDigest:
    """Only a hash is stored, and nothing that may hold a secret."""

    def test_the_digest_is_a_hash_of_the_request(self) -> None:
        told = (
            '["post","https://api.example.com:8443/bot123:t0ken/charges",{"key":"s3cr3t"},'
            '{"amount":12,"card":"s3cr3t"}]'
        )
        assert digest_of(request()) == "Gy0dzLukBoAplNYrTXM50w"
        assert urlsafe_b64encode(sha256(told.encode()).digest()[:16]) == b"Gy0dzLukBoAplNYrTXM50w=="

    def test_texts_of_any_script_have_a_digest(self) -> None:
        assert digest_of(request(body={"name": "会员 é"})) != digest_of(request())


class TestEquality:
    """Equal requests have equal digests, different ones have different digests."""

    def test_the_order_of_members_does_not_matter(self) -> None:
        other = request(body={"amount": 12, "card": "s3cr3t"}, params={"key": "s3cr3t"})
        assert digest_of(other) == digest_of(request())

    def test_headers_do_not_matter(self) -> None:
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
    def test_every_other_difference_matters(self, change: dict[str, Any]) -> None:
        assert digest_of(request(**change)) != digest_of(request())


class TestTarget:
    """Action, HTTP method and host from the definition that the event is bound to; no path, which may hold a
    secret.
    """

    def test_a_step_with_an_action_has_a_target(self) -> None:
        of = strategy_from(settings(task("charge", step("pay", action="put"))))
        assert target_of(of, "charge", "pay") == CallTarget(
            action="put", method="put", host="api.example.com"
        )

    def test_a_step_with_only_a_controller_has_no_target(self) -> None:
        of = strategy_from(settings(task("charge", step("pay", controllerCallback="{}"))))
        assert target_of(of, "charge", "pay") is None

    @pytest.mark.parametrize(("name", "key"), [("other", "pay"), ("charge", "other")])
    def test_an_unknown_step_has_no_target(self, name: str, key: str) -> None:
        assert target_of(strategy_from(settings(task("charge", step("pay")))), name, key) is None

    def test_the_host_is_the_environments(self) -> None:
        of = replace(strategy_from(settings(task("charge", step("pay")))), environment="nowhere")
        assert target_of(of, "charge", "pay") == CallTarget(action="post", method="post", host="")
