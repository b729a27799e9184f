"""What the server says unasked: events of the log, signals, heartbeats."""

from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from realtime.protocol.session_settings import Change
from realtime.protocol.types import Duration, Epoch, Millis, Position, Seq, SessionId


def _holding(shape: str) -> Any:
    """Say for the specifications what documents a `Raw` holds."""
    return Meta(extra_json_schema={"type": "array", "items": {"$ref": f"#/components/schemas/{shape}"}})


# Documents that are encoded once, and not again for each who is given them.
Events = Annotated[Raw, _holding("Event")]
InboxEntries = Annotated[Raw, _holding("InboxEntry")]
# What servers tell each other alone is left out of the specifications.
Internal: Final = Meta(extra_json_schema={"x-internal": True})


class Kind(StrEnum):
    """The kinds of event that a log may hold."""

    CHAT_POSTED = "chat.posted"
    CHAT_EDITED = "chat.edited"
    CHAT_DELETED = "chat.deleted"
    SESSION_CREATED = "session.created"
    SESSION_STARTED = "session.started"
    SESSION_PAUSED = "session.paused"
    SESSION_INTERRUPTED = "session.interrupted"
    SESSION_RESUMED = "session.resumed"
    SESSION_ENDED = "session.ended"
    SESSION_TAKEN_OVER = "session.taken_over"
    SESSION_UPDATED = "session.updated"
    SESSION_ROLE = "session.role"
    SESSION_GUESTS = "session.guests"


class InboxKind(StrEnum):
    """The kinds of entry that an inbox may hold."""

    DIRECT = "direct"
    MENTION = "mention"
    NOTICE = "notice"
    REQUEST = "request"
    ANSWER = "answer"


class Push(Struct, kw_only=True, frozen=True, omit_defaults=True, tag_field="type"):
    """Pushes carry neither `id` nor `re`. Clients ignore fields that they don't know."""


class Event(Push, tag="event", frozen=True, kw_only=True):
    """An entry of a session's log. `body` depends on `kind`; `key` is the sender's own.

    `media_ms` is what the session's clock showed at `at`: for how long the session had been live.
    """

    session: SessionId
    seq: Seq
    at: Millis
    media_ms: Duration
    kind: str
    by: str
    key: str | None = None
    body: Raw


class Stamp(Struct, frozen=True):
    """By what edits are compared: the later `(at, seq)` wins."""

    at: Millis
    seq: Seq


class ChatBody(Struct, frozen=True, omit_defaults=True):
    """The body of `chat.posted`.

    As appended it has the text alone. What became of the message since is merged in wherever it is told
    again: the latest text, with the stamp of that edit; or no text, where it was deleted.
    """

    text: str = ""
    reply_to: Seq | None = None
    edited: Stamp | None = None
    deleted: bool = False


class ChangeBody(Struct, frozen=True, omit_defaults=True):
    """The body of `chat.edited` and `chat.deleted`: which message it changes, and its new text.

    What became of the message since is merged in here, too: a later text with its stamp, or none,
    because the message was deleted.
    """

    seq: Seq
    text: str = ""
    edited: Stamp | None = None
    deleted: bool = False


class SessionBody(Struct, frozen=True, omit_defaults=True):
    """The body of every `session.*` event: what the session has become, why, and when it ends at the latest.

    `term` counts the devices from which the host has run the session, where that is what changed.
    `session.updated` has its `changes`, and `session.role` the `user` whose `role` it is now. `session.guests` has
    those who may come to a private session from now on, and those who may not any more: for servers alone.
    """

    state: str
    version: int
    reason: str | None = None
    ends_at: Millis | None = None
    term: int | None = None
    changes: Change | UnsetType = UNSET
    user: str | UnsetType = UNSET
    role: str | UnsetType = UNSET
    allowed: Annotated[list[str], Internal] | UnsetType = UNSET
    removed: Annotated[list[str], Internal] | UnsetType = UNSET


BODIES: Final[dict[Kind, type[Struct]]] = {
    Kind.CHAT_POSTED: ChatBody,
    Kind.CHAT_EDITED: ChangeBody,
    Kind.CHAT_DELETED: ChangeBody,
    **{kind: SessionBody for kind in Kind if kind.startswith("session.")},
}


class Audience(Struct, frozen=True):
    """Who is there: open connections, and the distinct users behind them; of those, who watches and who has posted."""

    connections: int = 0
    users: int = 0
    watching: int = 0
    chatters: int = 0


class TypingSignal(Push, tag="signal", omit_defaults=False, frozen=True, kw_only=True):
    """Who types: some of the users, and how many there are. Not kept."""

    session: SessionId
    kind: Literal["typing"] = "typing"
    users: tuple[str, ...]
    count: int


class ReactionsSignal(Push, tag="signal", omit_defaults=False, frozen=True, kw_only=True):
    """How often each kind of reaction was sent since the signal before. Not kept."""

    session: SessionId
    kind: Literal["reactions"] = "reactions"
    counts: dict[str, int]


class AudienceSignal(Push, tag="signal", omit_defaults=False, frozen=True, kw_only=True):
    """The audience has changed. Not kept.

    It has the list of users, or who joined and who left it, or nothing of these: then there is no list.
    """

    session: SessionId
    kind: Literal["audience"] = "audience"
    audience: Audience
    present: list[str] | UnsetType = UNSET
    joined: list[str] | UnsetType = UNSET
    left: list[str] | UnsetType = UNSET


class Skipped(Push, tag="skipped", frozen=True, kw_only=True):
    """You read too slowly: so many messages, from `first` to `last`, were left out. `history` has them."""

    session: SessionId
    skipped: int
    first: Seq
    last: Seq


class QualityPush(Push, tag="quality", frozen=True, kw_only=True):
    """How good this connection is, and the round trip of its last heartbeat, where one was answered."""

    rtt_ms: int | None = None
    quality: str


class TokenExpiring(Push, tag="token.expiring", frozen=True, kw_only=True):
    """The token will have ended after `expires_in_ms`, and this connection with it, unless a fresh one comes."""

    expires_in_ms: int


class Drain(Push, tag="drain", omit_defaults=False, frozen=True, kw_only=True):
    """The server is about to stop. This connection will be closed after `reconnect_in_ms`: come back then.

    By `deadline_ms` all connections are closed.
    """

    reconnect_in_ms: int
    deadline_ms: int


class Ping(Push, tag="ping", frozen=True, kw_only=True):
    """A heartbeat. `heads` lets a client prove that it has everything."""

    now: Millis
    heads: dict[SessionId, Position]


class InboxEntry(Struct, frozen=True):
    """An entry of the user's inbox. `body` depends on `kind`; `key` is the sender's own."""

    id: Seq
    at: Millis
    kind: str
    by: str
    key: str
    body: Raw


class DirectBody(Struct, frozen=True):
    """The body of `direct`."""

    text: str


class MentionBody(Struct, frozen=True):
    """The body of `mention`: which message it was."""

    session: SessionId
    seq: Seq
    text: str


class NoticeBody(Struct, frozen=True, omit_defaults=True):
    """The body of `notice`, and the session, and the event of its log, that it is about."""

    text: str
    session: SessionId | None = None
    seq: Seq | None = None


class RequestBody(Struct, frozen=True):
    """The body of `request`: to which private session its sender wants to be let in."""

    session: SessionId


class AnswerBody(Struct, frozen=True):
    """The body of `answer`: whether one who asked is let in."""

    session: SessionId
    accepted: bool


INBOX_BODIES: Final[dict[InboxKind, type[Struct]]] = {
    InboxKind.DIRECT: DirectBody,
    InboxKind.MENTION: MentionBody,
    InboxKind.NOTICE: NoticeBody,
    InboxKind.REQUEST: RequestBody,
    InboxKind.ANSWER: AnswerBody,
}


class Removed(Push, tag="removed", frozen=True, kw_only=True):
    """The connection has joined the session no more, and why. Nothing of the session comes after it."""

    session: SessionId
    code: str
    message: str


class Inbox(Push, tag="inbox", frozen=True, kw_only=True):
    """Entries of the user's inbox, ascending: with them, everything up to `upto` has been given.

    `lost` of those before them were taken out before anybody acknowledged them.
    """

    epoch: Epoch
    upto: Seq
    lost: int = 0
    entries: InboxEntries
