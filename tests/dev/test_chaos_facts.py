"""The facts of a run under faults, as they are read."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dev.chaos.facts import Invocation, calls_of, failures_of, invocations_of, late_by_trigger, resumes_of
from dev.chaos.flows import CHARGES
from dev.chaos.judge import Call, EventFact, InstanceFact
from dev.chaos.report import Lateness
from dev.chaos.stops import Operation

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
END = NOON + timedelta(minutes=10)
MS = timedelta(milliseconds=1)


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def begun(at: datetime | None, job: str | None = "j", *, seq: int = 1) -> EventFact:
    """Return an event that was due at noon and was last claimed by a job."""
    return EventFact(
        sid=f"i-{seq}",
        status="PROCESSED",
        is_main=True,
        cycle=seq,
        first_cycle=seq,
        date=NOON,
        due_at=NOON,
        is_open=False,
        begun_at=at,
        job=job,
    )


def ran(trigger: str, began: float, ended: float | None = None, sid: str = "i") -> Invocation:
    ended_at = None if ended is None else after(ended)
    return Invocation(trigger=trigger, sid=sid, began_at=after(began), ended_at=ended_at)


def late(
    *events: EventFact, runs: dict[str, Invocation], until: datetime = END
) -> dict[str, tuple[int, float]]:
    """Return the number of events and the greatest lateness by trigger."""
    instance = InstanceFact(sid="i", status="ACTIVE", start=NOON, cycle=1, events=events)
    found = late_by_trigger([instance], runs, until=until)
    return {trigger: (figures.events, figures.max) for trigger, figures in found.items()}


class TestLatenessByTrigger:
    """An event is late by its first claim, and counts for the trigger of the runner that made it."""

    def test_it_is_measured_from_its_date_to_its_first_claim(self) -> None:
        assert late(begun(after(2.5)), runs={"j": ran("wakeup", 2, 4)}) == {"wakeup": (1, 2.5)}

    def test_a_takeover_counts_for_the_runner_that_had_begun(self) -> None:
        """The sweeper came after the kill of a punctual runner."""
        runs = {"killed": ran("wakeup", 0, 5), "j": ran("sweeper", 60, 62)}

        assert late(begun(after(1)), runs=runs) == {"wakeup": (1, 1.0)}

    @pytest.mark.parametrize(
        ("began", "ended", "found"),
        [
            (after(1) - MS, after(1), "wakeup"),
            (after(1), after(9), "wakeup"),
            (after(1) + MS, after(9), "unknown"),
            (after(0), after(1) - MS, "unknown"),
        ],
    )
    def test_only_a_runner_that_ran_at_the_claim_can_have_made_it(
        self, began: datetime, ended: datetime, found: str
    ) -> None:
        other = Invocation(trigger="wakeup", sid="i", began_at=began, ended_at=ended)

        assert late(begun(after(1)), runs={"other": other, "j": ran("sweeper", 60)}) == {found: (1, 1.0)}

    def test_an_invocation_without_a_known_end_may_have_made_it(self) -> None:
        assert late(begun(after(1)), runs={"other": ran("invoke", 0), "j": ran("sweeper", 60)}) == {
            "invoke": (1, 1.0)
        }

    def test_two_possible_triggers_are_unknown(self) -> None:
        runs = {"a": ran("wakeup", 0, 5), "b": ran("sweeper", 0, 5), "j": ran("sweeper", 60)}

        assert late(begun(after(1)), runs=runs) == {"unknown": (1, 1.0)}

    def test_two_possible_runners_of_one_trigger_are_known(self) -> None:
        runs = {"a": ran("wakeup", 0, 5), "b": ran("wakeup", 0, 5), "j": ran("sweeper", 60)}

        assert late(begun(after(1)), runs=runs) == {"wakeup": (1, 1.0)}

    def test_the_last_claim_is_the_first_one_if_its_runner_ran_then(self) -> None:
        runs = {"a": ran("sweeper", 0, 5), "j": ran("wakeup", 0, 5)}

        assert late(begun(after(1)), runs=runs) == {"wakeup": (1, 1.0)}

    def test_runners_of_other_instances_do_not_count(self) -> None:
        assert late(begun(after(1)), runs={"other": ran("wakeup", 0, 5, sid="h")}) == {"unknown": (1, 1.0)}

    @pytest.mark.parametrize("job", ["j", None])
    def test_without_invocations_it_is_unknown(self, job: str | None) -> None:
        assert late(begun(after(1), job), runs={}) == {"unknown": (1, 1.0)}

    @pytest.mark.parametrize(
        ("at", "found"), [(after(9), {"wakeup": (1, 9.0)}), (after(9) + MS, {}), (None, {})]
    )
    def test_events_that_begin_after_the_faults_do_not_count(
        self, at: datetime | None, found: dict[str, tuple[int, float]]
    ) -> None:
        assert late(begun(at), until=after(9), runs={"j": ran("wakeup", 0)}) == found

    def test_each_trigger_has_its_own_figures(self) -> None:
        instance = InstanceFact(
            sid="i",
            status="ACTIVE",
            start=NOON,
            cycle=3,
            events=(begun(after(1)), begun(after(3), seq=2), begun(after(70), "s", seq=3)),
        )
        invocations = {"j": ran("wakeup", 0, 9), "s": ran("sweeper", 65)}

        assert late_by_trigger([instance], invocations, until=after(600)) == {
            "wakeup": Lateness(events=2, p50=1.0, p99=3.0, max=3.0),
            "sweeper": Lateness(events=1, p50=70.0, p99=70.0, max=70.0),
        }


class TestInvocations:
    """The stack writes a line when an invocation begins, and one when it ends."""

    BEGAN: dict[str, Any] = {"id": "j", "trigger": "wakeup", "sid": "i", "began": NOON.isoformat()}  # noqa: RUF012 - not changed

    def read(self, folder: Path, *lines: str) -> dict[str, Invocation]:
        file = folder / "invocations.jsonl"
        file.write_text("\n".join(lines))
        return invocations_of(file)

    def test_begin_and_end(self, tmp_path: Path) -> None:
        ended = {"id": "j", "ended": after(2).isoformat()}

        found = self.read(tmp_path, json.dumps(self.BEGAN), json.dumps(ended))

        assert found == {"j": ran("wakeup", 0, 2)}

    def test_a_begin_without_an_end(self, tmp_path: Path) -> None:
        assert self.read(tmp_path, json.dumps(self.BEGAN)) == {"j": ran("wakeup", 0)}

    @pytest.mark.parametrize("partial", ['{"id": "k", "tri', '{"id": "k", "tri{"id": "l", "ended": "x"}'])
    def test_a_line_that_was_cut_off_is_ignored(self, tmp_path: Path, partial: str) -> None:
        assert self.read(tmp_path, json.dumps(self.BEGAN), partial) == {"j": ran("wakeup", 0)}

    def test_an_end_whose_begin_was_lost_is_ignored(self, tmp_path: Path) -> None:
        assert self.read(tmp_path, json.dumps({"id": "j", "ended": after(2).isoformat()})) == {}

    def test_there_is_no_file_before_the_first_invocation(self, tmp_path: Path) -> None:
        assert invocations_of(tmp_path / "invocations.jsonl") == {}


def a_line(**members: Any) -> dict[str, Any]:
    """Return a line of the ledger."""
    line = {
        "at": NOON.isoformat(),
        "path": CHARGES,
        "key": "i-1-1-1",
        "answer": {"status": 201},
        "effect": True,
    }
    return {**line, **members}


class TestCalls:
    """The calls are those of the flows in the ledger of the services."""

    def test_a_call(self) -> None:
        assert calls_of([a_line()]) == [Call(key="i-1-1-1", at=NOON, path=CHARGES, status=201, effect=True)]

    def test_a_call_without_a_key(self) -> None:
        assert [call.key for call in calls_of([a_line(key=None)])] == [""]

    def test_other_paths_are_no_calls(self) -> None:
        assert calls_of([a_line(path="/hook")]) == []


class TestFailures:
    """A failure counts if a call met it."""

    @pytest.mark.parametrize(
        ("failure", "name"),
        [
            ({"status": 402}, "402"),
            ({"status": 500, "lie": True}, "lied 500"),
            ({"delaySeconds": 7}, "hang"),
            ({"drop": True}, "drop"),
        ],
    )
    def test_each_has_a_name(self, failure: dict[str, object], name: str) -> None:
        assert failures_of([a_line(failure=failure), a_line(failure=failure)]) == {name: 2}

    def test_a_call_without_a_failure_does_not_count(self) -> None:
        assert failures_of([a_line(failure={})]) == {}

    def test_a_call_of_another_path_does_not_count(self) -> None:
        assert failures_of([a_line(failure={"status": 402}, path="/hook")]) == {}


class TestBulkResumes:
    """The bulk operations that resume are those that may end a pause."""

    def test_one_that_has_ended_and_one_that_has_not(self) -> None:
        ended = {"command": {"name": "resume"}, "createdAt": "2026-01-01T12:00:00.500Z"}
        operations = [{**ended, "finishedAt": "2026-01-01T12:00:02.000Z"}, ended]

        assert resumes_of(operations) == [
            Operation(began_at=after(0.5), ended_at=after(2)),
            Operation(began_at=after(0.5), ended_at=None),
        ]

    def test_other_commands_are_left_out(self) -> None:
        assert resumes_of([{"command": {"name": "pause"}, "createdAt": "2026-01-01T12:00:00.500Z"}]) == []
