"""Starting processes: names, values, flags, windows, zones. Source: docs/contracts/process.md C.2, C.5 and C.7."""

from datetime import UTC, datetime
from typing import Any

import pytest

from dev.memory.world import ManualClock
from shared.adapters.crypto import SecretHasher
from shared.api.reference.process import STARTED, STARTS, STATUS
from shared.domain.calendar.instance_schedule import OwnSchedule
from shared.domain.instance.model import InstanceStatus
from tests.dialects.process.client import BASE, NAMES, NOW_ONLY, SECRET, ProcessClient, notepad, task

FRIDAYS = "0 0 9 ? * FRI"
"""An expression for the tests, whose clock is at noon of Thursday, 1 January 2026."""
NEVER = "0 6 6 ? * FRI"


def at(day: int, hour: int = 9, month: int = 1) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=UTC)


def day(number: int, clock: str = "09:00:00", month: int = 1) -> str:
    return f"2026-{month:02}-{number:02} {clock}"


NOON = "2026-01-01T12:00:00"


class TestNames:
    """A strategy of the account is found by its name, or by folder and name."""

    @pytest.mark.parametrize("name", ["Deep", "/robots/night/Deep"])
    def test_a_strategy_is_found_by_folder_and_name(self, process: ProcessClient, name: str) -> None:
        process.saved({**notepad("Deep"), "folder": "/robots/night"})

        assert process.start(name=name).origin.strategy_id == "Deep"

    def test_a_strategy_in_the_root_is_found(self, process: ProcessClient) -> None:
        assert process.start(name="/OneStepNotepadRunner").origin.strategy_id == "OneStepNotepadRunner"

    @pytest.mark.parametrize(
        "name", ["/Deep", "/robots/Deep", "/robots/night/", "robots/night/Deep", "//robots/night/Deep"]
    )
    def test_a_strategy_in_another_folder_is_not_found(self, process: ProcessClient, name: str) -> None:
        process.saved({**notepad("Deep"), "folder": "/robots/night"})

        assert process("POST", f"{BASE}/start", {"name": name}) == (
            404,
            {"message": f"Process not found: {name}"},
        )

    def test_a_start_needs_no_strategy_secret(self, process: ProcessClient) -> None:
        (head,) = process.ports.strategies.heads.values()
        assert head.secret_hash == SecretHasher(("p" * 32).encode()).hash(SECRET)
        core = process.core("POST", "/execution-instance", {"strategyId": head.name}, secret=None)
        assert core[0] == 403

        assert process.status(process.start().sid)["status"] == "WAITING"

    def test_the_latest_version_runs(self, process: ProcessClient) -> None:
        sid = process.saved(notepad("Old"))["sid"]
        process.core(
            "PATCH", f"/execution-strategy/{sid}", {"settings": notepad()["settings"]}, secret=SECRET
        )

        assert process.start(name="Old").strategy_version == 2


class TestAnswer:
    """200 with the sid that the instance has in every dialect."""

    @pytest.mark.parametrize("base", ["/scheduler/connector-api", "/scheduler/connector-API"])
    def test_a_start_returns_the_robusta_spid(self, process: ProcessClient, base: str) -> None:
        answer = process("POST", f"{base}/process/start", {"name": "OneStepNotepadRunner"})

        assert answer == (200, {"robustaSpid": "i0002", "message": "Process saved"})
        assert process("GET", f"{base}/process/status/i0002")[1]["status"] == "WAITING"
        assert process.core("GET", "/execution-instance/i0002", secret=SECRET)[1]["createdBy"] == "operator"


KEY = {"idempotency-key": "order-7"}


class TestSentAgain:
    """If a request has an Idempotency-Key it starts one process, otherwise a process each time."""

    def started(
        self, process: ProcessClient, more: dict[str, str] | None = None, **body: Any
    ) -> tuple[int, Any]:
        sent = {"name": "OneStepNotepadRunner", **NOW_ONLY, **body}
        return process("POST", f"{BASE}/start", sent, more=more)

    def test_a_repeated_request_starts_no_process(self, process: ProcessClient) -> None:
        first, second = (self.started(process, KEY) for _ in range(2))

        assert first == second
        assert first[0] == 200
        assert len(process.ports.instances.instances) == 1

    def test_a_request_without_key_starts_another_process(self, process: ProcessClient) -> None:
        assert self.started(process)[1]["robustaSpid"] != self.started(process)[1]["robustaSpid"]

    def test_an_idempotency_key_with_another_body_is_refused(self, process: ProcessClient) -> None:
        self.started(process, KEY)

        status, answer = self.started(process, KEY, worker="8")

        assert status == 422
        assert answer == {"message": "The Idempotency-Key was used with another request"}
        assert len(process.ports.instances.instances) == 1

    def test_an_idempotency_key_that_is_too_long_is_refused(self, process: ProcessClient) -> None:
        status, answer = self.started(process, {"idempotency-key": "k" * 256})

        assert (status, answer) == (
            400,
            {"message": "Invalid Idempotency-Key: must have 1 to 255 characters"},
        )


class TestValues:
    """Values are the attributes. They keep their type; if a name repeats, the last value counts."""

    def test_values_keep_their_type(self, process: ProcessClient) -> None:
        values = {"text": "1", "whole": 1, "part": 1.5, "flag": True, "empty": ""}

        attributes = process.start(values=values).attributes

        assert attributes == values
        assert {name: type(value) for name, value in attributes.items()} == {
            "text": str,
            "whole": int,
            "part": float,
            "flag": bool,
            "empty": str,
        }

    def test_the_last_value_of_a_repeated_name_counts(self, process: ProcessClient) -> None:
        raw = b'{"values": {"username": "Username", "username": "User Surname"}, "name": "OneStepNotepadRunner"}'

        status, answer = process("POST", f"{BASE}/start", raw=raw)

        assert status == 200
        assert process.instance(answer["robustaSpid"]).attributes == {"username": "User Surname"}

    @pytest.mark.parametrize("body", [{}, {"values": {}}, {"values": None}])
    def test_the_field_is_optional(self, process: ProcessClient, body: dict[str, Any]) -> None:
        assert process.start(**body).attributes == {}


class TestWorker:
    """The worker is stored with the instance, sent to the service, and shown in core."""

    def test_the_service_gets_the_worker(self, process: ProcessClient) -> None:
        sid = process.start(**NOW_ONLY, worker="42", values=NAMES).sid

        process.run(sid)

        assert process.robots.sent == [{"worker": "42", "text": "Username"}]
        assert process.core("GET", f"/execution-instance/{sid}", secret=SECRET)[1]["worker"] == "42"
        _, history = process.core("GET", f"/execution-instance/{sid}/events", secret=SECRET)
        assert [event["worker"] for event in history["items"]] == ["42"]

    def test_the_field_is_optional(self, process: ProcessClient) -> None:
        sid = process.start(**NOW_ONLY).sid

        process.run(sid)

        assert process.robots.sent == [{"worker": None, "text": None}]


class TestFlags:
    """A flag is Y or N in any case, or a boolean; null is a missing flag."""

    @pytest.mark.parametrize("yes", ["Y", "y", True])
    @pytest.mark.parametrize("no", ["N", "n", False, None])
    @pytest.mark.parametrize("name", ["runImmediately", "run immediately"])
    def test_flags_may_be_letters_or_booleans(
        self, process: ProcessClient, yes: Any, no: Any, name: str
    ) -> None:
        once = process.start(**{"runOnce": yes, name: no}, quartzDef=FRIDAYS)
        at_once = process.start(**{"runOnce": no, name: yes}, quartzDef=FRIDAYS)

        assert once.plan.schedule == OwnSchedule(cron=FRIDAYS, timezone="UTC", once=True)
        assert at_once.plan.schedule == OwnSchedule(cron=FRIDAYS, timezone="UTC", at_once=True, goes_on=True)


NOTHING = {"status": "WAITING", "message": "No execution in the scheduled window."}
WINDOW = {"quartzDef": FRIDAYS, "startDate": day(5), "endDate": day(20)}


class TestFlagTable:
    """contracts/process.md C.5, row by row. Fridays are 2, 9, 16 and 23 January; now is Thursday the 1st."""

    @pytest.mark.parametrize(
        "schedule", [{}, WINDOW, {"startDate": day(5)}, {"endDate": "2020-01-01 00:00:00"}]
    )
    def test_y_y_is_one_run_now_and_the_schedule_is_ignored(
        self, process: ProcessClient, schedule: dict[str, str]
    ) -> None:
        instance = process.start(**NOW_ONLY, **schedule)

        assert process.dates(instance.sid) == [NOON]
        assert (instance.plan.schedule, instance.plan.end_date) == (OwnSchedule(once=True), None)
        assert process.run(instance.sid).status is InstanceStatus.COMPLETED

    def test_y_n_with_an_expression_is_one_run_at_its_first_fire_in_the_window(
        self, process: ProcessClient
    ) -> None:
        instance = process.start(runOnce="Y", runImmediately="N", **WINDOW)

        assert process.dates(instance.sid) == ["2026-01-09T09:00:00"]
        assert process.run(instance.sid, at(9)).status is InstanceStatus.COMPLETED

    def test_y_n_without_expression_is_one_run_at_its_start_date(self, process: ProcessClient) -> None:
        instance = process.start(runOnce="Y", runImmediately="N", startDate=day(5))

        assert process.dates(instance.sid) == ["2026-01-05T09:00:00"]
        assert instance.plan.schedule == OwnSchedule(once=True)
        assert process.run(instance.sid, at(5)).status is InstanceStatus.COMPLETED

    @pytest.mark.parametrize("past", [{}, {"startDate": "2020-11-16 16:56:00"}, {"endDate": day(9)}])
    def test_y_n_without_both_is_one_run_now(self, process: ProcessClient, past: dict[str, str]) -> None:
        instance = process.start(runOnce="Y", **past)

        assert process.dates(instance.sid) == [NOON]
        assert process.run(instance.sid).status is InstanceStatus.COMPLETED

    def test_n_y_is_one_run_now_and_the_schedule(self, process: ProcessClient) -> None:
        instance = process.start(runOnce="N", runImmediately="Y", **WINDOW)

        assert process.dates(instance.sid, 9) == [NOON, "2026-01-09T09:00:00", "2026-01-16T09:00:00"]

    def test_n_y_continues_after_a_failed_run(self, process: ProcessClient) -> None:
        process.robots.status = 422
        instance = process.start(runOnce="N", runImmediately="Y", **WINDOW)

        assert process.run(instance.sid).status is InstanceStatus.ACTIVE
        assert process.dates(instance.sid, 9) == ["2026-01-09T09:00:00", "2026-01-16T09:00:00"]

    def test_n_y_without_an_expression_is_y_y(self, process: ProcessClient) -> None:
        instance = process.start(runOnce="N", runImmediately="Y", startDate=day(5), endDate=day(9))

        assert process.dates(instance.sid) == [NOON]
        assert (instance.plan.schedule, instance.plan.end_date) == (OwnSchedule(once=True), None)

    def test_n_y_in_a_window_that_is_over_is_one_run_now_only(self, process: ProcessClient) -> None:
        instance = process.start(runImmediately="Y", quartzDef=FRIDAYS, endDate="2025-12-31 00:00:00")

        assert process.dates(instance.sid) == [NOON]
        assert process.run(instance.sid).status is InstanceStatus.COMPLETED

    @pytest.mark.parametrize("flags", [{"runOnce": "N", "runImmediately": "N"}, {"runOnce": "N"}, {}])
    def test_n_n_is_the_schedule_only(self, process: ProcessClient, flags: dict[str, str]) -> None:
        instance = process.start(**flags, **WINDOW)

        assert process.dates(instance.sid, 9) == ["2026-01-09T09:00:00", "2026-01-16T09:00:00"]
        assert instance.plan.schedule == OwnSchedule(cron=FRIDAYS, timezone="UTC", goes_on=True)

    def test_without_flags_and_expression_it_is_y_y(self, process: ProcessClient) -> None:
        instance = process.start(startDate=day(5))

        assert process.dates(instance.sid) == [NOON]
        assert instance.plan.schedule == OwnSchedule(once=True)


class TestWindow:
    """Fires at both ends of the window count. A window that is already open counts from now."""

    def test_fires_at_both_ends_of_the_window_count(self, process: ProcessClient) -> None:
        instance = process.start(quartzDef=FRIDAYS, startDate=day(2), endDate=day(16))

        assert process.dates(instance.sid, 9) == [
            "2026-01-02T09:00:00",
            "2026-01-09T09:00:00",
            "2026-01-16T09:00:00",
        ]

    def test_a_date_without_time_is_the_start_of_its_day_in_the_zone(self, process: ProcessClient) -> None:
        instance = process.start(
            quartzDef=FRIDAYS, startDate="2026-01-05", endDate="2026-01-09", timezone="Europe/Berlin"
        )

        assert (instance.start_date, instance.plan.end_date) == (at(4, 23), at(8, 23))

    @pytest.mark.parametrize("on_resume", ["last", "all", "skip"])
    def test_fires_before_the_request_are_not_caught_up(self, process: ProcessClient, on_resume: str) -> None:
        process.saved(notepad("Late", config={"onResume": on_resume}))

        instance = process.start(name="Late", quartzDef=FRIDAYS, startDate="2020-11-16 16:56:00")

        assert process.dates(instance.sid, 2) == ["2026-01-02T09:00:00", "2026-01-09T09:00:00"]
        assert process.ports.instances.records == {}

    @pytest.mark.parametrize("on_resume", ["last", "all", "skip"])
    def test_a_start_date_that_has_passed_is_now(self, process: ProcessClient, on_resume: str) -> None:
        process.saved(notepad("Late", config={"onResume": on_resume}))

        instance = process.start(name="Late", runOnce="Y", startDate="2020-11-16 16:56:00", endDate=day(3))

        assert process.dates(instance.sid) == [NOON]

    def test_a_fire_at_the_instant_of_the_request_counts(self, process: ProcessClient) -> None:
        process.ports.clock.at = at(2)

        assert process.dates(process.start(quartzDef=FRIDAYS).sid, 1) == ["2026-01-02T09:00:00"]

    def test_a_fire_at_the_end_of_the_window_counts(self, process: ProcessClient) -> None:
        process.ports.clock.at = at(2)

        closing = process.start(quartzDef=FRIDAYS, endDate=day(2))
        instant = process.start(quartzDef=FRIDAYS, startDate=day(9), endDate=day(9))

        assert process.dates(closing.sid, 9) == ["2026-01-02T09:00:00"]
        assert process.dates(instant.sid, 9) == ["2026-01-09T09:00:00"]

    def test_a_run_at_once_is_not_doubled_by_a_fire_at_that_moment(self, process: ProcessClient) -> None:
        process.ports.clock.at = at(2)

        instance = process.start(quartzDef=FRIDAYS, runImmediately="Y")

        assert process.dates(instance.sid, 2) == ["2026-01-02T09:00:00", "2026-01-09T09:00:00"]

    def test_a_run_at_once_before_the_window_opens(self, process: ProcessClient) -> None:
        instance = process.start(quartzDef=FRIDAYS, runImmediately="Y", startDate=day(9), endDate=day(16))

        assert process.dates(instance.sid, 9) == [NOON, "2026-01-09T09:00:00", "2026-01-16T09:00:00"]

    @pytest.mark.parametrize("end", ["9999-12-31 23:59:59", "9999-12-31 00:00:00"])
    def test_the_last_date_of_the_calendar_is_a_valid_end(self, process: ProcessClient, end: str) -> None:
        instance = process.start(quartzDef=FRIDAYS, endDate=end)

        assert process.dates(instance.sid, 1) == ["2026-01-02T09:00:00"]
        assert process.run(instance.sid, at(2)).status is InstanceStatus.ACTIVE
        assert process.status(instance.sid)["status"] == "SUCCEEDED"

    def test_the_last_date_of_the_calendar_is_a_valid_start(self, process: ProcessClient) -> None:
        instance = process.start(runOnce="Y", startDate="9999-12-31 23:59:59")

        assert process.dates(instance.sid) == ["9999-12-31T23:59:59"]

    def test_an_expression_cannot_start_at_the_last_date(self, process: ProcessClient) -> None:
        decoded = process.refused(quartzDef=FRIDAYS, startDate="9999-12-31 23:59:59")

        assert decoded == f"Invalid request: {FRIDAYS}: cron counts from dates of the years 2 to 9950"


class TestWindowWithoutFire:
    """If no fire is in the window, the process ends without a run. Source: docs/contracts/process.md C.5 and C.7."""

    @pytest.mark.parametrize("flags", [{}, {"runOnce": "Y"}])
    def test_a_process_is_active_until_its_window_closes(
        self, process: ProcessClient, flags: dict[str, str]
    ) -> None:
        instance = process.start(**flags, quartzDef=NEVER, startDate=day(3), endDate=day(5))

        assert (instance.status, instance.events) == (InstanceStatus.ACTIVE, ())
        assert process.status(instance.sid) == NOTHING

    @pytest.mark.parametrize("flags", [{}, {"runOnce": "Y"}])
    def test_a_process_is_completed_when_its_window_closes(
        self, process: ProcessClient, flags: dict[str, str]
    ) -> None:
        sid = process.start(**flags, quartzDef=NEVER, startDate=day(3), endDate=day(5)).sid

        assert process.run(sid, at(5, 8)).status is InstanceStatus.ACTIVE
        assert process.run(sid, at(5)).status is InstanceStatus.COMPLETED
        assert process.status(sid) == NOTHING
        assert process.robots.sent == []

    @pytest.mark.parametrize(
        "body",
        [
            {"quartzDef": NEVER, "startDate": "2020-11-16 16:56:00", "endDate": "2020-11-18 16:55:00"},
            {"quartzDef": FRIDAYS, "startDate": "2020-11-16 16:56:00", "endDate": "2025-11-18 16:55:00"},
            {"quartzDef": FRIDAYS, "endDate": "2025-11-18 16:55:00"},
            {"quartzDef": FRIDAYS, "endDate": "2025-11-18 16:55:00", "runOnce": "Y"},
            {"runOnce": "Y", "startDate": "2020-11-16 16:56:00", "endDate": "2025-11-18 16:55:00"},
            {"runOnce": "Y", "endDate": "2025-11-18 16:55:00"},
            {"quartzDef": "0 0 9 ? * MON-FRI 2019"},
            {"quartzDef": "0 0 9 30 2 ?"},
        ],
    )
    def test_a_process_with_a_closed_window_is_completed_at_once(
        self, process: ProcessClient, body: dict[str, str]
    ) -> None:
        instance = process.start(**body)

        assert (instance.status, instance.events) == (InstanceStatus.COMPLETED, ())
        assert process.status(instance.sid) == NOTHING


IN_A_ZONE = {"quartzDef": FRIDAYS, "startDate": day(2, "08:30:00"), "endDate": day(9)}


class TestZone:
    """The zone is that of the request, or else of the strategy, the deployment, or UTC."""

    @pytest.mark.parametrize(
        ("own", "usual", "send", "expected"),
        [
            ("Asia/Tokyo", "Europe/Istanbul", "America/New_York", "2026-01-02T14:00:00"),
            ("Asia/Tokyo", "Europe/Istanbul", None, "2026-01-02T00:00:00"),
            ("UTC", "Europe/Istanbul", None, "2026-01-02T09:00:00"),
            (None, "Europe/Istanbul", None, "2026-01-02T06:00:00"),
            (None, "UTC", None, "2026-01-02T09:00:00"),
        ],
    )
    def test_the_zone_is_that_of_request_strategy_or_deployment(
        self,
        process: ProcessClient,
        monkeypatch: pytest.MonkeyPatch,
        own: str | None,
        usual: str,
        send: str | None,
        expected: str,
    ) -> None:
        self._deployed_in(usual, monkeypatch, process)
        process.saved(notepad("Zoned", config={} if own is None else {"timezone": own}))

        instance = process.start(name="Zoned", timezone=send, **IN_A_ZONE)

        assert process.dates(instance.sid, 1) == [expected]

    @pytest.mark.parametrize(("sent", "named"), [(None, None), ("Asia/Tokyo", "Asia/Tokyo")])
    def test_the_zone_of_a_customer_is_that_of_the_value(
        self, process: ProcessClient, sent: str | None, named: str | None
    ) -> None:
        process.saved(notepad("Zoned", config={"timezone": "{{attributes.zone}}"}))

        instance = process.start(name="Zoned", timezone=sent, values={"zone": "Asia/Tokyo"}, **IN_A_ZONE)

        assert process.dates(instance.sid, 1) == ["2026-01-02T00:00:00"]
        assert instance.plan.schedule is not None
        # A schedule without a zone of its own follows the value.
        assert instance.plan.schedule.timezone == named

    def test_a_value_that_is_no_zone_is_refused(self, process: ProcessClient) -> None:
        process.saved(notepad("Zoned", config={"timezone": "{{attributes.zone}}"}))
        refused = process.refused(name="Zoned", values={"zone": "Tokyo"}, **IN_A_ZONE)

        assert (
            refused
            == "Invalid values.zone: attribute 'zone': 'Tokyo' is not a time zone of the IANA database"
        )

    def test_dates_are_read_in_the_zone(self, process: ProcessClient) -> None:
        instance = process.start(timezone="Asia/Tokyo", **IN_A_ZONE)

        assert instance.start_date == datetime(2026, 1, 1, 23, 30, tzinfo=UTC)
        assert instance.plan.end_date == datetime(2026, 1, 9, 0, 0, tzinfo=UTC)

    def test_a_new_version_does_not_change_the_zone(self, process: ProcessClient) -> None:
        sid = process.saved(notepad("Moved", config={"timezone": "Asia/Tokyo"}))["sid"]
        spid = process.start(name="Moved", **IN_A_ZONE).sid
        process.core(
            "PATCH",
            f"/execution-strategy/{sid}",
            {"settings": notepad(config={"timezone": "America/New_York"})["settings"]},
            secret=SECRET,
        )
        process.core("POST", f"/execution-instance/{spid}/migrate", {"version": 2}, secret=SECRET)

        assert process.instance(spid).strategy_version == 2
        assert process.dates(spid, 2) == ["2026-01-02T00:00:00", "2026-01-09T00:00:00"]

    @pytest.mark.parametrize(
        ("start", "expected"),
        [
            ("2026-03-29 02:30:00", "2026-03-29T01:00:00"),  # a gap: the first instant after it
            ("2026-10-25 02:30:00", "2026-10-25T00:30:00"),  # twice: the first of them
        ],
    )
    def test_a_start_date_at_a_clock_change(self, process: ProcessClient, start: str, expected: str) -> None:
        instance = process.start(runOnce="Y", startDate=start, timezone="Europe/Berlin")

        assert process.dates(instance.sid) == [expected]

    def _deployed_in(self, zone: str, monkeypatch: pytest.MonkeyPatch, process: ProcessClient) -> None:
        from shared import bootstrap  # noqa: PLC0415 - only here

        monkeypatch.setenv("CONNECTOR_TIMEZONE", zone)
        bootstrap.forget()
        bootstrap.use_ports(process.ports)


class TestRetryCount:
    """A run has at most 1 + n attempts, with the task's delay. If there is no count, the task decides."""

    @pytest.mark.parametrize(
        ("count", "attempts"), [("2", 3), (2, 3), ("0", 1), (0, 1), ("002", 3), (None, 2)]
    )
    @pytest.mark.parametrize(
        "flags", [NOW_ONLY, {"runOnce": "Y"}, {"runImmediately": "Y", "quartzDef": FRIDAYS}]
    )
    def test_a_run_has_one_attempt_more_than_its_retries(
        self, process: ProcessClient, count: Any, attempts: int, flags: dict[str, str]
    ) -> None:
        once = task(
            retryConfig={
                "times": 1,
                "jitterPercent": 0,
                "retryAfter": {"unit": "minutes", "amount": 5},
            }
        )
        process.saved(notepad("Retrying", tasks=[once]))
        process.robots.status = 422
        sid = process.start(name="Retrying", retryCount=count, **flags).sid

        for number in range(4):
            process.run(sid, at(1, 12).replace(minute=5 * number))

        assert len(process.robots.sent) == attempts

    def test_a_retry_without_delay_runs_at_once(self, process: ProcessClient) -> None:
        process.robots.status = 422
        sid = process.start(**NOW_ONLY, retryCount="1").sid

        process.run(sid)

        assert len(process.robots.sent) == 2


class TestVendorsExample:
    """The vendor's example is accepted even if nothing fires in its window, as its page says."""

    @pytest.mark.parametrize("now", ["2020-11-16 16:56:00", "2026-01-01 12:00:00"])
    def test_the_corrected_example_is_accepted(self, process: ProcessClient, now: str) -> None:
        process.ports.clock.at = datetime.fromisoformat(now).replace(tzinfo=UTC)
        body = {
            "values": {"kullaniciAdi": "Username", "kullaniciSoyadi": "Surname"},
            "quartzDef": "0 6 6 ? * FRI",
            "startDate": "2020-11-16 16:56:00",
            "endDate": "2020-11-18 16:55:00",
            "runOnce": "N",
            "runImmediately": "N",
            "retryCount": "1",
            "name": "OneStepNotepadRunner",
        }
        assert body == STARTS

        status, answer = process("POST", "/scheduler/connector-api/process/start", body)

        assert (status, answer) == (200, {**STARTED, "robustaSpid": answer["robustaSpid"]})
        assert process.instance(answer["robustaSpid"]).attributes == body["values"]
        assert process.status(answer["robustaSpid"]) == NOTHING
        ended = process.run(answer["robustaSpid"], at(1, 12))
        assert (ended.status, process.robots.sent) == (InstanceStatus.COMPLETED, [])

    def test_the_example_with_a_longer_window_fires(self, process: ProcessClient) -> None:
        process.ports.clock = ManualClock(datetime(2020, 11, 16, 16, 56, tzinfo=UTC))
        sid = process.start(**{**STARTS, "endDate": "2020-11-28 00:00:00"}).sid

        assert process.dates(sid) == ["2020-11-20T06:06:00", "2020-11-27T06:06:00"]
        process.run(sid, datetime(2020, 11, 20, 6, 6, tzinfo=UTC))
        assert process.status(sid) == STATUS

    def test_the_example_as_printed_is_accepted(self, process: ProcessClient) -> None:
        raw = (
            b'{"values": {"username": "Username", "username": "User Surname"}, "quartzDef":"0 6 6 ? * FR",'
            b' "startDate":"2020-11-16 16:56:00", "endDate":"2020-11-28 00:00:00", "runOnce": "N",'
            b' "run immediately": "N", "retryCount": "1", "name": "OneStepNotepadRunner"}'
        )
        process.ports.clock.at = datetime(2020, 11, 16, 16, 56, tzinfo=UTC)

        status, answer = process("POST", "/scheduler/connector-API/process/start", raw=raw)

        assert (status, answer["message"]) == (200, "Process saved")
        sid = answer["robustaSpid"]
        assert process.instance(sid).attributes == {"username": "User Surname"}
        assert process.dates(sid) == ["2020-11-20T06:06:00", "2020-11-27T06:06:00"]


class TestMinimalClient:
    """A client sends name, worker, values and both flags Y, and polls until it gets SUCCEEDED."""

    def test_a_minimal_client_gets_its_result(self, process: ProcessClient) -> None:
        body = {"name": "OneStepNotepadRunner", "worker": "7", "values": NAMES, **NOW_ONLY}
        status, answer = process("POST", f"{BASE}/start", body)
        assert (status, sorted(answer)) == (200, ["message", "robustaSpid"])
        sid = answer["robustaSpid"]
        assert process.ports.wakeups.invoked == [sid]
        assert process.status(sid)["status"] == "WAITING"

        process.run(sid)

        assert process.status(sid) == {
            "status": "SUCCEEDED",
            "message": "Your transaction has ended.",
            "__out_x": "Username Surname",
        }
