"""The record of the commands of a run under faults."""

from datetime import UTC, datetime, timedelta

import pytest

from dev.chaos.command_log import CommandLog, Reply
from dev.chaos.judge import Start
from dev.chaos.stops import Sent

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(seconds=1)

DONE = Reply(status=200)
NO_REPLY = Reply(status=None)


class TestStarts:
    """The requests under one key are one start."""

    def test_the_answers_of_both_requests_are_kept(self) -> None:
        log = CommandLog()
        log.record_start("k", "i", DONE)
        log.record_start("k", "j", DONE)

        assert log.starts() == [Start(key="k", sids=frozenset({"i", "j"}), succeeded=True)]
        assert log.created == ["i", "j"]

    def test_an_instance_is_created_once(self) -> None:
        log = CommandLog()
        log.record_start("k", "i", DONE)
        log.record_start("k", "i", DONE)

        assert log.starts() == [Start(key="k", sids=frozenset({"i"}), succeeded=True)]
        assert log.created == ["i"]

    def test_one_success_of_two_requests_is_a_success(self) -> None:
        log = CommandLog()
        log.record_start("k", None, DONE)
        log.record_start("k", None, NO_REPLY)

        assert log.starts() == [Start(key="k", succeeded=True)]

    def test_a_start_without_a_reply_has_not_succeeded(self) -> None:
        log = CommandLog()
        log.record_start("k", None, NO_REPLY)
        log.record_start("l", "i", DONE)

        assert log.starts() == [Start(key="k"), Start(key="l", sids=frozenset({"i"}), succeeded=True)]
        assert log.created == ["i"]


class TestSentCommands:
    """A command to instances is recorded with what its answer says."""

    @staticmethod
    def recorded(name: str, reply: Reply) -> list[Sent]:
        log = CommandLog()
        log.record_sent(name, ["i"], reply, sent_at=NOON, answered_at=LATER)
        return log.to_instances

    @pytest.mark.parametrize(
        ("reply", "answered_at"),
        [
            (DONE, LATER),
            (Reply(status=409), LATER),
            (Reply(status=499), LATER),
            (Reply(status=500), None),
            (Reply(status=503), None),
            (NO_REPLY, None),
        ],
        ids=lambda one: str(one.status) if isinstance(one, Reply) else "",
    )
    def test_after_a_5xx_or_no_reply_it_may_still_take_effect(
        self, reply: Reply, answered_at: datetime | None
    ) -> None:
        (sent,) = self.recorded("resume", reply)

        assert (sent.answered_at, sent.succeeded) == (answered_at, reply.status == 200)

    def test_a_command_that_was_not_sent_is_none(self) -> None:
        assert self.recorded("resume", Reply(status=None, unsent=True)) == []

    @pytest.mark.parametrize(
        ("name", "body", "draining"),
        [
            ("pause", {"draining": False}, False),
            ("pause", {"draining": True}, True),
            ("cancel", {"executionInstance": {"draining": False}}, False),
            ("cancel", {"executionInstance": {"draining": True}}, True),
            ("cancel", {"ok": True}, None),
            ("cancel", None, None),
            ("bulk pause", {"status": "COMPLETED"}, None),
        ],
    )
    def test_the_core_dialect_says_whether_a_step_is_in_flight(
        self,
        name: str,
        body: object,
        draining: bool | None,  # noqa: FBT001 - a case
    ) -> None:
        (sent,) = self.recorded(name, Reply(status=200, body=body))

        assert sent.draining is draining

    def test_a_refusal_says_nothing(self) -> None:
        (sent,) = self.recorded("pause", Reply(status=409, body={"draining": False}))

        assert sent.draining is None
