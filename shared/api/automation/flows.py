"""Translate the steps of a workflow definition into the one task of a strategy.

Each step becomes one step of the engine with the same name, so that its history reads like the definition.
The result is settings, which the engine checks like all others.
Source: docs/contracts/automation.md A.2; docs/contracts/mapping.md D.5; docs/decisions/0025.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct

from shared.api.automation.durations import DurationError, duration
from shared.api.automation.http_steps import HttpSteps
from shared.api.automation.lines import Lines
from shared.api.automation.scripts import NO_STEP, Scope, ScriptError, Scripts, literal
from shared.domain.strategy.shapes import MAX_KEY_LENGTH

Json = Any
Step = Mapping[str, Json]

MAX_ID_CHARACTERS = MAX_KEY_LENGTH
NEEDS = {
    "SMS": "a telephone network",
    "ChatAppsMessage": "a network of chat apps",
    "VoiceMessage": "a telephone network",
    "WaitForDTMF": "a telephone network",
    "SendToConverse": "8x8 Converse",
    "JumpTo": "an undocumented feature",
}
"""Types of steps that can be saved but not run, with the thing each of them needs."""

_MEMBERS = frozenset({"id", "stepType", "inputs", "outputs", "nextStepId", "selectNextStep"})
_WAIT_INPUTS, _IF_INPUTS, _REPLY_INPUTS = (
    frozenset({"duration"}),
    frozenset({"condition"}),
    frozenset({"from", "channel", "timeout"}),
)
_USUAL_TIMEOUT = "1.00:00:00"
_ANSWER = {"responseCode": "status", "reasonPhrase": "reason", "responseBody": "body"}


@dataclass(slots=True)
class Flow:
    """The steps of a definition while they are read.

    ``steps`` are the engine's, ``first`` is the initial step. ``problems`` are sentences; ``unable`` has those about
    steps that cannot run, which matter only if the definition is enabled.
    """

    environment: str
    problems: Lines = field(default_factory=Lines)
    unable: Lines = field(default_factory=Lines)
    steps: list[dict[str, Json]] = field(default_factory=list)
    scripts: Scripts = field(default_factory=Scripts)
    http: HttpSteps = field(init=False)
    first: str = ""
    _ids: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        # Calls and other steps share the numbers of uuid() calls, so they share the scripts.
        self.http = HttpSteps(self.scripts, self.environment)

    def read(self, steps: Json) -> "Flow":
        """Read all steps, including those inside others, and return this flow."""
        self.first = self.sequence(steps, "Workflow steps")
        return self

    def settings(self) -> dict[str, Json]:
        """Return the settings of a strategy that runs the steps. Each workflow has its own schedule."""
        # Every strategy needs a calendar. An instance that another dialect starts without a schedule of its own would
        # reach its second cycle in a hundred years.
        century = {"unit": "years", "amount": 100}
        return {
            "schedule": {"calendars": [{"key": "main", "task": "main", "scheduleAfter": century}]},
            "tasks": [{"key": "main", "initialStep": self.first, "steps": self.steps}],
            "config": {"anyAttributes": True},
            **self.http.settings(),
        }

    def sequence(self, steps: Json, what: str) -> str:
        """Read a list of steps, which may lead only to each other, and return the id of the first."""
        if not isinstance(steps, list) or not steps:
            self.problems.append(
                f"{what} are required." if steps in (None, []) else f"{what} must be a list."
            )
            return ""
        ids = [step.get("id") if isinstance(step, Mapping) else None for step in steps]
        siblings = frozenset(step_id for step_id in ids if isinstance(step_id, str))
        for position, step in enumerate(steps):
            if isinstance(step, Mapping):
                self._step(step, position, siblings)
            else:
                self.problems.append(f"{what}: entry {position + 1} must be an object.")
        return ids[0] if isinstance(ids[0], str) else ""

    def _step(self, step: Step, position: int, siblings: frozenset[str]) -> None:
        key, kind = step.get("id"), step.get("stepType")
        if not isinstance(key, str) or not 1 <= len(key) <= MAX_ID_CHARACTERS:
            self.problems.append(
                f"Step {position + 1}: id is required and must have at most {MAX_ID_CHARACTERS} characters."
            )
            return
        if key in self._ids:
            self.problems.append(f"Step '{key}': the id is not unique.")
        self._ids.add(key)
        if isinstance(kind, str) and kind in NEEDS:
            self._unable(_StepReader(self, key, step, siblings), kind)
        elif isinstance(kind, str) and kind in _KINDS:
            reader = _StepReader(self, key, step, siblings)
            reader.refuse_unknown(_MEMBERS | {"do"} if kind == "If" else _MEMBERS, step, "")
            self.steps.append(_KINDS[kind](reader))
        else:
            rule = "stepType is required" if kind is None else f"unknown stepType {kind!r}"
            self.problems.append(f"Step '{key}': {rule}.")

    def _unable(self, reader: "_StepReader", kind: str) -> None:
        """Add a step that cannot be run. If a workflow of a disabled definition reaches it, it fails and says why."""
        why = f"Step '{reader.key}' of type {kind} needs {NEEDS[kind]}, which is not available"
        self.unable.append(f"{why}; it can only be saved in a disabled definition.")
        scope = Scope(members={}, others=f"stack[{literal(reader.key)}].response")
        reader.outputs(scope)
        self.steps.append(
            {
                "key": reader.key,
                "controllerCallback": f'{{"fail": {literal(why)}}}',
                **reader.next_steps(scope),
            }
        )


class _StepReader(Struct):
    """One step while it is read."""

    flow: Flow
    key: str
    step: Step
    siblings: frozenset[str]

    def problem(self, text: str) -> None:
        """Record a problem of the step."""
        self.flow.problems.append(sentence(f"Step '{self.key}': {text}"))

    def refuse_unknown(self, known: frozenset[str], given: Mapping[str, Json], where: str) -> None:
        """Record a problem for each unknown member."""
        # Otherwise a misspelled member would be ignored without a word.
        for name in given:
            if name not in known:
                self.problem(f"{where}{name!r} is not a known field")

    def inputs(self, known: frozenset[str] | None = None) -> Mapping[str, Json]:
        """Return the inputs, empty if they are invalid. If ``known`` is not None, other inputs are refused."""
        inputs = self.step.get("inputs")
        if inputs is None:
            inputs = {}
        if not isinstance(inputs, Mapping):
            self.problem("inputs must be an object")
            return {}
        if known is not None:
            self.refuse_unknown(known, inputs, "inputs: ")
        return inputs

    def outputs(self, scope: Scope) -> str | None:
        """Return the directive that saves the outputs to ``data``, or None if there are none."""
        outputs = self.step.get("outputs")
        if outputs is None or outputs == {}:
            return None
        if not isinstance(outputs, Mapping):
            self.problem("outputs must be an object")
            return None
        members = [f"{literal(name)}: {self._output(name, value, scope)}" for name, value in outputs.items()]
        return f'{{"attributes": {{{", ".join(members)}}}}}'

    def next_steps(self, scope: Scope) -> dict[str, Json]:
        """Return the next step, or rules for all steps whose conditions hold."""
        to, chosen = self.step.get("nextStepId"), self.step.get("selectNextStep")
        if to is not None and chosen is not None:
            self.problem("nextStepId and selectNextStep must not both be set")
        if chosen is None:
            return {} if to is None else {"nextStep": self._target("nextStepId", to)}
        if not isinstance(chosen, Mapping) or not chosen:
            self.problem("selectNextStep must be an object of conditions by step id")
            return {}
        defaults = [target for target, condition in chosen.items() if condition is None]
        if len(defaults) > 1:
            self.problem(f"selectNextStep: only one of {', '.join(map(repr, defaults))} can be the default")
        rules = [
            _rule(self._condition(f"selectNextStep {target!r}", condition, scope), target)
            for target, condition in chosen.items()
            if condition is not None
        ]
        for target in chosen:
            self._target("selectNextStep", target)
        default = {"nextStep": defaults[0]} if defaults else {}
        return {**default, **({"everyRule": True, "nextStepRules": rules} if rules else {})}

    def duration(self, name: str, value: Json) -> dict[str, Json]:
        """Return an input as a duration of the engine."""
        try:
            return duration(value)
        except DurationError as error:
            self.problem(f"{name} {error}")
            return {}

    def condition(self, name: str, value: Json) -> str:
        """Return an input as a condition."""
        return self._condition(name, value, NO_STEP)

    def text(self, name: str, value: Json) -> None:
        """Check an input that must be a string."""
        if not isinstance(value, str) or not value:
            self.problem(f"{name} is required and must be a string")
            return
        try:
            self.flow.scripts.template(value)
        except ScriptError as error:
            self.problem(f"{name}: {error}")

    def _output(self, name: str, value: Json, scope: Scope) -> str:
        if not 1 <= len(name) <= MAX_ID_CHARACTERS:
            self.problem(f"outputs: a name must have 1 to {MAX_ID_CHARACTERS} characters")
        if not isinstance(value, str):
            self.problem(f"outputs.{name} must be a string")
            return "null"
        try:
            return self.flow.scripts.value(value, scope)
        except ScriptError as error:
            self.problem(f"outputs.{name}: {error}")
            return "null"

    def _condition(self, name: str, value: Json, scope: Scope) -> str:
        if not isinstance(value, str):
            self.problem(f"{name} is required" if value is None else f"{name} must be a string")
            return "false"
        try:
            return self.flow.scripts.condition(value, scope)
        except ScriptError as error:
            self.problem(f"{name}: {error}")
            return "false"

    def _target(self, name: str, target: Json) -> str:
        if not isinstance(target, str) or target not in self.siblings:
            self.problem(f"{name}: {target!r} is not a step of the same list")
        return str(target)


def sentence(text: str) -> str:
    """Return a problem with a full stop, except after a line with a caret."""
    return text if text.endswith("^") else f"{text}."


def _rule(condition: str, target: str) -> dict[str, Json]:
    return {"if": "callback", "ifCallback": condition, "nextStep": target}


def _http_request(reader: _StepReader) -> dict[str, Json]:
    # The vendor's steps branch on the status of a response, so every response is a success. Without a response the
    # workflow fails.
    for problem in reader.flow.http.add(reader.key, reader.inputs()):
        reader.problem(problem)
    after = f"stack[{literal(reader.key)}].response"
    outputs = reader.outputs(_members("response"))
    return {
        "key": reader.key,
        "action": reader.key,
        **({} if outputs is None else {"controllerCallback": outputs}),
        **reader.next_steps(_members(after)),
    }


def _members(answer: str) -> Scope:
    return Scope(members={name: f"{answer}.{member}" for name, member in _ANSWER.items()})


def _wait(reader: _StepReader) -> dict[str, Json]:
    delay = reader.duration("duration", reader.inputs(_WAIT_INPUTS).get("duration"))
    outputs = reader.outputs(NO_STEP)
    return {
        "key": reader.key,
        "delay": delay,
        **({} if outputs is None else {"controllerCallback": outputs}),
        **reader.next_steps(NO_STEP),
    }


def _branch(reader: _StepReader) -> dict[str, Json]:
    if reader.step.get("selectNextStep") is None:
        reader.problem("selectNextStep is required")
    reader.inputs(frozenset())
    return {
        "key": reader.key,
        "controllerCallback": reader.outputs(NO_STEP) or "{}",
        **reader.next_steps(NO_STEP),
    }


def _if(reader: _StepReader) -> dict[str, Json]:
    """Return a step that runs each inner sequence if its condition holds, and then the next step in any case."""
    condition = reader.condition("condition", reader.inputs(_IF_INPUTS).get("condition"))
    if reader.step.get("selectNextStep") is not None:
        reader.problem("selectNextStep is not allowed in an If; use nextStepId")
    after = reader.next_steps(NO_STEP).get("nextStep")
    sequences = reader.step.get("do")
    if not isinstance(sequences, list) or not sequences:
        reader.problem("do is required and must be a list of lists of steps")
        sequences = []
    inner = [reader.flow.sequence(steps, f"Step '{reader.key}': the steps of do") for steps in sequences]
    targets = [*inner, *([] if after is None else [after])]
    return {
        "key": reader.key,
        "controllerCallback": reader.outputs(NO_STEP) or "{}",
        "everyRule": True,
        "nextStepRules": [_rule(condition, target) for target in targets],
        **({} if after is None else {"nextStep": after}),
    }


def _wait_for_reply(reader: _StepReader) -> dict[str, Json]:
    """Return a step that waits for a reply, which is then ``step.reply``. After the timeout, that is null."""
    inputs = reader.inputs(_REPLY_INPUTS)
    reader.text("from", inputs.get("from"))
    reader.text("channel", inputs.get("channel"))
    timeout = inputs.get("timeout")
    within = reader.duration("timeout", _USUAL_TIMEOUT if timeout is None else timeout)
    name = literal(reader.key)
    outputs = reader.outputs(Scope(members={"reply": "response"}))
    reply = f"(stack[{name}].success ? stack[{name}].response : null)"
    after = reader.next_steps(Scope(members={"reply": reply}))
    # The step is optional, so the flow continues without a reply. It must not continue if the outputs of a reply
    # cannot be computed. The first rule never holds, but fails to evaluate in that case: int() of a message fails.
    broken = f"stack[{name}].error != null && !stack[{name}].inDoubt"
    guard = _rule(f"{broken} && int(stack[{name}].error.message) == 0", after.get("nextStep", reader.key))
    return {
        "key": reader.key,
        "waitForAnswer": within,
        "optional": True,
        **(
            {}
            if outputs is None
            else {"resumeControllerCallback": outputs, "controllerCallback": _cleared(reader.step)}
        ),
        **after,
        "everyRule": True,
        "nextStepRules": [guard, *after.get("nextStepRules", [])],
    }


def _cleared(step: Step) -> str:
    # Before it waits, the step removes the outputs of an earlier reply.
    return f'{{"attributes": {{{", ".join(f"{literal(name)}: null" for name in step["outputs"])}}}}}'


_KINDS: Mapping[str, Callable[[_StepReader], dict[str, Json]]] = {
    "HttpRequest": _http_request,
    "Wait": _wait,
    "Branch": _branch,
    "If": _if,
    "WaitForReply": _wait_for_reply,
}
