"""The commands that all clients have sent, and the answers."""

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dev.chaos.judge import Start


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


@dataclass
class CommandLog:
    """The commands and the answers of all clients together.

    ``created`` are the instances that answers name, without repetitions.
    """

    sent: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    created: list[str] = field(default_factory=list)
    cancels_sent: set[str] = field(default_factory=set)
    cancels_answered: set[str] = field(default_factory=set)
    workflows: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    _starts: dict[str, Start] = field(default_factory=dict)

    def record(self, dialect: str, name: str, reply: Reply) -> None:
        """Count a command and its reply."""
        with self.lock:
            self.sent[f"{dialect} {name}"] += 1
            answer = "not sent" if reply.unsent else "no reply" if reply.status is None else str(reply.status)
            self.answers[answer] += 1

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
