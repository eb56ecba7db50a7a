"""Each guard of the protocol is removed once, and the search finds the invariant that breaks without it."""

import importlib
import re
from pathlib import Path

import pytest

from tests.model import laws
from tests.model.configurations import NEEDED_IN, needing
from tests.model.guards import GUARDS, NAMES
from tests.model.search import STUCK, search

ROOT = Path(__file__).parents[2]
README = Path(__file__).parent / "README.md"

BREAKS = {
    "claim_checks_rev": laws.AT_THE_SAME_TIME,
    "command_checks_rev": laws.UNMARKED,
    "claim_moves_fence": laws.WITHOUT_A_CLAIM,
    "kill_moves_fence": laws.RECORD_CHANGED,
    "takeover_fences_first": laws.ONCE_PASSED,
    "advance_checks_fence": laws.WITHOUT_A_CLAIM,
    "journal_checks_fence": laws.OVERWRITTEN,
    "record_checks_fence": laws.OVERWRITTEN,
    "record_before_advance": laws.UNRECORDED,
    "record_counts_by_fence": laws.UNMARKED,
    "lease_respected": laws.WITHOUT_A_CLAIM,
    "lease_checked_before_call": laws.WITHOUT_A_CLAIM,
    "refresh_between_steps": laws.WITHOUT_A_CLAIM,
    "stop_decides_again": STUCK,
    "events_in_order": laws.OUT_OF_ORDER,
    "intent_before_call": laws.SECOND_KEY,
    "key_kept_without_answer": laws.SECOND_KEY,
    "journal_followed": laws.ONCE_PASSED,
    "takeover_refences": laws.ONCE_PASSED,
    "claim_refences_after_a_pause": laws.ONCE_PASSED,
    "claim_reads_after_refence": laws.UNMARKED,
    "late_failures_ignored": laws.SECOND_KEY,
    "takeover_marks_doubt": laws.SENT_AGAIN,
    "kill_marks_doubt": laws.SENT_AGAIN,
    "kill_keeps_known_visits": laws.SECOND_KEY,
    "applied_with_directives": laws.APPLIED_TWICE,
    "takeover_applies_directives": laws.NOT_DONE,
    "flag_read_after_claim": laws.AFTER_THE_FLAG,
    "flag_read_after_block": STUCK,
    "release_job_with_flag": STUCK,
    "claim_given_back": laws.POISONED_BY_OUTAGE,
    "only_own_claim_given_back": laws.WITHOUT_A_CLAIM,
    "late_takeover_not_counted": laws.POISONED_BY_OUTAGE,
    "wakeup_after_commit": STUCK,
    "wakeup_scheduled_at_exit": STUCK,
    "sweeper_runs": STUCK,
    "sweep_after_lease": STUCK,
    "unreadable_moves_on": STUCK,
}
"""The invariant that is broken without each guard."""


@pytest.mark.parametrize("guard", NAMES)
def test_a_missing_guard_breaks_an_invariant(guard: str) -> None:
    found = search(needing(guard)).counterexample

    assert found is not None
    print(f"\nwithout {guard}, {found}")  # noqa: T201 - pytest -s shows the shortest trace
    assert found.invariant == BREAKS[guard]
    assert found.trace


@pytest.mark.parametrize("path", sorted(set(GUARDS.values())))
def test_the_function_of_a_guard_exists(path: str) -> None:
    module, names = path, list[str]()
    while not _is_module(module):
        module, _, name = module.rpartition(".")
        names.insert(0, name)
    found = importlib.import_module(module)
    for name in names:
        found = getattr(found, name)

    assert callable(found)


def test_every_guard_has_a_function_a_search_and_a_row() -> None:
    rows = dict(
        re.findall(r"^\| `(\w+)` \|[^|]*\| `([\w.]+)` \|$", README.read_text(encoding="utf-8"), re.MULTILINE)
    )

    assert rows == {name: ".".join(path.split(".")[-2:]) for name, path in GUARDS.items()}
    assert list(GUARDS) == list(NAMES) == list(NEEDED_IN) == list(BREAKS)


def _is_module(path: str) -> bool:
    return ROOT.joinpath(*path.split(".")).with_suffix(".py").is_file()
