"""Every field of a request acts, and unknown ones are refused. Source: docs/contracts/process.md C.2, C.5 and C.7."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from dev.memory.world import ManualClock, MemoryPorts
from shared import bootstrap
from shared.api.process.routes import BASE, ROUTES, SPELLINGS
from shared.api.process.schemas import FIELDS
from shared.api.reference.process import INPUTS
from tests.dialects.core.client import Client, Shop
from tests.dialects.core.test_matrix import stored_items
from tests.dialects.parameters import MISSING, Pair, cells, query_of, target_of
from tests.dialects.process.client import NOW_ONLY, ProcessClient, notepad, task
from tests.dialects.wire import NOON

NAME = "OneStepNotepadRunner"
RETRIED = {"times": 1, "retryAfter": {"unit": "minutes", "amount": 1}, "jitterPercent": 0}
START = f"POST {BASE}/process/start"
MONDAYS = {"quartzDef": "0 0 9 ? * MON"}
OTHER_DATES = ("2026-02-01 09:00:00", "2026-03-01 09:00:00")

TABLE: Mapping[str, Mapping[str, Pair]] = {
    START: {
        "name": Pair(NAME, "Another"),
        "values": Pair({"kullaniciAdi": "Ann"}, {"kullaniciAdi": "Bob"}),
        "worker": Pair("7", MISSING),
        "runOnce": Pair("Y", "N", MONDAYS),
        "runImmediately": Pair("Y", "N", MONDAYS),
        "run immediately": Pair("Y", "N", MONDAYS),
        "quartzDef": Pair("0 0 9 ? * MON", "0 0 9 ? * TUE"),
        "startDate": Pair(*OTHER_DATES, MONDAYS),
        "endDate": Pair(*OTHER_DATES, MONDAYS),
        "retryCount": Pair("0", "2"),
        "timezone": Pair("Europe/Istanbul", MISSING, MONDAYS),
    }
}


@pytest.fixture
def make(client: Client) -> Callable[[], ProcessClient]:
    """Makes an account with two processes whose service refuses the first two calls."""

    def made() -> ProcessClient:
        ports = MemoryPorts(caller=Shop(), clock=ManualClock(NOON))
        bootstrap.use_ports(ports)
        process = ProcessClient(Client(ports, client.hasher, client.shop))
        for name in (NAME, "Another"):
            process.saved(notepad(name, tasks=[task(retryConfig=RETRIED)]))
        process.robots.status = 402
        return process

    return made


def lived(process: ProcessClient, body: Mapping[str, Any], query: str = "") -> Any:
    """Return the effects of a process: its strategy, its next dates, its calls within an hour, and its status."""
    status, answer = process("POST", f"{BASE}/process/start{query}", {"name": NAME, **body})
    assert status == 200, answer
    sid = answer["robustaSpid"]
    dates = process.dates(sid, 60)
    for minute in range(60):
        process.run(sid, NOON.replace(minute=minute))
    instance = process.instance(sid)
    return instance.strategy_sid, dates, process.robots.sent, process.status(sid), instance.status


class TestFields:
    """Two requests that differ only in a field differ in dates, calls or status."""

    def test_every_field_has_a_row(self) -> None:
        assert set(TABLE[START]) == set(FIELDS) == set(INPUTS["StartProcess"]["properties"])

    def test_no_operation_has_parameters(self) -> None:
        assert [query_of(route) for route in ROUTES] == [set()] * len(ROUTES)
        bodies = [route.place for route in ROUTES if route.body is not None]
        assert bodies == [f"POST {base}/process/start" for base in SPELLINGS]

    @pytest.mark.parametrize(("place", "name", "pair"), cells(TABLE))
    def test_two_values_have_different_effects(
        self, make: Callable[[], ProcessClient], place: str, name: str, pair: Pair
    ) -> None:
        assert place == START
        bodies = [target_of(name, value, pair.beside)[1] for value in (pair.one, pair.other, pair.one)]
        one, other, same = (lived(make(), body) for body in bodies)

        assert one != other
        assert one == same


class TestUnknown:
    """Unknown fields are refused, whatever their spelling; parameters of the query are ignored."""

    @pytest.mark.parametrize("base", SPELLINGS)
    @pytest.mark.parametrize("name", ["surplus", "Name", "runonce", "run  immediately", "startdate"])
    def test_an_unknown_field_is_refused(
        self, make: Callable[[], ProcessClient], base: str, name: str
    ) -> None:
        process = make()
        before = stored_items(process.core)
        status, answer = process("POST", f"{base}/process/start", {"name": NAME, **NOW_ONLY, name: None})

        assert (status, answer) == (400, {"message": f"Invalid {name}: is not a known field"})
        assert stored_items(process.core) == before

    @pytest.mark.parametrize("query", ["?surplus=1", "?runOnce=N&worker=7", "?name=Another"])
    def test_parameters_are_ignored(self, make: Callable[[], ProcessClient], query: str) -> None:
        assert lived(make(), NOW_ONLY, query) == lived(make(), NOW_ONLY)

        process = make()
        sid = process.start(**NOW_ONLY).sid
        with_query = process("GET", f"{BASE}/process/status/{sid}{query}")
        assert with_query == process("GET", f"{BASE}/process/status/{sid}")
