"""A join: what the reader missed, from memory, and then everything that follows.

The feed's memory is the buffer of the classic buffer-read-merge-flush: the reader is attached in the same
step in which what was missed is taken from there, so nothing can fall between.
"""

from collections.abc import Coroutine
from typing import Any

from msgspec import structs

from realtime.domain import access
from realtime.domain.access import May
from realtime.domain.replay import Replay, Source, ahead, plan
from realtime.domain.session import State
from realtime.feed import Feed, role_of
from realtime.node import Node
from realtime.peer import Peer
from realtime.protocol.commands import Join
from realtime.protocol.replies import Joined
from realtime.protocol.types import Position
from realtime.standing import admitted
from realtime.telemetry import metrics
from realtime.transport import Connection


def join(node: Node, connection: Connection, peer: Peer, command: Join) -> Joined | Coroutine[Any, Any, Joined]:
    """Join at once where this node follows the session already."""
    feed = node.feeds.get(command.session)
    if (
        feed is None
        or command.since == "last"
        or ahead(command.since, feed.window)
        or _is_host(peer, feed)
        or not admitted(feed, peer.identity)
    ):
        return _join_later(node, connection, peer, command)
    return _enter(node, connection, peer, command, feed, _plan(node, feed, command.since))


def _is_host(peer: Peer, feed: Feed) -> bool:
    return access.hosts(feed.view.host, peer.identity.user, feed.view.members)


async def _join_later(node: Node, connection: Connection, peer: Peer, command: Join) -> Joined:
    since, lost = command.since, False
    if since == "last":
        since = await node.places.last(command.session, peer.identity.user)
        lost = since is None
    feed = await _open(node, peer, command.session, since)
    hosting = None
    if _is_host(peer, feed):
        hosting = await node.hosting.meet(connection, peer, feed.view)
        feed = await _open(node, peer, command.session, since)
    replay = Replay(Source.RESET, feed.head) if lost else _plan(node, feed, since)
    return structs.replace(_enter(node, connection, peer, command, feed, replay), hosting=hosting)


async def _open(node: Node, peer: Peer, session: str, since: Position | None) -> Feed:
    feed = await node.feeds.open(session)
    if since is not None and ahead(since, feed.window):
        await node.feeds.reach(feed, since.seq)
    if not admitted(feed, peer.identity):
        # Somebody may have just let them in on another node.
        await node.feeds.reach(feed, feed.head + 1)
    # It may have been given up meanwhile, and nobody who follows such a one would ever hear anything.
    while node.feeds.get(session) is not feed:
        feed = await node.feeds.open(session)
    return feed


def _plan(node: Node, feed: Feed, since: Position | None) -> Replay:
    return plan(since, feed.window, node.settings.replay_limit)


def _enter(node: Node, connection: Connection, peer: Peer, command: Join, feed: Feed, replay: Replay) -> Joined:
    if not admitted(feed, peer.identity):
        raise access.not_admitted()
    role = role_of(feed.view, peer.identity)
    access.check(May.JOIN, role, State(feed.view.state))
    if connection.open:
        node.enter(connection, peer, feed, role)
        # Whoever begins anew must have been told so: until a pong confirms it, nothing is known of the position.
        reached = 0 if replay.source is Source.RESET else replay.after
        if not feed.over:
            node.places.meet(feed.id, peer, Position(feed.epoch, reached), connection.last_heard)
    metrics.JOINS.labels(replay.source).inc()
    return Joined(
        re=command.id,
        session=feed.view,
        role=role,
        position=feed.position,
        events=feed.slice(connection.codec, replay.after, feed.head + 1),
        complete=replay.source is not Source.RESET,
        audience=node.attendance.audience(feed.id),
        present=node.attendance.present(feed.id),
    )
