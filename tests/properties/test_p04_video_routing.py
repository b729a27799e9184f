"""P4: host and viewers of a session always get the same channel, two sessions never do."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persistence.embedded import Servers
from realtime.migrating import bring_up
from realtime.settings import Settings
from tests.properties.agora import APP, KEYS, checked
from tests.properties.conftest import QUICK
from tests.properties.effort import tried
from tests.properties.world import World
from tests.support.nodes import Message, token
from tests.tokens.strategies import SESSION_IDS, UIDS
from tokens import agora, legacy
from tokens.access import AccessRole
from tokens.errors import GrantError, TokenForged
from tokens.grants import Role, channel_for, grant_for

pytestmark = pytest.mark.timeout(300)
NOW = 1_732_147_200
USERS = {
    "ann": AccessRole.SELLER,
    "bob": AccessRole.VIEWER,
    "eve": AccessRole.VIEWER,
    "mod": AccessRole.MODERATOR,
    "root": AccessRole.ADMIN,
}


@given(SESSION_IDS, SESSION_IDS, st.sampled_from(Role), st.sampled_from(Role), UIDS, UIDS)
def test_a_channel_is_one_sessions_whoever_asks(
    one: str, two: str, role: Role, other: Role, uid: int, number: int
) -> None:
    a, b = grant_for(one, uid, role, NOW, 3600), grant_for(two, number, other, NOW, 3600)
    assert (a.channel == b.channel) is (one == two)
    assert grant_for(one, number, other, NOW, 3600).channel == a.channel
    assert len(a.channel.encode()) < 64


@given(SESSION_IDS, SESSION_IDS, st.sampled_from(Role), UIDS)
def test_a_token_of_one_session_is_none_of_another(one: str, two: str, role: Role, uid: int) -> None:
    grant = grant_for(one, uid, role, NOW, 3600)
    (service,) = agora.verify(agora.build(APP, grant, 1), APP, NOW).services
    assert isinstance(service, agora.RtcService)
    assert (service.channel == channel_for(two)) is (one == two)
    if one != two:
        with pytest.raises(TokenForged):
            legacy.verify(legacy.build(APP, grant, 1), APP, channel_for(two), uid, NOW)


@given(SESSION_IDS.map(str.upper).filter(lambda session: not session.islower()) | st.text())
def test_no_other_spelling_of_a_session_is_a_channel(text: str) -> None:
    try:
        assert channel_for(text) == text.lower()
    except GrantError:
        return


@pytest.fixture(scope="module")
def world(servers: Servers, database_url: str) -> Iterator[World]:
    bring_up(Settings(database_url=database_url))
    with World(database_url, servers.redis_url, **QUICK, **KEYS) as running:
        yield running


# Who asks for which of the sessions, on which node, and over a socket or HTTP.
ASKING = st.lists(
    st.tuples(st.sampled_from(sorted(USERS)), st.integers(0, 2), st.integers(0, 1), st.booleans()),
    min_size=2,
    max_size=12,
)


@tried(15)
@given(asking=ASKING)
def test_all_of_a_session_meet_and_nobody_else(world: World, asking: Any) -> None:
    world.run(_meet(world, asking))


async def _meet(world: World, asking: Any) -> None:
    # All three are the same host's, and run at the same time.
    sessions = [await world.nodes[0].session("ann") for _ in range(3)]
    async with AsyncExitStack() as stack:
        told = await asyncio.gather(
            *(_ask(world, stack, user, sessions[which], node, socket=socket) for user, which, node, socket in asking)
        )
    channels: dict[str, set[str]] = {session: set() for session in sessions}
    people: dict[tuple[str, int], set[str]] = {}
    for (user, which, _, _), given_token in zip(asking, told, strict=True):
        found = checked(given_token)
        assert given_token["session"] == sessions[which]
        channels[sessions[which]].add(found.channel)
        people.setdefault((found.channel, found.uid), set()).add(user)
    assert all(found <= {session} for session, found in channels.items())
    # In a channel, a number is one user.
    assert all(len(users) == 1 for users in people.values())


async def _ask(world: World, stack: AsyncExitStack, user: str, session: str, where: int, *, socket: bool) -> Message:
    node = world.nodes[where]
    if not socket:
        answer = await node.request("POST", f"/v1/sessions/{session}/agora-token", token(user, USERS[user]))
        assert answer.status_code == 200, answer.text
        message: Message = answer.json()
        return message
    client = await stack.enter_async_context(node.client(user, USERS[user]))
    await client.join(session)
    return await client.ask("agora.token", session=session)
