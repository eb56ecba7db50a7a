"""The automation dialect over HTTP."""

from pathlib import Path

from shared import bootstrap
from shared.api.automation.dialect import AUTOMATION
from shared.api.http.gateway import handler_of

lambda_handler = handler_of(AUTOMATION, bootstrap, Path(__file__).parent)
bootstrap.prepare("kms", "lambda", "scheduler", "secretsmanager")
