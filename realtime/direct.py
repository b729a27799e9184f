"""Direct messages, and the acknowledgement of an inbox: checked here, and answered when they are durable."""

from collections.abc import Coroutine
from functools import partial
from typing import Any

from realtime.answers import answer, refuse
from realtime.domain import access
from realtime.mail import entry
from realtime.node import Node
from realtime.peer import Peer
from realtime.protocol import commands, replies
from realtime.protocol.codes import Refusal
from realtime.protocol.events import DirectBody, InboxKind
from realtime.texts import clean_message
from realtime.transport import Connection
from realtime.writer import Answer, Pending


def send(
    node: Node, connection: Connection, peer: Peer, command: commands.DirectSend
) -> Coroutine[Any, Any, None] | None:
    """Put a message into another user's inbox."""
    hosts = {membership.feed.view.host for membership in peer.joined.values()}
    sure = access.may_open(peer.identity.role, peer.identity.user, command.user, hosts)
    body = DirectBody(clean_message(command.text, node.settings))
    wanted = entry(command.user, peer.identity.user, command.key, InboxKind.DIRECT, body)
    pending = Pending(wanted, partial(_settle, connection, command))
    if not sure:
        return _answer_back(node, connection, peer, command, pending)
    _submit(node, connection, pending)
    return None


async def _answer_back(
    node: Node, connection: Connection, peer: Peer, command: commands.DirectSend, pending: Pending
) -> None:
    access.check_answer(await node.mail.wrote(peer.identity.user, command.user))
    _submit(node, connection, pending)


def _submit(node: Node, connection: Connection, pending: Pending) -> None:
    node.mail.submit(pending)
    connection.begin()


def _settle(connection: Connection, command: commands.DirectSend, result: Answer) -> None:
    """Answer a message once it is known what became of it. Its id is the recipient's business."""
    if isinstance(result, Refusal):
        refuse(connection, command, result)
    else:
        answer(connection, command, replies.Ack(re=command.id, key=str(command.key), at=result.at))
    connection.finish()


async def ack(node: Node, connection: Connection, peer: Peer, command: commands.InboxAck) -> replies.Ack:
    """Take out what the user has got."""
    upto = await node.mailroom.ack(connection, peer.identity.user, command.upto)
    return replies.Ack(re=command.id, seq=upto)
