"""The functions of a running local stack with their environment, in a file that only its owner can read.

The environment has secrets (the pepper, the settings key), so that no server gives it out: not the stack's own routes,
and not Lambda's API either.
"""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dev.client import Api, RefusedError
from dev.template import Function

FILE = "functions.json"
SECRETS = ("PEPPER", "SETTINGS_KEY")
"""The variables of a function that are left out wherever a server shows its environment."""

EMULATOR_PATH = "/_aws/emulator"
"""The path at which the stack forwards requests of containers to the emulator, whose address they cannot reach."""

_ASK_SECONDS = 10


class NoStackError(Exception):
    """No local stack runs on a state folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalFunctions:
    """The functions of a stack by logical id, each with its whole environment.

    ``pid`` is the process of the stack. ``containers_at`` is the name or address at which containers reach this
    machine, None if the stack refuses them.
    """

    url: str
    pid: int
    containers_at: str | None
    functions: Mapping[str, Function]


def write(folder: Path, found: LocalFunctions) -> Path:
    """Write the file of a stack's folder and return its path."""
    functions = {
        name: {
            "name": function.name,
            "handler": function.handler,
            "timeoutSeconds": function.timeout_seconds,
            "environment": dict(function.environment),
        }
        for name, function in found.functions.items()
    }
    document = {
        "url": found.url,
        "pid": found.pid,
        "containersAt": found.containers_at,
        "functions": functions,
    }
    write_private(folder / FILE, json.dumps(document, indent=2))
    return folder / FILE


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, even if it was there before with other rights."""
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:  # noqa: PTH123 - takes rights
        file.write(text)
    fresh.replace(path)


def read(file: Path) -> LocalFunctions:
    """Return the local functions that a stack has written to a file. Raises: FileNotFoundError."""
    document = json.loads(file.read_text())
    functions = {
        name: Function(
            logical_id=name,
            name=value["name"],
            handler=value["handler"],
            timeout_seconds=value["timeoutSeconds"],
            environment=value["environment"],
        )
        for name, value in document["functions"].items()
    }
    return LocalFunctions(
        url=document["url"],
        pid=document["pid"],
        containers_at=document["containersAt"],
        functions=functions,
    )


def of_running(folder: Path) -> LocalFunctions:
    """Return the functions of the stack that runs on a state folder. Raises: NoStackError."""
    with suppress(FileNotFoundError):
        found = read(folder / FILE)
        # The file stays when a stack is killed, and another one may have its port since.
        if _stack_at(found.url) == found.pid:
            return found
    raise NoStackError(
        f"no local stack runs on {folder}: start it with `make up`, or name its folder in STATE_DIR"
    )


def _stack_at(url: str) -> int | None:
    """Return the process id of the stack that answers at an address, or None if none does."""
    try:
        document = Api(url=url).call("GET", "/_local/processes", seconds=_ASK_SECONDS)
    except (OSError, ValueError, RefusedError):
        return None
    return document.get("stack") if isinstance(document, dict) else None
