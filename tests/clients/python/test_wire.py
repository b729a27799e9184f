import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest

from stagewire_client.errors import Closed, Lost, Refused
from stagewire_client.messages import Ack, Event, Ping, Push, Quality
from stagewire_client.settings import Settings
from stagewire_client.wire import Wire
from tests.clients.python import virtual

SETTINGS = Settings(requests=8)
EVENT = {"type": "event", "session": "s", "seq": 1, "at": 2, "media_ms": 3, "kind": "k", "by": "bob", "body": {}}


class Socket:
    """The other side is the test."""

    def __init__(self) -> None:
        self.said: list[dict[str, Any]] = []
        self.takes = asyncio.Event()
        self.takes.set()
        self.closed_with: int | None = None
        self.abandoned = False
        self._incoming: asyncio.Queue[bytes | str | int] = asyncio.Queue()

    async def send(self, text: bytes) -> None:
        await self.takes.wait()
        if self.closed_with is not None:
            raise Closed(self.closed_with)
        self.said.append(msgspec.json.decode(text))

    async def receive(self) -> bytes | str:
        said = await self._incoming.get()
        if isinstance(said, int):
            raise Closed(said)
        return said

    async def close(self, code: int) -> None:
        self.closed_with = code

    def abandon(self) -> None:
        self.abandoned = True

    def tell(self, said: Any) -> None:
        """Say something; a number closes."""
        self._incoming.put_nowait(msgspec.json.encode(said) if isinstance(said, dict) else said)


class Served:
    """A wire that runs, and what it has heard."""

    def __init__(self, hear: Callable[[Push], None] | None = None) -> None:
        self.heard: list[Push] = []
        self.socket = Socket()
        self.wire = Wire(self.socket, SETTINGS, lambda: 1234, hear or self.heard.append)
        self.running = asyncio.create_task(self.wire.run())

    async def said(self, count: int) -> list[dict[str, Any]]:
        """Wait until so much was said."""
        async with asyncio.timeout(5):
            while len(self.socket.said) < count:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0)
        return self.socket.said


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    served = Served()
    yield served
    served.running.cancel()
    await asyncio.gather(served.running, return_exceptions=True)


def ask(served: Served, **options: Any) -> "asyncio.Task[Ack]":
    return asyncio.create_task(served.wire.request({"type": "leave"}, Ack, **options))


async def test_replies_find_their_requests_in_any_order(served: Served) -> None:
    one, other = ask(served), ask(served)
    ids = [command["id"] for command in await served.said(2)]
    served.socket.tell({"type": "ack", "re": ids[1], "seq": 2})
    served.socket.tell({"type": "ack", "re": ids[0], "seq": 1, "unknown": "field"})
    assert (await one, await other) == (Ack(seq=1), Ack(seq=2))


async def test_a_refusal_is_raised_with_all_that_it_says(served: Served) -> None:
    asked = ask(served)
    [command] = await served.said(1)
    error = {"type": "error", "code": "conflict", "message": "no", "retry_after_ms": 5, "state": "ended"}
    served.socket.tell({**error, "re": command["id"]})
    with pytest.raises(Refused) as refused:
        await asked
    told = refused.value
    assert (told.code, told.message, told.retry_after_ms, told.state) == ("conflict", "no", 5, "ended")


async def test_a_reply_is_taken_before_anything_that_comes_after_it(served: Served) -> None:
    order: list[object] = []
    asked = ask(served, then=lambda ack: order.append(ack.seq))
    [command] = await served.said(1)
    served.wire._hear = order.append
    served.socket.tell({"type": "ack", "re": command["id"], "seq": 9})
    served.socket.tell({"type": "quality", "quality": "good"})
    await asked
    await asyncio.sleep(0)
    assert order == [9, Quality("good")]


async def test_pushes_are_handed_on_and_what_is_not_known_is_ignored(served: Served) -> None:
    served.socket.tell({"type": "something.new", "x": 1})
    served.socket.tell({**EVENT, "new": True})
    served.socket.tell({"type": "error", "code": "internal", "message": "about nothing that was asked"})
    served.socket.tell({"type": "ack", "re": 77})
    served.socket.tell('{"type":"quality","quality":"poor","rtt_ms":5}')
    served.socket.tell(4000)
    assert await served.running == 4000
    event = Event(session="s", seq=1, at=2, media_ms=3, kind="k", by="bob")
    assert served.heard == [event, Quality("poor", 5)]
    assert served.socket.abandoned


async def test_a_ping_is_answered_and_handed_on(served: Served) -> None:
    served.socket.tell({"type": "ping", "now": 5, "heads": {}})
    assert await served.said(1) == [{"type": "pong", "now": 1234}]
    assert served.heard == [Ping(5)]


@pytest.mark.parametrize("said", ["not JSON", '{"type":5}', '{"type":"event"}', b"\xff"])
async def test_what_cannot_be_read_ends_it(served: Served, said: str | bytes) -> None:
    served.socket.tell(said)
    assert await served.running == 1002


async def test_an_end_loses_what_was_asked_and_what_is_asked_after(served: Served) -> None:
    asked, cancelled = ask(served), ask(served)
    await served.said(2)
    served.socket.tell(4001)
    await asyncio.sleep(0)
    cancelled.cancel()
    with pytest.raises(Lost):
        await asked
    assert await served.running == 4001
    with pytest.raises(Lost):
        await ask(served)
    served.wire.say({"type": "pong"})
    assert len(served.socket.said) == 2


async def test_a_reply_that_does_not_come_in_time_ends_it(served: Served) -> None:
    with pytest.raises(Lost):
        await ask(served, within=0.01)
    assert await served.running == 4002


async def test_one_who_asks_no_more_is_forgotten(served: Served) -> None:
    asked = ask(served)
    [command] = await served.said(1)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    served.socket.tell({"type": "ack", "re": command["id"]})
    assert (await answered(served)).seq == 8
    assert not served.wire._requests


async def answered(served: Served) -> Ack:
    asked = ask(served)
    [*_, command] = await served.said(2)
    served.socket.tell({"type": "ack", "re": command["id"], "seq": 8})
    return await asked


async def test_a_server_that_takes_nothing_away_is_given_up(served: Served) -> None:
    served.socket.takes.clear()
    for number in range(5):
        served.wire.say({"type": "pong", "now": number})
    assert served.wire.congested
    for number in range(5):
        served.wire.say({"type": "pong", "now": number})
    assert await served.running == 4002


async def test_a_socket_that_cannot_be_written_to_ends_it(served: Served) -> None:
    served.socket.closed_with = 4300
    served.wire.say({"type": "pong"})
    assert await served.running == 4300


async def test_a_clean_end_is_told_the_other_side(served: Served) -> None:
    await served.wire.leave(1000)
    served.wire.end(4002)
    assert await served.running == 1000
    assert served.socket.closed_with == 1000


async def test_a_defect_of_who_hears_is_no_lost_connection() -> None:
    def hear(_: Push) -> None:
        raise ZeroDivisionError

    served = Served(hear)
    served.socket.tell(EVENT)
    with pytest.raises(ZeroDivisionError):
        await served.running


def test_a_reply_may_be_late_while_much_else_comes_but_not_for_ever() -> None:
    async def chatter(socket: Socket) -> None:
        while True:
            socket.tell(EVENT)
            await asyncio.sleep(1)

    async def act() -> None:
        served = Served()
        talking = asyncio.create_task(chatter(served.socket))
        asked = ask(served, within=15)
        await asyncio.sleep(50)
        served.socket.tell({"type": "ack", "re": 1, "seq": 7})
        assert (await asked).seq == 7
        with pytest.raises(Lost):
            await ask(served, within=15)
        assert (await served.running, asyncio.get_running_loop().time()) == (4002, 50 + 4 * 15)
        talking.cancel()

    virtual.run(act())
