"""What a client may say. Each command is one type; unknown types and fields are refused."""

from typing import Annotated, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from realtime.protocol.session_settings import ChatMode, Cover, Language, Limits, MaxMessage, Metadata, SlowMode
from realtime.protocol.types import CommandId, Millis, Position, ReactionKind, Seq, SessionId, UserId

MAX_PAGE = 200
# Far above what any identity provider issues, far below what would be worth parsing.
MAX_TOKEN = 8192

Token = Annotated[str, Meta(min_length=1, max_length=MAX_TOKEN, description="A JWT.")]
DeviceName = Annotated[
    str,
    Meta(
        # Postgres stores no NUL, and of all hosts that are written at a time one must not spoil it for the others.
        pattern=r"^[^\x00-\x1f\x7f-\x9f]{1,64}$(?!\n)",
        max_length=64,
        description="Names the user's device, the same whenever it comes back.",
    ),
]
Why = Annotated[str, Meta(max_length=200, description="Why, in a few words for everyone.")]
ClientName = Annotated[str, Meta(max_length=64, description="The client's name and version, for the logs.")]
NamedRole = Literal["cohost", "moderator", "viewer"]
PageSize = Annotated[int, Meta(ge=1, le=MAX_PAGE, description="How many events at most.")]


class Command(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, tag_field="type", gc=False):
    """`id` asks for a reply, which carries it back as `re`."""

    id: CommandId | None = None


class Hello(Command, tag="hello", frozen=True, kw_only=True):
    """The first command of every connection."""

    token: Token
    now: Millis | None = None
    client: ClientName | None = None
    device: DeviceName | None = None


class TokenRefresh(Command, tag="token.refresh", frozen=True, kw_only=True):
    """Go on with a fresh token of the same user."""

    token: Token


class Pong(Command, tag="pong", frozen=True, kw_only=True):
    """Answers a `ping`."""

    now: Millis | None = None


class SessionCommand(Command, frozen=True, kw_only=True):
    """A command about one session."""

    session: SessionId


class Join(SessionCommand, tag="join", frozen=True, kw_only=True):
    """Begin to receive a session's events, from `since` on or from now on.

    "last" stands for the position that the server has kept for the user.
    """

    since: Position | Literal["last"] | None = None


class Leave(SessionCommand, tag="leave", frozen=True, kw_only=True):
    """Stop receiving a session's events."""


class ChatSend(SessionCommand, tag="chat.send", frozen=True, kw_only=True):
    """Append a message to the session's log. The same `key` again gets the first answer again."""

    key: UUID
    text: str
    sent_at: Millis | None = None
    reply_to: Seq | None = None


class ChatEdit(SessionCommand, tag="chat.edit", frozen=True, kw_only=True):
    """Give one's own message `seq` another text. Of several edits the latest counts."""

    seq: Seq
    text: str
    key: UUID
    edited_at: Millis | None = None


class ChatDelete(SessionCommand, tag="chat.delete", frozen=True, kw_only=True):
    """Delete one's own message `seq`, for good. Hosts and moderators delete anyone's."""

    seq: Seq
    key: UUID


class History(SessionCommand, tag="history", frozen=True, kw_only=True):
    """A page of the log: the events just before `before`, or just after `after`; else the newest."""

    before: Seq | None = None
    after: Seq | None = None
    limit: PageSize = 50


class Typing(SessionCommand, tag="typing", frozen=True, kw_only=True):
    """Tell the others that this user has begun or stopped to type."""

    on: bool


class React(SessionCommand, tag="react", frozen=True, kw_only=True):
    """Say how one likes it. Only how often each kind was sent is told on."""

    kind: ReactionKind


class Playback(SessionCommand, tag="playback", frozen=True, kw_only=True):
    """Tell whether this connection plays the session's video. Is to be repeated while it does."""

    state: Literal["playing", "buffering", "paused"] = "playing"


class SessionChange(Command, frozen=True, kw_only=True):
    """What is to be set in a session: a `Change`, with the fields of a command. What is left out stays as it is."""

    title: str | UnsetType = UNSET
    chat: ChatMode | UnsetType = UNSET
    slow_mode: SlowMode | UnsetType = UNSET
    links: bool | UnsetType = UNSET
    private: bool | UnsetType = UNSET
    max_message: MaxMessage | UnsetType | None = UNSET
    language: Language | UnsetType | None = UNSET
    cover: Cover | UnsetType | None = UNSET
    metadata: Metadata | UnsetType | None = UNSET
    limits: Limits | UnsetType | None = UNSET


class SessionCreate(SessionChange, tag="session.create", frozen=True, kw_only=True):
    """Create a scheduled session. The same `key` again gets the first session again."""

    title: str
    key: UUID | None = None


class SessionUpdate(SessionChange, tag="session.update", frozen=True, kw_only=True):
    """Change a session's title and settings. The same `key` again gets the first answer again."""

    session: SessionId
    key: UUID | None = None


class SessionRole(SessionCommand, tag="session.role", frozen=True, kw_only=True):
    """Name a co-host or a moderator, or take that back. The same `key` again gets the first answer again."""

    user: UserId
    role: NamedRole
    key: UUID | None = None


class SessionAsk(SessionCommand, tag="session.ask", frozen=True, kw_only=True):
    """Ask to be let into a private session."""


class SessionAnswer(SessionCommand, tag="session.answer", frozen=True, kw_only=True):
    """Let one who has asked into a private session, or don't."""

    user: UserId
    accept: bool


class Transition(SessionCommand, frozen=True, kw_only=True):
    """A change of a session's state, as an event of its log. The same `key` again gets the first answer again."""

    key: UUID | None = None
    reason: Why | None = None


class SessionStart(Transition, tag="session.start", frozen=True, kw_only=True):
    """Go live."""


class SessionPause(Transition, tag="session.pause", frozen=True, kw_only=True):
    """Pause a live session."""


class SessionResume(Transition, tag="session.resume", frozen=True, kw_only=True):
    """Go on after a pause or an interruption."""


class SessionEnd(Transition, tag="session.end", frozen=True, kw_only=True):
    """End the session, for good."""


class SessionTakeover(SessionCommand, tag="session.takeover", frozen=True, kw_only=True):
    """Run the session from this connection; the host's other device that does so is sent away."""

    key: UUID | None = None


class DirectSend(Command, tag="direct.send", frozen=True, kw_only=True):
    """Put a message into a user's inbox. The same `key` again gets the first answer again."""

    user: UserId
    key: UUID
    text: str


class InboxAck(Command, tag="inbox.ack", frozen=True, kw_only=True):
    """Take everything up to and including the entry `upto` out of one's own inbox."""

    upto: Seq


class AgoraToken(SessionCommand, tag="agora.token", frozen=True, kw_only=True):
    """Ask for a token for the session's video channel. Until the session is left, the next ones come unasked."""


Hosting = SessionStart | SessionPause | SessionResume | SessionEnd | SessionTakeover
Chat = ChatSend | ChatEdit | ChatDelete
Direct = DirectSend | InboxAck
Signal = Typing | React | Playback
Setting = SessionCreate | SessionUpdate | SessionRole | SessionAsk | SessionAnswer
AnyCommand = (
    Hello | TokenRefresh | Pong | Join | Leave | Chat | History | Signal | Setting | Hosting | Direct | AgoraToken
)


def type_of(command: Command | type[Command]) -> str:
    """Give the command's name on the wire."""
    return str(command.__struct_config__.tag)
