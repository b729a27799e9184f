"""All nodes are restarted one by one under load: nobody loses anything, and all come back at the chosen rate."""

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import cycle
from uuid import uuid4

import pytest
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from persistence.embedded import Servers
from realtime.protocol.codes import Close
from tests.support.databases import query
from tests.support.nodes import Client, Message
from tests.support.served import ServedNode, served

pytestmark = pytest.mark.timeout(120)

# So slow that a second in which a busy machine does nothing changes the rate by less than is allowed.
VIEWERS, WRITERS, RATE = 200, 4, 15.0
SETTINGS = {"STAGEWIRE_DRAIN_RATE": str(RATE), "STAGEWIRE_DRAIN_TIMEOUT": "20"}
# What a refused connection waits before it tries the next node.
RETRY = 0.05
# `--log-cli-level=info` shows the figures.
log = logging.getLogger(__name__)


class Fleet:
    """The nodes that there are, and who comes to them when."""

    def __init__(self, *nodes: ServedNode) -> None:
        self.nodes = list(nodes)
        # When somebody was back who had been sent away.
        self.returns: list[float] = []

    def after(self, number: int) -> Iterator[ServedNode]:
        """Give the nodes for ever, in an order of one's own."""
        return (self.nodes[index % len(self.nodes)] for index in cycle(range(number, number + 2)))


class Guest:
    """A client that comes back whenever it is sent away, to whichever node lets it in."""

    def __init__(self, fleet: Fleet, session: str, number: int) -> None:
        self._fleet = fleet
        self._session = session
        self._number = number
        self._position: Message = {}
        self.closes: list[int] = []
        self.gaps = 0
        self.here = asyncio.Event()

    async def stay(self) -> None:
        """Be there until cancelled."""
        for node in self._fleet.after(self._number):
            try:
                async with node.client(f"user{self._number}") as client:
                    client.listener = self._follow
                    joined = await client.join(self._session, **({"since": self._position} if self._position else {}))
                    self.gaps += not joined["complete"]
                    if self.closes:
                        self._fleet.returns.append(time.monotonic())
                    self.here.set()
                    await self.take_part(client)
            except ConnectionClosed as closed:
                self.closes.append(closed.rcvd.code if closed.rcvd else 1006)
            except (OSError, InvalidHandshake):
                await asyncio.sleep(RETRY)

    def _follow(self, message: Message) -> None:
        """Move on with what comes, and count where something is missing."""
        if message["type"] == "joined":
            for event in message["events"]:
                self._step(event["seq"])
            self._position = message["position"]
        elif message["type"] == "event":
            self._step(message["seq"])

    def _step(self, seq: int) -> None:
        self.gaps += bool(self._position) and seq != self._position["seq"] + 1
        self._position = {**self._position, "seq": seq}

    async def take_part(self, client: Client) -> None:
        """Answer heartbeats."""
        while True:
            await client.hear(60)
            client.pushes.clear()


class Writer(Guest):
    """One who writes all the time, each message with its key until it is acknowledged."""

    def __init__(self, fleet: Fleet, session: str, number: int) -> None:
        super().__init__(fleet, session, number)
        self.sent = 0
        self.acked: dict[str, int] = {}
        self._key = str(uuid4())

    async def take_part(self, client: Client) -> None:
        """Write."""
        while True:
            self.sent += 1
            ack = await client.say(self._session, "hi", self._key)
            assert ack["type"] == "ack", ack
            self.acked[self._key] = ack["seq"]
            self._key = str(uuid4())
            client.pushes.clear()
            await asyncio.sleep(0.02)


def test_a_rolling_restart_under_load(migrated: str, servers: Servers) -> None:
    with ExitStack() as stack:
        nodes = [stack.enter_context(served(migrated, servers.redis_url, **SETTINGS)) for _ in range(2)]
        session = asyncio.run(nodes[0].session())
        writers = asyncio.run(_roll(stack, migrated, servers, session, Fleet(*nodes)))
    _check_log(migrated, session, writers)


async def _roll(stack: ExitStack, database_url: str, servers: Servers, session: str, fleet: Fleet) -> list[Writer]:
    writers = [Writer(fleet, session, number) for number in range(WRITERS)]
    guests = [*writers, *(Guest(fleet, session, WRITERS + number) for number in range(VIEWERS))]
    tasks = [asyncio.create_task(guest.stay()) for guest in guests]
    try:
        await asyncio.gather(*(guest.here.wait() for guest in guests))
        for number, old in enumerate(list(fleet.nodes)):
            fleet.returns.clear()
            sent_away = sum(bool(guest.closes) for guest in guests)
            assert await asyncio.to_thread(old.stop, 40) == 0
            replaced = await asyncio.to_thread(stack.enter_context, served(database_url, servers.redis_url, **SETTINGS))
            fleet.nodes[number] = replaced
            _check_rate(fleet.returns)
            log.info("%d were sent away before, %d now", sent_away, len(fleet.returns))
        await asyncio.sleep(0.5)
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [result for result in results if not isinstance(result, asyncio.CancelledError)] == []
    assert {code for guest in guests for code in guest.closes} == {Close.DRAIN}
    assert sum(guest.gaps for guest in guests) == 0
    return writers


def _check_rate(returns: list[float]) -> None:
    """See that they came back at the chosen rate, but for the first and the last ones."""
    moments = sorted(returns)
    assert len(moments) >= VIEWERS // 2
    middle = moments[len(moments) // 10 : -len(moments) // 10]
    rate = (len(middle) - 1) / (middle[-1] - middle[0])
    log.info("%d came back, %.1f a second where %.1f were chosen", len(moments), rate, RATE)
    assert 0.8 * RATE < rate < 1.2 * RATE


def _check_log(database_url: str, session: str, writers: list[Writer]) -> None:
    rows = query(
        database_url,
        "SELECT array_agg((seq || ' ' || key) ORDER BY seq) FROM events"
        f" WHERE session = '{session}' AND kind = 'chat.posted'",
    )
    stored = dict(reversed(row.split(" ")) for row in rows)
    acked = {key: str(seq) for writer in writers for key, seq in writer.acked.items()}
    assert len(acked) > 100
    assert len(set(stored.values())) == len(stored)
    assert acked.items() <= stored.items()
    # What is stored without an acknowledgement is what a writer was about to hear of at the very end.
    assert len(stored) - len(acked) <= WRITERS
