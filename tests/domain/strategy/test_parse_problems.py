"""The problems of settings: all of them, each at its place, in order."""

import pytest

from shared.domain.errors import InvalidInputError, MoreProblems, Problem
from shared.domain.strategy.parse import read_definition
from tests.domain.strategy.definitions import REMOVED, broken_rules, changed, full, minimal, problems


class TestEveryProblem:
    """Every problem is reported at once, sorted by its pointer."""

    def test_problems_of_all_kinds_and_places(self) -> None:
        settings = {
            "config": {"timezone": "Europe/Lisboa", "requestDelayTime": 5001},
            "schedule": {"calendars": [{"key": "a", "task": "missing", "scheduleAfter": {"amount": -1}}]},
            "services": [{"key": "s", "baseUrls": [], "methods": [{"key": "m", "method": "head"}]}],
            "tasks": [{"key": "t", "initialStep": "x", "steps": [{"key": "y", "nextStep": "z"}]}],
            "actions": [{"key": "a", "service": "s", "method": "n", "data": {"a/b": ["${cycle +}"]}}],
            "surplus": 1,
        }
        assert broken_rules(settings) == [
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

    def test_pointers_begin_at_the_place_of_the_settings(self) -> None:
        settings = changed("/config", {"timezone": "Mars/Olympus", "a~b": 1})
        settings["services"][0]["methods"][0]["responseValidation"] = {"type": "text"}
        assert [problem.pointer for problem in problems(settings, pointer="/settings")] == [
            "/settings/config/a~0b",
            "/settings/config/timezone",
            "/settings/services/0/methods/0/responseValidation/type",
        ]

    def test_the_error_message_lists_the_problems(self) -> None:
        with pytest.raises(InvalidInputError, match=r"^/a: is not a known field; /b: is not a known field$"):
            read_definition({**minimal(), "b": 1, "a": 1}, environment="dev")

    @pytest.mark.parametrize(("surplus", "left_out"), [(50, 0), (51, 1), (52, 2), (1050, 1000)])
    def test_at_most_fifty_problems_are_reported_and_the_rest_is_counted(
        self, surplus: int, left_out: int
    ) -> None:
        reported = problems({**minimal(), **{f"x{number:04}": 1 for number in range(surplus)}})
        assert [problem.pointer for problem in reported[:50]] == [f"/x{number:04}" for number in range(50)]
        assert list(reported[50:]) == ([MoreProblems(count=left_out)] if left_out else [])


class TestParts:
    """Schedule, services, tasks and actions are required, and unknown members are refused."""

    def test_empty_settings_lack_every_required_part(self) -> None:
        assert broken_rules({}) == [
            ("/actions", "required"),
            ("/schedule", "required"),
            ("/services", "required"),
            ("/tasks", "required"),
        ]

    @pytest.mark.parametrize("settings", [None, True, 0, "text", []])
    def test_settings_must_be_an_object(self, settings: object) -> None:
        assert problems(settings) == [Problem(pointer="", rule="type", message="must be an object")]

    @pytest.mark.parametrize("part", ["services", "tasks", "actions"])
    def test_services_tasks_and_actions_must_not_be_empty(self, part: str) -> None:
        assert (f"/{part}", "required") in broken_rules(changed(f"/{part}", []))
        assert (f"/{part}", "required") in broken_rules(changed(f"/{part}", REMOVED))
        assert (f"/{part}", "type") in broken_rules(changed(f"/{part}", {}))

    @pytest.mark.parametrize(
        "place", ["", "/config", "/schedule/calendars/1/leadingUpTasks/0/scheduleBefore"]
    )
    def test_an_unknown_field_is_refused_anywhere(self, place: str) -> None:
        pointer = f"{place}/surplus"
        reported = problems(changed(pointer, 1, of=full()))
        assert reported == [Problem(pointer=pointer, rule="unknown-field", message="is not a known field")]

    @pytest.mark.parametrize("value", [REMOVED, None], ids=["left out", "null"])
    def test_missing_required_fields_are_reported(self, value: object) -> None:
        required = [
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
        ]
        missed = [p for p in required if (p, "required") in broken_rules(changed(p, value, of=full()))]
        assert missed == required

    def test_null_counts_as_absent(self) -> None:
        optional = ["config", "instanceValidation", "onCreateTasks", "onCancelTasks", "surplus"]
        settings = {**minimal(), **dict.fromkeys(optional)}
        settings["schedule"]["initialDelay"] = None
        settings["actions"][0] |= dict.fromkeys(["headers", "params", "data", "attributes"])
        assert read_definition(settings, environment="dev") == read_definition(minimal(), environment="dev")
