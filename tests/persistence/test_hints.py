"""Hints over every kind of Redis, and over one that goes away."""

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from operator import itemgetter

import pytest

from persistence.embedded import Valkey
from persistence.hints import Hints, HintSettings
from persistence.redis import Redis, connect
from tests.persistence.conftest import until
from tests.support.clusters import Cluster, Deployment, ask
from tests.support.processes import free_port
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
        """Wait for these hints, each session's in this order; there must be no others."""

        async def enough() -> bool:
            return len(self.received) >= len(expected)

        await until(enough)
        # Sorting keeps the order within a session.
        assert sorted(self.received, key=itemgetter(0)) == sorted(expected, key=itemgetter(0))

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


def channel(session: str) -> str:
    """Name a session's channel."""
    return f"sw:{{{session}}}:hints"


async def until_subscribers(deployment: Deployment, count: int, *sessions: str) -> None:
    """Wait until so many connections receive each session's hints."""

    async def counted() -> bool:
        return all(deployment.subscribers(channel(session)) == count for session in sessions)

    await until(counted)


async def test_hints_come_to_those_who_follow_in_their_order(deployment: Deployment) -> None:
    async with noding(deployment.url) as a, noding(deployment.url) as b, noding(deployment.url) as c:
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


async def test_who_has_followed_misses_nothing_that_is_published_after(deployment: Deployment) -> None:
    async with noding(deployment.url) as a, noding(deployment.url) as b:
        for n in range(50):
            await b.hints.follow(f"s{n}")
            a.hints.publish(f"s{n}", b"x")
        await b.until_received(*((f"s{n}", b"x") for n in range(50)))


async def test_who_unfollows_hears_no_more(deployment: Deployment) -> None:
    async with noding(deployment.url) as a, noding(deployment.url) as b:
        await b.hints.follow("s")
        await b.hints.follow("t")
        await b.hints.unfollow("s")
        await b.hints.unfollow("never followed")
        await until_subscribers(deployment, 0, "s")
        a.hints.publish("s", b"unheard")
        a.hints.publish("t", b"heard")
        await b.until_received(("t", b"heard"))
        await b.hints.follow("s")
        a.hints.publish("s", b"again")
        await b.until_received(("t", b"heard"), ("s", b"again"))


async def test_a_session_that_is_let_go_and_wanted_again_at_once_is_followed(deployment: Deployment) -> None:
    async with noding(deployment.url) as a, noding(deployment.url) as b:
        await b.hints.follow("s")
        await asyncio.gather(b.hints.unfollow("s"), b.hints.follow("s"))
        a.hints.publish("s", b"x")
        await b.until_received(("s", b"x"))


async def test_a_subscription_that_is_cut_comes_back_with_all_its_sessions(deployment: Deployment) -> None:
    async with noding(deployment.url) as a, noding(deployment.url) as b:
        for n in range(10):
            await b.hints.follow(f"s{n}")
        await b.hints.unfollow("s0")
        deployment.cut_subscriptions()
        await b.until_connected(connected=False)
        # What is wanted meanwhile does not wait, and is followed later.
        async with asyncio.timeout(0.9):
            await b.hints.follow("new")
            await b.hints.unfollow("s1")
        await b.until_connected()
        await until_subscribers(deployment, 1, "new", "s9")
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


async def test_an_idle_subscription_is_not_taken_for_a_silent_one(deployment: Deployment) -> None:
    def connections() -> list[bytes]:
        lists = deployment.ask_all("CLIENT", "LIST", "TYPE", "pubsub")
        # Not the Sentinels' own subscriptions.
        return [client for clients in lists for client in re.findall(rb"^id=(\d+) .* ssub=1", clients, re.MULTILINE)]

    async with noding(deployment.url, HintSettings(retry=0.02, silence=0.24)) as b:
        await b.hints.follow("s")
        before = connections()
        await asyncio.sleep(0.8)
        assert len(before) == 1
        assert connections() == before


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


async def test_where_too_many_wait_the_oldest_give_way(deployment: Deployment) -> None:
    async with noding(deployment.url, HintSettings(backlog=3)) as a, noding(deployment.url) as b:
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


async def test_a_hint_that_breaks_its_receiver_does_not_end_the_others(deployment: Deployment) -> None:
    async with noding(deployment.url) as a, noding(deployment.url) as b:
        await b.hints.follow("s")
        a.hints.publish("s", b"poison")
        await b.until_connected(connected=False)
        await b.until_connected()
        await b.hints.follow("s")
        a.hints.publish("s", b"x")
        await b.until_received(("s", b"x"))


async def test_stopping_ends_the_busiest_subscription(deployment: Deployment) -> None:
    # It pings all the time, and so stands where a cancellation may get lost.
    restless = HintSettings(retry=0.001, silence=0.003)
    async with asyncio.timeout(10):
        for _ in range(5):
            async with noding(deployment.url, restless):
                await asyncio.sleep(0.01)


async def test_who_stops_leaves_no_subscription(deployment: Deployment) -> None:
    async with noding(deployment.url) as b:
        await b.hints.follow("s")
        await b.hints.follow("t")
        await until_subscribers(deployment, 1, "s", "t")
    assert not b.hints.connected
    await until_subscribers(deployment, 0, "s", "t")


async def test_a_key_that_is_followed_always_has_its_own_receiver(deployment: Deployment) -> None:
    heard: list[bytes] = []
    async with noding(deployment.url) as a, noding(deployment.url) as b:
        b.hints.always("everyone", heard.append)
        await b.hints.follow("s")
        await b.until_connected()
        deployment.cut_subscriptions()
        await b.until_connected(connected=False)
        await b.until_connected()
        a.hints.publish("everyone", b"x")
        a.hints.publish("s", b"y")
        await b.until_received(("s", b"y"))
        await a.until_counted(sent=2, dropped=0)

        async def came() -> bool:
            return heard == [b"x"]

        await until(came)


async def test_connected_means_that_everything_flows(deployment: Deployment) -> None:
    sessions = [f"s{n}" for n in range(20)]
    async with noding(deployment.url, HintSettings(retry=0.2)) as b:
        for session in sessions:
            await b.hints.follow(session)
            assert b.hints.connected
        # In a cluster, those of the others go on.
        ask(deployment.masters[0], "CLIENT", "KILL", "TYPE", "pubsub")
        await b.until_connected(connected=False)
        await b.until_connected()
        await until_subscribers(deployment, 1, *sessions)


def other_master(cluster: Cluster, session: str) -> Valkey:
    """Give a master that does not hold the session's channel."""
    return next(master for master in cluster.masters if master is not cluster.master_of(channel(session)))


async def test_a_channel_is_followed_where_its_slot_goes(cluster: Cluster) -> None:
    async with noding(cluster.url) as a, noding(cluster.url) as b:
        sessions = [f"s{n}" for n in range(12)]
        for session in sessions:
            await b.hints.follow(session)
        for session in sessions[:4]:
            cluster.move(channel(session), other_master(cluster, session))
            # Its server has taken it from us, and nothing else.
            await b.until_connected(connected=False)
            await b.until_connected()
        await until_subscribers(cluster, 1, *sessions)
        for session in sessions:
            a.hints.publish(session, b"x")
        await b.until_received(*((session, b"x") for session in sessions))
        await a.until_counted(sent=12, dropped=0)


async def test_a_channel_is_found_although_its_slot_has_moved_unseen(cluster: Cluster) -> None:
    async with noding(cluster.url) as a, noding(cluster.url) as b:
        for node in (a, b):
            await node.hints.follow("known")
        for session in ("s0", "s1"):
            cluster.move(channel(session), other_master(cluster, session))
            # It answers at once that this will take longer, and sees to it.
            async with asyncio.timeout(0.5):
                await b.hints.follow(session)
            await b.until_connected()
        await b.hints.unfollow("s0")
        await until_subscribers(cluster, 1, "s1")
        await until_subscribers(cluster, 0, "s0")
        a.hints.publish("s1", b"x")
        await b.until_received(("s1", b"x"))


async def test_who_leaves_what_has_just_moved_can_come_back(cluster: Cluster) -> None:
    async with noding(cluster.url) as a, noding(cluster.url) as b:
        for _ in range(3):
            await b.hints.follow("s")
            await until_subscribers(cluster, 1, "s")
            cluster.move(channel("s"), other_master(cluster, "s"))
            await b.hints.unfollow("s")
        await b.hints.follow("s")
        await b.until_connected()
        await until_subscribers(cluster, 1, "s")
        a.hints.publish("s", b"x")
        await b.until_received(("s", b"x"))


async def test_a_silent_server_holds_up_no_other(cluster: Cluster) -> None:
    sessions = [f"s{n}" for n in range(12)]
    async with noding(cluster.url) as a, noding(cluster.url) as b:
        for session in sessions:
            await b.hints.follow(session)
        silent = cluster.master_of(channel("s0"))
        spared = [session for session in sessions if cluster.master_of(channel(session)) is not silent]
        a.hints.publish("s0", b"first")
        await b.until_received(("s0", b"first"))
        # For less than it takes to be given up.
        os.kill(silent.pid, signal.SIGSTOP)
        try:
            a.hints.publish("s0", b"held up")
            async with asyncio.timeout(0.25):
                for session in spared:
                    a.hints.publish(session, b"x")
                await b.until_received(("s0", b"first"), *((session, b"x") for session in spared))
        finally:
            os.kill(silent.pid, signal.SIGCONT)


async def test_hints_for_slots_that_nobody_holds_are_dropped(cluster: Cluster) -> None:
    async with noding(cluster.url) as a, noding(cluster.url) as b:
        with cluster.vacant(channel("s")):
            async with asyncio.timeout(0.9):
                await b.hints.follow("s")
            assert not b.hints.connected
            a.hints.publish("s", b"lost")

            async def dropped() -> bool:
                return a.hints.dropped == 1

            await until(dropped)
        await b.until_connected()
        await until_subscribers(cluster, 1, "s")


async def test_a_cluster_that_is_not_there_holds_nobody_up() -> None:
    async with noding(f"redis+cluster://127.0.0.1:{free_port()}", wait=False) as a:
        async with asyncio.timeout(0.5):
            for n in range(5):
                await a.hints.follow(f"s{n}")
        assert not a.hints.connected
        a.hints.publish("s", b"lost")

        async def dropped() -> bool:
            return a.hints.dropped == 1

        await until(dropped)
