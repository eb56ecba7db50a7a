"""The searches: small ones for ``make test``, large ones for ``make model``, and one in which each guard is needed."""

from dataclasses import replace
from typing import Final

from tests.model.guards import without
from tests.model.state import LOST, OK, REFUSED, SILENT, Budget
from tests.model.world import Configuration

COMMANDS: Final = ("pause", "cancel", "pause with kill", "cancel with kill")
ANSWERS: Final = (OK, REFUSED, LOST, SILENT)

CRASHES: Final = Configuration(name="crashes and stalls", budget=Budget(crashes=1, stalls=2))
RETRIES: Final = Configuration(
    name="retries", events=1, runs=2, answers=ANSWERS, budget=Budget(stalls=2, bad_answers=1)
)
THREE_RUNNERS: Final = Configuration(
    name="three runners in a row",
    events=1,
    runs=2,
    max_crashes=3,
    answers=(OK, LOST),
    budget=Budget(crashes=1, stalls=2, bad_answers=1),
)
CLOCKS: Final = replace(CRASHES, name="clocks that differ", clocks_differ=True)
CLOCKS_AND_RETRIES: Final = replace(RETRIES, name="clocks that differ, and retries", clocks_differ=True)
DELAYS: Final = Configuration(
    name="a delay and a pause",
    events=1,
    runs=2,
    answers=(OK, REFUSED),
    commands=("pause",),
    is_delayed=True,
    budget=Budget(crashes=1, stalls=2, bad_answers=1, commands=1),
)
CLOCKS_AND_DELAYS: Final = replace(
    DELAYS, name="clocks that differ, and a delay", clocks_differ=True, budget=Budget(stalls=3, bad_answers=1)
)
STOPS: Final = Configuration(name="commands", commands=COMMANDS, budget=Budget(stalls=1, commands=1))
KILLS: Final = Configuration(
    name="a kill and a refusal",
    events=1,
    runs=2,
    answers=(OK, REFUSED),
    commands=("pause with kill",),
    budget=Budget(stalls=1, bad_answers=1, commands=1),
)
DIRECTIVES: Final = Configuration(
    name="directives",
    events=1,
    has_directive=True,
    commands=COMMANDS,
    budget=Budget(crashes=1, stalls=1, commands=1),
)
REPLIES: Final = Configuration(
    name="lost replies", events=1, has_directive=True, budget=Budget(crashes=1, stalls=1, lost_replies=2)
)
RETRY_REPLIES: Final = Configuration(
    name="lost replies of a retry",
    events=1,
    runs=2,
    answers=(OK, REFUSED),
    budget=Budget(stalls=1, bad_answers=1, lost_replies=1),
)
FLAGS: Final = Configuration(
    name="flags", events=1, has_flag=True, budget=Budget(crashes=1, pauses_of_flag=2)
)
SHORT_JOBS: Final = Configuration(
    name="short release jobs", has_flag=True, jobs_linger=False, budget=Budget(pauses_of_flag=2)
)
OUTAGES: Final = Configuration(name="outages", has_outages=True, budget=Budget(outages=2))
WAKEUPS: Final = Configuration(
    name="wakeups",
    events=1,
    wakeups=True,
    has_neighbour=True,
    budget=Budget(crashes=1, extra_wakeups=1, lost_wakeups=1),
)
NO_SWEEPER: Final = Configuration(
    name="no sweeper", wakeups=True, dates_ahead=True, has_sweeper=False, budget=Budget(extra_wakeups=2)
)
NO_SWEEPER_BUT_PAUSES: Final = replace(
    NO_SWEEPER, name="no sweeper, but a pause", commands=("pause",), budget=Budget(commands=1)
)
HELD_EVENT: Final = Configuration(
    name="an event on hold", wakeups=True, has_waiting_event=True, has_sweeper=False
)
UNREADABLE: Final = Configuration(
    name="unreadable settings",
    events=1,
    wakeups=True,
    can_be_unreadable=True,
    budget=Budget(crashes=1, outages=2),
)

SMALL: Final = (
    CRASHES,
    RETRIES,
    THREE_RUNNERS,
    CLOCKS,
    CLOCKS_AND_RETRIES,
    DELAYS,
    CLOCKS_AND_DELAYS,
    STOPS,
    KILLS,
    DIRECTIVES,
    REPLIES,
    RETRY_REPLIES,
    FLAGS,
    SHORT_JOBS,
    OUTAGES,
    WAKEUPS,
    NO_SWEEPER,
    NO_SWEEPER_BUT_PAUSES,
    HELD_EVENT,
    UNREADABLE,
)
"""The configurations that ``make test`` searches."""

LARGE: Final = (
    replace(
        RETRIES,
        name="retries and commands",
        commands=COMMANDS,
        budget=Budget(stalls=2, bad_answers=2, commands=1),
    ),
    replace(
        RETRIES,
        name="three runners at once",
        runners=3,
        max_crashes=3,
        answers=(OK, REFUSED, LOST),
        budget=Budget(stalls=2, bad_answers=1),
    ),
    replace(
        CRASHES,
        name="two events with retries",
        runs=2,
        answers=ANSWERS,
        budget=Budget(crashes=1, stalls=1, bad_answers=2),
    ),
    replace(FLAGS, events=2, commands=COMMANDS, budget=Budget(crashes=1, pauses_of_flag=1, commands=1)),
    replace(
        WAKEUPS,
        dates_ahead=True,
        commands=COMMANDS,
        budget=Budget(crashes=1, extra_wakeups=1, lost_wakeups=1, commands=1),
    ),
    replace(STOPS, budget=Budget(crashes=1, stalls=1, commands=1)),
    replace(REPLIES, commands=COMMANDS, budget=Budget(crashes=1, stalls=1, lost_replies=2, commands=1)),
    replace(
        OUTAGES,
        events=1,
        runs=2,
        answers=ANSWERS,
        commands=COMMANDS,
        budget=Budget(outages=2, bad_answers=1, commands=1),
    ),
    replace(OUTAGES, commands=COMMANDS, budget=Budget(outages=1, commands=1)),
    replace(
        CLOCKS_AND_RETRIES,
        name="clocks that differ, and commands",
        commands=COMMANDS,
        budget=Budget(crashes=1, stalls=1, bad_answers=1, commands=1),
    ),
    replace(
        THREE_RUNNERS,
        name="three runners whose clocks differ",
        runners=3,
        clocks_differ=True,
        budget=Budget(stalls=2, bad_answers=1),
    ),
    replace(DELAYS, name="a delay and commands", commands=COMMANDS),
    replace(
        CLOCKS_AND_DELAYS,
        name="clocks that differ, a delay, and commands",
        commands=COMMANDS,
        budget=Budget(stalls=2, bad_answers=1, commands=1),
    ),
    replace(DIRECTIVES, budget=Budget(crashes=1, stalls=1, commands=2)),
    replace(UNREADABLE, events=2, commands=COMMANDS, budget=Budget(crashes=1, outages=1, commands=1)),
)
"""The configurations that ``make model`` searches, the longest first."""

NEEDED_IN: Final = {
    "claim_checks_rev": CRASHES,
    "command_checks_rev": STOPS,
    "claim_moves_fence": RETRY_REPLIES,
    "kill_moves_fence": STOPS,
    "takeover_fences_first": CLOCKS,
    "advance_checks_fence": CRASHES,
    "journal_checks_fence": CRASHES,
    "record_checks_fence": CRASHES,
    "record_before_advance": CRASHES,
    "record_counts_by_fence": CRASHES,
    "lease_respected": CRASHES,
    "lease_checked_before_call": CRASHES,
    "refresh_between_steps": STOPS,
    "stop_decides_again": NO_SWEEPER_BUT_PAUSES,
    "events_in_order": CRASHES,
    "intent_before_call": CRASHES,
    "key_kept_without_answer": RETRIES,
    "journal_followed": CRASHES,
    "takeover_refences": THREE_RUNNERS,
    "claim_refences_after_a_pause": DELAYS,
    "claim_reads_after_refence": CLOCKS_AND_DELAYS,
    "late_failures_ignored": RETRIES,
    "takeover_marks_doubt": CRASHES,
    "kill_marks_doubt": KILLS,
    "kill_keeps_known_visits": KILLS,
    "applied_with_directives": DIRECTIVES,
    "takeover_applies_directives": DIRECTIVES,
    "flag_read_after_claim": FLAGS,
    "flag_read_after_block": SHORT_JOBS,
    "release_job_with_flag": FLAGS,
    "claim_given_back": OUTAGES,
    "only_own_claim_given_back": OUTAGES,
    "late_takeover_not_counted": OUTAGES,
    "wakeup_after_commit": HELD_EVENT,
    "wakeup_scheduled_at_exit": NO_SWEEPER,
    "sweeper_runs": WAKEUPS,
    "sweep_after_lease": WAKEUPS,
    "unreadable_moves_on": WAKEUPS,
}
"""A search that breaks an invariant if the guard is missing."""


def needing(guard: str) -> Configuration:
    """Return the configuration of the search that finds out that a guard is missing."""
    needed = NEEDED_IN[guard]
    return replace(needed, name=f"{needed.name}, without {guard}", guards=without(guard))
