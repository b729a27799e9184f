"""P12: as load grows answers stay in time and nothing is refused; beyond the settings it is shed with a code.

One `serve` process with small limits. In steps, everything at once: messages, joins, pages, searches, requests, by
senders, viewers and slow readers. While the settings allow it, all is answered well. Then comes more than they allow,
at a Postgres that does not answer for a while: what is too much is refused, with the documented codes; nothing that
was acknowledged is lost; and afterwards the server is as it was.
"""

import asyncio
import time
from collections.abc import Awaitable, Iterable, Iterator, Sequence
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from persistence.embedded import Servers
from tests.properties.crowd import LONGEST, Answer, Caller, Refused, asked, middle, slowest
from tests.properties.effort import tried
from tests.properties.stage import POLL, Stage, enter, stuck, until_answered, wait_for_turns
from tests.support.nodes import token
from tests.support.served import served
from tokens.access import AccessRole

pytestmark = pytest.mark.timeout(300)

SEND_TIMEOUT = 4
SEARCH_WAIT = 0.6
QUEUE, LANES, BATCH = 48, 2, 16
FULL, OF_ONE_ADDRESS, OF_ONE_USER = 70, 24, 5
HANDSHAKES = 40
REQUESTS = 30
STRIKES = 20
SETTINGS = {
    "STAGEWIRE_RATE_LIMITS": "true",
    "STAGEWIRE_UNLIMITED_ADDRESSES": "127.0.0.1",
    "STAGEWIRE_SEND_TIMEOUT": str(SEND_TIMEOUT),
    "STAGEWIRE_BATCH_QUEUE": str(QUEUE),
    "STAGEWIRE_BATCH_LANES": str(LANES),
    "STAGEWIRE_BATCH_SIZE": str(BATCH),
    "STAGEWIRE_MAX_IN_FLIGHT": "32",
    "STAGEWIRE_MAX_CONNECTIONS": str(FULL),
    "STAGEWIRE_ADDRESS_CONNECTIONS": str(OF_ONE_ADDRESS),
    "STAGEWIRE_USER_CONNECTIONS": str(OF_ONE_USER),
    "STAGEWIRE_HANDSHAKE_RATE": str(HANDSHAKES),
    "STAGEWIRE_HELLO_TIMEOUT": "30",
    "STAGEWIRE_SEARCHES": "1",
    "STAGEWIRE_SEARCH_WAIT": str(SEARCH_WAIT),
    "STAGEWIRE_FLOOD_REFUSALS": str(STRIKES),
    "STAGEWIRE_MAX_OUTGOING": "65536",
    "STAGEWIRE_DATABASE_CONNECTIONS": "5",
}
# What one lane takes while nothing of it is stored: what waits, and one batch on its way.
ROOM = QUEUE // LANES + BATCH
# Bytes by which the server may grow, whatever comes.
GROWTH = 48 << 20
# By how much a busy machine may be slower than it was at rest a moment ago, and the seconds that it may just be away.
MARGIN, AWAY = 3, 0.5


class Shape(Struct, frozen=True):
    """The load of the first step; the n-th has n times as much. And how much is too much."""

    sessions: int
    senders: int
    flight: int
    viewers: int
    slow: int
    pages: int
    searches: int
    requests: int
    pourers: int
    flooders: int
    devices: int
    addresses: int


SHAPES = st.builds(
    Shape,
    sessions=st.integers(1, 3),
    senders=st.integers(1, 3),
    flight=st.integers(1, 2),
    viewers=st.integers(1, 6),
    slow=st.integers(0, 2),
    pages=st.integers(0, 3),
    searches=st.integers(0, 1),
    requests=st.integers(0, 4),
    pourers=st.integers(4, 8),
    flooders=st.integers(1, 2),
    devices=st.integers(OF_ONE_USER + 1, OF_ONE_USER + 3),
    addresses=st.integers(2, 4),
)
STEPS = (1, 2, 3)
# What is too much: messages of each who pours, signals of each who floods, and searches.
POURED, TYPED, SEARCHED = 30, 60, 3
# And handshakes at a time.
ATTEMPTS = 90


@pytest.fixture(scope="module")
def stage(servers: Servers, migrated: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Run a server with small limits for the module."""
    log = tmp_path_factory.mktemp("load") / "server.log"
    with served(migrated, servers.redis_url, log=str(log), **SETTINGS) as node:
        stage = Stage(node, migrated)
        asyncio.run(_limit_requests(stage))
        yield stage
        assert node.process.poll() is None
        assert "Traceback" not in Path(log).read_text()


async def _limit_requests(stage: Stage) -> None:
    """Have each address ask so many times at once, and hardly more."""
    changed = await stage.node.request(
        "PUT",
        "/v1/limits/http",
        token("admin", AccessRole.ADMIN),
        json={"role": "address", "rate": 1, "burst": REQUESTS},
    )
    assert changed.status_code == 200, changed.text


@given(SHAPES)
@tried(4)
def test_load_is_served_in_time_and_what_is_too_much_is_shed_with_a_code(stage: Stage, shape: Shape) -> None:
    asyncio.run(stage.alone(_example(stage, shape)))


async def _example(stage: Stage, shape: Shape) -> None:
    show = await Show.begin(stage, shape)
    base = stage.peak = stage.rss()
    async with stage.healthy():
        for step in STEPS:
            await show.grow(step)
        await show.overflow()
        await show.part()
        await _arrive(stage, shape)
        await _devices(stage, shape)
    await show.check()
    assert stage.peak - base < GROWTH
    await show.serve_as_before()


class Show:
    """One example."""

    def __init__(self, stage: Stage, shape: Shape, sessions: list[str], probe: Caller) -> None:
        self.stage = stage
        self.shape = shape
        self.sessions = sessions
        self.probe = probe
        self.crowd: list[Caller] = []
        self.slow: list[Caller] = []
        self.acked: dict[str, str] = {}
        # Seconds that the slowest answer took while nothing else was asked, and that one from memory took.
        self.rest = self.quick = 0.0

    @classmethod
    async def begin(cls, stage: Stage, shape: Shape) -> "Show":
        """Make the sessions, and see how fast the machine is at rest."""
        await wait_for_turns()
        sessions = [await stage.node.session(stage.name("host")) for _ in range(shape.sessions)]
        probe = await enter(stage, "probe", sessions, "127.0.0.1")
        show = cls(stage, shape, sessions, probe)
        answers = [await answer for _ in range(3) for answer in show.one_of_each()]
        assert {answer.code for answer in answers} == {""}
        show.rest = slowest(answers)
        show.quick = middle([await show.page(probe) for _ in range(9)])
        return show

    def one_of_each(self) -> Iterable[Awaitable[Answer]]:
        """Ask for one thing of each kind, one after the other."""
        yield self.say(self.probe, self.sessions[0])
        yield self.page(self.probe)
        yield self.search(self.probe.user, "127.0.0.1")
        yield self.look(self.probe.user, "127.0.0.1")
        yield self.probe.join(self.sessions[0])

    def at_once(self, commands: int) -> float:
        """Give the seconds within which an answer is there that takes nothing but so many others before it."""
        return MARGIN * commands * self.quick + AWAY

    def in_line(self, commands: int) -> float:
        """Give the same where each of those before it does all that is done for any."""
        return MARGIN * commands * self.rest + AWAY

    async def say(self, caller: Caller, session: str) -> Answer:
        """Say something, and take note if it was stored."""
        key = str(uuid4())
        answer = await caller.say(session, key)
        if not answer.code:
            self.acked[key] = session
        return answer

    async def page(self, caller: Caller) -> Answer:
        """Read what was said last."""
        return await caller.call("history", session=self.sessions[0], limit=20)

    async def search(self, user: str, address: str) -> Answer:
        """Search for a word."""
        return await asked(self.stage.node, f"/v1/sessions/{self.sessions[0]}/search?q=blue", token(user), address)

    async def look(self, user: str, address: str) -> Answer:
        """Ask for a session."""
        return await asked(self.stage.node, f"/v1/sessions/{self.sessions[0]}", token(user), address)

    async def grow(self, step: int) -> None:
        """Do `step` times as much as at first, all of it within the limits: it is done, and in time."""
        shape = self.shape
        newcomers = [self.come() for _ in range(shape.viewers + shape.senders)]
        self.crowd += await asyncio.gather(*newcomers)
        if step == 1:
            self.slow = self.crowd[: shape.slow]
            for caller in self.slow:
                caller.stall()
        busy = self.busy
        senders = [busy[n % len(busy)] for n in range(step * shape.senders)]
        address = self.stage.address()
        answers = await asyncio.gather(
            *(
                self.say(caller, self.sessions[n % len(self.sessions)])
                for n, caller in enumerate(senders * shape.flight)
            ),
            *(self.page(busy[n % len(busy)]) for n in range(step * shape.pages)),
            *(self.search(self.stage.name("searcher"), address) for _ in range(step * shape.searches)),
            *(self.look(self.stage.name("asker"), address) for _ in range(step * shape.requests)),
            *(self.probe.join(session) for session in self.sessions),
        )
        assert {answer.code for answer in answers} == {""}, step
        assert middle(answers) < self.in_line(len(answers))
        assert slowest(answers) < SEND_TIMEOUT + AWAY

    @property
    def busy(self) -> list[Caller]:
        """Give those who read, and do more than that."""
        return [self.probe, *self.crowd[self.shape.slow :]]

    async def come(self) -> Caller:
        """Have somebody join all sessions."""
        return await enter(self.stage, self.stage.name("viewer"), self.sessions, self.stage.address())

    async def overflow(self) -> None:
        """Ask for more than the settings allow, while Postgres is stuck: it is refused at once, and says when."""
        stage, shape = self.stage, self.shape
        pourers = [await self.come() for _ in range(shape.pourers)]
        flooders = [await self.come() for _ in range(shape.flooders)]
        async with stuck(stage.database_url):
            poured = [self._pour(caller) for caller in pourers for _ in range(POURED)]
            typed = [
                caller.call("typing", session=self.sessions[0], on=True) for caller in flooders for _ in range(TYPED)
            ]
            address, asker = stage.address(), stage.name("asker")
            looks = [asyncio.create_task(self.look(asker, address)) for _ in range(2 * REQUESTS)]
            searches = [asyncio.create_task(self.search(stage.name("searcher"), "127.0.0.1")) for _ in range(SEARCHED)]
            # What is in memory is there for everyone.
            pages = await asyncio.gather(*(self.page(caller) for caller in self.busy))
            await until_answered(poured, len(poured) - ROOM, SEND_TIMEOUT / 2)
            await until_answered(searches, SEARCHED - 1, SEND_TIMEOUT / 2)
        said = self.at_once(len(poured) + len(typed) + len(pages))
        over_http = self.in_line(len(looks) + len(searches))
        assert {answer.code for answer in pages} == {""}
        assert slowest(pages) < said
        self._shed(await asyncio.gather(*poured), "unavailable", said)
        self._shed(await asyncio.gather(*searches), "503 unavailable", over_http + SEARCH_WAIT)
        refused = self._shed(await asyncio.gather(*looks), "429 rate_limited", over_http)
        assert len(refused) >= REQUESTS - LONGEST
        await self._close_flooders(flooders, await asyncio.gather(*typed))
        await self._come_again(pourers, [answer for answer in await asyncio.gather(*poured) if answer.code])
        self.crowd += pourers

    def _pour(self, caller: Caller) -> "asyncio.Task[Answer]":
        return asyncio.create_task(self.say(caller, self.sessions[0]))

    def _shed(self, answers: Sequence[Answer], code: str, within: float) -> list[Answer]:
        """Make sure that all were answered in time: well, or with a code, at once, that says when to come again."""
        assert slowest(answers) < SEND_TIMEOUT + within
        refused = [answer for answer in answers if answer.code]
        assert {answer.code for answer in refused} == {code}
        assert all(answer.retry_after_ms > 0 for answer in refused)
        assert middle(refused) < within
        return refused

    async def _close_flooders(self, flooders: Sequence[Caller], typed: Sequence[Answer]) -> None:
        """Make sure that those went who did not keep to `retry_after_ms`."""
        told = [answer for answer in typed if answer.code == "rate_limited"]
        assert {answer.code for answer in typed} == {"", "rate_limited", "4429"}
        assert all(answer.retry_after_ms > 0 for answer in told)
        assert len(told) <= len(flooders) * (STRIKES + 2 * LONGEST)
        assert {await caller.closed() for caller in flooders} == {4429}

    async def _come_again(self, pourers: Sequence[Caller], refused: Sequence[Answer]) -> None:
        """Send some of it again when that was said to make sense: no more than there is room for, so it is stored."""
        await asyncio.sleep(max(answer.retry_after_ms for answer in refused) / 1000)
        answers = await asyncio.gather(*(self.say(caller, self.sessions[0]) for caller in pourers))
        assert {answer.code for answer in answers} == {""}
        assert slowest(answers) < SEND_TIMEOUT + AWAY

    async def part(self) -> None:
        """Let everybody hear everything, consecutively; the slow ones too, unless they were too slow. Then they go."""
        heads = {session: await self._head(session) for session in self.sessions}
        for caller in self.slow:
            caller.go_on()
        for caller in self.crowd:
            for session, head in heads.items():
                await caller.reach(session, head)
            assert caller.close_code is None or (caller in self.slow and caller.close_code == 4001)
        await asyncio.gather(*(caller.close() for caller in self.crowd))

    async def _head(self, session: str) -> int:
        page = await self.probe.call("history", session=session, limit=1)
        return int(page.message["events"][-1]["seq"])

    async def check(self) -> None:
        """Make sure that what was acknowledged is stored, each once."""
        postgres = await asyncpg.connect(self.stage.database_url)
        rows = await postgres.fetch(
            "SELECT key::text AS key, session::text AS session FROM events"
            " WHERE session = ANY($1::uuid[]) AND kind = 'chat.posted'",
            self.sessions,
        )
        await postgres.close()
        stored = {row["key"]: row["session"] for row in rows}
        assert len(stored) == len(rows)
        assert self.acked.items() <= stored.items()

    async def serve_as_before(self) -> None:
        """Make sure that nothing is left of it all, and that whoever comes is served as at first."""
        async with asyncio.timeout(LONGEST):
            while await self._left() != (0, 1):  # noqa: ASYNC110 - the server tells nobody
                await asyncio.sleep(POLL)
        fresh = await self.come()
        answers = [await fresh.say(session, str(uuid4())) for session in self.sessions]
        assert {answer.code for answer in answers} == {""}
        assert slowest(answers) < self.in_line(1)
        await fresh.close()
        await self.probe.close()

    async def _left(self) -> tuple[float, float]:
        gauges = await self.stage.gauges()
        there = sum(value for name, value in gauges.items() if name.startswith("stagewire_connections{"))
        return gauges["stagewire_batch_queue_events"], there


async def _arrive(stage: Stage, shape: Shape) -> None:
    """Have more come than may, in waves, until the server is full: it takes as many as it may, and tells the others."""
    addresses = [stage.address() for _ in range(shape.addresses)]
    # The probe is there, too.
    room = min(FULL - 1, OF_ONE_ADDRESS * len(addresses))
    held: list[Caller] = []
    for _ in range(8):
        began = time.monotonic()
        came = await asyncio.gather(*(_try(stage, addresses[n % len(addresses)]) for n in range(ATTEMPTS)))
        let_in = [caller for caller in came if isinstance(caller, Caller)]
        refused = [each for each in came if isinstance(each, Refused)]
        assert len(let_in) <= HANDSHAKES * (1 + time.monotonic() - began)
        assert {each.status for each in refused} <= {429, 503}
        held += let_in
        assert len(held) <= room
        if len(held) == room:
            break
        await asyncio.sleep(max(each.retry_after for each in refused))
    assert len(held) == room
    # Once those are gone who were refused, what is in the way is one thing or the other.
    full = room == FULL - 1
    async with asyncio.timeout(LONGEST):
        while (await _refusal(stage, stage.address() if full else addresses[0])).status != (503 if full else 429):
            pass
    await asyncio.gather(*(caller.close() for caller in held))


async def _refusal(stage: Stage, address: str) -> Refused:
    """Come in vain."""
    refused = await _try(stage, address)
    assert isinstance(refused, Refused)
    return refused


async def _try(stage: Stage, address: str) -> Caller | Refused:
    try:
        return await stage.connect("anybody", address)
    except Refused as exc:
        return exc


async def _devices(stage: Stage, shape: Shape) -> None:
    """Have one user come with more devices than may be."""
    await wait_for_turns()
    user, callers = stage.name("many"), []
    for n in range(shape.devices):
        caller = await stage.connect(user, stage.address())
        answer = await caller.hello()
        assert answer.code == ("" if n < OF_ONE_USER else "rate_limited")
        assert n < OF_ONE_USER or await caller.closed() == 4429
        callers.append(caller)
    await asyncio.gather(*(caller.close() for caller in callers))
