"""The socket as a stranger meets it: handshakes, frames, closes, and what a disconnect does not undo."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit
from uuid import uuid4

import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin, Subprotocol

from realtime.transport import Connection
from tests.support.frames import frame, request
from tests.support.nodes import Client, Message, RunningNode, audience, serving, token


@asynccontextmanager
async def raw(node: RunningNode) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Open a socket, and no more."""
    address = urlsplit(node.websocket)
    # A small window, so that what is not read soon waits in the server.
    with socket.socket() as unconnected:
        unconnected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        unconnected.connect((address.hostname, address.port))
        reader, writer = await asyncio.open_connection(sock=unconnected.dup(), limit=4096)
    try:
        yield reader, writer
    finally:
        writer.close()


async def read_close(reader: asyncio.StreamReader) -> int:
    """Read up to the close frame, and give its code."""
    async with asyncio.timeout(10):
        await reader.readuntil(b"\r\n\r\n")
        while True:
            opcode, size = await reader.readexactly(2)
            if size == 126:
                size = int.from_bytes(await reader.readexactly(2), "big")
            payload = await reader.readexactly(size)
            if opcode == 0x88:
                return int.from_bytes(payload[:2], "big")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (request("/"), 404),
        (request("/v1/ws?token=x"), 101),
        (request(host=""), 400),
        (request(host="Host: a\r\nHost: b\r\n"), 400),
        (request(extra="Upgrade: h2c\r\n"), 426),
        (request(extra="Origin: https://elsewhere.example\r\n"), 403),
        (request(extra=f"X-Long: {'x' * 9000}\r\n"), 431),
        (b"POST /v1/ws HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
    ],
)
async def test_handshakes(node: RunningNode, sent: bytes, status: int) -> None:
    async with raw(node) as (reader, writer):
        writer.write(sent)
        assert (await asyncio.wait_for(reader.readline(), 5)).split()[1] == str(status).encode()


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([frame(0x3, b"")], 1002),
        ([frame(0x1, b"{}", rsv=0x40)], 1002),
        ([frame(0x1, b"{}", mask=False)], 1002),
        ([frame(0x9, b"x" * 126)], 1002),
        ([frame(0x9, b"x", fin=False)], 1002),
        ([frame(0x0, b"x")], 1002),
        ([frame(0x1, b"{", fin=False), frame(0x1, b"}")], 1002),
        ([frame(0x8, (1005).to_bytes(2, "big"))], 1002),
        ([frame(0x8, (65535).to_bytes(2, "big"))], 1002),
        ([frame(0x1, b'"\xff"')], 1007),
        ([frame(0x1, b"x" * 16_385)], 4413),
        ([frame(0x1, b"x", fin=False), *[frame(0x0, b"x" * 1000, fin=False)] * 17], 4413),
        ([frame(0x1, b"x", fin=False), *[frame(0x0, b"x", fin=False)] * 16_384], 4429),
        ([frame(0x9, b"")] * 16_384, 4429),
        ([bytes([0x81, 0xFF]) + (2**63 - 1).to_bytes(8, "big") + b"1234"], 4413),
        ([frame(0x2, b"\x80")], 4400),
        ([frame(0x1, b"nonsense")], 4400),
        ([frame(0x1, b"null")], 4400),
        ([frame(0x1, b"[" * 10_000)], 4400),
        ([frame(0x1, b'{"type":"typing"}')], 4401),
        ([frame(0x1, b'{"type":"pong"}')], 4401),
        ([frame(0x1, b'{"type":"hello","token":"x.y.z"}')], 4401),
        ([frame(0x8, (1000).to_bytes(2, "big"))], 1000),
    ],
    ids=[
        "reserved opcode",
        "RSV1",
        "unmasked",
        "long ping",
        "fragmented ping",
        "orphan continuation",
        "text within a text",
        "close 1005",
        "close 65535",
        "not UTF-8",
        "too large",
        "too large in pieces",
        "too many fragments",
        "too many pings",
        "endless",
        "binary where text was agreed",
        "no JSON",
        "null",
        "deep",
        "a command",
        "a pong",
        "a made-up token",
        "goodbye",
    ],
)
async def test_frames_of_strangers(node: RunningNode, frames: list[bytes], code: int) -> None:
    async with raw(node) as (reader, writer):
        writer.write(request() + b"".join(frames))
        assert await read_close(reader) == code


async def test_who_goes_on_after_our_goodbye_is_not_listened_to(migrated: str, redis_url: str) -> None:
    async with serving(migrated, redis_url, close_timeout=10) as node, raw(node) as (reader, writer):
        writer.write(request() + frame(0x1, b"null") + frame(0x9, b"") * 1000)
        assert await read_close(reader) == 4400
        # Long before the time in which it may answer is up.
        async with asyncio.timeout(5):
            await reader.read()


async def test_an_expired_token_asks_for_a_fresh_one(node: RunningNode) -> None:
    async with connect(node.websocket) as stranger:
        await stranger.send(
            msgspec.json.encode({"id": 7, "type": "hello", "token": token("bob", lifetime=-60)}).decode()
        )
        reply = msgspec.json.decode(await stranger.recv())
        assert (reply["re"], reply["code"]) == (7, "unauthenticated")
        with pytest.raises(ConnectionClosed) as closed:
            await stranger.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4300


async def test_who_says_nothing_is_sent_away(migrated: str, redis_url: str) -> None:
    async with serving(migrated, redis_url, hello_timeout=0.2, heartbeat=1.0, silence=1.5) as node:
        async with raw(node) as (reader, writer):
            writer.write(request())
            assert await read_close(reader) == 4408
        async with raw(node) as (reader, _):
            assert await asyncio.wait_for(reader.read(), 5) == b""


async def test_who_falls_silent_is_let_go_and_leaves_the_audience(migrated: str, redis_url: str) -> None:
    quick = {"heartbeat": 0.4, "silence": 0.8, "audience_ms": 100}
    async with serving(migrated, redis_url, **quick) as node:
        session = await node.session()
        async with node.client("bob") as bob, raw(node) as (reader, writer):
            hello = msgspec.json.encode({"type": "hello", "token": token("eve")})
            join = msgspec.json.encode({"type": "join", "session": session})
            writer.write(request() + frame(0x1, hello) + frame(0x1, join))
            await bob.join(session)

            async def answer_pings() -> None:
                while True:
                    await bob.until(type="ping")
                    bob.pushes[:] = [push for push in bob.pushes if push["type"] != "ping"]
                    await bob.send("pong")

            pongs = asyncio.create_task(answer_pings())
            assert await read_close(reader) == 4002
            pongs.cancel()
            await asyncio.gather(pongs, return_exceptions=True)
            await bob.until(kind="audience", audience=audience(1, 1))
            assert (await bob.ask("pong"))["type"] == "ack"


async def test_heartbeats_carry_the_heads(migrated: str, redis_url: str) -> None:
    async with serving(migrated, redis_url, heartbeat=0.2, silence=5.0) as node:
        session = await node.session()
        async with node.client("bob") as bob:
            position = (await bob.join(session))["position"]
            # The first one, which measures the connection, may have come before the join.
            await bob.until(type="ping", heads={session: position})
            await bob.say(session, "one more")
            await bob.until(type="ping", heads={session: {**position, "seq": 3}})


async def test_a_heartbeat_tells_nothing_of_what_is_still_to_be_written(migrated: str, redis_url: str) -> None:
    async with serving(migrated, redis_url, heartbeat=0.2, silence=5.0) as node:
        session = await node.session()
        async with node.client("bob") as bob:
            position = (await bob.join(session))["position"]
            node.node.hub._scheduled = True  # as if the tick were endless
            await bob.say(session, "waiting")
            bob.pushes.clear()
            await bob.until(type="ping", heads={session: position})
            assert bob.events() == []
            node.node.hub._scheduled = False
            node.node.hub._schedule()
            await bob.until(type="ping", heads={session: {**position, "seq": 3}})
            assert [event["seq"] for event in bob.events()] == [3]


@pytest.mark.parametrize(
    ("offered", "spoken"),
    [(["stagewire.v1.msgpack", "stagewire.v1.json"], "stagewire.v1.msgpack"), (["chat"], None), ([], None)],
)
async def test_subprotocols(node: RunningNode, offered: list[str], spoken: str | None) -> None:
    async with connect(node.websocket, subprotocols=[Subprotocol(name) for name in offered] or None) as socket:
        assert socket.subprotocol == spoken


async def test_only_listed_origins_may_connect(migrated: str, redis_url: str) -> None:
    async with serving(migrated, redis_url, origins="https://shop.example, http://localhost:3000") as node:
        async with connect(node.websocket, origin=Origin("https://shop.example")):
            pass
        with pytest.raises(InvalidStatus):
            await connect(node.websocket, origin=Origin("https://shop.example.evil"))


async def test_a_full_node_refuses_handshakes(migrated: str, redis_url: str) -> None:
    async with serving(migrated, redis_url, max_connections=1) as node, connect(node.websocket):
        with pytest.raises(InvalidStatus) as refused:
            await connect(node.websocket)
        assert refused.value.response.status_code == 503
        assert refused.value.response.headers["Retry-After"] == "1"


async def test_a_disconnect_does_not_cancel_the_write(node: RunningNode) -> None:
    session = await node.session()
    async with node.client("eve") as eve:
        await eve.join(session)
        for n in range(20):
            async with node.client("bob") as bob:
                await bob.join(session)
                await bob.send("chat.send", session=session, key=str(uuid4()), text=f"last words {n}")
                bob.socket.transport.close()
            await eve.until_event(seq=3 + n, by="bob")


async def test_reads_pause_while_too_much_is_in_flight(migrated: str, redis_url: str) -> None:
    async with serving(migrated, redis_url, max_in_flight=4) as node:
        session = await node.session()
        async with node.client("bob") as bob:
            await bob.join(session)
            for n in range(200):
                await bob.send("chat.send", id=1000 + n, session=session, key=str(uuid4()), text=f"{n}")
            acks: list[Message] = []
            while len(acks) < 200:
                message = await bob.receive()
                if "re" in message:
                    acks.append(message)
                    connection = next(iter(node.node.hub.group(session)))
                    assert connection.in_flight <= 4
            assert [ack["seq"] for ack in acks] == list(range(3, 203))
            assert (await bob.until_event(seq=202))["body"]["text"] == "199"


async def test_a_restart_says_goodbye(migrated: str, redis_url: str) -> None:
    async with serving(migrated, redis_url) as node:
        session = await node.session()
        socket = await connect(node.websocket)
        await socket.send(msgspec.json.encode({"id": 1, "type": "hello", "token": token("bob")}).decode())
        await socket.recv()
        key = str(uuid4())
        await socket.send(msgspec.json.encode({"type": "join", "session": session}).decode())
        await socket.send(
            msgspec.json.encode({"id": 2, "type": "chat.send", "session": session, "key": key, "text": "!"}).decode()
        )
        reply: Message = {}
        while reply.get("re") != 2:
            reply = msgspec.json.decode(await socket.recv())
        receive = asyncio.create_task(_until_closed(socket))
    assert await receive == 4000


async def _until_closed(socket: ClientConnection) -> int | None:
    with suppress(ConnectionClosed):
        while True:
            await socket.recv()
    return socket.close_code


async def test_one_slow_reader_is_closed_and_costs_the_others_nothing(migrated: str, redis_url: str) -> None:
    # Bob gets two hundred messages at once, and must not be taken for slow for that.
    async with serving(migrated, redis_url, slow_timeout=1.0, close_timeout=0.2, max_in_flight=512) as node:
        session = await node.session()
        async with node.client("bob") as bob, raw(node) as (_, writer):
            hello = msgspec.json.encode({"type": "hello", "token": token("sloth")})
            join = msgspec.json.encode({"type": "join", "session": session})
            writer.write(request() + frame(0x1, hello) + frame(0x1, join))
            await bob.join(session)
            slow = asyncio.create_task(_say_until(bob, session, lambda: node.node.hub.size(session) == 1))
            said = await asyncio.wait_for(slow, 30)
            await bob.until_event(seq=said)
            assert [event["seq"] for event in bob.events()] == list(range(3, said + 1))


async def _say_at_once(client: Client, session: str, count: int) -> list[Message]:
    for n in range(count):
        await client.send("chat.send", id=10_000 + n, session=session, key=str(uuid4()), text="x" * 900)
    acks: list[Message] = []
    while len(acks) < count:
        message = await client.receive()
        acks += [message] if "re" in message else []
    return acks


async def _say_until(client: Client, session: str, done: Callable[[], bool]) -> int:
    seq = 0
    while not done():
        seq = max([ack["seq"] for ack in await _say_at_once(client, session, 100)])
    return seq


async def test_who_asks_and_does_not_read_is_not_served(migrated: str, redis_url: str) -> None:
    """Replies wait in memory, so commands are not read while too many wait."""
    async with serving(migrated, redis_url) as node:
        session = await node.session()
        async with node.client("bob") as bob, raw(node) as (_, writer):
            await bob.join(session)
            await _say_at_once(bob, session, 200)
            hello = msgspec.json.encode({"type": "hello", "token": token("greedy")})
            join = msgspec.json.encode({"type": "join", "session": session})
            history = msgspec.json.encode({"id": 1, "type": "history", "session": session, "limit": 200})
            writer.write(request() + frame(0x1, hello) + frame(0x1, join) + frame(0x1, history) * 500)
            greedy = await _other(node, session, bob)
            most = 0
            for _ in range(50):
                await bob.ask("pong")
                most = max(most, greedy.outgoing)
            assert 0 < most < 4 * 200_000


async def _other(node: RunningNode, session: str, bob: Client) -> Connection:
    while node.node.hub.size(session) < 2:
        await bob.ask("pong")
    return next(c for c in node.node.hub.group(session) if c.peer.identity.user == "greedy")
