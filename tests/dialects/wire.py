"""The base of the clients of all dialects: send requests as API Gateway does, and check every answer."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import jsonschema_rs

from dev.gateway import HttpRequest, event_of
from dev.memory.world import MemoryPorts
from dev.template import Route, Template
from shared.adapters.crypto import SecretHasher
from shared.api.reference.build import document_of
from shared.domain.access import AccessKey, Role
from shared.domain.ids import AccountId
from tests.dialects.paths import OPERATIONS

ROOT = Path(__file__).parents[2]
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
PARAMETERS = {
    "Stage": "test",
    "Environment": "dev",
    "SettingsKeyArn": "k",
    "PepperSecretArn": "local:" + "p" * 32,
}
TEMPLATE = Template(ROOT / "template.yaml", PARAMETERS)
ROUTES = TEMPLATE.routes()
TOKENS = Template(
    ROOT / "template.yaml", {**PARAMETERS, "JwtIssuer": "https://id.example.com", "JwtAudience": "ritornello"}
)
"""The template with an API for tokens."""


def token_routes() -> list[Route]:
    """Return the routes of the API for tokens, the most specific first."""
    resources = TOKENS.document["Resources"]
    found = []
    for resource in resources.values():
        if resource["Type"] == "AWS::ApiGatewayV2::Route" and TOKENS.holds(resource["Condition"]):
            method, path = resource["Properties"]["RouteKey"].split()
            match = re.fullmatch(r"integrations/\$\{(\w+)\}", resource["Properties"]["Target"]["Fn::Sub"])
            assert match is not None
            function = resources[match[1]]["Properties"]["IntegrationUri"]["Ref"].removesuffix(".Alias")
            found.append(Route(method=method, path=path, function=function))
    return sorted(found, key=lambda route: -len(route.path))


TOKEN_ROUTES = token_routes()
PEOPLE = (
    ("admin", "a-1", Role.ADMIN),
    ("operator", "a-1", Role.OPERATOR),
    ("viewer", "a-1", Role.VIEWER),
    ("stranger", "a-2", Role.ADMIN),
)
"""Three roles, and an administrator of another account; the secret of each key is ``secret``."""


@dataclass
class Context:
    """A Lambda context."""

    function_name: str = "an-api"
    memory_limit_in_mb: int = 128
    invoked_function_arn: str = "arn:aws:lambda:eu-central-1:123456789012:function:an-api"
    aws_request_id: str = "request-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer. ``route`` is that of the template; ``decoded`` is the body, decoded if it is JSON."""

    route: str
    status: int
    headers: Mapping[str, str]
    text: str
    kind: str
    decoded: Any


class Wire:
    """A dialect's function as the template routes to it, and its OpenAPI document."""

    def __init__(self, dialect: str, handler: Callable[..., dict[str, Any]]) -> None:
        self._dialect, self._handler = dialect, handler
        self._shapes: dict[str, jsonschema_rs.Draft202012Validator] = {}

    def send(
        self,
        method: str,
        target: str,
        body: Any = None,
        *,
        headers: Mapping[str, str],
        raw: bytes | None = None,
        claims: Mapping[str, str] | None = None,
    ) -> Reply:
        """Return the answer to a request. ``raw`` is the body as it is; otherwise ``body`` is sent as JSON.

        With ``claims``, it is a request to the API for tokens, with a token that has these claims.
        """
        data = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        request = HttpRequest(
            method=method,
            target=target,
            headers=dict(headers),
            body=data,
            source="127.0.0.1",
            claims=claims,
        )
        found = event_of(request, ROUTES if claims is None else TOKEN_ROUTES)
        assert found is not None, f"no route for {method} {target}"
        function, event = found
        assert function == f"{self._dialect.title()}Api"
        answer = self._handler(event, Context())
        kind = answer["headers"].get("Content-Type", "").partition(";")[0]
        return Reply(
            route=self._route(method, target),
            status=answer["statusCode"],
            headers=answer["headers"],
            text=answer["body"],
            kind=kind,
            decoded=json.loads(answer["body"]) if kind == "application/json" else answer["body"],
        )

    def _route(self, method: str, target: str) -> str:
        """Return method and path of the operation that a request is for."""
        path = target.partition("?")[0]
        found = [
            place
            for name, place in OPERATIONS[f"{self._dialect.title()}Api"]
            if name == method and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", place), path)
        ]
        # The most literal path wins, as in the routes themselves.
        assert found, f"no operation for {method} {target}"
        return f"{method} {min(found, key=lambda place: place.count('{'))}"

    def check(self, reply: Reply) -> None:
        """Check that the document has the status for this route, and that the body matches its schema."""
        method, path = reply.route.split(" ")
        promised = self.document["paths"][path][method.lower()]["responses"]
        status, decoded = str(reply.status), reply.decoded
        assert status in promised, f"{reply.route} answered {status}, which no document promises: {decoded}"
        content = promised[status]["content"]
        assert list(content) == ([reply.kind] if reply.kind else [])
        if not content:
            assert reply.text == ""
            return
        shape = self.shape_of(json.dumps(content[reply.kind]["schema"]))
        problems = [f"{error.instance_path}: {error.message}" for error in shape.iter_errors(decoded)]
        assert not problems, f"{reply.route} {status}: {problems}"

    @cached_property
    def document(self) -> dict[str, Any]:
        """Return the dialect's OpenAPI document."""
        return document_of(self._dialect)

    def openapi(self) -> dict[str, Any]:
        """Return the dialect's OpenAPI document."""
        return self.document

    def shape_of(self, schema: str) -> jsonschema_rs.Draft202012Validator:
        """Return a validator for a schema of the document, given as JSON."""
        if schema not in self._shapes:
            whole = json.loads(schema) | {"components": self.document["components"]}
            self._shapes[schema] = jsonschema_rs.Draft202012Validator(whole)
        return self._shapes[schema]


def admit(ports: MemoryPorts, hasher: SecretHasher) -> None:
    """Store the keys of ``PEOPLE``."""
    for name, account, role in PEOPLE:
        ports.access.put_key(
            AccessKey(
                key_id=name,
                account_id=AccountId(account),
                role=role,
                secret_hash=hasher.hash("secret"),
                created_at=NOON,
            )
        )
