"""Writes the template as CloudFormation sees it, after SAM's transform: ``python -m dev.processed FILE``.

It runs in SAM's environment, which has the transform. Roles, permissions and routes are only in this form.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from samtranslator.translator.transform import transform

from dev.template import REGION, Template

_TEMPLATE = Path(__file__).parents[1] / "template.yaml"
_CODE = {"AWS::Serverless::Function": "CodeUri", "AWS::Serverless::LayerVersion": "ContentUri"}


class _NoManagedPolicies:
    """Stands for the client of IAM that the transform would ask for AWS's policies; the template names none."""

    def load(self) -> dict[str, str]:
        return {}


def processed(document: dict[str, Any], parameters: dict[str, str]) -> dict[str, Any]:
    """Return a template after the transform. Code is at a place that does not exist, unless the document says where."""
    for resource in document["Resources"].values():
        code = _CODE.get(resource["Type"])
        if code and not resource["Properties"][code].startswith("s3:"):
            resource["Properties"][code] = "s3://bucket/key"
    os.environ.setdefault("AWS_DEFAULT_REGION", REGION)
    made: dict[str, Any] = transform(document, parameters, _NoManagedPolicies())
    return made


if __name__ == "__main__":
    file = Path(sys.argv[1])
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(processed(Template(_TEMPLATE, {}).document, {}), indent=1))
