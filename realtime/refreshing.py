"""A fresh token for a connection that is open: it lives on, with what the token says of its user now."""

from collections.abc import Coroutine
from typing import Any

from realtime.node import Node
from realtime.peer import Peer
from realtime.protocol.codes import Code, Refusal
from realtime.protocol.commands import TokenRefresh
from realtime.protocol.replies import TokenTaken
from realtime.standing import review_one
from realtime.transport import Connection
from tokens.access import Identity


def refresh(
    node: Node, connection: Connection, peer: Peer, command: TokenRefresh
) -> TokenTaken | Coroutine[Any, Any, TokenTaken]:
    """Carry out `token.refresh`. The token before counts on where this one is refused."""
    identified = node.identities.identify(command.token)
    if isinstance(identified, Coroutine):
        return _take_later(node, connection, peer, command, identified)
    return _take(node, connection, peer, command, identified)


async def _take_later(
    node: Node, connection: Connection, peer: Peer, command: TokenRefresh, later: Coroutine[Any, Any, Identity]
) -> TokenTaken:
    return _take(node, connection, peer, command, await later)


def _take(node: Node, connection: Connection, peer: Peer, command: TokenRefresh, identity: Identity) -> TokenTaken:
    _check_same(peer.identity, identity)
    if connection.open:
        peer.identity = identity
        node.expiry.add(connection)
        for membership in list(peer.joined.values()):
            review_one(node, connection, membership.feed)
    return TokenTaken(re=command.id, expires_at=identity.expires_at)


def _check_same(old: Identity, new: Identity) -> None:
    if new.user != old.user:
        raise Refusal(Code.FORBIDDEN, "the token is another user's")
    if new.synthetic != old.synthetic:
        # The audience has counted the connection as what it was, or has not.
        raise Refusal(Code.CONFLICT, "whether a connection is a load tester's is said by its hello")
