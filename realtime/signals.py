"""What users tell each other without its being kept: that they type, and how they like it."""

from realtime.domain.access import May
from realtime.node import Node
from realtime.peer import Peer, permitted
from realtime.protocol import commands, replies
from realtime.transport import Connection


def typing(node: Node, connection: Connection, peer: Peer, command: commands.Typing) -> replies.Ack:  # noqa: ARG001
    """Take note that a user types, or no more. Synthetic users do so unseen."""
    permitted(peer, command.session, May.CHAT)
    if not command.on:
        node.typists.end(command.session, peer.identity.user)
    elif not peer.identity.synthetic:
        node.typists.begin(command.session, peer.identity.user, peer.connection_id)
    return replies.Ack(re=command.id)


def react(node: Node, connection: Connection, peer: Peer, command: commands.React) -> replies.Ack:  # noqa: ARG001
    """Count a reaction. Those of synthetic users don't count."""
    permitted(peer, command.session, May.CHAT)
    if not peer.identity.synthetic:
        node.reactions.react(command.session, command.kind)
    return replies.Ack(re=command.id)
