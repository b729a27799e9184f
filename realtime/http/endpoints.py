"""The HTTP side API: one short function per endpoint, and the table that routes and OpenAPI come from."""

from collections.abc import Awaitable, Callable
from time import time
from typing import Annotated, Any, Final
from uuid import UUID

from msgspec import Meta, Struct

from persistence.listing import Listing
from persistence.sessions import Session
from realtime.audit import Act, act_of
from realtime.channels import Channels
from realtime.domain import access
from realtime.domain.access import May
from realtime.domain.limits import Action as LimitedAction
from realtime.domain.replay import span
from realtime.domain.session import COMMANDS, Action, State
from realtime.domain.timeline import Step
from realtime.feed import course_of, role_of, view_of
from realtime.history import edits, read
from realtime.lifecycle import Wish
from realtime.node import Node
from realtime.protocol.codec import JSON
from realtime.protocol.codes import Code, Refusal
from realtime.protocol.commands import PageSize
from realtime.protocol.events import Events
from realtime.protocol.replies import AgoraToken, SessionView
from realtime.protocol.session_settings import Change, change_of
from realtime.protocol.types import MAX_INTEGER, Millis, Seq, SessionId, UserId
from realtime.search import Search
from realtime.summaries import Summaries
from tokens.access import AccessDenied, AccessRole, Identity, SharedSecret, mint

# A day's work in dev mode.
DEV_TOKEN_SECONDS: Final = 12 * 3600


class Call(Struct, frozen=True, kw_only=True):
    """One request, checked: who asks and from where, with which path parameters, query and body."""

    who: Identity | None
    path: Any
    query: Any
    body: Any
    address: str = ""

    @property
    def session(self) -> str:
        """Give the session that the path names."""
        assert isinstance(self.path, SessionPath)
        return self.path.id

    @property
    def user(self) -> Identity:
        """Give who asks, where the endpoint asks for a token."""
        assert self.who is not None
        return self.who


class Signed(Struct, frozen=True):
    """A body as it came, and the signature beside it: empty unless it was given exactly once."""

    content: bytes
    signature: str


class Context(Struct, frozen=True):
    """What endpoints work with."""

    node: Node
    search: Search
    channels: Channels
    listing: Listing
    summaries: Summaries


class SessionPath(Struct, frozen=True):
    """The path parameters of a session's endpoints."""

    id: SessionId


class EventPath(SessionPath, frozen=True):
    """The path parameters of an event's endpoints."""

    seq: Seq


class UserPath(Struct, frozen=True):
    """The path parameters of a user's endpoints."""

    id: UserId


class NewNotice(Struct, frozen=True, forbid_unknown_fields=True):
    """The body that puts a notice into a user's inbox. The same `key` again gets the first answer again."""

    key: UUID
    text: str
    session: SessionId | None = None


class Noticed(Struct, frozen=True):
    """A notice that is durable, and since when."""

    key: UUID
    at: Millis


class NewSession(Change, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body that creates a session, with settings."""

    title: str
    key: UUID | None = None


class Why(Struct, frozen=True, forbid_unknown_fields=True):
    """The body that a transition may have. The same `key` again gets the first answer again."""

    key: UUID | None = None
    reason: Annotated[str, Meta(max_length=200)] | None = None


class EventsQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """Which page of a log: just before `before`, just after `after`, or the newest."""

    before: Seq | None = None
    after: Seq | None = None
    limit: PageSize = 50


class EventPage(Struct, frozen=True):
    """A page of a log, ascending; `more` says whether the log goes on in that direction."""

    events: Events
    more: bool


class Edits(Struct, frozen=True):
    """How a message became what it is: its edits in the order in which they count, and its deletions."""

    edits: list[Step]


class SearchQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """What to find: words, "a phrase", or, -without. Below `before`, the newest first."""

    q: Annotated[str, Meta(min_length=1, max_length=200)]
    before: Annotated[int, Meta(ge=1, le=MAX_INTEGER)] | None = None
    limit: PageSize = 50


class Found(Struct, frozen=True):
    """Messages that were found, the newest first; `more` says whether there may be others further back."""

    events: Events
    more: bool


class NewDevToken(Struct, frozen=True, forbid_unknown_fields=True):
    """Whom to mint a token for."""

    user: Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{1,64}$")]
    role: AccessRole = AccessRole.VIEWER
    synthetic: bool = False


class DevToken(Struct, frozen=True):
    """A minted token."""

    token: str
    user: str
    role: AccessRole
    expires_at: Millis


async def create_session(context: Context, call: Call) -> SessionView:
    """Create a scheduled session."""
    return view_of(await context.node.lifecycle.create(call.user, change_of(call.body), call.body.key))


async def get_session(context: Context, call: Call) -> SessionView:
    """Give one session."""
    return view_of(await readable(context, call))


def move_session(action: Action) -> "Handle":
    """Give the endpoint that carries out a transition."""

    async def move(context: Context, call: Call) -> SessionView:
        why = call.body or Why()
        wish = Wish(action, call.user.user, why.key, why.reason)
        async with context.node.admission.veiled(call.user, call.session):
            event = await context.node.lifecycle.move(call.user, call.session, wish)
        await context.node.audit.intervened(call.user, call.address, act_of(action), call.session, event)
        return view_of(await context.node.lifecycle.find(call.session))

    return move


async def get_events(context: Context, call: Call) -> EventPage:
    """Give a page of a session's log."""
    session = await readable(context, call)
    wanted = span(session.head.seq, call.query.before, call.query.after, call.query.limit)
    return EventPage(JSON.array(await read(context.node.log, session.id, course_of(session), wanted)), wanted.more)


async def get_edits(context: Context, call: Call) -> Edits:
    """Give how a message became what it is, to those who moderate."""
    session = await readable(context, call)
    access.check(May.MODERATE, role_of(session, call.user), State(session.state))
    return Edits(await edits(context.node.log, session.id, course_of(session), call.path.seq))


async def search(context: Context, call: Call) -> Found:
    """Find messages by their words."""
    session, query = await readable(context, call), call.query
    found = await context.search.find(session, query.q, query.before, query.limit)
    return Found(JSON.array(found), more=len(found) == query.limit)


async def issue_agora_token(context: Context, call: Call) -> AgoraToken:
    """Issue an Agora token for the session's channel."""
    return await context.node.video.issue(call.user, call.session)


async def send_notice(context: Context, call: Call) -> Noticed:
    """Put a notice into a user's inbox."""
    access.check_notice(call.user.role)
    body = call.body
    by, to = call.user.user, call.path.id
    appended = await context.node.mail.notify(to, by, body.key, body.text, body.session)
    context.node.audit.note(
        Act.NOTICE, by, call.address, f"{to} {body.key}", subject=to, session=body.session, key=body.key
    )
    return Noticed(body.key, appended.at)


async def mint_dev_token(context: Context, call: Call) -> DevToken:
    """Mint an access token for anyone. Exists in dev mode only."""
    settings, now = context.node.settings, int(time())
    if not settings.jwt_secret:
        raise Refusal(Code.NOT_CONFIGURED, "there is no secret to sign a token with")
    try:
        token = mint(
            call.body.user,
            call.body.role,
            SharedSecret(settings.jwt_secret),
            now,
            DEV_TOKEN_SECONDS,
            issuer=settings.jwt_issuer or None,
            audience=settings.jwt_audience or None,
            synthetic=call.body.synthetic,
        )
    except AccessDenied:
        raise Refusal(Code.BAD_REQUEST, "a user is 1 to 64 of the characters A-Z a-z 0-9 _ -") from None
    return DevToken(token, call.body.user, call.body.role, (now + DEV_TOKEN_SECONDS) * 1000)


async def readable(context: Context, call: Call) -> Session:
    """Give the session that a path names, to those who may read it.

    Raises:
        Refusal: `not_found`, `forbidden`.
    """
    session = await context.node.admission.find(call.user, call.session)
    access.check(May.READ, role_of(session, call.user), State(session.state))
    return session


Handle = Callable[[Context, Call], Awaitable[Struct]]


class Endpoint(Struct, frozen=True, kw_only=True):
    """One row of the API.

    `signature` names the header that signs the body; the endpoint gets both as `Signed`, for no bytes but these are
    what was signed, and reads `body` from them itself. `refuses` says with which codes it may refuse, besides those
    that follow from the rest.
    """

    method: str
    path: str
    handle: Handle
    summary: str
    reply: type
    query: type | None = None
    body: type | None = None
    body_optional: bool = False
    status: int = 200
    public: bool = False
    signature: str | None = None
    parameters: type = SessionPath
    # As what it is counted for its user; None is to read with GET, and to change sessions otherwise.
    action: LimitedAction | None = None
    refuses: tuple[Code, ...] = ()

    @property
    def counted_as(self) -> LimitedAction:
        """Give as what it is counted for its user."""
        return self.action or (LimitedAction.READ if self.method == "GET" else LimitedAction.SESSION)


_SESSION: Final = "/v1/sessions/{id}"

ENDPOINTS: Final = [
    Endpoint(
        method="POST",
        path="/v1/sessions",
        handle=create_session,
        summary="Create a session",
        body=NewSession,
        reply=SessionView,
        status=201,
        refuses=(Code.CONFLICT,),
    ),
    Endpoint(method="GET", path=_SESSION, handle=get_session, summary="Give a session", reply=SessionView),
    *(
        Endpoint(
            method="POST",
            path=f"{_SESSION}/{action}",
            handle=move_session(action),
            summary=f"{action.capitalize()} a session",
            body=Why,
            body_optional=True,
            reply=SessionView,
        )
        for action in COMMANDS
    ),
    Endpoint(
        method="GET",
        path=f"{_SESSION}/events",
        handle=get_events,
        summary="Give a page of a session's log",
        query=EventsQuery,
        reply=EventPage,
    ),
    Endpoint(
        method="GET",
        path=f"{_SESSION}/events/{{seq}}/edits",
        handle=get_edits,
        summary="Give how a message became what it is (hosts and moderators)",
        parameters=EventPath,
        reply=Edits,
    ),
    Endpoint(
        method="GET",
        path=f"{_SESSION}/search",
        handle=search,
        summary="Find messages by their words",
        query=SearchQuery,
        reply=Found,
    ),
    Endpoint(
        method="POST",
        path=f"{_SESSION}/agora-token",
        handle=issue_agora_token,
        summary="Issue an Agora token",
        reply=AgoraToken,
        action=LimitedAction.TOKEN,
        refuses=(Code.NOT_CONFIGURED,),
    ),
    Endpoint(
        method="POST",
        path="/v1/users/{id}/notices",
        handle=send_notice,
        summary="Put a notice into a user's inbox",
        parameters=UserPath,
        body=NewNotice,
        reply=Noticed,
        action=LimitedAction.DIRECT,
        refuses=(Code.CONFLICT,),
    ),
    Endpoint(
        method="POST",
        path="/dev/token",
        handle=mint_dev_token,
        summary="Mint an access token (dev mode only)",
        body=NewDevToken,
        reply=DevToken,
        public=True,
        refuses=(Code.NOT_CONFIGURED,),
    ),
]
