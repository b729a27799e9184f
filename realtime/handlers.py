"""One short function per command: check, decide, and answer, or say what to await for the answer."""

from collections.abc import Callable, Coroutine
from secrets import token_hex
from time import time_ns
from typing import Any, Final, TypeAlias

from realtime import chat, direct, playback, quality, refreshing, running, setting, signals
from realtime.domain.access import May
from realtime.domain.clock import better, from_hello, from_pong
from realtime.history import page
from realtime.joining import join
from realtime.node import Node
from realtime.peer import Peer, membership_of, permitted
from realtime.protocol import commands, replies
from realtime.protocol.codes import Code, Refusal
from realtime.transport import Connection
from tokens.access import Identity

Later: TypeAlias = Coroutine[Any, Any, replies.Reply | None]
# Nothing: whoever carries the command out answers it.
Outcome: TypeAlias = replies.Reply | Later | None
Handler: TypeAlias = Callable[[Node, Connection, Peer, Any], Outcome]


def meet(connection: Connection, hello: commands.Hello, identity: Identity, heard_ms: int) -> Peer:
    """Give who is at the other end, after a good `hello` that was heard at `heard_ms`, by the loop's clock."""
    peer = Peer(token_hex(8), identity, hello.client, int(connection.opened_at * 1000), hello.device)
    if hello.now is not None:
        peer.offset = from_hello(hello.now, heard_ms)
    return peer


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


def _hello(node: Node, connection: Connection, peer: Peer, command: commands.Hello) -> Outcome:  # noqa: ARG001
    raise Refusal(Code.CONFLICT, "hello was said already")


def _pong(node: Node, connection: Connection, peer: Peer, command: commands.Pong) -> Outcome:
    # Its arrival was the sign of life; it also says that everything up to the ping has arrived.
    pinged = peer.pong()
    if pinged is not None:
        quality.heard(connection, peer, pinged.at, node.settings)
        if command.now is not None:
            peer.offset = better(peer.offset, from_pong(pinged.at, command.now, connection.heard_ms))
        for session, position in pinged.heads.items():
            membership = peer.joined.get(session)
            if membership is not None and not membership.feed.over:
                node.places.confirm(session, peer.identity.user, position, connection.last_heard)
    return replies.Ack(re=command.id)


def _leave(node: Node, connection: Connection, peer: Peer, command: commands.Leave) -> Outcome:
    if command.session in peer.joined:
        node.leave(connection, peer, command.session)
    return replies.Left(re=command.id, session=command.session)


def _history(node: Node, connection: Connection, peer: Peer, command: commands.History) -> Outcome:
    membership = permitted(peer, command.session, May.READ)
    given = page(node, connection.codec, membership.feed, command)
    return _if_still_there(peer, command, given) if isinstance(given, Coroutine) else given


def _agora_token(node: Node, connection: Connection, peer: Peer, command: commands.AgoraToken) -> Outcome:
    return node.video.give(connection, peer, command.session, command.id)


async def _if_still_there(peer: Peer, command: commands.History, later: Later) -> replies.Reply | None:
    given = await later
    # Whoever was taken out meanwhile gets nothing more.
    membership_of(peer, command.session)
    return given


HANDLERS: Final[dict[type[commands.Command], Handler]] = {
    commands.Hello: _hello,
    commands.TokenRefresh: refreshing.refresh,
    commands.Pong: _pong,
    commands.Join: join,
    commands.Leave: _leave,
    commands.ChatSend: chat.send,
    commands.ChatEdit: chat.edit,
    commands.ChatDelete: chat.delete,
    commands.History: _history,
    commands.Typing: signals.typing,
    commands.React: signals.react,
    commands.Playback: playback.report,
    commands.SessionCreate: setting.create,
    commands.SessionUpdate: setting.update,
    commands.SessionRole: setting.role,
    commands.SessionAsk: setting.ask,
    commands.SessionAnswer: setting.answer,
    commands.SessionStart: running.move,
    commands.SessionPause: running.move,
    commands.SessionResume: running.move,
    commands.SessionEnd: running.move,
    commands.SessionTakeover: running.take_over,
    commands.DirectSend: direct.send,
    commands.InboxAck: direct.ack,
    commands.AgoraToken: _agora_token,
}
