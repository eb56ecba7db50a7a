"""Workflow definitions: read, check, and translate into settings of a strategy.

Source: docs/contracts/automation.md A.2 and A.4.
"""

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from msgspec import Struct

from shared.api.automation.flows import Flow, sentence
from shared.api.automation.lines import Lines
from shared.domain.errors import InvalidInputError, MoreProblems, Problem
from shared.domain.strategy.model import json_size
from shared.expressions import spending
from shared.expressions.limits import CHECK_SECONDS

Json = Any

MAX_NAME_CHARACTERS = 255
MAX_SUBACCOUNT_CHARACTERS = 100
MAX_STORED_BYTES = 240 * 1024
"""The maximum size of a definition with its settings as JSON, because both are in one item of 400 KB at most."""

_STEP = re.compile(r"/settings/tasks/0/steps/([0-9]+)(/.*)?")


class Trigger(StrEnum):
    """The event that starts workflows of a definition."""

    INBOUND_SMS = "inbound_sms"
    INBOUND_CHAT_APPS = "inbound_chat_apps"
    HTTP_REQUEST = "http_request"


class Status(StrEnum):
    """Whether the trigger starts workflows."""

    ENABLED = "enabled"
    DISABLED = "disabled"


class InvalidDefinitionError(Exception):
    """A definition is invalid. The message has a line or more for each of the first problems."""

    def __init__(self, lines: Iterable[str]) -> None:
        """Join the lines."""
        super().__init__("\n".join(Lines(lines)))


class Document(Struct, frozen=True, kw_only=True):
    """A valid definition: its ``source`` as sent, and the ``settings`` of the strategy that runs it."""

    name: str
    source: Mapping[str, Json]
    settings: Mapping[str, Json]

    @property
    def labels(self) -> dict[str, str]:
        """The labels of the strategy, by which definitions are found without reading them."""
        return labels_of(self.source)


@spending(CHECK_SECONDS)
def read_document(body: Mapping[str, Json], *, environment: str) -> Document:
    """Return a definition. Raises: InvalidDefinitionError: with every problem."""
    problems = Lines()
    trigger, status = _trigger(body, problems), _status(body, problems)
    _check_sub_account(body, problems)
    definition = body.get("definition")
    if not isinstance(definition, Mapping):
        problems.append(f"Definition {'is required' if definition is None else 'must be an object'}.")
        definition = None
    flow = Flow(environment)
    name = "" if definition is None else _name(definition, problems)
    if definition is not None:
        flow.read(definition.get("steps"))
    problems.extend(flow.problems)
    if status is Status.ENABLED:
        problems.extend(_unable(trigger))
        problems.extend(flow.unable)
    if problems:
        raise InvalidDefinitionError(problems)
    settings = flow.settings()
    if json_size(dict(body)) + json_size(settings) > MAX_STORED_BYTES:
        message = f"The definition must not be larger than {MAX_STORED_BYTES // 1024} KB as it is stored."
        raise InvalidDefinitionError([message])
    return Document(name=name, source=body, settings=settings)


def labels_of(source: Mapping[str, Json]) -> dict[str, str]:
    """Return the labels of a valid definition."""
    sub_account = _given_sub_account(source)
    return {
        "trigger": str(source["trigger"]),
        "status": str(source.get("status") or Status.DISABLED),
        **({} if sub_account is None else {"subAccountId": sub_account}),
    }


def engine_problems(error: InvalidInputError, settings: Mapping[str, Json]) -> InvalidDefinitionError:
    """Return the engine's problems with the settings of a definition, each by the name of its step."""
    lines = dict.fromkeys(_line(problem, settings) for problem in error.problems)
    return InvalidDefinitionError(lines)


def _line(problem: Problem, settings: Mapping[str, Json]) -> str:
    if isinstance(problem, MoreProblems):
        return sentence(problem.message)
    match = _STEP.fullmatch(problem.pointer)
    caret = "" if problem.caret is None else f":\n{problem.caret}"
    if match is None:
        return sentence(f"The definition cannot be run: {problem.pointer}: {problem.message}{caret}")
    step = settings["tasks"][0]["steps"][int(match[1])]["key"]
    return sentence(f"Step '{step}': {problem.message}{caret}")


def _trigger(body: Mapping[str, Json], problems: Lines) -> Trigger | None:
    given = body.get("trigger")
    if given is not None and given in list(Trigger):
        return Trigger(given)
    rule = "is required" if given is None else f"must be one of {', '.join(Trigger)}"
    problems.append(f"Trigger {rule}.")
    return None


def _status(body: Mapping[str, Json], problems: Lines) -> Status | None:
    given = body.get("status")
    if given is None:
        return Status.DISABLED
    if given in list(Status):
        return Status(given)
    problems.append(f"Status must be one of {', '.join(Status)}.")
    return None


def _check_sub_account(body: Mapping[str, Json], problems: Lines) -> None:
    """Check both spellings, which the vendor's documents have."""
    for name in ("subAccountId", "subaccountId"):
        given = body.get(name)
        if given is not None and (
            not isinstance(given, str) or not 1 <= len(given) <= MAX_SUBACCOUNT_CHARACTERS
        ):
            problems.append(f"{name} must be a string of 1 to {MAX_SUBACCOUNT_CHARACTERS} characters.")
            return
    first, second = body.get("subAccountId"), body.get("subaccountId")
    if first is not None and second is not None and first != second:
        problems.append("subAccountId and subaccountId must not differ.")


def _given_sub_account(body: Mapping[str, Json]) -> str | None:
    given = body.get("subAccountId")
    sub_account = body.get("subaccountId") if given is None else given
    return None if sub_account is None else str(sub_account)


def _name(definition: Mapping[str, Json], problems: Lines) -> str:
    name = definition.get("name")
    if name is None or name == "":
        problems.append("Workflow name is required.")
    elif not isinstance(name, str) or len(name) > MAX_NAME_CHARACTERS:
        problems.append(f"Workflow name must be a string of at most {MAX_NAME_CHARACTERS} characters.")
    else:
        return name
    return ""


def _unable(trigger: Trigger | None) -> list[str]:
    """Return the problem of a trigger that the engine has no source for."""
    if trigger in (None, Trigger.HTTP_REQUEST):
        return []
    return [f"Trigger '{trigger}' needs a telephone network, which is not available; save it as disabled."]
