"""One short function per command: check, decide, and answer, or say what to await for the answer."""

from collections.abc import Callable, Coroutine
from functools import partial
from time import time, time_ns
from typing import Any, Final, TypeAlias

import msgspec

from persistence.log import Entry
from realtime.answers import answer, refuse
from realtime.domain import access
from realtime.domain.access import May
from realtime.domain.session import Action, State
from realtime.feed import view_of
from realtime.history import page
from realtime.joining import join
from realtime.node import Node
from realtime.peer import Membership, Peer
from realtime.protocol import commands, replies
from realtime.protocol.codes import Close, Code, Refusal
from realtime.protocol.events import ChatBody, Kind, TypingSignal
from realtime.protocol.text import clean
from realtime.transport import Connection
from realtime.writer import Answer, Pending
from tokens.access import AccessDenied, Reason, verify

Later: TypeAlias = Coroutine[Any, Any, replies.Reply]
# Nothing: whoever carries the command out answers it.
Outcome: TypeAlias = replies.Reply | Later | None
Handler: TypeAlias = Callable[[Node, Connection, Peer, Any], Outcome]

_ACTIONS: Final = {
    commands.SessionStart: Action.START,
    commands.SessionPause: Action.PAUSE,
    commands.SessionResume: Action.RESUME,
    commands.SessionEnd: Action.END,
}


def identify(node: Node, connection_id: str, hello: commands.Hello) -> Peer:
    """Check a `hello`.

    Raises:
        AccessDenied: the token is no good.
    """
    identity = verify(hello.token, node.access, time())
    return Peer(connection_id, identity, hello.client)


def welcome(node: Node, peer: Peer, re: int | None) -> replies.Welcome:
    """Answer a good `hello`."""
    return replies.Welcome(
        re=re,
        connection=peer.connection_id,
        user=peer.identity.user,
        now=time_ns() // 1_000_000,
        heartbeat_ms=int(node.settings.heartbeat * 1000),
        expires_at=peer.identity.expires_at,
    )


def close_for(denied: AccessDenied) -> Close:
    """Say what to close with: whoever has an expired token gets a fresh one; any other is final."""
    return Close.TOKEN_EXPIRED if denied.reason is Reason.EXPIRED else Close.NOT_AUTHENTICATED


def _hello(node: Node, connection: Connection, peer: Peer, command: commands.Hello) -> Outcome:  # noqa: ARG001
    raise Refusal(Code.CONFLICT, "hello was said already")


def _pong(node: Node, connection: Connection, peer: Peer, command: commands.Pong) -> Outcome:  # noqa: ARG001
    # Its arrival was the sign of life.
    return replies.Ack(re=command.id)


def _leave(node: Node, connection: Connection, peer: Peer, command: commands.Leave) -> Outcome:
    if command.session in peer.joined:
        node.leave(connection, peer, command.session)
    return replies.Left(re=command.id, session=command.session)


def _chat_send(node: Node, connection: Connection, peer: Peer, command: commands.ChatSend) -> Outcome:
    # Whether the session is still open is for the log to say: it knows repeated messages, too.
    access.check_role(May.CHAT, _membership(peer, command.session).role)
    text = clean(command.text, max_characters=node.settings.text_characters, max_bytes=node.settings.text_bytes)
    body = msgspec.json.encode(ChatBody(text=text, reply_to=command.reply_to)).decode()
    entry = Entry(command.session, peer.identity.user, command.key, Kind.CHAT_POSTED, body)
    node.writer.submit(Pending(entry, partial(_settle, connection, command)))
    connection.begin()
    return None


def _settle(connection: Connection, command: commands.ChatSend, result: Answer) -> None:
    """Answer a message once it is known what became of it."""
    if isinstance(result, Refusal):
        refuse(connection, command, result)
    else:
        answer(connection, command, replies.Ack(re=command.id, key=str(command.key), seq=result.seq, at=result.at))
    connection.finish()


def _history(node: Node, connection: Connection, peer: Peer, command: commands.History) -> Outcome:
    membership = _membership(peer, command.session)
    access.check(May.READ, membership.role, State(membership.feed.view.state))
    return page(node, connection.codec, membership.feed, command)


def _typing(node: Node, connection: Connection, peer: Peer, command: commands.Typing) -> Outcome:  # noqa: ARG001
    membership = _membership(peer, command.session)
    access.check(May.CHAT, membership.role, State(membership.feed.view.state))
    node.feeds.signal(command.session, TypingSignal(session=command.session, by=peer.identity.user, on=command.on))
    return replies.Ack(re=command.id)


async def _create(node: Node, connection: Connection, peer: Peer, command: commands.SessionCreate) -> replies.Reply:  # noqa: ARG001
    session = await node.lifecycle.create(peer.identity, command.title)
    return replies.Created(re=command.id, session=view_of(session))


async def _move(node: Node, connection: Connection, peer: Peer, command: commands.Transition) -> replies.Reply:  # noqa: ARG001
    record = await node.lifecycle.move(peer.identity, command.session, _ACTIONS[type(command)])
    return replies.Ack(re=command.id, seq=record.seq, at=record.at)


def _membership(peer: Peer, session: str) -> Membership:
    membership = peer.joined.get(session)
    if membership is None:
        raise Refusal(Code.FORBIDDEN, "join the session first")
    return membership


HANDLERS: Final[dict[type[commands.Command], Handler]] = {
    commands.Hello: _hello,
    commands.Pong: _pong,
    commands.Join: join,
    commands.Leave: _leave,
    commands.ChatSend: _chat_send,
    commands.History: _history,
    commands.Typing: _typing,
    commands.SessionCreate: _create,
    commands.SessionStart: _move,
    commands.SessionPause: _move,
    commands.SessionResume: _move,
    commands.SessionEnd: _move,
}
