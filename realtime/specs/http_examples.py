"""An example of what each request of the side API carries, and of each answer."""

from typing import Final

from msgspec import Raw

from persistence.audit import Audited
from persistence.freezes import Freeze
from persistence.guests import Guest
from persistence.presence import Attendee
from realtime.audit import Act
from realtime.domain.course import Spent
from realtime.domain.limits import Action, RateRole
from realtime.domain.timeline import Step
from realtime.http import admin, agora, audience, endpoints, limits, listing, people
from realtime.http.serving import Failure, FailureBody
from realtime.limiting import InForce
from realtime.protocol.codes import Code
from realtime.protocol.events import Kind
from realtime.protocol.session_settings import ChatMode
from realtime.specs.wire_examples import (
    AUDIENCE,
    ERRORS,
    KEY,
    NOW,
    OTHER_KEY,
    POSTED,
    SESSION,
    STARTED,
    TOKEN,
    VIEW,
    raw,
)
from realtime.summaries import Summary
from tokens.access import AccessRole
from tokens.agora_notices import Notice

FAILURES: Final = {
    Code(error.code): FailureBody(Failure(error.code, error.message, error.retry_after_ms, error.state))
    for error in ERRORS
}
IN_PATHS: Final = (
    endpoints.SessionPath(SESSION),
    endpoints.EventPath(SESSION, 3),
    endpoints.UserPath("bob"),
    people.MemberPath(SESSION, "bob"),
    people.FollowerPath("alice", "bob"),
    limits.ActionPath(Action.CHAT),
)
IN_QUERIES: Final = (
    endpoints.EventsQuery(before=50, limit=20),
    endpoints.EventsQuery(after=50),
    endpoints.SearchQuery("coat -green", before=50, limit=20),
    listing.SessionsQuery(state="live,paused", host="alice", q="coats", cursor=SESSION, limit=20),
    people.GuestsQuery(standing="asked", cursor="carol", limit=20),
    admin.AuditQuery(user="bob", action=Act.FREEZE, before=200, limit=20),
    audience.AudienceQuery(cursor="bob", limit=100),
)
IN_BODIES: Final = (
    endpoints.NewSession(title="Autumn coats", key=KEY, chat=ChatMode.FOLLOWERS, slow_mode=5),
    endpoints.Why(key=KEY, reason="Back in a minute"),
    endpoints.NewNotice(KEY, "Please stay friendly.", SESSION),
    endpoints.NewDevToken("alice", AccessRole.SELLER),
    people.SessionChange(slow_mode=10, key=OTHER_KEY),
    people.Naming("cohost"),
    people.GuestList(["carol"], ["dave"]),
    people.Acceptance(accept=True),
    people.FollowerList(["bob", "carol"]),
    admin.FreezeReason("insults"),
    limits.NewLimit(RateRole.VIEWER, 5, 25),
    Notice(
        id="2000001428:4330:107",
        product=1,
        event=104,
        payload=raw({"channelName": SESSION, "uid": 1_760_209_009, "clientSeq": 1_625_051_030_789, "ts": NOW // 1000}),
    ),
)
ANSWERS: Final = (
    VIEW,
    endpoints.EventPage(raw([STARTED, POSTED]), more=True),
    endpoints.Found(raw([POSTED]), more=False),
    endpoints.Edits(
        [
            Step(4, NOW + 4000, "alice", Kind.CHAT_EDITED, "Hello, everyone!", "Hello, everybody!"),
            Step(5, NOW + 5000, "mia", Kind.CHAT_DELETED, "Hello, everybody!"),
        ]
    ),
    endpoints.Noticed(KEY, NOW),
    endpoints.DevToken(TOKEN, "alice", AccessRole.SELLER, NOW + 43_200_000),
    listing.SessionList([VIEW], SESSION),
    Summary(
        session=SESSION,
        ended_at=NOW + 3_602_000,
        duration_ms=3_600_000,
        media_ms=3_540_000,
        spans=[
            Spent("scheduled", NOW, NOW + 2000),
            Spent("live", NOW + 2000, NOW + 1_802_000),
            Spent("paused", NOW + 1_802_000, NOW + 1_862_000),
            Spent("live", NOW + 1_862_000, NOW + 3_602_000),
        ],
        messages=412,
        chatters=57,
        reactions={"heart": 1204},
        users=803,
        watched_ms=740_000_000,
        peak=360,
        peak_at=NOW + 1_500_000,
    ),
    audience.AudiencePage(AUDIENCE, [Attendee("alice", watching=False, chatter=True)], "alice"),
    people.GuestsDone(1, 1),
    people.GuestPage([Guest("carol", "asked", NOW)], "carol"),
    people.Standing("carol", accepted=True),
    people.FollowersDone(2, 0),
    people.Follows(follows=True),
    Freeze("bob", frozen=True, at=NOW, by="root", reason="insults"),
    admin.AuditPage(
        [Audited(199, NOW, "root", Act.FREEZE, "192.0.2.7", Raw(b'{"reason":"insults"}'), "bob")], more=False
    ),
    limits.ActionLimits(Action.CHAT, [InForce(RateRole.VIEWER, 5, 25, NOW, "root"), InForce(RateRole.STAFF, 20, 200)]),
    agora.NoticeTaken("applied"),
)
EXAMPLES: Final = (*IN_PATHS, *IN_QUERIES, *IN_BODIES, *ANSWERS, *FAILURES.values())
