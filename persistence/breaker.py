"""A circuit breaker: decides when a store that fails is left alone, and when it is tried again.

After Michael Nygard's pattern ("Release It!"), with one difference: no caller is the guinea pig. While it
is open every call is refused, and a probe that serves nobody finds out whether the store is back. Pure:
times are seconds on any clock that only goes forward, and come as arguments.
"""

from enum import StrEnum


class State(StrEnum):
    """CLOSED lets everything through; OPEN and PROBING nothing, and in PROBING a probe is on its way."""

    CLOSED = "closed"
    OPEN = "open"
    PROBING = "probing"


class Breaker:
    """Opens after `limit` failures in a row; then a probe is due every `pause` seconds, until one goes well."""

    def __init__(self, limit: int, pause: float) -> None:
        self.state = State.CLOSED
        self._limit = limit
        self._pause = pause
        self._failures = 0
        self._due = 0.0

    @property
    def closed(self) -> bool:
        """Tell whether calls are let through."""
        return self.state is State.CLOSED

    def succeeded(self) -> None:
        """Take note that a call was answered."""
        self._failures = 0

    def failed(self, now: float) -> bool:
        """Take note that a call was not answered; tell whether that opens the breaker."""
        # Calls from before it opened may still fail: they say nothing new.
        if not self.closed:
            return False
        self._failures += 1
        if self._failures < self._limit:
            return False
        self._open(now)
        return True

    def wait(self, now: float) -> float:
        """Give the seconds until the next probe is due: not before the pause is over, if one is on its way."""
        return self._pause if self.state is State.PROBING else max(0.0, self._due - now)

    def probe(self) -> None:
        """Take note that a probe is on its way."""
        self.state = State.PROBING

    def probed(self, now: float, *, well: bool) -> None:
        """Close where the probe was answered; else wait for the next one."""
        if well:
            self.state = State.CLOSED
            self._failures = 0
        else:
            self._open(now)

    def _open(self, now: float) -> None:
        self.state = State.OPEN
        self._due = now + self._pause
