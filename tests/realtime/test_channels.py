"""Whom it concerns that somebody came to a session's video channel, or left it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import pytest

from persistence.agora_notices import AgoraNotices, Seen, Taken
from persistence.errors import Unavailable
from persistence.postgres import Postgres
from realtime.channels import Channels
from realtime.domain.agora import STANDINGS
from realtime.protocol.codes import Code, Refusal
from realtime.settings import Settings
from tests.persistence.conftest import opened
from tests.support.nodes import RunningNode, serving, token
from tests.support.sessions import number_of
from tokens.access import AccessRole
from tokens.agora_notices import Event

IDS = count()


class Recorder:
    """Remembers what it is told, and can fail once."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.viewers: list[Any] = []
        self.fails = False
        self.meanwhile: Any = None

    async def host_left_channel(self, session: str, user: str, at: int) -> None:
        await self._tell("left", session, user, at)

    async def host_joined_channel(self, session: str, user: str) -> None:
        await self._tell("joined", session, user)

    def watching(self, session: str, user: str, there: bool) -> None:
        self.viewers.append((session, user, there))

    async def _tell(self, *what: Any) -> None:
        self.told.append(what)
        if self.fails:
            self.fails = False
            raise Unavailable("away")
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            await meanwhile


@pytest.fixture
async def postgres(migrated: str) -> AsyncIterator[Postgres]:
    async with opened(migrated) as pool:
        yield pool


@asynccontextmanager
async def channels_of(node: RunningNode, postgres: Postgres, effects: Any, **changed: Any) -> AsyncIterator[Channels]:
    channels = Channels(AgoraNotices(postgres), node.node.feeds, effects, Settings(agora_notice_ms=1, **changed))
    running = asyncio.create_task(channels.run())
    try:
        yield channels
    finally:
        running.cancel()
        await asyncio.wait([running])


class Stage:
    """A live session of `host`, and notices about it."""

    def __init__(self, channels: Channels, effects: Recorder, session: str, postgres: Postgres) -> None:
        self.channels = channels
        self.effects = effects
        self.session = session
        self.postgres = postgres
        self.seqs = count(1)

    async def notice(self, user: str, event: Event, seq: int | None = None) -> Seen:
        uid = await number_of(self.postgres, self.session, user)
        number = next(self.seqs) if seq is None else seq
        return Seen(f"notice:{next(IDS)}", self.session, uid, number, 1000 + number, event, STANDINGS[event])

    async def take(self, user: str, event: Event, seq: int | None = None) -> str:
        return await self.channels.take(await self.notice(user, event, seq))


@pytest.fixture
async def stage(node: RunningNode, postgres: Postgres) -> AsyncIterator[Stage]:
    effects = Recorder()
    async with channels_of(node, postgres, effects) as channels:
        yield Stage(channels, effects, await node.session("host"), postgres)


async def test_a_host_who_comes_goes_and_steps_down(stage: Stage) -> None:
    for event in (
        Event.BROADCASTER_JOINED,
        Event.BROADCASTER_LEFT,
        Event.AUDIENCE_JOINED,
        Event.BECAME_BROADCASTER,
        Event.BECAME_AUDIENCE,
        Event.AUDIENCE_LEFT,
    ):
        assert await stage.take("host", event) == "applied"
    assert stage.effects.told == [
        ("joined", stage.session, "host"),
        ("left", stage.session, "host", 1_002_000),
        ("joined", stage.session, "host"),
        ("left", stage.session, "host", 1_005_000),
    ]
    assert stage.effects.viewers == []


async def test_a_host_who_goes_before_anybody_heard_of_a_coming(stage: Stage) -> None:
    assert await stage.take("host", Event.BROADCASTER_LEFT, 2) == "applied"
    assert await stage.take("host", Event.BROADCASTER_JOINED, 1) == "stale"
    assert stage.effects.told == [("left", stage.session, "host", 1_002_000)]


async def test_a_repetition_has_no_effect_twice(stage: Stage) -> None:
    left, came = await stage.notice("host", Event.BROADCASTER_LEFT), await stage.notice("bob", Event.AUDIENCE_JOINED)
    outcomes = [await stage.channels.take(one) for one in (left, came, left, came, came)]
    assert outcomes == ["applied", "applied", "duplicate", "duplicate", "duplicate"]
    assert stage.effects.told == [("left", stage.session, "host", 1_001_000)]
    assert stage.effects.viewers == [(stage.session, "bob", True)]


async def test_what_could_not_be_told_is_told_with_the_repetition(stage: Stage) -> None:
    left = await stage.notice("host", Event.BROADCASTER_LEFT)
    stage.effects.fails = True
    with pytest.raises(Unavailable):
        await stage.channels.take(left)
    assert await stage.channels.take(left) == "duplicate"
    assert await stage.channels.take(left) == "duplicate"
    assert stage.effects.told == [("left", stage.session, "host", 1_001_000)] * 2


async def test_whoever_tells_last_tells_what_is_so(stage: Stage) -> None:
    left, back = [await stage.notice("host", e) for e in (Event.BROADCASTER_LEFT, Event.BROADCASTER_JOINED)]
    # The host is back, on another node, while this one still tells that the host has left.
    stage.effects.meanwhile = stage.channels.take(back)
    assert await stage.channels.take(left) == "applied"
    assert stage.effects.told[0] == ("left", stage.session, "host", 1_001_000)
    assert stage.effects.told[-1] == ("joined", stage.session, "host")


async def test_a_host_may_go_while_the_session_is_paused(node: RunningNode, stage: Stage) -> None:
    assert await stage.take("host", Event.BROADCASTER_JOINED) == "applied"
    seller = token("host", AccessRole.SELLER)
    await node.request("POST", f"/v1/sessions/{stage.session}/pause", seller)
    left = await stage.notice("host", Event.BROADCASTER_LEFT)
    assert await stage.channels.take(left) == "applied"
    await node.request("POST", f"/v1/sessions/{stage.session}/resume", seller)
    assert await stage.channels.take(left) == "duplicate"
    assert stage.effects.told == [("joined", stage.session, "host")]


async def test_viewers_are_told_to_every_node(node: RunningNode, stage: Stage, migrated: str, redis_url: str) -> None:
    async with serving(migrated, redis_url) as other, other.client("bob") as bob:
        await bob.join(stage.session)
        there = asyncio.Queue[Any]()
        other.node.feeds.on_channel = lambda *told: there.put_nowait(told)
        for event in (Event.AUDIENCE_JOINED, Event.BECAME_BROADCASTER, Event.AUDIENCE_LEFT):
            assert await stage.take("bob", event) == "applied"
        async with asyncio.timeout(5):
            heard = [await there.get() for _ in range(2)]
    assert heard == stage.effects.viewers == [(stage.session, "bob", True), (stage.session, "bob", False)]


async def test_many_notices_are_taken_together(stage: Stage) -> None:
    batch = [await stage.notice(f"user{n}", Event.AUDIENCE_JOINED, 1) for n in range(50)]
    outcomes = await asyncio.gather(*(stage.channels.take(one) for one in batch + batch))
    assert sorted(outcomes) == ["applied"] * 50 + ["duplicate"] * 50
    assert len(stage.effects.viewers) == 50


async def test_a_storage_that_fails_is_told_to_all_who_wait(node: RunningNode, migrated: str) -> None:
    async with opened(migrated) as closed:
        pass
    session = await node.session("host")
    async with channels_of(node, closed, Recorder()) as channels:
        waiting = [channels.take(Seen(f"{n}", session, 1, 1, 1, 103, "broadcaster")) for n in range(3)]
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Unavailable] * 3


class Never(AgoraNotices):
    """Storage that doesn't answer."""

    async def take(self, notices: Sequence[Seen]) -> list[Taken]:
        return await asyncio.get_running_loop().create_future() if notices else []


async def test_so_many_wait_and_so_long(node: RunningNode, postgres: Postgres) -> None:
    channels = Channels(Never(postgres), node.node.feeds, Recorder(), Settings(agora_notice_queue=2, send_timeout=0.2))
    seen = Seen("x", "01890000-0000-7000-8000-000000000000", 1, 1, 1, 103, "broadcaster")
    running = asyncio.create_task(channels.run())
    outcomes = await asyncio.gather(*(channels.take(seen) for _ in range(3)), return_exceptions=True)
    running.cancel()
    await asyncio.wait([running])
    assert [isinstance(one, Refusal) and one.code for one in outcomes] == [Code.UNAVAILABLE] * 3


async def test_whom_nobody_awaits_any_more_is_left_out(node: RunningNode, postgres: Postgres) -> None:
    effects = Recorder()
    session = await node.session("host")
    uid = await number_of(postgres, session, "bob")
    channels = Channels(AgoraNotices(postgres), node.node.feeds, effects, Settings(agora_notice_ms=1, send_timeout=0.2))
    with pytest.raises(Refusal):
        await channels.take(Seen("late", session, uid, 1, 1, 105, "audience"))
    running = asyncio.create_task(channels.run())
    assert await channels.take(Seen("later", session, uid, 2, 2, 106, "absent")) == "applied"
    running.cancel()
    await asyncio.wait([running])
    assert effects.viewers == [(session, "bob", False)]
