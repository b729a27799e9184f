"""Readers who are behind: what the hub gives them, when it closes them, and that they cost the others nothing."""

import asyncio
import time

import pytest

from realtime import hub as hub_module
from realtime.domain.lanes import Lane, Parcel
from realtime.frames import Form, to_frame
from realtime.hub import Hub
from realtime.outgoing import HIGH_WATER
from realtime.protocol.codec import Format
from realtime.protocol.codes import Close
from realtime.settings import Settings
from tests.realtime.links import Link, linked
from tests.realtime.stories import documents, flushed
from tests.realtime.test_hub import block, counted

J, M = Format.JSON, Format.MSGPACK
QUICK = Settings()


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
        before = {lane: counted("stagewire_skipped_total", lane=lane) for lane in Lane}
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
        skipped = {lane: counted("stagewire_skipped_total", lane=lane) - before[lane] for lane in Lane}
        assert skipped == {Lane.CONTROL: 0, Lane.CHAT: 5, Lane.SIGNAL: 1}


async def test_slow_readers_share_the_frames_of_what_they_get(monkeypatch: pytest.MonkeyPatch) -> None:
    framed = []
    frame = Form.frame

    def spy(form: Form, document: bytes) -> bytes:
        framed.append((form.format, document))
        return frame(form, document)

    monkeypatch.setattr(Form, "frame", spy)
    hub = Hub(QUICK)
    async with linked(hub, QUICK, M, M, J, M) as links:
        for link in links:
            link.join(hub, "s")
        counts = [await lag(link) for link in links[:3]]
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


async def test_slow_readers_are_served_in_turns_and_by_how_they_are_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "TURN_SECONDS", 0)
    monkeypatch.setattr(hub_module, "LEAST_TURN", 1)
    hub = Hub(QUICK)
    async with linked(hub, QUICK, J, J, J) as links:
        for link in links:
            link.join(hub, "s")
        counts = {link: await lag(link) for link in links}
        hub.publish("s", talk(1, 2))
        while not any(behind.missed for behind in hub._behind.values()):  # noqa: ASYNC110 - the loop tells nobody
            await asyncio.sleep(0)
        # One has had its turn; of the others one can take all by now, and one is not there any more.
        [sampled] = [link for link in links if hub._behind[link.connection].missed]
        quick, gone = (link for link in links if link is not sampled)
        hub.catch_up(quick.connection)
        hub.detach("s", gone.connection)
        gone.connection.peer = None
        assert hub.unsent("s") == 1
        await flushed(hub)
        assert hub.unsent("s") is None
        gap = {"type": "skipped", "session": "s", "skipped": 1, "first": 1, "last": 1}
        for link, got in ((sampled, [gap, 2]), (quick, [1, 2]), (gone, [])):
            link.connection.send("the end")
            assert (await link.until("the end"))[counts[link] :] == got
