"""Alarms, metrics and the dashboard."""

import json
import re
from typing import Any

import pytest

from functions.step_runner.reports import Metric as RunMetric
from functions.sweeper.handler import Metric
from shared.application.failures import Fault
from shared.domain.instance.due import MAX_BACK_OFF
from tests.application.sweeps import LASTS, PERIOD
from tests.template.stack import FUNCTIONS, OPERATIONS, RESOURCES, TEMPLATE, of_type


class TestWatching:
    """Every alarm is sent and documented, and the dashboard is valid."""

    @pytest.mark.parametrize("name", of_type("AWS::CloudWatch::Alarm"))
    def test_every_alarm_is_documented_and_sent(self, name: str) -> None:
        properties = RESOURCES[name]["Properties"]

        assert (
            f"| `{TEMPLATE.resolve(properties['AlarmName']).removeprefix('ritornello-test-')}` |"
            in OPERATIONS
        )
        assert properties["AlarmActions"] == {
            "Fn::If": ["HasAlarmTopic", [{"Ref": "AlarmTopicArn"}], {"Ref": "AWS::NoValue"}]
        }

    @pytest.mark.parametrize("name", FUNCTIONS)
    def test_errors_of_every_function_raise_an_alarm(self, name: str) -> None:
        watched = [
            alarm["Dimensions"]
            for alarm in of_type("AWS::CloudWatch::Alarm").values()
            if alarm.get("MetricName") == "Errors"
        ]

        assert [{"Name": "FunctionName", "Value": {"Ref": name}}] in watched

    def test_the_dashboard_shows_every_metric_of_ours(self) -> None:
        (dashboard,) = of_type("AWS::CloudWatch::Dashboard").values()
        text = re.sub(r"\$\{[^}]+\}", "x", dashboard["DashboardBody"]["Fn::Sub"])
        ours = {
            metric[1]
            for widget in json.loads(text)["widgets"]
            for metric in widget["properties"]["metrics"]
            if metric[0] == "Ritornello"
        }
        by_service = set(re.findall(r"'\{Ritornello,[^}]+\} MetricName=\\\"(\w+)", text))

        assert ours | by_service == {*map(str, Metric), *map(str, RunMetric)}

    def test_a_missing_wait_raises_the_alarm(self) -> None:
        (lateness,) = [
            alarm
            for alarm in of_type("AWS::CloudWatch::Alarm").values()
            if alarm.get("MetricName") == Metric.WAIT.value
        ]

        assert lateness["TreatMissingData"] == "breaching"

    def test_the_alarms_of_failed_instances_last_longer_than_their_back_off(self) -> None:
        for failed in self.failures():
            assert failed["DatapointsToAlarm"] == 1
            assert failed["EvaluationPeriods"] * failed["Period"] > MAX_BACK_OFF.total_seconds()

    def test_each_kind_of_failure_has_an_alarm(self) -> None:
        """The one without a kind counts all of them."""
        kinds = [
            {dimension["Name"]: dimension["Value"] for dimension in alarm["Dimensions"]}.get("fault")
            for alarm in self.failures()
        ]

        assert sorted(kinds, key=str) == sorted(
            [None, *(fault.value for fault in Fault if fault is not Fault.OTHER)], key=str
        )

    @staticmethod
    def failures() -> list[dict[str, Any]]:
        alarms = of_type("AWS::CloudWatch::Alarm").values()
        return [alarm for alarm in alarms if alarm.get("MetricName") == Metric.FAILED.value]

    def test_the_sweeper_ends_before_the_next_one_begins(self) -> None:
        assert RESOURCES["Sweeper"]["Properties"]["Timeout"] == LASTS.total_seconds()
        assert LASTS < PERIOD
