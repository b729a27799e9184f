"""Time that passes when everyone waits: hours of it take no longer than what happens in them."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Selector(selectors.SelectSelector):
    def __init__(self, passes: Callable[[float], None]) -> None:
        super().__init__()
        self._passes = passes

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        # Nobody outside of the loop could ever wake it.
        assert timeout is not None, "everyone waits for ever"
        self._passes(timeout)
        return super().select(0)


class Loop(asyncio.SelectorEventLoop):
    """An event loop whose clock moves on to what is next, at once."""

    def __init__(self) -> None:
        self._now = 0.0
        super().__init__(_Selector(self._pass))

    def time(self) -> float:
        """Give the seconds that have passed."""
        return self._now

    def _pass(self, seconds: float) -> None:
        self._now += max(0.0, seconds)


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run something in such a loop."""
    with asyncio.Runner(loop_factory=Loop) as runner:
        return runner.run(coroutine)
