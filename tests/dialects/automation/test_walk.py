"""The walk-through of docs/api/automation.md, line by line."""

import json
import re
import shlex
from typing import Any

from tests.dialects.automation.client import Client
from tests.dialects.wire import ROOT

PAGE = (ROOT / "docs" / "api" / "automation.md").read_text()
LINES = re.findall(r"^    (curl .*)$", PAGE.split("## A walk through it")[1].split("\n## ")[0], re.MULTILINE)


def sent(line: str, known: dict[str, str]) -> tuple[str, str, Any]:
    """Return method, path and body of a curl command."""
    for name, value in known.items():
        line = line.replace(f"${name}", value)
    words = shlex.split(line, comments=True)
    method = words[words.index("-X") + 1] if "-X" in words else "GET"
    path = next(word for word in words if word.startswith(("/", "http")))
    body = words[words.index("-d") + 1] if "-d" in words else None
    if body is not None and body.startswith("@"):
        body = (ROOT / body[1:]).read_text()
    return method, path, None if body is None else json.loads(body)


def test_a_line_of_the_page_has_the_result_behind_it(automation: Client) -> None:
    known = {"A": "", "H": ""}
    found: list[tuple[int, Any]] = []
    for line in LINES:
        method, path, body = sent(line, known)
        if path.endswith("/_local/clock"):
            automation.later(**body["advance"])
        else:
            status, answer = automation(method, path, body)
            found.append((status, answer))
            if "ID" not in known:
                known["ID"] = answer["id"]
            elif "W" not in known and isinstance(answer, list):
                known["W"] = answer[0]["workflowId"]
        if "W" in known:
            automation.run(known["W"])

    statuses = [status for status, _ in found]
    assert statuses == [201, 200, 200, 200, 200, 200, 200, 202]
    assert found[2][1][0]["status"] == "Runnable"
    assert [(log["stepName"], log["status"]) for log in found[3][1]["logs"]][-1] == ("pause", "Sleeping")
    assert [found[index][1] for index in (1, 4, 5, 7)] == [None, None, None, None]
    assert found[6][1]["status"] == "Complete"
    assert len(automation.services.sent) == 2
