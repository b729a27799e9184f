"""What a user writes, in virtual time."""

import asyncio
import logging
from random import Random

import pytest

from stagewire_client import (
    DeliveryState,
    Draft,
    Dropped,
    Failed,
    Lost,
    MemoryStorage,
    Refused,
    Session,
    Settings,
    Stagewire,
)
from tests.clients.python import virtual
from tests.clients.python.playing import play_in_session
from tests.clients.python.scripted import SESSION, Server, client


def texts(server: Server) -> list[str]:
    return [event["body"]["text"] for event in server.log if event["by"] == "alice"]


def test_each_message_is_told_of_its_place_to_whoever_awaits_it() -> None:
    async def act(_server: Server, _live: Stagewire, show: Session) -> None:
        one, other = show.send("one"), show.send("two", reply_to=1)
        assert [one.state, other.state] == [DeliveryState.WAITING, DeliveryState.WAITING]
        acks = await asyncio.gather(one, one, other)
        assert [ack.seq for ack in acks] == [1, 1, 2]
        assert acks[0].key == one.key
        assert (one.state, one.error, show.pending) == (DeliveryState.ACKED, None, [])
        await show.settled()
        # As often as anybody likes.
        assert (await one).seq == 1

    server = play_in_session(act)
    said = [command for command in server.heard if command["type"] == "chat.send"]
    assert [command.get("reply_to") for command in said] == [None, 1]
    assert all(command["sent_at"] == 50 for command in said)


def test_edits_and_deletions_take_their_turn() -> None:
    async def act(_server: Server, _live: Stagewire, show: Session) -> None:
        await asyncio.gather(show.edit(4, "better"), show.delete(5))

    server = play_in_session(act)
    said = [{n: v for n, v in c.items() if n in ("type", "seq", "text")} for c in server.heard[2:]]
    assert said == [{"type": "chat.edit", "seq": 4, "text": "better"}, {"type": "chat.delete", "seq": 5}]


def test_what_is_written_offline_is_sent_in_its_order_and_says_when_it_was_written() -> None:
    async def act(server: Server, _live: Stagewire, show: Session) -> None:
        server.reachable = False
        server.drop(1006)
        for number in range(3):
            await asyncio.sleep(10)
            show.send(f"text {number}")
        server.reachable = True
        await show.settled()
        assert texts(server) == ["text 0", "text 1", "text 2"]
        times = [command["sent_at"] for command in server.heard if command["type"] == "chat.send"]
        assert times == [10_050, 20_050, 30_050]

    play_in_session(act)


def test_a_refusal_is_raised_and_the_message_may_be_retried_or_dropped() -> None:
    async def act(server: Server, _live: Stagewire, show: Session) -> None:
        server.refusals = [("forbidden", False), ("forbidden", False)]
        one, other = show.send("one"), show.send("two")
        for sent in (one, other):
            with pytest.raises(Refused):
                await sent
            assert sent.state is DeliveryState.FAILED
            assert sent.error is not None
        await show.settled()
        assert one.retry()
        assert not one.retry()
        assert (await one).seq == 1
        assert not one.drop()
        assert other.drop()
        assert other.state is DeliveryState.DROPPED
        with pytest.raises(Dropped):
            await other
        assert show.pending == []

    play_in_session(act)


def test_a_message_that_waits_may_be_dropped_and_one_on_its_way_may_not() -> None:
    async def act(server: Server, _live: Stagewire, show: Session) -> None:
        server.stall()
        one, other = show.send("one"), show.send("two")
        await asyncio.sleep(0.1)
        assert one.state is DeliveryState.SENDING
        assert not one.drop()
        assert other.drop()
        assert (await one).seq == 1

    assert texts(play_in_session(act)) == ["one"]


def test_a_held_message_is_sent_when_its_time_has_come() -> None:
    async def act(server: Server, _live: Stagewire, show: Session) -> None:
        server.refusals = [("rate_limited", False)]
        sent = show.send("one")
        await asyncio.sleep(0.1)
        assert sent.state is DeliveryState.HELD
        assert sent.error is not None
        assert sent.error.code == "rate_limited"
        began = asyncio.get_running_loop().time()
        await sent
        assert 0.3 < asyncio.get_running_loop().time() - began < 0.5

    play_in_session(act)


def test_where_there_is_no_room_what_was_refused_is_forgotten() -> None:
    async def act(server: Server, _live: Stagewire, show: Session) -> None:
        server.refusals = [("forbidden", False)] * 2
        refused = [show.send("one"), show.send("two")]
        await show.settled()
        await show.send("three")
        assert show.pending == refused[1:]

    play_in_session(act, settings=Settings(pending=2))


def test_an_event_is_as_good_as_an_ack() -> None:
    async def act(server: Server, _live: Stagewire, show: Session) -> None:
        server.lost_acks = 1
        assert (await show.send("one")).seq == 1
        assert [command["type"] for command in server.heard].count("chat.send") == 1

    play_in_session(act)


def test_whoever_waits_is_told_when_the_client_gives_up_and_the_message_is_kept() -> None:
    async def act(server: Server, live: Stagewire, show: Session) -> None:
        server.stall()
        sent = show.send("one")
        await asyncio.sleep(0.1)
        server.drop(4403)
        with pytest.raises(Failed, match="kept out"):
            await sent
        assert sent.state is DeliveryState.WAITING
        with pytest.raises(Failed, match="kept out"):
            await show.send("two")
        live.retry()
        await asyncio.sleep(0)
        assert (await sent).seq == 1

    play_in_session(act)


def test_what_is_left_is_sent_by_the_next_client_before_anything_new() -> None:
    async def act() -> None:
        server, storage = Server(), MemoryStorage()
        async with client(server, Random(1), storage) as live:
            show = await live.join(SESSION)
            server.reachable = False
            server.drop(1006)
            left = [show.send("one"), show.send("two")]
            dropped = show.send("never mind")
            assert dropped.drop()
        for sent in left:
            with pytest.raises(Lost):
                await sent
        server.reachable = True
        async with client(server, Random(2), storage) as live:
            show = await live.join(SESSION)
            assert [sent.draft.text for sent in show.pending] == ["one", "two"]
            again = show.send("three")
            assert (await again).seq == 3
            assert texts(server) == ["one", "two", "three"]
        assert await storage.load("alice", SESSION) == []

    virtual.run(act())


def test_nobody_waits_for_what_will_not_be_sent_any_more() -> None:
    async def act(server: Server, live: Stagewire, show: Session) -> None:
        server.stall()
        show.send("one")
        waiting = asyncio.create_task(show.settled())
        await asyncio.sleep(1)
        server.drop(4403)
        with pytest.raises(Failed, match="kept out"):
            await waiting
        with pytest.raises(Failed, match="kept out"):
            await show.settled()
        live.retry()
        await asyncio.sleep(0)
        await show.settled()
        server.stall()
        show.send("two")
        waiting = asyncio.create_task(show.settled())
        await asyncio.sleep(0)
        await live.close()
        with pytest.raises(Lost):
            await waiting

    assert texts(play_in_session(act)) == ["one"]


class Hanging(MemoryStorage):
    """Gives nothing before it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.gives = asyncio.Event()

    async def load(self, user: str, session: str) -> list[Draft]:
        """Give what is kept now, later."""
        kept = await super().load(user, session)
        await self.gives.wait()
        return kept


def left(number: int) -> Draft:
    return Draft(key=f"00000000-0000-4000-8000-00000000000{number}", written_at=0, number=number, text=f"left {number}")


def test_a_storage_that_hangs_holds_nothing_up_and_what_it_gives_later_is_sent() -> None:
    async def act() -> None:
        server, storage = Server(), Hanging()
        await storage.put("alice", SESSION, left(1))
        async with client(server, Random(1), storage) as live:
            show = await live.join(SESSION)
            await show.send("one")
            assert texts(server) == ["one"]
            storage.gives.set()
            await asyncio.sleep(1)
            await show.settled()
            assert texts(server) == ["one", "left 1"]
        assert await storage.load("alice", SESSION) == []

    virtual.run(act())


def test_whoever_leaves_does_not_wait_for_a_storage_that_hangs() -> None:
    async def act() -> None:
        server, storage = Server(), Hanging()
        async with client(server, Random(1), storage) as live:
            await live.leave(await live.join(SESSION))
        assert asyncio.all_tasks() == {asyncio.current_task()}

    virtual.run(act())


def test_what_is_dropped_while_the_storage_is_read_stays_so() -> None:
    async def act() -> None:
        server, storage = Server(), Hanging()
        async with client(server, Random(1), storage) as live:
            show = await live.join(SESSION)
            await storage.put("alice", SESSION, left(1))
            sent = show.send("never mind")
            await storage.put("alice", SESSION, sent.draft)
            await asyncio.sleep(0)
            assert sent.drop()
            await asyncio.sleep(1)
            storage.gives.set()
            await show.send("one")
            await show.settled()
        assert "never mind" not in texts(server)

    virtual.run(act())


def test_what_is_written_after_the_clock_was_set_back_stays_behind_what_was_left() -> None:
    async def act() -> None:
        server, storage = Server(), MemoryStorage()
        draft = Draft(key="00000000-0000-4000-8000-000000000001", written_at=10**9, number=10**9, text="left")
        await storage.put("alice", SESSION, draft)
        async with client(server, Random(1), storage) as live:
            show = await live.join(SESSION)
            show.send("one")
            server.flows = server.reachable = False
            server.drop(1006)
            await asyncio.sleep(1)
            show.send("two")
        server.flows = server.reachable = True
        async with client(server, Random(2), storage) as live:
            show = await live.join(SESSION)
            await asyncio.sleep(1)
            await show.settled()
        assert texts(server) == ["left", "one", "two"]

    virtual.run(act())


def test_what_is_left_with_a_session_is_there_when_it_is_joined_again() -> None:
    async def act() -> None:
        server, storage = Server(), Slow()
        async with client(server, Random(1), storage) as live:
            show = await live.join(SESSION)
            show.send("one")
            await live.leave(show)
            show = await live.join(SESSION)
            assert [sent.draft.text for sent in show.pending] == ["one"]
            await show.settled()
        assert texts(server) == ["one"]

    virtual.run(act())


class Slow(MemoryStorage):
    """Takes three seconds for each draft."""

    async def put(self, user: str, session: str, draft: Draft) -> None:
        """Keep a draft, later."""
        await asyncio.sleep(3)
        await super().put(user, session, draft)


def test_closing_waits_for_a_slow_storage_and_says_so_where_that_takes_too_long(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def act() -> None:
        server, storage = Server(), Slow()
        async with client(server, Random(1), storage) as live:
            show = await live.join(SESSION)
            server.reachable = False
            server.drop(1006)
            show.send("one")
            show.send("two")
        assert [draft.text for draft in await storage.load("alice", SESSION)] == ["one"]

    with caplog.at_level(logging.WARNING, "stagewire_client"):
        virtual.run(act())
    assert caplog.messages == ["1 changes of what is pending could not be kept in time"]
