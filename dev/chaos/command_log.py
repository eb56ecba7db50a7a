"""The commands that all clients have sent, and the answers."""

import json
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from dev.chaos.judge import Start
from dev.chaos.stops import Sent


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The reply to a request. ``status`` is None if none arrived: it may have taken effect, unless ``unsent``."""

    status: int | None
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    unsent: bool = False

    @property
    def succeeded(self) -> bool:
        """Whether the server says that the request took effect."""
        return self.status is not None and 200 <= self.status < 300


def draining_of(name: str, reply: Reply) -> bool | None:
    """Return whether an answer of the core dialect says that a step is in flight, None if it does not say."""
    if not reply.succeeded or not isinstance(reply.body, dict):
        return None
    shown = reply.body.get("executionInstance", {}) if name == "cancel" else reply.body
    draining = shown.get("draining")
    return draining if isinstance(draining, bool) else None


@dataclass
class CommandLog:
    """The commands and the answers of all clients together.

    ``created`` are the instances that answers name, without repetitions. ``to_instances`` are the commands to instances
    that may have arrived.
    """

    sent: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    created: list[str] = field(default_factory=list)
    cancels_sent: set[str] = field(default_factory=set)
    cancels_answered: set[str] = field(default_factory=set)
    to_instances: list[Sent] = field(default_factory=list)
    workflows: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    _starts: dict[str, Start] = field(default_factory=dict)

    def record(self, dialect: str, name: str, reply: Reply) -> None:
        """Count a command and its reply."""
        with self.lock:
            self.sent[f"{dialect} {name}"] += 1
            answer = "not sent" if reply.unsent else "no reply" if reply.status is None else str(reply.status)
            self.answers[answer] += 1

    def record_sent(
        self, name: str, sids: Sequence[str], reply: Reply, *, sent_at: datetime, answered_at: datetime
    ) -> None:
        """Record a command to instances and its reply. One that was not sent is ignored."""
        if reply.unsent:
            return
        # After a 5xx it may still take effect.
        is_definite = reply.status is not None and reply.status < 500
        sent = Sent(
            name=name,
            sids=tuple(sids),
            sent_at=sent_at,
            answered_at=answered_at if is_definite else None,
            succeeded=reply.succeeded,
            draining=draining_of(name, reply),
        )
        with self.lock:
            self.to_instances.append(sent)

    def record_start(self, key: str, sid: str | None, reply: Reply) -> None:
        """Record the reply to a request that starts an instance. ``sid`` is the instance that it names, if any."""
        with self.lock:
            before = self._starts.get(key, Start(key=key))
            sids = before.sids if sid is None else before.sids | {sid}
            self._starts[key] = Start(key=key, sids=sids, succeeded=before.succeeded or reply.succeeded)
            if sid is not None and sid not in self.created:
                self.created.append(sid)

    def starts(self) -> Sequence[Start]:
        """Return the requests that start instances, by their keys."""
        with self.lock:
            return list(self._starts.values())

    def as_json(self) -> str:
        """Return the starts and the commands to instances as JSON, to explain a violation."""
        starts = [{**asdict(start), "sids": sorted(start.sids)} for start in self.starts()]
        commands = [asdict(sent) for sent in self.to_instances]
        return json.dumps({"starts": starts, "commands": commands}, indent=1, default=str)
