"""How often users may do what: on one node, on two, without Redis, and as it is changed meanwhile."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final
from uuid import uuid4

import pytest
from websockets.exceptions import ConnectionClosed

from persistence.postgres import Postgres
from persistence.rate_limits import RateLimits
from realtime.domain.limits import DEFAULTS, Action, Limit, RateRole
from realtime.limiting import action_of
from realtime.protocol import commands
from tests.persistence.conftest import opened
from tests.support.nodes import Client, Message, RunningNode, serving, token
from tests.support.relay import relayed
from tokens.access import AccessRole

ON: Final[dict[str, Any]] = {"rate_limits": True, "redis_timeout": 0.5}
CHAT: Final = DEFAULTS[Action.CHAT, RateRole.VIEWER]
# Seconds between two looks at what was done on other nodes, and for the way there and back on a busy machine.
BEAT: Final = 0.2 + 0.3
PATIENT: Final = {**ON, "flood_refusals": 1_000_000}


@pytest.fixture
async def postgres(migrated: str) -> AsyncIterator[Postgres]:
    """Give a database in which no limit was changed."""
    async with opened(migrated) as pool:
        yield pool
        await pool.rows("DELETE FROM rate_limits")


async def burst_of(client: Client, session: str, count: int) -> list[Message]:
    """Send so many messages without waiting, and give the answers."""
    for n in range(count):
        await client.send("chat.send", id=1000 + n, session=session, key=str(uuid4()), text=f"{n}")
    answers: list[Message] = []
    while len(answers) < count:
        message = await client.receive()
        if message.get("re", 0) >= 1000:
            answers.append(message)
    return answers


async def test_beyond_a_burst_one_is_told_when_to_try_again(migrated: str, redis_url: str) -> None:
    async with serving(migrated, redis_url, **ON) as node:
        session = await node.session()
        async with node.client("bob") as bob, node.client("bob") as phone, node.client("eve") as eve:
            for client in (bob, phone, eve):
                await client.join(session)
            answers = await burst_of(bob, session, 90)
            refused = [answer for answer in answers if answer["type"] == "error"]
            assert {answer["code"] for answer in refused} == {"rate_limited"}
            assert len(refused) >= 20
            # The other device is the same user.
            error = await phone.say(session, "from the phone")
            assert error["code"] == "rate_limited"
            assert (await eve.say(session, "not me"))["type"] == "ack"
            # What else he does is counted by itself.
            assert (await bob.ask("react", session=session, kind="heart"))["type"] == "ack"
            await asyncio.sleep(error["retry_after_ms"] / 1000 + BEAT)
            assert (await bob.say(session, "patience"))["type"] == "ack"


@pytest.mark.parametrize(
    ("kind", "fields", "action"),
    [
        ("chat.delete", {"seq": 1, "key": str(uuid4())}, Action.DELETE),
        ("react", {"kind": "heart"}, Action.REACT),
        ("typing", {"on": True}, Action.TYPING),
        ("playback", {}, Action.PLAYBACK),
        ("join", {}, Action.JOIN),
        ("history", {}, Action.READ),
        ("session.ask", {}, Action.SESSION),
        ("pong", {}, Action.OTHER),
    ],
)
async def test_each_action_has_its_bucket(
    migrated: str, redis_url: str, kind: str, fields: dict[str, Any], action: Action
) -> None:
    async with serving(migrated, redis_url, **PATIENT) as node:
        session = await node.session()
        about = {} if kind == "pong" else {"session": session}
        limit = DEFAULTS[action, RateRole.VIEWER]
        async with node.client("bob") as bob:
            await bob.join(session)
            answers = [await bob.ask(kind, **about, **fields) for _ in range(limit.burst + 20)]
            codes = [answer.get("code") for answer in answers]
            assert "rate_limited" not in codes[: limit.burst - 1]
            if limit.rate <= 5:
                assert "rate_limited" in codes
            assert (await bob.say(session, "still here"))["type"] == "ack"


def test_every_command_is_counted_as_something() -> None:
    counted: dict[Any, Action] = {command: action_of(command) for command in commands.AnyCommand.__args__}
    assert counted[commands.ChatEdit] is Action.CHAT
    assert counted[commands.SessionTakeover] is counted[commands.SessionCreate] is Action.SESSION
    assert counted[commands.DirectSend] is Action.DIRECT
    assert counted[commands.Pong] is counted[commands.InboxAck] is Action.OTHER


async def test_load_testers_and_staff_have_other_limits(migrated: str, redis_url: str) -> None:
    async with serving(migrated, redis_url, **ON) as node:
        session = await node.session("ann")
        async with node.client("load", synthetic=True) as load, node.client("ann", AccessRole.SELLER) as ann:
            await load.join(session)
            await ann.join(session)
            assert {answer["type"] for answer in await burst_of(load, session, 200)} == {"ack"}
            assert {answer["type"] for answer in await burst_of(ann, session, 40)} == {"ack"}


class Flood:
    """A user who writes on several connections, as fast as they take it."""

    def __init__(self, session: str) -> None:
        self.session = session
        self.acked = 0
        self.refused: list[Message] = []
        self.closes: list[int | None] = []
        self._over = asyncio.Event()

    def stop(self) -> None:
        """Write no more."""
        self._over.set()

    async def run(self, node: RunningNode, user: str) -> None:
        """Write on one connection, until it is stopped, or closed."""
        async with node.client(user) as client:
            await client.join(self.session)
            reading = asyncio.create_task(self._read(client))
            with suppress(ConnectionClosed):
                await self._write(client)
            await reading

    async def _write(self, client: Client) -> None:
        while not self._over.is_set():
            for _ in range(10):
                await client.send("chat.send", id=1, session=self.session, key=str(uuid4()), text="flood")
            await asyncio.sleep(0.01)
        await client.send("leave", id=2, session=self.session)

    async def _read(self, client: Client) -> None:
        try:
            while (message := await client.receive(30)).get("re") != 2:
                if message.get("re") == 1:
                    self._count(message)
        except ConnectionClosed as closed:
            self.closes.append(closed.rcvd.code if closed.rcvd else None)

    def _count(self, message: Message) -> None:
        if message["type"] == "ack":
            self.acked += 1
        else:
            self.refused.append(message)


async def chat(client: Client, session: str, seconds: float) -> list[float]:
    """Talk at a human's pace, and give how long each message took to be acknowledged."""
    took, until = [], time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.monotonic()
        assert (await client.say(session, "hello"))["type"] == "ack"
        took.append(time.monotonic() - began)
        client.pushes.clear()
        await asyncio.sleep(0.25)
    return took


@asynccontextmanager
async def flooding(session: str, nodes: list[RunningNode], each: int = 2) -> AsyncIterator[Flood]:
    """Have one user flood a session on all nodes at once."""
    flood = Flood(session)
    async with asyncio.TaskGroup() as group:
        for node in nodes * each:
            group.create_task(flood.run(node, "mallory"))
        yield flood
        flood.stop()


def allowed(limit: Limit, seconds: float, nodes: int) -> float:
    """Give how much so many nodes may let through together."""
    return limit.rate * seconds + nodes * limit.burst + 2 * (nodes - 1) * limit.rate * BEAT


async def test_a_flood_over_two_nodes_is_held_to_one_limit_and_nobody_feels_it(migrated: str, redis_url: str) -> None:
    async with serving(migrated, redis_url, **PATIENT) as one, serving(migrated, redis_url, **PATIENT) as two:
        session = await one.session()
        async with one.client("bob") as bob, two.client("eve") as eve:
            await bob.join(session)
            await eve.join(session)
            began = time.monotonic()
            async with flooding(session, [one, two]) as flood:
                took = await asyncio.gather(chat(bob, session, 4), chat(eve, session, 4))
            seconds = time.monotonic() - began
        assert CHAT.rate * (seconds - 1) < flood.acked <= allowed(CHAT, seconds, nodes=2)
        assert len(flood.refused) > 500
        assert {answer["code"] for answer in flood.refused} == {"rate_limited"}
        assert all(answer["retry_after_ms"] > 0 for answer in flood.refused)
        # It is some milliseconds; what is too slow here is a wait for something.
        assert max(map(max, took)) < 1


@pytest.mark.parametrize("how", ["cut", "frozen"])
async def test_without_redis_each_node_holds_a_flood_by_itself(migrated: str, redis_url: str, how: str) -> None:
    async with (
        relayed(redis_url) as relay,
        serving(migrated, relay.url, **PATIENT) as one,
        serving(migrated, relay.url, **PATIENT) as two,
    ):
        session = await one.session()
        async with one.client("bob") as bob:
            await bob.join(session)
            if how == "cut":
                await relay.cut()
            else:
                relay.freeze()
            began = time.monotonic()
            async with flooding(session, [one, two]) as flood:
                took = await chat(bob, session, 4)
            seconds = time.monotonic() - began
            # Each gives its own: no more than that, and more than both would give together.
            assert 2 * CHAT.burst + CHAT.rate * seconds < flood.acked <= 2 * (CHAT.rate * seconds + CHAT.burst)
            assert max(took) < 1


async def test_when_redis_is_back_the_nodes_count_together_again(
    migrated: str, redis_url: str, postgres: Postgres
) -> None:
    async with (
        relayed(redis_url) as relay,
        serving(migrated, relay.url, **PATIENT) as one,
        serving(migrated, relay.url, **PATIENT) as two,
    ):
        session = await one.session()
        for node in (one, two):
            # Redis knows nothing of what was given meanwhile, and lets them have a burst first: a short one, here.
            await node.node.limits.change(Action.CHAT, RateRole.VIEWER, Limit(CHAT.rate, 10), "ada")
        async with flooding(session, [one, two], each=1) as flood:
            await relay.cut()
            await asyncio.sleep(2)
            await relay.listen()
            # A second in which Redis is left alone, and what was given too much meanwhile.
            await asyncio.sleep(3)
            before, began = flood.acked, time.monotonic()
            await asyncio.sleep(3)
            seconds, given = time.monotonic() - began, flood.acked - before
        assert given <= CHAT.rate * seconds + 2 * 2 * CHAT.rate * BEAT


async def test_a_flooder_is_sent_away_for_good(migrated: str, redis_url: str) -> None:
    async with serving(migrated, redis_url, **ON) as one, serving(migrated, redis_url, **ON) as two:
        session = await one.session()
        async with one.client("bob") as bob:
            await bob.join(session)
            async with flooding(session, [one, two], each=1) as flood:
                async with asyncio.timeout(10):
                    while len(flood.closes) < 2:  # noqa: ASYNC110 - the flood tells nobody
                        await asyncio.sleep(0.05)
            assert flood.closes == [4429, 4429]
            assert (await bob.say(session, "quiet again"))["type"] == "ack"


async def test_a_flood_of_nonsense_is_cut_off_too(migrated: str, redis_url: str) -> None:
    async with serving(migrated, redis_url, **ON) as node, node.client("bob") as bob:
        with suppress(ConnectionClosed):
            for _ in range(1000):
                await bob.socket.send('{"type":"nonsense"}')
        assert (await bob.until_closed())[0] == 4429


async def test_a_user_has_only_so_many_connections(migrated: str, redis_url: str) -> None:
    async with serving(migrated, redis_url, user_connections=2) as node:
        async with node.client("bob") as bob, node.client("bob"):
            async with node.stranger() as third:
                refused = await third.ask("hello", token=token("bob"))
                assert (refused["type"], refused["code"]) == ("error", "rate_limited")
                assert (await third.until_closed())[0] == 4429
            async with node.client("eve"):
                assert (await bob.ask("pong"))["type"] == "ack"
        # Both are gone, and counted no more.
        async with node.client("bob"), node.client("bob"):
            assert len(node.node.limits._connections) == 1


async def test_a_change_counts_on_every_node_within_five_seconds(
    migrated: str, redis_url: str, postgres: Postgres
) -> None:
    async with serving(migrated, redis_url, **PATIENT) as one, serving(migrated, redis_url, **PATIENT) as two:
        session = await one.session()
        async with two.client("bob") as bob:
            await bob.join(session)
            assert len(await acked(bob, session, 8)) == 8
            began = time.monotonic()
            body = {"role": "viewer", "rate": 0.01, "burst": 1}
            done = await one.request("PUT", "/v1/limits/chat", token("ada", AccessRole.ADMIN), json=body)
            assert done.status_code == 200, done.text
            while two.node.limits._table[Action.CHAT, RateRole.VIEWER].burst != 1:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
            # The hint came: nobody had to look.
            assert time.monotonic() - began < 1.5
            assert len(await acked(bob, session, 8)) <= 1


async def test_without_redis_a_change_is_found_by_looking(migrated: str, redis_url: str, postgres: Postgres) -> None:
    async with relayed(redis_url) as relay, serving(migrated, relay.url, **ON) as node:
        session = await node.session()
        await relay.cut()
        async with node.client("eve") as eve:
            await eve.join(session)
            await RateLimits(postgres).change("chat", "viewer", 0.01, 1, "ada")
            async with asyncio.timeout(5):
                while node.node.limits._table[Action.CHAT, RateRole.VIEWER].burst != 1:  # noqa: ASYNC110 - likewise
                    await asyncio.sleep(0.01)
            assert len(await acked(eve, session, 3)) <= 1


async def acked(client: Client, session: str, count: int) -> list[Message]:
    """Send so many messages at once, and give the acknowledgements."""
    return [answer for answer in await burst_of(client, session, count) if answer["type"] == "ack"]
