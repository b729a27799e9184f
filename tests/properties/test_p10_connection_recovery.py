"""P10: after any sequence of drops the client is back in its session, at its position, its pending sends done once.

Here for the client in Python, against a server in memory and in virtual time; `tests/clients/python/test_network.py`
has real ones.
"""

import asyncio
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from stagewire_client import Delivery, Event, Gap, MemoryStorage, Session, Stagewire, State
from tests.clients.python import virtual
from tests.clients.python.scripted import REPLAY, SESSION, Server, client
from tests.properties.effort import tried

CALM = 300.0


class Story:
    """A user who writes, reads and comes back, whatever happens."""

    def __init__(self, random: Random) -> None:
        self.server = Server()
        self.written: list[Delivery] = []
        self.told: list[Event | Gap] = []
        self._random = random
        self._storage = MemoryStorage()
        self._live: Stagewire | None = None
        self._reading: asyncio.Task[None] | None = None
        self._texts = iter(range(10**6))
        self.show: Session

    async def begin(self) -> None:
        """Come, with what was left by the client before."""
        since = self.show.position if self._live is not None else None
        self._live = client(self.server, self._random, self._storage)
        self._live.open()
        self.show = await self._live.join(SESSION, since=since)
        self._reading = asyncio.create_task(self._read(self.show))

    async def end(self) -> None:
        """Go."""
        assert self._live is not None
        assert self._reading is not None
        await self._live.close()
        await self._reading

    async def _read(self, show: Session) -> None:
        async for event in show:
            self.told.append(event)

    async def do(self, act: str) -> None:
        """Have something happen."""
        kind, _, what = act.partition(" ")
        if kind == "write":
            self.written.append(self.show.send(f"text {next(self._texts)}"))
        elif kind == "others":
            for _ in range(int(what)):
                self.server.append("eve", "hello")
        elif kind == "wait":
            await asyncio.sleep(float(what))
        elif kind == "drop":
            self.server.drop(int(what))
        elif kind == "refuse":
            code, _, stored = what.partition(" ")
            self.server.refusals.append((code, stored == "stored"))
        elif kind == "reload":
            # While nobody can be reached, a new client has no session that it could write in.
            self.server.reachable = self.server.flows = True
            await self.end()
            await self.begin()
        else:
            self._network(kind)

    def _network(self, kind: str) -> None:
        server = self.server
        match kind:
            case "unreachable" | "reachable":
                server.reachable = kind == "reachable"
            case "stall":
                server.stall()
            case "frozen" | "thawed":
                server.flows = kind == "thawed"
            case "deaf" | "hearing":
                server.tells = kind == "hearing"
            case "skip":
                server.skip(3)
            case "lose":
                server.lost_acks += 1
            case _:
                raise AssertionError(kind)

    async def settle(self) -> None:
        """Let the weather be fine for a while."""
        self.server.reachable = self.server.flows = self.server.tells = True
        async with asyncio.timeout(CALM):
            await self.show.settled()
            while not self.recovered:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(1)

    @property
    def recovered(self) -> bool:
        """Tell whether the client is back in its session, at the head."""
        assert self._live is not None
        online = self._live.status.state is State.ONLINE and self.show.joined.value is not None
        return online and self.show.timeline.head == len(self.server.log)


ACTS = st.one_of(
    st.just("write"),
    st.sampled_from([f"others {count}" for count in (1, 2, REPLAY, 3 * REPLAY)]),
    st.sampled_from(["wait 0.01", "wait 0.1", "wait 1", "wait 7", "wait 30", "wait 100"]),
    st.sampled_from([f"drop {code}" for code in (1000, 1001, 1006, 1011, 4000, 4001, 4002, 4003, 4299)]),
    st.sampled_from(["unreachable", "reachable", "stall", "frozen", "thawed", "deaf", "hearing", "skip", "lose"]),
    st.sampled_from(
        [f"refuse {code}{stored}" for code in ("unavailable", "rate_limited") for stored in ("", " stored")]
    ),
    st.just("reload"),
)


@tried(300)
@given(st.lists(ACTS, max_size=25), st.integers(0, 2**32))
def test_after_any_sequence_of_drops_everything_is_there_once(acts: list[str], seed: int) -> None:
    virtual.run(recover(acts, seed))


async def recover(acts: list[str], seed: int) -> None:
    story = Story(Random(seed))
    beating = asyncio.create_task(story.server.beat())
    await story.begin()
    for act in acts:
        await story.do(act)
    await story.settle()
    await story.end()
    beating.cancel()
    check_log(story)
    check_reading(story)


def check_log(story: Story) -> None:
    """Everything that was written is in the log, once, and in its order."""
    ours = [event["key"] for event in story.server.log if event["by"] == "alice"]
    assert ours == [sent.key for sent in story.written]


def check_reading(story: Story) -> None:
    """The events were consecutive, but where a gap says so, and ended at the head."""
    reached = 0
    for one in story.told:
        if isinstance(one, Event):
            assert one.seq == reached + 1
            reached = one.seq
        else:
            assert one.first == reached + 1
            reached = one.last
    assert reached == len(story.server.log)


def test_a_log_that_begins_anew_is_told_as_a_gap() -> None:
    async def act() -> None:
        story = Story(Random(0))
        await story.begin()
        await story.do("others 3")
        await story.do("wait 1")
        story.server.begin_anew()
        await story.do("wait 10")
        await story.do("others 2")
        await story.settle()
        await story.end()
        assert [one.seq if isinstance(one, Event) else "gap" for one in story.told] == [1, 2, 3, "gap", 1, 2]
        assert story.told[3] == Gap()
        assert story.show.position is not None
        assert story.show.position.epoch == "aa"

    virtual.run(act())
