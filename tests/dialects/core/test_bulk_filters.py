"""Bulk operations by the filters of lists, and the commands that repair. Source: docs/contracts/core.md section 5."""

from datetime import timedelta
from typing import Any

import pytest

from shared.domain.ids import OperationSid
from shared.domain.steps.call import Answered, TimedOut
from tests.bulk_runs import run_bulk
from tests.dialects.automation.client import Services
from tests.dialects.core.client import WATER, Client
from tests.domain.strategy.definitions import changed
from tests.factories import settings, step, task

Json = dict[str, Any]
SECRET = WATER["secret"]
FLOW = changed(
    "/tasks/0/retryConfig",
    {"times": 0, "pauseBeforeCancel": True},
    of=changed(
        "/services/0/methods/1/inDoubt",
        "pause",
        of=settings(
            task("charge", step("pay", nextStep="send"), step("send")), config={"searchable": ["city"]}
        ),
    ),
)
RESUME: Json = {"name": "resume"}


class Town:
    """Instances of two strategies: declined, in doubt, on vacation, and healthy."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.services = Services()
        client.ports.caller = self.services
        for name in ("flow", "other"):
            client.saved({"name": name, "secret": SECRET, "settings": FLOW})
        self.declined = [self.failing(Answered(status=402)) for _ in range(3)]
        self.declined_elsewhere = self.failing(Answered(status=402), strategy="other")
        self.refused = self.failing(Answered(status=422))
        self.doubtful = self.failing(TimedOut(why="silence"))
        self.on_vacation = self.started()
        client("POST", f"/execution-instance/{self.on_vacation}/pause", key="operator.secret")
        self.healthy = self.started(attributes={"city": "Bonn"}, reference="o-1")

    def started(self, strategy: str = "flow", **more: Any) -> str:
        self.client.ports.clock.at += timedelta(seconds=1)
        return str(self.client.started(strategyId=strategy, **more)["executionInstance"]["sid"])

    def failing(self, answer: Answered | TimedOut, *, strategy: str = "flow") -> str:
        sid = self.started(strategy)
        self.services.answers = [answer]
        self.client.run(sid)
        return sid

    def bulk(self, selection: Json, command: Json, **more: Any) -> tuple[int, Json]:
        body = {"selection": selection, "command": command}
        body |= {name: more.pop(name) for name in ("comment", "dryRun") if name in more}
        return self.client("POST", "/bulk-operation", body, **more)

    def changed(self, selection: Json, command: Json, **more: Any) -> set[str]:
        """Return the instances that an operation changed."""
        status, answer = self.bulk(selection, command, **more)
        assert status == 200, answer
        return {result["sid"] for result in answer.get("results", []) if result["outcome"] == "changed"}

    def shown(self, sid: str) -> Json:
        found: Json = self.client("GET", f"/execution-instance/{sid}")[1]
        return found


@pytest.fixture
def town(client: Client) -> Town:
    return Town(client)


class TestSelections:
    """Operations select by the same filters as lists, and change no other instance."""

    def test_only_those_stopped_for_a_reason_are_resumed(self, town: Town) -> None:
        reason = {"reason": "exhausted:http-402"}
        _, preview = town.bulk(reason, RESUME, dryRun=True)
        assert (preview["count"], preview["countIsExact"]) == (4, True)
        assert {one["outcome"] for one in preview["sample"]} == {"changed"}

        assert town.changed(reason, RESUME) == {*town.declined, town.declined_elsewhere}

        assert [town.shown(sid)["phase"] for sid in (town.refused, town.on_vacation)] == ["STUCK", "PAUSED"]
        assert town.bulk(reason, RESUME)[1]["counts"]["matched"] == 0

    def test_a_customer_who_was_paused_since_is_left_alone(self, town: Town) -> None:
        away = town.declined[0]
        assert town.client("POST", f"/execution-instance/{away}/pause", key="operator.secret")[0] == 200
        assert town.shown(away)["reason"] == "operator:operator"
        for name in ("retry", "resume"):
            selection = {"strategyId": "flow", "reason": "exhausted:http-402"}
            assert away not in town.changed(selection, {"name": name})
        assert town.shown(away)["phase"] == "PAUSED"
        # It still needs somebody, once it is resumed.
        assert away in {one["executionInstanceSid"] for one in town.client("GET", "/problems")[1]["items"]}

    def test_a_reason_of_one_strategy(self, town: Town) -> None:
        selection = {"strategyId": "flow", "reason": "exhausted:http-402"}
        assert town.changed(selection, RESUME, key="operator.secret") == set(town.declined)

    def test_a_phase_of_a_strategy_or_folder(self, town: Town) -> None:
        assert town.changed({"strategyId": "other", "phase": "STUCK"}, RESUME) == {town.declined_elsewhere}
        assert town.changed({"folder": "/", "phase": "PAUSED"}, RESUME) == {town.on_vacation}

    def test_those_stopped_by_the_engine(self, town: Town) -> None:
        found = town.changed({"stoppedBy": "engine", "phase": "STUCK"}, {"name": "cancel"})
        assert found == {*town.declined, town.declined_elsewhere, town.refused, town.doubtful}

    def test_a_reference_and_an_attribute(self, town: Town) -> None:
        pause = {"name": "pause"}
        assert town.changed({"reference": "o-1"}, pause) == {town.healthy}
        assert town.changed({"attribute": {"city": "Bonn"}}, RESUME) == {town.healthy}
        assert town.changed({"attribute": {"city": "Ulm"}}, pause) == set()

    def test_the_operation_shows_its_selection(self, town: Town) -> None:
        def selection(selected: Json) -> Json:
            return dict(town.bulk(selected, RESUME)[1]["selection"])

        assert selection({"reason": "in-doubt"}) == {"ranges": [{"phase": "STUCK", "reason": "in-doubt"}]}
        assert selection({"phase": "PAUSED"}) == {"ranges": [{"phase": "PAUSED"}]}
        assert selection({"reference": "o-1"}) == {"reference": "o-1"}
        assert selection({"attribute": {"city": "Bonn"}}) == {"attribute": {"city": "Bonn"}}

    def test_more_than_a_batch_is_scanned_by_reason(self, client: Client, town: Town) -> None:
        more = {town.failing(Answered(status=402), strategy="other") for _ in range(40)}
        status, answer = town.bulk({"reason": "exhausted:http-402"}, {"name": "cancel"})
        assert status == 202

        run_bulk(client.ports, OperationSid(answer["sid"]), time_left=lambda: timedelta(minutes=15))

        after = client("GET", f"/bulk-operation/{answer['sid']}")[1]
        assert after["counts"]["changed"] == len(more) + 4
        assert {town.shown(sid)["phase"] for sid in more} == {"CANCELED"}


class TestRights:
    """Instances of all strategies need an administrator; those of one need its secret."""

    def test_an_operator_may_not_select_over_strategies(self, town: Town) -> None:
        for selection in ({"phase": "STUCK"}, {"reference": "o-1"}, {"attribute": {"city": "Bonn"}}):
            assert town.bulk(selection, RESUME, key="operator.secret")[0] == 403

    def test_a_reason_of_a_strategy_needs_its_secret(self, town: Town) -> None:
        selection = {"strategyId": "flow", "reason": "exhausted:http-402"}
        assert town.bulk(selection, RESUME, secret="x" * 16)[0] == 403


class TestRefusals:
    """If no index serves a selection, it is refused with the place, and nothing is stored."""

    @pytest.mark.parametrize(
        ("selection", "pointer"),
        [
            ({"strategyId": "flow", "reason": "exhausted"}, "/selection/strategyId"),
            ({"strategyId": "flow", "reason": "exhausted:x", "version": 1}, "/selection/version"),
            ({"strategyId": "flow", "phase": "STUCK", "statuses": ["PAUSED"]}, "/selection/statuses"),
            ({"folder": "/", "phase": "STUCK", "statuses": ["PAUSED"]}, "/selection/statuses"),
            ({"phase": "COMPLETED", "reason": "exhausted"}, "/selection/reason"),
            ({"reference": "o-1", "phase": "STUCK"}, "/selection/phase"),
            ({"phase": None}, "/selection"),
            ({"phase": "AHEAD"}, "/selection/phase"),
            ({"attribute": {}}, "/selection/attribute"),
            ({"attribute": {"city": 1}}, "/selection/attribute/city"),
            ({}, "/selection"),
        ],
    )
    def test_a_selection_without_index_is_refused(self, town: Town, selection: Json, pointer: str) -> None:
        status, answer = town.bulk(selection, RESUME)
        assert (status, [problem["pointer"] for problem in answer["problems"]]) == (400, [pointer])
        assert town.client.ports.operations.bulks == {}


class TestRepairs:
    """Failed events are redriven, calls in doubt are decided, and attributes are changed, many at once."""

    def test_failed_events_are_redriven(self, town: Town) -> None:
        town.services.answers = [Answered(status=200, body={}) for _ in range(9)]
        assert town.changed({"reason": "exhausted:http-402"}, {"name": "retry"}) == {
            *town.declined,
            town.declined_elsewhere,
        }
        for sid in town.declined:
            town.client.run(sid)
        events = town.client("GET", f"/execution-instance/{town.declined[0]}/events")[1]["items"]
        assert [event["status"] for event in events] == ["PENDING", "PROCESSED"]

    def test_a_redrive_from_a_step_executes_it_again(self, town: Town) -> None:
        assert town.changed({"ids": [town.refused]}, {"name": "retry", "fromStep": "pay"}) == {town.refused}
        _, answer = town.bulk({"ids": [town.declined[0]]}, {"name": "retry", "fromStep": "send"})
        assert answer["results"][0]["why"] == "the last run of the event did not reach step 'send'"

    @pytest.fixture
    def faulted(self, client: Client, town: Town) -> str:
        """Return an instance that was canceled because its charge was declined."""
        harsh = changed("/tasks/0/retryConfig", {"times": 0, "pauseBeforeCancel": False}, of=FLOW)
        client.saved({"name": "harsh", "secret": SECRET, "settings": harsh})
        return town.failing(Answered(status=402), strategy="harsh")

    def test_an_instance_that_has_ended_is_redriven_only_if_it_is_named_so(
        self, town: Town, faulted: str
    ) -> None:
        _, answer = town.bulk({"strategyId": "harsh", "reason": "exhausted:http-402"}, {"name": "retry"})
        (result,) = answer["results"]
        assert (result["sid"], result["outcome"]) == (faulted, "refused")
        assert result["why"] == "the instance is CANCELED: select it by its id, phase or status"

    @pytest.mark.parametrize(
        "selection",
        [
            {"ids": "faulted"},
            {"phase": "FAULTED", "reason": "exhausted:http-402"},
            {"strategyId": "harsh", "phase": "FAULTED"},
            {"strategyId": "harsh", "statuses": ["CANCELED"]},
        ],
        ids=["id", "phase", "phase of a strategy", "status"],
    )
    def test_it_is_named_by_id_phase_or_status(self, town: Town, faulted: str, selection: Json) -> None:
        named = {"ids": [faulted]} if "ids" in selection else selection
        assert town.changed(named, {"name": "retry"}) == {faulted}

    def test_instances_without_a_failed_event_are_refused(self, town: Town) -> None:
        _, answer = town.bulk({"ids": [town.healthy, town.doubtful]}, {"name": "retry"})
        assert {one["why"] for one in answer["results"]} == {"no event of the instance has failed"}

    def test_calls_in_doubt_are_decided(self, town: Town) -> None:
        skip = {"name": "resolve", "decision": "skip"}
        assert town.changed({"reason": "in-doubt"}, skip, comment="the bank says no") == {town.doubtful}
        entries = town.client("GET", f"/audit?target={town.doubtful}")[1]["items"]
        assert (entries[0]["command"], entries[0]["reason"]) == ("resolve skip", "the bank says no")
        _, answer = town.bulk({"ids": [town.healthy]}, skip)
        assert answer["results"][0]["why"] == "no event of the instance has a call in doubt"

    def test_attributes_are_changed(self, town: Town) -> None:
        update = {"name": "update", "attributes": {"city": "Ulm", "plan": "gold"}}
        assert town.changed({"attribute": {"city": "Bonn"}}, update) == {town.healthy}
        assert town.shown(town.healthy)["attributes"] == {"city": "Ulm", "plan": "gold"}

    def test_the_operation_shows_its_command_without_values(self, town: Town) -> None:
        ids = {"ids": [town.healthy]}

        def command(sent: Json) -> Json:
            return dict(town.bulk(ids, sent)[1]["command"])

        assert command({"name": "update", "attributes": {"b": "s3cret", "a": None}}) == {
            "name": "update",
            "attributeNames": ["a", "b"],
        }
        assert command({"name": "retry", "fromStep": "pay"}) == {"name": "retry", "fromStep": "pay"}
        assert command({"name": "retry"}) == {"name": "retry"}
        assert command({"name": "resolve", "decision": "fail"}) == {"name": "resolve", "decision": "fail"}

    def test_invalid_attributes_are_refused_for_each_instance(self, town: Town) -> None:
        _, answer = town.bulk({"ids": [town.healthy]}, {"name": "update", "attributes": {"city": [1]}})
        assert answer["results"][0]["outcome"] == "refused"

    def test_a_repeated_operation_changes_each_instance_once(self, town: Town) -> None:
        body = {"selection": {"ids": [town.refused]}, "command": {"name": "retry"}}
        key = {"idempotency-key": "k-1"}
        first, again = (town.client("POST", "/bulk-operation", body, more=key)[1] for _ in range(2))
        assert first["results"] == again["results"]
