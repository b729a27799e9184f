"""Looks at the server that is measured: what it has counted by its own metrics, and what it has taken."""

from time import monotonic_ns
from typing import Final, Self

from msgspec import Struct

from bench.machine import Usage, usage
from bench.pace import SECOND, Window
from bench.progress import sleep_until
from bench.target import Target

# Before the end of the window, so that what the last look takes is over by then, and the load is not.
_SHORTLY_NS: Final = SECOND // 10


class Look(Struct, frozen=True):
    """A server at a moment, in nanoseconds: its metrics, and CPU and memory where these can be measured."""

    at: int
    counters: dict[str, float]
    used: Usage | None = None

    @classmethod
    def now(cls, server: Target) -> Self:
        """Look. What that costs the server is part of what it has taken."""
        counters = server.counters()
        return cls(monotonic_ns(), counters, _usage(server))


class Ends:
    """Looks at both ends of a window. What looking costs lies outside of what the server has taken between them."""

    def __init__(self, server: Target) -> None:
        self.looks: list[Look] = []
        self._server = server

    def watch(self, window: Window) -> None:
        """Look now, at the beginning, and just before the end."""
        first = Look.now(self._server)
        sleep_until(window.end - _SHORTLY_NS, "measuring")
        used = _usage(self._server)
        self.looks = [first, Look(monotonic_ns(), self._server.counters(), used)]


def _usage(server: Target) -> Usage | None:
    return None if server.pid is None else usage(server.pid)
