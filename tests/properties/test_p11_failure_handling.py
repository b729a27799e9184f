"""P11: a lasting failure is told to the user, with a way to retry; the critical part keeps working.

Here for the client in Python, in virtual time.
"""

import asyncio
from itertools import cycle
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from stagewire_client import Reason, Stagewire, State, Status
from stagewire_client.stream import Stream
from stagewire_client.video import Playback
from tests.clients.python import virtual
from tests.clients.python.scripted import SESSION, Server, Socket, client
from tests.properties.effort import tried

# Longer than four attempts that hang take, with the longest delays before them.
TOLD_WITHIN = 60.0
PLAYBACK: list[Playback] = ["playing", "paused"]
OUTAGES = st.sampled_from(["unreachable", "frozen", "no hello", "closes at once", "final"])


def begin(server: Server, outage: str) -> None:
    """Have the server fail from now on, in one way."""
    match outage:
        case "unreachable":
            server.reachable = False
        case "frozen":
            server.flows = False
        case "no hello":
            server.answers_hello = lambda _socket, _command: False
        case "closes at once":
            server.answers_hello = lambda socket, _command: cut(socket, 1011)
        case _:
            server.answers_hello = lambda socket, _command: cut(socket, 4403)
    server.drop(1006)


def cut(socket: Socket, code: int) -> bool:
    """Close, in place of a welcome."""
    socket.cut(code)
    return False


def end(server: Server) -> None:
    """Have it work again."""
    server.reachable = server.flows = True
    server.answers_hello = lambda _socket, _command: True


@tried(60)
@given(OUTAGES, st.booleans(), st.integers(0, 2**32))
def test_a_failure_that_lasts_is_told_with_a_reason_and_a_retry_ends_it(outage: str, writes: bool, seed: int) -> None:
    async def act() -> None:
        server = Server()
        async with client(server, Random(seed)) as live:
            show = await live.join(SESSION)
            statuses = live.statuses()
            begin(server, outage)
            status = await lasting(statuses)
            assert status.sentence
            assert status.reason is not Reason.DEFECT
            assert (status.state is State.FAILED) == (outage == "final")
            sent = show.send("written meanwhile") if writes else None
            end(server)
            live.retry()
            await online(live, statuses)
            if sent is not None:
                assert (await sent).seq == 1

    virtual.run(act())


async def lasting(statuses: Stream[Status]) -> Status:
    async with asyncio.timeout(TOLD_WITHIN):
        while not (status := await anext(statuses)).lasting or status.state is State.CONNECTING:
            pass
    return status


async def online(live: Stagewire, statuses: Stream[Status]) -> None:
    async with asyncio.timeout(TOLD_WITHIN):
        while not live.status.online:
            await anext(statuses)


@tried(40)
@given(st.lists(st.sampled_from(["poor", "good"]), min_size=1, max_size=8))
def test_over_a_poor_connection_state_and_chat_go_on_and_signals_wait(qualities: list[str]) -> None:
    async def act() -> None:
        server = Server()
        async with client(server, Random(0)) as live:
            show = await live.join(SESSION)
            for quality, playing in zip(qualities, cycle(PLAYBACK)):
                for socket in server.sockets:
                    socket.say(type="quality", quality=quality)
                await asyncio.sleep(0.1)
                poor = quality == "poor"
                assert live.status.state is (State.DEGRADED if poor else State.ONLINE)
                assert show.react("heart") is not poor
                assert not (poor and show.typing(on=True))
                show.playback(playing)
                await show.send("still here")
                page = await show.history(limit=200)
                assert server.heard[-1]["limit"] == (20 if poor else 200)
                assert page.events[-1].body == {"text": "still here"}
                assert [heard["state"] for heard in server.heard if heard["type"] == "playback"][-1] == playing
        assert [event["kind"] for event in server.log] == ["chat.posted"] * len(qualities)

    virtual.run(act())
