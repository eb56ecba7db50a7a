"""A definition as a whole: what is read, what is told, where and in which order."""

from datetime import timedelta
from typing import Any

import pytest

from shared.domain.dates import ResetTo, Unit
from shared.domain.definition import read_definition, stored_definition
from shared.domain.errors import InvalidInputError, Problem, RitornelloError
from shared.domain.strategy import (
    Action,
    Authorization,
    Calendar,
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
    Step,
    Task,
)
from tests.domain.definitions import REMOVED, changed, example, full, minimal, problems, told

TWO_HOURS = Delta(unit=Unit.HOURS, amount=2)


class TestExamples:
    """The example strategies are correct, and come out as what they say."""

    @pytest.fixture
    def gym(self) -> Definition:
        return read_definition(example("gym-membership"), environment="dev")

    def test_gym_config(self, gym: Definition) -> None:
        assert gym.timezone == "Europe/Madrid"
        assert gym.zone.key == "Europe/Madrid"
        assert gym.request_delay == timedelta(milliseconds=250)
        assert gym.manual_trigger is False
        assert gym.on_resume is OnResume.LAST
        assert gym.instance_validation is not None
        assert gym.instance_validation["optionalProperties"] == {"marketingOptIn": {"type": "boolean"}}

    def test_gym_schedule(self, gym: Definition) -> None:
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

    def test_gym_services(self, gym: Definition) -> None:
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

    def test_gym_tasks(self, gym: Definition) -> None:
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
            key="mail-failed", action="mail-failed", optional=True, repeat_on_retry=True, final=True
        )

    def test_gym_actions(self, gym: Definition) -> None:
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
    def test_water_filter_in_both_of_its_environments(self, environment: str, url: str) -> None:
        water = read_definition(example("water-filter-refill"), environment=environment)
        assert water.services["warehouse"].base_urls[environment] == url
        assert water.initial_delay is None
        assert water.calendars == (
            Calendar(key="monthly", task="send-refill", schedule_after=Delta(unit=Unit.MONTHS, amount=1)),
        )
        assert water.tasks["send-refill"].steps["ship"].final is True


class TestEveryField:
    """Each field of the contract reaches the engine."""

    def test_the_whole(self) -> None:
        assert read_definition(full(), environment="dev") == Definition(
            timezone="Asia/Manila",
            request_delay=timedelta(seconds=5),
            manual_trigger=True,
            on_resume=OnResume.SKIP,
            instance_validation={"properties": {"email": {"type": "string"}}},
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
                    leading_up_tasks=(LeadingUpTask(task="bill", schedule_before=TWO_HOURS),),
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
                    methods={
                        "charge": Method(
                            key="charge",
                            url="/members/:memberId/charges",
                            method="put",
                            request_validation={"properties": {"amount": {"type": "float64"}}},
                            response_validation={"type": "object"},
                            timeout_seconds=300,
                            in_doubt=InDoubt.PAUSE,
                        ),
                        "look": Method(key="look", url="/", method="get", request_validation="cycle > 0"),
                    },
                )
            },
            tasks={
                "bill": Task(
                    key="bill",
                    initial_step="charge",
                    retry_config=RetryConfig(times=2, retry_strategy=(TWO_HOURS, TWO_HOURS)),
                    steps={
                        "charge": Step(
                            key="charge",
                            action="charge-card",
                            controller_callback='{"response": response}',
                            retry_config=RetryConfig(
                                times=4,
                                retry_after=TWO_HOURS,
                                retry_strategy=(TWO_HOURS,),
                                pause_before_cancel=True,
                            ),
                            reset_attempts=True,
                            optional=True,
                            repeat_on_retry=True,
                            next_step="wait",
                            rules=(
                                NextStepRule(kind=RuleKind.ON_ERROR, next_step="wait"),
                                NextStepRule(
                                    kind=RuleKind.CALLBACK, if_callback="attempt > 1", next_step="wait"
                                ),
                            ),
                        ),
                        "wait": Step(key="wait", delay=TWO_HOURS, final=True),
                    },
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

    def test_what_is_left_out_has_its_default(self) -> None:
        definition = read_definition(minimal(), environment="dev")
        assert definition.timezone == "UTC"
        assert definition.request_delay == timedelta(0)
        assert definition.on_resume is OnResume.LAST
        assert definition.services["billing"].methods["charge"].timeout_seconds == 30
        assert definition.services["billing"].methods["charge"].in_doubt is InDoubt.RETRY
        assert definition.actions["charge-card"].data is None


class TestStored:
    """What was accepted is read back, equal, without being checked again."""

    @pytest.mark.parametrize(
        "settings", [minimal(), full(), example("gym-membership"), example("water-filter-refill")]
    )
    def test_it_is_equal(self, settings: dict[str, Any]) -> None:
        assert stored_definition(settings) == read_definition(settings, environment="dev")

    def test_callbacks_and_environments_are_not_looked_at(self) -> None:
        settings = changed("/schedule/calendars/0/runOnCycleCallback", "no CEL at all")
        settings["services"][0]["baseUrls"][0]["environment"] = "elsewhere"
        assert stored_definition(settings).calendars[0].run_on_cycle_callback == "no CEL at all"

    @pytest.mark.parametrize("settings", [changed("/config", {"onResume": "whenever"}), [], None])
    def test_an_unknown_shape_is_refused_loudly(self, settings: Any) -> None:
        with pytest.raises(RitornelloError, match="stored settings cannot be read") as raised:
            stored_definition(settings)
        assert not isinstance(raised.value, InvalidInputError)


class TestEveryProblem:
    """Every problem is told at once, sorted by its pointer."""

    def test_problems_of_all_kinds_and_places(self) -> None:
        settings = {
            "config": {"timezone": "Europe/Lisboa", "requestDelayTime": 5001},
            "schedule": {"calendars": [{"key": "a", "task": "missing", "scheduleAfter": {"amount": -1}}]},
            "services": [{"key": "s", "baseUrls": [], "methods": [{"key": "m", "method": "head"}]}],
            "tasks": [{"key": "t", "initialStep": "x", "steps": [{"key": "y", "nextStep": "z"}]}],
            "actions": [{"key": "a", "service": "s", "method": "n", "data": {"a/b": ["${cycle +}"]}}],
            "surplus": 1,
        }
        assert told(settings) == [
            ("/actions/0/data/a~1b/0", "syntax"),
            ("/actions/0/method", "reference"),
            ("/config/requestDelayTime", "range"),
            ("/config/timezone", "zone"),
            ("/schedule/calendars/0/scheduleAfter/amount", "range"),
            ("/schedule/calendars/0/scheduleAfter/unit", "required"),
            ("/schedule/calendars/0/task", "reference"),
            ("/services/0/baseUrls", "required"),
            ("/services/0/methods/0/method", "enum"),
            ("/services/0/methods/0/url", "required"),
            ("/surplus", "unknown-field"),
            ("/tasks/0/initialStep", "reference"),
            ("/tasks/0/steps/0/action", "required"),
            ("/tasks/0/steps/0/nextStep", "reference"),
        ]

    def test_pointers_begin_where_the_settings_stand(self) -> None:
        settings = changed("/config", {"timezone": "Mars/Olympus", "a~b": 1})
        settings["services"][0]["methods"][0]["responseValidation"] = {"type": "text"}
        assert [problem.pointer for problem in problems(settings, pointer="/settings")] == [
            "/settings/config/a~0b",
            "/settings/config/timezone",
            "/settings/services/0/methods/0/responseValidation/type",
        ]

    def test_the_error_says_it_all(self) -> None:
        with pytest.raises(InvalidInputError, match=r"^/a: is not a known field; /b: is not a known field$"):
            read_definition({**minimal(), "b": 1, "a": 1}, environment="dev")

    def test_an_answer_lists_a_thousand_at_most(self) -> None:
        surplus = {f"x{number:04}": 1 for number in range(1001)}
        found = told({**minimal(), **surplus})
        assert len(found) == 1000
        assert found[-1] == ("/x0999", "unknown-field")


class TestParts:
    """Schedule, services, tasks and actions are required, and nothing may stand there that is not known."""

    def test_nothing_given(self) -> None:
        assert told({}) == [
            ("/actions", "required"),
            ("/schedule", "required"),
            ("/services", "required"),
            ("/tasks", "required"),
        ]

    @pytest.mark.parametrize("settings", [None, True, 0, "text", []])
    def test_no_object(self, settings: object) -> None:
        assert problems(settings) == [Problem(pointer="", rule="type", message="must be an object")]

    @pytest.mark.parametrize("part", ["services", "tasks", "actions"])
    def test_a_list_that_must_hold_something(self, part: str) -> None:
        assert (f"/{part}", "required") in told(changed(f"/{part}", []))
        assert (f"/{part}", "required") in told(changed(f"/{part}", REMOVED))
        assert (f"/{part}", "type") in told(changed(f"/{part}", {}))

    @pytest.mark.parametrize(
        "place",
        [
            "",
            "/config",
            "/schedule",
            "/schedule/initialDelay",
            "/schedule/initialDelay/resetTo",
            "/schedule/calendars/0",
            "/schedule/calendars/1/leadingUpTasks/0",
            "/schedule/calendars/1/leadingUpTasks/0/scheduleBefore",
            "/onCreateTasks/0",
            "/onCancelTasks/0",
            "/services/0",
            "/services/0/baseUrls/0",
            "/services/0/authorization/0",
            "/services/0/methods/0",
            "/tasks/0",
            "/tasks/0/retryConfig",
            "/tasks/0/retryConfig/retryStrategy/0",
            "/tasks/0/steps/0",
            "/tasks/0/steps/0/nextStepRules/0",
            "/actions/0",
        ],
    )
    def test_an_unknown_field_is_refused_anywhere(self, place: str) -> None:
        pointer = f"{place}/surplus"
        found = problems(changed(pointer, 1, of=full()))
        assert found == [Problem(pointer=pointer, rule="unknown-field", message="is not a known field")]

    @pytest.mark.parametrize(
        "pointer",
        [
            "/schedule/initialDelay/amount",
            "/schedule/initialDelay/unit",
            "/schedule/calendars",
            "/schedule/calendars/0/key",
            "/schedule/calendars/0/scheduleAfter",
            "/schedule/calendars/0/task",
            "/schedule/calendars/1/leadingUpTasks/0/scheduleBefore",
            "/schedule/calendars/1/leadingUpTasks/0/task",
            "/onCreateTasks/0/task",
            "/services/0/key",
            "/services/0/baseUrls",
            "/services/0/baseUrls/0/environment",
            "/services/0/baseUrls/0/url",
            "/services/0/authorization/0/environment",
            "/services/0/authorization/0/method",
            "/services/0/authorization/0/url",
            "/services/0/credentialPath",
            "/services/0/methods",
            "/services/0/methods/0/key",
            "/services/0/methods/0/method",
            "/services/0/methods/0/url",
            "/tasks/0/key",
            "/tasks/0/initialStep",
            "/tasks/0/steps",
            "/tasks/0/steps/0/key",
            "/tasks/0/steps/0/nextStepRules/0/if",
            "/tasks/0/steps/0/nextStepRules/0/nextStep",
            "/tasks/0/steps/0/nextStepRules/1/ifCallback",
            "/tasks/0/retryConfig/retryStrategy/0/amount",
            "/tasks/0/retryConfig/retryStrategy/0/unit",
            "/actions/0/attributes",
            "/actions/0/key",
            "/actions/0/method",
            "/actions/0/service",
        ],
    )
    def test_a_required_part_is_missed_whether_left_out_or_null(self, pointer: str) -> None:
        assert (pointer, "required") in told(changed(pointer, REMOVED, of=full()))
        assert (pointer, "required") in told(changed(pointer, None, of=full()))

    def test_null_counts_as_absent(self) -> None:
        optional = ["config", "instanceValidation", "onCreateTasks", "onCancelTasks", "surplus"]
        settings = {**minimal(), **dict.fromkeys(optional)}
        settings["schedule"]["initialDelay"] = None
        settings["actions"][0] |= dict.fromkeys(["headers", "params", "data", "attributes"])
        assert read_definition(settings, environment="dev") == read_definition(minimal(), environment="dev")


class TestTypes:
    """A value of another type than its field's is told where it stands, and nothing in it is missed."""

    @pytest.mark.parametrize(
        "pointer",
        [
            "/config",
            "/instanceValidation",
            "/schedule",
            "/schedule/initialDelay",
            "/schedule/initialDelay/resetTo",
            "/onCreateTasks/0",
            "/onCreateTasks/0/delayBy",
            "/services/0/methods/0/responseValidation",
            "/tasks/0/retryConfig",
            "/tasks/0/steps/0/retryConfig/retryStrategy/0",
            "/tasks/0/steps/0/nextStepRules/0",
            "/actions/0/data",
            "/actions/0/headers",
            "/actions/0/params",
        ],
    )
    @pytest.mark.parametrize("value", [True, 1, "text", []])
    def test_an_object(self, pointer: str, value: object) -> None:
        found = problems(changed(pointer, value, of=full()))
        assert found == [Problem(pointer=pointer, rule="type", message="must be an object")]

    @pytest.mark.parametrize(
        "pointer",
        [
            "/onCreateTasks",
            "/onCancelTasks",
            "/schedule/calendars/1/leadingUpTasks",
            "/tasks/0/retryConfig/retryStrategy",
            "/tasks/0/steps/0/nextStepRules",
        ],
    )
    @pytest.mark.parametrize("value", [False, 1, "text", {}])
    def test_a_list(self, pointer: str, value: object) -> None:
        found = problems(changed(pointer, value, of=full()))
        assert found == [Problem(pointer=pointer, rule="type", message="must be a list")]

    @pytest.mark.parametrize(
        "pointer",
        [
            "/config/timezone",
            "/schedule/calendars/0/description",
            "/schedule/calendars/0/key",
            "/schedule/initialDelay/from",
            "/schedule/initialDelay/retryEventCallback",
            "/onCreateTasks/0/createIf",
            "/onCreateTasks/0/task",
            "/services/0/baseUrls/0/url",
            "/services/0/credentialType",
            "/services/0/methods/0/url",
            "/actions/0/headers/Idempotency-Key",
            "/actions/0/params/cycle",
            "/actions/0/attributes/memberId",
        ],
    )
    @pytest.mark.parametrize("value", [True, 1, ["text"], {}])
    def test_a_string(self, pointer: str, value: object) -> None:
        assert Problem(pointer=pointer, rule="type", message="must be a string") in problems(
            changed(pointer, value, of=full())
        )

    @pytest.mark.parametrize(
        "pointer",
        [
            "/config/manualTrigger",
            "/onCreateTasks/0/manualTrigger",
            "/services/0/authorization/0/noCache",
            "/services/0/methods/0/async",
            "/tasks/0/retryConfig/pauseBeforeCancel",
            "/tasks/0/steps/0/final",
            "/tasks/0/steps/0/optional",
            "/tasks/0/steps/0/repeatOnRetry",
            "/tasks/0/steps/0/resetAttempts",
        ],
    )
    @pytest.mark.parametrize("value", [0, 1, "true", [], {}])
    def test_a_boolean(self, pointer: str, value: object) -> None:
        found = problems(changed(pointer, value, of=full()))
        assert found == [Problem(pointer=pointer, rule="type", message="must be true or false")]

    @pytest.mark.parametrize(
        "pointer",
        [
            "/config/requestDelayTime",
            "/schedule/initialDelay/amount",
            "/schedule/initialDelay/resetTo/day",
            "/schedule/calendars/0/runOnCycle",
            "/services/0/methods/0/timeoutSeconds",
            "/tasks/0/steps/0/retryConfig/times",
        ],
    )
    @pytest.mark.parametrize("value", [True, False, 1.5, "1", [], {}])
    def test_a_whole_number_which_no_boolean_is(self, pointer: str, value: object) -> None:
        assert problems(changed(pointer, value, of=full()))[0] == Problem(
            pointer=pointer, rule="type", message="must be a whole number"
        )

    def test_a_whole_double_is_a_whole_number(self) -> None:
        settings = changed("/config/requestDelayTime", 250.0)
        assert read_definition(settings, environment="dev").request_delay == timedelta(milliseconds=250)
        amount = changed("/schedule/initialDelay", {"unit": "days", "amount": 3.0})
        assert read_definition(amount, environment="dev").initial_delay == Delta(unit=Unit.DAYS, amount=3)

    @pytest.mark.parametrize(
        ("pointer", "message"),
        [
            ("/config/onResume", "must be one of last, all, skip, shift"),
            ("/schedule/initialDelay/unit", "must be one of years, months, days, hours, minutes"),
            ("/services/0/methods/0/inDoubt", "must be one of retry, pause, fail"),
            ("/services/0/methods/0/method", "must be one of get, delete, post, put, patch"),
            (
                "/tasks/0/steps/0/nextStepRules/0/if",
                "must be one of onError, onBeforeRetry, onBeforePause, callback",
            ),
        ],
    )
    @pytest.mark.parametrize("value", ["weeks", "POST", "", True, 1, [], {}])
    def test_one_of_a_few(self, pointer: str, message: str, value: object) -> None:
        found = problems(changed(pointer, value, of=full()))
        assert found == [Problem(pointer=pointer, rule="enum", message=message)]


class TestNumbers:
    """Numbers keep to their bounds, both included."""

    @pytest.mark.parametrize(
        ("pointer", "low", "high"),
        [
            ("/config/requestDelayTime", 0, 5000),
            ("/schedule/initialDelay/amount", 0, 1_000_000),
            ("/schedule/initialDelay/resetTo/month", 1, 12),
            ("/schedule/initialDelay/resetTo/day", 1, 31),
            ("/schedule/initialDelay/resetTo/hour", 0, 24),
            ("/schedule/initialDelay/resetTo/minute", 0, 59),
            ("/schedule/calendars/0/runOnCycle", 1, 1_000_000_000),
            ("/services/0/methods/0/timeoutSeconds", 1, 300),
            ("/tasks/0/steps/0/retryConfig/times", 0, 1000),
            ("/tasks/0/retryConfig/retryStrategy/0/amount", 0, 1_000_000),
        ],
    )
    def test_bounds(self, pointer: str, low: int, high: int) -> None:
        settings = full()
        settings["schedule"]["calendars"][0]["scheduleAfter"]["amount"] = 1
        assert problems(changed(pointer, low, of=settings)) == []
        assert problems(changed(pointer, high, of=settings)) == []
        beyond = Problem(pointer=pointer, rule="range", message=f"must be between {low} and {high}")
        assert problems(changed(pointer, low - 1, of=settings)) == [beyond]
        assert problems(changed(pointer, high + 1, of=settings)) == [beyond]


class TestKeys:
    """Keys are texts of 1 to 100 characters, and no two in one list are alike."""

    @pytest.mark.parametrize(
        "entry",
        ["/schedule/calendars/0", "/services/0", "/services/0/methods/0", "/tasks/0", "/tasks/0/steps/0"],
    )
    def test_length(self, entry: str) -> None:
        assert problems(changed("/schedule/calendars/0/key", "k" * 100)) == []
        pointer = f"{entry}/key"
        assert Problem(
            pointer=pointer, rule="too-long", message="must have at most 100 characters"
        ) in problems(changed(pointer, "k" * 101))
        assert Problem(pointer=pointer, rule="empty", message="must not be empty") in problems(
            changed(pointer, "")
        )

    @pytest.mark.parametrize(
        ("entries", "member", "value"),
        [
            ("/schedule/calendars", "key", "first"),
            ("/services", "key", "billing"),
            ("/services/0/methods", "key", "charge"),
            ("/services/0/baseUrls", "environment", "dev"),
            ("/services/0/authorization", "environment", "dev"),
            ("/tasks", "key", "bill"),
            ("/tasks/0/steps", "key", "charge"),
            ("/actions", "key", "charge-card"),
        ],
    )
    def test_repeated(self, entries: str, member: str, value: str) -> None:
        place: Any = full()
        for name in entries.split("/")[1:]:
            place = place[int(name)] if isinstance(place, list) else place[name]
        pointer = f"{entries}/{len(place)}/{member}"
        assert problems(changed(f"{entries}/-", place[0], of=full())) == [
            Problem(pointer=pointer, rule="repeated-key", message=f"{value!r} is given more than once")
        ]

    def test_each_repetition_is_told(self) -> None:
        action = minimal()["actions"][0]
        settings = changed("/actions", [action, action, {**action, "key": "other"}, action])
        assert told(settings) == [("/actions/1/key", "repeated-key"), ("/actions/3/key", "repeated-key")]

    def test_keys_that_are_none_are_not_repeated(self) -> None:
        action = minimal()["actions"][0]
        settings = changed("/actions", [action, {**action, "key": 1}, {**action, "key": 1}, 5, 5])
        assert told(settings) == [
            ("/actions/1/key", "type"),
            ("/actions/2/key", "type"),
            ("/actions/3", "type"),
            ("/actions/4", "type"),
        ]


class TestConfig:
    """Dates are reckoned in a zone of the IANA database; late plans follow a rule that can stand for long."""

    @pytest.mark.parametrize(
        "zone", ["Europe/Lisboa", "europe/madrid", "../etc/passwd", "localtime", "UTC+1"]
    )
    def test_an_unknown_zone(self, zone: str) -> None:
        message = f"{zone!r} is not a time zone of the IANA database"
        assert problems(changed("/config/timezone", zone)) == [
            Problem(pointer="/config/timezone", rule="zone", message=message)
        ]

    @pytest.mark.parametrize(("zone", "rule"), [("", "empty"), ("Z" * 65, "too-long")])
    def test_a_zone_name_that_cannot_be_one(self, zone: str, rule: str) -> None:
        assert told(changed("/config/timezone", zone)) == [("/config/timezone", rule)]

    @pytest.mark.parametrize("rule", list(OnResume)[:3])
    def test_rules_for_late_plans(self, rule: OnResume) -> None:
        settings = changed("/config/onResume", rule.value)
        assert read_definition(settings, environment="dev").on_resume is rule

    def test_shift_is_for_a_single_resume(self) -> None:
        message = "must be one of last, all, skip; shift is for a single resume"
        assert problems(changed("/config/onResume", "shift")) == [
            Problem(pointer="/config/onResume", rule="enum", message=message)
        ]


class TestNotSupported:
    """What the contract knows and this version does not is refused by name, not as unknown."""

    @pytest.mark.parametrize(
        ("pointer", "value", "message"),
        [
            (
                "/services/0/methods/0/async",
                True,
                "an asynchronous method is not supported in this version",
            ),
            (
                "/services/0/methods/0/answerWithin",
                {"unit": "days", "amount": 1},
                "waiting for an answer is not supported in this version",
            ),
            (
                "/schedule/calendars/0/cron",
                "0 9 * * *",
                "a cron calendar is not supported in this version",
            ),
            ("/tasks/0/outputs", {"total": "{{cycle}}"}, "outputs are not supported in this version"),
            (
                "/tasks/0/steps/0/controller",
                "my_controller",
                "a named controller is not supported in this version",
            ),
            (
                "/tasks/0/steps/0/resumeControllerCallback",
                "{}",
                "resuming a step is not supported in this version",
            ),
        ],
    )
    def test_it_is_told_clearly(self, pointer: str, value: object, message: str) -> None:
        expected = [Problem(pointer=pointer, rule="not-supported", message=message)]
        assert problems(changed(pointer, value)) == expected
        assert problems(changed(pointer, None)) == []

    def test_nothing_is_missed_beside_it(self) -> None:
        settings = minimal()
        settings["schedule"]["calendars"][0] = {"key": "daily", "task": "bill", "cron": "0 9 * * *"}
        settings["tasks"][0]["steps"][0] = {"key": "charge", "controller": "my_controller"}
        assert told(settings) == [
            ("/schedule/calendars/0/cron", "not-supported"),
            ("/tasks/0/steps/0/controller", "not-supported"),
        ]


class TestSize:
    """Settings take at most 200 KB as JSON, and hold only what can be read, stored and sent."""

    def test_two_hundred_kilobytes(self) -> None:
        room = 200 * 1024 - len('{"data":{"x":""}}')
        data = {"x": "x" * room}
        too_long = Problem(pointer="", rule="too-long", message="must take at most 204800 bytes as JSON")
        assert too_long not in problems({"data": data})
        assert too_long in problems({"data": {"x": data["x"] + "x"}})
        assert too_long in problems({"data": {"x": "é" * (room // 2 + 1)}})

    def test_other_problems_are_told_too(self) -> None:
        settings = changed("/actions/0/data", {"x": "x" * 200 * 1024, "y": "{{nothing}}"})
        assert told(settings) == [("", "too-long"), ("/actions/0/data/y", "undeclared")]

    def test_depth(self) -> None:
        value: Any = 1
        for _ in range(129):
            value = {"a": value}
        assert problems(value) == [
            Problem(pointer="", rule="too-deep", message="nests at most 128 levels deep")
        ]
        assert ("", "too-deep") not in told(value["a"])

    def test_any_depth_is_told_without_falling_over(self) -> None:
        value: Any = []
        for _ in range(100_000):
            value = [value]
        assert told({"actions": value}) == [("", "too-deep")]

    def test_text_that_is_none(self) -> None:
        settings = changed("/actions/0/data", {"b": ["\ud800"], "a\udfff": 1, "\U0001f600": "\U0001f600"})
        assert problems(settings) == [
            Problem(
                pointer="/actions/0/data",
                rule="text",
                message="the name 'a\\udfff' must hold no half of a surrogate pair",
            ),
            Problem(
                pointer="/actions/0/data/b/0", rule="text", message="must hold no half of a surrogate pair"
            ),
        ]

    @pytest.mark.parametrize("number", [float("inf"), float("-inf"), float("nan"), 10**309])
    def test_numbers_that_no_double_can_hold(self, number: float) -> None:
        assert problems(changed("/actions/0/data", {"a": number})) == [
            Problem(
                pointer="/actions/0/data/a", rule="range", message="must be a number that a double can hold"
            )
        ]


class TestLifecycleTasks:
    """At most 25 tasks on creation, and 25 on cancelation."""

    @pytest.mark.parametrize("name", ["onCreateTasks", "onCancelTasks"])
    def test_at_most_25(self, name: str) -> None:
        assert problems({**minimal(), name: [{"task": "bill"}] * 25}) == []
        assert problems({**minimal(), name: [{"task": "bill"}] * 26}) == [
            Problem(pointer=f"/{name}", rule="too-many", message="must hold at most 25 entries")
        ]

    @pytest.mark.parametrize("name", ["onCreateTasks", "onCancelTasks"])
    def test_their_task_exists(self, name: str) -> None:
        assert problems({**minimal(), name: [{"task": "bill"}, {"task": "bil"}]}) == [
            Problem(pointer=f"/{name}/1/task", rule="reference", message="there is no task 'bil'")
        ]
