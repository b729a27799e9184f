"""What hosts do with their sessions over a connection: they are moved, and taken over by another device."""

from typing import Final

from persistence.errors import Rejected
from realtime.answers import ack, refuse
from realtime.audit import act_of
from realtime.domain import access
from realtime.domain.session import Action
from realtime.feed import view_of
from realtime.lifecycle import TakenOver, Wish
from realtime.node import Node
from realtime.peer import Peer
from realtime.protocol import commands
from realtime.protocol.codes import Close, Code, Refusal
from realtime.protocol.refusals import session_ended
from realtime.protocol.replies import Ack
from realtime.transport import Connection

_ACTIONS: Final = {
    commands.SessionStart: Action.START,
    commands.SessionPause: Action.PAUSE,
    commands.SessionResume: Action.RESUME,
    commands.SessionEnd: Action.END,
}
# These end an interruption themselves.
_OUT_OF_INTERRUPTION: Final = frozenset([Action.RESUME, Action.END])


async def move(node: Node, connection: Connection, peer: Peer, command: commands.Transition) -> Ack | None:
    """Carry out a transition, from the device that runs the session."""
    with node.hosting.acting(command.session):
        return await _move(node, connection, peer, command)


async def _move(node: Node, connection: Connection, peer: Peer, command: commands.Transition) -> Ack | None:
    action, user = _ACTIONS[type(command)], peer.identity.user
    view = view_of(await node.lifecycle.find(command.session))
    try:
        term = await node.hosting.term(connection, peer, view, back=action not in _OUT_OF_INTERRUPTION)
        wish = Wish(action, user, command.key, command.reason, term)
        async with node.admission.veiled(peer.identity, command.session):
            event = await node.lifecycle.move(peer.identity, command.session, wish)
    except TakenOver as exc:
        if done := await node.lifecycle.done(command.session, Wish(action, user, command.key)):
            return ack(command, done)
        refuse(connection, command, exc)
        if node.hosting.runs(peer, command.session):
            connection.close(Close.TAKEN_OVER, "another device hosts the session")
        return None
    await node.audit.intervened(peer.identity, connection.address, act_of(action), command.session, event)
    return ack(command, event)


async def take_over(node: Node, connection: Connection, peer: Peer, command: commands.SessionTakeover) -> Ack:
    """Run the session from this connection."""
    found = await node.lifecycle.find(command.session)
    async with node.admission.veiled(peer.identity, command.session):
        access.check_owner(found.host, peer.identity.user)
    try:
        hosted = await node.hosting.claim(connection, peer, found.id, owner=True, take=True, key=command.key)
    except Rejected:
        raise Refusal(Code.CONFLICT, "this key was used before") from None
    if hosted is None:
        raise session_ended()
    return ack(command, hosted.event)
