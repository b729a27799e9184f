"""Logging what goes wrong again and again: at once, and from then on seldom."""

from collections.abc import Callable
from time import monotonic
from typing import Any, Final

# Seconds.
EVERY: Final = 10.0


class Seldom:
    """A logger that repeats an event at most every ten seconds, and then says how often it was left out."""

    def __init__(self, log: Any, clock: Callable[[], float] = monotonic) -> None:
        self._log = log
        self._clock = clock
        self._due: dict[str, float] = {}
        self._left_out: dict[str, int] = {}

    def warning(self, event: str, **about: Any) -> None:
        """Log a warning, if it is time to."""
        now = self._clock()
        if now < self._due.get(event, now):
            self._left_out[event] += 1
            return
        if left_out := self._left_out.get(event):
            about["left_out"] = left_out
        self._log.warning(event, **about)
        self._due[event] = now + EVERY
        self._left_out[event] = 0
