"""Who is at the other end of a connection, once they have said hello."""

from msgspec import Struct

from realtime.domain.access import Role
from realtime.feed import Feed
from tokens.access import Identity


class Membership(Struct, frozen=True):
    """A session that a connection has joined, and in which role."""

    feed: Feed
    role: Role


class Peer:
    """An identified user on one connection."""

    __slots__ = ("client", "connection_id", "identity", "joined")

    def __init__(self, connection_id: str, identity: Identity, client: str | None) -> None:
        self.connection_id = connection_id
        self.identity = identity
        self.client = client
        self.joined: dict[str, Membership] = {}
