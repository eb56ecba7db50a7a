"""The reference of the settings in docs/api/core.md, and the tests that each setting does something."""

import importlib

from dev.settings_table import PAGE, with_reference
from shared.domain.strategy.settings import BUSINESS_DAYS, RETRY_CONFIG, SETTINGS, TIME_DELTA
from shared.domain.strategy.shapes import Kind, all_shapes

PROOFS = ("tests.application.test_settings_flow", "tests.application.test_settings_plan")
NOTES = {"key", "description"}
"""Names and notes, which do nothing."""
MEANINGFUL = (TIME_DELTA, RETRY_CONFIG, BUSINESS_DAYS)
"""Shapes that mean something else at each place, so that each field with one is proven."""


def settings_that_do_something() -> set[str]:
    """Return each field that is not only a note, or a container of others."""
    return {
        f"{shape.name}.{name}"
        for shape in all_shapes(SETTINGS).values()
        for name, field in shape.fields.items()
        if name not in NOTES and (field.kind not in (Kind.PART, Kind.PARTS) or field.shape in MEANINGFUL)
    }


def settings_proven(module: str) -> set[str]:
    """Return the fields that the tests of a module are marked with."""
    return {
        field
        for group in vars(importlib.import_module(module)).values()
        if isinstance(group, type)
        for test in vars(group).values()
        for mark in getattr(test, "pytestmark", ())
        if mark.name == "setting"
        for field in mark.args
    }


def test_the_reference_is_up_to_date() -> None:
    page = PAGE.read_text(encoding="utf-8")

    assert page == with_reference(page), "run `make settings`"


def test_the_reference_names_type_bounds_default_and_rules() -> None:
    page = with_reference(PAGE.read_text(encoding="utf-8"))

    for line in (
        (
            '| `timezone` | text, 1 to 128 |  | `"UTC"` | IANA zone of all date arithmetic and of simulated dates, '
            "or the attribute that names the zone of each instance, as in `{{attributes.timezone}}`. |"
        ),
        "| `if` | `onError`, `onBeforeRetry`, `onBeforePause`, `callback` | yes |  | When the rule is evaluated. |",
        "| `steps` | list of [Step](#step), at least 1 | yes |  | Its steps. |",
        "At least one of `scheduleAfter` and `cron` is required.",
        "`cron` must not be given beside `scheduleAfter`.",
    ):
        assert f"\n{line}\n" in page


def test_each_setting_has_a_test_in_which_it_alone_changes_something() -> None:
    assert {field for module in PROOFS for field in settings_proven(module)} == settings_that_do_something()
