"""The core dialect over HTTP."""

from pathlib import Path

from shared import bootstrap
from shared.api.core.dialect import CORE
from shared.api.http.gateway import handler_of

lambda_handler = handler_of(CORE, bootstrap, Path(__file__).parent)
bootstrap.prepare("kms", "lambda", "scheduler", "secretsmanager")
