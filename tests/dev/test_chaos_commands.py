"""The commands of a run under faults, and their record."""

import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest

from dev.chaos.command_log import CommandLog, Reply
from dev.chaos.commands import Clients
from dev.chaos.judge import Start
from dev.chaos.stops import Sent
from dev.gateway import HttpReply, HttpRequest
from dev.http_server import HttpServer

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


class Chooses(random.Random):
    """Makes a client send one command."""

    def __init__(self, name: str) -> None:
        super().__init__(1)
        self._name = name

    def choices(self, *_: object, **__: object) -> list[Any]:
        return [self._name]


@pytest.mark.enable_socket
class TestStartsOverHttp:
    """Each dialect sends the request that starts an instance twice, with its key as an attribute."""

    ANSWERS: ClassVar[dict[str, Any]] = {
        "/execution-instance": {"executionInstance": {"sid": "i"}},
        "/joc/api/orders/add": {"ok": True, "orderIds": ["#2026-01-01#T1-x"]},
        "/scheduler/connector-api/process/start": {"robustaSpid": "i"},
    }

    @pytest.mark.parametrize(
        ("dialect", "name", "place", "sids"),
        [
            ("core", "create", ("attributes",), {"i"}),
            ("orders", "add", ("orders", 0, "arguments"), set()),
            ("automation", "trigger", (), set()),
            ("process", "start", ("values",), {"i"}),
        ],
    )
    def test_a_start(self, dialect: str, name: str, place: tuple[str | int, ...], sids: set[str]) -> None:
        received: list[HttpRequest] = []

        def answer(request: HttpRequest) -> HttpReply:
            if request.target.endswith("/login"):
                return HttpReply(status=200, headers=[("X-Access-Token", "t")], body=b"{}")
            received.append(request)
            body = self.ANSWERS.get(request.target)
            return HttpReply(status=200, headers=[], body=b"" if body is None else json.dumps(body).encode())

        server = HttpServer(answer, 0)
        clients = Clients(server.url, seed=1, shared=["h"], definition="d", ends=NOON)
        try:
            for _ in range(2 if dialect == "orders" else 1):  # the first time it logs in
                getattr(clients, f"_{dialect}")(Chooses(name))
        finally:
            server.close()

        assert len(received) == 2
        (key,) = {request.headers["idempotency-key"] for request in received}
        for request in received:
            attributes = json.loads(request.body)
            for member in place:
                attributes = attributes[member]
            assert attributes["startKey"] == key
        assert clients.log.starts() == [Start(key=key, sids=frozenset(sids), succeeded=True)]
        assert json.loads(clients.log.as_json())["starts"] == [
            {"key": key, "sids": sorted(sids), "succeeded": True}
        ]


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
