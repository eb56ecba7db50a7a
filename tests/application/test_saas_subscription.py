"""The example saas-subscription: a trial, invoices by seats, dunning over eleven days, and read-only access on hold."""

import json
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from shared.domain.instance.model import CancelReason, InstanceStatus
from shared.domain.lifecycle.commands import Cancel, Resume
from shared.domain.steps.call import Answered, CallOutcome, ServiceRequest, TimedOut
from shared.domain.strategy.parse import read_definition
from shared.domain.strategy.save_warnings import warnings_of
from tests.application.lives import ANN, Life, Shop

EVENTS = Path(__file__).parents[2] / "events"
TEAM: dict[str, Any] = {"customerId": "c-1", "email": "ann@example.test", "pricePerSeat": "12.50", "seats": 7}
CREATED = Answered(status=201, body={"id": "in-1"})
DECLINED = Answered(status=402, body={"why": "card_declined"})
NO_RETRY = (
    "one failed call of step 'invoice' cancels the instance for good; add a retryConfig, for example "
    '{"times": 3, "retryAfter": {"unit": "hours", "amount": 1}}, or pauseBeforeCancel'
)


def settings() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((EVENTS / "saas-subscription.json").read_text())["settings"]
    return found


class Team(Life):
    """A team that subscribed at noon on 1 January 2026. ``pay`` holds the answers of the next payments."""

    def __init__(self, *pay: CallOutcome) -> None:
        self.pay = list(pay)
        super().__init__(settings(), attributes=TEAM)

    def answer(self, request: ServiceRequest) -> CallOutcome:
        return self.pay.pop(0) if request.url.endswith("/payments") and self.pay else CREATED

    def until(self, text: str) -> "Team":
        if not isinstance(self.ports.caller, Services):
            self.ports.caller = Services([], self.ports.clock, team=self)
            self.shop = self.ports.caller
        super().until(text)
        return self

    @property
    def done(self) -> list[str]:
        """Return each call with its time, without mails, as ``01-15 09:00 /invoices``."""
        calls = [call.replace("http://127.0.0.1:4010", "") for call in self.calls]
        return [call.replace("/billing", "").replace("/app", "") for call in calls if "/mail" not in call]

    @property
    def mails(self) -> list[str]:
        return [request.body["text"].partition(".")[0] for request in self.requests if "/mail" in request.url]


class Services(Shop):
    """Billing, app and mail."""

    def __init__(self, answers: list[CallOutcome], clock: Any, team: Team) -> None:
        super().__init__(answers, clock)
        self.team = team

    def call(self, request: ServiceRequest) -> CallOutcome:
        self.requests.append((self.clock.now(), request))
        return self.team.answer(request)


class TestPaying:
    """A trial of 14 days, then an invoice and a payment each month at 9:00 in Lisbon."""

    def test_the_first_months_of_a_team_that_pays(self) -> None:
        team = Team().until("2026-02-20T12:00")

        assert team.done == [
            "01-15 09:00 /invoices",
            "01-15 09:00 /invoices/in-1/payments",
            "01-15 09:00 /customers/c-1/access",
            "02-15 09:00 /invoices",
            "02-15 09:00 /invoices/in-1/payments",
            "02-15 09:00 /customers/c-1/access",
        ]
        assert team.mails == [
            "Welcome! Your trial has begun",
            "On 15 January 2026 we will charge 87",
            "Thank you",
            "On 15 February 2026 we will charge 87",
            "Thank you",
        ]

    def test_the_amount_is_exact(self) -> None:
        team = Team().until("2026-01-16T12:00")
        invoice = next(request for request in team.requests if request.url.endswith("/invoices"))

        assert invoice.body == {"customer": "c-1", "cycle": 1, "amount": "87.50", "currency": "EUR"}


class TestDunning:
    """A declined payment is repeated after 1, 2, 3 and 5 days, each failure with a mail; then the access is limited."""

    def test_a_team_that_cannot_pay_is_paused(self) -> None:
        team = Team(*[DECLINED] * 5).until("2026-02-20T12:00")

        assert team.done == [
            "01-15 09:00 /invoices",
            "01-15 09:00 /invoices/in-1/payments",
            "01-16 09:00 /invoices/in-1/payments",
            "01-18 09:00 /invoices/in-1/payments",
            "01-21 09:00 /invoices/in-1/payments",
            "01-26 09:00 /invoices/in-1/payments",
            "01-26 09:00 /customers/c-1/access",
        ]
        assert team.mails[2:] == [
            *(f"Your payment failed (attempt {attempt} of 5)" for attempt in (1, 2, 3, 4)),
            "Your team can read, but not write, until you have paid",
        ]
        assert team.instance.status is InstanceStatus.PAUSED

    def test_a_team_that_pays_after_all_writes_again(self) -> None:
        team = Team(*[DECLINED] * 5).until("2026-01-30T12:00")
        team.command(Resume(by=ANN))
        team.until("2026-01-30T12:01")

        assert team.done[-2:] == ["01-30 12:00 /invoices/in-1/payments", "01-30 12:00 /customers/c-1/access"]
        assert (team.requests[-2].body, team.mails[-1]) == ({"level": "full"}, "Thank you")
        assert team.instance.status is InstanceStatus.ACTIVE

    def test_a_payment_without_an_answer_keeps_its_key(self) -> None:
        unknown: Sequence[CallOutcome] = (
            TimedOut(why="no answer"),
            Answered(status=504),
            Answered(status=500),
        )
        team = Team(*unknown).until("2026-01-30T12:00")
        payments = [request for request in team.requests if request.url.endswith("/payments")]

        assert len(payments) == 4
        assert len({payment.headers["Idempotency-Key"] for payment in payments}) == 1

    def test_a_declined_payment_is_another_payment_next_time(self) -> None:
        team = Team(DECLINED).until("2026-01-30T12:00")
        payments = [request for request in team.requests if request.url.endswith("/payments")]

        assert len({payment.headers["Idempotency-Key"] for payment in payments}) == len(payments) == 2

    def test_a_busy_service_uses_no_attempt(self) -> None:
        team = Team(Answered(status=503), DECLINED).until("2026-01-30T12:00")

        assert [mail for mail in team.mails if "failed" in mail] == ["Your payment failed (attempt 1 of 5)"]


class TestEnding:
    """A team whose billing account is closed, or that leaves, loses its access."""

    def test_a_closed_billing_account_ends_the_subscription(self) -> None:
        team = Team(Answered(status=410)).until("2026-02-20T12:00")

        assert team.instance.cancel_reason is CancelReason.CONTROLLER_HELPER
        assert (team.requests[-2].body, team.mails[-1]) == ({"level": "none"}, "Your subscription has ended")

    def test_a_team_that_leaves_loses_its_access(self) -> None:
        team = Team().until("2026-01-20T12:00")
        team.command(Cancel(by=ANN))
        team.until("2026-01-21T12:00")

        assert (team.requests[-2].body, team.mails[-1]) == ({"level": "none"}, "Your subscription has ended")


class TestWarnings:
    """The examples have no warnings; without its retries this one has."""

    @pytest.mark.parametrize(
        "name", ["saas-subscription", "streaming", "gym-membership", "pet-cover", "water-filter-refill"]
    )
    def test_an_example_has_no_warnings(self, name: str) -> None:
        document = json.loads((EVENTS / f"{name}.json").read_text())["settings"]

        assert warnings_of(read_definition(document, environment="dev")) == ()

    def test_without_its_retries_it_is_warned_about(self) -> None:
        bare = deepcopy(settings())
        for task in bare["tasks"]:
            task.pop("retryConfig", None)

        (warning,) = warnings_of(read_definition(bare, environment="dev"), pointer="/settings")

        assert (warning.pointer, warning.rule, warning.message) == ("/settings/tasks/0", "no-retry", NO_RETRY)
