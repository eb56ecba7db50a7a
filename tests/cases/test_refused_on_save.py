"""Mistakes in settings that are found when they are saved. Source: docs/contracts/core.md section 4.1."""

from typing import Any

import pytest

from shared.domain.steps.call import Answered
from tests.cases.engine import Engine, Json, changed, settings_of

PLAIN = settings_of("nul-attribute")
RETRIED = changed(PLAIN, tasks_0_retryConfig={"times": 3, "retryAfter": {"unit": "hours", "amount": 1}})
DATA = "/settings/actions/0/data"


def sending(text: str, of: Json = RETRIED) -> Json:
    """Return settings whose action sends a text."""
    return changed(of, actions_0_data={"a": text})


class TestDateTokens:
    """Unknown tokens of ``formatDate`` are refused when they are saved; ``DD MMMM YYYY`` works."""

    def test_the_tokens_of_the_case_are_written(self, engine: Engine) -> None:
        engine.start(settings_of("formatdate-token"))

        assert engine.services.sent[0].body == {"a": "31 December 2026", "b": "2026-12-31T11:00:00+01:00"}

    @pytest.mark.parametrize(
        ("pattern", "text"),
        [
            ("DD MMMM YYYY", "31 December 2026"),
            ("DD/MM/YYYY HH:mm", "31/12/2026 11:00"),
            ("dddd D", "Thursday 31"),
            ("[on] YYYY-MM-DD [at] h A", "on 2026-12-31 at 11 AM"),
            ("YYYY-MM-DDTHH:mm:ss.SSSZ", "2026-12-31T11:00:00.000+01:00"),
        ],
    )
    def test_known_tokens_are_written_in_the_zone(self, engine: Engine, pattern: str, text: str) -> None:
        call = f"${{formatDate(timestamp('2026-12-31T10:00:00Z'), '{pattern}', 'Europe/Madrid')}}"
        engine.start(sending(call))

        assert engine.services.sent[0].body == {"a": text}

    @pytest.mark.parametrize(
        ("pattern", "token"),
        [
            ("D MMMM gggg", "gggg"),
            ("DDDD", "DDDD"),
            ("YYYY-MM-DD at HH:mm", "a"),
            ("yyyy", "yyyy"),
            ("%Y-%m", "Y"),
        ],
    )
    def test_an_unknown_token_is_refused(self, engine: Engine, pattern: str, token: str) -> None:
        call = f"${{formatDate(now, '{pattern}', 'Europe/Madrid')}}"

        ((pointer, rule, message),) = engine.problems(sending(call))
        assert (pointer, rule) == (f"{DATA}/a", "pattern")
        assert message.startswith(f"formatDate: unknown token {token!r}; known tokens are LLLL, YYYY, ")


class TestLiteralPlaceholders:
    """A placeholder that would be sent as it is, is refused when it is saved."""

    RULE = "would be sent as it is: only a whole segment of the path is filled; use params for the query"

    def test_placeholders_in_the_query_are_refused(self, engine: Engine) -> None:
        pointer = "/settings/services/0/methods/0/url"
        assert engine.problems(settings_of("param-in-query-of-url")) == [(pointer, "url", f":a {self.RULE}")]

    @pytest.mark.parametrize(
        ("url", "message"),
        [
            ("/echo?id=:a", ":a SENT"),
            ("/:b/echo?id=:a&x=1", ":a SENT"),
            ("/:b/:a.json", "a :name part must be a whole segment of letters, digits, _ and -"),
            (
                "/:b/echo-:a",
                "fills no part of the URL '/:b/echo-:a'; use params for the query, data for the body",
            ),
            ("/:b/echo#:a", "must contain only URL path characters; encode any other as %XX"),
        ],
    )
    def test_a_placeholder_that_is_no_whole_segment_is_refused(
        self, engine: Engine, url: str, message: str
    ) -> None:
        settings = changed(settings_of("param-in-query-of-url"), services_0_methods_0_url=url)

        messages = [text for _, _, text in engine.problems(settings)]
        assert message.replace("SENT", self.RULE) in messages

    def test_an_attribute_that_no_segment_takes_is_refused(self, engine: Engine) -> None:
        settings = changed(settings_of("param-in-query-of-url"), services_0_methods_0_url="/echo/:a")

        ((pointer, _, message),) = engine.problems(settings)
        assert (pointer, "b" in message) == ("/settings/actions/0/attributes/b", True)

    @pytest.mark.parametrize(
        ("url", "sent"),
        [
            ("/echo/:a/:b", "/echo/1/2"),
            ("/:a/:b?x=1", "/1/2?x=1"),
            ("/:a/:b?at=10:30", "/1/2?at=10:30"),
            ("/v1:batch/:a/:b", "/v1:batch/1/2"),
        ],
    )
    def test_whole_segments_are_filled(self, engine: Engine, url: str, sent: str) -> None:
        engine.start(changed(settings_of("param-in-query-of-url"), services_0_methods_0_url=url))

        assert engine.services.urls == [f"http://127.0.0.1:4010{sent}"]


class TestUnknownSteps:
    """A step on the stack that the task does not have is refused when it is saved."""

    def test_the_case_is_refused(self, engine: Engine) -> None:
        assert engine.problems(settings_of("unknown-step")) == [
            (f"{DATA}/a", "reference", "there is no step 'nosuch'")
        ]

    @pytest.mark.parametrize(
        ("text", "name"),
        [
            ("${stack.nosuch.response.id}", "nosuch"),
            ("no. {{stack.S.response.id}}", "S"),
            ('${stack["no-such"].success}', "no-such"),
            ("${stack.nosuch == null}", "nosuch"),
        ],
    )
    def test_other_ways_to_name_an_unknown_step_are_refused(
        self, engine: Engine, text: str, name: str
    ) -> None:
        ((pointer, rule, message),) = engine.problems(sending(text))

        assert (pointer, rule) == (f"{DATA}/a", "reference")
        assert message.startswith(f"there is no step '{name}'")

    @pytest.mark.parametrize("field", ["controllerCallback", "ifCallback", "outputs"])
    def test_every_place_of_an_expression_is_checked(self, engine: Engine, field: str) -> None:
        rule = {"if": "onError", "ifCallback": "stack.nosuch.success", "nextStep": "t"}
        steps: list[Json] = [{"key": "s", "action": "a", "nextStep": "t"}, {"key": "t", "action": "a"}]
        settings = changed(RETRIED, tasks_0_steps=steps)
        if field == "controllerCallback":
            settings["tasks"][0]["steps"][0][field] = '{"response": stack.nosuch.response}'
        elif field == "ifCallback":
            settings["tasks"][0]["steps"][0]["nextStepRules"] = [rule]
        else:
            settings["tasks"][0][field] = {"id": "{{stack.nosuch.response}}"}

        ((pointer, _, message),) = engine.problems(settings)
        assert (field in pointer, message) == (True, "there is no step 'nosuch'")

    @pytest.mark.parametrize("text", ["{{stack.s.response.id}}", "${'stack.nosuch'}", '${"nosuch" in stack}'])
    def test_known_steps_and_texts_are_accepted(self, engine: Engine, text: str) -> None:
        assert engine.warnings(sending(text)) == []


CLOSED: Json = {"properties": {"email": {"type": "string"}}}
OPEN: Json = {**CLOSED, "additionalProperties": True}


class TestUnknownAttributes:
    """``{{attributes.emial}}`` is refused when it is saved if the schema of the attributes is closed."""

    MESSAGE = "the schema of the attributes has no 'emial'; did you mean 'email'?"

    def with_schema(self, text: str, schema: Json) -> Json:
        return {**sending(text), "instanceValidation": schema}

    @pytest.mark.parametrize(
        "text",
        ["{{attributes.emial}}", "${attributes.emial}", "to {{attributes.emial}}", '${attributes["emial"]}'],
    )
    def test_a_misspelled_attribute_is_refused(self, engine: Engine, text: str) -> None:
        assert engine.problems(self.with_schema(text, CLOSED)) == [(f"{DATA}/a", "reference", self.MESSAGE)]

    def test_a_closed_json_schema_counts_too(self, engine: Engine) -> None:
        schema = {
            "type": "object",
            "properties": {"email": {"type": "string"}},
            "additionalProperties": False,
        }

        settings = self.with_schema("{{attributes.emial}}", schema)
        assert engine.problems(settings) == [(f"{DATA}/a", "reference", self.MESSAGE)]

    @pytest.mark.parametrize(
        ("text", "schema"),
        [
            ("{{attributes.email}}", CLOSED),
            ("{{attributes.emial}}", OPEN),
            ("${attributes['em' + 'ial']}", CLOSED),
            ("{{event.data.attributes.emial}}", CLOSED),
        ],
    )
    def test_settings_that_may_be_right_are_accepted(self, engine: Engine, text: str, schema: Json) -> None:
        assert engine.warnings(self.with_schema(text, schema)) == []

    def test_without_a_schema_every_name_is_accepted(self, engine: Engine) -> None:
        assert engine.warnings(sending("{{attributes.emial}}")) == []


NO_RETRY = (
    "/settings/tasks/0",
    "no-retry",
    (
        "one failed call of step 's' cancels the instance for good; add a retryConfig, for example "
        '{"times": 3, "retryAfter": {"unit": "hours", "amount": 1}}, or pauseBeforeCancel'
    ),
)


class TestNoRetry:
    """A main task without ``retryConfig`` has a warning: one failed call cancels the instance for good."""

    def test_the_warning_is_answered(self, engine: Engine) -> None:
        assert engine.warnings(PLAIN) == [NO_RETRY]

    @pytest.mark.parametrize(
        ("config", "warns"),
        [
            ({"times": 0}, True),
            ({"times": 1, "retryAfter": {"unit": "hours", "amount": 1}}, False),
            ({"times": 0, "pauseBeforeCancel": True}, False),
            ({"retryStrategy": [{"unit": "days", "amount": 1}]}, False),
        ],
    )
    def test_retries_or_a_pause_avoid_it(self, engine: Engine, config: Json, warns: bool) -> None:  # noqa: FBT001
        found = engine.warnings(changed(PLAIN, tasks_0_retryConfig=config))
        assert found == ([NO_RETRY] if warns else [])

    def test_an_optional_step_cancels_nothing(self, engine: Engine) -> None:
        assert engine.warnings(changed(PLAIN, tasks_0_steps_0_optional=True)) == []

    def test_the_warning_is_true(self, engine: Engine) -> None:
        run = engine.start(PLAIN)
        assert run.instance()["status"] == "ACTIVE"
        engine.services.answers = [Answered(status=402)]

        run.advance(days=1)

        assert (run.instance()["status"], run.instance()["cancelReason"]) == ("CANCELED", "MAX_ATTEMPTS")


ON_ERROR: Json = {"if": "onError", "nextStep": "t"}


class TestErrorRuleBesideRetries:
    """An ``onError`` rule that handles every error has a warning if the task has retries: they never happen."""

    MESSAGE = (
        "handles every error of step 's', so the task's retryConfig never applies to it; "
        "give the rule an ifCallback, or leave one of the two out"
    )

    def settings(self, rule: Json, **config: Any) -> Json:
        first = {"key": "s", "action": "a", "nextStep": "t", "nextStepRules": [rule]}
        steps = [first, {"key": "t", "action": "a"}]
        return changed(RETRIED, tasks_0_steps=steps, **config)

    def test_the_warning_is_answered(self, engine: Engine) -> None:
        pointer = "/settings/tasks/0/steps/0/nextStepRules/0"
        assert engine.warnings(self.settings(ON_ERROR)) == [(pointer, "retries-never-happen", self.MESSAGE)]

    def test_the_retries_of_the_step_count_too(self, engine: Engine) -> None:
        config = {"times": 3, "retryAfter": {"unit": "hours", "amount": 1}}
        ((_, _, message),) = engine.warnings(self.settings(ON_ERROR, tasks_0_steps_0_retryConfig=config))
        assert "so the step's retryConfig never applies" in message

    def test_a_rule_for_some_errors_leaves_the_others_to_retries(self, engine: Engine) -> None:
        rule = {**ON_ERROR, "ifCallback": "stack.s.error.status == 402.0"}
        assert engine.warnings(self.settings(rule)) == []

    def test_without_retries_there_is_nothing_to_warn_about(self, engine: Engine) -> None:
        settings = self.settings(ON_ERROR, tasks_0_retryConfig={"times": 0, "pauseBeforeCancel": True})
        assert engine.warnings(settings) == []

    def test_the_warning_is_true(self, engine: Engine) -> None:
        engine.services.answers = [Answered(status=402)]
        run = engine.start(self.settings(ON_ERROR)).advance(hours=1)

        assert len(engine.services.sent) == 2
        assert (run.event()["status"], run.event()["run"]) == ("PROCESSED", 1)
