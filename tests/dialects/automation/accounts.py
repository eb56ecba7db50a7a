"""Accounts with definitions and workflows, the same whenever they are made."""

from collections.abc import Callable
from typing import Any

from shared import bootstrap
from tests.dialects.automation.client import Client, call, definition, wait


class Account:
    """Two enabled definitions, the second for a subaccount, and workflows of two versions."""

    def __init__(self) -> None:
        self.client = client = Client()
        bootstrap.use_ports(client.ports)
        self.of = client.saved(wait("a"))
        self.one = client.started(self.of)
        client.later(hours=1)
        self.two = client.started(self.of)
        client("PATCH", f"/definitions/{self.of}/workflows/{self.two}", {"status": "suspend"})
        client("PUT", f"/definitions/{self.of}", definition(wait("b")))
        client.started(self.of)
        client.saved(call("c"), subAccountId="s-1")
        client.run(self.one)
        client.later(minutes=1)

    def filled(self, text: str) -> str:
        """Return a text with the ids that it names in braces."""
        return text.replace("{of}", self.of).replace("{one}", self.one)

    def versions(self) -> Any:
        """Return all definitions, and the versions of the first."""
        return self.client("GET", "/definitions"), self.client("GET", f"/definitions/{self.of}")


Make = Callable[[], Account]
"""Makes an account."""
