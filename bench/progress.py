"""What a run is doing right now, for whoever watches the terminal; nothing where nobody does."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

# Each drawing takes from the cores that make the load.
_DRAWN_PER_SECOND: Final = 2
_SECOND_NS: Final = 1_000_000_000
_shown: ContextVar[Progress | None] = ContextVar("shown", default=None)


@contextmanager
def shown(console: Console) -> Iterator[None]:
    """Show what is done within, if the console is a terminal."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(
        *columns,
        console=console,
        refresh_per_second=_DRAWN_PER_SECOND,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        token = _shown.set(progress)
        try:
            yield
        finally:
            _shown.reset(token)


@contextmanager
def step(text: str, of: int | None = None) -> Iterator["Step"]:
    """Show a line for as long as something takes; with a bar, where it takes so many parts."""
    progress = _shown.get()
    if progress is None:
        yield Step(None, TaskID(0))
        return
    task = progress.add_task(text, total=of)
    try:
        yield Step(progress, task)
    finally:
        progress.remove_task(task)


class Step:
    """A line that is shown."""

    def __init__(self, progress: Progress | None, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def done(self, parts: float) -> None:
        """Say how many parts are done."""
        if self._progress is not None:
            self._progress.update(self._task, completed=parts)


def sleep_until(moment: int, text: str) -> None:
    """Sleep until a moment of the monotonic clock, in nanoseconds, and show why."""
    began = time.monotonic_ns()
    with step(text, max(1, moment - began)) as line:
        while (left := moment - time.monotonic_ns()) > 0:
            time.sleep(min(left / _SECOND_NS, 1 / _DRAWN_PER_SECOND))
            line.done(time.monotonic_ns() - began)
