"""The steps of a workflow definition as the one task of a strategy.

Each step is one step of the engine, of the same name, so that its history reads as the definition does. Nothing here
runs anything: what comes out is settings, which the engine checks as it checks everybody's.
Source: contracts/automation.md A.2; contracts/mapping.md D.5; docs/decisions/0025.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.api.automation.durations import DurationError, duration
from shared.api.automation.http_steps import HttpSteps
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
    "JumpTo": "a form that is published nowhere",
}
"""The steps that can be saved and not be run, and what each of them would need."""

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
    """A definition's steps, read. steps: the engine's. problems: in sentences. unable: those it cannot run.

    first: the step it begins with.
    """

    environment: str
    problems: list[str] = field(default_factory=list)
    unable: list[str] = field(default_factory=list)
    steps: list[dict[str, Json]] = field(default_factory=list)
    scripts: Scripts = field(default_factory=Scripts)
    http: HttpSteps = field(init=False)
    first: str = ""
    _ids: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Its calls share its scripts."""
        self.http = HttpSteps(self.scripts, self.environment)

    def read(self, steps: Json) -> "Flow":
        """Itself with all steps read, those inside others too."""
        self.first = self.sequence(steps, "Workflow steps")
        return self

    def settings(self) -> dict[str, Json]:
        """The settings of a strategy that runs it, once: when is for each instance to say.

        The calendar is there because every strategy has one; an instance made elsewhere without a schedule of its own
        comes to its second cycle in a hundred years.
        """
        century = {"unit": "years", "amount": 100}
        return {
            "schedule": {"calendars": [{"key": "main", "task": "main", "scheduleAfter": century}]},
            "tasks": [{"key": "main", "initialStep": self.first, "steps": self.steps}],
            "config": {"anyAttributes": True},
            **self.http.settings(),
        }

    def sequence(self, steps: Json, what: str) -> str:
        """The steps of a list, which lead to each other only; the id of the first."""
        if not isinstance(steps, list) or not steps:
            self.problems.append(
                f"{what} are required." if steps in (None, []) else f"{what} must be a list."
            )
            return ""
        ids = [step.get("id") if isinstance(step, Mapping) else None for step in steps]
        siblings = frozenset(one for one in ids if isinstance(one, str))
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
                f"Step {position + 1}: id is required, a text of at most {MAX_ID_CHARACTERS} characters."
            )
            return
        if key in self._ids:
            self.problems.append(f"Step '{key}': there is another step of that id.")
        self._ids.add(key)
        if isinstance(kind, str) and kind in NEEDS:
            self._unable(_OneStep(self, key, step, siblings), kind)
        elif isinstance(kind, str) and kind in _KINDS:
            one = _OneStep(self, key, step, siblings)
            one.refuse_unknown(_MEMBERS | {"do"} if kind == "If" else _MEMBERS, step, "")
            self.steps.append(_KINDS[kind](one))
        else:
            told = "stepType is required" if kind is None else f"there is no stepType {kind!r}"
            self.problems.append(f"Step '{key}': {told}.")

    def _unable(self, one: "_OneStep", kind: str) -> None:
        """A step that cannot be run: it fails where it is come to, and says why."""
        why = f"Step '{one.key}' is of type {kind}, which needs {NEEDS[kind]}: there is none here"
        self.unable.append(f"{why}; it can be saved in a disabled definition only.")
        scope = Scope(members={}, others=f"stack[{literal(one.key)}].response")
        one.outputs(scope)
        self.steps.append(
            {"key": one.key, "controllerCallback": f'{{"fail": {literal(why)}}}', **one.ways(scope)}
        )


@dataclass(slots=True)
class _OneStep:
    """One step while it is read."""

    flow: Flow
    key: str
    step: Step
    siblings: frozenset[str]

    def problem(self, told: str) -> None:
        """Note what is wrong with it."""
        self.flow.problems.append(sentence(f"Step '{self.key}': {told}"))

    def refuse_unknown(self, known: frozenset[str], given: Mapping[str, Json], where: str) -> None:
        """Note every member that is not known: a misspelt one would be passed over in silence."""
        for name in given:
            if name not in known:
                self.problem(f"{where}{name!r} is not known")

    def inputs(self, known: frozenset[str] | None = None) -> Mapping[str, Json]:
        """Its inputs; nothing where they are none. known: None for whatever there is."""
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
        """What it leaves in ``data``, as orders to the engine; None where there is nothing."""
        outputs = self.step.get("outputs")
        if outputs is None or outputs == {}:
            return None
        if not isinstance(outputs, Mapping):
            self.problem("outputs must be an object")
            return None
        found = [f"{literal(name)}: {self._output(name, value, scope)}" for name, value in outputs.items()]
        return f'{{"attributes": {{{", ".join(found)}}}}}'

    def ways(self, scope: Scope) -> dict[str, Json]:
        """Where it leads: to its next step, or to all whose conditions hold, one after another."""
        to, chosen = self.step.get("nextStepId"), self.step.get("selectNextStep")
        if to is not None and chosen is not None:
            self.problem("nextStepId and selectNextStep do not go together")
        if chosen is None:
            return {} if to is None else {"nextStep": self._target("nextStepId", to)}
        if not isinstance(chosen, Mapping) or not chosen:
            self.problem("selectNextStep must be an object of conditions by step ids")
            return {}
        defaults = [target for target, condition in chosen.items() if condition is None]
        if len(defaults) > 1:
            self.problem(f"selectNextStep: {', '.join(map(repr, defaults))} cannot all be the default branch")
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
        """One of its inputs as a distance in time."""
        try:
            return duration(value)
        except DurationError as error:
            self.problem(f"{name} {error}")
            return {}

    def condition(self, name: str, value: Json) -> str:
        """One of its inputs that says yes or no."""
        return self._condition(name, value, NO_STEP)

    def text(self, name: str, value: Json) -> None:
        """Check one of its inputs that is a required text."""
        if not isinstance(value, str) or not value:
            self.problem(f"{name} is required, a text")
            return
        try:
            self.flow.scripts.template(value)
        except ScriptError as error:
            self.problem(f"{name}: {error}")

    def _output(self, name: str, value: Json, scope: Scope) -> str:
        if not 1 <= len(name) <= MAX_ID_CHARACTERS:
            self.problem(f"outputs: a name has 1 to {MAX_ID_CHARACTERS} characters")
        if not isinstance(value, str):
            self.problem(f"outputs.{name} must be a text")
            return "null"
        try:
            return self.flow.scripts.value(value, scope)
        except ScriptError as error:
            self.problem(f"outputs.{name}: {error}")
            return "null"

    def _condition(self, name: str, value: Json, scope: Scope) -> str:
        if not isinstance(value, str):
            self.problem(f"{name} is required" if value is None else f"{name} must be a text")
            return "false"
        try:
            return self.flow.scripts.condition(value, scope)
        except ScriptError as error:
            self.problem(f"{name}: {error}")
            return "false"

    def _target(self, name: str, target: Json) -> str:
        if not isinstance(target, str) or target not in self.siblings:
            self.problem(f"{name}: there is no step {target!r} beside it")
        return str(target)


def sentence(told: str) -> str:
    """A problem with its full stop; one that ends by showing a place needs none."""
    return told if told.endswith("^") else f"{told}."


def _rule(condition: str, target: str) -> dict[str, Json]:
    return {"if": "callback", "ifCallback": condition, "nextStep": target}


def _http_request(one: _OneStep) -> dict[str, Json]:
    """Every answer is one: the flow branches on its status. Where none comes the workflow ends, faulted."""
    for told in one.flow.http.add(one.key, one.inputs()):
        one.problem(told)
    after = f"stack[{literal(one.key)}].response"
    outputs = one.outputs(_members("response"))
    return {
        "key": one.key,
        "action": one.key,
        **({} if outputs is None else {"controllerCallback": outputs}),
        **one.ways(_members(after)),
    }


def _members(answer: str) -> Scope:
    return Scope(members={name: f"{answer}.{member}" for name, member in _ANSWER.items()})


def _wait(one: _OneStep) -> dict[str, Json]:
    delay = one.duration("duration", one.inputs(_WAIT_INPUTS).get("duration"))
    outputs = one.outputs(NO_STEP)
    return {
        "key": one.key,
        "delay": delay,
        **({} if outputs is None else {"controllerCallback": outputs}),
        **one.ways(NO_STEP),
    }


def _branch(one: _OneStep) -> dict[str, Json]:
    if one.step.get("selectNextStep") is None:
        one.problem("selectNextStep is required")
    one.inputs(frozenset())
    return {"key": one.key, "controllerCallback": one.outputs(NO_STEP) or "{}", **one.ways(NO_STEP)}


def _if(one: _OneStep) -> dict[str, Json]:
    """While its condition holds, each inner sequence is run and then what follows; else only what follows."""
    condition = one.condition("condition", one.inputs(_IF_INPUTS).get("condition"))
    if one.step.get("selectNextStep") is not None:
        one.problem("selectNextStep is not for an If: its next step is nextStepId")
    after = one.ways(NO_STEP).get("nextStep")
    sequences = one.step.get("do")
    if not isinstance(sequences, list) or not sequences:
        one.problem("do is required, a list of lists of steps")
        sequences = []
    inner = [one.flow.sequence(steps, f"Step '{one.key}': the steps of do") for steps in sequences]
    targets = [*inner, *([] if after is None else [after])]
    return {
        "key": one.key,
        "controllerCallback": one.outputs(NO_STEP) or "{}",
        "everyRule": True,
        "nextStepRules": [_rule(condition, target) for target in targets],
        **({} if after is None else {"nextStep": after}),
    }


def _wait_for_reply(one: _OneStep) -> dict[str, Json]:
    """It waits; a reply in time is ``step.reply``, else that is null and the flow goes on.

    What an earlier reply has left under the names of its outputs goes before it waits. It passes over the lack of a
    reply; over outputs that cannot be computed of one it must not. So its first rule, which never holds, cannot be
    evaluated then: a text that is no number is no number.
    """
    inputs = one.inputs(_REPLY_INPUTS)
    one.text("from", inputs.get("from"))
    one.text("channel", inputs.get("channel"))
    timeout = inputs.get("timeout")
    within = one.duration("timeout", _USUAL_TIMEOUT if timeout is None else timeout)
    name = literal(one.key)
    outputs = one.outputs(Scope(members={"reply": "response"}))
    after = one.ways(Scope(members={"reply": f"(stack[{name}].success ? stack[{name}].response : null)"}))
    broken = f"stack[{name}].error != null && !stack[{name}].inDoubt"
    guard = _rule(f"{broken} && int(stack[{name}].error.message) == 0", after.get("nextStep", one.key))
    return {
        "key": one.key,
        "waitForAnswer": within,
        "optional": True,
        **(
            {}
            if outputs is None
            else {"resumeControllerCallback": outputs, "controllerCallback": _cleared(one.step)}
        ),
        **after,
        "everyRule": True,
        "nextStepRules": [guard, *after.get("nextStepRules", [])],
    }


def _cleared(step: Step) -> str:
    return f'{{"attributes": {{{", ".join(f"{literal(name)}: null" for name in step["outputs"])}}}}}'


_KINDS: Mapping[str, Callable[[_OneStep], dict[str, Json]]] = {
    "HttpRequest": _http_request,
    "Wait": _wait,
    "Branch": _branch,
    "If": _if,
    "WaitForReply": _wait_for_reply,
}
