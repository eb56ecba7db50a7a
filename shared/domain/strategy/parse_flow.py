"""The checks of a task's flow: steps that cannot be reached, and loops without a wait.

Source: docs/design.md section 5.
"""

from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from itertools import islice

from shared.domain.strategy.model import RuleKind, Step, Task
from shared.domain.strategy.parse_schedule import passes_time
from shared.domain.strategy.reader import Reader

_MAX_LOOPS = 100

_MAX_STEPS_SHOWN = 10
"""How many steps of a loop a message names."""


def check_flow(
    reader: Reader, task: Task, positions: Mapping[str, int], *, later: Mapping[str, bool | None]
) -> None:
    """Note every step that cannot be reached, and every loop without a wait at its first step.

    ``reader`` reads the task, ``positions`` has the position of each key in ``steps``, and ``later`` says whether
    each action is asynchronous. Rules of every kind count. If several loops share a step, only one is noted, and
    at most a hundred loops in all.
    """
    steps = {key: step for key, step in task.steps.items() if key}
    if task.initial_step in steps:
        for key in steps.keys() - _reached(steps, task.initial_step):
            message = f"step {key!r} cannot be reached"
            reader.problem("steps", "unreachable", message, below=f"/{positions[key]}/key")
    # A loop without a wait would call services as fast as it can, without an end.
    waitless = {key: step for key, step in steps.items() if not _waits(step, later)}
    for loop in islice(_loops(waitless), _MAX_LOOPS):
        start = min(range(len(loop)), key=lambda index: positions[loop[index]])
        path = [*loop[start:], *loop[:start]]
        message = f"the step leads back to itself without a step that waits: {_shown(path)}"
        reader.problem("steps", "loop", message, below=f"/{positions[path[0]]}/key")


def _waits(step: Step, later: Mapping[str, bool | None]) -> bool:
    delayed = step.delay is not None and passes_time(step.delay)
    return delayed or step.wait_for_answer is not None or later.get(step.action or "") is True


def _targets(step: Step) -> list[str]:
    # A final step follows only its rules for errors and retries.
    targets = [rule.next_step for rule in step.rules if not (step.final and rule.kind is RuleKind.CALLBACK)]
    if step.next_step is not None and not step.final:
        targets.append(step.next_step)
    return targets


def _reached(steps: Mapping[str, Step], start: str) -> set[str]:
    reached: set[str] = set()
    ahead = [start]
    while ahead:
        key = ahead.pop()
        if key in steps and key not in reached:
            reached.add(key)
            ahead.extend(_targets(steps[key]))
    return reached


def _loops(steps: Mapping[str, Step]) -> Iterator[list[str]]:
    """Yield loops that share no step, each as its steps in their order."""
    graph = {key: [target for target in _targets(step) if target in steps] for key, step in steps.items()}
    while True:
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            # The sorter follows the arrows backwards, and the first step is also the last.
            loop: list[str] = error.args[1][:0:-1]
        else:
            return
        yield loop
        graph = {
            key: [target for target in targets if target not in loop]
            for key, targets in graph.items()
            if key not in loop
        }


def _shown(path: list[str]) -> str:
    named = [*path[:_MAX_STEPS_SHOWN], "..."] if len(path) > _MAX_STEPS_SHOWN else path
    return " -> ".join([*named, path[0]])
