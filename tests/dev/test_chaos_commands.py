"""The record of the commands of a run under faults."""

from dev.chaos.command_log import CommandLog, Reply
from dev.chaos.judge import Start

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
