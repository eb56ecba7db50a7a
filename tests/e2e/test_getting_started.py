"""Runs the commands of docs/getting-started.md in order, as a reader would type them."""

import json
import re
from typing import Any

from dev.client import KEY, Processes
from dev.workers import ROOT
from tests.programs import output_of

PAGE = (ROOT / "docs" / "getting-started.md").read_text()
COMMANDS = re.findall(r"^```bash\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
MARK = "-- next --"


def outputs(processes: Processes) -> list[list[Any]]:
    """Run every command block of the page in one shell; return the JSON values that each block printed."""
    strategy = json.loads((ROOT / "events" / "streaming.json").read_text())
    strategy["settings"]["services"][0]["baseUrls"][0]["url"] = f"{processes.downstream.url}/shop"
    file = processes.folder / "streaming.json"
    file.write_text(json.dumps(strategy))
    script = f"\necho '{MARK}'\n".join(COMMANDS)
    for printed, here in (
        ("http://127.0.0.1:8080", processes.stack.url),
        ("http://127.0.0.1:8081", processes.downstream.url),
        ("@events/streaming.json", f"@{file}"),
    ):
        assert printed in script
        script = script.replace(printed, here)
    output = output_of(["bash", "-euo", "pipefail", "-c", script], seconds=240)
    return [values(block) for block in output.split(f"{MARK}\n")]


def values(text: str) -> list[Any]:
    """Return the JSON values in a text, one after another; other words are skipped."""
    decoder, found, rest = json.JSONDecoder(), [], text.strip()
    while rest:
        if rest[0] not in "{[":
            rest = rest.partition("\n")[2].strip()
            continue
        value, end = decoder.raw_decode(rest)
        found.append(value)
        rest = rest[end:].strip()
    return found


class TestTheTutorial:
    """The commands of the page give the results that the page shows."""

    def test_every_command_of_the_page_works(self, processes: Processes) -> None:
        processes.start_stack("--start-at", "2026-01-10T09:00:00Z")

        _, valid, saved, _, _, forecast, jump, ledger, declined, why, held, resumed, canceled, audit = (
            outputs(processes)
        )

        assert valid == [{"valid": True, "problems": [], "warnings": []}]
        assert (saved[0]["name"], saved[0]["version"]) == ("streaming", 1)
        days = [cycle["mainEvent"]["date"][:10] for cycle in forecast[0]["cycles"]]
        assert days == ["2026-01-24", "2026-02-24", "2026-03-24"]
        assert forecast[0]["cycles"][0]["leadingUpEvents"][0]["date"][:10] == "2026-01-21"
        assert sum(count for name, count in jump[0]["started"].items() if name.endswith(" events")) == 2
        assert [line["path"] for line in ledger[0]] == ["/shop/mails", "/shop/charges"]
        assert ledger[0][0]["request"]["text"].startswith("We will charge you on 2026-01-24T09:")
        assert ledger[0][1]["request"] == {"customer": "ann", "amount": 9.99}
        assert len(declined) == 2
        assert (why[0]["reason"], why[0]["until"][:10]) == ("WAITING_FOR_RETRY", "2026-02-28")
        assert "402" in why[0]["why"]
        assert held[1]["status"] == "PAUSED"
        events = resumed[2]["items"]
        assert [event["status"] for event in events if event["task"] == "charge"] == [
            "PENDING",
            "PROCESSED",
            "PROCESSED",
        ]
        assert [event["date"][:10] for event in events[:2]] == ["2026-03-24", "2026-03-21"]
        texts = [line["request"].get("text") for line in canceled[2]]
        assert texts.count("Your subscription is on hold") == 1
        assert [text for text in texts if text and "failed" in text] == [
            "Your payment failed (attempt 1)",
            "Your payment failed (attempt 2)",
        ]
        assert texts[-1] == "Goodbye"
        assert "ann moved away" in {entry.get("reason") for entry in audit[0]["items"]}

    def test_the_page_uses_the_local_stacks_key(self) -> None:
        assert f"Bearer {KEY}'" in PAGE
