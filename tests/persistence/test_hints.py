"""Hints over a real Valkey, and over one that goes away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from persistence.hints import Hints, HintSettings
from persistence.redis import Redis, connect
from tests.persistence.conftest import until
from tests.support.relay import relayed

QUICK = HintSettings(retry=0.02, silence=0.3)


class Node:
    """A node's hints, and what it has received."""

    def __init__(self, client: Redis, settings: HintSettings) -> None:
        self.received: list[tuple[str, bytes]] = []
        self.hints = Hints(client, self._receive, settings)

    def _receive(self, session: str, payload: bytes) -> None:
        if payload == b"poison":
            raise ZeroDivisionError
        self.received.append((session, payload))

    async def until_received(self, *expected: tuple[str, bytes]) -> None:
        """Wait for these hints; there must be no others."""

        async def enough() -> bool:
            return len(self.received) >= len(expected)

        await until(enough)
        assert self.received == list(expected)

    async def until_counted(self, *, sent: int, dropped: int) -> None:
        """Wait until so many are sent, which is known only after they have arrived."""

        async def counted() -> bool:
            return self.hints.sent == sent

        await until(counted)
        assert self.hints.dropped == dropped

    async def until_connected(self, connected: bool = True, within: float = 5.0) -> None:
        """Wait until hints can be received, or can't any more."""

        async def changed() -> bool:
            return self.hints.connected is connected

        await until(changed, within)


@asynccontextmanager
async def noding(url: str, settings: HintSettings = QUICK, *, wait: bool = True) -> AsyncIterator[Node]:
    """Run a node."""
    async with connect(url, connections=4, timeout=0.5) as client:
        node = Node(client, settings)
        node.hints.start()
        try:
            if wait:
                await node.until_connected()
            yield node
        finally:
            await node.hints.stop()


@pytest.fixture
async def admin(redis_url: str) -> AsyncIterator[Redis]:
    async with connect(redis_url, connections=2, timeout=2) as client:
        yield client


async def subscribers(admin: Redis, session: str) -> int:
    """Count the connections that receive a session's hints."""
    [(_, count)] = await admin.pubsub_numsub(f"sw:hints:{session}")
    return int(count)


async def test_hints_come_to_those_who_follow_in_their_order(redis_url: str) -> None:
    async with noding(redis_url) as a, noding(redis_url) as b, noding(redis_url) as c:
        await b.hints.follow("s")
        await c.hints.follow("t")
        for n in range(20):
            a.hints.publish("s", b"\x00%d\xff" % n)
        a.hints.publish("t", b"")
        await b.until_received(*(("s", b"\x00%d\xff" % n) for n in range(20)))
        await c.until_received(("t", b""))
        await a.until_counted(sent=21, dropped=0)
        assert a.hints.received == 0
        assert (b.hints.received, c.hints.received) == (20, 1)


async def test_who_has_followed_misses_nothing_that_is_published_after(redis_url: str) -> None:
    async with noding(redis_url) as a, noding(redis_url) as b:
        for n in range(50):
            await b.hints.follow(f"s{n}")
            a.hints.publish(f"s{n}", b"x")
        await b.until_received(*((f"s{n}", b"x") for n in range(50)))


async def test_who_unfollows_hears_no_more(redis_url: str, admin: Redis) -> None:
    async with noding(redis_url) as a, noding(redis_url) as b:
        await b.hints.follow("s")
        await b.hints.follow("t")
        await b.hints.unfollow("s")
        await b.hints.unfollow("never followed")

        async def gone() -> bool:
            return await subscribers(admin, "s") == 0

        await until(gone)
        a.hints.publish("s", b"unheard")
        a.hints.publish("t", b"heard")
        await b.until_received(("t", b"heard"))
        await b.hints.follow("s")
        a.hints.publish("s", b"again")
        await b.until_received(("t", b"heard"), ("s", b"again"))


async def test_a_session_that_is_let_go_and_wanted_again_at_once_is_followed(redis_url: str) -> None:
    async with noding(redis_url) as a, noding(redis_url) as b:
        await b.hints.follow("s")
        await asyncio.gather(b.hints.unfollow("s"), b.hints.follow("s"))
        a.hints.publish("s", b"x")
        await b.until_received(("s", b"x"))


async def kill_subscriptions(admin: Redis) -> None:
    await admin.client_kill_filter(_type="pubsub")


async def test_a_subscription_that_is_cut_comes_back_with_all_its_sessions(redis_url: str, admin: Redis) -> None:
    async with noding(redis_url) as a, noding(redis_url) as b:
        for n in range(10):
            await b.hints.follow(f"s{n}")
        await b.hints.unfollow("s0")
        await kill_subscriptions(admin)
        await b.until_connected(connected=False)
        # What is wanted meanwhile does not wait, and is followed later.
        async with asyncio.timeout(0.9):
            await b.hints.follow("new")
            await b.hints.unfollow("s1")
        await b.until_connected()

        async def back() -> bool:
            return await subscribers(admin, "new") == await subscribers(admin, "s9") == 1

        await until(back)
        for session in ("s0", "s1", "s2", "new"):
            a.hints.publish(session, b"x")
        await b.until_received(("s2", b"x"), ("new", b"x"))


async def test_a_subscription_that_goes_silent_is_given_up(redis_url: str) -> None:
    async with relayed(redis_url) as relay, noding(relay.url) as b, noding(redis_url) as a:
        await b.hints.follow("s")
        relay.freeze()
        began = asyncio.get_running_loop().time()
        await b.until_connected(connected=False)
        assert asyncio.get_running_loop().time() - began >= 0.2
        relay.thaw()
        await b.until_connected()
        await b.hints.follow("s")
        a.hints.publish("s", b"x")
        await b.until_received(("s", b"x"))


async def test_an_idle_subscription_is_not_taken_for_a_silent_one(redis_url: str) -> None:
    async with noding(redis_url, HintSettings(retry=0.02, silence=0.24)) as b:
        pubsub = b.hints._pubsub
        await asyncio.sleep(0.8)
        assert b.hints._pubsub is pubsub


async def test_following_waits_for_no_confirmation_longer_than_it_should(redis_url: str) -> None:
    settings = HintSettings(retry=0.02, silence=5, confirm=0.1)
    async with relayed(redis_url) as relay, noding(relay.url, settings) as b, noding(redis_url) as a:
        relay.freeze()
        async with asyncio.timeout(1):
            await b.hints.follow("s")
        relay.thaw()
        await b.hints.follow("t")
        a.hints.publish("s", b"x")
        await b.until_received(("s", b"x"))


async def test_what_is_wanted_while_a_lost_subscription_is_mended_is_followed_later(redis_url: str) -> None:
    async with relayed(redis_url) as relay, noding(relay.url) as b, noding(redis_url) as a:
        relay.freeze()
        await relay.drop()
        async with asyncio.timeout(4):
            await asyncio.gather(*(b.hints.follow(f"s{n}") for n in range(3)))
        relay.thaw()
        await b.until_connected()
        await b.hints.follow("new")
        for session in ("s0", "s1", "s2", "new"):
            a.hints.publish(session, b"x")
        await b.until_received(("s0", b"x"), ("s1", b"x"), ("s2", b"x"), ("new", b"x"))


async def test_hints_that_cannot_be_sent_are_dropped_and_counted(redis_url: str) -> None:
    async with relayed(redis_url) as relay, noding(relay.url) as a, noding(redis_url) as b:
        await b.hints.follow("s")
        await relay.cut()
        for n in range(5):
            a.hints.publish("s", b"%d" % n)

        async def dropped() -> bool:
            return a.hints.dropped == 5

        await until(dropped)
        assert a.hints.sent == 0
        await relay.listen()
        a.hints.publish("s", b"back")
        await b.until_received(("s", b"back"))
        await a.until_counted(sent=1, dropped=5)


async def test_where_too_many_wait_the_oldest_give_way(redis_url: str) -> None:
    async with noding(redis_url, HintSettings(backlog=3)) as a, noding(redis_url) as b:
        await b.hints.follow("s")
        for n in range(10):
            a.hints.publish("s", b"%d" % n)
        await b.until_received(("s", b"7"), ("s", b"8"), ("s", b"9"))
        await a.until_counted(sent=3, dropped=7)


async def test_a_node_that_starts_without_redis_finds_it_later(redis_url: str) -> None:
    async with relayed(redis_url) as relay:
        await relay.cut()
        async with noding(relay.url, wait=False) as b, noding(redis_url) as a:
            await b.hints.follow("s")
            assert not b.hints.connected
            await relay.listen()
            await b.until_connected()
            await b.hints.follow("s")
            a.hints.publish("s", b"x")
            await b.until_received(("s", b"x"))


async def test_a_password_that_is_put_right_later_is_enough(redis_url: str, admin: Redis) -> None:
    guest = redis_url.replace("//", "//guest:later@")
    async with noding(guest, wait=False) as a, noding(redis_url) as b:
        try:
            await b.hints.follow("s")
            a.hints.publish("s", b"lost")

            async def dropped() -> bool:
                return a.hints.dropped == 1

            await until(dropped)
            await admin.acl_setuser(
                "guest", enabled=True, passwords=["+later"], keys=["*"], channels=["*"], categories=["+@all"]
            )
            await a.until_connected()
            a.hints.publish("s", b"sent")
            await b.until_received(("s", b"sent"))
        finally:
            await admin.acl_deluser("guest")


async def test_a_hint_that_breaks_its_receiver_does_not_end_the_others(redis_url: str) -> None:
    async with noding(redis_url) as a, noding(redis_url) as b:
        await b.hints.follow("s")
        a.hints.publish("s", b"poison")
        await b.until_connected(connected=False)
        await b.until_connected()
        await b.hints.follow("s")
        a.hints.publish("s", b"x")
        await b.until_received(("s", b"x"))


async def test_stopping_ends_the_busiest_subscription(redis_url: str) -> None:
    # It pings all the time, and so stands where a cancellation may get lost.
    restless = HintSettings(retry=0.001, silence=0.003)
    async with asyncio.timeout(10):
        for _ in range(5):
            async with noding(redis_url, restless):
                await asyncio.sleep(0.01)


async def test_who_stops_leaves_no_subscription(redis_url: str, admin: Redis) -> None:
    async with noding(redis_url) as b:
        await b.hints.follow("s")
        assert await subscribers(admin, "s") == await subscribers(admin, "all") == 1
    assert not b.hints.connected

    async def gone() -> bool:
        return await subscribers(admin, "s") == await subscribers(admin, "all") == 0

    await until(gone)
