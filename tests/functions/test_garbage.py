"""Garbage is not collected while a function imports its modules, and it is afterwards."""

import json
import subprocess
import sys

import pytest

from dev.template import Template
from tests.functions.environments import PARAMETERS, ROOT

FUNCTIONS = {
    function.logical_id: function for function in Template(ROOT / "template.yaml", PARAMETERS).functions()
}

PROGRAM = """
import functions, gc, importlib, json, sys
frozen_before = []
gc.callbacks.append(lambda phase, info: frozen_before.append(gc.get_freeze_count()))
importlib.import_module(sys.argv[1])
kept = gc.get_freeze_count()
searched = [frozen for frozen in frozen_before if frozen < kept]
print(json.dumps({"searched": len(searched), "keeps": kept > 50_000, "is on": gc.isenabled()}))
"""


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_no_import_of_a_function_is_searched_for_garbage(name: str) -> None:
    function = FUNCTIONS[name]
    command = [sys.executable, "-c", PROGRAM, function.handler.rpartition(".")[0]]
    environment = {**function.environment, "AWS_DEFAULT_REGION": "eu-central-1", "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(  # noqa: S603 - our own program
        command, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )

    assert json.loads(ran.stdout) == {"searched": 0, "keeps": True, "is on": True}
