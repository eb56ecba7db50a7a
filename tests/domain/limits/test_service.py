from typing import Final

from shared.domain.limits.service import limit_of
from shared.domain.strategy.model import ServiceLimit
from tests.factories import settings, step, strategy_from, task


class TestTheLimitOfAStep:
    """A step is under the limit of the service that its action calls, at the URL of the strategy's environment."""

    LIMITED: Final = {**settings()["services"][0], "limit": {"perSecond": 200}}

    def test_a_call_of_a_service_with_a_limit_is_under_it(self) -> None:
        strategy = strategy_from(settings(task("charge", step("charge")), services=[self.LIMITED]))
        found = limit_of(strategy, strategy.definition.tasks["charge"].steps["charge"])

        assert found is not None
        assert found.limit == ServiceLimit(per_second=200)
        assert found.text == f"the limit of {found.origin} (200 a second)"

    def test_a_limit_without_a_rate_is_the_wish_of_the_service(self) -> None:
        service = {**self.LIMITED, "limit": {}}
        strategy = strategy_from(settings(task("charge", step("charge")), services=[service]))
        found = limit_of(strategy, strategy.definition.tasks["charge"].steps["charge"])

        assert found is not None
        assert found.limit == ServiceLimit()
        assert found.text == f"{found.origin} has asked all callers to wait"

    def test_a_call_of_a_service_without_a_limit_is_under_none(self) -> None:
        strategy = strategy_from(settings(task("charge", step("charge"))))

        assert limit_of(strategy, strategy.definition.tasks["charge"].steps["charge"]) is None

    def test_a_step_without_a_call_is_under_none(self) -> None:
        own = step("charge", action=None, controllerCallback="{}")
        strategy = strategy_from(settings(task("charge", own), services=[self.LIMITED]))

        assert limit_of(strategy, strategy.definition.tasks["charge"].steps["charge"]) is None
