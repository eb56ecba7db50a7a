"""How a process stands. Source: contracts/process.md C.3 and C.7; contracts/mapping.md D.1 and D.3."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.api.process.render import SEEN, TOLD, Seen
from shared.domain.ids import AccountId, InstanceSid
from shared.domain.instance.event import Event, EventKind, EventStatus
from shared.domain.instance.journal import ClosedBy, EventRecord
from shared.domain.instance.model import Instance, InstanceStatus
from shared.domain.instance.phase import Phase
from tests.dialects.process.client import BASE, NAMES, NOW_ONLY, SECRET, ProcessClient, notepad, task
from tests.domain.instance import test_phase
from tests.factories import NOON, an_end, an_event, an_instance

FRIDAYS = "0 0 9 ? * FRI"
"""The clock of the requests stands at noon of Thursday, 1 January 2026."""
SUCCEEDED = {"status": "SUCCEEDED", "message": "Your transaction has ended.", "__out_x": "Username Surname"}

CELLS: dict[str, tuple[str, str]] = {
    "without events": ("WAITING", "Your transaction waits for somebody to run it."),
    "to be run by hand, no date": ("WAITING", "Your transaction waits for somebody to run it."),
    "due now": ("WAITING", "Your transaction waits for its time."),
    "to come": ("WAITING", "Your transaction waits for its time."),
    "due": ("WAITING", "Your transaction is about to start."),
    "told to run": ("WAITING", "Your transaction is about to start."),
    "executing": ("RUNNING", "Your transaction is running."),
    "left by a crashed runner": ("RUNNING", "Your transaction is running."),
    "to go on": ("RUNNING", "Your transaction is running."),
    "paused by a pause that has ended": ("RUNNING", "Your transaction is running."),
    "to be retried": ("RUNNING", "Your transaction has failed and will be tried again."),
    "in a step's delay": ("RUNNING", "Your transaction is running; it waits until its next step is due."),
    "waiting for an answer": ("RUNNING", "Your transaction is running; it waits for an answer."),
    "to be confirmed": ("WAITING", "Your transaction waits for somebody to run it."),
    "paused": ("WAITING", "Process suspended"),
    "out of attempts": ("FAILED", "Your transaction has failed: charge: declined"),
    "canceled": ("FAILED", "Process cancelled"),
    "canceled: CONTROLLER_HELPER": ("FAILED", "Your transaction has failed: charge: declined"),
    "canceled: MAX_ATTEMPTS": ("FAILED", "Your transaction has failed: charge: declined"),
    "canceled: CREATE_CYCLE_ERROR": ("FAILED", "Your transaction has failed: charge: declined"),
    "completed": ("WAITING", "No execution in the scheduled window."),
}
"""mapping D.3, by the rows of tests/domain/instance/test_phase.py, of one in which no run has ended yet."""

LEFT_TO_THE_LAST_RUN = {Phase.UNDATED, Phase.AHEAD, Phase.OVERDUE, Phase.ON_HOLD, Phase.COMPLETED}


def put(process: ProcessClient, instance: Instance, *records: EventRecord) -> str:
    """Have an instance of the account stored, as of noon on the day that the factories live in."""
    process.ports.clock.at = NOON
    process.ports.instances.instances[InstanceSid("i")] = replace(instance, account_id=AccountId("a-1"))
    for record in records:
        process.ports.instances.records[record.instance_sid, record.event.seq] = record
    return "i"


def a_record(seq: int, status: EventStatus, *, minutes: int | None = None, **members: Any) -> EventRecord:
    """The record of a main event, closed so many minutes after noon; by default as many as its number."""
    event: Event = an_event(seq, status=status, **members.pop("event", {}))
    finished_at = NOON + timedelta(minutes=seq if minutes is None else minutes)
    known: dict[str, Any] = {"instance_sid": InstanceSid("i"), "fence": 1, "finished_at": finished_at}
    return EventRecord(event=event, **{**known, **members})


def well(seq: int = 1, **outputs: Any) -> EventRecord:
    return a_record(seq, EventStatus.PROCESSED, end=an_end(outputs=outputs))


def in_vain(seq: int = 1, why: str | None = "declined") -> EventRecord:
    return a_record(seq, EventStatus.FAILED, why=why)


def with_note(instance: Instance, note: str) -> Instance:
    """The instance with the reason why it was stopped, if it was."""
    return instance if instance.stop is None else replace(instance, stop=replace(instance.stop, note=note))


class TestTheTable:
    """Every phase has its word and its sentence, as printed in D.3."""

    @pytest.mark.parametrize("row", test_phase.ROWS)
    def test_a_cell(self, process: ProcessClient, row: str) -> None:
        instance, _ = test_phase.ROWS[row]
        sid = put(process, with_note(instance, "charge: declined"))

        assert process.status(sid) == dict(zip(("status", "message"), CELLS[row], strict=True))

    @pytest.mark.parametrize("row", test_phase.ROWS)
    @pytest.mark.parametrize(
        ("last", "told"),
        [
            (well(x=1), {"status": "SUCCEEDED", "message": "Your transaction has ended.", "__out_x": 1}),
            (in_vain(), {"status": "FAILED", "message": "Your transaction has failed: declined"}),
        ],
    )
    def test_what_the_last_run_came_to_is_told_until_the_next_one_starts(
        self, process: ProcessClient, row: str, last: EventRecord, told: dict[str, Any]
    ) -> None:
        instance, phase = test_phase.ROWS[row]
        others = tuple(replace(event, seq=event.seq + 10) for event in instance.events)
        lease = instance.lease and replace(instance.lease, seq=instance.lease.seq + 10)
        later = replace(with_note(instance, "charge: declined"), events=others, lease=lease, next_seq=20)

        status = process.status(put(process, later, last))

        if phase in LEFT_TO_THE_LAST_RUN:
            assert status == told
        else:
            assert status == dict(zip(("status", "message"), CELLS[row], strict=True))

    def test_it_is_total(self) -> None:
        assert set(SEEN) == set(TOLD) == set(Phase)
        assert {phase for phase, seen in SEEN.items() if seen is None} == LEFT_TO_THE_LAST_RUN
        assert set(CELLS) == set(test_phase.ROWS)

    def test_words_are_these_four(self) -> None:
        assert [seen.value for seen in Seen] == ["WAITING", "RUNNING", "SUCCEEDED", "FAILED"]

    def test_without_a_reason_none_is_told(self, process: ProcessClient) -> None:
        stuck, _ = test_phase.ROWS["out of attempts"]

        assert process.status(put(process, stuck))["message"] == "Your transaction has failed."
        done = replace(stuck, status=InstanceStatus.COMPLETED, next_seq=2)
        status = process.status(put(process, done, in_vain(why=None)))
        assert status == {"status": "FAILED", "message": "Your transaction has failed."}


class TestTheLastRun:
    """The main event that finished last counts; what else has closed since does not."""

    def test_the_later_of_two(self, process: ProcessClient) -> None:
        sid = put(process, an_instance(next_seq=3), well(1, x=1), in_vain(2))

        assert process.status(sid)["status"] == "FAILED"

    def test_its_own_outputs_only(self, process: ProcessClient) -> None:
        instance = an_instance(next_seq=3, outputs={"x": 1, "y": 2})
        sid = put(process, instance, well(1, x=1), well(2, y=2))

        assert process.status(sid) == {
            "status": "SUCCEEDED",
            "message": "Your transaction has ended.",
            "__out_y": 2,
        }

    def test_one_that_was_run_again_since(self, process: ProcessClient) -> None:
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
    def test_no_other_event(self, process: ProcessClient, other: dict[str, Any]) -> None:
        others = [a_record(seq, EventStatus.FAILED, **other) for seq in range(2, 150)]
        sid = put(process, an_instance(next_seq=150), well(1, x=1), *others)

        assert process.status(sid)["status"] == "SUCCEEDED"

    def test_none_that_was_skipped_or_canceled(self, process: ProcessClient) -> None:
        skipped = a_record(2, EventStatus.CANCELED, closed_by=ClosedBy.LATE_PLAN)
        sid = put(process, an_instance(next_seq=3), well(1, x=1), skipped)

        assert process.status(sid)["status"] == "SUCCEEDED"

    def test_no_record_of_a_runner_that_was_too_late(self, process: ProcessClient) -> None:
        sid = put(process, an_instance(an_event(1)), well(1, x=1))

        assert process.status(sid)["status"] == "WAITING"

    def test_it_is_looked_for_among_the_last_200_events(self, process: ProcessClient) -> None:
        def beside(many: int) -> str:
            others = [
                a_record(seq, EventStatus.PROCESSED, event={"kind": EventKind.ADDED})
                for seq in range(2, many + 2)
            ]
            return put(process, an_instance(next_seq=many + 2), well(1, x=1), *others)

        assert process.status(beside(199))["status"] == "SUCCEEDED"
        assert process.status(beside(200))["status"] == "WAITING"

    def test_one_whose_runners_died(self, process: ProcessClient) -> None:
        died = a_record(1, EventStatus.FAILED, closed_by=ClosedBy.CRASHES, why="its runner died 5 times")
        sid = put(process, an_instance(next_seq=2), died)

        assert process.status(sid) == {
            "status": "FAILED",
            "message": "Your transaction has failed: its runner died 5 times",
        }


class TestOutputs:
    """Each is a member of its own, named as it is; text stays text, any other value what it is."""

    def test_of_any_kind(self, process: ProcessClient) -> None:
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

    def test_a_task_need_have_none(self, process: ProcessClient) -> None:
        process.saved(notepad("Mute", tasks=[task(outputs={})]))
        sid = process.start(name="Mute", **NOW_ONLY).sid

        process.run(sid)

        assert process.status(sid) == {"status": "SUCCEEDED", "message": "Your transaction has ended."}


class TestARecurringProcess:
    """WAITING before its first run; RUNNING while one is open, its retries too; then what that came to."""

    def test_from_run_to_run(self, process: ProcessClient) -> None:
        body = {"quartzDef": FRIDAYS, "endDate": "2026-01-20 00:00:00", "values": NAMES, "retryCount": "1"}
        retrying = task(retryConfig={"times": 1, "retryAfter": {"unit": "hours", "amount": 1}})
        process.saved(notepad("Weekly", tasks=[retrying]))
        sid = process.start(name="Weekly", **body).sid
        assert process.status(sid)["status"] == "WAITING"

        process.run(sid, datetime(2026, 1, 2, 9, tzinfo=UTC))
        assert process.status(sid) == SUCCEEDED

        process.robots.status = 500
        process.run(sid, datetime(2026, 1, 9, 9, tzinfo=UTC))
        assert process.status(sid)["status"] == "RUNNING"
        process.run(sid, datetime(2026, 1, 9, 10, tzinfo=UTC))
        failed = {
            "status": "FAILED",
            "message": "Your transaction has failed: robots/write returned HTTP 500",
        }
        assert process.status(sid) == failed

        process.robots.status = 200
        assert process.run(sid, datetime(2026, 1, 16, 9, tzinfo=UTC)).status is InstanceStatus.ACTIVE
        assert process.status(sid) == SUCCEEDED  # no fire is left, and its window has not closed
        assert process.run(sid, datetime(2026, 1, 20, tzinfo=UTC)).status is InstanceStatus.COMPLETED
        assert process.status(sid) == SUCCEEDED


class TestAProcessThatFails:
    """A run of its own, whichever way it fails."""

    def test_with_its_attempts_used_up(self, process: ProcessClient) -> None:
        process.robots.status = 503
        sid = process.start(**NOW_ONLY).sid

        assert process.run(sid).status is InstanceStatus.CANCELED
        assert process.status(sid) == {
            "status": "FAILED",
            "message": "Your transaction has failed: run: robots/write returned HTTP 503",
        }

    def test_paused_with_its_attempts_used_up(self, process: ProcessClient) -> None:
        pausing = task(retryConfig={"times": 0, "pauseBeforeCancel": True})
        process.saved(notepad("Pausing", tasks=[pausing]))
        process.robots.status = 503
        sid = process.start(name="Pausing", **NOW_ONLY).sid

        assert process.run(sid).status is InstanceStatus.PAUSED
        assert process.status(sid)["status"] == "FAILED"

    def test_in_doubt(self, process: ProcessClient) -> None:
        process.robots.is_silent = True
        sid = process.start(**NOW_ONLY).sid

        assert process.run(sid).status is InstanceStatus.PAUSED
        assert process.status(sid)["status"] == "FAILED"

    def test_by_hand_only(self, process: ProcessClient) -> None:
        process.saved(notepad("ByHand", config={"manualTrigger": True}))
        sid = process.start(name="ByHand", **NOW_ONLY, values=NAMES).sid
        process.run(sid)
        assert process.status(sid)["message"] == "Your transaction waits for somebody to run it."

        assert process.core("POST", f"/execution-event/{sid}-1/execute", secret=SECRET)[0] == 200
        process.run(sid)

        assert process.status(sid) == SUCCEEDED


class TestFromOtherDialects:
    """One instance is reachable in all dialects: its sid is a robustaSpid, and what core does to it shows here."""

    def created(self, process: ProcessClient) -> str:
        body = {"strategyId": "OneStepNotepadRunner", "attributes": NAMES}
        status, answer = process.core("POST", "/execution-instance", body, secret=SECRET)
        assert status == 201
        return str(answer["executionInstance"]["sid"])

    def told(self, process: ProcessClient, sid: str, command: str) -> None:
        assert process.core("POST", f"/execution-instance/{sid}/{command}", secret=SECRET)[0] == 200

    def test_a_monthly_one_of_core(self, process: ProcessClient) -> None:
        sid = self.created(process)
        assert process.status(sid)["status"] == "WAITING"

        process.run(sid)

        assert process.status(sid) == SUCCEEDED

    def test_paused_and_resumed(self, process: ProcessClient) -> None:
        sid = self.created(process)
        process.run(sid)

        self.told(process, sid, "pause")
        assert process.status(sid) == {"status": "WAITING", "message": "Process suspended"}
        self.told(process, sid, "resume")
        assert process.status(sid) == SUCCEEDED

    def test_canceled(self, process: ProcessClient) -> None:
        sid = self.created(process)
        process.run(sid)

        self.told(process, sid, "cancel")

        assert process.status(sid) == {"status": "FAILED", "message": "Process cancelled"}

    def test_one_of_here_in_core(self, process: ProcessClient) -> None:
        sid = process.start(quartzDef=FRIDAYS, retryCount="3", worker="7").sid

        _, shown = process.core("GET", f"/execution-instance/{sid}", secret=SECRET)

        assert (shown["status"], shown["nextEvent"]["date"]) == ("ACTIVE", "2026-01-02T09:00:00.000Z")
        assert (shown["worker"], shown["schedule"]["cron"], shown["schedule"]["retryTimes"]) == (
            "7",
            FRIDAYS,
            3,
        )
        self.told(process, sid, "pause")
        assert process.status(sid)["message"] == "Process suspended"
        self.told(process, sid, "resume")
        self.told(process, sid, "cancel")
        assert process.status(sid)["message"] == "Process cancelled"

    def test_an_operator_is_not_needed_to_ask(self, process: ProcessClient) -> None:
        sid = process.start().sid

        assert process("GET", f"{BASE}/status/{sid}", key="viewer:secret")[0] == 200
