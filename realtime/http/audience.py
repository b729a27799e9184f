"""The endpoint that pages through who is in a session."""

from typing import Annotated, Final

from msgspec import Meta, Struct

from persistence.presence import Attendee
from realtime.http.endpoints import Call, Context, Endpoint, readable
from realtime.protocol.events import Audience

MAX_PAGE: Final = 1000


class AudienceQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """Which page: the first users after `cursor`, by name."""

    cursor: Annotated[str, Meta(max_length=64)] = ""
    limit: Annotated[int, Meta(ge=1, le=MAX_PAGE, description="How many users at most.")] = 100


class AudiencePage(Struct, frozen=True, omit_defaults=True):
    """The audience, and a page of its users, by name. `cursor` is that of the next page, if there may be one."""

    audience: Audience
    users: list[Attendee]
    cursor: str | None = None


async def get_audience(context: Context, call: Call) -> AudiencePage:
    """Give a page of who is there, on all nodes."""
    session, query = await readable(context, call), call.query
    audience, users = await context.node.attendance.page(session.id, query.cursor, query.limit)
    return AudiencePage(audience, users, users[-1].user if len(users) == query.limit else None)


ENDPOINTS: Final = [
    Endpoint(
        method="GET",
        path="/v1/sessions/{id}/audience",
        handle=get_audience,
        summary="Give a page of who is in a session",
        query=AudienceQuery,
        reply=AudiencePage,
    )
]
