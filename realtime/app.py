"""The wiring: makes the parts of a server process, opens them in order, and closes them in reverse."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from secrets import token_hex

import uvicorn
from starlette.types import ASGIApp

from persistence import migrate
from persistence.agora_notices import AgoraNotices
from persistence.agora_uids import AgoraUids
from persistence.audit import AuditLog
from persistence.buckets import SharedBuckets
from persistence.changes import Changes
from persistence.followers import Followers
from persistence.freezes import FrozenUsers
from persistence.guests import Guests
from persistence.hints import Hints, HintSettings
from persistence.inbox import Inboxes
from persistence.inbox_streams import InboxStreams
from persistence.listing import Listing
from persistence.log import Log, Record
from persistence.log_totals import LogsTotalled
from persistence.positions import Positions
from persistence.postgres import PoolSettings, Postgres
from persistence.presence import Presence
from persistence.rate_limits import RateLimits
from persistence.reactions import ReactionTotals
from persistence.redis import Redis, connect
from persistence.sessions import Sessions
from persistence.turns import Turns
from persistence.watch_times import WatchTimes as WatchTimeStorage
from persistence.words import WordIndex
from realtime.admission import Admission
from realtime.attendance import Attendance
from realtime.audit import Audit
from realtime.backlog import Backlog
from realtime.changing import Changing
from realtime.channels import Channels, Effects
from realtime.core import parse_origins
from realtime.draining import drain
from realtime.feeds import Feeds
from realtime.following import Following
from realtime.freezing import HINTS as FREEZES
from realtime.freezing import Freezing
from realtime.gate import Gate
from realtime.hosting import Hosting
from realtime.http import site
from realtime.http.endpoints import Context
from realtime.http.exchange import Exchange, unambiguous
from realtime.http.health import Health
from realtime.hub import Hub
from realtime.identities import identities_for
from realtime.kicks import Kicks
from realtime.lifecycle import Lifecycle
from realtime.limiting import HINTS as LIMITS
from realtime.limiting import Limits
from realtime.mail import Mail
from realtime.mailroom import HINTS, Mailroom
from realtime.mentions import Mentions, Sources
from realtime.node import Node, Parts
from realtime.places import Places
from realtime.reactions import Reactions
from realtime.remains import Remains
from realtime.retention import Caretaker
from realtime.sampler import Sampler
from realtime.search import Search
from realtime.server import Server
from realtime.settings import DAY_MS, Settings
from realtime.slow_mode import SlowMode
from realtime.sockets import LISTEN_BACKLOG, Sockets
from realtime.standing import review
from realtime.summaries import Summaries
from realtime.tasks import Tasks
from realtime.telemetry.pool import Meter
from realtime.timers import Timers
from realtime.transport import Connection
from realtime.typists import Typists
from realtime.video import Video
from realtime.watch_times import WatchTimes
from realtime.words import Words
from realtime.writer import Publish, Writer


@asynccontextmanager
async def running(settings: Settings, sockets: Sockets) -> AsyncIterator[Node]:
    """Run a server process.

    Raises:
        StorageError: Postgres cannot be used, or is not migrated.
    """
    async with AsyncExitStack() as stack:
        postgres = await _postgres(stack, settings)
        client = connect(settings.redis_url, connections=settings.redis_connections, timeout=settings.redis_timeout)
        stack.push_async_callback(client.aclose)
        tasks = Tasks()
        stack.push_async_callback(tasks.stop)
        node, timers = _assemble(settings, postgres, client, tasks)
        await node.freezing.load()
        gate = Gate(node.limits, settings)
        server = Server(node, gate, tasks)
        health = Health(postgres, client)
        _start(stack, node, server, tasks, settings, Log(postgres))
        tasks.keep(timers.run)
        tasks.keep(timers.watch_empty)
        effects = Effects(node.hosting, node.attendance, node.freezing.is_frozen)
        channels = Channels(AgoraNotices(postgres), node.feeds, effects, settings)
        tasks.keep(channels.run)
        stored = WatchTimeStorage(postgres)
        summaries = Summaries(LogsTotalled(postgres), stored, ReactionTotals(postgres), tasks)
        node.lifecycle.on_end(summaries.ended)
        context = Context(node, Search(node.log, node.words, settings), channels, Listing(postgres), summaries)
        app = site.guarded(site.build(context, health, lambda: sockets.websocket_port), gate)
        http = await stack.enter_async_context(_http(app, sockets.http, settings))
        await stack.enter_async_context(_websocket(server, node, health, sockets.websocket))
        if settings.share_ports:
            # The others answer for the port: whoever asks there must not meet one that stops.
            stack.callback(http.stop_listening)
        yield node


async def _postgres(stack: AsyncExitStack, settings: Settings) -> Postgres:
    postgres = Postgres(pool_settings(settings), Meter())
    await postgres.open()
    stack.push_async_callback(postgres.close)
    await migrate.check(postgres)
    await Caretaker(Log(postgres), pool_settings(settings), settings).add()
    return postgres


def pool_settings(settings: Settings) -> PoolSettings:
    """Give how a process uses Postgres."""
    return PoolSettings(
        url=settings.database_url,
        connections=settings.database_connections,
        timeout=settings.database_timeout,
        command_timeout=settings.database_timeout,
        failures=settings.database_failures,
        pause=settings.database_pause,
        unsafe=settings.allow_unsafe_postgres,
    )


def _assemble(settings: Settings, postgres: Postgres, client: Redis, tasks: Tasks) -> tuple[Node, Timers]:
    name = token_hex(8)
    storage, sessions, hub = Log(postgres), Sessions(postgres, name, settings.lease_ms), Hub(settings)
    feeds = Feeds(name, storage, sessions, hub, tasks, settings)
    inboxes, mailroom = _inboxes(name, postgres, client, tasks, settings)
    mail = Mail(inboxes, mailroom, settings)
    hints = feeds.hints = mailroom.hints = Hints(client, feeds.receive, HintSettings(backlog=settings.hint_backlog))
    hints.always(HINTS, mailroom.receive)
    freezing = Freezing(FrozenUsers(postgres), settings)
    freezing.hints = hints
    hints.always(FREEZES, freezing.hear)
    limits = Limits(RateLimits(postgres), SharedBuckets(client), settings)
    limits.hints = hints
    hints.always(LIMITS, limits.hear)
    lifecycle = Lifecycle(sessions, feeds, settings)
    places = Places(Positions(client, int(settings.positions_days * DAY_MS)), settings)
    slow_mode = SlowMode(Turns(client), tasks, settings)
    remains = Remains(places, slow_mode, tasks)
    feeds.on_close(remains.closed)
    lifecycle.on_end(remains.ended)
    presence = Presence(client, name, settings.lease_ms, settings.audience_list)
    watch_times = WatchTimes(WatchTimeStorage(postgres), settings)
    attendance = Attendance(presence, feeds, hub, watch_times, settings)
    mentions = Mentions(Sources(storage, attendance, presence), mail, settings)
    words = Words(WordIndex(postgres), settings)
    admission = Admission(Guests(postgres), lifecycle, feeds, mail, settings)
    parts = Parts(
        settings=settings,
        identities=identities_for(settings, tasks, freezing.is_frozen),
        log=storage,
        feeds=feeds,
        hub=hub,
        writer=Writer(storage, _published(feeds, mentions, words), settings),
        attendance=attendance,
        watch_times=watch_times,
        lifecycle=lifecycle,
        hosting=Hosting(sessions, feeds, lifecycle, tasks, settings),
        places=places,
        mail=mail,
        mailroom=mailroom,
        mentions=mentions,
        typists=Typists(attendance, feeds, hub, settings),
        reactions=Reactions(ReactionTotals(postgres, name), feeds, hub, settings),
        changing=Changing(Changes(postgres), lifecycle, feeds, settings),
        admission=admission,
        following=Following(Followers(postgres), settings),
        slow_mode=slow_mode,
        kicks=Kicks(AgoraUids(postgres), settings),
        video=Video(AgoraUids(postgres), admission, hub, tasks, settings, freezing.is_frozen),
        freezing=freezing,
        audit=Audit(AuditLog(postgres), lifecycle, settings),
        limits=limits,
        words=words,
    )
    node = Node(parts)
    hub.current = node.signals
    feeds.on_standing = partial(review, node)
    feeds.on_turn(node.video.renewals.turned)
    feeds.on_change(node.kicks.changed)
    freezing.on_change(node.kicks.froze)
    lifecycle.on_end(node.kicks.ended)
    return node, Timers(sessions, lifecycle, feeds, attendance, settings)


def _inboxes(
    name: str, postgres: Postgres, client: Redis, tasks: Tasks, settings: Settings
) -> tuple[Inboxes, Mailroom]:
    inboxes = Inboxes(postgres, settings.inbox_entries)
    streams = InboxStreams(client, settings.inbox_entries, settings.inbox_days * DAY_MS)
    backlog = Backlog(inboxes, streams, settings)
    return inboxes, Mailroom(name, inboxes, backlog, tasks, settings)


def _published(feeds: Feeds, mentions: Mentions, words: Words) -> Publish:
    def publish(session: str, epoch: str, records: list[Record]) -> None:
        feeds.committed(session, epoch, records)
        mentions.take(session, records)
        words.appended(session, len(records))

    return publish


def _start(stack: AsyncExitStack, node: Node, server: Server, tasks: Tasks, settings: Settings, storage: Log) -> None:
    node.feeds.hints.start()
    stack.push_async_callback(node.feeds.hints.stop)
    # Once nobody can ask for anything any more.
    stack.push_async_callback(node.audit.close)
    for work in (
        node.feeds.check_heads,
        node.attendance.run,
        node.hosting.run,
        node.watch_times.run,
        node.heartbeat.run,
        node.expiry.run,
        node.freezing.run,
        node.audit.run,
        node.limits.follow,
        node.limits.share,
        node.hub.watch,
        node.places.run,
        *node.mailroom.works(),
        node.mentions.run,
        node.words.run,
        node.words.beat,
        node.typists.run,
        node.reactions.run,
        node.reactions.save_always,
        node.video.renewals.run,
        node.kicks.run,
        Sampler(node, server.connections).run,
        Caretaker(storage, pool_settings(settings), settings).run,
    ):
        tasks.keep(work)


class _Uvicorn(uvicorn.Server):
    """uvicorn as a part of a process that has its own way with signals."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.servers = []

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield

    def stop_listening(self) -> None:
        """Take no new connections. Those that are there are served on."""
        for server in self.servers:
            server.close()


@asynccontextmanager
async def _http(app: ASGIApp, listener: socket.socket, settings: Settings) -> AsyncIterator[_Uvicorn]:
    config = uvicorn.Config(
        unambiguous(app),
        http=Exchange,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=settings.http_connections,
        timeout_keep_alive=max(1, int(settings.http_timeout)),
        timeout_graceful_shutdown=max(1, int(settings.shutdown_timeout)),
    )
    server = _Uvicorn(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield server
    finally:
        server.should_exit = True
        await serving


@asynccontextmanager
async def _websocket(server: Server, node: Node, health: Health, listener: socket.socket) -> AsyncIterator[None]:
    settings = node.settings
    origins = parse_origins(settings.origins)
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(
        lambda: Connection(server, settings, origins), sock=listener, backlog=LISTEN_BACKLOG
    )
    try:
        yield
    finally:
        health.draining = True
        listening.close()
        await _wind_down(server, node)


async def _wind_down(server: Server, node: Node) -> None:
    """Say goodbye, and keep every promise that was made."""
    await drain(server, node.settings)
    within = node.settings.shutdown_timeout
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within):
            # A message that is not answered by then is simply not acknowledged.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(within / 2):
                    await asyncio.gather(node.writer.drain(), node.mail.drain())
            await node.reactions.drain()
            await node.audit.write()
            await node.attendance.write_all()
            await node.hosting.drain()
            await node.watch_times.write()
            await node.mentions.drain()
            await node.mailroom.drain()
            await node.places.write_all()
            await server.empty()
            await node.kicks.drain()
