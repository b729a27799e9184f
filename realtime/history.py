"""Pages of a log: from memory where all of the page lies there, else from Postgres."""

from collections.abc import Coroutine
from typing import Any, Final

from msgspec import Raw

from persistence.log import Log
from realtime.domain.course import Course
from realtime.domain.replay import Span, span
from realtime.domain.timeline import Step, story
from realtime.feed import Feed, encode, event_of
from realtime.node import Node
from realtime.protocol.codec import Codec
from realtime.protocol.codes import Code, Refusal
from realtime.protocol.commands import History
from realtime.protocol.events import Kind
from realtime.protocol.replies import Page

# Edits of one message that are listed, and as many deletions.
MAX_CHANGES: Final = 1000


def page(node: Node, codec: Codec, feed: Feed, command: History) -> Page | Coroutine[Any, Any, Page]:
    """Answer `history`, at once where this node has the page in memory."""
    wanted = span(feed.head, command.before, command.after, command.limit)
    if wanted.first >= feed.window.oldest or wanted.first > wanted.last:
        return _page(command, wanted, feed.slice(codec, wanted.first - 1, wanted.last + 1))
    return _page_later(node.log, codec, feed, command, wanted)


async def _page_later(log: Log, codec: Codec, feed: Feed, command: History, wanted: Span) -> Page:
    return _page(command, wanted, codec.array(await read(log, feed.id, feed.course, wanted)))


async def read(log: Log, session: str, course: Course, wanted: Span) -> list[bytes]:
    """Read a page from Postgres, each event encoded as its push, in JSON."""
    count = wanted.last - wanted.first + 1
    records = await log.after(session, wanted.first - 1, count) if count > 0 else []
    return [encode(session, record, course) for record in records]


async def edits(log: Log, session: str, course: Course, seq: int) -> list[Step]:
    """Give how a message became what it is: its last edits, and its deletions.

    Raises:
        Refusal: `not_found`, `seq` is no message.
    """
    post = await log.original(session, seq)
    if post is None or post.kind != Kind.CHAT_POSTED:
        raise Refusal(Code.NOT_FOUND, "no such message")
    # One more, because only an edit tells the text before the next one.
    changes = await log.changes(session, seq, MAX_CHANGES + 1)
    steps = story(event_of(session, post, course), [event_of(session, change, course) for change in changes])
    edited = sum(change.kind == Kind.CHAT_EDITED for change in changes)
    return steps[max(edited - MAX_CHANGES, 0) :]


def _page(command: History, wanted: Span, events: Raw) -> Page:
    return Page(re=command.id, session=command.session, events=events, more=wanted.more)
