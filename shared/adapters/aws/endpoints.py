"""The URLs of AWS's services. Source: https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html."""

import re
from collections.abc import Mapping

_COMMERCIAL = re.compile(r"(af|ap|ca|eu|il|me|mx|sa|us)-[a-z]+-[0-9]+")
_VARIABLES = {"events": "EVENTBRIDGE", "secretsmanager": "SECRETS_MANAGER"}
"""How the variable of a service's URL ends, unless it is the name in upper case."""

_TRUE = "true"
_VARIANTS = ("AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT")


class NoRegionError(Exception):
    """Nothing says in which Region the services are."""


def region_of(environment: Mapping[str, str]) -> str:
    """Return the Region of this process. Raises: NoRegionError."""
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
    if region:
        return region
    from botocore.session import Session  # noqa: PLC0415 - reads a profile; Lambda always has the variable

    found = Session().get_config_variable("region")
    if not found:
        raise NoRegionError("AWS_REGION is not set, and no profile has a Region")
    return str(found)


def url_of(service: str, region: str, environment: Mapping[str, str]) -> str:
    """Return the URL of a service in a Region, without a slash at its end. ``service`` is its name in botocore."""
    variable = f"AWS_ENDPOINT_URL_{_VARIABLES.get(service, service.upper())}"
    chosen = environment.get(variable) or environment.get("AWS_ENDPOINT_URL")
    if chosen and environment.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() != _TRUE:
        return chosen.rstrip("/")
    has_variant = any(environment.get(name, "").lower() == _TRUE for name in _VARIANTS)
    if _COMMERCIAL.fullmatch(region) and not has_variant:
        return f"https://{service}.{region}.amazonaws.com"
    return _of_botocore(service, region)


def _of_botocore(service: str, region: str) -> str:
    """Return the URL for another partition, or with another name of the host, by botocore's rules."""
    from botocore.session import Session  # noqa: PLC0415 - an import of a tenth of a second, seldom needed

    # Without credentials botocore would look for some on the network.
    client = Session().create_client(
        service,
        region_name=region,
        aws_access_key_id="none",
        aws_secret_access_key="none",  # noqa: S106 - nothing is sent
    )
    url: str = client.meta.endpoint_url
    return url
