"""The hub, with real connections."""

import asyncio
import time

import pytest
from hypothesis import HealthCheck, example, given, settings
from prometheus_client import REGISTRY

from realtime import hub as hub_module
from realtime.domain.lanes import Lane, Parcel
from realtime.hub import Hub
from realtime.protocol.codec import Format
from realtime.protocol.codes import Close
from realtime.protocol.events import TypingSignal
from realtime.settings import Settings
from realtime.telemetry.tally import settle
from tests.realtime.links import linked
from tests.realtime.stories import STEPS, Story, documents, flushed
from tests.support.loops import Loop

J, M = Format.JSON, Format.MSGPACK
QUICK = Settings()


async def test_everyone_gets_what_is_published_in_their_session_in_their_format() -> None:
    hub = Hub(QUICK)
    async with linked(hub, QUICK, J, M, J) as (json, msgpack, other):
        json.join(hub, "s")
        msgpack.join(hub, "s")
        other.join(hub, "t")
        hub.publish("s", [Parcel(b'{"a":[1,"\xc3\xa9",null]}'), Parcel(b"2")])
        hub.publish("t", documents(3))
        hub.publish("nobody is here", documents(4))
        hub.publish("s", iter(documents(5)))
        for link in (json, msgpack):
            assert await link.read_along(3) == [{"a": [1, "é", None]}, 2, 5]
        assert await other.receive() == 3
        assert all(link.idle() for link in (json, msgpack, other))


async def test_a_signal_is_published_as_json() -> None:
    hub = Hub(QUICK)
    async with linked(hub, QUICK, J, M) as links:
        for link in links:
            link.join(hub, "s")
        hub.signal("s", TypingSignal(session="s", users=("alice",), count=1))
        for link in links:
            assert await link.receive() == {
                "type": "signal",
                "session": "s",
                "kind": "typing",
                "users": ["alice"],
                "count": 1,
            }


async def test_members_are_counted_and_listed_also_while_documents_wait() -> None:
    hub = Hub(QUICK)
    assert (hub.size("s"), list(hub.group("s"))) == (0, [])
    async with linked(hub, QUICK, J, M, J) as links:
        links[0].join(hub, "s")
        links[1].join(hub, "s")
        hub.publish("s", documents(1))
        links[2].join(hub, "s")
        assert hub.size("s") == 3
        assert set(hub.group("s")) == {link.connection for link in links}
        hub.detach("s", links[2].connection)
        assert hub.size("s") == 2
        await flushed(hub)
        hub.detach("s", links[0].connection)
        hub.detach("s", links[1].connection)
        assert (hub.size("s"), list(hub.group("s"))) == (0, [])
        for link in links:
            link.connection.peer = None


async def test_who_joins_while_documents_wait_gets_those_that_come_after() -> None:
    hub = Hub(QUICK)
    async with linked(hub, QUICK, J, J, M, J) as (first, second, third, last):
        first.join(hub, "s")
        hub.publish("s", documents(1))
        second.join(hub, "s")
        hub.publish("s", documents(2, 3))
        third.join(hub, "s")
        hub.publish("s", documents(4))
        last.join(hub, "s")
        await flushed(hub)
        hub.publish("s", documents(5))
        for link, before in ((first, [1, 2, 3, 4]), (second, [2, 3, 4]), (third, [4]), (last, [])):
            assert await link.until(5) == before


async def test_who_leaves_while_documents_wait_gets_none_of_them() -> None:
    hub = Hub(QUICK)
    async with linked(hub, QUICK, J, J) as (leaver, stayer):
        leaver.join(hub, "s")
        stayer.join(hub, "s")
        hub.publish("s", documents(1))
        hub.detach("s", leaver.connection)
        leaver.connection.peer = None
        assert await stayer.receive() == 1
        assert leaver.idle()


async def test_who_has_said_their_last_gets_nothing_and_the_others_all() -> None:
    hub = Hub(QUICK)
    async with linked(hub, QUICK, J, J) as (parting, staying):
        parting.join(hub, "s")
        staying.join(hub, "s")
        # The peer has gone without a close frame, and the loop has not closed the socket yet.
        parting.connection.eof_received()
        hub.publish("s", documents(1))
        await flushed(hub)
        hub.publish("s", documents(2))
        assert await staying.read_along(2) == [1, 2]


async def test_the_last_who_leaves_takes_what_waits_along() -> None:
    hub = Hub(QUICK)
    async with linked(hub, QUICK, J) as [link]:
        link.join(hub, "s")
        hub.publish("s", documents(1))
        hub.detach("s", link.connection)
        link.join(hub, "s")
        hub.publish("s", documents(2))
        assert await link.receive() == 2
        assert link.idle()


async def test_a_connection_that_is_lost_while_documents_wait_harms_nobody() -> None:
    hub = Hub(QUICK)
    async with linked(hub, QUICK, J, J) as (lost, stayer):
        lost.join(hub, "s")
        stayer.join(hub, "s")
        hub.publish("s", documents(1))
        lost.connection.close(Close.NORMAL)
        hub.publish("s", documents(2))
        assert hub.size("s") == 1
        assert await stayer.read_along(2) == [1, 2]
        assert await lost.rest() == ([], Close.NORMAL)


async def test_what_is_sent_to_a_broken_connection_harms_nobody() -> None:
    hub = Hub(QUICK)
    async with linked(hub, QUICK, J, J) as (broken, other):
        broken.join(hub, "s")
        other.join(hub, "s")
        broken.connection._transport.abort()
        hub.publish("s", documents(1))
        assert await other.receive() == 1
        assert not broken.connection.open
        broken.connection.send("an answer that comes too late")
        broken.connection.close(Close.DRAIN)
        assert broken.connection.close_code == Close.ABNORMAL
        assert list(hub.group("s")) == [other.connection]


async def test_a_connection_that_cannot_be_written_to_is_ended_and_harms_nobody() -> None:
    hub = Hub(QUICK)
    async with linked(hub, QUICK, J, J) as (broken, stays):
        for link in (broken, stays):
            link.join(hub, "s")
        broken.connection._transport.write_eof()
        hub.publish("s", documents(1, 2))
        assert await stays.read_along(2) == [1, 2]
        assert hub.size("s") == 1
        hub.publish("s", documents(3))
        assert await stays.receive() == 3


@pytest.mark.parametrize("turn", [0, 0.005])
@given(steps=STEPS)
@example(steps=[("join", 0), ("publish", 1), ("join", 1), ("publish", 1), ("flush", 0)])
@example(steps=[("join", 0), ("publish", 1), ("leave", 0), ("join", 0), ("publish", 2), ("join", 1), ("leave", 1)])
@example(steps=[("join", 0), ("join", 1), ("publish", 1), ("turn", 0), ("leave", 0), ("join", 0), ("publish", 1)])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_each_reader_gets_exactly_what_was_published_while_it_was_in(
    monkeypatch: pytest.MonkeyPatch, turn: float, steps: list[tuple[str, int]]
) -> None:
    """Also where a flush takes a turn of the loop for each reader."""
    monkeypatch.setattr(hub_module, "TURN_SECONDS", turn)
    monkeypatch.setattr(hub_module, "LEAST_TURN", 1)

    async def play() -> None:
        hub = Hub(QUICK)
        async with linked(hub, QUICK, J, M, J) as links:
            story = Story(hub, links)
            for step in steps:
                await story.tell(*step)
            await flushed(hub)
            for reader, link in enumerate(links):
                link.connection.send(0)
                story.check(reader, await link.until(0))

    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(play())


def block(seconds: float) -> None:
    """Keep the loop busy."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


async def test_an_idle_hub_writes_at_once_and_a_busy_one_gathers() -> None:
    patient = Settings(tick_ms=200)
    hub = Hub(patient)
    async with linked(hub, patient, J) as [link]:
        link.join(hub, "s")
        hub.publish("s", documents(1))
        # Between the flush and what follows it, as if the sockets had taken so long.
        asyncio.get_running_loop().call_soon(block, 0.2)
        await flushed(hub)
        assert await link.receive() == 1
        began = time.monotonic()
        wait = hub._not_before - began
        assert 0.1 < wait <= 0.2
        hub.publish("s", documents(2))
        await asyncio.sleep(0.001)
        assert link.idle()
        hub.publish("s", documents(3))
        await flushed(hub)
        # Timers may be early by a millisecond.
        assert time.monotonic() - began > wait - 0.002
        assert await link.read_along(2) == [2, 3]


async def test_no_flush_makes_the_next_wait_longer_than_a_tick() -> None:
    short = Settings(tick_ms=10)
    hub = Hub(short)
    async with linked(hub, short, J) as [link]:
        link.join(hub, "s")
        hub.publish("s", documents(1))
        asyncio.get_running_loop().call_soon(block, 0.05)
        await flushed(hub)
        assert hub._not_before - time.monotonic() <= 0.01


async def test_what_is_published_during_a_flush_is_written_in_the_next() -> None:
    hub = Hub(QUICK)
    async with linked(hub, QUICK, J) as [link]:
        link.join(hub, "s")
        hub.publish("s", documents(1))
        asyncio.get_running_loop().call_soon(hub.publish, "s", documents(2))
        assert await link.read_along(2) == [1, 2]


async def test_deliveries_and_bytes_are_counted_as_written() -> None:
    hub = Hub(QUICK)
    async with linked(hub, QUICK, J, M, J) as (first, second, third):
        first.join(hub, "s")
        second.join(hub, "s")
        deliveries, size = counted("stagewire_deliveries_total"), counted("stagewire_sent_bytes_total")
        hub.publish("s", documents(1, 2))
        third.join(hub, "s")
        hub.publish("s", documents(3))
        await flushed(hub)
        # Of two bytes and a payload of one each.
        assert counted("stagewire_deliveries_total") - deliveries == 3 + 3 + 1
        assert counted("stagewire_sent_bytes_total") - size == 3 * 7


def counted(name: str, **labels: str) -> float:
    settle()
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def test_a_large_flush_leaves_room_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "TURN_SECONDS", 0)
    monkeypatch.setattr(hub_module, "LEAST_TURN", 2)
    hub = Hub(QUICK)
    async with linked(hub, QUICK, J, J, M, J, M) as links:
        for link in links:
            link.join(hub, "s")
        hub.publish("s", [Parcel(b"1", Lane.CHAT, 7)])
        seen = []
        while hub._scheduled:
            seen.append((sum(not link.idle() for link in links), hub.unsent("s")))
            await asyncio.sleep(0)
        # Nothing before the flush, then more and more; the head is told when all have it.
        counts = [count for count, _ in seen]
        assert counts == sorted(counts)
        assert len({count for count in counts if count < len(links)}) >= 3
        assert all(first == 7 for count, first in seen if count < len(links))
        assert hub.unsent("s") is None
        assert hub.unsent("nobody is here") is None
        for link in links:
            assert await link.receive() == 1
