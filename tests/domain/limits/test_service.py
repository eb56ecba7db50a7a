from typing import Final

import pytest

from shared.domain.limits.service import OriginLimit, limit_of
from shared.domain.limits.state import LimitState, Member, micros_of, slot_name
from shared.domain.strategy.model import ServiceLimit
from tests.factories import NOON, settings, step, strategy_from, task


class TestTheLimitOfAStep:
    """A step is under the limit of the service that its action calls, at the URL of the strategy's environment."""

    LIMITED: Final = {**settings()["services"][0], "limit": {"perSecond": 200}}

    def test_a_call_of_a_service_with_a_limit_is_under_it(self) -> None:
        strategy = strategy_from(settings(task("charge", step("charge")), services=[self.LIMITED]))
        found = limit_of(strategy, strategy.definition.tasks["charge"].steps["charge"])

        assert found is not None
        assert found.limit == ServiceLimit(per_second=200)

    def test_a_limit_may_have_no_rate(self) -> None:
        service = {**self.LIMITED, "limit": {}}
        strategy = strategy_from(settings(task("charge", step("charge")), services=[service]))
        found = limit_of(strategy, strategy.definition.tasks["charge"].steps["charge"])

        assert found is not None
        assert found.limit == ServiceLimit()

    def test_a_call_of_a_service_without_a_limit_is_under_none(self) -> None:
        strategy = strategy_from(settings(task("charge", step("charge"))))

        assert limit_of(strategy, strategy.definition.tasks["charge"].steps["charge"]) is None

    def test_a_step_without_a_call_is_under_none(self) -> None:
        own = step("charge", action=None, controllerCallback="{}")
        strategy = strategy_from(settings(task("charge", own), services=[self.LIMITED]))

        assert limit_of(strategy, strategy.definition.tasks["charge"].steps["charge"]) is None


class TestWhyACallWaits:
    """The state of the limit says what a call waits for."""

    ORIGIN: Final = "https://a.example"
    RATED, UNRATED = ServiceLimit(per_second=200), ServiceLimit()
    LIMIT, ASKED = f"the limit of {ORIGIN} (200 a second)", f"{ORIGIN} has asked all callers to wait"
    OPEN: Final = f"the circuit of {ORIGIN} is open: calls did not reach it"
    OVER: Final = f"{ORIGIN} can be called again; its calls return one after another"

    @pytest.mark.parametrize(
        ("limit", "not_before", "open_until", "why"),
        [
            (RATED, 0, 0, LIMIT),
            (RATED, micros_of(NOON), 0, LIMIT),
            (RATED, micros_of(NOON) + 1, 0, ASKED),
            (RATED, 0, micros_of(NOON) + 1, OPEN),
            # It is not closed before a probe has got an answer.
            (RATED, 0, micros_of(NOON) - 1, OPEN),
            (UNRATED, micros_of(NOON) + 1, 0, ASKED),
            (UNRATED, micros_of(NOON) + 1, micros_of(NOON), OPEN),
            (UNRATED, micros_of(NOON), 0, OVER),
        ],
    )
    def test_a_reason(self, limit: ServiceLimit, not_before: int, open_until: int, why: str) -> None:
        state = LimitState(values={Member.NOT_BEFORE: not_before, Member.OPEN_UNTIL: open_until})

        assert OriginLimit(service="shop", origin=self.ORIGIN, limit=limit).why(state, now=NOON) == why

    @pytest.mark.parametrize(
        ("stored", "slots", "limit", "why"),
        [
            (2, (1, 1), UNRATED, f"the limit of {ORIGIN} (2 in flight)"),
            (2, (1, 0), UNRATED, OVER),
            # The own limit, if none is stored.
            (0, (1,), ServiceLimit(concurrent=1), f"the limit of {ORIGIN} (1 in flight)"),
            # One stricter than the own.
            (1, (1,), ServiceLimit(concurrent=5), f"the limit of {ORIGIN} (1 in flight)"),
            (2, (1, 1), ServiceLimit(per_second=200, concurrent=2), f"the limit of {ORIGIN} (2 in flight)"),
            (2, (1,), ServiceLimit(per_second=200, concurrent=2), LIMIT),
        ],
    )
    def test_slots(self, stored: int, slots: tuple[int, ...], limit: ServiceLimit, why: str) -> None:
        numbers: dict[str, int] = {slot_name(at): micros_of(NOON) + after for at, after in enumerate(slots)}
        state = LimitState(values={Member.CONCURRENT: stored, **numbers})

        assert OriginLimit(service="shop", origin=self.ORIGIN, limit=limit).why(state, now=NOON) == why
