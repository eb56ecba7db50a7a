"""The URLs of services, compared with those of botocore."""

import boto3
import pytest

from shared.adapters.aws.endpoints import url_of

SERVICES = ("dynamodb", "events", "kms", "lambda", "scheduler", "secretsmanager", "sqs", "ssm")
REGIONS = sorted(boto3.Session().get_available_regions("dynamodb"))
EVERYWHERE = [
    *REGIONS,
    *boto3.Session().get_available_regions("dynamodb", "aws-cn"),
    *boto3.Session().get_available_regions("dynamodb", "aws-us-gov"),
]


def by_botocore(service: str, region: str) -> str:
    client = boto3.Session("a", "b", region_name=region).client(service)
    url: str = client.meta.endpoint_url
    return url


@pytest.mark.parametrize("service", SERVICES)
def test_each_service_has_botocores_url_in_a_region(service: str) -> None:
    assert url_of(service, "eu-central-1", {}) == by_botocore(service, "eu-central-1")


@pytest.mark.parametrize("region", EVERYWHERE)
def test_each_region_has_botocores_url_of_a_service(region: str) -> None:
    assert url_of("dynamodb", region, {}) == by_botocore("dynamodb", region)


class TestChosenUrls:
    """Variables of the environment change the URL, as they do for every client of AWS."""

    @pytest.mark.parametrize(
        ("environment", "url"),
        [
            ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9/"}, "http://127.0.0.1:9"),
            (
                {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ENDPOINT_URL_KMS": "http://127.0.0.1:8"},
                "http://127.0.0.1:8",
            ),
            ({"AWS_ENDPOINT_URL_SQS": "http://127.0.0.1:8"}, "https://kms.eu-central-1.amazonaws.com"),
            (
                {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
                "https://kms.eu-central-1.amazonaws.com",
            ),
        ],
    )
    def test_a_url_is_given(self, environment: dict[str, str], url: str) -> None:
        assert url_of("kms", "eu-central-1", environment) == url

    @pytest.mark.parametrize("service", SERVICES)
    def test_each_service_has_botocores_variable(self, service: str) -> None:
        client = boto3.Session("a", "b", region_name="eu-central-1").client(service)
        name = client.meta.service_model.service_id.hyphenize().replace("-", "_").upper()

        assert url_of(service, "eu-central-1", {f"AWS_ENDPOINT_URL_{name}": "http://127.0.0.1:8"}) == (
            "http://127.0.0.1:8"
        )

    @pytest.mark.parametrize(
        ("variable", "url"),
        [
            ("AWS_USE_FIPS_ENDPOINT", "https://kms-fips.us-east-1.amazonaws.com"),
            ("AWS_USE_DUALSTACK_ENDPOINT", "https://kms.us-east-1.api.aws"),
        ],
    )
    def test_a_variant_is_chosen(self, monkeypatch: pytest.MonkeyPatch, variable: str, url: str) -> None:
        monkeypatch.setenv(variable, "true")

        assert url_of("kms", "us-east-1", {variable: "true"}) == url
