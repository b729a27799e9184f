"""The hub, with real connections."""

import asyncio
import time

import pytest
import uvloop
from hypothesis import HealthCheck, example, given, settings
from prometheus_client import REGISTRY

from realtime import hub as hub_module
from realtime.domain.lanes import Lane, Parcel
from realtime.frames import Form, to_frame
from realtime.hub import Hub
from realtime.outgoing import HIGH_WATER
from realtime.protocol.codec import Format
from realtime.protocol.codes import Close
from realtime.protocol.events import TypingSignal
from realtime.settings import Settings
from realtime.telemetry import metrics
from realtime.telemetry.tally import settle
from tests.realtime.links import Link, linked
from tests.realtime.stories import STEPS, Story, documents, flushed

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

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
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


def counted(name: str) -> float:
    settle()
    return REGISTRY.get_sample_value(name) or 0.0


async def lag(link: Link) -> int:
    """Send until the peer counts as behind; give the number of messages."""
    count = 0
    while not link.connection.behind:
        link.connection.send("x" * 10_000)
        count += 1
        await asyncio.sleep(0)
    return count


BIG = b'"' + b"x" * 20_000 + b'"'


async def test_a_reader_for_whom_too_much_waits_is_closed_and_costs_the_others_nothing() -> None:
    bounded = Settings(max_outgoing=4 * HIGH_WATER)
    hub = Hub(bounded)
    async with linked(hub, bounded, J, J) as (slow, quick):
        slow.join(hub, "s")
        quick.join(hub, "s")
        most = published = 0
        while slow.connection.close_code is None:
            hub.publish("s", [Parcel(BIG)])
            published += 1
            most = max(most, slow.connection.outgoing)
            assert len(await quick.receive()) == 20_000
            assert published < 1000
        assert slow.connection.close_code == Close.SLOW_CONSUMER
        assert bounded.max_outgoing < most + 2 * len(BIG)
        assert most < bounded.max_outgoing + 2 * len(BIG)
        assert list(hub.group("s")) == [quick.connection]
        # What it reads before the close is whole and in order: it resumes from there.
        messages, code = await slow.rest()
        assert len(messages) in (published - 1, published)
        assert code == Close.SLOW_CONSUMER


async def test_a_reader_that_lags_too_long_is_closed() -> None:
    impatient = Settings(slow_timeout=0.05)
    hub = Hub(impatient)
    async with linked(hub, impatient, J, J) as (slow, quick):
        slow.join(hub, "s")
        quick.join(hub, "s")
        await lag(slow)
        began = time.monotonic()
        while slow.connection.close_code is None:
            hub.publish("s", documents(1))
            assert await quick.receive() == 1
            assert time.monotonic() < began + 5
        assert time.monotonic() - began >= 0.045
        assert slow.connection.close_code == Close.SLOW_CONSUMER
        assert quick.connection.close_code is None
        assert (await slow.rest())[1] == Close.SLOW_CONSUMER


async def test_a_reader_that_catches_up_in_time_stays() -> None:
    impatient = Settings(slow_timeout=0.05)
    hub = Hub(impatient)
    async with linked(hub, impatient, J) as [slow]:
        slow.join(hub, "s")
        count = await lag(slow)
        assert len(await slow.read_along(count)) == count
        assert not slow.connection.behind
        block(0.06)
        hub.publish("s", documents(1))
        assert await slow.receive() == 1
        await flushed(hub)
        hub.shed()
        assert slow.connection.open


async def test_a_reader_that_lags_is_closed_also_where_nothing_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "WATCH_SECONDS", 0.01)
    impatient = Settings(slow_timeout=0.05)
    hub = Hub(impatient)
    async with linked(hub, impatient, J) as [slow]:
        await lag(slow)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(hub.watch(), 0.5)
        assert slow.connection.close_code == Close.SLOW_CONSUMER


async def test_a_slow_reader_that_keeps_reading_stays() -> None:
    impatient = Settings(slow_timeout=0.2, max_outgoing=1 << 30)
    hub = Hub(impatient)
    async with linked(hub, impatient, J) as [slow]:
        slow.connection.write(to_frame(BIG) * 1000)
        began, read = time.monotonic(), 0
        while time.monotonic() < began + 0.5:
            read += len(await slow.read_along(30))
            hub.shed()
            await asyncio.sleep(0.02)
        assert slow.connection.behind
        assert slow.connection.open
        assert len(await slow.read_along(1000 - read)) == 1000 - read
        assert not slow.connection.behind


async def test_a_reader_that_takes_little_at_a_time_stays() -> None:
    impatient = Settings(slow_timeout=0.05)
    hub = Hub(impatient)
    async with linked(hub, impatient, J) as [slow]:
        await lag(slow)
        waiting = slow.connection.outgoing
        for _ in range(5):
            block(0.06)
            # It leaves most of what the kernel has there, so that the kernel takes nothing more from us.
            slow._peer.recv(20_000)
            hub.look()
            assert slow.connection.open
        assert slow.connection.outgoing == waiting
        block(0.06)
        hub.look()
        assert slow.connection.close_code == Close.SLOW_CONSUMER


async def test_a_long_reply_is_no_reason_to_call_its_reader_slow() -> None:
    bounded = Settings(max_outgoing=HIGH_WATER)
    hub = Hub(bounded)
    async with linked(hub, bounded, J) as [link]:
        link.connection.send("x" * 10 * HIGH_WATER)
        assert link.connection.behind
        hub.shed()
        assert link.connection.open
        while link.connection.close_code is None:
            link.connection.send("x" * 1000)
            hub.shed()
        assert 11 * HIGH_WATER - 2000 < link.connection.outgoing < 11 * HIGH_WATER + 2000
        assert (await link.rest())[1] == Close.SLOW_CONSUMER


async def test_long_replies_that_were_read_allow_for_nothing() -> None:
    bounded = Settings(max_outgoing=HIGH_WATER)
    hub = Hub(bounded)
    async with linked(hub, bounded, J) as [link]:
        for _ in range(20):
            link.connection.send("x" * HIGH_WATER)
            assert len(await link.receive()) == HIGH_WATER
        while link.connection.close_code is None:
            link.connection.send("x" * 1000)
            hub.shed()
        assert link.connection.outgoing < 2 * HIGH_WATER
        assert (await link.rest())[1] == Close.SLOW_CONSUMER


def talk(*numbers: int) -> list[Parcel]:
    """Give a message for each number."""
    return [
        Parcel(parcel.document, Lane.CHAT, number) for number, parcel in zip(numbers, documents(*numbers), strict=True)
    ]


@pytest.mark.parametrize("fmt", Format)
async def test_who_is_behind_gets_control_and_samples_and_is_told_what_was_left_out(fmt: Format) -> None:
    rare = Settings(sample_ms=60_000)
    hub = Hub(rare)
    hub.current = lambda session: [f"how {session} is"]
    async with linked(hub, rare, fmt, J) as (slow, quick):
        slow.join(hub, "s")
        quick.join(hub, "s")
        count = await lag(slow)
        before = {lane: metrics.SKIPPED.labels(lane)._value.get() for lane in Lane}
        hub.publish("s", talk(1, 2, 3))
        await flushed(hub)
        hub.publish("s", [*talk(4, 5), Parcel(b'"control"', Lane.CONTROL, 6), *talk(7)])
        hub.signal("s", "a signal")
        await flushed(hub)
        assert await quick.read_along(8) == [1, 2, 3, 4, 5, "control", 7, "a signal"]
        assert len(await slow.read_along(count)) == count
        await flushed(hub)
        hub.publish("s", talk(8))
        assert await slow.until(8) == [
            {"type": "skipped", "session": "s", "skipped": 2, "first": 1, "last": 2},
            3,
            {"type": "skipped", "session": "s", "skipped": 2, "first": 4, "last": 5},
            "control",
            {"type": "skipped", "session": "s", "skipped": 1, "first": 7, "last": 7},
            "how s is",
        ]
        skipped = {lane: metrics.SKIPPED.labels(lane)._value.get() - before[lane] for lane in Lane}
        assert skipped == {Lane.CONTROL: 0, Lane.CHAT: 5, Lane.SIGNAL: 1}


async def test_slow_readers_share_the_frames_of_what_they_get(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub(QUICK)
    async with linked(hub, QUICK, M, M, J, M) as links:
        for link in links:
            link.join(hub, "s")
        counts = [await lag(link) for link in links[:3]]
        framed = []
        frame = Form.frame

        def spy(form: Form, document: bytes) -> bytes:
            framed.append((form.format, document))
            return frame(form, document)

        monkeypatch.setattr(Form, "frame", spy)
        control = Parcel(b'"control"', Lane.CONTROL, 2)
        hub.publish("s", [*talk(1), control])
        await flushed(hub)
        assert sorted(framed) == [(J, b'"control"'), (J, b"1"), (M, b'"control"'), (M, b"1")]
        for link, count in zip(links, [*counts, 0], strict=True):
            assert (await link.read_along(count + 2))[count:] == [1, "control"]


async def test_a_long_answer_is_no_reason_to_leave_anything_out() -> None:
    hub = Hub(QUICK)
    async with linked(hub, QUICK, J) as [link]:
        link.join(hub, "s")
        link.connection.send("x" * 10 * HIGH_WATER)
        assert link.connection.behind
        hub.publish("s", talk(1, 2))
        await flushed(hub)
        assert len(await link.receive()) == 10 * HIGH_WATER
        assert await link.read_along(2) == [1, 2]


async def test_who_leaves_a_session_while_behind_is_told_nothing_of_it() -> None:
    hub = Hub(QUICK)
    async with linked(hub, QUICK, J) as [slow]:
        slow.join(hub, "s", "t")
        count = await lag(slow)
        hub.publish("s", talk(1, 2, 3))
        hub.publish("t", talk(11, 12))
        await flushed(hub)
        hub.publish("s", talk(4))
        hub.publish("t", talk(13))
        await flushed(hub)
        hub.detach("s", slow.connection)
        slow.connection.peer = ["t"]
        await slow.read_along(count)
        hub.publish("t", talk(14))
        assert await slow.until(14) == [
            {"type": "skipped", "session": "s", "skipped": 2, "first": 1, "last": 2},
            3,
            {"type": "skipped", "session": "t", "skipped": 1, "first": 11, "last": 11},
            12,
            {"type": "skipped", "session": "t", "skipped": 1, "first": 13, "last": 13},
        ]


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
