"""Parsing a whole definition, when it is saved and when it is loaded."""

from datetime import date, time, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from shared.domain.calendar.business_days import BusinessDays, Convention, Weekday
from shared.domain.calendar.cron import Cron
from shared.domain.calendar.cron_search import LocalTimes, OnDays, OnDaysAndWeekdays, OnWeekdays
from shared.domain.calendar.dates import ResetTo, Unit
from shared.domain.errors import InvalidInputError, RitornelloError
from shared.domain.strategy.model import (
    Action,
    Authorization,
    Calendar,
    Circuit,
    Definition,
    Delta,
    InDoubt,
    LeadingUpTask,
    LifecycleTask,
    Method,
    NextStepRule,
    OnResume,
    RetryConfig,
    RuleKind,
    Service,
    ServiceLimit,
    Step,
    Task,
)
from shared.domain.strategy.parse import read_definition, stored_definition
from tests.domain.strategy.definitions import CONTROLLERS, changed, example, full, minimal

TWO_HOURS = Delta(unit=Unit.HOURS, amount=2)


class TestExamples:
    """The example strategies are valid, and their definitions have the values of their settings."""

    @pytest.fixture
    def gym(self) -> Definition:
        return read_definition(example("gym-membership"), environment="dev")

    def test_the_config_of_the_gym_is_parsed(self, gym: Definition) -> None:
        assert gym.timezone == "Europe/Madrid"
        assert gym.zone_attribute is None
        assert gym.request_delay == timedelta(milliseconds=250)
        assert gym.manual_trigger is False
        assert gym.on_resume is OnResume.LAST
        assert gym.instance_validation is not None
        assert gym.instance_validation["optionalProperties"] == {"marketingOptIn": {"type": "boolean"}}

    def test_the_schedule_of_the_gym_is_parsed(self, gym: Definition) -> None:
        at_nine = ResetTo(hour=9, minute=0)
        assert gym.initial_delay == Delta(unit=Unit.DAYS, amount=7, reset_to=at_nine)
        assert gym.calendars == (
            Calendar(
                key="monthly-fee",
                task="charge-fee",
                schedule_after=Delta(unit=Unit.MONTHS, amount=1, reset_to=at_nine),
                leading_up_tasks=(
                    LeadingUpTask(task="send-reminder", schedule_before=Delta(unit=Unit.DAYS, amount=3)),
                ),
            ),
        )
        assert gym.on_create_tasks == (
            LifecycleTask(task="send-welcome", delay_by=Delta(unit=Unit.MINUTES, amount=5)),
        )
        assert gym.on_cancel_tasks == (
            LifecycleTask(
                task="send-winback",
                delay_by=Delta(unit=Unit.DAYS, amount=1),
                create_if="has(attributes.marketingOptIn) && attributes.marketingOptIn == true",
            ),
        )

    def test_the_services_of_the_gym_are_parsed(self, gym: Definition) -> None:
        assert list(gym.services) == ["billing", "mailer", "crm"]
        billing = gym.services["billing"]
        assert billing.base_urls == {"dev": "http://127.0.0.1:4020"}
        assert (billing.credential_path, billing.credential_type) == ("access_token", "Bearer")
        assert billing.authorization == {
            "dev": Authorization(
                url="http://127.0.0.1:4020/oauth/token",
                method="post",
                data={"grant_type": "client_credentials", "client_id": "gym", "client_secret": "s3cr3t"},
            )
        }
        status = {"properties": {"status": {"enum": ["CONFIRMED", "FAILED"]}}, "additionalProperties": True}
        assert billing.methods == {
            "charge": Method(key="charge", url="/charges", method="post", response_validation=status)
        }
        assert gym.services["crm"].authorization == {}

    def test_the_tasks_of_the_gym_are_parsed(self, gym: Definition) -> None:
        assert list(gym.tasks) == ["charge-fee", "send-reminder", "send-welcome", "send-winback"]
        charge = gym.tasks["charge-fee"]
        assert charge.initial_step == "charge"
        assert charge.retry_config == RetryConfig(
            times=3,
            retry_after=Delta(unit=Unit.HOURS, amount=12),
            retry_strategy=(
                Delta(unit=Unit.HOURS, amount=1),
                Delta(unit=Unit.DAYS, amount=1),
                Delta(unit=Unit.DAYS, amount=3),
            ),
            pause_before_cancel=True,
        )
        assert list(charge.steps) == ["charge", "crm-paid", "mail-receipt", "mail-failed", "crm-on-hold"]
        assert charge.steps["charge"] == Step(
            key="charge",
            action="charge-card",
            next_step="crm-paid",
            rules=(
                NextStepRule(kind=RuleKind.ON_BEFORE_RETRY, next_step="mail-failed"),
                NextStepRule(kind=RuleKind.ON_BEFORE_PAUSE, next_step="crm-on-hold"),
            ),
        )
        assert charge.steps["mail-failed"] == Step(
            key="mail-failed", action="mail-failed", optional=True, final=True
        )

    def test_the_actions_of_the_gym_are_parsed(self, gym: Definition) -> None:
        assert len(gym.actions) == 8
        assert gym.actions["crm-mark-paid"] == Action(
            key="crm-mark-paid",
            service="crm",
            method="set-state",
            attributes={"memberId": "{{instance.attributes.memberId}}"},
            data={"state": "paid", "chargeId": "{{stack.charge.response.id}}"},
        )

    @pytest.mark.parametrize(
        ("environment", "url"),
        [("dev", "http://127.0.0.1:4010"), ("prod", "https://warehouse.example.test")],
    )
    def test_the_water_filter_is_valid_in_both_environments(self, environment: str, url: str) -> None:
        water = read_definition(example("water-filter-refill"), environment=environment)
        assert water.services["warehouse"].base_urls[environment] == url
        assert water.initial_delay is None
        assert water.calendars == (
            Calendar(key="monthly", task="send-refill", schedule_after=Delta(unit=Unit.MONTHS, amount=1)),
        )
        assert water.tasks["send-refill"].steps["ship"].final is True


class TestEveryField:
    """Each field of the contract is in the definition."""

    def test_every_field_is_parsed(self) -> None:
        assert read_definition(full(), environment="dev", controllers=CONTROLLERS) == Definition(
            timezone="Asia/Manila",
            names_timezone=True,
            request_delay=timedelta(seconds=5),
            manual_trigger=True,
            any_attributes=True,
            on_resume=OnResume.SKIP,
            instance_validation={"properties": {"email": {"type": "string"}}, "additionalProperties": True},
            initial_delay=Delta(
                unit=Unit.DAYS,
                amount=7,
                from_attribute="trialEnd",
                reset_to=ResetTo(month=12, day=31, hour=24, minute=59),
                retry_event_callback='{"unit": "days", "amount": 1}',
            ),
            calendars=(
                Calendar(
                    key="first",
                    task="bill",
                    schedule_after=Delta(unit=Unit.MINUTES, amount=0),
                    run_on_cycle=1,
                ),
                Calendar(
                    key="yearly",
                    task="bill",
                    schedule_after=Delta(unit=Unit.YEARS, amount=1),
                    run_on_cycle_callback="cycle % 12 == 0",
                    next_cycle_date_callback="date",
                    business_days=BusinessDays(
                        convention=Convention.MODIFIED_FOLLOWING,
                        weekend=frozenset({Weekday.FRIDAY, Weekday.SATURDAY}),
                        country="DE",
                        subdivision="BY",
                        holidays=frozenset({date(2026, 12, 24), date(2026, 12, 31)}),
                        closed="closedOn",
                    ),
                    spread_minutes=90,
                    leading_up_tasks=(
                        LeadingUpTask(
                            task="bill",
                            schedule_before=replace(
                                TWO_HOURS, business_days=BusinessDays(convention=Convention.PRECEDING)
                            ),
                            run_late=True,
                        ),
                    ),
                ),
                Calendar(
                    key="mondays",
                    task="bill",
                    cron=Cron(
                        text="0 9 * * MON",
                        times=LocalTimes(
                            minutes=(0,),
                            hours=(9,),
                            days=(
                                OnDaysAndWeekdays(
                                    OnDays(frozenset(range(1, 32))), OnWeekdays(frozenset({2}))
                                ),
                            ),
                            months=tuple(range(1, 13)),
                        ),
                    ),
                ),
            ),
            on_create_tasks=(
                LifecycleTask(
                    task="bill", delay_by=TWO_HOURS, manual_trigger=True, create_if="attributes.vip == true"
                ),
            ),
            on_cancel_tasks=(LifecycleTask(task="bill"),),
            services={
                "billing": Service(
                    key="billing",
                    base_urls={"dev": "http://127.0.0.1:4020/v1"},
                    authorization={
                        "dev": Authorization(
                            url="https://login.example.test/:tenant/token?v=2",
                            method="post",
                            headers={"X-Env": "{{env}}"},
                            params={"scope": "all"},
                            data={"grant_type": "client_credentials"},
                            attributes={"tenant": "{{attributes.tenant}}"},
                            no_cache=True,
                        )
                    },
                    credential_path="data.token",
                    credential_type="Bearer",
                    limit=ServiceLimit(
                        per_second=200,
                        concurrent=20,
                        circuit=Circuit(failures=5, open_for=timedelta(seconds=30)),
                    ),
                    methods={
                        "charge": Method(
                            key="charge",
                            url="/members/:memberId/charges",
                            method="put",
                            request_validation={"properties": {"amount": {"type": "float64"}}},
                            response_validation={"type": "object"},
                            timeout_seconds=300,
                            in_doubt=InDoubt.PAUSE,
                            answers_later=True,
                            answer_within=TWO_HOURS,
                        ),
                        "look": Method(
                            key="look",
                            url="/",
                            method="get",
                            request_validation="cycle > 0",
                            whole_answer=True,
                            definite_statuses=frozenset({404, 503}),
                        ),
                    },
                )
            },
            tasks={
                "bill": Task(
                    key="bill",
                    initial_step="charge",
                    retry_config=RetryConfig(
                        times=2, retry_strategy=(TWO_HOURS, TWO_HOURS), jitter_percent=10, refused_hours=24
                    ),
                    steps={
                        "charge": Step(
                            key="charge",
                            action="charge-card",
                            controller="charged",
                            controller_callback='{"response": response}',
                            resume_controller_callback='{"response": response}',
                            retry_config=RetryConfig(
                                times=4,
                                retry_after=replace(
                                    TWO_HOURS,
                                    business_days=BusinessDays(convention=Convention.FOLLOWING, country="US"),
                                ),
                                retry_strategy=(
                                    replace(
                                        TWO_HOURS,
                                        business_days=BusinessDays(
                                            convention=Convention.FOLLOWING, weekend=frozenset()
                                        ),
                                    ),
                                ),
                                pause_before_cancel=True,
                                jitter_percent=25,
                                refused_hours=6,
                                stop_if="response.code == 'lost_card'",
                                retry_at=(time(9), time(18, 30)),
                            ),
                            reset_attempts=True,
                            optional=True,
                            repeat_on_retry=True,
                            next_step="wait",
                            every_rule=True,
                            rules=(
                                NextStepRule(kind=RuleKind.ON_ERROR, next_step="wait"),
                                NextStepRule(
                                    kind=RuleKind.CALLBACK, if_callback="attempt > 1", next_step="wait"
                                ),
                            ),
                        ),
                        "wait": Step(key="wait", delay=TWO_HOURS, wait_for_answer=TWO_HOURS, final=True),
                    },
                    outputs={"payment": "{{stack.charge.response.id}}"},
                )
            },
            actions={
                "charge-card": Action(
                    key="charge-card",
                    service="billing",
                    method="charge",
                    headers={"Idempotency-Key": "{{event.idempotencyKey}}"},
                    params={"cycle": "{{cycle}}"},
                    data={"amount": "${double(cycle) * 2.5}", "list": [None, True, 1.5]},
                    attributes={"memberId": "{{attributes.memberId}}"},
                )
            },
        )

    def test_omitted_fields_have_their_defaults(self) -> None:
        definition = read_definition(minimal(), environment="dev")
        assert (definition.timezone, definition.names_timezone) == ("UTC", False)
        assert definition.request_delay == timedelta(0)
        assert definition.on_resume is OnResume.LAST
        assert definition.services["billing"].methods["charge"].timeout_seconds == 30
        assert definition.services["billing"].methods["charge"].in_doubt is InDoubt.RETRY
        assert definition.actions["charge-card"].data is None


def test_utc_may_be_named_too() -> None:
    """A named zone is distinguished from the default, even if it is UTC."""
    definition = read_definition({**minimal(), "config": {"timezone": "UTC"}}, environment="dev")

    assert (definition.timezone, definition.names_timezone) == ("UTC", True)


class TestStored:
    """Stored settings are loaded to an equal definition, without being checked again."""

    @pytest.mark.parametrize(
        "settings", [minimal(), full(), example("gym-membership"), example("water-filter-refill")]
    )
    def test_a_stored_definition_is_equal(self, settings: dict[str, Any]) -> None:
        known = read_definition(settings, environment="dev", controllers=CONTROLLERS)
        assert stored_definition(settings) == known

    def test_callbacks_and_environments_are_not_checked_again(self) -> None:
        settings = changed("/schedule/calendars/0/runOnCycleCallback", "no CEL at all")
        settings["services"][0]["baseUrls"][0]["environment"] = "elsewhere"
        assert stored_definition(settings).calendars[0].run_on_cycle_callback == "no CEL at all"

    @pytest.mark.parametrize("settings", [changed("/config", {"onResume": "whenever"}), [], None])
    def test_an_unknown_shape_raises_an_error(self, settings: Any) -> None:
        with pytest.raises(RitornelloError, match="stored settings cannot be read") as raised:
            stored_definition(settings)
        assert not isinstance(raised.value, InvalidInputError)
