"""What a joining reader must be given: nothing, events from memory, or a reset. And pages of a log."""

from enum import StrEnum

from msgspec import Struct

from realtime.protocol.codes import Code, Refusal
from realtime.protocol.types import Position


class Source(StrEnum):
    """Where the missed events come from. RESET means that they come from nowhere."""

    NOTHING = "nothing"
    MEMORY = "memory"
    RESET = "reset"


class Window(Struct, frozen=True):
    """What a node holds of a log: the head, and the events in memory from `oldest` to the head."""

    epoch: str
    head: int
    oldest: int


class Replay(Struct, frozen=True):
    """Give the events above `after` up to the window's head."""

    source: Source
    after: int


def plan(since: Position | None, window: Window, limit: int) -> Replay:
    """Decide how a reader at `since` is brought to the head, by at most `limit` events."""
    if since is None or since == Position(window.epoch, window.head):
        return Replay(Source.NOTHING, window.head)
    if since.epoch != window.epoch or since.seq > window.head or window.head - since.seq > limit:
        return Replay(Source.RESET, window.head)
    # Too little in memory for a position within the limit means that the log itself has lost its beginning.
    if since.seq < window.oldest - 1:
        return Replay(Source.RESET, window.head)
    return Replay(Source.MEMORY, since.seq)


def ahead(since: Position | None, window: Window) -> bool:
    """Tell whether a reader has more than this node does: events that are still on their way here, if they exist."""
    return since is not None and since.epoch == window.epoch and since.seq > window.head


class Span(Struct, frozen=True):
    """The events from `first` to `last`; none where `first` is the greater. `more` lie beyond."""

    first: int
    last: int
    more: bool


def span(head: int, before: int | None, after: int | None, limit: int) -> Span:
    """Give the page of a log that ends just below `before`, or begins just above `after`, or is the newest.

    A log has every event from 1 to its head, so a page is known without looking.

    Raises:
        Refusal: `bad_request`, both are given.
    """
    if before is not None and after is not None:
        raise Refusal(Code.BAD_REQUEST, "either before or after")
    if after is not None:
        last = min(after + limit, head)
        return Span(after + 1, last, more=last < head)
    last = min(head if before is None else before - 1, head)
    first = max(last - limit + 1, 1)
    return Span(first, last, more=first > 1)
