"""How a session is joined, left, refused and taken away, in virtual time."""

import asyncio
from collections.abc import Callable
from random import Random

import pytest

from stagewire_client import Event, Gap, Refused, Session, Stagewire
from tests.clients.python import virtual
from tests.clients.python.playing import play_in_session, seqs
from tests.clients.python.scripted import SESSION, Message, Server, Socket, client


def test_who_is_removed_is_told_why_after_all_that_was_heard() -> None:
    async def act(server: Server, live: Stagewire, show: Session) -> None:
        server.append("eve", "the last word")
        vars(server)["_on_chat_send"] = lambda _socket, _command: None
        sent = show.send("too late")
        await asyncio.sleep(0.1)
        for socket in server.sockets:
            socket.say(type="removed", session=SESSION, code="forbidden", message="the session is private")
        told: list[Event | Gap] = []
        with pytest.raises(Refused, match="private"):
            told.extend([one async for one in show])
        with pytest.raises(Refused, match="private"):
            await sent
        with pytest.raises(Refused, match="private"):
            await show.pause()
        assert show.over
        assert live.sessions == []
        # What was to be sent in it is not tried any more.
        show.send("nowhere")
        await asyncio.sleep(60)
        assert [command["type"] for command in server.heard].count("chat.send") == 1
        # Nor is the answer missed that it still had to get.
        assert len(server.dialled) == 1
        # It comes back without it.
        server.drop(1006)
        await asyncio.sleep(5)
        assert live.status.online
        assert [command["type"] for command in server.heard].count("join") == 1
        await live.join(SESSION)

    play_in_session(act)


def test_a_join_that_is_refused_for_now_is_tried_again_and_one_for_good_is_told() -> None:
    def refuse(code: str) -> Callable[[Socket, Message], None]:
        def answer(socket: Socket, command: Message) -> None:
            del vars(server)["_on_join"]
            socket.say(type="error", re=command["id"], code=code, message="no", retry_after_ms=3000)

        return answer

    server = Server.__new__(Server)

    async def act() -> None:
        Server.__init__(server)
        async with client(server, Random(0)) as live:
            vars(server)["_on_join"] = refuse("unavailable")
            show = await live.join(SESSION)
            assert asyncio.get_running_loop().time() > 3
            await live.leave(show)
            assert [one async for one in show] == []
            vars(server)["_on_join"] = refuse("forbidden")
            with pytest.raises(Refused) as refused:
                await live.join(SESSION)
            assert refused.value.code == "forbidden"
            await live.join(SESSION)

    virtual.run(act())


def test_whoever_gives_up_to_wait_for_a_join_leaves_all_the_same() -> None:
    async def act() -> None:
        server, held = Server(), list[tuple[Socket, Message]]()
        vars(server)["_on_join"] = lambda socket, command: held.append((socket, command))
        async with client(server, Random(1)) as live:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1):
                    await live.join(SESSION)
            assert live.sessions == []
            Server._on_join(server, *held[0])
            await asyncio.sleep(1)
            assert not any(socket.joined for socket in server.sockets)

    virtual.run(act())


def test_whoever_joins_again_meanwhile_stays() -> None:
    async def act() -> None:
        server, held = Server(), list[tuple[Socket, Message]]()
        vars(server)["_on_join"] = lambda socket, command: held.append((socket, command))
        async with client(server, Random(1)) as live:
            hasty = asyncio.create_task(live.join(SESSION))
            await asyncio.sleep(1)
            hasty.cancel()
            await asyncio.wait([hasty])
            joining = asyncio.create_task(live.join(SESSION))
            await asyncio.sleep(1)
            Server._on_join(server, *held[0])
            server.append("eve", "told of the first join")
            Server._on_join(server, *held[1])
            show = await joining
            server.append("eve", "new")
            assert seqs([await anext(show.__aiter__())]) == [2]
            assert live.sessions == [show]

    virtual.run(act())


def test_a_session_that_was_left_says_nothing_about_the_one_that_came_after_it() -> None:
    async def act(server: Server, live: Stagewire, show: Session) -> None:
        for socket in server.sockets:
            socket.say(type="removed", session=SESSION, code="forbidden", message="the session is private")
        await asyncio.sleep(1)
        again = await live.join(SESSION)
        await live.leave(show)
        assert live.sessions == [again]
        assert (await again.send("still here")).seq == 1

    play_in_session(act)


def test_a_session_may_be_joined_in_the_moment_in_which_the_connection_ends() -> None:
    async def act(server: Server, live: Stagewire, _show: Session) -> None:
        server.drop(1006)
        joining = []
        for number in range(20):
            joining.append(asyncio.create_task(live.join(f"{SESSION[:-2]}{number + 10}")))
            await asyncio.sleep(0)
        assert len(await asyncio.gather(*joining)) == 20

    play_in_session(act)


def test_what_may_not_be_joined_again_is_let_go() -> None:
    async def act(server: Server, live: Stagewire, show: Session) -> None:
        vars(server)["_on_join"] = lambda socket, command: socket.say(
            type="error", re=command["id"], code="forbidden", message="the session is private"
        )
        server.drop(1006)
        with pytest.raises(Refused, match="private"):
            await anext(show.__aiter__())
        await asyncio.sleep(0)
        assert (live._following._sessions, live._following._tasks) == ({}, {})

    play_in_session(act)


def test_a_session_that_cannot_be_healed_because_it_is_closed_to_the_user_sends_nothing_more() -> None:
    async def act(server: Server, _live: Stagewire, show: Session) -> None:
        vars(server)["_on_join"] = vars(server)["_on_history"] = lambda socket, command: socket.say(
            type="error", re=command["id"], code="forbidden", message="the session is private"
        )
        server.skip(1)
        with pytest.raises(Refused, match="private"):
            await anext(show.__aiter__())
        show.send("nowhere")
        await asyncio.sleep(60)
        assert "chat.send" not in [command["type"] for command in server.heard]

    play_in_session(act)


def test_a_secondary_session_is_left_while_the_connection_is_poor() -> None:
    async def act() -> None:
        server = Server()
        async with client(server, Random(1)) as live:
            show = await live.join(SESSION, secondary=True)
            for quality, joined in (("poor", False), ("good", True)):
                for socket in list(server.sockets):
                    socket.say(type="quality", quality=quality)
                await asyncio.sleep(1)
                assert [socket.joined for socket in server.sockets] == [joined]
                server.append("eve", quality)
            told = [await anext(show.__aiter__()) for _ in range(2)]
            assert seqs(told) == [1, 2]

    virtual.run(act())
