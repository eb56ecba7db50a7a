"""The report of a run under faults."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from dev.chaos.judge import Rule, Violation
from dev.chaos.report import MAX_SHOWN, Lateness, Report, lateness
from dev.chaos.stops import InstanceStop, judge_stops

REPORT = Report(
    seed=7,
    seconds=600.2,
    settle_seconds=12.7,
    kills={"runner": 9, "emulator": 6},
    stops={},
    disturbed={"lost reply": 40},
    failures={"500": 3},
    commands={"core pause": 10},
    answers={"200": 8, "no reply": 2},
    instances={"COMPLETED": 5},
    events={"PROCESSED": 100},
    calls=210,
    effects=200,
    marked=4,
    judged_stops={"cancel": 2, "pause": 11},
    excused=1,
    late={"wakeup": Lateness(events=80, p50=1.25, p99=61.0, max=70.5)},
)
LOST = Violation(Rule.LOST, "i-1 is PENDING")


class TestLateness:
    """Percentiles are by nearest rank: each is a value that was measured."""

    @pytest.mark.parametrize(
        ("seconds", "expected"),
        [
            ([5.0], (1, 5.0, 5.0, 5.0)),
            ([2.0, 1.0], (2, 1.0, 2.0, 2.0)),
            ([3.0, 1.0, 2.0], (3, 2.0, 3.0, 3.0)),
            ([float(n) for n in range(1, 101)], (100, 50.0, 99.0, 100.0)),
            ([float(n) for n in range(1, 201)], (200, 100.0, 198.0, 200.0)),
        ],
    )
    def test_the_report_has_the_figures(
        self, seconds: list[float], expected: tuple[int, float, float, float]
    ) -> None:
        figures = lateness(seconds)

        assert figures is not None
        assert (figures.events, figures.p50, figures.p99, figures.max) == expected

    def test_nothing_was_measured(self) -> None:
        assert lateness([]) is None


class TestText:
    """The text has every count, and the first violations."""

    def test_a_right_run(self) -> None:
        assert REPORT.lines() == [
            "seed 7: 600 s of faults, settled in 13 s",
            "kills        15 (emulator 6, runner 9)",
            "stops        0",
            "requests     40 (lost reply 40) disturbed",
            "downstream   3 (500 3)",
            "commands     10 (core pause 10)",
            "answers      10 (200 8, no reply 2)",
            "instances    5 (COMPLETED 5)",
            "events       100 (PROCESSED 100)",
            "calls        210 received, 200 took effect, 4 events marked in doubt",
            "judged       13 (cancel 2, pause 11) stops of instances, 1 calls after them excused",
            "late         wakeup: 80 events, p50 1.2 s, p99 61.0 s, max 70.5 s",
            "lost         0",
            "doubled      0 unmarked",
            "violations   0",
        ]

    def test_a_violation(self) -> None:
        report = replace(REPORT, violations=[LOST])

        assert report.lines()[-4:] == [
            "lost         1",
            "doubled      0 unmarked",
            "violations   1",
            "  lost: i-1 is PENDING",
        ]

    @pytest.mark.parametrize(
        ("count", "last"), [(MAX_SHOWN, "  lost: i-1 is PENDING"), (MAX_SHOWN + 3, "  and 3 more")]
    )
    def test_the_report_is_bounded_with_many_violations(self, count: int, last: str) -> None:
        assert replace(REPORT, violations=[LOST] * count).lines()[-1] == last


class TestExitStatus:
    """Only a run in which everything is right succeeds."""

    def test_nothing_is_wrong(self) -> None:
        assert REPORT.exit_status == 0

    def test_a_violation(self) -> None:
        assert replace(REPORT, violations=[LOST]).exit_status == 1

    def test_a_process_is_left(self) -> None:
        report = replace(REPORT, leftovers=["process 7: roto-server"])

        assert report.exit_status == 1
        assert report.lines()[-1] == "  left behind: process 7: roto-server"


class TestARunWithoutFaults:
    """A run of two minutes or more must have had every kind of fault, else it shows nothing."""

    LONG = replace(REPORT, planned_seconds=120)

    def test_a_run_with_every_kind_passes(self) -> None:
        assert (self.LONG.untested, self.LONG.exit_status) == ([], 0)

    @pytest.mark.parametrize(
        ("missing", "sentence"),
        [
            ({"kills": {}}, "no process was killed"),
            ({"kills": {"runner": 0}}, "no process was killed"),
            ({"disturbed": {}}, "no request was disturbed"),
            ({"failures": {}}, "no call failed at a service"),
            ({"answers": {}}, "no command was answered with success"),
            ({"answers": {"409": 9, "500": 2, "no reply": 1}}, "no command was answered with success"),
            ({"judged_stops": {}}, "no pause or cancel of an instance could be judged"),
        ],
    )
    def test_a_run_without_one_kind_fails_and_says_which(
        self, missing: dict[str, dict[str, int]], sentence: str
    ) -> None:
        report = replace(self.LONG, **missing)  # type: ignore[arg-type]

        assert (report.untested, report.exit_status) == ([sentence], 1)
        assert report.lines()[-1] == f"  untested: {sentence} in 120 seconds"
        assert report.as_json()["untested"] == [sentence]

    @pytest.mark.parametrize(("seconds", "status"), [(119, 0), (120, 1)])
    def test_a_shorter_run_may_lack_one(self, seconds: float, status: int) -> None:
        assert replace(REPORT, kills={}, planned_seconds=seconds).exit_status == status

    @pytest.mark.parametrize("answer", ["200", "202", "299"])
    def test_any_2xx_is_a_success(self, answer: str) -> None:
        assert replace(self.LONG, answers={answer: 1}).untested == []


def test_the_json_has_the_stops_as_they_were_judged() -> None:
    stop = InstanceStop(sid="i", command="pause", after=datetime(2026, 1, 1, tzinfo=UTC))
    judged = judge_stops([], [], [stop, stop]).judged

    assert json.loads(json.dumps(replace(REPORT, judged_stops=judged).as_json()))["judged_stops"] == {
        "pause": 2
    }


def test_the_json_has_everything() -> None:
    read = json.loads(json.dumps(replace(REPORT, violations=[LOST]).as_json()))

    assert read["kills"] == {"runner": 9, "emulator": 6}
    assert read["late"]["wakeup"] == {"events": 80, "p50": 1.25, "p99": 61.0, "max": 70.5}
    assert read["violations"] == [{"rule": "lost", "what": "i-1 is PENDING"}]
    assert read["violationsByRule"]["lost"] == 1
    assert read["violationsByRule"]["doubled unmarked"] == 0
