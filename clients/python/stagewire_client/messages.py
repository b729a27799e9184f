"""What the server says, as far as a client reads it. Fields and types that are not known are ignored.

`docs/protocol.md` of Stagewire describes each of them. Times are milliseconds since the epoch, UTC.
"""

from typing import Any

from msgspec import Struct


class Position(Struct, frozen=True):
    """How far a reader has got: every event of `epoch` up to and including `seq`."""

    epoch: str
    seq: int


class Event(Struct, frozen=True, kw_only=True):
    """An entry of a session's log. `body` depends on `kind`; `key` is the sender's own."""

    seq: int
    at: int
    kind: str
    by: str
    session: str = ""
    media_ms: int = 0
    key: str | None = None
    body: dict[str, Any] = {}


class Gap(Struct, frozen=True):
    """In the place of events that cannot be given here: those from `first` to `last`, or nobody knows which.

    Where `first` is 0 the log has begun anew, or too much was missed: the snapshot counts, and `history` has what
    there is.
    """

    first: int = 0
    last: int = 0
    kind: str = "gap"


class MediaClock(Struct, frozen=True):
    """The session's clock: it showed `ms` at the time `at`, and runs on from there, or stands still."""

    ms: int
    at: int
    running: bool


class Snapshot(Struct, frozen=True, kw_only=True):
    """A session as it stands."""

    id: str
    host: str
    title: str
    state: str
    version: int
    created_at: int
    since: int
    media: MediaClock
    started_at: int | None = None
    ended_at: int | None = None
    reason: str | None = None
    ends_at: int | None = None
    settings: dict[str, Any] = {}
    members: dict[str, str] = {}


class Welcome(Struct, frozen=True, kw_only=True):
    """The answer to `hello`."""

    connection: str
    user: str
    now: int
    heartbeat_ms: int
    expires_at: int


class Joined(Struct, frozen=True, kw_only=True):
    """The answer to `join`."""

    session: Snapshot
    role: str
    position: Position
    events: list[Event]
    complete: bool
    audience: dict[str, int]
    hosting: bool | None = None
    present: list[str] | None = None


class Created(Struct, frozen=True):
    """The answer to `session.create`."""

    session: Snapshot


class Ack(Struct, frozen=True):
    """What was asked is done; where it made an event, that is durable, and this is its address."""

    key: str | None = None
    seq: int | None = None
    at: int | None = None


class Page(Struct, frozen=True):
    """A page of the log, ascending; `more` says whether the log goes on in that direction."""

    events: list[Event]
    more: bool


class Left(Struct, frozen=True):
    """The answer to `leave`."""

    session: str


class TokenTaken(Struct, frozen=True):
    """The answer to `token.refresh`."""

    expires_at: int


class AgoraToken(Struct, frozen=True, kw_only=True):
    """A token for the session's video channel."""

    session: str
    token: str
    app_id: str
    channel: str
    uid: int
    role: str
    expires_at: int
    renew_at: int


class ErrorReply(Struct, frozen=True, kw_only=True):
    """What a refused command is answered."""

    code: str
    message: str
    retry_after_ms: int | None = None
    state: str | None = None


class Ping(Struct, frozen=True):
    """A heartbeat, with the heads of the sessions that were joined."""

    now: int
    heads: dict[str, Position] = {}


class Signal(Struct, frozen=True, kw_only=True):
    """Something that is not kept. Which fields are set depends on the `kind`: typing, reactions or audience."""

    session: str
    kind: str
    audience: dict[str, int] | None = None
    present: list[str] | None = None
    joined: list[str] | None = None
    left: list[str] | None = None
    users: list[str] = []
    count: int = 0
    counts: dict[str, int] = {}


class Skipped(Struct, frozen=True):
    """Events that were left out for a slow reader."""

    session: str
    first: int
    last: int


class Removed(Struct, frozen=True):
    """The session is joined no more, and why."""

    session: str
    code: str
    message: str


class Quality(Struct, frozen=True):
    """How good the connection is, as the server measures it: good, fair or poor."""

    quality: str
    rtt_ms: int | None = None


class TokenExpiring(Struct, frozen=True):
    """The token will have ended after so many milliseconds."""

    expires_in_ms: int


class Drain(Struct, frozen=True):
    """The server is about to close, after `reconnect_in_ms`."""

    reconnect_in_ms: int
    deadline_ms: int


class Entry(Struct, frozen=True, kw_only=True):
    """An entry of the user's inbox. `body` depends on `kind`."""

    id: int
    at: int
    kind: str
    by: str
    key: str
    body: dict[str, Any] = {}


class Inbox(Struct, frozen=True, kw_only=True):
    """Entries of the user's inbox: with them, everything up to `upto` has been given."""

    epoch: str
    upto: int
    entries: list[Entry]
    lost: int = 0


Push = Event | Ping | Signal | Skipped | Removed | Quality | TokenExpiring | Drain | Inbox | AgoraToken
