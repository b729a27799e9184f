"""P3: tokens are renewed before they expire, never used after, and end with a role, a removal and the session."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, suppress
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed

from persistence.embedded import Servers
from persistence.log import Head, Record
from persistence.sessions import Session
from realtime.domain.access import Role
from realtime.feed import Feed
from realtime.issuing import Issuer
from realtime.migrating import bring_up
from realtime.peer import Membership, Peer
from realtime.protocol.codes import Close
from realtime.protocol.replies import AgoraToken
from realtime.renewing import Renewals
from realtime.settings import Settings
from realtime.tasks import Tasks
from tests.properties.agora import KEYS, MAY, checked, said
from tests.properties.conftest import QUICK
from tests.properties.effort import tried
from tests.properties.world import PATIENCE, World
from tests.support.nodes import Client, Message, RunningNode, token
from tokens.access import AccessRole, Identity

pytestmark = pytest.mark.timeout(300)
NOW = 1_732_147_200
SESSION = "0192f0c8-1111-7abc-8def-0123456789ab"
# The SDK warns 30 s before the end; the next token is there a minute before that.
AHEAD = 90
ROLES = st.sampled_from(Role)


class Screen:
    """A client that holds the newest token that it was sent."""

    def __init__(self, uid: int) -> None:
        self.uid = uid
        self.peer = Peer(str(uid), Identity(f"user{uid}", AccessRole.VIEWER, 0), None, 0)
        self.held: AgoraToken | None = None
        self.received = 0

    def send(self, message: AgoraToken) -> None:
        """Take a push."""
        self.held = message
        self.received += 1


class Room:
    """One session on one node, with a clock that moves only when it is told to."""

    def __init__(self, lifetime: int, screens: int) -> None:
        self.now = NOW
        self.lifetime = lifetime
        self.settings = Settings(agora_lifetime=lifetime, **KEYS)
        self.issuer = Issuer(_nobody, Tasks(), self.settings, lambda: float(self.now))
        self.renewals = Renewals(self.issuer, lambda _: self.screens)  # type: ignore[arg-type, return-value] # what is used of connections
        self.feed = Feed(_stored(), 10)
        # Two of them are the same user's.
        self.screens = [Screen(1 + (n // 2) * 2**31) for n in range(screens)]

    def enter(self, screen: Screen, role: Role) -> None:
        """Join, and ask for a token."""
        screen.peer.joined[SESSION] = Membership(self.feed, role)
        issued = self.issuer.issue(SESSION, screen.uid, role)
        self.renewals.hold(screen, screen.peer, SESSION, issued)  # type: ignore[arg-type] # what is used of a connection
        screen.held = self.issuer.told(SESSION, issued)

    def leave(self, screen: Screen) -> None:
        """Go, or be put out."""
        screen.peer.joined.clear()
        self.renewals.drop(screen, SESSION)  # type: ignore[arg-type] # likewise

    def turn(self, screen: Screen, role: Role) -> None:
        """Be given another role."""
        if SESSION in screen.peer.joined:
            membership = screen.peer.joined[SESSION] = Membership(self.feed, role)
            self.renewals.review(screen, membership)  # type: ignore[arg-type] # likewise

    async def wait(self, seconds: int) -> None:
        """Let time go by, and see that whoever is there has a good token all the while."""
        for _ in range(seconds):
            self.now += 1
            before = [(screen.held, screen.received) for screen in self.screens]
            await self.renewals.beat()
            for screen, (held, received) in zip(self.screens, before, strict=True):
                if SESSION not in screen.peer.joined:
                    assert screen.received == received
                    continue
                assert held is not None
                # Replaced in time, by a later one, and not all the time.
                assert self.now * 1000 <= held.expires_at - AHEAD * 1000
                if screen.received > received:
                    assert self.now * 1000 >= held.expires_at - self.lifetime * 500
                self.check(screen)

    def check(self, screen: Screen) -> None:
        """See that what somebody holds is good, and says what the role allows."""
        assert screen.held is not None
        found = said(screen.held.token, self.now)
        role = screen.peer.joined[SESSION].role
        assert (found.channel, found.uid, found.privileges) == (SESSION, screen.uid, MAY[role])
        assert screen.held.role == role


async def _nobody(_of: Any) -> list[int]:
    raise AssertionError("numbers are known here")


def _stored() -> Session:
    return Session(
        id=SESSION, host="ann", title="A show", state="live", version=2, created_at=1, started_at=1, ended_at=None,
        reason=None, former=None, ends_at=None, spans=[], head=Head("e", 2),
    )  # fmt: skip


STEPS = st.lists(
    st.tuples(st.just("enter"), st.integers(0, 3), ROLES)
    | st.tuples(st.just("turn"), st.integers(0, 3), ROLES)
    | st.tuples(st.just("leave"), st.integers(0, 3), ROLES)
    | st.tuples(st.just("wait"), st.integers(1, 400), ROLES),
    min_size=1,
    max_size=10,
)


@tried(100)
@given(lifetime=st.integers(300, 500), roles=st.lists(ROLES, max_size=4), steps=STEPS)
def test_whoever_is_there_has_a_good_one_all_the_while(lifetime: int, roles: list[Role], steps: Any) -> None:
    asyncio.run(_stay(lifetime, roles, steps))


async def _stay(lifetime: int, roles: list[Role], steps: Any) -> None:
    room = Room(lifetime, 4)
    for screen, role in zip(room.screens, roles, strict=False):
        room.enter(screen, role)
    for what, number, role in steps:
        if what == "wait":
            await room.wait(number)
            continue
        screen = room.screens[number]
        if what == "enter":
            room.enter(screen, role)
            room.check(screen)
        elif what == "leave":
            room.leave(screen)
        elif SESSION in screen.peer.joined:
            room.turn(screen, role)
            room.check(screen)
    await room.wait(lifetime)
    # The end: nothing comes any more, whatever was due.
    ended = Record(3, 5, "session.ended", "ann", None, '{"state":"ended","version":3}')
    room.feed.offer([ended])
    received = [screen.received for screen in room.screens]
    # Roles that changed in the same breath are looked at before the end is.
    for role in (Role.HOST, Role.VIEWER):
        for screen in room.screens:
            room.turn(screen, role)
    room.renewals.turned(room.feed, ended)
    for _ in range(lifetime):
        room.now += 1
        await room.renewals.beat()
    assert [screen.received for screen in room.screens] == received
    assert len(room.renewals) == 0


# On real nodes, with tokens that live for so short that the next one is sent a second later.
SHORT = {"agora_lifetime": 93}


@pytest.fixture(scope="module")
def world(servers: Servers, database_url: str) -> Iterator[World]:
    bring_up(Settings(database_url=database_url))
    with World(database_url, servers.redis_url, **QUICK, **KEYS, **SHORT) as running:
        yield running


CHANGES = st.lists(st.sampled_from(["cohost", "moderator", "viewer", "wait", "again", "pause", "resume"]), max_size=6)


ENDS = ["end", "remove", "private", "leave", "freeze"]


@tried(4)
@given(changes=CHANGES)
def test_what_a_user_holds_follows_what_becomes_of_the_user(world: World, changes: list[str]) -> None:
    world.run(_stories(world, changes))


async def _stories(world: World, changes: list[str]) -> None:
    await asyncio.gather(*(_story(world, changes, end) for end in ENDS))


class Holder:
    """A client that keeps each token that it is given."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.user = client.user
        self.tokens: list[Message] = []
        client.listener = self.take

    def take(self, message: Message) -> None:
        """Take a token, which must be good and later than the one before, or another role's."""
        if message["type"] == "agora.token":
            checked(message)
            if self.tokens and message["role"] == self.tokens[-1]["role"]:
                assert message["expires_at"] >= self.tokens[-1]["expires_at"]
            if self.tokens:
                assert time.time() * 1000 <= self.tokens[-1]["expires_at"] - AHEAD * 1000
            self.tokens.append(message)

    async def until(self, **like: Any) -> None:
        """Read on until a token says so."""
        async with asyncio.timeout(PATIENCE):
            while not like.items() <= self.tokens[-1].items():
                await self.hear()

    async def hear(self) -> None:
        """Take the next message, and answer it if it is a ping."""
        if (await self.client.receive(PATIENCE))["type"] == "ping":
            await self.client.send("pong")


async def _story(world: World, changes: list[str], end: str) -> None:
    one, two = world.nodes
    session = await one.session("ann")
    async with AsyncExitStack() as stack:
        ann = await stack.enter_async_context(one.client("ann", AccessRole.SELLER))
        # Another one each time: whoever is frozen stays so.
        bob = Holder(await stack.enter_async_context(two.client(f"bob-{session}")))
        for client in (ann, bob.client):
            await client.join(session)
        await bob.client.ask("agora.token", session=session)
        role = "viewer"
        for change in changes:
            if change == "wait":
                known = len(bob.tokens)
                async with asyncio.timeout(PATIENCE):
                    while len(bob.tokens) == known:
                        await bob.hear()
            elif change == "again":
                await bob.client.ask("agora.token", session=session)
            elif change in MAY:
                await ann.ask("session.role", session=session, user=bob.user, role=change)
                role = change
            else:
                await ann.ask(f"session.{change}", session=session)
            await bob.until(role=role)
        await _put_an_end(one, ann, bob, session, end)
    # Each was replaced well before its end, and all are of one user.
    assert len({told["uid"] for told in bob.tokens}) == 1
    assert all(a["token"] != b["token"] or "re" in b for a, b in pairwise(bob.tokens))


async def _put_an_end(node: RunningNode, ann: Client, bob: Holder, session: str, end: str) -> None:
    path, seller = f"/v1/sessions/{session}", token("ann", AccessRole.SELLER)
    if end == "leave":
        await bob.client.ask("leave", session=session)
    elif end == "end":
        await ann.ask("session.end", session=session)
        await bob.client.until_event(kind="session.ended")
    elif end == "freeze":
        root = token("root", AccessRole.ADMIN)
        await node.request("POST", f"/v1/users/{bob.user}/freeze", root, json={"reason": "spam"})
    else:
        await ann.ask("session.role", session=session, user=bob.user, role="viewer")
        if end == "remove":
            await node.request("POST", f"{path}/guests", seller, json={"allow": [bob.user]})
        await ann.ask("session.update", session=session, private=True)
        if end == "remove":
            await node.request("POST", f"{path}/guests", seller, json={"remove": [bob.user]})
        await bob.client.until(type="removed")
    if end != "leave":
        assert (await node.request("POST", f"{path}/agora-token", token(bob.user))).status_code in (403, 404, 409)
    if end == "freeze":
        with pytest.raises(ConnectionClosed) as closed:
            await _hear_no_more(bob, PATIENCE)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == Close.FROZEN
        return
    refused = await bob.client.ask("agora.token", session=session)
    assert refused["code"] == ("conflict" if end == "end" else "forbidden")
    # By then the next one would have come.
    await _hear_no_more(bob, 3)


async def _hear_no_more(bob: Holder, seconds: float) -> None:
    known, deadline = len(bob.tokens), time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        with suppress(TimeoutError):
            async with asyncio.timeout(left):
                await bob.hear()
    assert len(bob.tokens) == known
