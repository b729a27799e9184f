"""The side API's endpoints about what is set in a session, its staff, its guests, and followers."""

from typing import Annotated, Final, Literal
from uuid import UUID

from msgspec import Meta, Struct

from persistence.guests import Guest
from realtime.audit import Act
from realtime.domain import access
from realtime.feed import view_of
from realtime.http.endpoints import Call, Context, Endpoint, SessionPath, UserPath
from realtime.protocol.commands import NamedRole, PageSize
from realtime.protocol.replies import SessionView
from realtime.protocol.session_settings import Change, change_of
from realtime.protocol.types import UserId

Users = Annotated[list[UserId], Meta(max_length=1000)]


class MemberPath(SessionPath, frozen=True):
    """The path parameters of a member's or a guest's endpoints."""

    user: UserId


class FollowerPath(UserPath, frozen=True):
    """The path parameters of a follower's endpoints."""

    user: UserId


class SessionChange(Change, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body that changes a session. The same `key` again changes nothing again."""

    key: UUID | None = None


class Naming(Struct, frozen=True, forbid_unknown_fields=True):
    """The body that names a member."""

    role: NamedRole


class GuestList(Struct, frozen=True, forbid_unknown_fields=True):
    """The body that lets some users into a private session, and others not any more."""

    allow: Users = []
    remove: Users = []


class GuestsDone(Struct, frozen=True):
    """How many came to be allowed, and how many are not any more."""

    allowed: int
    removed: int


class GuestsQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """Which guests to list: of one standing or of all, after the `cursor` of the page before."""

    standing: Literal["allowed", "asked", "declined"] | None = None
    cursor: UserId | None = None
    limit: PageSize = 50


class GuestPage(Struct, frozen=True, omit_defaults=True):
    """Guests by name; `cursor` gives the next page, where there is one."""

    guests: list[Guest]
    cursor: str | None = None


class Acceptance(Struct, frozen=True, forbid_unknown_fields=True):
    """The body that answers one who has asked."""

    accept: bool


class Standing(Struct, frozen=True):
    """Whether one who has asked may come now."""

    user: str
    accepted: bool


class FollowerList(Struct, frozen=True, forbid_unknown_fields=True):
    """The body that says who follows a host, and who does not any more."""

    add: Users = []
    remove: Users = []


class FollowersDone(Struct, frozen=True):
    """How many followers were named."""

    added: int
    removed: int


class Follows(Struct, frozen=True):
    """Whether a user follows a host."""

    follows: bool


async def update_session(context: Context, call: Call) -> SessionView:
    """Change a session's title and settings."""
    async with context.node.admission.veiled(call.user, call.session):
        record = await context.node.changing.update(call.user, call.session, change_of(call.body), call.body.key)
    await context.node.audit.intervened(call.user, call.address, Act.UPDATE, call.session, record)
    return view_of(await context.node.lifecycle.find(call.session))


async def name_member(context: Context, call: Call) -> SessionView:
    """Name a co-host or a moderator, or take that back."""
    async with context.node.admission.veiled(call.user, call.session):
        record = await context.node.changing.name(call.user, call.session, call.path.user, call.body.role)
    context.node.audit.named(call.user, call.address, call.session, call.path.user, call.body.role, record)
    return view_of(await context.node.lifecycle.find(call.session))


async def change_guests(context: Context, call: Call) -> GuestsDone:
    """Let some users in, and others not any more."""
    changed = await context.node.admission.change(call.user, call.session, call.body.allow, call.body.remove)
    await context.node.audit.intervened(
        call.user,
        call.address,
        Act.GUESTS,
        call.session,
        changed.told.event,
        allowed=changed.allowed,
        removed=changed.removed,
    )
    return GuestsDone(len(changed.allowed), len(changed.removed))


async def list_guests(context: Context, call: Call) -> GuestPage:
    """List guests."""
    query = call.query
    guests = await context.node.admission.page(
        call.user, call.session, query.standing, query.cursor or "", query.limit + 1
    )
    more = len(guests) > query.limit
    return GuestPage(guests[: query.limit], guests[query.limit - 1].user if more else None)


async def answer_guest(context: Context, call: Call) -> Standing:
    """Let one who has asked in, or don't."""
    accept = call.body.accept
    guest = await context.node.admission.answer(call.user, call.session, call.path.user, accept=accept)
    await context.node.audit.answered(call.user, call.address, call.session, guest, accepted=accept)
    return Standing(call.path.user, accept)


async def change_followers(context: Context, call: Call) -> FollowersDone:
    """Say who follows a host, and who does not any more."""
    access.check_own(call.user.role, call.user.user, call.path.id)
    await context.node.following.change(call.path.id, call.body.add, call.body.remove)
    return FollowersDone(len(set(call.body.add)), len(set(call.body.remove)))


async def get_follower(context: Context, call: Call) -> Follows:
    """Tell whether a user follows a host."""
    access.check_own(call.user.role, call.user.user, call.path.id, call.path.user)
    return Follows(await context.node.following.ask(call.path.id, call.path.user))


_SESSION: Final = "/v1/sessions/{id}"
_FOLLOWERS: Final = "/v1/users/{id}/followers"

ENDPOINTS: Final = [
    Endpoint(
        method="PATCH",
        path=_SESSION,
        handle=update_session,
        summary="Change a session's title and settings",
        body=SessionChange,
        reply=SessionView,
    ),
    Endpoint(
        method="PUT",
        path=f"{_SESSION}/members/{{user}}",
        handle=name_member,
        summary="Name a co-host or a moderator, or take that back",
        parameters=MemberPath,
        body=Naming,
        reply=SessionView,
    ),
    Endpoint(
        method="POST",
        path=f"{_SESSION}/guests",
        handle=change_guests,
        summary="Let users into a private session, and others not any more",
        body=GuestList,
        reply=GuestsDone,
    ),
    Endpoint(
        method="GET",
        path=f"{_SESSION}/guests",
        handle=list_guests,
        summary="List the guests of a private session",
        query=GuestsQuery,
        reply=GuestPage,
    ),
    Endpoint(
        method="POST",
        path=f"{_SESSION}/guests/{{user}}",
        handle=answer_guest,
        summary="Let one who has asked into a private session, or don't",
        parameters=MemberPath,
        body=Acceptance,
        reply=Standing,
    ),
    Endpoint(
        method="POST",
        path=_FOLLOWERS,
        handle=change_followers,
        summary="Say who follows a host",
        parameters=UserPath,
        body=FollowerList,
        reply=FollowersDone,
    ),
    Endpoint(
        method="GET",
        path=f"{_FOLLOWERS}/{{user}}",
        handle=get_follower,
        summary="Tell whether a user follows a host",
        parameters=FollowerPath,
        reply=Follows,
    ),
]
