"""A deployed function evaluates expressions in a process of its own, never in itself."""

import subprocess
import sys
from pathlib import Path

import pytest

from shared import bootstrap
from shared.adapters.evaluator.process import ProcessEvaluator
from shared.expressions import ResultType, VariableType, evaluate, evaluator
from tests.functions.environments import environment

ROOT = Path(__file__).parents[2]
HANDLERS = sorted(path.parent.name for path in (ROOT / "functions").glob("*/handler.py"))


@pytest.mark.usefixtures("deployment")
class TestWiring:
    """The ports of a deployment come with the evaluator."""

    def test_expressions_are_evaluated_by_the_process(self) -> None:
        chosen = evaluator._evaluators[0]

        assert isinstance(chosen, ProcessEvaluator)
        assert chosen._worker is None  # started at the first expression
        assert evaluate("n + 1", {"n": 1}, variables={"n": VariableType.INT}, returns=ResultType.ANY) == 2
        assert chosen._worker is not None

    def test_forgetting_ends_the_process(self) -> None:
        evaluate("1", {}, variables={}, returns=ResultType.ANY)
        chosen = evaluator._evaluators[0]
        assert isinstance(chosen, ProcessEvaluator)
        bootstrap.forget()

        assert chosen._worker is None


class TestModules:
    """No function loads the library that can end its process."""

    @pytest.mark.parametrize("name", HANDLERS)
    def test_a_handler_does_not_import_it(self, name: str) -> None:
        code = (
            f"import sys, functions.{name}.handler\n"
            "from shared import bootstrap; bootstrap.ports()\n"
            "sys.exit(str([m for m in sys.modules if m.startswith(('cel_expr_python', 'shared.expressions.engine'))]))"
        )
        variables = environment() | {"AWS_DEFAULT_REGION": "eu-central-1", "PATH": ""}
        found = subprocess.run(  # noqa: S603 - our own code
            [sys.executable, "-c", code], cwd=ROOT, env=variables, capture_output=True, text=True, check=False
        )

        assert found.stderr.strip().endswith("[]")
