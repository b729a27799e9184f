"""The endpoint that lists sessions, a page at a time."""

import unicodedata
from typing import Annotated, Final

from msgspec import Meta, Struct

from persistence.listing import Wanted
from realtime.domain import access
from realtime.domain.session import State
from realtime.feed import view_of
from realtime.http.endpoints import Call, Context, Endpoint
from realtime.protocol.codes import Code, Refusal
from realtime.protocol.commands import PageSize
from realtime.protocol.replies import SessionView
from realtime.protocol.types import SessionId, UserId

# Words of one search: each is one more thing to compare every title with.
MAX_WORDS: Final = 8
_STATE: Final = f"({'|'.join(State)})"


class SessionsQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """Which sessions to list, the newest first: of some states, of a host, with some words in the title.

    `cursor` goes on where the page before ended.
    """

    state: (
        Annotated[str, Meta(pattern=rf"^{_STATE}(,{_STATE})*\Z", description="One or several, with commas.")] | None
    ) = None
    host: UserId | None = None
    q: Annotated[str, Meta(min_length=1, max_length=200, description="Words, or parts of words.")] | None = None
    cursor: SessionId | None = None
    limit: PageSize = 50


class SessionList(Struct, frozen=True, omit_defaults=True):
    """Sessions, the newest first. Where there are more, `next` is the cursor of the next page."""

    sessions: list[SessionView]
    next: SessionId | None = None


async def list_sessions(context: Context, call: Call) -> SessionList:
    """Give a page of sessions."""
    query = call.query
    states = query.state.split(",") if query.state else list(State)
    parts = _parts(query.q) if query.q else []
    viewer = None if access.sees_all(call.user.role) else call.user.user
    wanted = Wanted(states=set(states), host=query.host, viewer=viewer, parts=parts, before=query.cursor)
    found = await context.listing.find(wanted, query.limit + 1)
    page = found[: query.limit]
    return SessionList([view_of(session) for session in page], page[-1].id if len(found) > len(page) else None)


def _parts(words: str) -> list[str]:
    # As titles are stored.
    parts = unicodedata.normalize("NFC", words.replace("\0", " ")).split()
    if not 0 < len(parts) <= MAX_WORDS:
        raise Refusal(Code.BAD_REQUEST, f"1 to {MAX_WORDS} words to find")
    return parts


ENDPOINTS: Final = [
    Endpoint(
        method="GET",
        path="/v1/sessions",
        handle=list_sessions,
        summary="List sessions",
        query=SessionsQuery,
        reply=SessionList,
    )
]
