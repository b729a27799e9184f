"""What a session's chat has become: the merge of posts, edits and deletions.

Each message is a state that only grows: a post that is set once, the latest edit by `(at, seq)`, and
whether it was deleted. Merging takes the greater of each part, so it is commutative, associative and
idempotent (a join-semilattice): any order of arrival with any repetition ends in the same timeline.

A post or an edit may come with what became of its message merged in already, as it does wherever an
event is told again. `persistence/migrations/0002_timeline.sql` has the same merge in SQL.
"""

from collections.abc import Iterable, Mapping
from typing import TypeAlias

import msgspec
from msgspec import Struct

from realtime.protocol.events import ChangeBody, ChatBody, Event, Kind, Stamp


class Post(Struct, frozen=True):
    """Who said it and when it belongs. `text` is as first written, empty where that is no longer told."""

    at: int
    by: str
    text: str = ""
    reply_to: int | None = None


class Edit(Struct, frozen=True, order=True):
    """A later text, with the `(at, seq)` by which edits are compared."""

    at: int
    seq: int
    text: str = ""


class Message(Struct, frozen=True):
    """What is known of one message."""

    post: Post | None = None
    edit: Edit | None = None
    deleted: bool = False


Timeline: TypeAlias = Mapping[int, Message]


class Fact(Struct, frozen=True):
    """What one event says of the message that has the number `seq`."""

    seq: int
    says: Message


def read(event: Event) -> Fact | None:
    """Give what an event of a log says; nothing where it is not about a message."""
    if event.kind == Kind.CHAT_POSTED:
        return posted(event.seq, event.at, event.by, msgspec.json.decode(event.body, type=ChatBody))
    if event.kind in (Kind.CHAT_EDITED, Kind.CHAT_DELETED):
        return changed(event.kind, event.seq, event.at, msgspec.json.decode(event.body, type=ChangeBody))
    return None


def posted(seq: int, at: int, by: str, body: ChatBody) -> Fact:
    """Read a `chat.posted`."""
    edit = Edit(body.edited.at, body.edited.seq, body.text) if body.edited else None
    text = "" if edit or body.deleted else body.text
    return Fact(seq, Message(Post(at, by, text, body.reply_to), edit, body.deleted))


def changed(kind: str, seq: int, at: int, body: ChangeBody) -> Fact:
    """Read a `chat.edited` or a `chat.deleted`."""
    if kind == Kind.CHAT_DELETED or body.deleted:
        return Fact(body.seq, Message(deleted=True))
    stamp = body.edited or Stamp(at, seq)
    return Fact(body.seq, Message(edit=Edit(stamp.at, stamp.seq, body.text)))


def merge(one: Message, other: Message) -> Message:
    """Give all that is known from both."""
    posts = [post for post in (one.post, other.post) if post]
    edits = [edit for edit in (one.edit, other.edit) if edit]
    return Message(
        post=max(posts, key=_fullness, default=None),
        edit=max(edits, default=None),
        deleted=one.deleted or other.deleted,
    )


def _fullness(post: Post) -> tuple[int, str, str, int]:
    # Two posts of one number differ in what is still told of them, at most.
    return post.at, post.by, post.text, post.reply_to or 0


def absorb(timeline: Timeline, facts: Iterable[Fact]) -> Timeline:
    """Give the timeline that knows the facts, too."""
    grown = dict(timeline)
    for fact in facts:
        grown[fact.seq] = merge(grown.get(fact.seq, Message()), fact.says)
    return grown


def display(timeline: Timeline) -> list[tuple[int, ChatBody]]:
    """Give number and body of every message, merged, in the order of display: by `(at, seq)`."""
    posts = [(message.post.at, seq, message.post, message) for seq, message in timeline.items() if message.post]
    return [(seq, body(post, message)) for _, seq, post, message in sorted(posts, key=lambda entry: entry[:2])]


def body(post: Post, message: Message) -> ChatBody:
    """Give the body of a `chat.posted` with everything merged in that is known of the message."""
    if message.deleted:
        return ChatBody(reply_to=post.reply_to, deleted=True)
    if message.edit:
        stamp = Stamp(message.edit.at, message.edit.seq)
        return ChatBody(text=message.edit.text, reply_to=post.reply_to, edited=stamp)
    return ChatBody(text=post.text, reply_to=post.reply_to)


class Step(Struct, frozen=True, omit_defaults=True):
    """One change of a message: who made it, when, and the text before and after; no `after` for a deletion."""

    seq: int
    at: int
    by: str
    kind: str
    before: str
    after: str | None = None


def story(post: Event, changes: Iterable[Event]) -> list[Step]:
    """Give how a message became what it is: its edits by `(at, seq)`, and then its deletions. All as written."""
    before = msgspec.json.decode(post.body, type=ChatBody).text
    steps = []
    for event in sorted(changes, key=lambda event: (event.kind == Kind.CHAT_DELETED, event.at, event.seq)):
        deleted = event.kind == Kind.CHAT_DELETED
        after = None if deleted else msgspec.json.decode(event.body, type=ChangeBody).text
        steps.append(Step(event.seq, event.at, event.by, event.kind, before, after))
        before = before if after is None else after
    return steps


def retell(event: Event, message: Message) -> Event:
    """Give an event of a message with everything merged in that is known of the message."""
    fact = read(event)
    if fact is None or event.kind == Kind.CHAT_DELETED:
        return event
    known = merge(fact.says, message)
    told = body(fact.says.post, known) if fact.says.post else _change(event, fact.seq, known)
    return msgspec.structs.replace(event, body=msgspec.Raw(msgspec.json.encode(told)))


def _change(event: Event, seq: int, message: Message) -> ChangeBody:
    if message.deleted or message.edit is None:
        return ChangeBody(seq, deleted=True)
    stamp = Stamp(message.edit.at, message.edit.seq)
    return ChangeBody(seq, message.edit.text, stamp if stamp.seq != event.seq else None)
