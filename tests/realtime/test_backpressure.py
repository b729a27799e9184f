"""A peer that asks more than it reads waits for its answers, at its own cost."""

import asyncio
from itertools import count

from realtime.hub import Hub
from realtime.outgoing import HIGH_WATER
from realtime.protocol.codec import Format
from realtime.settings import Settings
from realtime.transport import Connection
from tests.realtime.links import Guests, linked

ANSWER = "x" * 20_000


class Talkative(Guests):
    """Answers every message at length."""

    def __init__(self, hub: Hub) -> None:
        super().__init__(hub)
        self.numbers = count()

    def receive(self, connection: Connection, data: bytes) -> None:  # noqa: ARG002 - the service's interface
        """Answer."""
        connection.send([next(self.numbers), ANSWER])


async def test_what_waits_for_a_peer_that_does_not_read_is_bounded_and_none_of_it_is_lost() -> None:
    hub, settings = Hub(Settings()), Settings()
    async with linked(hub, settings, Format.JSON, service=Talkative(hub)) as [link]:
        most = 0
        for n in range(100):
            await link.send(*[n] * 5)
            await asyncio.sleep(0)
            most = max(most, link.connection.outgoing)
        assert HIGH_WATER < most < HIGH_WATER + 2 * len(ANSWER)
        assert [number for number, _ in await link.read_along(500)] == list(range(500))
        await link.send("once more")
        assert (await link.receive())[0] == 500


class Holding(Guests):
    """Carries out one message at a time, and only when it is told to."""

    def __init__(self, hub: Hub) -> None:
        super().__init__(hub)
        self.served = 0

    def receive(self, connection: Connection, data: bytes) -> None:  # noqa: ARG002 - the service's interface
        """Begin."""
        self.served += 1
        connection.hold()


async def test_what_waits_to_be_served_is_not_parsed() -> None:
    """Parsed, an empty message is hundreds of bytes instead of six."""
    hub, settings = Hub(Settings()), Settings()
    holding = Holding(hub)
    async with linked(hub, settings, Format.JSON, service=holding) as [link]:
        sending = asyncio.create_task(link.send(*[0] * 20_000))
        most = 0
        while holding.served < 20_000:
            most = max(most, len(link.connection._events))
            link.connection.release()
            if holding.served % 100 == 0:
                await asyncio.sleep(0)
        await sending
        assert 0 < most < 1000


class Noting(Guests):
    """Notes who has said something, in the order in which it is heard."""

    def __init__(self, hub: Hub) -> None:
        super().__init__(hub)
        self.heard: list[Connection] = []

    def receive(self, connection: Connection, data: bytes) -> None:  # noqa: ARG002 - the service's interface
        """Take a note."""
        self.heard.append(connection)


async def test_who_sends_much_at_once_leaves_the_others_their_turns() -> None:
    hub, settings = Hub(Settings()), Settings()
    noting = Noting(hub)
    async with linked(hub, settings, Format.JSON, Format.JSON, service=noting) as [loud, quiet]:
        await loud.send(*[0] * 5000)
        await quiet.send(0)
        async with asyncio.timeout(5):
            while len(noting.heard) < 5001:  # noqa: ASYNC110 - the loop tells nobody
                await asyncio.sleep(0)
        assert noting.heard.index(quiet.connection) < 2000
