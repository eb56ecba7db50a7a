"""The text form of a value: inside a template, in a header, a parameter or a URL, and of ``string()``.

Source: docs/expressions.md.
"""

import json

from shared.expressions.digits import number_text
from shared.expressions.kinds import JsonValue


def text_of(value: JsonValue) -> str:
    """Return a value as text: null is empty, a list or map is compact JSON, numbers have no exponents.

    Raises: EvaluationError: if it contains a number that is NaN or infinite.
    """
    if value is None:
        return ""
    return value if isinstance(value, str) else _json(value)


def _json(value: JsonValue) -> str:
    # json.dumps would write exponents.
    if isinstance(value, dict):
        return "{" + ",".join(f"{_quoted(key)}:{_json(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(_json(item) for item in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return number_text(value)
    return "null" if value is None else _quoted(value)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
