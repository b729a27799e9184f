"""Presence on every kind of Redis: several nodes, each with its own part."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import pytest
import redis as blocking
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from persistence.errors import Unavailable
from persistence.presence import Attendee, Part, Presence, Whole
from persistence.redis import Redis, connect
from tests.persistence.conftest import until
from tests.support.clusters import Cluster, Deployment, clustered
from tests.support.loops import Loop
from tests.support.processes import free_port

LONG = 60_000
SHORT = 150
LIST = 4


@pytest.fixture
def own_cluster() -> Iterator[Cluster]:
    """Give a cluster that a test may break."""
    with clustered() as running:
        yield running


@pytest.fixture
async def client(deployment: Deployment) -> AsyncIterator[Redis]:
    async with connect(deployment.url, connections=4, timeout=2) as made:
        yield made


class Node:
    """A node's part of the session `s`, which goes on from what it has written before."""

    def __init__(self, client: Redis, name: str, lease: int = LONG) -> None:
        self.presence = Presence(client, name, lease, LIST)
        self.version = 0

    async def write(self, *, anew: bool = False, **part: Any) -> Whole:
        base = 0 if anew else self.version
        self.version += 1
        [whole] = await self.presence.write([Part(session="s", base=base, version=self.version, **part)])
        assert isinstance(whole, Whole), whole
        return whole

    async def counts(self, **part: Any) -> tuple[int, int, int, int]:
        whole = await self.write(**part)
        assert whole.taken
        return numbers(whole)


def numbers(whole: Whole) -> tuple[int, int, int, int]:
    """Give connections, users, watching, chatters."""
    return whole.connections, whole.users, whole.watching, whole.chatters


async def test_nothing_to_write(client: Redis) -> None:
    assert await Presence(client, "a", LONG, LIST).write([]) == []


async def test_a_user_on_two_nodes_is_one_user(client: Redis) -> None:
    a, b = Node(client, "a"), Node(client, "b")
    assert await a.counts(connections=3, entered=["alice", "bob"]) == (3, 2, 0, 0)
    assert await b.counts(connections=2, entered=["alice", "eve"]) == (5, 3, 0, 0)
    assert await a.counts(connections=1, left=["alice"]) == (3, 3, 0, 0)
    assert await b.counts(connections=1, left=["alice"]) == (2, 2, 0, 0)


async def test_who_watches_on_two_nodes_watches_once_and_until_the_last(client: Redis) -> None:
    a, b = Node(client, "a"), Node(client, "b")
    await a.write(connections=1, entered=["alice"], began=["alice"])
    assert await b.counts(connections=1, entered=["alice"], began=["alice"]) == (2, 1, 1, 0)
    assert await a.counts(connections=1, stopped=["alice"]) == (2, 1, 1, 0)
    assert await b.counts(connections=1, stopped=["alice"]) == (2, 1, 0, 0)


async def test_a_chatter_is_one_until_gone_from_all_nodes(client: Redis) -> None:
    a, b = Node(client, "a"), Node(client, "b")
    await a.write(connections=1, entered=["alice"], posted=["alice"])
    there = await b.write(connections=2, entered=["alice", "bob"])
    assert (numbers(there), there.chatted) == ((3, 2, 0, 1), ["alice"])
    assert await a.counts(connections=0, left=["alice"]) == (2, 2, 0, 1)
    assert await b.counts(connections=1, left=["alice"]) == (1, 1, 0, 0)
    back = await b.write(connections=2, entered=["alice"])
    assert (numbers(back), back.chatted) == ((2, 2, 0, 0), [])


async def test_sessions_are_apart_and_answered_in_their_order(client: Redis) -> None:
    a, b = Presence(client, "a", LONG, LIST), Presence(client, "b", LONG, LIST)
    await b.write([Part(session="two", connections=1, version=1, entered=["bob"])])
    parts = [
        Part(session=name, connections=n, version=1, entered=["alice"])
        for n, name in enumerate(("one", "two", "six"), 1)
    ]
    wholes = await a.write(parts)
    assert [numbers(whole) for whole in wholes if isinstance(whole, Whole)] == [
        (1, 1, 0, 0),
        (3, 2, 0, 0),
        (3, 1, 0, 0),
    ]


async def test_users_that_look_like_numbers_and_commands(client: Redis) -> None:
    a = Node(client, "a")
    assert await a.counts(connections=4, entered=["0", "1", "-1", "SADD"]) == (4, 4, 0, 0)
    assert await a.counts(connections=3, entered=["2"], left=["0", "1"]) == (3, 3, 0, 0)


async def test_more_users_than_a_call_of_lua_takes(client: Redis) -> None:
    a, b = Node(client, "a"), Node(client, "b")
    users = [f"u{n}" for n in range(9000)]
    await b.write(connections=1, entered=["u0"])
    assert await a.counts(connections=9000, entered=users, began=users, posted=users) == (9001, 9000, 9000, 9000)
    assert await a.counts(connections=8500, anew=True, entered=users[500:], began=users[1000:]) == (
        8501,
        8501,
        8000,
        8501,
    )
    assert await a.counts(connections=1, left=users[501:], stopped=users[1000:]) == (2, 2, 0, 2)


async def test_who_leaves_nothing_behind_is_gone_at_once(client: Redis, deployment: Deployment) -> None:
    a, b = Node(client, "a"), Node(client, "b")
    await a.write(connections=1, entered=["alice"], began=["alice"], posted=["alice"])
    await b.write(connections=1, entered=["bob"])
    assert await a.counts(connections=0, left=["alice"]) == (1, 1, 0, 0)
    assert await b.counts(connections=0, left=["bob"]) == (0, 0, 0, 0)
    assert deployment.keys() == set()
    assert await b.counts(connections=0) == (0, 0, 0, 0)
    assert deployment.keys() == set()


async def test_it_says_when_the_whole_has_changed(client: Redis) -> None:
    a, b = Node(client, "a"), Node(client, "b")
    assert (await a.write(connections=1, entered=["alice"])).changed
    assert not (await a.write(connections=1)).changed
    assert (await b.write(connections=1, entered=["alice"])).changed
    assert not (await a.write(connections=1)).changed
    # One for another: the counts are as they were.
    assert (await a.write(connections=1, entered=["bob"], left=["alice"])).changed
    assert (await a.write(connections=1, entered=["eve"], left=["bob"])).changed
    assert (await a.write(connections=1, began=["eve"])).changed
    assert (await a.write(connections=1, posted=["eve"])).changed
    assert not (await a.write(connections=1, posted=["eve"])).changed


async def test_few_are_named_to_whoever_does_not_know_them(client: Redis) -> None:
    a, b = Node(client, "a"), Node(client, "b")
    first = await a.write(connections=2, entered=["bob", "alice"])
    assert first.names == ["alice", "bob"]
    assert (await a.write(connections=2, mark=first.mark)).names is None
    assert (await b.write(connections=1, entered=["bob"], mark=first.mark)).names is None
    more = await b.write(connections=3, entered=["dan", "eve"], mark=first.mark)
    assert more.names == ["alice", "bob", "dan", "eve"]
    assert (await a.write(connections=3, entered=["zoe"], mark=more.mark)).names is None
    fewer = await a.write(connections=2, left=["alice"])
    assert fewer.names == ["bob", "dan", "eve", "zoe"]


async def until_users(node: Node, users: int, **part: Any) -> Whole:
    """Write the same part again until the whole has so many users."""
    wholes: list[Whole] = []

    async def reached() -> bool:
        wholes.append(await node.write(**part))
        return wholes[-1].users == users

    await until(reached)
    return wholes[-1]


async def test_the_part_of_a_killed_node_is_gone_with_its_lease(client: Redis, deployment: Deployment) -> None:
    killed, alive = Node(client, "killed", SHORT), Node(client, "alive", SHORT)
    await alive.write(connections=1, entered=["alice"])
    began = time.monotonic()
    await killed.write(connections=5, entered=["alice", "bob"], began=["alice", "bob"], posted=["bob", "alice"])
    assert await alive.counts(connections=1) == (6, 2, 2, 2)
    lapsed = await until_users(alive, 1, connections=1)
    assert (numbers(lapsed), lapsed.changed) == ((1, 1, 0, 1), True)
    # Redis counts in milliseconds.
    assert time.monotonic() - began >= SHORT / 1000 - 0.002
    assert deployment.keys() == {f"sw:{{s}}:{name}" for name in ("parts", "users", "users:alive", "chatters")}


async def test_a_page_finds_what_has_lapsed(client: Redis) -> None:
    killed, alive = Node(client, "killed", SHORT), Node(client, "alive")
    await alive.write(connections=1, entered=["alice"])
    await killed.write(connections=1, entered=["bob"])

    async def lapsed() -> bool:
        whole, users = await alive.presence.page("s", "", 10)
        assert whole.users == len(users)
        return users == [Attendee("alice", watching=False, chatter=False)]

    await until(lapsed)


async def test_a_node_that_was_only_away_is_asked_for_everything(client: Redis) -> None:
    away, alive = Node(client, "away", SHORT), Node(client, "alive", SHORT)
    await alive.write(connections=1, entered=["alice"])
    await away.write(connections=2, entered=["bob", "eve"])
    await until_users(alive, 1, connections=1)
    back = await away.write(connections=2)
    # Of a part that is not whole nothing counts.
    assert (back.taken, numbers(back)) == (False, (1, 1, 0, 0))
    again = await away.write(connections=2, entered=["bob", "eve"], anew=True)
    assert (numbers(again), again.changed) == ((3, 3, 0, 0), True)


async def test_a_redis_that_lost_everything_is_told_anew(client: Redis) -> None:
    a, b = Node(client, "a"), Node(client, "b")
    await a.write(connections=2, entered=["alice", "bob"])
    await b.write(connections=1, entered=["eve"])
    await client.flushall()
    assert not (await a.write(connections=3, entered=["dan"])).taken
    assert await a.counts(connections=3, entered=["alice", "bob", "dan"], anew=True) == (3, 3, 0, 0)
    assert not (await b.write(connections=1)).taken
    assert await b.counts(connections=1, entered=["eve"], anew=True) == (4, 4, 0, 0)


async def test_a_redis_that_has_an_older_part_is_told_anew(client: Redis) -> None:
    a = Node(client, "a")
    await a.write(connections=1, entered=["alice"])
    # As after a failover to a replica that was behind.
    a.version += 1
    assert not (await a.write(connections=2)).taken


@pytest.mark.parametrize("lost", ["parts", "users", "watching", "chatters", "users:a", "watching:b", "users:b"])
async def test_one_key_that_is_lost_makes_all_be_told_anew(client: Redis, deployment: Deployment, lost: str) -> None:
    a, b = Node(client, "a"), Node(client, "b")
    for node, user in ((a, "alice"), (b, "bob")):
        await node.write(connections=1, entered=[user], began=[user], posted=[user])
    await client.delete(f"sw:{{s}}:{lost}")
    assert not (await a.write(connections=1)).taken
    assert await a.counts(anew=True, connections=1, entered=["alice"], began=["alice"]) == (1, 1, 1, 0)
    assert not (await b.write(connections=1)).taken
    assert await b.counts(anew=True, connections=1, entered=["bob"], posted=["bob"]) == (2, 2, 1, 1)
    assert await b.counts(connections=0) == (1, 1, 1, 0)
    assert await a.counts(connections=0) == (0, 0, 0, 0)
    # Where nobody knows any more what there was, the rest goes with the lease.
    assert lost == "parts" or deployment.keys() == set()


async def test_anew_forgets_who_is_not_named(client: Redis) -> None:
    a, b = Node(client, "a"), Node(client, "b")
    await b.write(connections=1, entered=["bob"])
    await a.write(connections=2, entered=["alice", "bob"], began=["alice", "bob"])
    assert await a.counts(connections=2, entered=["eve", "alice"], began=["eve"], anew=True) == (3, 3, 1, 0)


async def test_a_lost_script_is_loaded_again(client: Redis) -> None:
    a = Node(client, "a")
    await a.write(connections=1, entered=["alice"])
    await client.script_flush()
    assert await a.counts(connections=1) == (1, 1, 0, 0)


async def test_nothing_stays_of_a_session_that_nobody_writes_any_more(client: Redis, deployment: Deployment) -> None:
    for name in ("a", "b"):
        await Node(client, name, SHORT).write(connections=1, entered=[name], began=[name], posted=[name])

    async def empty() -> bool:
        return not deployment.keys()

    await until(empty)


async def test_pages_go_through_everyone_by_name(client: Redis) -> None:
    a, b = Node(client, "a"), Node(client, "b")
    await a.write(connections=3, entered=["alice", "Zoe", "eve"], began=["alice"], posted=["eve"])
    await b.write(connections=3, entered=["alice", "bob", "-x"], began=["bob", "alice"])
    whole, first = await a.presence.page("s", "", 3)
    assert numbers(whole) == (6, 5, 2, 1)
    assert first == [Attendee("-x", False, False), Attendee("Zoe", False, False), Attendee("alice", True, False)]
    # Whoever comes or goes in between moves nobody to another page.
    await a.write(connections=3, entered=["_"], left=["alice"])
    _, second = await b.presence.page("s", "alice", 3)
    assert second == [Attendee("bob", True, False), Attendee("eve", False, True)]
    assert (await b.presence.page("s", "eve", 3))[1] == []


async def test_the_page_of_a_session_that_nobody_is_in(client: Redis, deployment: Deployment) -> None:
    whole, users = await Node(client, "a").presence.page("s", "", 3)
    assert (numbers(whole), users, deployment.keys()) == ((0, 0, 0, 0), [], set())


async def test_a_redis_that_is_not_there() -> None:
    async with connect(f"redis://127.0.0.1:{free_port()}", connections=2, timeout=1) as client:
        presence = Presence(client, "a", LONG, LIST)
        [error] = await presence.write([Part(session="s", connections=1, version=1)])
        assert isinstance(error, Unavailable)
        with pytest.raises(Unavailable):
            await presence.page("s", "", 1)


async def test_a_server_that_is_not_there_takes_only_its_own_sessions_with_it(own_cluster: Cluster) -> None:
    sessions = [f"s{n}" for n in range(12)]
    gone = own_cluster.masters[0]
    theirs = {session for session in sessions if own_cluster.master_of(f"{{{session}}}") is gone}
    assert set() < theirs < set(sessions)
    async with connect(own_cluster.url, connections=4, timeout=1) as client:
        a = Presence(client, "a", LONG, LIST)
        parts = [Part(session=session, connections=1, version=1, entered=["alice"]) for session in sessions]
        assert all(_alone(whole) for whole in await a.write(parts))
        gone.kill()
        for _ in range(2):
            wholes = dict(zip(sessions, await a.write(parts), strict=True))
            assert {session for session, whole in wholes.items() if isinstance(whole, Unavailable)} == theirs
            assert all(_alone(wholes[session]) for session in set(sessions) - theirs)
        gone.start()

        async def back() -> bool:
            return all(_alone(whole) for whole in await a.write(parts))

        await until(back)


def _alone(whole: object) -> bool:
    return isinstance(whole, Whole) and whole.taken and numbers(whole) == (1, 1, 0, 0)


NODES = ["a", "b", "c"]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(NODES),
        st.sampled_from(["alice", "bob", "eve"]),
        st.sampled_from(["absent", "there", "watching"]),
        st.booleans(),
    ),
    max_size=20,
)


@given(steps=STEPS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_whole_is_all_that_came_and_has_not_gone(
    redis_url: str, steps: Sequence[tuple[str, str, str, bool]]
) -> None:
    async def play() -> None:
        there: dict[str, set[str]] = {node: set() for node in NODES}
        watching: dict[str, set[str]] = {node: set() for node in NODES}
        async with connect(redis_url, connections=1, timeout=2) as client:
            nodes = {name: Node(client, name) for name in NODES}
            for name, user, becomes, anew in steps:
                users = there[name] - {user} if becomes == "absent" else there[name] | {user}
                watchers = watching[name] | {user} if becomes == "watching" else watching[name] - {user}
                whole = await nodes[name].write(
                    anew=anew,
                    connections=len(users),
                    entered=sorted(users if anew else users - there[name]),
                    left=[] if anew else sorted(there[name] - users),
                    began=sorted(watchers if anew else watchers - watching[name]),
                    stopped=[] if anew else sorted(watching[name] - watchers),
                )
                if whole.taken:
                    there[name], watching[name] = users, watchers
                everyone = sorted(set().union(*there.values()))
                assert whole.names == everyone
                assert numbers(whole) == (
                    sum(map(len, there.values())),
                    len(everyone),
                    len(set().union(*watching.values())),
                    0,
                )

    with blocking.Redis.from_url(redis_url) as cleaner:
        cleaner.flushall()
    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(play())


async def test_who_is_written_by_other_nodes(client: Redis) -> None:
    a, b = Node(client, "a"), Node(client, "b")
    assert await a.presence.elsewhere("s", ["bob"]) == set()
    await a.write(connections=1, entered=["bob"])
    await b.write(connections=1, entered=["eve"])
    await b.presence.write([Part(session="other", connections=1, version=1, entered=["zoe"])])
    assert await a.presence.elsewhere("s", ["bob", "eve", "zoe", "*"]) == {"eve"}
    assert await b.presence.elsewhere("s", ["bob", "eve", "zoe", "*"]) == {"bob"}
