"""One server process: everything that a command may need, and how connections enter and leave sessions."""

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from persistence.log import Log
from realtime.admission import Admission
from realtime.attendance import Attendance
from realtime.audit import Audit
from realtime.changing import Changing
from realtime.domain.access import Role
from realtime.expiry import Expiry
from realtime.feed import Feed
from realtime.feeds import Feeds
from realtime.following import Following
from realtime.freezing import Freezing
from realtime.heartbeat import Heartbeat
from realtime.hosting import Hosting
from realtime.hub import Hub
from realtime.identities import FROZEN, Identities
from realtime.kicks import Kicks
from realtime.lifecycle import Lifecycle
from realtime.limiting import Limits
from realtime.mail import Mail
from realtime.mailroom import Mailroom
from realtime.mentions import Mentions
from realtime.peer import Membership, Peer
from realtime.places import Places
from realtime.protocol.codes import Close, Code, Refusal
from realtime.protocol.types import Position
from realtime.reactions import Reactions
from realtime.settings import Settings
from realtime.slow_mode import SlowMode
from realtime.transport import Connection
from realtime.typists import Typists
from realtime.video import Video
from realtime.watch_times import WatchTimes
from realtime.words import Words
from realtime.writer import Writer


class Parts(Struct, frozen=True, kw_only=True):
    """What a node is made of."""

    settings: Settings
    identities: Identities
    log: Log
    feeds: Feeds
    hub: Hub
    writer: Writer
    attendance: Attendance
    watch_times: WatchTimes
    lifecycle: Lifecycle
    hosting: Hosting
    places: Places
    mail: Mail
    mailroom: Mailroom
    mentions: Mentions
    typists: Typists
    reactions: Reactions
    changing: Changing
    admission: Admission
    following: Following
    slow_mode: SlowMode
    video: Video
    kicks: Kicks
    freezing: Freezing
    audit: Audit
    limits: Limits
    words: Words


class Node:
    """Puts the parts together. It opens nothing and starts no task: `realtime.app` does."""

    def __init__(self, parts: Parts) -> None:
        self.settings = parts.settings
        self.identities = parts.identities
        self.log = parts.log
        self.feeds = parts.feeds
        self.hub = parts.hub
        self.writer = parts.writer
        self.attendance = parts.attendance
        self.watch_times = parts.watch_times
        self.lifecycle = parts.lifecycle
        self.hosting = parts.hosting
        self.places = parts.places
        self.mail = parts.mail
        self.mailroom = parts.mailroom
        self.mentions = parts.mentions
        self.typists = parts.typists
        self.reactions = parts.reactions
        self.changing = parts.changing
        self.admission = parts.admission
        self.following = parts.following
        self.slow_mode = parts.slow_mode
        self.video = parts.video
        self.kicks = parts.kicks
        self.audit = parts.audit
        self.freezing = parts.freezing
        self.freezing.on_frozen(self._send_away)
        self.expiry = Expiry(parts.settings)
        self.limits = parts.limits
        self.words = parts.words
        self.heartbeat = Heartbeat(self._head_of, parts.settings)

    def enter(self, connection: Connection, peer: Peer, feed: Feed, role: Role) -> None:
        """Let a connection follow a session, from the feed's head on."""
        if feed.id in peer.joined:
            # A second join gives everything up to the head again, and what waits must not come twice.
            self.hub.detach(feed.id, connection)
        else:
            self._count(peer, feed)
        peer.joined[feed.id] = Membership(feed, role)
        self.hub.attach(feed.id, connection)

    def _count(self, peer: Peer, feed: Feed) -> None:
        if len(peer.joined) >= self.settings.max_sessions_joined:
            raise Refusal(Code.CONFLICT, f"at most {self.settings.max_sessions_joined} sessions at a time")
        if not peer.identity.synthetic:
            self.attendance.enter(feed.id, peer.identity.user)

    def signals(self, session: str) -> Iterator[Any]:
        """Give the signals that say how a session is now, for those who have missed some."""
        yield self.attendance.current(session)
        yield self.typists.current(session)

    def leave(self, connection: Connection, peer: Peer, session: str) -> None:
        """Let a connection follow a session no more."""
        feed = peer.joined.pop(session).feed
        self.hosting.lose(peer, session)
        self.video.renewals.drop(connection, session)
        peer.absences.pop(session, None)
        if not feed.over:
            # How far the user has got by now is not known; that the user was there until now, is.
            self.places.confirm(session, peer.identity.user, Position(feed.epoch, 0), connection.last_heard)
        self.hub.detach(session, connection)
        self.typists.end(session, peer.identity.user, peer.connection_id)
        if not peer.identity.synthetic:
            self.attendance.leave(session, peer.identity.user, peer.connection_id)

    def _send_away(self, user: str) -> None:
        for connection in self.mailroom.connections(user):
            connection.close(Close.FROZEN, FROZEN)

    def _head_of(self, session: str) -> Position:
        feed = self.feeds.get(session)
        assert feed is not None, "a session that somebody follows stays open"
        # A heartbeat must not tell of events that are still to be written.
        unsent = self.hub.unsent(session)
        return feed.position if unsent is None else Position(feed.epoch, unsent - 1)
