"""Browsers ask with OPTIONS, without a key, whether a page may send a request.

Source: docs/operations.md, "Pages of other origins"; https://fetch.spec.whatwg.org/#cors-preflight-fetch.
"""

from collections.abc import Mapping
from typing import Any

import pytest

from dev.gateway import HttpRequest, event_of
from tests.dialects.everybody import HANDLERS
from tests.dialects.paths import OPERATIONS
from tests.dialects.wire import ROUTES, Context

ASKS = {"origin": "https://ops.example.com", "access-control-request-method": "POST"}


def answer_to(method: str, target: str, headers: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    """Return the function that a request leads to, and its answer."""
    request = HttpRequest(method=method, target=target, headers=headers, body=b"", source="127.0.0.1")
    found = event_of(request, ROUTES)
    assert found is not None
    return found[0], HANDLERS[found[0]](found[1], Context())


@pytest.mark.usefixtures("client")
class TestPreflights:
    """API Gateway leads preflights to the functions and adds the headers of CORS; browsers want a success."""

    @pytest.mark.parametrize("function", OPERATIONS)
    def test_a_preflight_of_each_operation_succeeds_without_a_key(self, function: str) -> None:
        for _, path in OPERATIONS[function]:
            led, answer = answer_to("OPTIONS", path.replace("{", "").replace("}", ""), ASKS)

            assert (led, answer["statusCode"], answer["body"]) == (function, 204, ""), path

    @pytest.mark.parametrize("left_out", ASKS)
    def test_other_requests_with_options_are_unknown(self, left_out: str) -> None:
        headers = {name: value for name, value in ASKS.items() if name != left_out}

        assert answer_to("OPTIONS", "/queue", headers)[1]["statusCode"] == 404

    @pytest.mark.parametrize("path", ["/unknown", "/api/unknown", "/process/unknown", "/orders/unknown"])
    def test_unknown_paths_are_unknown_to_pages_too(self, path: str) -> None:
        assert answer_to("GET", path, ASKS)[1]["statusCode"] == 404
