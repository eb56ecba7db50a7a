"""The references to secrets in settings: where they stand, how they are named, and how many a call has.

Source: docs/contracts/core.md section 4.1; docs/decisions/0046.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from shared.domain.errors import Problem, Problems
from shared.domain.strategy.model import Json
from shared.domain.strategy.secret_names import RESERVED, why_no_reference
from shared.domain.validation.pointers import escaped
from shared.expressions import references_in
from shared.expressions.problems import caret_at_offset

MAX_SECRETS = 10
"""How many different secrets an action, or an authorization, may name: each may take a request to AWS."""

MAX_PLACES = 100
"""How often an action, or an authorization, may name secrets: each place is filled in separately."""

_PLACES = ("headers", "params", "data")
_RULE = "a secret may be used in headers, params and data of actions and authorizations only, not here"


class _Templates(NamedTuple):
    """A field whose strings are templates."""

    value: Json
    pointer: str
    takes_secrets: bool


def check_secrets(settings: Mapping[str, Json], problems: Problems, *, pointer: str) -> None:
    """Note each reference at a place where none is allowed, or with a name that breaks a rule, and too many of them.

    The secrets themselves are not read. Parts of another form than declared are left to the other checks.
    """
    for place, request in _requests(settings, pointer):
        named = [name for field in _fields(request, place) for name in _check(field, problems)]
        different = len(set(named))
        if different > MAX_SECRETS:
            message = f"names {different} secrets; at most {MAX_SECRETS} different ones are allowed here"
            problems.add(Problem(pointer=place, rule="too-many-secrets", message=message))
        if len(named) > MAX_PLACES:
            message = f"names secrets at {len(named)} places; at most {MAX_PLACES} are allowed here"
            problems.add(Problem(pointer=place, rule="too-many-secrets", message=message))
    for index, task in _objects(settings.get("tasks")):
        at = f"{pointer}/tasks/{index}/outputs"
        list(_check(_Templates(task.get("outputs"), at, takes_secrets=False), problems))


def _requests(settings: Mapping[str, Json], pointer: str) -> Iterator[tuple[str, Mapping[str, Json]]]:
    """Yield every part of the settings that describes a request: actions and authorizations."""
    for index, action in _objects(settings.get("actions")):
        yield f"{pointer}/actions/{index}", action
    for index, service in _objects(settings.get("services")):
        for number, entry in _objects(service.get("authorization")):
            yield f"{pointer}/services/{index}/authorization/{number}", entry


def _fields(request: Mapping[str, Json], place: str) -> Iterator[_Templates]:
    for name in (*_PLACES, "attributes"):
        yield _Templates(request.get(name), f"{place}/{escaped(name)}", takes_secrets=name in _PLACES)


def _check(field: _Templates, problems: Problems) -> Iterator[str]:
    """Note the problems of the references in a field, and yield the references without one."""
    for below, text, lookup in references_in(field.value, reserved=RESERVED):
        rule, why = "secret-place", _why_not_here(field, below)
        if why is None:
            rule, why = "secret-name", why_no_reference(lookup.segments)
        if why is None:
            yield ".".join(lookup.segments)
            continue
        caret = caret_at_offset(text, lookup.at)
        problems.add(Problem(pointer=f"{field.pointer}{below}", rule=rule, message=why, caret=caret))


def _why_not_here(field: _Templates, below: str) -> str | None:
    """Return the rule that a reference breaks by its place, or None."""
    if not field.takes_secrets:
        return _RULE
    if field.pointer.endswith("/headers") and below.lower() == "/idempotency-key":
        return "must not name a secret: a repeated call would have another key after a rotation"
    return None


def _objects(value: Json) -> Iterator[tuple[int, Mapping[str, Json]]]:
    """Yield the objects of a list with their positions."""
    for index, entry in enumerate(value if isinstance(value, list) else ()):
        if isinstance(entry, Mapping):
            yield index, entry
