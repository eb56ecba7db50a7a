"""How a connection comes about: to an address that was looked at, and to no other.

A name is resolved once; each address it has is looked at, and exactly that one is connected to, so a name
that changes its mind leads nowhere else.
Source: design section 9.
"""

import math
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from shared.adapters.http.addresses import AddressGuard

Resolver = Callable[[str], Sequence[str]]
"""The addresses of a host, as text. Raises: OSError, UnicodeError: it has none."""

Seconds = Callable[[], float]
"""Real time that only moves forward, in seconds: ``time.monotonic``."""


class NotSentError(Exception):
    """Not a byte of the request was sent; the message says why, and tells no secret."""


class RefusedAddressError(NotSentError):
    """The host has an address that no call may go to."""


def system_resolver(host: str) -> Sequence[str]:
    """What the system says."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class TimedSocket(socket.socket):
    """A socket that sends and receives until an instant, however the bytes drip.

    until: by ``seconds``.
    """

    until: float = math.inf
    seconds: Seconds

    def send(self, *args: Any) -> int:  # noqa: ANN401 - as the socket takes them
        self._hurry()
        return super().send(*args)

    def sendall(self, *args: Any) -> None:  # noqa: ANN401 - as the socket takes them
        self._hurry()
        super().sendall(*args)

    def recv_into(self, *args: Any) -> int:  # noqa: ANN401 - as the socket takes them
        self._hurry()
        return super().recv_into(*args)

    def _hurry(self) -> None:
        left = self.until - self.seconds()
        if left <= 0:
            raise TimeoutError("the time is over")
        self.settimeout(left)


@dataclass(frozen=True, slots=True)
class WayOut:
    """How a connection comes about."""

    seconds: Seconds
    guard: AddressGuard
    resolve: Resolver = system_resolver

    def connected(self, host: str, port: int, until: float) -> TimedSocket:
        """A connection to the first address of a host that takes one.

        Each address gets its share of the time, so that a dead one leaves some for the next.
        Raises: NotSentError; OSError: no address takes a connection.
        """
        addresses = self._permitted(host, until)
        failure: OSError = TimeoutError()
        for number, address in enumerate(addresses):
            left = until - self.seconds()
            if left <= 0:
                break
            try:
                return self._connected(host, address, port, left / (len(addresses) - number))
            except OSError as error:
                failure = error
        raise failure

    def _permitted(self, host: str, until: float) -> Sequence[str]:
        addresses = self._resolved(host, until)
        if not addresses:
            raise NotSentError(f"{host} has no address")
        for address in addresses:
            self._check(host, address)
        return addresses

    def _resolved(self, host: str, until: float) -> Sequence[str]:
        """The addresses of a host. In a thread of its own, because a resolver cannot be told to hurry."""
        answers: SimpleQueue[Sequence[str] | Exception] = SimpleQueue()
        Thread(target=_resolve, args=(self.resolve, host, answers), daemon=True).start()
        try:
            answer = answers.get(timeout=max(0.0, until - self.seconds()))
        except Empty:
            raise NotSentError(f"the name {host} was not resolved in time") from None
        if isinstance(answer, Exception):
            raise NotSentError(f"the name {host} does not resolve") from answer
        return answer

    def _connected(self, host: str, address: str, port: int, seconds: float) -> TimedSocket:
        found = TimedSocket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        try:
            found.seconds = self.seconds
            found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            found.settimeout(seconds)
            found.connect((address, port))
            self._check(host, found.getpeername()[0])
        except BaseException:
            found.close()
            raise
        return found

    def _check(self, host: str, address: str) -> None:
        if not self.guard.permits(address):
            raise RefusedAddressError(f"{host} is at an internal address")


def _resolve(resolve: Resolver, host: str, answers: "SimpleQueue[Sequence[str] | Exception]") -> None:
    try:
        answers.put(resolve(host))
    except (OSError, UnicodeError) as error:
        answers.put(error)
