"""What a user writes to the inboxes of others, in virtual time."""

import asyncio
from random import Random

import pytest

from stagewire_client import Failed, Full, Lost, MemoryStorage, Refused, Settings
from stagewire_client.letters import SHELF
from tests.clients.python import virtual
from tests.clients.python.scripted import SESSION, Message, Server, Socket, client


def written(server: Server) -> list[tuple[str, str]]:
    return [(command["user"], command["text"]) for command in server.heard if command["type"] == "direct.send"]


def test_what_is_written_offline_is_sent_in_its_order_also_by_the_next_client() -> None:
    async def act() -> None:
        server, storage = Server(), MemoryStorage()
        async with client(server, Random(1), storage) as live:
            await live.connect()
            server.reachable = False
            server.drop(1006)
            letters = [live.direct("bob", "one"), live.direct("eve", "two")]
            assert live.pending == letters
        with pytest.raises(Lost):
            await letters[0]
        server.reachable = True
        async with client(server, Random(2), storage) as live:
            early = live.direct("bob", "three")
            await early
        assert written(server) == [("bob", "one"), ("eve", "two"), ("bob", "three")]
        assert await storage.load("alice", SHELF) == []

    virtual.run(act())


def test_what_is_written_before_it_is_known_whose_it_is_is_kept_then() -> None:
    async def act() -> None:
        server, storage = Server(), MemoryStorage()
        vars(server)["_on_direct_send"] = lambda _socket, _command: None
        async with client(server, Random(1), storage) as live:
            early = live.direct("bob", "one")
            assert not early.drop() or live.pending == []
            live.direct("bob", "two")
            await live.connect()
        assert [draft.text for draft in await storage.load("alice", SHELF)] == ["two"]

    virtual.run(act())


def test_a_letter_keeps_its_key_over_a_loss_and_goes_after_the_joins() -> None:
    async def act() -> None:
        server = Server()

        def lose(socket: Socket, command: Message) -> None:
            socket.cut(1006)
            vars(server).pop("_on_direct_send")

        vars(server)["_on_direct_send"] = lose
        async with client(server, Random(1)) as live:
            await live.join(SESSION)
            await live.direct("host", "hi")
        told = [command for command in server.heard if command["type"] in ("join", "direct.send")]
        assert [command["type"] for command in told] == ["join", "direct.send", "join", "direct.send"]
        assert told[1]["key"] == told[3]["key"]

    virtual.run(act())


def test_what_the_server_refuses_is_told_and_holds_nothing_back() -> None:
    async def act() -> None:
        server = Server()

        def refuse(socket: Socket, command: Message) -> None:
            socket.say(type="error", re=command["id"], code="forbidden", message="not to them")
            vars(server).pop("_on_direct_send")

        vars(server)["_on_direct_send"] = refuse
        async with client(server, Random(1), settings=Settings(pending=2)) as live:
            refused, other = live.direct("eve", "one"), live.direct("bob", "two")
            with pytest.raises(Full):
                live.direct("bob", "three")
            with pytest.raises(Refused, match="not to them"):
                await refused
            await other
            server.drop(4403)
            await asyncio.sleep(1)
            with pytest.raises(Failed, match="kept out"):
                await live.direct("bob", "four")
            live.retry()
            await asyncio.sleep(1)
            assert live.pending == [refused]

    virtual.run(act())
