"""What one connection is sent: in order, and what is sent in one turn of the loop in one write."""

import asyncio
from typing import Any

import pytest

from realtime.frames import to_frame
from realtime.hub import Hub
from realtime.outgoing import HIGH_WATER
from realtime.protocol.codec import Format
from realtime.protocol.codes import Close
from realtime.settings import Settings
from tests.realtime.links import Link, linked

SETTINGS = Settings()


class Counting:
    """A transport that counts writes."""

    def __init__(self, link: Link, monkeypatch: pytest.MonkeyPatch) -> None:
        self._transport = link.connection._transport
        self.writes = 0
        monkeypatch.setattr(link.connection, "_transport", self)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        self.writes += 1
        self._transport.write(data)


async def test_what_is_sent_in_one_turn_is_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    async with linked(Hub(SETTINGS), SETTINGS, Format.JSON) as (link,):
        transport = Counting(link, monkeypatch)
        for number in range(100):
            link.connection.send(number)
        assert (transport.writes, link.connection.outgoing) == (0, sum(map(len, map(_frame, range(100)))))
        assert await link.read_along(100) == list(range(100))
        assert (transport.writes, link.connection.outgoing) == (1, 0)
        link.connection.send("next")
        assert await link.receive() == "next"
        assert transport.writes == 2


async def test_sent_and_written_keep_their_order() -> None:
    async with linked(Hub(SETTINGS), SETTINGS, Format.JSON) as (link,):
        link.connection.send(1)
        link.connection.send(2)
        link.connection.write(_frame(3))
        link.connection.send(4)
        link.connection.close(Close.FROZEN, "enough")
        link.connection.send(5)
        assert await link.rest() == ([1, 2, 3, 4], Close.FROZEN)


async def test_much_does_not_wait_for_the_end_of_the_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    async with linked(Hub(SETTINGS), SETTINGS, Format.JSON) as (link,):
        transport = Counting(link, monkeypatch)
        link.connection.send("x" * (HIGH_WATER // 2))
        link.connection.send("y" * (HIGH_WATER // 2))
        link.connection.send("z")
        assert transport.writes == 1
        assert [text[0] for text in await link.read_along(3)] == ["x", "y", "z"]
        assert transport.writes == 2


async def test_whoever_is_gone_by_the_end_of_the_turn_is_written_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async with linked(Hub(SETTINGS), SETTINGS, Format.JSON) as (link,):
        transport = Counting(link, monkeypatch)
        link.connection.send(1)
        link.connection._transport.abort()
        link.connection.connection_lost(None)
        link.connection.send(2)
        await asyncio.sleep(0)
        assert (transport.writes, link.connection.outgoing) == (0, 0)


def _frame(message: object) -> bytes:
    return to_frame(str(message).encode())
