"""Calls whose outcome is unknown. Source: docs/design.md section 3.7; docs/decisions/0030."""

from typing import Any

import pytest

from shared.adapters.http.service_caller import HttpServiceCaller
from shared.domain.steps.call import Answered
from tests.adapters.http.http_stub import answer, serving
from tests.cases.engine import Engine, changed, keys_of, settings_of, with_service

SMALL = answer({"id": "p-1"})
MAX_BYTES = 128 * 1024
IN_DOUBT = ("PAUSED", "IN_DOUBT", "PAUSED")


def json_of(size: int, status: int = 200) -> bytes:
    """Return an answer with a JSON body of this size."""
    return answer(b'"' + b"x" * (size - 2) + b'"', status, Content_Type="application/json")


@pytest.mark.allow_hosts(["127.0.0.1"])
class TestTooLargeAnswer:
    """A 200 that is too large may have charged: the event is PAUSED for IN_DOUBT, and ``retry`` keeps its key."""

    SETTINGS = settings_of("200-too-big")

    @pytest.mark.parametrize("size", [140_000, MAX_BYTES + 1, 2_000_000])
    def test_the_event_waits_for_an_operator(
        self, engine: Engine, caller: HttpServiceCaller, size: int
    ) -> None:
        with serving(json_of(size), SMALL) as service:
            run = engine.calling(caller).start(with_service(self.SETTINGS, service))
            event = run.event()
            assert (event["status"], event["pausedFor"], run.instance()["status"]) == IN_DOUBT

            run.command("/execution-event/{sid}-1/resolve", {"decision": "retry"})
            run.advance()

            assert keys_of(service) == [f"{run.sid}-1-1-1"] * 2
            assert (run.event()["status"], run.instance()["status"]) == ("PROCESSED", "ACTIVE")

    @pytest.mark.parametrize(
        ("decision", "event", "calls"),
        [("skip", "PROCESSED", 1), ("fail", "PENDING", 1), ("retry", "PROCESSED", 2)],
    )
    def test_each_decision_is_followed(
        self, engine: Engine, caller: HttpServiceCaller, decision: str, event: str, calls: int
    ) -> None:
        with serving(json_of(140_000), SMALL) as service:
            run = engine.calling(caller).start(with_service(self.SETTINGS, service))
            run.command("/execution-event/{sid}-1/resolve", {"decision": decision})
            run.advance(minutes=30)

            assert (run.event()["status"], run.instance()["status"]) == (event, "ACTIVE")
            assert len(service.seen) == calls

    def test_without_a_policy_the_retry_keeps_the_key(
        self, engine: Engine, caller: HttpServiceCaller
    ) -> None:
        settings = changed(self.SETTINGS, services_0_methods_0_inDoubt="retry")
        with serving(json_of(140_000), SMALL) as service:
            run = engine.calling(caller).start(with_service(settings, service)).advance(hours=2)

            assert keys_of(service) == [f"{run.sid}-1-1-1"] * 2
            assert run.event()["run"] == 2

    def test_a_refusal_is_definite_however_large(self, engine: Engine, caller: HttpServiceCaller) -> None:
        with serving(json_of(140_000, status=402), SMALL) as service:
            run = engine.calling(caller).start(with_service(self.SETTINGS, service)).advance(hours=2)

            assert keys_of(service) == [f"{run.sid}-1-1-1", f"{run.sid}-1-2-1"]

    def test_a_get_is_not_in_doubt(self, engine: Engine, caller: HttpServiceCaller) -> None:
        method = {"key": "m", "url": "/charge", "method": "get", "inDoubt": "pause"}
        settings = changed(self.SETTINGS, services_0_methods_0=method)
        with serving(json_of(140_000), SMALL) as service:
            run = engine.calling(caller).start(with_service(settings, service))

            assert (run.event()["status"], run.event()["attempt"]) == ("PENDING", 2)

    def test_the_largest_answer_is_taken(self, engine: Engine, caller: HttpServiceCaller) -> None:
        with serving(json_of(MAX_BYTES)) as service:
            run = engine.calling(caller).start(with_service(self.SETTINGS, service))

            assert (run.event()["status"], len(service.seen)) == ("PROCESSED", 1)


class OfStatus:
    """Calls of a strategy with three retries a minute apart."""

    SETTINGS = settings_of("unknown-500")
    STATUS = 500

    def keys(self, engine: Engine, *answers: Answered, **changes: Any) -> list[str]:
        """Return the runs whose keys the calls had within six minutes."""
        engine.services.answers = list(answers)
        run = engine.start(changed(self.SETTINGS, **changes))
        for _ in range(3):
            run.advance(minutes=2)
        return [key.removeprefix(f"{run.sid}-1-") for key in engine.keys]

    def test_all_calls_have_one_key(self, engine: Engine) -> None:
        assert self.keys(engine, *[Answered(status=self.STATUS)] * 4) == ["1-1"] * 4

    def test_the_event_is_paused_and_in_doubt_at_the_end(self, engine: Engine) -> None:
        engine.services.answers = [Answered(status=self.STATUS)] * 4
        run = engine.start(self.SETTINGS).advance(minutes=6)

        event, (past,) = run.event(), run.history()
        assert (event["status"], event["pausedFor"], event["attempt"]) == ("PAUSED", "EXHAUSTED", 4)
        assert [step["inDoubt"] for step in past["steps"]] == [True] * 4

    def test_a_definite_refusal_changes_the_key(self, engine: Engine) -> None:
        answers = [Answered(status=self.STATUS), Answered(status=402), Answered(status=self.STATUS)]
        assert self.keys(engine, *answers) == ["1-1", "1-1", "3-1", "3-1"]

    def test_a_method_that_calls_it_definite_gets_new_keys(self, engine: Engine) -> None:
        method = {"key": "m", "url": "/pay", "method": "post", "definiteStatuses": [self.STATUS]}
        keys = self.keys(engine, *[Answered(status=self.STATUS)] * 4, services_0_methods_0=method)
        assert keys == ["1-1", "2-1", "3-1", "4-1"]

    def test_a_method_can_pause_at_once(self, engine: Engine) -> None:
        method = {"key": "m", "url": "/pay", "method": "post", "inDoubt": "pause"}
        assert self.keys(engine, Answered(status=self.STATUS), services_0_methods_0=method) == ["1-1"]


class TestInternalServerError(OfStatus):
    """A 500 may have charged: one key for all calls of the event."""

    @pytest.mark.parametrize("status", [501, 502, 507, 520, 599, 408, 302])
    def test_other_statuses_without_a_definite_meaning_keep_it_too(self, engine: Engine, status: int) -> None:
        assert self.keys(engine, *[Answered(status=status)] * 4) == ["1-1"] * 4

    @pytest.mark.parametrize("status", [400, 402, 404, 422, 499])
    def test_a_client_error_is_definite(self, engine: Engine, status: int) -> None:
        assert self.keys(engine, *[Answered(status=status)] * 4) == ["1-1", "2-1", "3-1", "4-1"]


class TestGatewayTimeout(OfStatus):
    """A 504 may come after the transaction was made: a new key would make another one."""

    SETTINGS = settings_of("unknown-504")
    STATUS = 504

    def test_the_body_is_kept_with_the_error(self, engine: Engine) -> None:
        engine.services.answers = [Answered(status=504, body="gateway timeout")] * 4
        run = engine.start(self.SETTINGS).advance(minutes=6)

        (result,) = run.event()["taskStatus"]["taskResults"]
        assert result["error"] == {
            "message": "svc/m returned HTTP 504",
            "status": 504,
            "data": "gateway timeout",
        }

    def test_after_a_restart_by_an_operator_the_key_is_the_same(self, engine: Engine) -> None:
        engine.services.answers = [Answered(status=504)] * 4
        run = engine.start(self.SETTINGS).advance(minutes=6)
        run.command("/execution-instance/{sid}/resume", {})
        run.advance()

        assert engine.keys == [f"{run.sid}-1-1-1"] * 5
        assert run.event()["status"] == "PROCESSED"
