"""What a session's chat has become: the merge of posts, edits and deletions.

Each message is a state that only grows: a post that is set once, the latest edit by `(at, seq)`, and
whether it was deleted. Merging takes the greater of each part, so it is commutative, associative and
idempotent (a join-semilattice): any order of arrival with any repetition ends in the same timeline.

A post may come with its latest edit or its deletion merged in already, as history gives it.
"""

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from msgspec import Struct

from realtime.protocol.events import ChangeBody, ChatBody, Kind, Stamp


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


def posted(seq: int, at: int, by: str, body: ChatBody) -> Fact:
    """Read a `chat.posted`."""
    edit = Edit(body.edited.at, body.edited.seq, body.text) if body.edited else None
    text = "" if edit or body.deleted else body.text
    return Fact(seq, Message(Post(at, by, text, body.reply_to), edit, body.deleted))


def changed(kind: str, seq: int, at: int, body: ChangeBody) -> Fact:
    """Read a `chat.edited` or a `chat.deleted`."""
    if kind == Kind.CHAT_DELETED or body.deleted:
        return Fact(body.seq, Message(deleted=True))
    return Fact(body.seq, Message(edit=Edit(at, seq, body.text)))


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
