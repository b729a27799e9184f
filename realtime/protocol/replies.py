"""What the server answers. `re` is the `id` of the command."""

from msgspec import Struct, field

from realtime.protocol.codes import Refusal
from realtime.protocol.events import Audience, Events
from realtime.protocol.session_settings import SessionSettings
from realtime.protocol.types import CommandId, Duration, Millis, Position, Seq, SessionId


class Reply(Struct, kw_only=True, frozen=True, omit_defaults=True, tag_field="type"):
    """The answer to one command."""

    re: CommandId | None = None


class MediaClock(Struct, frozen=True):
    """The session's clock: it showed `ms` at the time `at`, and runs on from there, or stands still."""

    ms: Duration
    at: Millis
    running: bool


class SessionView(Struct, kw_only=True, frozen=True, omit_defaults=True):
    """A session as clients see it.

    It is in its state `since` then, for a `reason`, if one was given, and ends at `ends_at` at the latest, if it is
    limited at all.
    """

    id: SessionId
    host: str
    title: str
    state: str
    version: int
    created_at: Millis
    since: Millis
    media: MediaClock
    started_at: Millis | None = None
    ended_at: Millis | None = None
    reason: str | None = None
    ends_at: Millis | None = None
    # Made by a factory, so that it is told also where nothing is set.
    settings: SessionSettings = field(default_factory=SessionSettings)
    # Whom the host has named, and what: "cohost" or "moderator".
    members: dict[str, str] = {}


class Welcome(Reply, tag="welcome", frozen=True, kw_only=True):
    """Answers `hello`. The connection is the user's until `expires_at`."""

    connection: str
    user: str
    now: Millis
    heartbeat_ms: int
    expires_at: Millis


class TokenTaken(Reply, tag="token", frozen=True, kw_only=True):
    """Answers `token.refresh`. The connection is the user's until `expires_at` now."""

    expires_at: Millis


class Joined(Reply, tag="joined", frozen=True, kw_only=True):
    """Answers `join`. With `complete`, `events` is all that lies between `since` and `position`.

    Without it, something in between cannot be given: the snapshot counts, and the client drops what
    it holds. Either way the next event received is the one after `position`. A host learns whether this
    connection is `hosting`: the one from which the session is run. `present` lists the users who are there, where
    they are few.
    """

    session: SessionView
    role: str
    position: Position
    events: Events
    complete: bool
    audience: Audience
    hosting: bool | None = None
    present: list[str] | None = None


class Created(Reply, tag="session", frozen=True, kw_only=True):
    """Answers `session.create`."""

    session: SessionView


class Left(Reply, tag="left", frozen=True, kw_only=True):
    """Answers `leave`."""

    session: SessionId


class Ack(Reply, tag="ack", frozen=True, kw_only=True):
    """What was asked is done; where it made an event, that is durable, and here is its address."""

    key: str | None = None
    seq: Seq | None = None
    at: Millis | None = None


class Page(Reply, tag="history", frozen=True, kw_only=True):
    """Answers `history`. `events` ascend; `more` says whether the log goes on in that direction."""

    session: SessionId
    events: Events
    more: bool


class AgoraToken(Reply, tag="agora.token", frozen=True, kw_only=True):
    """A token for the session's video channel, until `expires_at`; as a push, the one that takes the last one's place.

    Whoever has heard of no other one by `renew_at` asks for it.
    """

    session: SessionId
    token: str
    app_id: str
    channel: str
    uid: int
    role: str
    expires_at: Millis
    renew_at: Millis


class Error(Reply, tag="error", frozen=True, kw_only=True):
    """The command was not carried out. Shape and meaning are `Refusal`'s."""

    code: str
    message: str
    retry_after_ms: int | None = None
    state: str | None = None


def error(refusal: Refusal, re: int | None) -> Error:
    """Turn a refusal into its reply."""
    return Error(
        re=re,
        code=refusal.code,
        message=refusal.message,
        retry_after_ms=refusal.retry_after_ms,
        state=refusal.state,
    )
