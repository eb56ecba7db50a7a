"""The second HTTP API, for tokens."""

import json
import re
from typing import Any

import pytest

from dev.gateway import HttpRequest, event_of
from dev.template import Template
from tests.dialects.paths import OPERATIONS as SERVED
from tests.dialects.wire import TOKEN_ROUTES
from tests.template.stack import PARAMETERS, RESOURCES, ROOT, TEMPLATE, TOKENS, broken_rules, of_type

TEMPLATE_OF_TOKENS = Template(ROOT / "template.yaml", {**PARAMETERS, **TOKENS})


def made_for_tokens(template: Template) -> set[str]:
    """Return the resources and outputs that a template makes for tokens."""
    document = template.document
    parts = {**document["Resources"], **document["Outputs"]}
    return {
        name for name, part in parts.items() if name.startswith("Token") and template.holds(part["Condition"])
    }


class TestTheApiForTokens:
    """Tokens have an API of their own, whose routes all have the authorizer."""

    API: dict[str, Any] = RESOURCES["TokenApi"]["Properties"]
    STAGE: dict[str, Any] = RESOURCES["TokenStage"]["Properties"]

    def test_it_is_made_with_an_issuer_only(self) -> None:
        of_tokens = {
            name
            for name, part in {**RESOURCES, **TEMPLATE.document["Outputs"]}.items()
            if "TokenApi" in json.dumps(part) or name.startswith("Token")
        }

        assert made_for_tokens(TEMPLATE) == set()
        assert made_for_tokens(TEMPLATE_OF_TOKENS) == of_tokens
        assert {"TokenApi", "TokenApiUrl", "TokenApiFailuresAlarm"} < of_tokens
        for name in of_tokens & set(RESOURCES):
            assert RESOURCES[name]["Condition"] == "HasTokens"

    @pytest.mark.parametrize(
        ("parameters", "broken"),
        [
            ({}, []),
            (TOKENS, []),
            ({"JwtIssuer": "https://id.example.com"}, ["IssuersHaveAudiences"]),
            ({"JwtAudience": "ritornello"}, ["IssuersHaveAudiences"]),
        ],
    )
    def test_issuer_and_audience_are_given_together(
        self, parameters: dict[str, str], broken: list[str]
    ) -> None:
        assert broken_rules({**PARAMETERS, **parameters}) == broken

    def test_the_authorizer_verifies_issuer_and_audience(self) -> None:
        authorizer = RESOURCES["TokenAuthorizer"]["Properties"]

        assert authorizer["AuthorizerType"] == "JWT"
        assert authorizer["IdentitySource"] == ["$request.header.Authorization"]
        assert authorizer["JwtConfiguration"] == {
            "Issuer": {"Ref": "JwtIssuer"},
            "Audience": {"Fn::Split": [",", {"Ref": "JwtAudience"}]},
        }

    def test_every_route_has_the_authorizer(self) -> None:
        routes = of_type("AWS::ApiGatewayV2::Route")

        assert routes
        for route in routes.values():
            assert route["AuthorizationType"] == "JWT"
            assert route["AuthorizerId"] == {"Ref": "TokenAuthorizer"}
            assert route["ApiId"] == {"Ref": "TokenApi"}

    def test_no_route_takes_a_preflight(self) -> None:
        """It has no token. API Gateway answers it by itself if no route takes it."""
        methods = {route["RouteKey"].split()[0] for route in of_type("AWS::ApiGatewayV2::Route").values()}

        assert methods == {"GET", "POST", "PUT", "PATCH", "DELETE"}

    @pytest.mark.parametrize("function", ["CoreApi", "AutomationApi"])
    def test_every_operation_of_core_and_8x8_leads_to_its_function(self, function: str) -> None:
        for method, path in SERVED[function]:
            assert self.led(method, re.sub(r"\{\w+\}", "x-1", path)) == function

    @pytest.mark.parametrize("function", ["ProcessApi", "OrdersApi"])
    def test_the_other_dialects_are_unknown_paths_of_the_core_dialect(self, function: str) -> None:
        for method, path in SERVED[function]:
            assert self.led(method, re.sub(r"\{\w+\}", "x-1", path)) == "CoreApi"

    @staticmethod
    def led(method: str, target: str) -> str:
        """Return the function that a request leads to."""
        request = HttpRequest(method=method, target=target, headers={}, body=b"", source="127.0.0.1")
        found = event_of(request, TOKEN_ROUTES)
        assert found is not None, f"{method} {target}"
        return found[0]

    @pytest.mark.parametrize("dialect", ["Core", "Automation"])
    def test_integration_and_permission_name_the_alias(self, dialect: str) -> None:
        integration = RESOURCES[f"Token{dialect}Integration"]["Properties"]
        permission = RESOURCES[f"Token{dialect}Permission"]["Properties"]

        assert integration["IntegrationUri"] == permission["FunctionName"] == {"Ref": f"{dialect}Api.Alias"}
        assert (integration["IntegrationType"], integration["PayloadFormatVersion"]) == ("AWS_PROXY", "2.0")
        assert permission["Principal"] == "apigateway.amazonaws.com"
        assert permission["SourceArn"]["Fn::Sub"] == (
            "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${TokenApi}/*"
        )

    def test_throttling_is_that_of_the_first_api(self) -> None:
        assert self.STAGE["DefaultRouteSettings"] == RESOURCES["Api"]["Properties"]["DefaultRouteSettings"]
        assert (self.STAGE["StageName"], self.STAGE["AutoDeploy"]) == ("$default", True)

    def test_the_access_log_adds_why_a_token_was_refused(self) -> None:
        first = RESOURCES["Api"]["Properties"]["AccessLogSettings"]
        own = self.STAGE["AccessLogSettings"]

        assert own["DestinationArn"] == first["DestinationArn"]
        assert json.loads(own["Format"]) == {
            **json.loads(first["Format"]),
            "authorizerError": "$context.authorizer.error",
        }

    def test_cors_is_that_of_the_first_api_without_sessions(self) -> None:
        first = RESOURCES["Api"]["Properties"]["DefinitionBody"]["x-amazon-apigateway-cors"]["Fn::If"]
        condition, cors, otherwise = self.API["CorsConfiguration"]["Fn::If"]
        expected = {
            name[0].upper() + name[1:]: [one for one in value if one != "x-access-token"]
            if name in ("allowHeaders", "exposeHeaders")
            else value
            for name, value in first[1].items()
        }

        assert (condition, otherwise) == (first[0], first[2])
        assert cors == expected

    @pytest.mark.parametrize(
        ("parameter", "good", "bad"),
        [
            (
                "JwtIssuer",
                ["", "https://a.auth0.com/"],
                ["http://id.example", "id.example", "https://a,https://b"],
            ),
            ("JwtAudience", ["", "a", "https://flows.example,b"], [",", "a,", "a b"]),
            ("JwtAccountClaim", ["account", "custom:account", "https://a.example/b"], ["", "a b", "a,b"]),
            ("JwtRoleClaim", ["role", "cognito:groups"], ["", "a b"]),
            ("JwtRolePrefix", ["", "ritornello-", "ritornello/"], ["a ", "a,", "[a"]),
        ],
    )
    def test_parameters_that_cannot_be_meant_are_refused(
        self, parameter: str, good: list[str], bad: list[str]
    ) -> None:
        pattern = TEMPLATE.document["Parameters"][parameter]["AllowedPattern"]

        assert [one for one in good if re.fullmatch(pattern, one) is None] == []
        assert [one for one in bad if re.fullmatch(pattern, one)] == []
