"""`serve --workers` as its operator meets it: workers are replaced one by one, and nobody is any the worse."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from uuid import uuid4

import httpx
import psutil
import pytest
from websockets.exceptions import ConnectionClosed

from persistence.embedded import Servers
from realtime.migrating import bring_up
from realtime.protocol.codes import Close
from realtime.settings import Settings
from tests.support.databases import connected, fresh_database, query
from tests.support.nodes import Client, Message, token
from tests.support.processes import wait_until
from tests.support.supervised import Supervised, supervised

QUICK = {"STAGEWIRE_DRAIN_RATE": "20", "STAGEWIRE_DRAIN_TIMEOUT": "2", "STAGEWIRE_SHUTDOWN_TIMEOUT": "2"}
RESIDENTS, VISITORS = 10, 8


@pytest.fixture
def urls(servers: Servers) -> Iterator[dict[str, str]]:
    with fresh_database(servers.database_url) as url:
        bring_up(Settings(database_url=url))
        yield {"DATABASE_URL": url, "REDIS_URL": servers.redis_url}


async def ready(workers: Supervised, count: int = 2) -> None:
    """Wait until all workers serve, whichever is asked."""
    # One alone would answer for all.
    await asyncio.to_thread(wait_until, lambda: len(workers.listening()) == count, within=30)
    in_a_row = 0
    async with asyncio.timeout(30):
        while in_a_row < 10 * count:
            try:
                good = (await workers.request("GET", "/readyz")).is_success
            except httpx.TransportError:
                good = False
            in_a_row = in_a_row + 1 if good else 0
            await asyncio.sleep(0.02)


class Crowd:
    """Clients who talk, and come back when they are sent away; and others who come, say one thing and go."""

    def __init__(self, workers: Supervised, session: str) -> None:
        self._workers = workers
        self._session = session
        self._over = False
        self.acked: dict[str, int] = {}
        self.visits = 0
        self.closes: list[int | None] = []

    @asynccontextmanager
    async def talking(self) -> AsyncIterator[None]:
        """Have them talk meanwhile. Whatever goes wrong with any of them is raised."""
        async with asyncio.TaskGroup() as group:
            for number in range(RESIDENTS):
                group.create_task(self._reside(f"resident{number}"))
            for number in range(VISITORS):
                group.create_task(self._visit(f"visitor{number}"))
            yield
            self._over = True

    async def _visit(self, user: str) -> None:
        while not self._over:
            # A handshake that fails ends the test, in whatever way it does.
            with self._sent_away():
                async with self._workers.client(user) as client:
                    await client.join(self._session)
                    await self._say(client, str(uuid4()))
                    self.visits += 1
            await asyncio.sleep(0.01)

    @contextmanager
    def _sent_away(self) -> Iterator[None]:
        try:
            yield
        except ConnectionClosed as exc:
            self.closes.append(exc.rcvd.code if exc.rcvd else None)

    async def _reside(self, user: str) -> None:
        position: Message = {}
        key = str(uuid4())

        def follow(message: Message) -> None:
            if message["type"] == "event":
                assert message["seq"] == position["seq"] + 1
                position["seq"] += 1

        while not self._over:
            with self._sent_away():
                async with self._workers.client(user) as client:
                    client.listener = follow
                    joined = await client.join(self._session, **({"since": dict(position)} if position else {}))
                    assert joined["complete"]
                    assert [event["seq"] for event in joined["events"]] == list(
                        range(position.get("seq", joined["position"]["seq"]) + 1, joined["position"]["seq"] + 1)
                    )
                    position.update(joined["position"])
                    while not self._over:
                        await self._say(client, key)
                        key = str(uuid4())
                        await asyncio.sleep(0.02)

    async def _say(self, client: Client, key: str) -> None:
        answer = await client.say(self._session, "hi", key)
        assert answer["type"] == "ack", answer
        assert key not in self.acked
        self.acked[key] = answer["seq"]


async def stored(workers: Supervised, session: str, who: str) -> dict[str, list[int]]:
    """Give the keys of the log, and where each of them stands."""
    found: dict[str, list[int]] = {}
    after, more = 1, True
    while more:
        page = (await workers.request("GET", f"/v1/sessions/{session}/events?after={after}&limit=200", who)).json()
        for event in page["events"]:
            found.setdefault(event.get("key", ""), []).append(event["seq"])
            after = event["seq"]
        more = page["more"]
    return found


@pytest.mark.timeout(120)
async def test_a_roll_costs_no_message_and_no_handshake(urls: dict[str, str], tmp_path: Path) -> None:
    with supervised(tmp_path, {**urls, **QUICK}) as workers:
        await ready(workers)
        session = await workers.session()
        crowd = Crowd(workers, session)
        first = set(workers.workers())
        assert len(first) == 2
        async with crowd.talking():
            await asyncio.sleep(0.5)
            visits = crowd.visits
            workers.roll()
            await asyncio.to_thread(workers.until_said, "roll begun")
            # Once more while it rolls: that is for after it, however often it is asked.
            workers.roll()
            await asyncio.sleep(0.3)
            workers.roll()
            await asyncio.to_thread(workers.until_said, "roll ended", 2)
            await asyncio.sleep(0.5)
            last = set(workers.workers())
        assert crowd.visits - visits > 20
        keys = await stored(workers, session, token("host"))
        assert {key: keys.get(key) for key in crowd.acked} == {key: [seq] for key, seq in crowd.acked.items()}
        assert crowd.closes
        assert set(crowd.closes) == {Close.DRAIN}
        assert len(last) == 2
        assert not last & first
        replaced = workers.said("worker replaced")
        assert len(replaced) == 4
        assert first < {line["pid"] for line in replaced}
        assert {line["code"] for line in replaced} == {0}
        assert len(workers.said("roll begun")) == 2
        # A worker that says goodbye no longer answers for the others.
        assert (await workers.request("GET", "/readyz")).status_code == 200
        metrics = (await workers.request("GET", "/metrics")).text
        assert 'stagewire_rolls_total{outcome="done"} 2.0' in metrics


async def test_what_waits_for_a_worker_that_hangs_is_served_by_the_one_that_replaces_it(
    urls: dict[str, str], tmp_path: Path
) -> None:
    with supervised(tmp_path, {**urls, **QUICK}) as workers:
        await ready(workers)
        hanging = workers.workers()[0]
        os.kill(hanging, signal.SIGSTOP)
        welcome: list[str] = []

        async def visit(user: str) -> None:
            async with workers.client(user):
                welcome.append(user)

        async with asyncio.TaskGroup() as group:
            for number in range(40):
                group.create_task(visit(f"visitor{number}"))
            await asyncio.sleep(0.5)
            # The kernel has spread them over both.
            assert 5 < len(welcome) < 35
            workers.roll()
        os.kill(hanging, signal.SIGCONT)
        await asyncio.to_thread(workers.until_said, "roll ended")
        assert len(welcome) == 40


@asynccontextmanager
async def hindered(url: str) -> AsyncIterator[None]:
    """Keep every node from starting meanwhile: none gets to read which migrations there were."""
    async with connected(url) as connection, connection.transaction():
        await connection.execute("LOCK TABLE migrations")
        yield


async def test_a_replacement_that_does_not_get_ready_stops_the_roll(urls: dict[str, str], tmp_path: Path) -> None:
    with supervised(tmp_path, {**urls, **QUICK, "STAGEWIRE_ROLL_TIMEOUT": "2"}) as workers:
        await ready(workers)
        first = set(workers.workers())
        session = await workers.session()
        async with workers.client("bob") as bob:
            await bob.join(session)
            # It ends: its database is not migrated, as far as it can see.
            await asyncio.to_thread(query, urls["DATABASE_URL"], "ALTER TABLE migrations RENAME TO elsewhere")
            workers.roll()
            await asyncio.to_thread(workers.until_said, "roll stopped")
            await asyncio.to_thread(query, urls["DATABASE_URL"], "ALTER TABLE elsewhere RENAME TO migrations")
            # It neither ends nor gets ready.
            async with hindered(urls["DATABASE_URL"]):
                workers.roll()
                await asyncio.to_thread(workers.until_said, "roll stopped", 2)
            await asyncio.to_thread(wait_until, lambda: set(workers.workers()) == first)
            assert [line["left"] for line in workers.said("roll stopped")] == [2, 2]
            assert (await bob.say(session, "still here"))["type"] == "ack"
            assert not [push for push in bob.pushes if push["type"] == "drain"]
        metrics = (await workers.request("GET", "/metrics")).text
        assert 'stagewire_rolls_total{outcome="stopped"} 2.0' in metrics
        assert 'stagewire_rolls_total{outcome="done"} 0.0' in metrics
        workers.roll()
        await asyncio.to_thread(workers.until_said, "roll ended")
        assert not set(workers.workers()) & first


async def test_a_worker_that_dies_while_its_replacement_starts_is_replaced_by_it(
    urls: dict[str, str], tmp_path: Path
) -> None:
    with supervised(tmp_path, {**urls, **QUICK}) as workers:
        await ready(workers)
        first = set(workers.workers())
        async with hindered(urls["DATABASE_URL"]):
            workers.roll()
            await asyncio.to_thread(wait_until, lambda: len(workers.workers()) == 3)
            for pid in first:
                os.kill(pid, signal.SIGKILL)
            await asyncio.to_thread(workers.until_said, "worker ended")
        await asyncio.to_thread(workers.until_said, "roll ended")
        await ready(workers)
        assert len(workers.workers()) == 2


async def test_who_stops_it_while_it_rolls_stops_all_of_it(urls: dict[str, str], tmp_path: Path) -> None:
    with supervised(tmp_path, {**urls, **QUICK}) as workers:
        await ready(workers)
        async with hindered(urls["DATABASE_URL"]):
            workers.roll()
            await asyncio.to_thread(wait_until, lambda: len(workers.workers()) == 3)
            pids = workers.workers()
            workers.process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(workers.process.wait, 20) == 0
        assert not any(map(psutil.pid_exists, pids))
