"""The endpoint that takes Agora's notices of who comes to a session's video channel, and who leaves it."""

import re
from typing import Final

import structlog
from msgspec import Struct

from persistence.agora_notices import Seen
from persistence.seldom import Seldom
from realtime.domain.agora import sighting
from realtime.http.endpoints import Call, Context, Endpoint
from realtime.protocol.codes import Code, Refusal
from realtime.protocol.types import UUID_TEXT
from realtime.telemetry import metrics
from tokens import agora_notices
from tokens.agora_notices import Event, Notice
from tokens.errors import NoticeError, NoticeForged

IGNORED: Final = "ignored"
_SESSION: Final = re.compile(UUID_TEXT.removesuffix("$") + r"\Z")
seldom_log = Seldom(structlog.get_logger("channels"))


class NoticeTaken(Struct, frozen=True):
    """What became of a notice: `applied`, `duplicate`, `stale` or `ignored`."""

    outcome: str


async def take_notice(context: Context, call: Call) -> NoticeTaken:
    """Take a notice that Agora has signed."""
    secret = context.node.settings.agora_webhook_secret
    if not secret:
        raise Refusal(Code.NOT_CONFIGURED, "no secret of Agora's notices is configured")
    try:
        agora_notices.check(secret, call.body.content, call.body.signature)
        seen = seen_in(call.body.content)
    except NoticeError as exc:
        metrics.NOTICES.labels("refused").inc()
        seldom_log.warning("notice refused", reason=str(exc))
        code = Code.UNAUTHENTICATED if isinstance(exc, NoticeForged) else Code.BAD_REQUEST
        raise Refusal(code, str(exc)) from None
    outcome = IGNORED if seen is None else await context.channels.take(seen)
    metrics.NOTICES.labels(outcome).inc()
    return NoticeTaken(outcome)


def seen_in(body: bytes) -> Seen | None:
    """Give what a notice says of a user in a session's channel, if that is what it is about.

    Raises:
        NoticeMalformed
    """
    notice = agora_notices.parse(body)
    if not notice.moves:
        return None
    channel = agora_notices.channel_of(notice)
    # Whatever it is of another channel, such as of the one by which Agora tests this endpoint, is no business of ours.
    return _seen(channel, notice) if _SESSION.match(channel) else None


def _seen(session: str, notice: Notice) -> Seen | None:
    move = agora_notices.move_of(notice)
    found = sighting(Event(notice.event), move)
    if found is None:
        return None
    return Seen(notice.id, session, move.uid, found.client_seq, found.ts, found.event, found.standing)


ENDPOINTS: Final = [
    Endpoint(
        method="POST",
        path="/v1/agora/events",
        handle=take_notice,
        summary="Take a notice of Agora's about a session's video channel",
        body=Notice,
        reply=NoticeTaken,
        public=True,
        signature=agora_notices.SIGNATURE,
        refuses=(Code.UNAUTHENTICATED, Code.UNAVAILABLE, Code.NOT_CONFIGURED),
    )
]
