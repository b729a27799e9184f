"""How everyone stands with a session: their role, and whether a private one is there for them at all.

Both can change while they are in it. Every node learns of that from the log, and draws the consequences in the same
step, before anything that comes later is written to anyone.
"""

from realtime.domain import access
from realtime.feed import Feed, role_of
from realtime.node import Node
from realtime.peer import Membership, Peer
from realtime.protocol.events import Removed
from realtime.transport import Connection
from tokens.access import Identity


def admitted(feed: Feed, who: Identity) -> bool:
    """Tell whether a session is there for a user, as far as this node has heard."""
    private = feed.view.settings.private
    # Nearly every session is public, and its joins need no role for this.
    return not private or access.admits(private, role_of(feed.view, who), who.user in feed.allowed)


def review(node: Node, feed: Feed) -> None:
    """Give everyone who follows a session their role anew; take out whom it is not there for any more."""
    for connection in list(node.hub.group(feed.id)):
        review_one(node, connection, feed)


def review_one(node: Node, connection: Connection, feed: Feed) -> None:
    """Do so for one of them."""
    peer: Peer = connection.peer
    if admitted(feed, peer.identity):
        membership = peer.joined[feed.id] = Membership(feed, role_of(feed.view, peer.identity))
        node.hosting.review(connection, peer, feed.view)
        node.video.renewals.review(connection, membership)
    else:
        node.leave(connection, peer, feed.id)
        refusal = access.not_admitted()
        connection.send(Removed(session=feed.id, code=refusal.code, message=refusal.message))
