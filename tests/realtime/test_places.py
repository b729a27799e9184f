"""Where users have got to, kept for those who lost it; and when what they wrote offline has happened."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest

from persistence.log import Head, Log
from persistence.positions import Place, Positions
from persistence.redis import connect
from tests.support.nodes import Client, Message, RunningNode, serving
from tests.support.relay import relayed

MINUTE = 60_000
HOUR = 60 * MINUTE
# What two clocks and the way over a socket may make of a difference of times, on a busy machine.
CLOSE = 2_000
QUICK: dict[str, Any] = {"heartbeat": 0.2, "positions_ms": 20}
NOWHERE = "unix:///nonexistent/valkey.sock"


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def seqs(events: list[Message]) -> list[int]:
    return [event["seq"] for event in events]


@pytest.fixture
async def pair(migrated: str, redis_url: str) -> AsyncIterator[tuple[RunningNode, RunningNode]]:
    async with serving(migrated, redis_url, **QUICK) as one, serving(migrated, redis_url, **QUICK) as two:
        yield one, two


async def confirm(client: Client, session: str, seq: int) -> None:
    """Answer pings until one has told that the log is at `seq`."""
    while True:
        ping = await client.until(type="ping")
        client.pushes.remove(ping)
        await client.send("pong", now=now_ms())
        if ping["heads"].get(session, {}).get("seq", 0) >= seq:
            # Commands are carried out in their order.
            await client.ask("typing", session=session, on=True)
            return


async def kept(node: RunningNode, session: str, user: str, seq: int) -> None:
    """Wait until a position is known to a node that has not seen it."""
    async with asyncio.timeout(5):
        while (known := await node.node.places.last(session, user)) is None or known.seq < seq:  # noqa: ASYNC110 - what is waited for happens in another program
            await asyncio.sleep(0.01)
    assert known.seq == seq


# "since": "last"


async def test_another_node_knows_what_the_last_pong_confirmed(pair: tuple[RunningNode, RunningNode]) -> None:
    one, two = pair
    session = await one.session()
    async with two.client("ann") as ann:
        await ann.join(session)
        async with one.client("bob") as bob:
            await bob.join(session)
            await ann.say(session, "heard")
            await confirm(bob, session, 3)
            await ann.say(session, "perhaps heard")
            await kept(two, session, "bob", 3)
            bob.socket.transport.abort()
        await ann.say(session, "missed")
        async with two.client("bob") as bob:
            joined = await bob.join(session, since="last")
            assert (joined["complete"], seqs(joined["events"]), joined["position"]["seq"]) == (True, [4, 5], 5)
            await ann.say(session, "and on")
            assert (await bob.until_event())["seq"] == 6


async def test_a_user_of_whom_nothing_is_known_begins_anew(pair: tuple[RunningNode, RunningNode]) -> None:
    one, _ = pair
    session = await one.session()
    async with one.client("bob") as bob:
        joined = await bob.join(session, since="last")
        assert (joined["complete"], joined["events"], joined["position"]["seq"]) == (False, [], 2)
        await bob.say(session, "here")
        assert (await bob.until_event())["seq"] == 3


async def test_who_was_not_told_that_it_begins_anew_is_told_again(pair: tuple[RunningNode, RunningNode]) -> None:
    """The answer may have got lost: only a pong confirms it."""
    one, two = pair
    session = await one.session()
    async with one.client("bob") as bob:
        for _ in range(2):
            joined = await bob.join(session, since="last")
            assert (joined["complete"], joined["events"]) == (False, [])
        await confirm(bob, session, 2)
        await bob.say(session, "one")
        await kept(two, session, "bob", 2)
        assert seqs((await bob.join(session, since="last"))["events"]) == [3]


async def test_who_left_gets_what_came_since_the_join(pair: tuple[RunningNode, RunningNode]) -> None:
    """Nothing was confirmed meanwhile: what came before the leave comes again."""
    one, two = pair
    session = await one.session()
    async with one.client("ann") as ann, one.client("bob") as bob:
        await ann.join(session)
        await bob.join(session)
        await ann.say(session, "heard")
        await bob.ask("leave", session=session)
        await ann.say(session, "missed")
        assert seqs((await bob.join(session, since="last"))["events"]) == [3, 4]
        await bob.ask("leave", session=session)
        # What a join gave is confirmed by a pong alone, too.
        await kept(two, session, "bob", 2)
    async with two.client("bob") as bob:
        assert seqs((await bob.join(session, since="last"))["events"]) == [3, 4]


async def test_of_two_devices_the_furthest_counts(pair: tuple[RunningNode, RunningNode]) -> None:
    one, two = pair
    session = await one.session()
    async with one.client("ann") as ann, one.client("bob") as bob, two.client("bob") as phone:
        await ann.join(session)
        await bob.join(session)
        await ann.say(session, "to one")
        await ann.say(session, "to one, too")
        await phone.join(session, since={**(await ann.join(session))["position"], "seq": 3})
        await kept(two, session, "bob", 3)
        await confirm(bob, session, 4)
        await kept(two, session, "bob", 4)
        await ann.say(session, "to both")
        await phone.until_event(seq=5)
        assert seqs((await phone.join(session, since="last"))["events"]) == [5]


async def test_a_pong_confirms_only_what_the_session_was_joined_for(pair: tuple[RunningNode, RunningNode]) -> None:
    one, two = pair
    session, other = await one.session(), await one.session()
    async with one.client("bob") as bob:
        await bob.join(session)
        await bob.join(other)
        await bob.say(other, "there")
        await bob.until_event(session=other)
        await confirm(bob, other, 3)
        await kept(two, other, "bob", 3)
        assert (await two.node.places.last(session, "bob")).seq == 2  # type: ignore[union-attr] # as joined


async def test_positions_are_written_when_a_node_stops(migrated: str, redis_url: str) -> None:
    rarely = {"heartbeat": 0.2, "positions_ms": 3_600_000}
    async with serving(migrated, redis_url) as other:
        async with serving(migrated, redis_url, **rarely) as node:
            session = await node.session()
            client = node.client("bob")
            bob = await client.__aenter__()
            await bob.join(session)
            await bob.say(session, "one")
            await confirm(bob, session, 3)
        await client.__aexit__(None, None, None)
        await kept(other, session, "bob", 3)


async def test_without_redis_nothing_is_known(migrated: str) -> None:
    async with serving(migrated, NOWHERE, **QUICK) as node:
        session = await node.session()
        async with node.client("bob", now=now_ms()) as bob:
            first = await bob.join(session)
            await bob.say(session, "one")
            joined = await bob.join(session, since="last")
            assert (joined["complete"], joined["events"], joined["position"]["seq"]) == (False, [], 3)
            # A position of one's own is as good as ever.
            assert seqs((await bob.join(session, since=first["position"]))["events"]) == [3]
            assert close((await write(bob, session, now_ms() - HOUR))["at"], now_ms())


async def test_a_redis_that_does_not_answer_holds_nobody_up_for_long(migrated: str, redis_url: str) -> None:
    """However many wait for it, they wait for one answer."""
    async with (
        relayed(redis_url) as relay,
        serving(migrated, relay.url, positions_ms=3_600_000, redis_timeout=0.5) as node,
    ):
        session = await node.session()
        async with manyfold(node, session, 12) as clients:
            relay.freeze()
            began = time.monotonic()
            acks = await asyncio.gather(*(write(client, session, now_ms() - HOUR) for client in clients))
            assert sorted(ack["seq"] for ack in acks) == list(range(3, 15))
            assert time.monotonic() - began < 3
            relay.thaw()


@asynccontextmanager
async def manyfold(node: RunningNode, session: str, count: int) -> AsyncIterator[list[Client]]:
    """Give clients of as many users, who have joined."""
    if not count:
        yield []
        return
    async with node.client(f"user{count}", now=now_ms()) as client:
        await client.join(session)
        async with manyfold(node, session, count - 1) as others:
            yield [client, *others]


# A reader who has more than the node


async def test_a_node_that_is_behind_its_reader_reads_on(
    migrated: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was committed on a node that died before it could tell the others."""
    # Not while hints are being subscribed to, either.
    slow = {"head_check_ms": 3_600_000, "head_check_alone_ms": 3_600_000}
    async with serving(migrated, redis_url, **slow) as one, serving(migrated, redis_url, **slow) as two:
        session = await one.session()
        async with one.client("bob") as bob, two.client("eve") as eve:
            since = (await bob.join(session))["position"]
            await eve.join(session)
            monkeypatch.setattr(one.node.feeds.hints, "publish", lambda *_: None)
            await bob.say(session, "one")
            await bob.say(session, "two")
            asked = _count_heads(two.node.log, monkeypatch)
            async with manyfold(two, session, 5) as clients:
                joins = (client.join(session, since={**since, "seq": 4}) for client in clients)
                joined = await asyncio.gather(*joins)
                assert {(reply["complete"], reply["position"]["seq"]) for reply in joined} == {(True, 4)}
                assert [reply["events"] for reply in joined] == [[]] * 5
                assert 1 <= len(asked) <= 2
                # Nobody else has to wait for it either.
                await eve.until_event(seq=4)
                forged = await clients[0].join(session, since={**since, "seq": 5})
                assert (forged["complete"], forged["events"], forged["position"]["seq"]) == (False, [], 4)


def _count_heads(log: Log, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    asked: list[Any] = []
    heads = log.heads

    async def counted(sessions: Any) -> dict[str, Head]:
        asked.append(sessions)
        return await heads(sessions)

    monkeypatch.setattr(log, "heads", counted)
    return asked


# What was written offline


async def absent(redis_url: str, session: str, user: str, silent_ms: int) -> None:
    """Have a user be last heard of so long ago."""
    async with connect(redis_url, connections=1, timeout=2) as client:
        await Positions(client, HOUR).write(session, [Place(user, "e", 0, silent_ms)])


async def write(client: Client, session: str, sent_at: int, text: str = "written offline") -> Message:
    return await client.ask("chat.send", session=session, key=str(uuid4()), text=text, sent_at=sent_at)


def close(one: int, other: int) -> bool:
    return abs(one - other) < CLOSE


@pytest.fixture
async def away(node: RunningNode, redis_url: str) -> str:
    """Give a session in which bob was last heard of an hour ago."""
    session = await node.session()
    await absent(redis_url, session, "bob", HOUR)
    return session


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (30 * MINUTE, 30 * MINUTE),
        (59 * MINUTE, 59 * MINUTE),
        (2 * HOUR, HOUR),
        (None, HOUR),
        (-1000, 0),
        (-HOUR, 0),
    ],
)
async def test_a_message_belongs_to_when_it_was_written_within_the_absence(
    node: RunningNode, away: str, sent: int | None, expected: int
) -> None:
    async with node.client("bob", now=now_ms()) as bob:
        await bob.join(away)
        ack = await write(bob, away, 0 if sent is None else now_ms() - sent)
        assert close(ack["at"], now_ms() - expected)
        assert (await bob.until_event(seq=ack["seq"]))["at"] == ack["at"]


async def test_no_time_is_too_far_in_the_future(node: RunningNode, away: str) -> None:
    async with node.client("bob", now=now_ms()) as bob:
        await bob.join(away)
        ack = await write(bob, away, 2**53 - 1)
        assert close(ack["at"], now_ms())


@pytest.mark.parametrize("wrong", [-5 * HOUR, 7 * 24 * HOUR, -(2**40)])
async def test_a_wrong_clock_does_not_matter(node: RunningNode, away: str, wrong: int) -> None:
    async with node.client("bob", now=now_ms() + wrong) as bob:
        await bob.join(away)
        ack = await write(bob, away, now_ms() + wrong - 30 * MINUTE)
        assert close(ack["at"], now_ms() - 30 * MINUTE)


async def test_a_clock_of_which_nothing_is_known_is_not_believed_until_a_pong(migrated: str, redis_url: str) -> None:
    async with serving(migrated, redis_url, **QUICK) as node:
        session, other = await node.session(), await node.session()
        for missed in (session, other):
            await absent(redis_url, missed, "bob", HOUR)
        async with node.client("bob") as bob:
            await bob.join(session)
            await bob.join(other)
            assert close((await write(bob, session, now_ms() - 30 * MINUTE))["at"], now_ms())
            await confirm(bob, session, 3)
            # In another session, since nobody posts before what they have posted already.
            assert close((await write(bob, other, now_ms() - 30 * MINUTE))["at"], now_ms() - 30 * MINUTE)


async def test_who_was_never_here_writes_now(node: RunningNode, away: str) -> None:
    async with node.client("eve", now=now_ms()) as eve:
        await eve.join(away)
        assert close((await write(eve, away, now_ms() - 30 * MINUTE))["at"], now_ms())


async def test_what_is_written_on_this_connection_is_written_now(node: RunningNode, away: str) -> None:
    async with node.client("bob", now=now_ms()) as bob:
        await bob.join(away)
        said = await bob.say(away, "no time given")
        assert close(said["at"], now_ms())
        ack = await write(bob, away, now_ms() + 1)
        assert ack["at"] >= said["at"]


async def test_a_repetition_keeps_its_first_time(node: RunningNode, away: str) -> None:
    key = str(uuid4())
    async with node.client("bob", now=now_ms()) as bob:
        await bob.join(away)
        sends = [
            await bob.ask("chat.send", session=away, key=key, text="once", sent_at=now_ms() - minutes * MINUTE)
            for minutes in (30, 10)
        ]
        assert sends[0]["at"] == sends[1]["at"]


async def test_two_orders(node: RunningNode, away: str) -> None:
    """What came late is delivered in its turn, and displayed where it belongs, in the order of its writing."""
    async with node.client("ann") as ann, node.client("bob", now=now_ms()) as bob:
        await ann.join(away)
        await ann.say(away, "said while bob was away")
        await bob.join(away)
        written = now_ms() - 30 * MINUTE
        for n in range(10):
            await bob.send("chat.send", session=away, key=str(uuid4()), text=f"{n}", sent_at=written + 100 * n)
        await ann.until_event(seq=13)
        events = ann.events()
        assert seqs(events) == list(range(3, 14))
        shown = [event["body"]["text"] for event in sorted(events, key=lambda event: (event["at"], event["seq"]))]
        assert shown == [*(f"{n}" for n in range(10)), "said while bob was away"]


async def test_a_short_absence_over_two_connections(node: RunningNode) -> None:
    """Nothing but what the server has seen by itself."""
    session = await node.session()
    async with node.client("bob", now=now_ms()) as bob:
        await bob.join(session)
        last = (await bob.say(session, "before"))["at"]
    left = now_ms()
    await asyncio.sleep(0.3)
    async with node.client("bob", now=now_ms()) as bob:
        await bob.join(session)
        early, late = await write(bob, session, 0), await write(bob, session, left + 150)
        assert last <= early["at"] <= late["at"] + 150
        assert left + 50 <= late["at"] <= left + 250


async def test_a_late_edit_does_not_undo_a_later_one(node: RunningNode) -> None:
    """One device edits what another has edited before, offline. It was here all the time, with the first one."""
    session = await node.session()
    async with node.client("bob", now=now_ms()) as phone, node.client("bob", now=now_ms()) as laptop:
        await phone.join(session)
        seq = (await phone.say(session, "as posted"))["seq"]
        edit = {"session": session, "seq": seq}
        await phone.ask("chat.edit", **edit, key=str(uuid4()), text="edited last")
        await phone.ask("leave", session=session)
        await laptop.join(session)
        late = await laptop.ask(
            "chat.edit", **edit, key=str(uuid4()), text="edited first", edited_at=now_ms() - 5 * MINUTE
        )
        assert close(late["at"], now_ms() - 5 * MINUTE)
        told = (await laptop.ask("history", session=session, after=seq - 1))["events"]
        assert [event["body"]["text"] for event in told] == ["edited last"] * 3
        forged = await laptop.ask("chat.edit", **edit, key=str(uuid4()), text="of the stone age", edited_at=0)
        assert close(forged["at"], now_ms() - 7 * 24 * HOUR)
        future = await laptop.ask("chat.edit", **edit, key=str(uuid4()), text="tomorrow", edited_at=2**53 - 1)
        assert close(future["at"], now_ms())
        [told] = (await laptop.ask("history", session=session, after=seq - 1, limit=1))["events"]
        assert told["body"]["text"] == "tomorrow"
