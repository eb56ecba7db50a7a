"""Invokes one function with a sample event against a running local stack, without Docker. ``make invoke F= E=``.

The handler runs in a process of its own, with the environment and the clock that the stack gives its own workers.
It reads STATE_DIR (.state/up), as ``make up`` does.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dev.client import STACK_FOLDER
from dev.local_functions import NoStackError, of_running
from dev.template import Function, Template
from dev.up import STATE
from dev.workers import ROOT, Invocation, Worker

EVENTS = ROOT / "events"

_STOP_SECONDS = 10.0


class InvokeError(Exception):
    """The function cannot be invoked as asked. The text names the remedy."""


def samples(function: Function) -> list[Path]:
    """Return the sample events of a function: ``events/<folder of its handler>.json``, or with a suffix after ``-``."""
    folder = function.handler.split(".")[1]
    return [*EVENTS.glob(f"{folder}.json"), *sorted(EVENTS.glob(f"{folder}-*.json"))]


def chosen(name: str, event: str) -> tuple[str, Path]:
    """Return the function and the file of the event that are asked for; without an event, the function's sample.

    Raises: InvokeError: with those that exist.
    """
    functions = {one.logical_id: one for one in Template(ROOT / "template.yaml", {}).functions()}
    if name not in functions:
        raise InvokeError(f"there is no function {name!r} (F=): one of {', '.join(functions)}")
    files = samples(functions[name])
    if not event and files:
        return name, files[0]
    if not Path(event).is_file():
        known = ", ".join(str(file.relative_to(ROOT)) for file in files)
        raise InvokeError(f"there is no file {event!r} (E=): {name} has {known or 'no sample'}")
    return name, Path(event)


def event_in(file: Path) -> dict[str, Any]:
    """Return the event in a file. Raises: InvokeError."""
    try:
        event = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InvokeError(f"{file} is not JSON: {error}") from error
    if not isinstance(event, dict):
        raise InvokeError(f"{file} must contain a JSON object, the event")
    return event


def invoke(function: Function, event: Mapping[str, Any]) -> tuple[Any, int]:
    """Return the answer of a function, and 0; or its error, as Lambda shows it, and 1."""
    # What it logs goes to standard error, so that standard output is the answer alone.
    worker = Worker(function, {}, is_warm=False, output=sys.stderr.fileno())
    try:
        result = worker.call(Invocation(event=event, trigger="invoke"))
    finally:
        worker.stop(_STOP_SECONDS)
    if "error" in result:
        trace = str(result["error"]).strip().split("\n")
        return {"errorMessage": trace[-1], "stackTrace": trace}, 1
    return result["answer"], 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the answer as JSON. Return 1 if the function failed, 2 if it could not be invoked."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--function", required=True, help="the logical id of a function of template.yaml")
    parser.add_argument("--event", default="", help="a file with the event; the function's sample by default")
    options = parser.parse_args(arguments)
    try:
        name, file = chosen(options.function, options.event)
        event = event_in(file)
        found = of_running(Path(os.environ.get("STATE_DIR", STATE)) / STACK_FOLDER)
    except (InvokeError, NoStackError) as error:
        sys.stderr.write(f"make invoke: {error}\n")
        return 2
    if name not in found.functions:
        sys.stderr.write(f"make invoke: the running stack has no {name} yet: start it again\n")
        return 2
    answer, status = invoke(found.functions[name], event)
    sys.stdout.write(json.dumps(answer, indent=2) + "\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
