"""Who is at the other end of a connection, once they have said hello."""

from collections.abc import Mapping

from msgspec import Struct

from realtime.domain import access
from realtime.domain.access import May, Role
from realtime.domain.clock import Absence, Offset
from realtime.domain.limits import Bucket
from realtime.domain.quality import Measured
from realtime.domain.session import State
from realtime.feed import Feed
from realtime.protocol.codes import Code, Refusal
from realtime.protocol.types import Position
from tokens.access import Identity


class Membership(Struct, frozen=True):
    """A session that a connection has joined, and in which role."""

    feed: Feed
    role: Role


class Pinged(Struct, frozen=True):
    """A heartbeat that was sent: when, and the heads that it told."""

    at: int
    heads: Mapping[str, Position]


class Peer:
    """An identified user on one connection, which began at `since`. All times are the loop's, in milliseconds."""

    __slots__ = (
        "_pinged", "_unanswered", "absences", "client", "connection_id", "device", "identity", "joined", "offset",
        "quality", "since", "strikes",
    )  # fmt: skip

    def __init__(
        self, connection_id: str, identity: Identity, client: str | None, since: int, device: str | None = None
    ) -> None:
        self.connection_id = connection_id
        self.identity = identity
        self.client = client
        self.device = device
        self.since = since
        # What is known of the client's clock, and of the times before when the user was away.
        self.offset: Offset | None = None
        self.absences: dict[str, Absence] = {}
        self.joined: dict[str, Membership] = {}
        # What the client was last told of its connection.
        self.quality: Measured | None = None
        # How often it was refused what was too often, once it was.
        self.strikes: Bucket | None = None
        self._pinged: Pinged | None = None
        self._unanswered = 0

    def ping(self, pinged: Pinged) -> None:
        """Take note of a heartbeat that is sent."""
        self._pinged = pinged
        self._unanswered += 1

    def pong(self) -> Pinged | None:
        """Give the heartbeat that an answer confirms, if it is the newest.

        Answers come in the order of the heartbeats. So one that comes while an older one awaits its own says
        nothing of what was sent since.
        """
        self._unanswered = max(self._unanswered - 1, 0)
        pinged = self._pinged
        if self._unanswered:
            return None
        self._pinged = None
        return pinged

    @property
    def silent(self) -> bool:
        """Tell whether a heartbeat awaits its answer."""
        return self._unanswered > 0

    def was_away(self, written_at: int | None) -> bool:
        """Tell whether something was written before this connection, by the client's own account."""
        return written_at is not None and self.offset is not None and written_at + self.offset.ms < self.since


def membership_of(peer: Peer, session: str) -> Membership:
    """Give the membership that a command needs.

    Raises:
        Refusal: `forbidden`, the session was not joined.
    """
    membership = peer.joined.get(session)
    if membership is None:
        raise Refusal(Code.FORBIDDEN, "join the session first")
    return membership


def check(may: May, membership: Membership) -> None:
    """Let pass what a member may do while the session is in its state.

    Raises:
        Refusal: `forbidden`, or `conflict` with the state.
    """
    access.check(may, membership.role, State(membership.feed.view.state))


def permitted(peer: Peer, session: str, may: May) -> Membership:
    """Give the membership of one who may do that now.

    Raises:
        Refusal: `forbidden`, or `conflict` with the state.
    """
    membership = membership_of(peer, session)
    check(may, membership)
    return membership
