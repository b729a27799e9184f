"""The endpoint that gives what a session comes to after its end."""

from typing import Final

from realtime.http.endpoints import Call, Context, Endpoint, readable
from realtime.protocol.codes import Code
from realtime.summaries import Summary


async def get_summary(context: Context, call: Call) -> Summary:
    """Give a session's summary."""
    return await context.summaries.of(await readable(context, call))


ENDPOINTS: Final = [
    Endpoint(
        method="GET",
        path="/v1/sessions/{id}/summary",
        handle=get_summary,
        summary="Give what a session comes to after its end",
        reply=Summary,
        refuses=(Code.CONFLICT,),
    )
]
