"""The process dialect over HTTP."""

from pathlib import Path

from shared import bootstrap
from shared.api.http.gateway import handler_of
from shared.api.process.dialect import PROCESS

lambda_handler = handler_of(PROCESS, bootstrap, Path(__file__).parent)
bootstrap.prepare("kms", "lambda", "scheduler", "secretsmanager")
