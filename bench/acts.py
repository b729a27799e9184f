"""What clients do besides reading, each act by the name under which its answers are counted."""

import asyncio
from collections.abc import Callable
from time import monotonic_ns
from typing import Any, Final
from uuid import UUID

from bench import wire
from bench.asks import Asked
from bench.cast import Cast
from bench.target import HOST_USER

# Messages that come at the same moment, when something happens in a show.
BURST: Final = 20
PAGE: Final = 50
# How long a host is away who vanishes: by then a session with such a grace is interrupted.
AWAY_SECONDS: Final = 4.0
GRACE_MS: Final = 1000
_REACTIONS: Final = ("heart", "fire", "clap", "laugh")


def chat(cast: Cast, number: int, due: int, asked: Asked) -> None:
    """One message."""
    cast.senders[number % len(cast.senders)].say(asked, due, cast.plan.size)


def burst(cast: Cast, number: int, due: int, asked: Asked) -> None:
    """Many messages at once, by different senders where there are so many."""
    for each in range(number * BURST, (number + 1) * BURST):
        chat(cast, each, due, asked)


def react(cast: Cast, number: int, due: int, asked: Asked) -> None:
    """One reaction."""
    kind = _REACTIONS[number % len(_REACTIONS)]
    cast.senders[number % len(cast.senders)].react(asked, due, kind)


def page(cast: Cast, number: int, due: int, asked: Asked) -> None:
    """A page of history: by turns the newest one, and one from the beginning."""
    sample = cast.samples[number % len(cast.samples)]
    command: dict[str, Any] = {"type": "history", "session": sample.session, "limit": PAGE}
    sample.ask(asked, due, command if number % 2 else {**command, "after": 0})


def letter(cast: Cast, number: int, due: int, asked: Asked) -> None:
    """A direct message to the host."""
    sample = cast.samples[number % len(cast.samples)]
    # Each due time is another one, and so is each key.
    key = str(UUID(int=(due << 64) | (4 << 76) | (2 << 62) | number))
    sample.ask(asked, due, {"type": "direct.send", "user": HOST_USER, "key": key, "text": wire.stamp(due, 0)})


def churn(cast: Cast, number: int, due: int, asked: Asked) -> None:
    """A viewer hangs up, and comes back."""
    place = number % len(cast.viewers)
    viewer = cast.viewers[place]
    if not viewer.here:
        return
    asked.begin(due)
    viewer.leave()
    _end_with(cast.bring_back(cast.viewers, place, 0), due, asked)


def scene(cast: Cast, number: int, due: int, asked: Asked) -> None:
    """The host pauses, resumes, vanishes and returns, one thing after the other."""
    host = cast.hosts[0]
    if not host.here:
        return
    step = ("pause", "resume", "vanish")[number % 3]
    if step == "vanish":
        asked.begin(due)
        host.leave()
        _end_with(cast.bring_back(cast.hosts, 0, AWAY_SECONDS), due, asked)
    else:
        host.ask(asked, due, {"type": f"session.{step}", "session": host.session})


def _end_with(task: "asyncio.Task[int]", due: int, asked: Asked) -> None:
    def end(done: "asyncio.Task[int]") -> None:
        asked.end(due, acked=not done.cancelled() and done.exception() is None, now=monotonic_ns())

    task.add_done_callback(end)


Act = Callable[[Cast, int, int, Asked], None]
# Whom an act takes.
_ACTS: Final[dict[str, tuple[str, Act]]] = {
    "chat": ("senders", chat),
    "burst": ("senders", burst),
    "react": ("senders", react),
    "page": ("samples", page),
    "letter": ("samples", letter),
    "churn": ("viewers", churn),
    "scene": ("hosts", scene),
}


def act_of(cast: Cast, name: str) -> Act | None:
    """Give an act, where there is somebody for it."""
    whom, act = _ACTS[name]
    return act if getattr(cast, whom) else None
