"""Answers of services over HTTP. Source: docs/service-calls.md; docs/decisions/0031."""

from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from shared.adapters.http.service_caller import HttpServiceCaller
from tests.adapters.http.http_stub import answer, serving
from tests.cases.engine import Engine, changed, keys_of, settings_of, with_service
from tests.dialects.wire import NOON

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

OK = answer({"id": "p-1"})
PLAIN = settings_of("unknown-500")


class TestRetryAfter:
    """After a 429 the event waits as the service says, and sends the same call again without using an attempt."""

    @pytest.mark.parametrize(
        ("status", "retry_after", "minutes"),
        [
            (429, "7200", 120),
            (503, "7200", 120),
            (429, "1", 2),  # a wait is at least as long as the delay of the task's retries
            (429, "121", 121 / 60),
            (429, format_datetime(NOON + timedelta(hours=5)).replace("+0000", "GMT"), 300),
            (429, format_datetime(NOON - timedelta(hours=5)).replace("+0000", "GMT"), 2),
            (429, "soon", 2),
            (429, "999999999", 24 * 60),  # the limit is ``refusedHours``
        ],
    )
    def test_a_refused_call_waits_as_long_as_the_service_says(
        self, engine: Engine, caller: HttpServiceCaller, status: int, retry_after: str, minutes: float
    ) -> None:
        minutes_2 = {"unit": "minutes", "amount": 2}
        settings = changed(
            PLAIN, tasks_0_retryConfig_jitterPercent=0, tasks_0_retryConfig_retryAfter=minutes_2
        )
        with serving(answer(b"", status, Retry_After=retry_after), OK) as service:
            run = engine.calling(caller).start(with_service(settings, service))
            event = run.event()
            until = (NOON + timedelta(minutes=minutes)).isoformat(timespec="milliseconds")
            assert event["refused"]["until"] == until.replace("+00:00", "Z")
            assert (event["status"], event["attempt"]) == ("PENDING", 1)

            run.advance(minutes=minutes, seconds=-1)
            assert len(service.seen) == 1
            run.advance(seconds=1)

            assert keys_of(service) == [f"{run.sid}-1-1-1"] * 2
            assert (run.event()["status"], run.event()["attempt"]) == ("PROCESSED", 1)

    def test_a_refusal_that_lasts_too_long_is_an_error(
        self, engine: Engine, caller: HttpServiceCaller
    ) -> None:
        settings = changed(PLAIN, tasks_0_retryConfig_jitterPercent=0, tasks_0_retryConfig_refusedHours=1)
        with serving(answer(b"", 429, Retry_After="3600")) as service:
            run = engine.calling(caller).start(with_service(settings, service)).advance(minutes=60)

            assert (len(service.seen), run.event()["attempt"]) == (2, 2)
            assert run.event()["lastError"] == "svc/m returned HTTP 429"

    def test_a_method_may_take_it_as_an_answer(self, engine: Engine, caller: HttpServiceCaller) -> None:
        method = {"key": "m", "url": "/pay", "method": "post", "definiteStatuses": [429]}
        settings = changed(PLAIN, services_0_methods_0=method)
        with serving(answer(b"", 429, Retry_After="7200")) as service:
            run = engine.calling(caller).start(with_service(settings, service))

            assert (run.event()["attempt"], "refused" in run.event()) == (2, False)

    def test_a_conflict_does_not_wait(self, engine: Engine, caller: HttpServiceCaller) -> None:
        with serving(answer(b"", 409, Retry_After="7200")) as service:
            run = engine.calling(caller).start(with_service(PLAIN, service))

            assert (run.event()["attempt"], "refused" in run.event()) == (2, False)


class TestTextAnswer:
    """An answer of type ``text/plain`` is a text, even if it reads like a number."""

    @pytest.mark.parametrize(
        ("kind", "body", "response"),
        [
            ("text/plain", b"1E5", "1E5"),
            ("text/plain; charset=utf-8", b"007", "007"),
            ("TEXT/PLAIN", b"true", "true"),
            ("text/html", b'{"a":1}', '{"a":1}'),
            ("text/csv", b"12", "12"),
            ("application/json", b"1E5", 100_000.0),
            ("application/problem+json", b'{"a": 1}', {"a": 1}),
            ("text/json", b"[1]", [1]),
            (None, b"[1]", [1]),
            (None, b"plain", "plain"),
            ("text/plain", b"", None),
        ],
    )
    def test_the_type_decides(
        self, engine: Engine, caller: HttpServiceCaller, kind: str | None, body: bytes, response: Any
    ) -> None:
        headers: dict[str, Any] = {} if kind is None else {"Content_Type": kind}
        with serving(answer(body, **headers)) as service:
            run = engine.calling(caller).start(with_service(PLAIN, service))

        (result,) = run.event()["taskStatus"]["taskResults"]
        assert (result["success"], result.get("response")) == (True, response)
        assert type(result.get("response")) is type(response)

    def test_a_text_can_be_used_as_one(self, engine: Engine, caller: HttpServiceCaller) -> None:
        settings = changed(PLAIN, tasks_0_outputs={"ref": "no. {{stack.s.response}}"})
        with serving(answer(b"1E5", Content_Type="text/plain")) as service:
            run = engine.calling(caller).start(with_service(settings, service))

        assert run.instance()["outputs"] == {"ref": "no. 1E5"}

    def test_json_that_is_none_leaves_the_call_in_doubt(
        self, engine: Engine, caller: HttpServiceCaller
    ) -> None:
        with serving(answer(b"plain", Content_Type="application/json")) as service:
            run = engine.calling(caller).start(with_service(PLAIN, service))

        assert (run.event()["status"], run.history()[0]["steps"][0]["inDoubt"]) == ("PENDING", True)
