"""Types and bounds of single fields at every place."""

from datetime import timedelta
from typing import Any

import pytest

from shared.domain.calendar.dates import Unit
from shared.domain.errors import Problem
from shared.domain.strategy.model import Delta, InDoubt, OnResume
from shared.domain.strategy.parse import read_definition
from tests.domain.strategy.definitions import broken_rules, changed, full, minimal, problems


class TestTypes:
    """A value of a wrong type is reported at its place, and nothing in it is reported as missing."""

    @pytest.mark.parametrize(
        ("pointer", "message"),
        [
            ("/config", "must be an object"),
            ("/schedule/initialDelay/resetTo", "must be an object"),
            ("/onCreateTasks/0", "must be an object"),
            ("/tasks/0/steps/0/retryConfig/retryStrategy/0", "must be an object"),
            ("/actions/0/data", "must be an object"),
            ("/actions/0/headers", "must be an object"),
            ("/instanceValidation", "must be an object"),
            ("/onCancelTasks", "must be a list"),
            ("/schedule/calendars/1/leadingUpTasks", "must be a list"),
            ("/schedule/calendars/0/description", "must be a string"),
            ("/onCreateTasks/0/createIf", "must be a string"),
            ("/actions/0/headers/Idempotency-Key", "must be a string"),
            ("/services/0/methods/0/async", "must be true or false"),
            ("/tasks/0/steps/0/repeatOnRetry", "must be true or false"),
            ("/schedule/calendars/1/leadingUpTasks/0/runLate", "must be true or false"),
            ("/services/0/methods/0/timeoutSeconds", "must be a whole number"),
            ("/services/0/limit", "must be an object"),
            ("/services/0/limit/perSecond", "must be a whole number"),
            ("/services/0/limit/concurrent", "must be a whole number"),
            ("/services/0/limit/circuit", "must be an object"),
            ("/services/0/limit/circuit/failures", "must be a whole number"),
            ("/schedule/initialDelay/resetTo/day", "must be a whole number"),
            ("/schedule/calendars/1/spreadMinutes", "must be a whole number"),
            ("/schedule/calendars/1/businessDays", "must be an object"),
            ("/schedule/calendars/1/businessDays/weekend", "must be a list"),
            ("/schedule/calendars/1/businessDays/holidays", "must be a list"),
            ("/schedule/calendars/1/businessDays/closed", "must be a string"),
        ],
    )
    def test_a_wrong_type_is_reported(self, pointer: str, message: str) -> None:
        reported = problems(changed(pointer, 1.5, of=full()))
        assert reported == [Problem(pointer=pointer, rule="type", message=message)]

    @pytest.mark.parametrize(
        "pointer",
        ["/services/0/methods/1/wholeAnswer", "/services/0/methods/0/async", "/config/manualTrigger"],
    )
    def test_a_wrong_flag_is_reported_once(self, pointer: str) -> None:
        assert broken_rules(changed(pointer, "yes", of=full())) == [(pointer, "type")]

    def test_a_whole_double_is_a_whole_number(self) -> None:
        settings = changed("/config/requestDelayTime", 250.0)
        assert read_definition(settings, environment="dev").request_delay == timedelta(milliseconds=250)
        amount = changed("/schedule/initialDelay", {"unit": "days", "amount": 3.0})
        assert read_definition(amount, environment="dev").initial_delay == Delta(unit=Unit.DAYS, amount=3)

    @pytest.mark.parametrize(
        ("pointer", "message"),
        [
            ("/config/onResume", "must be one of last, all, skip; shift is for a single resume"),
            ("/schedule/initialDelay/unit", "must be one of years, months, days, hours, minutes, seconds"),
            ("/services/0/methods/0/inDoubt", "must be one of retry, pause, fail"),
            (
                "/schedule/calendars/1/businessDays/convention",
                "must be one of following, preceding, modifiedFollowing, skip",
            ),
            ("/services/0/methods/0/method", "must be one of get, delete, post, put, patch"),
            (
                "/tasks/0/steps/0/nextStepRules/0/if",
                "must be one of onError, onBeforeRetry, onBeforePause, callback",
            ),
        ],
    )
    def test_an_unknown_choice_is_reported(self, pointer: str, message: str) -> None:
        reported = problems(changed(pointer, "POST", of=full()))
        assert reported == [Problem(pointer=pointer, rule="enum", message=message)]


class TestDefaults:
    """Omitted fields have their defaults."""

    def test_omitted_fields_have_their_defaults(self) -> None:
        definition = read_definition({**minimal(), "config": {}}, environment="dev")
        assert (definition.timezone, definition.names_timezone) == ("UTC", False)
        assert definition.request_delay == timedelta()
        assert (definition.manual_trigger, definition.any_attributes) == (False, False)
        assert definition.on_resume is OnResume.LAST
        method = definition.services["billing"].methods["charge"]
        assert (method.timeout_seconds, method.in_doubt) == (30, InDoubt.RETRY)


class TestNumbers:
    """The bounds of numbers are inclusive."""

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
            ("/schedule/calendars/1/spreadMinutes", 1, 1440),
            ("/services/0/methods/0/timeoutSeconds", 1, 300),
            ("/services/0/limit/perSecond", 1, 500),
            ("/services/0/limit/concurrent", 1, 100),
            ("/services/0/limit/circuit/failures", 1, 100),
            ("/services/0/limit/circuit/openSeconds", 1, 900),
            ("/tasks/0/steps/0/retryConfig/jitterPercent", 0, 100),
            ("/tasks/0/steps/0/retryConfig/refusedHours", 0, 168),
            ("/tasks/0/steps/0/retryConfig/times", 0, 1000),
            ("/tasks/0/retryConfig/retryStrategy/0/amount", 0, 1_000_000),
        ],
    )
    def test_numbers_beyond_their_bounds_are_reported(self, pointer: str, low: int, high: int) -> None:
        settings = full()
        settings["schedule"]["calendars"][0]["scheduleAfter"]["amount"] = 1
        assert problems(changed(pointer, low, of=settings)) == []
        assert problems(changed(pointer, high, of=settings)) == []
        beyond = Problem(pointer=pointer, rule="range", message=f"must be between {low} and {high}")
        assert problems(changed(pointer, low - 1, of=settings)) == [beyond]
        assert problems(changed(pointer, high + 1, of=settings)) == [beyond]


class TestTexts:
    """Texts have a maximum length and must not be empty, except descriptions."""

    @pytest.mark.parametrize(
        ("pointer", "longest"),
        [
            ("/config/timezone", 128),
            ("/schedule/initialDelay/from", 100),
            ("/schedule/calendars/0/key", 100),
            ("/services/0/baseUrls/0/environment", 50),
            ("/services/0/baseUrls/0/url", 1000),
            ("/services/0/credentialPath", 200),
            ("/services/0/credentialType", 50),
            ("/services/0/methods/0/url", 1000),
            ("/schedule/calendars/1/cron", 512),
            ("/onCreateTasks/0/createIf", 4096),
            ("/tasks/0/steps/0/retryConfig/stopIf", 4096),
            ("/schedule/calendars/1/businessDays/country", 100),
            ("/schedule/calendars/1/businessDays/subdivision", 100),
            ("/schedule/calendars/1/businessDays/closed", 100),
        ],
    )
    def test_texts_beyond_their_bounds_are_reported(self, pointer: str, longest: int) -> None:
        assert (pointer, "too-long") not in broken_rules(changed(pointer, "x" * longest, of=full()))
        message = f"must have at most {longest} characters"
        assert Problem(pointer=pointer, rule="too-long", message=message) in problems(
            changed(pointer, "x" * (longest + 1), of=full())
        )
        assert Problem(pointer=pointer, rule="empty", message="must not be empty") in problems(
            changed(pointer, "", of=full())
        )

    def test_a_description_may_be_empty(self) -> None:
        pointer = "/schedule/calendars/0/description"
        assert problems(changed(pointer, "")) == []
        assert problems(changed(pointer, "x" * 4096)) == []
        assert broken_rules(changed(pointer, "x" * 4097)) == [(pointer, "too-long")]


class TestTimesOfDay:
    """``retryAt`` holds 1 to 24 times, each once, in any order. Source: docs/contracts/core.md section 3.6."""

    POINTER = "/tasks/0/steps/0/retryConfig/retryAt"

    def of(self, value: Any) -> list[tuple[str, str, str]]:
        found = problems(changed(self.POINTER, value, of=full()))
        return [(one.pointer.removeprefix(self.POINTER), one.rule, one.message) for one in found]

    @pytest.mark.parametrize(
        "value", [["00:00"], ["23:59", "09:00"], [f"{hour:02}:30" for hour in range(24)]]
    )
    def test_times_are_accepted(self, value: list[str]) -> None:
        assert self.of(value) == []

    @pytest.mark.parametrize(
        ("value", "below", "rule", "message"),
        [
            ("09:00", "", "type", "must be a list"),
            ({"hour": 9}, "", "type", "must be a list"),
            ([], "", "empty", "must hold at least one time"),
            ([f"{n % 24:02}:{n:02}" for n in range(25)], "", "too-many", "must hold at most 24 times"),
            (["09:00", "18:00", "09:00"], "", "repeated", "must hold each time once"),
        ],
    )
    def test_a_faulty_list_is_reported(self, value: Any, below: str, rule: str, message: str) -> None:
        assert self.of(value) == [(below, rule, message)]

    @pytest.mark.parametrize(
        "entry",
        [
            "9:00",
            "24:00",
            "23:60",
            "09:00:00",
            "0900",
            "\u0660\u0669:\u0660\u0660",
            " 09:00",
            "09:00\n",
            "",
            9,
            None,
            {},
        ],
    )
    def test_a_faulty_time_is_reported_at_its_place(self, entry: Any) -> None:
        message = "must be a time of day from 00:00 to 23:59, for example 09:00"
        assert self.of(["18:00", entry]) == [("/1", "time", message)]


class TestKeys:
    """No two entries of a list have the same key."""

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
    def test_a_repeated_key_is_reported(self, entries: str, member: str, value: str) -> None:
        place: Any = full()
        for name in entries.split("/")[1:]:
            place = place[int(name)] if isinstance(place, list) else place[name]
        pointer = f"{entries}/{len(place)}/{member}"
        assert problems(changed(f"{entries}/-", place[0], of=full())) == [
            Problem(pointer=pointer, rule="repeated-key", message=f"{value!r} is given more than once")
        ]


class TestConfig:
    """The zone is in the IANA database. The rule for missed dates is last, all or skip."""

    @pytest.mark.parametrize(
        "zone", ["Europe/Lisboa", "europe/madrid", "../etc/passwd", "localtime", "UTC+1"]
    )
    def test_an_unknown_zone_is_reported(self, zone: str) -> None:
        message = f"{zone!r} is not a time zone of the IANA database"
        assert problems(changed("/config/timezone", zone)) == [
            Problem(pointer="/config/timezone", rule="zone", message=message)
        ]

    @pytest.mark.parametrize("text", ["{{attributes.timezone}}", "{{ attributes.timezone }}"])
    def test_an_attribute_may_name_the_zone(self, text: str) -> None:
        definition = read_definition(changed("/config/timezone", text), environment="dev")
        assert (definition.timezone, definition.zone_attribute) == (text, "timezone")

    @pytest.mark.parametrize(
        "text",
        [
            "{{instance.attributes.timezone}}",
            "{{attributes.home.timezone}}",
            "{{attributes}}",
            "{{timezone}}",
            "${attributes.timezone}",
            "Europe/{{attributes.city}}",
            "{{attributes.timezone}}{{attributes.other}}",
            "{{attributes.timezone",
            "",
        ],
    )
    def test_any_other_template_of_a_zone_is_reported(self, text: str) -> None:
        hint = "the zone of a customer is one attribute alone, as in {{attributes.timezone}}"
        (problem, *_) = problems(changed("/config/timezone", text))
        assert problem.pointer == "/config/timezone"
        assert problem.message.endswith(hint) == bool(text)

    def test_an_unknown_attribute_of_a_zone_is_reported(self) -> None:
        settings = changed("/config/timezone", "{{attributes.timezon}}")
        settings["instanceValidation"] = {
            "properties": {"timezone": {"type": "string"}},
            "additionalProperties": False,
        }
        message = "the schema of the attributes has no 'timezon'; did you mean 'timezone'?"
        assert [(one.pointer, one.message) for one in problems(settings)][:1] == [
            ("/config/timezone", message)
        ]

    @pytest.mark.parametrize("rule", list(OnResume)[:3])
    def test_last_all_and_skip_are_allowed(self, rule: OnResume) -> None:
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
    def test_at_most_25_tasks_are_allowed(self, name: str) -> None:
        assert problems({**minimal(), name: [{"task": "bill"}] * 25}) == []
        assert problems({**minimal(), name: [{"task": "bill"}] * 26}) == [
            Problem(pointer=f"/{name}", rule="too-many", message="must hold at most 25 entries")
        ]

    @pytest.mark.parametrize("name", ["onCreateTasks", "onCancelTasks"])
    def test_the_task_of_an_entry_must_exist(self, name: str) -> None:
        assert problems({**minimal(), name: [{"task": "bill"}, {"task": "bil"}]}) == [
            Problem(pointer=f"/{name}/1/task", rule="reference", message="there is no task 'bil'")
        ]
