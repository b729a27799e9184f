"""A session's course: the spans that it has spent in each state, and the clock that runs only while it is live."""

from bisect import bisect_right
from collections.abc import Iterable
from itertools import pairwise
from typing import Final

from msgspec import Struct

from realtime.domain.session import State


class Span(Struct, frozen=True, gc=False):
    """A time in one state, from `began` to where the next span begins; the clock showed `media_ms` then."""

    state: str
    began: int
    media_ms: int

    def media_at(self, at: int) -> int:
        """Give what the clock shows at a moment of this span."""
        return self.media_ms + at - self.began if self.state == State.LIVE else self.media_ms


class Spent(Struct, frozen=True):
    """A span that is over."""

    state: str
    began: int
    ended: int


_BEFORE: Final = Span(State.SCHEDULED, 0, 0)


class Course:
    """The spans of one session, which only ever become more. All times are milliseconds of the database's clock.

    What the clock shows at a moment depends on nothing that begins later: a course that knows more than another
    gives the same answer for every moment up to the end of the other.
    """

    __slots__ = ("_last", "_spans")

    def __init__(self, spans: Iterable[Span] = ()) -> None:
        self._spans = list(spans)
        self._last = self._spans[-1] if self._spans else _BEFORE

    @property
    def last(self) -> Span:
        """Give the span that has not ended yet."""
        return self._last

    def spent(self) -> list[Spent]:
        """Give the spans that are over."""
        return [Spent(span.state, span.began, after.began) for span, after in pairwise(self._spans)]

    def enter(self, state: str, at: int) -> None:
        """Begin another span; none, where the state stays the same."""
        if state != self._last.state:
            self._last = Span(state, at, self._last.media_at(at))
            self._spans.append(self._last)

    def media_at(self, at: int) -> int:
        """Give what the session's clock shows at a moment: the time that it has been live until then."""
        # Nearly everything that is asked for belongs to the present.
        if at >= self._last.began:
            return self._last.media_at(at)
        index = bisect_right(self._spans, at, key=_began)
        return self._spans[index - 1].media_at(at) if index else 0


def _began(span: Span) -> int:
    return span.began
