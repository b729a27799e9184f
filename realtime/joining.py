"""A join: what the reader missed, from memory, and then everything that follows.

The feed's memory is the buffer of the classic buffer-read-merge-flush: the reader is attached in the same
step in which what was missed is taken from there, so nothing can fall between.
"""

from collections.abc import Coroutine
from typing import Any

from realtime.domain import access
from realtime.domain.access import May
from realtime.domain.replay import Replay, Source, plan
from realtime.domain.session import State
from realtime.feed import Feed
from realtime.node import Node
from realtime.peer import Peer
from realtime.protocol.commands import Join
from realtime.protocol.replies import Joined
from realtime.protocol.types import Position
from realtime.telemetry import metrics
from realtime.transport import Connection


def join(node: Node, connection: Connection, peer: Peer, command: Join) -> Joined | Coroutine[Any, Any, Joined]:
    """Join at once where this node follows the session already."""
    feed = node.feeds.get(command.session)
    if feed is None or command.since == "last" or _behind(feed, command.since):
        return _join_later(node, connection, peer, command)
    return _enter(node, connection, peer, command, feed, _plan(node, feed, command.since))


async def _join_later(node: Node, connection: Connection, peer: Peer, command: Join) -> Joined:
    last = command.since == "last"
    since = await node.places.last(command.session, peer.identity.user) if command.since == "last" else command.since
    feed = await node.feeds.open(command.session)
    if since is not None and _behind(feed, since):
        await node.feeds.reach(feed, since.seq)
        feed = await node.feeds.open(command.session)
    replay = Replay(Source.RESET, feed.head) if last and since is None else _plan(node, feed, since)
    return _enter(node, connection, peer, command, feed, replay)


def _behind(feed: Feed, since: Position | None) -> bool:
    """Tell whether another node has given the reader more than has come here yet."""
    return since is not None and since.epoch == feed.epoch and since.seq > feed.head


def _plan(node: Node, feed: Feed, since: Position | None) -> Replay:
    return plan(since, feed.window, node.settings.replay_limit)


def _enter(node: Node, connection: Connection, peer: Peer, command: Join, feed: Feed, replay: Replay) -> Joined:
    role = access.role_in(feed.view.host, peer.identity.user, peer.identity.role)
    access.check(May.JOIN, role, State(feed.view.state))
    if connection.open:
        node.enter(connection, peer, feed, role)
        node.places.meet(feed.id, peer, Position(feed.epoch, replay.after), connection.last_heard)
    metrics.JOINS.labels(replay.source).inc()
    return Joined(
        re=command.id,
        session=feed.view,
        role=role,
        position=feed.position,
        events=connection.codec.array(feed.between(replay.after, feed.head + 1)),
        complete=replay.source is not Source.RESET,
        audience=node.attendance.audience(feed.id),
    )
