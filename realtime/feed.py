"""A session's log as this node follows it: snapshot, head, the newest events, and what came too early."""

from collections import deque
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from typing import Final

import msgspec
from msgspec import UNSET, Raw, Struct

from persistence.log import Record
from persistence.sessions import Session
from realtime.domain import access, timeline
from realtime.domain import session as lifecycle
from realtime.domain.access import Role
from realtime.domain.course import Course, Span
from realtime.domain.lanes import Lane
from realtime.domain.replay import Window
from realtime.domain.session import State
from realtime.protocol.codec import Codec
from realtime.protocol.events import Event, Kind, SessionBody
from realtime.protocol.replies import MediaClock, SessionView
from realtime.protocol.session_settings import SessionSettings
from realtime.protocol.types import Position
from realtime.slices import Slices
from tokens.access import Identity

# What a reader who is behind can do without for a while. That a message was deleted is none of that.
_TALK: Final = frozenset([Kind.CHAT_POSTED, Kind.CHAT_EDITED])
_CHANGES: Final = frozenset([Kind.CHAT_EDITED, Kind.CHAT_DELETED])
# After these, people may have another role, or may not be here at all.
_STANDINGS: Final = frozenset([Kind.SESSION_ROLE, Kind.SESSION_GUESTS])
_to_json = msgspec.json.Encoder().encode
_from_json = msgspec.json.Decoder(Event).decode


class Document(Struct):
    """An event of the log, encoded as JSON.

    `message` is the seq of the message that it is about, or 0; `told` is what was known of that message when
    the event was encoded, where anything was.
    """

    seq: int
    json: bytes
    lane: Lane
    message: int = 0
    told: timeline.Message | None = None


class _Changed(Struct):
    """What is known of a message from its changes in memory, and how many these are."""

    known: timeline.Message
    changes: int = 0


class Feed:
    """Follows one log. It takes events in any order and any number, and gives each out once, in order.

    At most `capacity` events are kept for those who join, and as many that came too early. They are given with
    everything merged in that memory has of their message: nobody who joins is told a text that was changed or
    deleted. Edits are merged in when somebody asks, so that many edits of one message cost no more than others;
    what was deleted goes at once. Up to `shared` bytes of what was encoded for one are kept for others who ask for
    the same.
    """

    def __init__(self, session: Session, capacity: int, allowed: Collection[str] = (), shared: int = 0) -> None:
        self.id = session.id
        self.view = view_of(session)
        self.course = course_of(session)
        # Who may be here while the session is private, besides its staff; and how often that, or a role, has changed.
        self.allowed = set(allowed)
        self.standings = 0
        self.epoch = session.head.epoch
        self.head = session.head.seq
        # On the clock of whoever sets them: when the open hole was noticed, when the last reader left.
        self.hole_since: float | None = None
        self.idle_since: float | None = None
        self._ring: deque[Document] = deque()
        self._slices = Slices(shared)
        self._changed: dict[int, _Changed] = {}
        self._early: dict[int, Record] = {}
        self._turns: list[Record] = []
        self._known = self.head
        self._capacity = capacity

    def warm(self, records: Iterable[Record]) -> None:
        """Fill the memory with the newest events up to the head."""
        for record in records:
            if record.seq <= self.head:
                self._keep(record)

    def find(self, seq: int) -> Event | None:
        """Give an event that is in memory."""
        document = self._at(seq)
        return _from_json(self._tell(document)) if document else None

    def offer(self, records: Iterable[Record]) -> list[Document]:
        """Take in events; give those that are now next in line."""
        ready = []
        for record in records:
            self.expect(record.seq)
            if record.seq == self.head + 1:
                ready.append(self._advance(record))
                ready.extend(self._release())
            elif record.seq > self.head and len(self._early) < self._capacity:
                self._early[record.seq] = record
        return ready

    def take_turns(self) -> list[Record]:
        """Give what has become of the session itself since this was last asked."""
        turns, self._turns = self._turns, []
        return turns

    def expect(self, seq: int) -> None:
        """Take note that the log has reached `seq`."""
        self._known = max(self._known, seq)

    @property
    def over(self) -> bool:
        """Tell whether the session has ended, as far as this node knows."""
        return self.view.state == State.ENDED

    @property
    def hole(self) -> bool:
        """Tell whether something is missing of what the log is known to have."""
        return self._known > self.head

    @property
    def window(self) -> Window:
        """Give what a join can be served from."""
        return Window(self.epoch, self.head, self.head - len(self._ring) + 1)

    @property
    def position(self) -> Position:
        """Give the head as a position."""
        return Position(self.epoch, self.head)

    def between(self, after: int, before: int) -> list[bytes]:
        """Give the events in memory that lie between, ascending."""
        first = self.window.oldest
        start = max(after + 1 - first, 0)
        return [self._tell(document) for document in islice(self._ring, start, max(before - first, start))]

    def slice(self, codec: Codec, after: int, before: int) -> Raw:
        """Give the events in memory that lie between as an array of a format: encoded once for all who ask."""
        return self._slices.give((codec.name, after, before), lambda: codec.array(self.between(after, before)))

    def _release(self) -> Iterator[Document]:
        while record := self._early.pop(self.head + 1, None):
            yield self._advance(record)

    def _advance(self, record: Record) -> Document:
        self.head = record.seq
        if record.kind.startswith("session."):
            self._turn(record)
        return self._keep(record)

    def _turn(self, record: Record) -> None:
        body = msgspec.json.decode(record.body, type=SessionBody)
        if body.version > self.view.version:
            self.course.enter(body.state, record.at)
        media_ms = self.course.media_at(record.at)
        private = self.view.settings.private
        self.view = lifecycle.apply(self.view, record.kind, record.at, media_ms, body)
        self._turns.append(record)
        self._learn_standing(record.kind, body)
        # Of what is set, only this decides who may be here.
        self.standings += self.view.settings.private is not private

    def _learn_standing(self, kind: str, body: SessionBody) -> None:
        self.standings += kind in _STANDINGS
        if body.allowed is not UNSET:
            self.allowed.update(body.allowed)
        if body.removed is not UNSET:
            self.allowed.difference_update(body.removed)

    def _keep(self, record: Record) -> Document:
        self._slices.forget()
        event = event_of(self.id, record, self.course)
        lane = Lane.CHAT if record.kind in _TALK else Lane.CONTROL
        fact = timeline.read(event) if record.kind in _CHANGES else None
        if fact is None:
            document = Document(record.seq, _to_json(event), lane, record.seq if record.kind == Kind.CHAT_POSTED else 0)
        else:
            known = self._learn(fact)
            document = Document(record.seq, _to_json(timeline.retell(event, known)), lane, fact.seq, known)
        if len(self._ring) == self._capacity:
            self._drop()
        self._ring.append(document)
        return document

    def _learn(self, fact: timeline.Fact) -> timeline.Message:
        """Merge what a change says, and give all that is known of its message."""
        changed = self._changed.get(fact.seq)
        if changed is None:
            post = self._at(fact.seq)
            told = timeline.read(_from_json(post.json)) if post else None
            changed = self._changed[fact.seq] = _Changed(_needed(told.says if told else timeline.Message()))
        changed.changes += 1
        before, known = changed.known, _needed(timeline.merge(changed.known, fact.says))
        if known != before:
            changed.known = known
        if known.deleted and not before.deleted:
            self._erase(fact.seq)
        return changed.known

    def _erase(self, message: int) -> None:
        """Leave no text of a message in memory."""
        # All that is about a message comes after it.
        for document in islice(self._ring, max(message - self._oldest, 0), None):
            if document.message == message:
                self._tell(document)

    def _tell(self, document: Document) -> bytes:
        """Give a document with everything merged in that is known by now."""
        changed = self._changed.get(document.message)
        if changed is not None and document.told is not changed.known:
            document.json = _to_json(timeline.retell(_from_json(document.json), changed.known))
            document.told = changed.known
        return document.json

    def _drop(self) -> None:
        document = self._ring.popleft()
        changed = self._changed.get(document.message)
        if changed is not None and document.seq != document.message:
            changed.changes -= 1
            if not changed.changes:
                del self._changed[document.message]

    @property
    def _oldest(self) -> int:
        return self._ring[0].seq if self._ring else self.head + 1

    def _at(self, seq: int) -> Document | None:
        at = seq - self._oldest
        return self._ring[at] if 0 <= at < len(self._ring) else None


def _needed(message: timeline.Message) -> timeline.Message:
    """Give what events are told again with: of a deleted message, nothing but that."""
    return timeline.Message(edit=None if message.deleted else message.edit, deleted=message.deleted)


def encode(session: str, record: Record, course: Course) -> bytes:
    """Encode an event of the log as its push, in JSON."""
    return _to_json(event_of(session, record, course))


def event_of(session: str, record: Record, course: Course) -> Event:
    """Give a stored event as clients see it."""
    return Event(
        session=session,
        seq=record.seq,
        at=record.at,
        media_ms=course.media_at(record.at),
        kind=record.kind,
        by=record.sender,
        key=record.key,
        body=Raw(record.body if record.kind != Kind.SESSION_GUESTS else _without_names(record.body)),
    )


def _without_names(body: str) -> bytes:
    """Give what everyone may know of a change of the guests."""
    known = msgspec.json.decode(body, type=SessionBody)
    return _to_json(msgspec.structs.replace(known, allowed=UNSET, removed=UNSET))


def course_of(session: Session) -> Course:
    """Give a stored session's course."""
    return Course(Span(span.state, span.began, span.media_ms) for span in session.spans)


def role_of(session: Session | SessionView, who: Identity) -> Role:
    """Give a user's role in a session."""
    return access.role_in(session.host, who.user, who.role, session.members)


def view_of(session: Session) -> SessionView:
    """Give a stored session as clients see it."""
    last = course_of(session).last
    return SessionView(
        id=session.id,
        host=session.host,
        title=session.title,
        state=session.state,
        version=session.version,
        created_at=session.created_at,
        since=last.began,
        media=MediaClock(last.media_ms, last.began, running=session.state == State.LIVE),
        started_at=session.started_at,
        ended_at=session.ended_at,
        reason=session.reason,
        ends_at=session.ends_at,
        settings=msgspec.json.decode(session.settings, type=SessionSettings),
        members=session.members,
    )
