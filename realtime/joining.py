"""A join: what the reader missed, from memory or from Postgres, and then everything that follows.

The feed's memory is the buffer of the classic buffer-read-merge-flush: what is appended while Postgres
is read stays in memory, and the reader is attached in the same step in which the rest is taken from
there, so nothing can fall between.
"""

from collections.abc import Coroutine
from typing import Any

from realtime.domain import access
from realtime.domain.access import May
from realtime.domain.replay import Replay, Source, plan
from realtime.domain.session import State
from realtime.feed import Feed, encode
from realtime.node import Node
from realtime.peer import Peer
from realtime.protocol.commands import Join
from realtime.protocol.replies import Joined
from realtime.protocol.types import Position
from realtime.telemetry import metrics
from realtime.transport import Connection


def join(node: Node, connection: Connection, peer: Peer, command: Join) -> Joined | Coroutine[Any, Any, Joined]:
    """Join at once where this node has what is needed in memory."""
    feed = node.feeds.get(command.session)
    if feed is not None:
        replay = plan(command.since, feed.window, node.settings.replay_limit)
        if replay.source is not Source.STORAGE:
            return _enter(node, connection, peer, command, feed, [], replay)
    return _join_later(node, connection, peer, command)


async def _join_later(node: Node, connection: Connection, peer: Peer, command: Join) -> Joined:
    feed = await node.feeds.open(command.session)
    limit = node.settings.replay_limit
    replay = plan(command.since, feed.window, limit)
    documents: list[bytes] = []
    if replay.source is Source.STORAGE:
        records = await node.log.after(feed.id, replay.after, limit)
        documents = [encode(feed.id, record) for record in records]
        reached = records[-1].seq if records else replay.after
        rest = plan(Position(feed.epoch, reached), feed.window, limit)
        # Where the log has run away during the read, the rest is no longer in memory: start anew.
        replay = Replay(Source.RESET, feed.head) if rest.source is Source.STORAGE else rest
    return _enter(node, connection, peer, command, feed, documents, replay)


def _enter(
    node: Node,
    connection: Connection,
    peer: Peer,
    command: Join,
    feed: Feed,
    documents: list[bytes],
    replay: Replay,
) -> Joined:
    role = access.role_in(feed.view.host, peer.identity.user, peer.identity.role)
    access.check(May.JOIN, role, State(feed.view.state))
    if connection.open:
        node.enter(connection, peer, feed, role)
    metrics.JOINS.labels(Source.STORAGE if documents else replay.source).inc()
    complete = replay.source is not Source.RESET
    return Joined(
        re=command.id,
        session=feed.view,
        role=role,
        position=feed.position,
        events=connection.codec.array(documents + feed.between(replay.after, feed.head + 1) if complete else []),
        complete=complete,
        audience=node.attendance.audience(feed.id),
    )
