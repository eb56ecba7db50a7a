"""The errors of the process dialect and their messages. Source: docs/contracts/process.md C.4, row by row."""

import json
from typing import Any

import pytest

from dev.memory.stores import MemoryInstances
from functions.process_api.handler import lambda_handler
from shared.api.http.models import MAX_BODY_BYTES
from shared.application.ports import ConnectionLostError, OverloadedError
from shared.domain.access import AccessKey
from tests.dialects.process.client import BASE, NAMES, NOW_ONLY, ProcessClient, notepad, task
from tests.dialects.wire import Context

NO_NAME = "name: must be a string of 1 to 512 characters"
AN_AGE = {
    "instanceValidation": {
        "properties": {"age": {"type": "uint8"}},
        "additionalProperties": True,
    }
}


class TestKeys:
    """If a request has no valid key as Basic credentials it is 401, whatever is wrong with the key."""

    @pytest.mark.parametrize(
        "authorization",
        [
            None,
            "Basic",
            "Basic !",
            "Basic YWRtaW4=",  # admin
            "Basic YWRtaW46",  # admin:
            "Basic OnNlY3JldA==",  # :secret
            "Basic YWRtaW46d3Jvbmc=",  # admin:wrong
            "Basic bm9ib2R5OnNlY3JldA==",  # nobody:secret
            "Bearer admin.secret",
        ],
    )
    @pytest.mark.parametrize(("method", "path"), [("POST", "start"), ("GET", "status/x")])
    def test_a_wrong_or_missing_key_is_refused(
        self, process: ProcessClient, method: str, path: str, authorization: str | None
    ) -> None:
        more = {} if authorization is None else {"authorization": authorization}

        assert process(method, f"{BASE}/{path}", key=None, more=more) == (401, {"message": "Unauthorized"})
        assert process.headers["WWW-Authenticate"] == 'Basic realm="connector-api"'

    def test_a_role_that_is_too_low_is_refused(self, process: ProcessClient) -> None:
        answer = process("POST", f"{BASE}/start", {"name": "x"}, key="viewer:secret")

        assert answer == (403, {"message": "Forbidden"})
        assert "WWW-Authenticate" not in process.headers


class TestOrderOfChecks:
    """Checks are made in this order: key, role, JSON, name, other fields."""

    def test_the_role_is_checked_before_the_body(self, process: ProcessClient) -> None:
        assert process("POST", f"{BASE}/start", raw=b"{", key="viewer:secret")[0] == 403

    def test_the_name_is_checked_before_other_fields(self, process: ProcessClient) -> None:
        answer = process("POST", f"{BASE}/start", {"name": "Nobody", "runOnce": "x"})

        assert answer == (404, {"message": "Process not found: Nobody"})


class TestNotFound:
    """Unknown objects and objects of other accounts are 404."""

    @pytest.mark.parametrize(
        "name",
        ["Nobody", "onestepnotepadrunner", "/robots/OneStepNotepadRunner", "a b", "😀"],
    )
    def test_an_unknown_name_is_not_found(self, process: ProcessClient, name: str) -> None:
        answer = process("POST", f"{BASE}/start", {"name": name})

        assert answer == (404, {"message": f"Process not found: {name}"})

    def test_a_name_of_another_account_is_not_found(self, process: ProcessClient) -> None:
        answer = process("POST", f"{BASE}/start", {"name": "OneStepNotepadRunner"}, key="stranger:secret")

        assert answer == (404, {"message": "Process not found: OneStepNotepadRunner"})

    def test_a_deleted_strategy_is_not_found(self, process: ProcessClient) -> None:
        sid = process.saved(notepad("Gone"))["sid"]
        assert process.core("DELETE", f"/execution-strategy/{sid}", secret="n0tepad-Runner!2026")[0] == 200

        answer = process("POST", f"{BASE}/start", {"name": "Gone"})

        assert answer == (404, {"message": "Process not found: Gone"})

    @pytest.mark.parametrize(
        "spid", ["nothing", "f0d2228c-9711-42f5-91ca-afc957f29255", "a" * 65, "%C3%A9", "a.b"]
    )
    def test_an_unknown_spid_is_not_found(self, process: ProcessClient, spid: str) -> None:
        assert process("GET", f"{BASE}/status/{spid}") == (404, {"message": "Process not found"})

    def test_a_spid_of_another_account_is_not_found(self, process: ProcessClient) -> None:
        sid = process.start().sid

        answer = process("GET", f"{BASE}/status/{sid}", key="stranger:secret")

        assert answer == (404, {"message": "Process not found"})

    @pytest.mark.usefixtures("process")
    def test_an_unknown_path_is_not_found(self) -> None:
        event = {
            "version": "2.0",
            "rawPath": f"{BASE}/stop",
            "headers": {},
            "requestContext": {"requestId": "r", "stage": "$default", "http": {"method": "GET", "path": ""}},
        }

        answer = lambda_handler(event, Context())  # type: ignore[arg-type]

        assert (answer["statusCode"], json.loads(answer["body"])) == (404, {"message": "Process not found"})


class TestBody:
    """A body is 400 if it is not a JSON object, and 413 if it is too large."""

    @pytest.mark.parametrize(
        ("raw", "expected"),
        [
            (b"", "Invalid JSON: is not JSON: Expecting value: line 1 column 1 (char 0)"),
            (
                b"{",
                (
                    "Invalid JSON: is not JSON: Expecting property name enclosed in double quotes:"
                    " line 1 column 2 (char 1)"
                ),
            ),
            (b"[]", "Invalid JSON: must be a JSON object"),
            (b'"x"', "Invalid JSON: must be a JSON object"),
            (b"null", "Invalid JSON: must be a JSON object"),
            (b'{"name": NaN}', "Invalid JSON: is not JSON: NaN is not a JSON value"),
            (b'{"name": "a", "name": "b"}', "Invalid request: repeats the member 'name'"),
            (b'{"name": "a", "worker": {"b": 1, "b": 2}}', "Invalid request: repeats the member 'b'"),
            (
                b'{"values": {"a": {"b": 1, "b": 2}}, "name": "x"}',
                "Invalid request: repeats the member 'b'",
            ),
            (
                b'{"values": {"a": 1}, "values": {"a": 2}, "name": "x"}',
                "Invalid request: repeats the member 'values'",
            ),
            (
                b'{"name": "\\ud83d", "values": {"a": 1e999}}',
                "Invalid JSON: is not JSON: 1e999 is too large for a number",
            ),
            (
                b'{"name": "x", "values": {"a": 1%s}}' % (b"0" * 400),
                "Invalid values.a: must be a number that a double can hold",
            ),
            (
                b'{"name": "x", "values": %s1%s}' % (b"[" * 200, b"]" * 200),
                "Invalid request: must nest at most 128 levels deep",
            ),
            (b'{"name": "\\ud83d"}', "Invalid name: must not contain half of a surrogate pair"),
            (b'{"name": "\\u0000"}', "Invalid name: must not contain a NUL character"),
        ],
    )
    def test_a_body_that_is_not_a_json_object_is_refused(
        self, process: ProcessClient, raw: bytes, expected: str
    ) -> None:
        assert process("POST", f"{BASE}/start", raw=raw) == (400, {"message": expected})

    def test_a_body_of_more_than_256_kb_is_refused(self, process: ProcessClient) -> None:
        raw = json.dumps({"name": "x" * MAX_BODY_BYTES}).encode()

        answer = process("POST", f"{BASE}/start", raw=raw)

        assert answer == (413, {"message": "Request too large: at most 256 KB"})

    def test_a_body_of_256_kb_is_read(self, process: ProcessClient) -> None:
        raw = b'{"name": "Nobody"}'.ljust(MAX_BODY_BYTES)

        assert process("POST", f"{BASE}/start", raw=raw)[0] == 404


class TestFields:
    """Each field has its rule; every problem is reported at once."""

    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            ({"name": None}, "Invalid name: is required"),
            ({"name": ""}, f"Invalid {NO_NAME}"),
            ({"name": 5}, f"Invalid {NO_NAME}"),
            ({"name": "x" * 513}, f"Invalid {NO_NAME}"),
            ({"runOnce": "yes"}, "Invalid runOnce: must be Y or N"),
            ({"runOnce": 1}, "Invalid runOnce: must be Y or N"),
            ({"runOnce": ""}, "Invalid runOnce: must be Y or N"),
            ({"runImmediately": "N,"}, "Invalid runImmediately: must be Y or N"),
            ({"run immediately": []}, "Invalid run immediately: must be Y or N"),
            (
                {"runImmediately": "Y", "run immediately": "Y"},
                "Invalid run immediately: must not be set together with runImmediately",
            ),
            (
                {"startDate": "2026-02-30 10:00:00"},
                "Invalid startDate: does not exist in the calendar: day is out of range for month",
            ),
            (
                {"startDate": "2026-02-03T10:00:00"},
                "Invalid startDate: must be a date in the form yyyy-MM-dd HH:mm:ss or yyyy-MM-dd",
            ),
            (
                {"startDate": "2026-02-03 10:00:00Z"},
                "Invalid startDate: must be a date in the form yyyy-MM-dd HH:mm:ss or yyyy-MM-dd",
            ),
            (
                {"startDate": "2026-02-03 10:00"},
                "Invalid startDate: must be a date in the form yyyy-MM-dd HH:mm:ss or yyyy-MM-dd",
            ),
            (
                {"startDate": 20260203},
                "Invalid startDate: must be a date in the form yyyy-MM-dd HH:mm:ss or yyyy-MM-dd",
            ),
            (
                {"startDate": "२०२६-02-03 10:00:00"},
                "Invalid startDate: must be a date in the form yyyy-MM-dd HH:mm:ss or yyyy-MM-dd",
            ),
            (
                {"endDate": "0000-02-03 10:00:00"},
                "Invalid endDate: does not exist in the calendar: year 0 is out of range",
            ),
            (
                {"endDate": "2026-02-03 24:00:00"},
                "Invalid endDate: does not exist in the calendar: hour must be in 0..23",
            ),
            (
                {"startDate": "2026-02-03 10:00:01", "endDate": "2026-02-03 10:00:00"},
                "Invalid endDate: must not be before startDate",
            ),
            (
                {"startDate": "0001-01-01 00:00:00", "timezone": "Asia/Tokyo"},
                "Invalid startDate: no such date: date value out of range",
            ),
            ({"retryCount": "-1"}, "Invalid retryCount: must be 0 to 1000, not -1"),
            ({"retryCount": -1}, "Invalid retryCount: must be 0 to 1000, not -1"),
            ({"retryCount": "1001"}, "Invalid retryCount: must be 0 to 1000, not 1001"),
            ({"retryCount": "two"}, "Invalid retryCount: must be an integer, or its digits as a string"),
            ({"retryCount": 1.0}, "Invalid retryCount: must be an integer, or its digits as a string"),
            ({"retryCount": True}, "Invalid retryCount: must be an integer, or its digits as a string"),
            (
                {"retryCount": "9" * 10},
                "Invalid retryCount: must be an integer, or its digits as a string",
            ),
            (
                {"timezone": "Europe/Berlinn"},
                "Invalid timezone: 'Europe/Berlinn' is not a time zone of the IANA database",
            ),
            ({"timezone": 1}, "Invalid timezone: must be a string"),
            ({"worker": 7}, "Invalid worker: must be a string of 1 to 255 characters"),
            ({"worker": ""}, "Invalid worker: must be a string of 1 to 255 characters"),
            ({"values": []}, "Invalid values: must be a JSON object"),
            ({"values": {"a": {}}}, "Invalid values.a: must be a string, a number or a boolean"),
            ({"values": {"a": None}}, "Invalid values.a: must be a string, a number or a boolean"),
            ({"values": {"a~/b": []}}, "Invalid values.a~/b: must be a string, a number or a boolean"),
            ({"values": {"a": "x" * 17000}}, "Invalid values: must take at most 16 KB"),
            ({"priority": 1}, "Invalid priority: is not a known field"),
            ({"quartzDef": 5}, "Invalid quartzDef: must be a string"),
            (
                {"runOnce": "N", "runImmediately": "N"},
                "Invalid quartzDef: is required unless runOnce or runImmediately is Y",
            ),
            ({"runOnce": "N"}, "Invalid quartzDef: is required unless runOnce or runImmediately is Y"),
            (
                {"runImmediately": False},
                "Invalid quartzDef: is required unless runOnce or runImmediately is Y",
            ),
        ],
    )
    def test_an_invalid_field_is_refused(
        self, process: ProcessClient, body: dict[str, Any], expected: str
    ) -> None:
        assert process.refused(**body) == expected

    def test_invalid_dates_are_refused_even_if_the_flags_ignore_them(self, process: ProcessClient) -> None:
        expected = process.refused(**NOW_ONLY, startDate="soon")

        assert expected == "Invalid startDate: must be a date in the form yyyy-MM-dd HH:mm:ss or yyyy-MM-dd"

    def test_every_problem_is_reported_at_once(self, process: ProcessClient) -> None:
        expected = process.refused(runOnce="x", retryCount=-5, values={"a": [], "b": 1}, extra=1)

        assert expected == (
            "Invalid extra: is not a known field; Invalid runOnce: must be Y or N;"
            " Invalid retryCount: must be 0 to 1000, not -5;"
            " Invalid values.a: must be a string, a number or a boolean"
        )

    def test_problems_of_schedule_and_values_are_reported_together(self, process: ProcessClient) -> None:
        expected = process.refused(runOnce="N", values={"a": []})

        assert expected == (
            "Invalid values.a: must be a string, a number or a boolean;"
            " Invalid quartzDef: is required unless runOnce or runImmediately is Y"
        )

    def test_at_most_fifty_problems_are_reported(self, process: ProcessClient) -> None:
        expected = process.refused(values={f"v{number}": [] for number in range(53)}).split("; ")

        assert expected[49] == "Invalid values.v49: must be a string, a number or a boolean"
        assert expected[50:] == ["and 3 more problems"]


class TestQuartzDef:
    """If an expression is invalid, each problem has a position, counted from 1.

    Source: docs/contracts/process.md C.6.
    """

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("0 6 6 ? * 0", "the day of the week must be 1 to 7 or SUN to SAT, not '0' (at character 11)"),
            ("0 6 6 ? * 8", "the day of the week must be 1 to 7 or SUN to SAT, not '8' (at character 11)"),
            ("0 0 9 ? * FRI#6", "# must be followed by 1 to 5, not 6 (at character 11)"),
            (
                "0 0 9 ? * 3#1,6#3",
                (
                    "'3#1' must be the only entry, not part of a list (at character 11),"
                    " '6#3' must be the only entry, not part of a list (at character 15)"
                ),
            ),
            (
                "0 6 6 1 * FRI",
                "either the day of the month or the day of the week must be ?, and not both (at character 11)",
            ),
            (
                "0 6 6 * * *",
                "either the day of the month or the day of the week must be ?, and not both (at character 11)",
            ),
            (
                "0 6 6 ? * ?",
                "either the day of the month or the day of the week must be ?, and not both (at character 11)",
            ),
            ("6 6 ? * FRI", "must have 6 or 7 fields, not 5"),
            ("0 6 6 ? * FRI 2026 x", "must have 6 or 7 fields, not 8"),
            ("", "must have 6 or 7 fields, not 0"),
            ("0 70 6 ? * FRI", "the minute must be 0 to 59, not '70' (at character 3)"),
            ("0 6 25 ? * FRI", "the hour must be 0 to 23, not '25' (at character 5)"),
            ("0 6 6 ? FOO FRI", "the month must be 1 to 12 or JAN to DEC, not 'FOO' (at character 9)"),
            ("0/70 6 6 ? * FRI", "a step of the second must be 1 to 59, not 70 (at character 1)"),
            ("0 6 6 ? * FRI\n", "'\\n' is not allowed here (at character 14)"),
            ("0 " * 257, "must have at most 512 characters"),
        ],
    )
    def test_an_invalid_expression_is_refused(self, process: ProcessClient, text: str, expected: str) -> None:
        assert process.refused(quartzDef=text) == f"Invalid quartzDef: {expected}"

    def test_an_invalid_expression_is_refused_even_if_the_flags_ignore_it(
        self, process: ProcessClient
    ) -> None:
        assert (
            process.refused(**NOW_ONLY, quartzDef="x") == "Invalid quartzDef: must have 6 or 7 fields, not 1"
        )


class TestStrategyRules:
    """Values are checked with the strategy's ``instanceValidation``; the message names the field."""

    @pytest.mark.parametrize(
        ("values", "expected"),
        [
            ({"age": 300}, "Invalid values.age: must be of type uint8 (schemaPath /properties/age/type)"),
            ({}, "Invalid values: must have the member 'age' (schemaPath /properties/age)"),
        ],
    )
    def test_values_that_break_the_schema_are_refused(
        self, process: ProcessClient, values: dict[str, Any], expected: str
    ) -> None:
        process.saved(notepad("Aged", **AN_AGE))

        assert process.refused(name="Aged", values=values) == expected
        assert process.refused(name="Aged", values=values, **NOW_ONLY) == expected

    def test_values_that_fit_the_schema_are_accepted(self, process: ProcessClient) -> None:
        process.saved(notepad("Aged", **AN_AGE))

        assert process.start(name="Aged", values={"age": 30}).attributes == {"age": 30}

    def test_missing_values_are_checked_too(self, process: ProcessClient) -> None:
        process.saved(notepad("Aged", **AN_AGE))

        assert process.refused(name="Aged").startswith("Invalid values: ")

    def test_a_strategy_without_calendar_for_the_first_cycle_is_refused(self, process: ProcessClient) -> None:
        second = {
            "key": "second",
            "task": "run",
            "runOnCycle": 2,
            "scheduleAfter": {"unit": "days", "amount": 1},
        }
        process.saved(notepad("Second", schedule={"calendars": [second]}, tasks=[task()]))

        assert process.refused(name="Second", values=NAMES) == "Invalid request: no calendar for cycle 1"


class Overloaded(MemoryInstances):
    """A store that is overloaded."""

    def create(self, *_: Any, **__: Any) -> None:
        raise OverloadedError


class Silent(MemoryInstances):
    """A store that gives no answer."""

    def create(self, *_: Any, **__: Any) -> None:
        raise ConnectionLostError


class Broken(MemoryInstances):
    """A store that fails."""

    def load(self, *_: Any) -> None:
        raise ValueError("a secret of the inside")


class TestFailures:
    """Overload is 429. A failure of ours is 500 with an id that the log has too, and nothing of the inside."""

    def test_a_silent_store_is_503(self, process: ProcessClient) -> None:
        process.ports.instances = Silent()

        status, answer = process("POST", f"{BASE}/start", {"name": "OneStepNotepadRunner"})

        message = "The database gave no answer; the request may have taken effect. Repeat it"
        assert (status, answer["message"]) == (503, message)

    def test_an_overloaded_store_is_429(self, process: ProcessClient) -> None:
        process.ports.instances = Overloaded()

        answer = process("POST", f"{BASE}/start", {"name": "OneStepNotepadRunner"})

        assert answer == (429, {"message": "Too many requests; retry later"})

    def test_a_failure_of_ours_is_500_with_its_id(
        self, process: ProcessClient, caplog: pytest.LogCaptureFixture
    ) -> None:
        process.ports.instances = Broken()

        status, answer = process("GET", f"{BASE}/status/x")

        assert status == 500
        assert answer == {"message": "Internal error", "errorId": answer["errorId"]}
        assert [record.__dict__["errorId"] for record in caplog.records] == [answer["errorId"]]

    def test_answers_must_not_be_cached(self, process: ProcessClient) -> None:
        process("GET", f"{BASE}/status/x")

        assert process.headers["Cache-Control"] == "no-store"


def test_a_key_may_have_colons_in_its_secret(process: ProcessClient) -> None:
    """The first colon separates key id and secret."""
    key = process.ports.access.all_keys["operator"]
    colon = AccessKey(
        key_id="c",
        account_id=key.account_id,
        role=key.role,
        secret_hash=process.core.hasher.hash("a:b"),
        created_at=key.created_at,
    )
    process.ports.access.put_key(colon)

    assert process("GET", f"{BASE}/status/x", key="c:a:b")[0] == 404
