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
    | st.tuples(st.sampled_from(["flush", "write"]), st.just(0)),
    max_size=25,
)


class Story:
    """What happens in one session, and what each of its readers must have got in the end."""

    def __init__(self, hub: Hub, links: list[Link]) -> None:
        self.hub = hub
        self.links = links
        self.published = 0
        self.due: list[list[int]] = [[] for _ in links]
        # What waits for each reader who is in.
        self.waiting: dict[int, list[int]] = {}

    async def tell(self, step: str, number: int) -> None:
        """Do one step."""
        if step == "publish":
            self._publish(number)
        elif step == "join" and number not in self.waiting:
            self.links[number].join(self.hub, "s")
            self.waiting[number] = []
        elif step == "leave" and self.waiting.pop(number, None) is not None:
            self.links[number].connection.peer = None
            self.hub.detach("s", self.links[number].connection)
        elif step == "write":
            self.hub.write_now("s")
            self._note()
        elif step == "flush":
            await self.flush()

    def _publish(self, count: int) -> None:
        numbers = range(self.published + 1, self.published + count + 1)
        self.published += count
        self.hub.publish("s", documents(*numbers))
        for waiting in self.waiting.values():
            waiting.extend(numbers)

    async def flush(self) -> None:
        """Let the hub write."""
        await flushed(self.hub)
        self._note()

    def _note(self) -> None:
        for reader, waiting in self.waiting.items():
            self.due[reader].extend(waiting)
            waiting.clear()
