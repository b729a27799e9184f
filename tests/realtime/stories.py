"""What may happen in one session, step by step, and what each of its readers must have got in the end."""

import asyncio

import msgspec
from hypothesis import strategies as st

from realtime.domain.lanes import Parcel
from realtime.hub import Hub
from tests.realtime.links import Link


def documents(*numbers: int) -> list[Parcel]:
    """Give a document for each number."""
    return [Parcel(msgspec.json.encode(number)) for number in numbers]


async def flushed(hub: Hub) -> None:
    """Wait until nothing waits any more."""
    while hub._scheduled:  # noqa: ASYNC110 - it tells nobody when it is done
        await asyncio.sleep(0)


COUNT = 3
WHO = st.integers(0, COUNT - 1)
STEPS = st.lists(
    st.tuples(st.just("publish"), st.integers(1, 3))
    | st.tuples(st.sampled_from(["join", "leave"]), WHO)
    | st.tuples(st.sampled_from(["flush", "turn"]), st.just(0)),
    max_size=25,
)


class Story:
    """What happens in one session, and what its readers may have got of it in the end."""

    def __init__(self, hub: Hub, links: list[Link]) -> None:
        self.hub = hub
        self.links = links
        self.published = 0
        # What was published while each reader was in, each time; and the last of these, of those who are.
        self.stays: list[list[list[int]]] = [[] for _ in links]
        self.inside: dict[int, list[int]] = {}

    async def tell(self, step: str, number: int) -> None:
        """Do one step."""
        if step == "publish":
            self._publish(number)
        elif step == "join" and number not in self.inside:
            self.links[number].join(self.hub, "s")
            self.inside[number] = []
            self.stays[number].append(self.inside[number])
        elif step == "leave" and self.inside.pop(number, None) is not None:
            self.links[number].connection.peer = None
            self.hub.detach("s", self.links[number].connection)
        elif step == "turn":
            await asyncio.sleep(0)
        elif step == "flush":
            await flushed(self.hub)

    def _publish(self, count: int) -> None:
        numbers = range(self.published + 1, self.published + count + 1)
        self.published += count
        self.hub.publish("s", documents(*numbers))
        for stay in self.inside.values():
            stay.extend(numbers)

    def check(self, reader: int, got: list[int]) -> None:
        """Check what a reader has got: all that came while it was in, but for what was on its way when it left."""
        for stay in self.stays[reader]:
            part = [number for number in got if number in stay]
            assert part == stay[: len(part)]
            assert part == stay or stay is not self.inside.get(reader)
        assert got == sorted(set(got))
        assert {*got} <= {number for stay in self.stays[reader] for number in stay}
