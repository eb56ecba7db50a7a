"""What makes a flow of steps wrong as a whole: steps no way leads to, loops without a wait.

Source: design section 5.
"""

from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from itertools import islice

from shared.domain.strategy.model import RuleKind, Step, Task
from shared.domain.strategy.parse_schedule import passes_time
from shared.domain.strategy.reader import Reader

_MOST_LOOPS = 100

_LONGEST_WAY = 10
"""Steps of a loop that a message names."""


def check_flow(
    reader: Reader, task: Task, positions: Mapping[str, int], *, later: Mapping[str, bool | None]
) -> None:
    """Note every step out of reach, and every loop at the first of its steps.

    reader: stands at the task. positions: where in ``steps`` each key stands. later: the asynchronous actions.
    All rules count as ways, also those of side paths. Of loops that share a step one is told, and of
    more than a hundred the first.
    """
    steps = {key: step for key, step in task.steps.items() if key}
    if task.initial_step in steps:
        for key in steps.keys() - _reached(steps, task.initial_step):
            message = f"no way leads to the step {key!r}"
            reader.problem("steps", "unreachable", message, below=f"/{positions[key]}/key")
    waitless = {key: step for key, step in steps.items() if not _waits(step, later)}
    for loop in islice(_loops(waitless), _MOST_LOOPS):
        start = min(range(len(loop)), key=lambda index: positions[loop[index]])
        way = [*loop[start:], *loop[:start]]
        message = f"the step leads back to itself without a step that waits: {_shown(way)}"
        reader.problem("steps", "loop", message, below=f"/{positions[way[0]]}/key")


def _waits(step: Step, later: Mapping[str, bool | None]) -> bool:
    delayed = step.delay is not None and passes_time(step.delay)
    return delayed or step.wait_for_answer is not None or later.get(step.action or "") is True


def _targets(step: Step) -> list[str]:
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
    """Loops that share no step, each as its steps in their order."""
    graph = {key: [target for target in _targets(step) if target in steps] for key, step in steps.items()}
    while True:
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            loop: list[str] = error.args[1][
                :0:-1
            ]  # the sorter goes against the arrows; both ends are one step
        else:
            return
        yield loop
        graph = {
            key: [target for target in targets if target not in loop]
            for key, targets in graph.items()
            if key not in loop
        }


def _shown(way: list[str]) -> str:
    named = [*way[:_LONGEST_WAY], "..."] if len(way) > _LONGEST_WAY else way
    return " -> ".join([*named, way[0]])
