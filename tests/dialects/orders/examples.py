"""Play the examples of the orders dialect's document.

``python -m tests.dialects.orders.examples`` writes them.
"""

import json
import os
from datetime import timedelta
from typing import Any

from dev.memory.world import ManualClock, MemoryPorts
from shared import bootstrap
from shared.adapters.crypto import SecretHasher
from shared.api.orders.routes import ROUTES
from shared.api.reference.orders import EXAMPLES_FILE
from tests.dialects.core.client import Shop
from tests.dialects.orders.client import Joc
from tests.dialects.wire import NOON, TEMPLATE

Json = dict[str, Any]
WHY: Json = {"comment": "Operational requirement!", "timeSpent": 2}


def played(joc: Joc) -> Json:
    """Return body and answer of every operation by name, from one story."""
    joc.workflow("refill", "/shop")
    found: Json = {}

    def play(name: str, body: Json | None = None) -> Any:
        route = next(route for route in ROUTES if route.name == name)
        if name == "log_in":
            status, answer = joc.log_in("operator")
            joc.tokens["operator"] = answer["accessToken"]
        else:
            token = {"X-Access-Token": joc.tokens["operator"]}
            body = None if body is None else {"controllerId": "a-1", **body}
            status, answer = joc.send(route.path, body, headers=token)
        assert status == 200, (name, answer)
        found[name] = {"answer": answer} if body is None else {"body": body, "answer": answer}
        return answer

    play("log_in")
    soon: Json = {"workflowPath": "/shop/refill", "orderName": "daily", "scheduledFor": "now+01:00"}
    held = {"workflowPath": "/shop/refill", "orderName": "on-call", "scheduledFor": "never"}
    soon["arguments"] = {"customerId": "c-1"}
    first, second = play("add_orders", {"orders": [soon, held], "auditLog": WHY})["orderIds"]
    play("get_order", {"orderId": first})
    play("get_orders", {"workflowIds": [{"path": "/shop/refill"}], "states": ["SCHEDULED", "PENDING"]})
    play("suspend_orders", {"orderIds": [first], "auditLog": WHY})
    play("get_snapshot", {})
    play("resume_orders", {"orderIds": [first]})
    play("continue_orders", {"orderIds": [second]})
    joc.run(_sid(joc, second))
    joc.ports.clock.at += timedelta(minutes=10)
    play("get_history", {"orders": [{"workflowPath": "/shop/refill"}], "dateFrom": "0d"})
    play("get_summary", {"dateFrom": "7d"})
    sid = joc.order(joc.workflow("by-hand", "/shop", config={"manualTrigger": True}))
    play("confirm_orders", {"orderIds": [sid], "auditLog": WHY})
    play(
        "cancel_orders", {"workflowIds": [{"path": "/shop/refill"}], "states": ["SCHEDULED"], "auditLog": WHY}
    )
    play("cancel_orders_without_prefix", {"folders": [{"folder": "/shop", "recursive": True}], "kill": True})
    play("log_out")
    return found


def _sid(joc: Joc, order_id: str) -> str:
    return next(one.sid for one in joc.ports.instances.instances.values() if one.origin.order_id == order_id)


def main() -> None:
    """Play the story in an empty deployment in memory, and write the examples."""
    os.environ |= TEMPLATE.environment("CoreApi")
    shop = Shop()
    ports = MemoryPorts(caller=shop, clock=ManualClock(NOON))
    bootstrap.use_ports(ports)
    write({route.name: {"body": {}, "answer": {}} for route in ROUTES})
    write(played(Joc(ports, SecretHasher(("p" * 32).encode()), shop)))


def write(found: Json) -> None:
    """Write the file."""
    EXAMPLES_FILE.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
