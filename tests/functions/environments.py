"""The environment that the template sets for a function."""

from pathlib import Path

from dev.template import Template

ROOT = Path(__file__).parents[2]
PARAMETERS = {
    "Stage": "test",
    "Environment": "dev",
    "SettingsKeyArn": "arn:key",
    "PepperSecretArn": "local:" + "p" * 32,
    "AllowedCidrs": "10.0.0.0/8, fd00::/8",
}


def environment() -> dict[str, str]:
    """Return the environment that the template sets for a function."""
    template = Template(ROOT / "template.yaml", PARAMETERS)
    return dict(template.environment("CoreApi"))
