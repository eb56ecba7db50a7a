"""Pages of the audit trail. Source: docs/design.md section 8."""

from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from dev.memory.world import MemoryPorts
from shared.application.audit import MAX_READS, Window, audit_page, from_the_end, page_with_creation
from shared.application.ports import AuditPosition
from shared.domain.ids import AccountId, OperationSid, event_sid
from shared.domain.instance.verdict import AuditEntry
from tests import full
from tests.application.bulk.bulk_worlds import ACCOUNT as GYM_ACCOUNT
from tests.application.bulk.bulk_worlds import NOON as JOINED
from tests.application.bulk.bulk_worlds import Marred
from tests.application.bulk.release_worlds import a_world
from tests.application.bulk.test_release import started

ACCOUNT = AccountId("acme")
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
LONG_AGO = NOON - timedelta(days=300)


def an_audit(*ages_in_hours: float, target: str = "i-1") -> MemoryPorts:
    """Return a world with audit entries at these hours before noon."""
    ports = a_world()
    for hours in ages_in_hours:
        ports.instances.audit.append(entry(hours, target))
    return ports


def entry(hours: float, target: str = "i-1") -> AuditEntry:
    return replace(
        full.AUDIT, account_id=ACCOUNT, at=NOON - timedelta(hours=hours), target=target, event=None
    )


def pages(
    ports: MemoryPorts, limit: int, *, since: datetime = LONG_AGO, target: str | None = None
) -> list[list[float]]:
    """Return the hours before noon of every entry, page by page."""
    window, before = Window(account=ACCOUNT, since=since, target=target), from_the_end(NOON)
    found: list[list[float]] = []
    place: AuditPosition | None = before
    while place is not None:
        page = audit_page(ports, window, before=place, limit=limit)
        found.append([(NOON - one.at).total_seconds() / 3600 for one in page.entries])
        place = page.after
    return found


class TestPages:
    """Entries are returned latest first and once, over days with and without entries."""

    def test_pages_span_several_days(self) -> None:
        ports = an_audit(1, 2, 30, 31, 32, 100)

        assert pages(ports, 2, since=NOON - timedelta(days=5)) == [[1, 2], [30, 31], [32, 100]]

    def test_entries_before_the_window_are_left_out(self) -> None:
        assert pages(an_audit(1, 49), 9, since=NOON - timedelta(days=2)) == [[1]]

    def test_an_empty_audit_is_one_empty_page(self) -> None:
        assert pages(an_audit(), 9, since=NOON - timedelta(days=5)) == [[]]

    def test_a_long_quiet_takes_several_pages(self) -> None:
        found = pages(an_audit(1, 24.0 * 290), 9)

        assert [page for page in found if page] == [[1], [24.0 * 290]]
        assert len(found) == -(-301 // MAX_READS)

    def test_a_target_selects_its_entries(self) -> None:
        ports = an_audit(*range(1, 12), target="other")
        ports.instances.audit += [entry(3.5), entry(9.5), entry(20)]

        assert pages(ports, 2, since=NOON - timedelta(days=2), target="i-1") == [[3.5, 9.5], [20]]

    def test_a_busy_day_is_read_in_parts(self) -> None:
        ports = an_audit(1.01, 1.02, 1.03, 1.04)

        assert pages(ports, 3, since=NOON - timedelta(hours=12)) == [[1.01, 1.02, 1.03], [1.04]]


class TestTargets:
    """Entries about a target are found without reading the entries between them."""

    def test_a_year_of_quiet_is_one_page(self) -> None:
        ports = an_audit(1, 24.0 * 290)

        assert pages(ports, 9, target="i-1") == [[1, 24.0 * 290]]

    def test_other_entries_of_busy_days_are_not_read(self) -> None:
        ports = an_audit(*(number / 100 for number in range(1, 300)), target="other")
        ports.instances.audit.append(entry(5))

        assert pages(ports, 1, target="i-1") == [[5]]

    def test_pages_continue_where_the_last_one_ended(self) -> None:
        assert pages(an_audit(1, 2, 3, 30, 400), 2, target="i-1") == [[1, 2], [3, 30], [400]]

    def test_entries_before_the_window_are_left_out(self) -> None:
        assert pages(an_audit(1, 49), 9, since=NOON - timedelta(days=2), target="i-1") == [[1]]

    def test_an_event_is_found_among_those_of_its_instance(self) -> None:
        ports = an_audit(*range(1, 40), target=full.SID)
        for hours in (3.5, 20.5):
            ports.instances.audit.append(replace(entry(hours, full.SID), event=event_sid(full.SID, 7)))
        ports.instances.audit.append(replace(entry(4.5, full.SID), event=event_sid(full.SID, 77)))

        assert pages(ports, 9, target=f"{full.SID}-7") == [[3.5, 20.5]]

    def test_an_event_without_entries_ends_although_its_instance_has_many(self) -> None:
        ports = an_audit(*(hours / 10 for hours in range(1, 200)), target=full.SID)

        found = pages(ports, 1, target=f"{full.SID}-7")

        assert not any(found)
        assert len(found) == -(-199 // (2 * MAX_READS))

    def test_an_operation_has_its_own_entries_and_those_of_its_commands(self) -> None:
        ports = an_audit(5, target="op-1")
        ports.instances.audit += [
            replace(entry(hours, f"i-{hours}"), operation=OperationSid("op-1")) for hours in (1, 2, 3)
        ]
        ports.instances.audit.append(replace(entry(4, "i-4"), operation=OperationSid("op-2")))

        assert pages(ports, 2, target="op-1") == [[1, 2], [3, 5]]


class TestCreations:
    """The trail of an instance or a strategy ends with its creation, which is derived from the item."""

    @staticmethod
    def page(ports: MemoryPorts, target: str, account: AccountId = GYM_ACCOUNT) -> list[tuple[str, str]]:
        window = Window(account=account, since=JOINED - timedelta(days=1), target=target)
        end = from_the_end(JOINED + timedelta(days=1))
        entries = page_with_creation(ports, window, before=end, limit=9).entries
        return [(one.command, one.by) for one in entries]

    def test_an_instance_says_who_created_it(self) -> None:
        ports = a_world()
        (sid,) = started(ports, [JOINED])
        instance = ports.instances.instances[sid]
        origin = replace(instance.origin, created_by="key-1")
        ports.instances.instances[sid] = replace(instance, origin=origin)

        assert self.page(ports, sid) == [("create", "key-1")]

    def test_an_unknown_author_is_said_to_be_unknown(self) -> None:
        ports = a_world()
        (sid,) = started(ports, [JOINED])

        assert self.page(ports, sid) == [("create", "unknown")]

    def test_a_stored_creation_is_not_repeated(self) -> None:
        ports = a_world()
        (sid,) = started(ports, [JOINED])
        at = ports.instances.instances[sid].created_at
        stored = replace(entry(0, sid), account_id=GYM_ACCOUNT, at=at, command="create", by="ann")
        ports.instances.audit.append(stored)

        assert self.page(ports, sid) == [("create", "ann")]

    def test_other_accounts_and_targets_have_no_creation(self) -> None:
        ports = a_world()
        (sid,) = started(ports, [JOINED])
        ports.strategies.heads[full.HEAD.sid] = replace(full.HEAD, account_id=GYM_ACCOUNT, created_at=JOINED)

        assert self.page(ports, full.HEAD.sid) == [("create-strategy", str(full.HEAD.created_by))]
        assert self.page(ports, full.HEAD.sid, ACCOUNT) == []
        assert self.page(ports, sid, ACCOUNT) == []
        assert self.page(ports, "queue") == []

    def test_the_audit_of_an_unreadable_instance_can_be_read(self) -> None:
        store = Marred()
        ports = a_world(store)
        (sid,) = started(ports, [JOINED])
        store.broken = {sid}
        ports.instances.audit.append(replace(entry(0, sid), account_id=GYM_ACCOUNT, at=JOINED))

        assert [command for command, _ in self.page(ports, sid)] == [full.AUDIT.command]
