"""Compression on the wire: agreed on, or not; the same bytes for all."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.typing import Subprotocol

from realtime import frames
from realtime.protocol.codec import Format
from tests.support.nodes import Client, RunningNode, serving, token

TEXT = "the same again and again, " * 20


@pytest.fixture
async def node(migrated: str, redis_url: str) -> AsyncIterator[RunningNode]:
    async with serving(migrated, redis_url, compression=True) as running:
        yield running


def offer(node: RunningNode, fmt: Format = Format.JSON, **wishes: Any) -> connect:
    """Offer compression, or nothing."""
    extensions = [ClientPerMessageDeflateFactory(**wishes)] if wishes.pop("any", True) else None
    protocols = [Subprotocol(fmt)]
    return connect(node.websocket, compression=None, extensions=extensions, subprotocols=protocols, max_queue=None)


def agreed(socket: ClientConnection) -> str | None:
    assert socket.response is not None
    return socket.response.headers.get("Sec-WebSocket-Extensions")


async def test_a_message_is_compressed_once_for_all_who_agreed(
    node: RunningNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    compressed = []
    to_small_frame = frames.to_small_frame

    def spy(payload: bytes, *, binary: bool = False) -> bytes:
        compressed.append(payload)
        return to_small_frame(payload, binary=binary)

    monkeypatch.setattr(frames, "to_small_frame", spy)
    session = await node.session()
    async with (
        offer(node) as one,
        offer(node) as two,
        offer(node, Format.MSGPACK) as binary,
        # A window smaller than ours: what is for all can't be for this one.
        offer(node, server_max_window_bits=9) as narrow,
        offer(node, any=False) as plain,
    ):
        assert agreed(plain) is None
        ours = "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12"
        assert agreed(one) == agreed(two) == agreed(binary) == ours
        assert agreed(narrow) == ours.replace("=12", "=9")
        clients = [
            Client(socket, f"user{number}", binary=socket is binary)
            for number, socket in enumerate((one, two, binary, narrow, plain))
        ]
        for client in clients:
            assert (await client.ask("hello", token=token(client.user)))["type"] == "welcome"
            await client.join(session)
        # What a client compresses is read, too.
        acked = await clients[0].say(session, TEXT, str(uuid4()))
        for client in clients:
            event = await client.until_event(seq=acked["seq"])
            assert event["body"]["text"] == TEXT.strip()
        chat = [payload for payload in compressed if b"again and again" in payload]
        assert len(chat) == 2


async def test_without_the_setting_nothing_is_agreed(migrated: str, redis_url: str) -> None:
    async with serving(migrated, redis_url) as node, offer(node) as socket:
        assert agreed(socket) is None


async def test_a_bomb_is_refused(node: RunningNode) -> None:
    async with offer(node) as socket:
        await socket.send("[" * 1_000_000)
        await socket.wait_closed()
        assert socket.close_code == 4413
