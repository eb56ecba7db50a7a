"""The orders dialect over HTTP."""

from pathlib import Path

from shared import bootstrap
from shared.api.http.gateway import handler_of
from shared.api.orders.dialect import ORDERS

lambda_handler = handler_of(ORDERS, bootstrap, Path(__file__).parent)
bootstrap.prepare("kms", "lambda", "scheduler", "secretsmanager")
