"""An example of each message of the wire: of a small show, as it may have been."""

from typing import Any, Final
from uuid import UUID

from msgspec import Raw, Struct, json

from realtime.protocol import commands, events, replies
from realtime.protocol.codes import Code
from realtime.protocol.events import Kind
from realtime.protocol.session_settings import Change, ChatMode, SessionSettings
from realtime.protocol.types import Position

SESSION: Final = "01a1fc40-3411-779b-b3cd-55bf0979533e"
EPOCH: Final = "fd35d9b8f3dd"
KEY: Final = UUID("5f0c0e0a-7c5b-4a57-9d0f-3c1f6a4b9e21")
OTHER_KEY: Final = UUID("0b6b2f5e-53a3-4d1e-8a54-fd0cbbd0a1c7")
TOKEN: Final = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"  # noqa: S105 - opens nothing
NOW: Final = 1_795_233_428_505
DAY: Final = 86_400_000


def raw(held: Any) -> Raw:
    """Give what is held as a document."""
    return Raw(json.encode(held))


def event(seq: int, kind: Kind, body: Struct, key: UUID | None = None) -> events.Event:
    """Give an event of the show."""
    return events.Event(
        session=SESSION,
        seq=seq,
        at=NOW + 1000 * seq,
        media_ms=max(0, 1000 * (seq - 2)),
        kind=kind,
        by="alice",
        key=str(key) if key else None,
        body=raw(body),
    )


STARTED: Final = event(2, Kind.SESSION_STARTED, events.SessionBody("live", 2, ends_at=NOW + DAY // 2))
POSTED: Final = event(3, Kind.CHAT_POSTED, events.ChatBody("Hello, everyone!"), KEY)
EVENTS: Final = (
    POSTED,
    event(
        3,
        Kind.CHAT_POSTED,
        events.ChatBody("Hello, everybody!", reply_to=2, edited=events.Stamp(NOW + 5000, 4)),
        KEY,
    ),
    event(4, Kind.CHAT_EDITED, events.ChangeBody(3, "Hello, everybody!"), OTHER_KEY),
    event(5, Kind.CHAT_DELETED, events.ChangeBody(3), OTHER_KEY),
    event(1, Kind.SESSION_CREATED, events.SessionBody("scheduled", 1, ends_at=NOW + 7 * DAY)),
    STARTED,
    event(6, Kind.SESSION_PAUSED, events.SessionBody("paused", 3, reason="Back in a minute", ends_at=NOW + 1_800_000)),
    event(7, Kind.SESSION_UPDATED, events.SessionBody("paused", 4, changes=Change(slow_mode=10))),
    event(8, Kind.SESSION_ROLE, events.SessionBody("paused", 5, user="bob", role="cohost")),
    event(9, Kind.SESSION_ENDED, events.SessionBody("ended", 6)),
)
VIEW: Final = replies.SessionView(
    id=SESSION,
    host="alice",
    title="Autumn coats",
    state="live",
    version=2,
    created_at=NOW,
    since=NOW + 2000,
    media=replies.MediaClock(0, NOW + 2000, running=True),
    started_at=NOW + 2000,
    ends_at=NOW + DAY // 2,
    settings=SessionSettings(slow_mode=5, language="en"),
    members={"bob": "cohost"},
)
AUDIENCE: Final = events.Audience(connections=3, users=2, watching=1, chatters=1)
AGORA: Final[dict[str, Any]] = {
    "session": SESSION,
    "token": "007eJxTYFi3…",
    "app_id": "970CA35de60c44645bbae8a215061b33",
    "channel": SESSION,
    "uid": 1_760_209_009,
    "role": "viewer",
    "expires_at": NOW + 3_600_000,
    "renew_at": NOW + 3_510_000,
}

COMMANDS: Final = (
    commands.Hello(id=1, token=TOKEN, now=NOW, client="web/1.0", device="kitchen-tablet"),
    commands.TokenRefresh(id=21, token=TOKEN),
    commands.Pong(now=NOW),
    commands.Join(id=2, session=SESSION),
    commands.Join(id=2, session=SESSION, since=Position(EPOCH, 2)),
    commands.Join(id=2, session=SESSION, since="last"),
    commands.Leave(id=14, session=SESSION),
    commands.ChatSend(id=4, session=SESSION, key=KEY, text="Hello, everyone!", sent_at=NOW, reply_to=2),
    commands.ChatEdit(id=5, session=SESSION, seq=3, text="Hello, everybody!", key=OTHER_KEY),
    commands.ChatDelete(id=6, session=SESSION, seq=3, key=OTHER_KEY),
    commands.History(id=7, session=SESSION, before=50, limit=20),
    commands.Typing(id=8, session=SESSION, on=True),
    commands.React(id=9, session=SESSION, kind="heart"),
    commands.Playback(session=SESSION, state="playing"),
    commands.SessionCreate(id=10, title="Autumn coats", key=KEY, chat=ChatMode.FOLLOWERS, slow_mode=5),
    commands.SessionUpdate(id=11, session=SESSION, slow_mode=10, key=OTHER_KEY),
    commands.SessionRole(id=12, session=SESSION, user="bob", role="cohost"),
    commands.SessionAsk(id=13, session=SESSION),
    commands.SessionAnswer(id=15, session=SESSION, user="carol", accept=True),
    commands.SessionStart(id=3, session=SESSION, key=KEY),
    commands.SessionPause(id=16, session=SESSION, reason="Back in a minute"),
    commands.SessionResume(id=17, session=SESSION),
    commands.SessionEnd(id=18, session=SESSION),
    commands.SessionTakeover(id=19, session=SESSION),
    commands.DirectSend(id=20, user="bob", key=KEY, text="Your coat is in the post."),
    commands.InboxAck(id=22, upto=2),
    commands.AgoraToken(id=23, session=SESSION),
)
ERRORS: Final = (
    replies.Error(re=4, code=Code.BAD_REQUEST, message="Object missing required field `key`"),
    replies.Error(re=1, code=Code.UNAUTHENTICATED, message="token expired"),
    replies.Error(re=4, code=Code.FORBIDDEN, message="join the session first"),
    replies.Error(re=2, code=Code.NOT_FOUND, message="no such session"),
    replies.Error(re=3, code=Code.CONFLICT, message="cannot pause a session that is scheduled", state="scheduled"),
    replies.Error(re=4, code=Code.TOO_LARGE, message="at most 1000 characters and 4000 bytes of text"),
    replies.Error(re=4, code=Code.RATE_LIMITED, message="too often: wait a little", retry_after_ms=900),
    replies.Error(re=4, code=Code.UNAVAILABLE, message="the database is away", retry_after_ms=1000),
    replies.Error(re=23, code=Code.NOT_CONFIGURED, message="Agora is not configured"),
    replies.Error(re=4, code=Code.INTERNAL, message="internal error"),
)
REPLIES: Final = (
    replies.Welcome(
        re=1,
        connection="213f8c07a2cd07e9",
        user="alice",
        now=NOW,
        heartbeat_ms=20_000,
        expires_at=NOW + DAY // 2,
    ),
    replies.TokenTaken(re=21, expires_at=NOW + DAY),
    replies.Joined(
        re=2,
        session=VIEW,
        role="host",
        position=Position(EPOCH, 3),
        events=raw([POSTED]),
        complete=True,
        audience=AUDIENCE,
        hosting=True,
        present=["alice", "bob"],
    ),
    replies.Created(re=10, session=VIEW),
    replies.Left(re=14, session=SESSION),
    replies.Ack(re=4, key=str(KEY), seq=3, at=NOW + 3000),
    replies.Ack(re=8),
    replies.Page(re=7, session=SESSION, events=raw([STARTED, POSTED]), more=True),
    replies.AgoraToken(re=23, **AGORA),
    *ERRORS,
)
ENTRIES: Final = (
    events.InboxEntry(1, NOW, "direct", "alice", str(KEY), raw(events.DirectBody("Your coat is in the post."))),
    events.InboxEntry(
        2, NOW, "mention", "carol", str(OTHER_KEY), raw(events.MentionBody(SESSION, 9, "@bob, which size?"))
    ),
    events.InboxEntry(3, NOW, "notice", "mia", str(KEY), raw(events.NoticeBody("Please stay friendly.", SESSION, 9))),
    events.InboxEntry(4, NOW, "request", "dave", str(OTHER_KEY), raw(events.RequestBody(SESSION))),
    events.InboxEntry(5, NOW, "answer", "alice", str(KEY), raw(events.AnswerBody(SESSION, accepted=True))),
)
PUSHES: Final = (
    *EVENTS,
    events.TypingSignal(session=SESSION, users=("bob", "carol", "dave"), count=5),
    events.ReactionsSignal(session=SESSION, counts={"heart": 12, "clap": 3}),
    events.AudienceSignal(session=SESSION, audience=AUDIENCE, present=["alice", "bob"]),
    events.AudienceSignal(session=SESSION, audience=AUDIENCE, joined=["bob"], left=[]),
    events.Removed(session=SESSION, code=Code.FORBIDDEN, message="the session is private: you may ask to be let in"),
    replies.AgoraToken(**AGORA),
    events.Skipped(session=SESSION, skipped=46, first=58, last=103),
    events.Ping(now=NOW, heads={SESSION: Position(EPOCH, 9)}),
    events.QualityPush(rtt_ms=42, quality="good"),
    events.TokenExpiring(expires_in_ms=59_204),
    events.Drain(reconnect_in_ms=1200, deadline_ms=20_000),
    events.Inbox(epoch="dca6c4d0b423", upto=5, entries=raw(ENTRIES)),
)
