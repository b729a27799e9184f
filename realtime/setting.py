"""The commands that set what a session is: its settings, its staff, and who may come to a private one."""

from realtime.answers import ack
from realtime.audit import Act
from realtime.feed import view_of
from realtime.node import Node
from realtime.peer import Peer
from realtime.protocol import commands, replies
from realtime.protocol.session_settings import change_of
from realtime.transport import Connection


async def create(node: Node, connection: Connection, peer: Peer, command: commands.SessionCreate) -> replies.Created:  # noqa: ARG001 - handlers are alike
    """Create a session."""
    session = await node.lifecycle.create(peer.identity, change_of(command), command.key)
    return replies.Created(re=command.id, session=view_of(session))


async def update(node: Node, connection: Connection, peer: Peer, command: commands.SessionUpdate) -> replies.Ack:
    """Change title and settings."""
    async with node.admission.veiled(peer.identity, command.session):
        record = await node.changing.update(peer.identity, command.session, change_of(command), command.key)
    await node.audit.intervened(peer.identity, connection.address, Act.UPDATE, command.session, record)
    return ack(command, record)


async def role(node: Node, connection: Connection, peer: Peer, command: commands.SessionRole) -> replies.Ack:
    """Name a co-host or a moderator."""
    async with node.admission.veiled(peer.identity, command.session):
        record = await node.changing.name(peer.identity, command.session, command.user, command.role, command.key)
    node.audit.named(peer.identity, connection.address, command.session, command.user, command.role, record)
    return ack(command, record)


async def ask(node: Node, connection: Connection, peer: Peer, command: commands.SessionAsk) -> replies.Ack:  # noqa: ARG001 - likewise
    """Ask to be let in."""
    await node.admission.ask(peer.identity, command.session)
    return replies.Ack(re=command.id)


async def answer(node: Node, connection: Connection, peer: Peer, command: commands.SessionAnswer) -> replies.Ack:
    """Let one who has asked in, or don't."""
    guest = await node.admission.answer(peer.identity, command.session, command.user, accept=command.accept)
    await node.audit.answered(peer.identity, connection.address, command.session, guest, accepted=command.accept)
    return replies.Ack(re=command.id)
