"""P2: n callers at once: each token valid, none mixed up, one build per distinct grant within its lifetime."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persistence.embedded import Servers
from realtime.domain.access import Role
from realtime.issuing import Issued, Issuer
from realtime.migrating import bring_up
from realtime.settings import Settings
from realtime.tasks import Tasks
from realtime.telemetry import metrics
from tests.properties.agora import KEYS, MAY, checked, said
from tests.properties.conftest import QUICK
from tests.properties.effort import tried
from tests.properties.world import World
from tests.support.nodes import Client, token
from tests.tokens.strategies import SESSION_IDS
from tokens.access import AccessRole

pytestmark = pytest.mark.timeout(300)
LIFETIME = 300
NOW = 1_732_147_200
USERS = ["ann", "bob", "eve", "joe"]


def built() -> float:
    """Count the tokens that were built in this process."""
    return float(metrics.TOKENS_GIVEN.labels("built")._value.get())


# Who asks at the same time; then so much time goes by.
CALLS = st.tuples(st.integers(0, 1), st.integers(0, len(USERS) - 1), st.sampled_from(Role))
ROUNDS = st.lists(st.tuples(st.lists(CALLS, max_size=12), st.integers(0, LIFETIME)), max_size=8)


@given(st.lists(SESSION_IDS, min_size=2, max_size=2, unique=True), ROUNDS)
def test_whoever_asks_when_gets_a_good_one_and_each_is_built_once(sessions: list[str], rounds: Any) -> None:
    asyncio.run(_ask(sessions, rounds))


async def _ask(sessions: list[str], rounds: Any) -> None:
    now, asked, grants = float(NOW), Counter[tuple[str, str]](), defaultdict[Any, dict[str, int]](dict)

    async def numbers_of(of: Sequence[tuple[str, str]]) -> list[int]:
        asked.update(of)
        # As long as it takes.
        for _ in range(len(of)):
            await asyncio.sleep(0)
        # In each session the same ones.
        return [1 + USERS.index(user) for _, user in of]

    issuer = Issuer(numbers_of, Tasks(), Settings(agora_lifetime=LIFETIME, **KEYS), lambda: now)

    async def ask(session: str, user: str, role: Role) -> Issued:
        return issuer.issue(session, await issuer.uid(session, user), role)

    for calls, seconds in rounds:
        wanted = [(sessions[where], USERS[who], role) for where, who, role in calls]
        for (session, user, role), issued in zip(
            wanted, await asyncio.gather(*(ask(*call) for call in wanted)), strict=True
        ):
            found = said(issued.token, now)
            assert (found.channel, found.uid, found.privileges) == (session, 1 + USERS.index(user), MAY[role])
            # Never one that is half gone.
            assert found.expires_at - now >= LIFETIME / 2
            grants[session, user, role][issued.token] = issued.grant.issued_at
        now += seconds
    for tokens in grants.values():
        times = sorted(tokens.values())
        # The next one is built when half of the life of the one before is over, and not before.
        assert all(later - earlier >= LIFETIME / 2 for earlier, later in pairwise(times))
    assert set(asked.values()) <= {1}


@pytest.fixture(scope="module")
def world(servers: Servers, database_url: str) -> Iterator[World]:
    bring_up(Settings(database_url=database_url))
    with World(database_url, servers.redis_url, **QUICK, **KEYS) as running:
        yield running


# Who asks where, how often, and in which way: over a socket or HTTP.
CROWD = st.lists(
    st.tuples(st.sampled_from(USERS), st.integers(0, 1), st.integers(0, 1), st.integers(1, 4), st.booleans()),
    min_size=1,
    max_size=8,
)


@tried(15)
@given(crowd=CROWD)
def test_a_crowd_asks_two_nodes_at_once(world: World, crowd: Any) -> None:
    world.run(_crowd(world, crowd))


async def _crowd(world: World, crowd: Any) -> None:
    sessions = [await world.nodes[0].session("ann") for _ in range(2)]
    async with AsyncExitStack() as stack:
        asking = []
        for user, where, which, times, socket in crowd:
            node, session = world.nodes[where], sessions[which]
            role = AccessRole.SELLER if user == "ann" else AccessRole.VIEWER
            if socket:
                client = await stack.enter_async_context(node.client(user, role))
                await client.join(session)
                asking.append((user, where, session, _over_socket(client, session, times)))
            else:
                path = f"/v1/sessions/{session}/agora-token"
                asking += [(user, where, session, _over_http(node, path, token(user, role))) for _ in range(times)]
        before = built()
        answers = await asyncio.gather(*(work for *_, work in asking))
        uids, given = defaultdict[Any, set[int]](set), defaultdict[Any, set[str]](set)
        for (user, where, session, _), told in zip(asking, answers, strict=True):
            for each in told:
                found = checked(each)
                assert (each["session"], found.channel) == (session, session)
                assert each["role"] == ("host" if user == "ann" else "viewer")
                uids[session, user].add(found.uid)
                given[session, user, where].add(each["token"])
        # One number for each user, and no number for two; one build of each grant by each node.
        assert all(len(numbers) == 1 for numbers in uids.values())
        for session in sessions:
            taken = [numbers for (of, _), numbers in uids.items() if of == session]
            assert len(set().union(*taken)) == len(taken)
        assert all(len(tokens) == 1 for tokens in given.values())
        assert built() - before == len(given)


async def _over_socket(client: Client, session: str, times: int) -> list[Any]:
    return [await client.ask("agora.token", session=session) for _ in range(times)]


async def _over_http(node: Any, path: str, who: str) -> list[Any]:
    answer = await node.request("POST", path, who)
    assert answer.status_code == 200, answer.text
    return [answer.json()]
