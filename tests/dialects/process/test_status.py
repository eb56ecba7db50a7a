"""The status of processes. Source: docs/contracts/process.md C.3 and C.7; docs/contracts/mapping.md D.1 and D.3."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from shared.api.process.answers import Seen
from shared.api.process.render import MESSAGES, SEEN
from shared.domain.ids import AccountId, InstanceSid
from shared.domain.instance.event import Event, EventKind, EventStatus
from shared.domain.instance.journal import ClosedBy, EventRecord
from shared.domain.instance.model import Instance, InstanceStatus
from shared.domain.instance.phase import Phase
from tests.dialects.process.client import BASE, NAMES, NOW_ONLY, SECRET, ProcessClient, notepad, task
from tests.domain.instance import test_phase
from tests.factories import NOON, an_end, an_event, an_instance

FRIDAYS = "0 0 9 ? * FRI"
"""An expression for the tests, whose clock is at noon of Thursday, 1 January 2026."""
SUCCEEDED = {"status": "SUCCEEDED", "message": "Your transaction has ended.", "__out_x": "Username Surname"}

CELLS: dict[str, tuple[str, str]] = {
    "without events": ("WAITING", "Your transaction waits for an operator to run it."),
    "to be run by hand, no date": ("WAITING", "Your transaction waits for an operator to run it."),
    "due now": ("WAITING", "Your transaction waits for its time."),
    "to come": ("WAITING", "Your transaction waits for its time."),
    "due": ("WAITING", "Your transaction is about to start."),
    "told to run": ("WAITING", "Your transaction is about to start."),
    "executing": ("RUNNING", "Your transaction is running."),
    "left by a crashed runner": ("RUNNING", "Your transaction is running."),
    "to go on": ("RUNNING", "Your transaction is running."),
    "paused by a pause that has ended": ("RUNNING", "Your transaction is running."),
    "to be retried": ("RUNNING", "Your transaction has failed and will be retried."),
    "in a step's delay": ("RUNNING", "Your transaction is running; it waits until its next step is due."),
    "waiting for an answer": ("RUNNING", "Your transaction is running; it waits for an answer."),
    "to be confirmed": ("WAITING", "Your transaction waits for an operator to run it."),
    "paused": ("WAITING", "Process suspended"),
    "out of attempts": ("FAILED", "Your transaction has failed: charge: declined"),
    "canceled": ("FAILED", "Process cancelled"),
    "canceled: CONTROLLER_HELPER": ("FAILED", "Your transaction has failed: charge: declined"),
    "canceled: MAX_ATTEMPTS": ("FAILED", "Your transaction has failed: charge: declined"),
    "canceled: CREATE_CYCLE_ERROR": ("FAILED", "Your transaction has failed: charge: declined"),
    "completed": ("WAITING", "No execution in the scheduled window."),
}
"""mapping D.3, by the rows of tests/domain/instance/test_phase.py, of one in which no run has ended yet."""

LEFT_TO_THE_LAST_RUN = {Phase.UNDATED, Phase.AHEAD, Phase.OVERDUE, Phase.ONHOLD, Phase.COMPLETED}


def put(process: ProcessClient, instance: Instance, *records: EventRecord) -> str:
    """Store an instance of the account, as of noon on the day of the factories."""
    process.ports.clock.at = NOON
    process.ports.instances.instances[InstanceSid("i")] = replace(instance, account_id=AccountId("a-1"))
    for record in records:
        process.ports.instances.records[record.instance_sid, record.event.seq] = record
    return "i"


def a_record(seq: int, status: EventStatus, *, minutes: int | None = None, **members: Any) -> EventRecord:
    """Return the record of a main event, closed this many minutes after noon; by default as many as its number."""
    event: Event = an_event(seq, status=status, **members.pop("event", {}))
    finished_at = NOON + timedelta(minutes=seq if minutes is None else minutes)
    known: dict[str, Any] = {"instance_sid": InstanceSid("i"), "fence": 1, "finished_at": finished_at}
    return EventRecord(event=event, **{**known, **members})


def well(seq: int = 1, **outputs: Any) -> EventRecord:
    return a_record(seq, EventStatus.PROCESSED, end=an_end(outputs=outputs))


def in_vain(seq: int = 1, why: str | None = "declined") -> EventRecord:
    return a_record(seq, EventStatus.FAILED, why=why)


def with_note(instance: Instance, note: str) -> Instance:
    """Return the instance with the reason why it was stopped, if it was."""
    return instance if instance.stop is None else replace(instance, stop=replace(instance.stop, note=note))


class TestStatusTable:
    """Every phase has the status and the message of contracts/mapping.md D.3."""

    @pytest.mark.parametrize("row", test_phase.ROWS)
    def test_a_phase_has_its_status_and_message(self, process: ProcessClient, row: str) -> None:
        instance, _ = test_phase.ROWS[row]
        sid = put(process, with_note(instance, "charge: declined"))

        assert process.status(sid) == dict(zip(("status", "message"), CELLS[row], strict=True))

    @pytest.mark.parametrize("row", test_phase.ROWS)
    @pytest.mark.parametrize(
        ("last", "command_in_core"),
        [
            (well(x=1), {"status": "SUCCEEDED", "message": "Your transaction has ended.", "__out_x": 1}),
            (in_vain(), {"status": "FAILED", "message": "Your transaction has failed: declined"}),
        ],
    )
    def test_the_outcome_of_the_last_run_is_answered_until_the_next_starts(
        self, process: ProcessClient, row: str, last: EventRecord, command_in_core: dict[str, Any]
    ) -> None:
        instance, phase = test_phase.ROWS[row]
        others = tuple(replace(event, seq=event.seq + 10) for event in instance.events)
        lease = instance.lease and replace(instance.lease, seq=instance.lease.seq + 10)
        later = replace(with_note(instance, "charge: declined"), events=others, lease=lease, next_seq=20)

        status = process.status(put(process, later, last))

        if phase in LEFT_TO_THE_LAST_RUN:
            assert status == command_in_core
        else:
            assert status == dict(zip(("status", "message"), CELLS[row], strict=True))

    def test_every_phase_has_a_status_and_a_message(self) -> None:
        assert set(SEEN) == set(MESSAGES) == set(Phase)
        assert {phase for phase, seen in SEEN.items() if seen is None} == LEFT_TO_THE_LAST_RUN
        assert set(CELLS) == set(test_phase.ROWS)

    def test_there_are_four_statuses(self) -> None:
        assert [seen.value for seen in Seen] == ["WAITING", "RUNNING", "SUCCEEDED", "FAILED"]

    def test_a_failure_without_reason_has_the_plain_message(self, process: ProcessClient) -> None:
        stuck, _ = test_phase.ROWS["out of attempts"]

        assert process.status(put(process, stuck))["message"] == "Your transaction has failed."
        done = replace(stuck, status=InstanceStatus.COMPLETED, next_seq=2)
        status = process.status(put(process, done, in_vain(why=None)))
        assert status == {"status": "FAILED", "message": "Your transaction has failed."}


class TestLastRun:
    """The main event that finished last counts, not events that were closed otherwise since."""

    def test_the_later_of_two_runs_counts(self, process: ProcessClient) -> None:
        sid = put(process, an_instance(next_seq=3), well(1, x=1), in_vain(2))

        assert process.status(sid)["status"] == "FAILED"

    def test_only_outputs_of_the_last_run_are_answered(self, process: ProcessClient) -> None:
        instance = an_instance(next_seq=3, outputs={"x": 1, "y": 2})
        sid = put(process, instance, well(1, x=1), well(2, y=2))

        assert process.status(sid) == {
            "status": "SUCCEEDED",
            "message": "Your transaction has ended.",
            "__out_y": 2,
        }

    def test_a_retried_run_counts_with_its_new_outcome(self, process: ProcessClient) -> None:
        again = replace(well(1), finished_at=NOON + timedelta(minutes=9))
        sid = put(process, an_instance(next_seq=3), again, in_vain(2))

        assert process.status(sid)["status"] == "SUCCEEDED"

    @pytest.mark.parametrize(
        "other",
        [
            {"event": {"kind": EventKind.LEADING_UP}},
            {"event": {"kind": EventKind.ON_CREATE}},
            {"event": {"kind": EventKind.ADDED}},
        ],
    )
    def test_events_that_are_not_main_do_not_count(
        self, process: ProcessClient, other: dict[str, Any]
    ) -> None:
        others = [a_record(seq, EventStatus.FAILED, **other) for seq in range(2, 150)]
        sid = put(process, an_instance(next_seq=150), well(1, x=1), *others)

        assert process.status(sid)["status"] == "SUCCEEDED"

    def test_skipped_and_canceled_events_do_not_count(self, process: ProcessClient) -> None:
        skipped = a_record(2, EventStatus.CANCELED, closed_by=ClosedBy.LATE_PLAN)
        sid = put(process, an_instance(next_seq=3), well(1, x=1), skipped)

        assert process.status(sid)["status"] == "SUCCEEDED"

    def test_a_record_of_a_runner_that_lost_its_claim_does_not_count(self, process: ProcessClient) -> None:
        sid = put(process, an_instance(an_event(1)), well(1, x=1))

        assert process.status(sid)["status"] == "WAITING"

    def test_the_last_run_is_among_the_last_200_events(self, process: ProcessClient) -> None:
        def beside(many: int) -> str:
            others = [
                a_record(seq, EventStatus.PROCESSED, event={"kind": EventKind.ADDED})
                for seq in range(2, many + 2)
            ]
            return put(process, an_instance(next_seq=many + 2), well(1, x=1), *others)

        assert process.status(beside(199))["status"] == "SUCCEEDED"
        assert process.status(beside(200))["status"] == "WAITING"

    def test_a_run_whose_runners_crashed_has_failed(self, process: ProcessClient) -> None:
        died = a_record(1, EventStatus.FAILED, closed_by=ClosedBy.CRASHES, why="its runner died 5 times")
        sid = put(process, an_instance(next_seq=2), died)

        assert process.status(sid) == {
            "status": "FAILED",
            "message": "Your transaction has failed: its runner died 5 times",
        }


class TestOutputs:
    """Each output is a member with its name. Texts stay texts, other values keep their type."""

    def test_outputs_keep_their_type(self, process: ProcessClient) -> None:
        outputs = {
            "text": "{{attributes.number}}!",
            "number": "{{attributes.number}}",
            "flag": "${attributes.number > 1.0}",
            "list": "${[1, 'a']}",
            "nothing": "{{attributes.unknown}}",
            "status": "mine",
            "__out_x": "doubled",
            "with space": "kept",
        }
        process.saved(notepad("Rich", tasks=[task(outputs=outputs)]))
        sid = process.start(name="Rich", values={"number": 2.5}, **NOW_ONLY).sid

        process.run(sid)

        assert process.status(sid) == {
            "status": "SUCCEEDED",
            "message": "Your transaction has ended.",
            "__out_text": "2.5!",
            "__out_number": 2.5,
            "__out_flag": True,
            "__out_list": [1, "a"],
            "__out_nothing": None,
            "__out_status": "mine",
            "__out___out_x": "doubled",
            "__out_with space": "kept",
        }

    def test_a_task_may_have_no_outputs(self, process: ProcessClient) -> None:
        process.saved(notepad("Mute", tasks=[task(outputs={})]))
        sid = process.start(name="Mute", **NOW_ONLY).sid

        process.run(sid)

        assert process.status(sid) == {"status": "SUCCEEDED", "message": "Your transaction has ended."}


class TestRecurringProcess:
    """WAITING before the first run, RUNNING when a run is open, then its outcome."""

    def test_the_status_follows_each_run(self, process: ProcessClient) -> None:
        body = {"quartzDef": FRIDAYS, "endDate": "2026-01-20 00:00:00", "values": NAMES, "retryCount": "1"}
        retrying = task(
            retryConfig={"times": 1, "jitterPercent": 0, "retryAfter": {"unit": "hours", "amount": 1}}
        )
        process.saved(notepad("Weekly", tasks=[retrying]))
        sid = process.start(name="Weekly", **body).sid
        assert process.status(sid)["status"] == "WAITING"

        process.run(sid, datetime(2026, 1, 2, 9, tzinfo=UTC))
        assert process.status(sid) == SUCCEEDED

        process.robots.status = 422
        process.run(sid, datetime(2026, 1, 9, 9, tzinfo=UTC))
        assert process.status(sid)["status"] == "RUNNING"
        process.run(sid, datetime(2026, 1, 9, 10, tzinfo=UTC))
        failed = {
            "status": "FAILED",
            "message": "Your transaction has failed: robots/write returned HTTP 422",
        }
        assert process.status(sid) == failed

        process.robots.status = 200
        assert process.run(sid, datetime(2026, 1, 16, 9, tzinfo=UTC)).status is InstanceStatus.ACTIVE
        assert process.status(sid) == SUCCEEDED  # no fire is left, and its window has not closed
        assert process.run(sid, datetime(2026, 1, 20, tzinfo=UTC)).status is InstanceStatus.COMPLETED
        assert process.status(sid) == SUCCEEDED


class TestFailedRuns:
    """A run can fail in several ways."""

    def test_a_run_without_attempts_left_has_failed(self, process: ProcessClient) -> None:
        process.robots.status = 422
        sid = process.start(**NOW_ONLY).sid

        assert process.run(sid).status is InstanceStatus.CANCELED
        assert process.status(sid) == {
            "status": "FAILED",
            "message": "Your transaction has failed: run: robots/write returned HTTP 422",
        }

    def test_a_paused_run_without_attempts_left_has_failed(self, process: ProcessClient) -> None:
        pausing = task(retryConfig={"times": 0, "pauseBeforeCancel": True})
        process.saved(notepad("Pausing", tasks=[pausing]))
        process.robots.status = 422
        sid = process.start(name="Pausing", **NOW_ONLY).sid

        assert process.run(sid).status is InstanceStatus.PAUSED
        assert process.status(sid)["status"] == "FAILED"

    def test_a_run_in_doubt_has_failed(self, process: ProcessClient) -> None:
        process.robots.is_silent = True
        sid = process.start(**NOW_ONLY).sid

        assert process.run(sid).status is InstanceStatus.PAUSED
        assert process.status(sid)["status"] == "FAILED"

    def test_an_event_that_waits_for_an_operator_is_waiting(self, process: ProcessClient) -> None:
        process.saved(notepad("ByHand", config={"manualTrigger": True}))
        sid = process.start(name="ByHand", **NOW_ONLY, values=NAMES).sid
        process.run(sid)
        assert process.status(sid)["message"] == "Your transaction waits for an operator to run it."

        assert process.core("POST", f"/execution-event/{sid}-1/execute", secret=SECRET)[0] == 200
        process.run(sid)

        assert process.status(sid) == SUCCEEDED


class TestOtherDialects:
    """An instance has the same id in all dialects, and commands of core show here."""

    def created(self, process: ProcessClient) -> str:
        body = {"strategyId": "OneStepNotepadRunner", "attributes": NAMES}
        status, answer = process.core("POST", "/execution-instance", body, secret=SECRET)
        assert status == 201
        return str(answer["executionInstance"]["sid"])

    def command_in_core(self, process: ProcessClient, sid: str, command: str) -> None:
        assert process.core("POST", f"/execution-instance/{sid}/{command}", secret=SECRET)[0] == 200

    def test_a_monthly_instance_of_core_has_a_status(self, process: ProcessClient) -> None:
        sid = self.created(process)
        assert process.status(sid)["status"] == "WAITING"

        process.run(sid)

        assert process.status(sid) == SUCCEEDED

    def test_a_process_paused_in_core_is_waiting(self, process: ProcessClient) -> None:
        sid = self.created(process)
        process.run(sid)

        self.command_in_core(process, sid, "pause")
        assert process.status(sid) == {"status": "WAITING", "message": "Process suspended"}
        self.command_in_core(process, sid, "resume")
        assert process.status(sid) == SUCCEEDED

    def test_a_process_canceled_in_core_has_failed(self, process: ProcessClient) -> None:
        sid = self.created(process)
        process.run(sid)

        self.command_in_core(process, sid, "cancel")

        assert process.status(sid) == {"status": "FAILED", "message": "Process cancelled"}

    def test_a_process_is_an_instance_in_core(self, process: ProcessClient) -> None:
        sid = process.start(quartzDef=FRIDAYS, retryCount="3", worker="7").sid

        _, shown = process.core("GET", f"/execution-instance/{sid}", secret=SECRET)

        assert (shown["status"], shown["nextEvent"]["date"]) == ("ACTIVE", "2026-01-02T09:00:00.000Z")
        assert (shown["worker"], shown["schedule"]["cron"], shown["schedule"]["retryTimes"]) == (
            "7",
            FRIDAYS,
            3,
        )
        self.command_in_core(process, sid, "pause")
        assert process.status(sid)["message"] == "Process suspended"
        self.command_in_core(process, sid, "resume")
        self.command_in_core(process, sid, "cancel")
        assert process.status(sid)["message"] == "Process cancelled"

    def test_a_viewer_may_read_the_status(self, process: ProcessClient) -> None:
        sid = process.start().sid

        assert process("GET", f"{BASE}/status/{sid}", key="viewer:secret")[0] == 200
