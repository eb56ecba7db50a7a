"""Types and bounds of single fields, wherever they stand."""

from datetime import timedelta
from typing import Any

import pytest

from shared.domain.calendar.dates import Unit
from shared.domain.errors import Problem
from shared.domain.strategy.model import Delta, OnResume
from shared.domain.strategy.parse import read_definition
from tests.domain.strategy.definitions import changed, full, minimal, problems, told


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
            ("/schedule/initialDelay/unit", "must be one of years, months, days, hours, minutes, seconds"),
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
