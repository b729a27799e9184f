"""Reports of clients whether they play a session's video: who watches is who says so, again and again."""

from realtime.domain.access import May
from realtime.node import Node
from realtime.peer import Peer, permitted
from realtime.protocol import commands, replies
from realtime.transport import Connection


def report(node: Node, connection: Connection, peer: Peer, command: commands.Playback) -> replies.Ack:  # noqa: ARG001 - a handler's form
    """Count the user as watching, or the connection as one that does not play."""
    permitted(peer, command.session, May.READ)
    if not peer.identity.synthetic:
        if command.state == "playing":
            node.attendance.play(command.session, peer.identity.user, peer.connection_id)
        else:
            node.attendance.stop(command.session, peer.connection_id)
    return replies.Ack(re=command.id)
