"""What is left of a connection that is gone: nothing that waits for the garbage collector, which looks rarely."""

import asyncio
import gc
import socket
import struct
from collections.abc import Iterator
from urllib.parse import urlsplit
from weakref import WeakSet

import pytest

from realtime.core import Core
from tests.support.frames import BINARY, CLOSE, PING, TEXT, frame, request
from tests.support.nodes import RunningNode
from tests.support.waiting import until

# Takes a closed socket from the peer with a reset, in place of a polite end.
AT_ONCE = struct.pack("ii", 1, 0)
STARTS = {
    "nothing": b"",
    "half a handshake": request()[:40],
    "no handshake": b"hello?\r\n\r\n",
    "a handshake that is refused": request("/"),
    "a handshake": request(),
    "half a frame": request() + frame(PING, b"here")[:3],
    "a goodbye": request() + frame(CLOSE, (1000).to_bytes(2, "big")),
    "a bad frame": request() + frame(TEXT, b"{}", mask=False),
    "what is too large": request() + frame(TEXT, b"x" * 20_000),
    "what is no text": request() + frame(TEXT, b'"\xff"'),
    "what was not agreed": request() + frame(BINARY, b"\x80"),
}


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def cores() -> WeakSet[Core]:
    return WeakSet(known for known in gc.get_objects() if type(known) is Core)


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
async def test_nothing_is_left_of_a_connection(node: RunningNode, start: bytes, *, reset: bool) -> None:
    address = urlsplit(node.websocket)
    before = cores()
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(start)
    await until(lambda: cores() - before)
    new = cores() - before
    # Until it is answered, or is not: some starts are no reason to say a word.
    if start not in (STARTS["nothing"], STARTS["half a handshake"]):
        await reader.readline()
    if reset:
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
    writer.close()
    await until(lambda: not new)


async def test_nothing_is_left_of_one_who_took_part(node: RunningNode) -> None:
    session = await node.session()
    before = cores()
    async with node.client("alice") as client:
        new = cores() - before
        await client.join(session)
        await client.say(session, "hello")
        client.socket.transport.abort()
        await until(lambda: not new)
