"""The HTTP API and its routes."""

import json
import re
from collections import Counter
from typing import Any

import pytest

from dev.gateway import HttpRequest, event_of
from dev.template import Template
from tests.dialects.paths import OPERATIONS as SERVED
from tests.template.stack import PARAMETERS, RESOURCES, ROOT, TEMPLATE, broken_rules


def policy_of(function: str, routes: int) -> dict[str, Any]:
    """Return the resource policy of a function with the longest names that a stack can have."""
    stage, region, account, stack = "s" * 20, "ap-southeast-1", "123456789012", "k" * 128
    arn = f"arn:aws-us-gov:lambda:{region}:{account}:function:ritornello-{stage}-automation-api"
    source = f"arn:aws-us-gov:execute-api:{region}:{account}:abcdefghij/*/*/scheduler/*"
    statement = {
        "Sid": f"{stack}-{function}EverythingPermission-1A2B3C4D5E6F",
        "Effect": "Allow",
        "Principal": {"Service": "apigateway.amazonaws.com"},
        "Action": "lambda:InvokeFunction",
        "Resource": arn,
        "Condition": {"ArnLike": {"AWS:SourceArn": source}},
    }
    return {"Version": "2012-10-17", "Id": "default", "Statement": [statement] * routes}


class TestTheApi:
    """Each dialect has a few routes of its own, which lead all its operations to its function."""

    @pytest.mark.parametrize("function", SERVED)
    def test_every_operation_leads_to_its_function(self, function: str) -> None:
        for method, path in SERVED[function]:
            target = re.sub(r"\{\w+\}", "x-1", path)
            request = HttpRequest(method=method, target=target, headers={}, body=b"", source="127.0.0.1")
            found = event_of(request, TEMPLATE.routes())
            assert found is not None
            assert found[0] == function, f"{method} {path}"

    def test_everything_else_is_refused_by_the_core_dialect(self) -> None:
        for target in ("/", "/joc", "/unknown/path", "/execution-instance/a/b/c"):
            request = HttpRequest(method="PUT", target=target, headers={}, body=b"", source="127.0.0.1")
            found = event_of(request, TEMPLATE.routes())
            assert found is not None
            assert found[0] == "CoreApi"

    def test_the_resource_policies_are_far_below_lambdas_limit(self) -> None:
        """SAM adds a permission to the policy of a function for each of its routes; the limit is 20,480 bytes."""
        sizes = {
            function: len(json.dumps(policy_of(function, routes + 1)))
            # One more is that of the API for tokens.
            for function, routes in Counter(route.function for route in TEMPLATE.routes()).items()
        }

        assert max(sizes.values()) < 20_480 / 10

    API: dict[str, Any] = RESOURCES["Api"]["Properties"]

    def test_the_api_is_throttled(self) -> None:
        assert TEMPLATE.resolve(self.API["DefaultRouteSettings"]) == {
            "ThrottlingBurstLimit": 500,
            "ThrottlingRateLimit": 250,
        }

    def test_every_request_has_a_line_of_json_in_the_access_log(self) -> None:
        line = json.loads(self.API["AccessLogSettings"]["Format"])

        assert {"requestId", "method", "path", "status", "sourceIp"} <= set(line)
        assert TEMPLATE.resolve(RESOURCES["ApiLogs"]["Properties"]) == {
            "LogGroupName": "/aws/vendedlogs/ritornello-test-api",
            "RetentionInDays": 90,
        }

    def test_the_access_log_has_nothing_that_may_be_a_secret(self) -> None:
        """Query strings and headers may hold secrets of clients; the authorizer's context would hold claims."""
        used = set(re.findall(r"\$context\.([\w.]+)", self.API["AccessLogSettings"]["Format"]))

        assert used <= {
            "requestId",
            "requestTime",
            "identity.sourceIp",
            "httpMethod",
            "path",
            "routeKey",
            "status",
            "responseLength",
            "responseLatency",
            "integrationStatus",
            "integrationLatency",
            "error.responseType",
            "integrationErrorMessage",
        }

    def test_pages_of_other_origins_are_let_in_only_if_they_are_named(self) -> None:
        condition, cors, otherwise = self.API["DefinitionBody"]["x-amazon-apigateway-cors"]["Fn::If"]

        assert not TEMPLATE.holds(condition)
        assert otherwise == {"Ref": "AWS::NoValue"}
        assert cors["allowOrigins"] == {"Fn::Split": [",", {"Ref": "CorsOrigins"}]}
        # Keys are sent in headers by the page itself, never by the browser.
        assert "allowCredentials" not in cors

    def test_pages_may_send_every_method_and_every_header_that_operations_read(self) -> None:
        cors = self.API["DefinitionBody"]["x-amazon-apigateway-cors"]["Fn::If"][1]

        assert set(cors["allowMethods"]) >= {method for served in SERVED.values() for method, _ in served}
        read = {
            name.lower()
            for path in (ROOT / "shared" / "api").rglob("*.py")
            for name in re.findall(r'headers(?:\.get\(|\[)"([A-Za-z-]+)"', path.read_text())
        }
        assert read
        assert read - set(cors["allowHeaders"]) == set()

    @pytest.mark.parametrize("origins", ["*", "https://*.example.com", "example.com", "https://a.example/"])
    def test_an_origin_is_one_origin(self, origins: str) -> None:
        pattern = TEMPLATE.document["Parameters"]["CorsOrigins"]["AllowedPattern"]

        assert re.fullmatch(pattern, origins) is None
        assert re.fullmatch(pattern, "https://ops.example.com,http://localhost:3000")

    @pytest.mark.parametrize(
        ("parameters", "made"),
        [
            ({}, set()),
            ({"DomainName": "a.example", "CertificateArn": "arn:c"}, {"ApiDomain", "ApiDomainMapping"}),
            (
                {"DomainName": "a.example", "CertificateArn": "arn:c", "HostedZoneId": "Z1"},
                {"ApiDomain", "ApiDomainMapping", "ApiDomainRecord"},
            ),
        ],
    )
    def test_a_domain_of_its_own_is_made_if_it_is_named(
        self, parameters: dict[str, str], made: set[str]
    ) -> None:
        template = Template(ROOT / "template.yaml", {**PARAMETERS, **parameters})

        assert broken_rules({**PARAMETERS, **parameters}) == []
        assert made == {
            name
            for name in RESOURCES
            if name.startswith("ApiDomain") and template.holds(RESOURCES[name].get("Condition"))
        }

    @pytest.mark.parametrize(
        "parameters",
        [{"DomainName": "a.example"}, {"CertificateArn": "arn:c"}, {"HostedZoneId": "Z1"}],
    )
    def test_half_a_domain_is_refused(self, parameters: dict[str, str]) -> None:
        assert broken_rules({**PARAMETERS, **parameters}) == ["DomainsHaveCertificates"]
