"""The service behind every connection: messages to commands to handlers, and their answers back."""

import asyncio
from collections.abc import Coroutine, Sequence
from http import HTTPStatus
from typing import Any, Final

import structlog

from realtime import quality
from realtime.answers import answer, refusal_for, refuse, refuse_unread
from realtime.domain.limits import Action
from realtime.gate import Gate
from realtime.handlers import HANDLERS, Later, meet, welcome
from realtime.limiting import action_of, too_often
from realtime.node import Node
from realtime.peer import Peer
from realtime.protocol.codec import Rejected
from realtime.protocol.codes import Barred, Close, Code, Refusal
from realtime.protocol.commands import Command, Hello, Pong, type_of
from realtime.protocol.replies import Reply
from realtime.protocol.text import legible
from realtime.tasks import Tasks
from realtime.telemetry import metrics
from realtime.transport import Connection
from tokens.access import Identity

_CLOSES: Final = frozenset(Close)
log = structlog.get_logger("connection")


class Server:
    """Serves all connections of a node."""

    def __init__(self, node: Node, gate: Gate, tasks: Tasks) -> None:
        self._node = node
        self._gate = gate
        self._tasks = tasks
        self.connections: set[Connection] = set()
        self._emptied: asyncio.Event | None = None

    def meet(self, connection: Connection) -> None:
        """Count a new connection, and give it its time to say hello."""
        self.connections.add(connection)
        self._node.heartbeat.expect_hello(connection)
        self._gate.meet(connection, len(self.connections))

    def admit(self, connection: Connection, forwarded: Sequence[str]) -> HTTPStatus:
        """Refuse handshakes above the limits."""
        return self._gate.admit(connection, forwarded)

    def receive(self, connection: Connection, data: bytes) -> None:
        """Carry out one message."""
        try:
            command = connection.codec.decode(data)
        except Rejected as exc:
            refuse_unread(connection, "unknown", exc.refusal, exc.re)
            if connection.peer is None:
                connection.close(Close.NOT_AUTHENTICATED, "say hello first")
            elif self._node.limits.wait_ms(connection.peer.identity, Action.OTHER):
                self._strike(connection, connection.peer)
            return
        if connection.peer is None:
            self._greet(connection, command)
        else:
            self._carry_out(connection, connection.peer, command)

    def lose(self, connection: Connection) -> None:
        """Take a connection out of everything, whatever the reason."""
        self._node.heartbeat.remove(connection)
        self._node.expiry.remove(connection)
        self._node.hub.catch_up(connection)
        peer: Peer | None = connection.peer
        for session in list(peer.joined) if peer else ():
            assert peer is not None
            self._node.leave(connection, peer, session)
        if peer is not None:
            self._node.hosting.lose(peer)
            self._node.mailroom.leave(connection, peer.identity.user)
            self._node.limits.leave(peer.identity)
        self._tell(connection, peer)

    def part(self, connection: Connection) -> None:
        """Let go of a connection."""
        self.connections.discard(connection)
        self._gate.part(connection)
        if not self.connections and self._emptied is not None:
            self._emptied.set()

    async def empty(self) -> None:
        """Wait until the last connection is gone."""
        self._emptied = asyncio.Event()
        if self.connections:
            await self._emptied.wait()

    def fall_behind(self, connection: Connection) -> None:
        """Have the hub watch a slow reader."""
        self._node.hub.fall_behind(connection)
        # What it has asked for itself is no sign of a slow network.
        if connection.peer is not None and not connection.allowance:
            quality.missed(connection, connection.peer)

    def catch_up(self, connection: Connection) -> None:
        """Have the hub watch it no more."""
        self._node.hub.catch_up(connection)
        if connection.peer is not None:
            self._node.mailroom.catch_up(connection.peer.identity.user)

    def _greet(self, connection: Connection, command: Command) -> None:
        if not isinstance(command, Hello):
            refuse(connection, command, Refusal(Code.UNAUTHENTICATED, "say hello first"))
            connection.close(Close.NOT_AUTHENTICATED, "say hello first")
            return
        try:
            identified = self._node.identities.identify(command.token)
        except Barred as exc:
            self._bar(connection, command, exc)
            return
        if isinstance(identified, Coroutine):
            # It has said hello in time, and whatever it says next is to wait.
            self._node.heartbeat.remove(connection)
            connection.hold()
            self._tasks.start(self._greet_later(connection, command, identified, connection.heard_ms))
        else:
            self._welcome(connection, command, identified, connection.heard_ms)

    async def _greet_later(
        self, connection: Connection, command: Hello, later: Coroutine[Any, Any, Identity], heard_ms: int
    ) -> None:
        try:
            identity = await later
            if connection.open:
                self._welcome(connection, command, identity, heard_ms)
        except Barred as exc:
            self._bar(connection, command, exc)
        except Exception as exc:  # noqa: BLE001 - whatever it is: nothing else ends a connection that has said hello
            refuse(connection, command, refusal_for(exc, type_of(command)))
            connection.close(Close.UNAVAILABLE, "that went wrong")
        finally:
            connection.release()

    def _welcome(self, connection: Connection, command: Hello, identity: Identity, heard_ms: int) -> None:
        try:
            self._node.limits.enter(identity)
        except Refusal as refusal:
            refuse(connection, command, refusal)
            connection.close(Close.FLOOD, "too many connections")
            return
        peer = connection.peer = meet(connection, command, identity, heard_ms)
        self._node.heartbeat.add(connection)
        self._node.expiry.add(connection)
        answer(connection, command, welcome(self._node, peer, command.id))
        self._node.mailroom.enter(connection, peer.identity.user)

    def _bar(self, connection: Connection, command: Hello, exc: Barred) -> None:
        refuse(connection, command, exc)
        connection.close(exc.close, exc.message)

    def _carry_out(self, connection: Connection, peer: Peer, command: Command) -> None:
        if wait := self._wait_ms(peer, command):
            refuse(connection, command, too_often(wait))
            self._strike(connection, peer)
            return
        try:
            outcome = HANDLERS[type(command)](self._node, connection, peer, command)
        except Exception as exc:  # noqa: BLE001 - whatever it is, the sender must learn of it
            refuse(connection, command, refusal_for(exc, type_of(command)))
        else:
            if isinstance(outcome, Reply):
                answer(connection, command, outcome)
            elif outcome is not None:
                # Later messages wait, so that a connection's commands are carried out in their order.
                connection.hold()
                self._tasks.start(self._await(connection, command, outcome))

    def _wait_ms(self, peer: Peer, command: Command) -> int:
        if isinstance(command, Pong) and peer.silent:
            # It was asked for. What answers no heartbeat counts.
            return 0
        return self._node.limits.wait_ms(peer.identity, action_of(type(command)))

    def _strike(self, connection: Connection, peer: Peer) -> None:
        if self._node.limits.strike(peer):
            connection.close(Close.FLOOD, "too often, again and again")

    async def _await(self, connection: Connection, command: Command, later: Later) -> None:
        try:
            reply = await later
            if reply is not None:
                answer(connection, command, reply)
        except Exception as exc:  # noqa: BLE001 - likewise
            refuse(connection, command, refusal_for(exc, type_of(command)))
        finally:
            connection.release()

    def _tell(self, connection: Connection, peer: Peer | None) -> None:
        metrics.CLOSES.labels(close_label(connection.close_code)).inc()
        log.info(
            "connection",
            connection=peer.connection_id if peer else None,
            user=peer.identity.user if peer else None,
            client=legible(peer.client) if peer and peer.client else None,
            address=connection.address,
            code=connection.close_code,
            seconds=round(asyncio.get_running_loop().time() - connection.opened_at, 3),
            received_bytes=connection.bytes_in,
        )


def close_label(code: int | None) -> str:
    """Give a close code as a label: a peer may send any of 65,536, which would be as many series."""
    return str(code) if code in _CLOSES else "other"
