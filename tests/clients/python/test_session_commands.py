"""What is asked in a session, and of whom, in virtual time."""

import asyncio

import pytest

from stagewire_client import Ack, Lost, Refused, Session, Stagewire
from tests.clients.python.playing import play_in_session, said
from tests.clients.python.scripted import Message, Server, Socket


def test_what_is_asked_is_asked_again_with_its_key_where_the_answer_is_lost() -> None:
    keys: list[str] = []

    def lose(socket: Socket, command: Message) -> None:
        keys.append(command["key"])
        if len(keys) < 3:
            socket.cut(1006)
        else:
            socket.say(type="ack", re=command["id"], seq=9, at=10)

    async def act(server: Server, _live: Stagewire, show: Session) -> None:
        vars(server)["_on_session_pause"] = lose
        assert await show.pause("a moment") == Ack(seq=9, at=10)
        assert len(set(keys)) == 1
        assert len(keys) == 3

    play_in_session(act)


def test_what_is_asked_is_not_waited_for_for_ever() -> None:
    async def act(server: Server, _live: Stagewire, show: Session) -> None:
        server.reachable = False
        server.drop(1006)
        began = asyncio.get_running_loop().time()
        with pytest.raises(Lost):
            await show.end()
        assert asyncio.get_running_loop().time() - began == 30

    play_in_session(act)


def test_what_can_be_asked_is_what_the_protocol_has() -> None:
    async def act(_server: Server, live: Stagewire, show: Session) -> None:
        await show.start()
        await show.resume("back")
        await show.take_over()
        await show.update(slow_mode=5)
        await show.appoint("bob", "cohost")
        await show.answer("eve", accept=True)
        await live.ask("another")
        assert show.typing(on=True)
        await asyncio.sleep(0.1)

    server = play_in_session(act)
    said = [{n: v for n, v in c.items() if n not in ("id", "key", "session")} for c in server.heard[2:]]
    assert said == [
        {"type": "session.start"},
        {"type": "session.resume", "reason": "back"},
        {"type": "session.takeover"},
        {"type": "session.update", "slow_mode": 5},
        {"type": "session.role", "user": "bob", "role": "cohost"},
        {"type": "session.answer", "user": "eve", "accept": True},
        {"type": "session.ask"},
        {"type": "typing", "on": True},
    ]


def test_a_command_that_is_refused_for_now_is_asked_again() -> None:
    async def act(server: Server, live: Stagewire, _show: Session) -> None:
        def refuse(socket: Socket, command: Message) -> None:
            if len(said(server, "session.ask")) == 1:
                socket.say(type="error", re=command["id"], code="unavailable", message="not now")
            else:
                socket.say(type="ack", re=command["id"])

        vars(server)["_on_session_ask"] = refuse
        await live.ask("another")
        assert len(said(server, "session.ask")) == 2

    play_in_session(act)


def test_the_device_that_runs_a_session_knows_it() -> None:
    async def act(server: Server, _live: Stagewire, show: Session) -> None:
        show._view.role = "host"
        await show.start()
        assert [show.hosting] == [True]
        vars(server)["_on_session_pause"] = lambda socket, command: socket.say(
            type="error", re=command["id"], code="conflict", message="another device runs the session"
        )
        with pytest.raises(Refused, match="another device"):
            await show.pause()
        assert [show.hosting] == [False]
        await show.take_over()
        assert [show.hosting] == [True]

    play_in_session(act)


def test_a_moderator_who_moves_a_session_does_not_run_it() -> None:
    async def act(_server: Server, _live: Stagewire, show: Session) -> None:
        await show.pause()
        assert show.hosting is None

    play_in_session(act)


def test_the_inbox_has_what_was_not_acknowledged_whoever_looks_and_when() -> None:
    async def act(server: Server, live: Stagewire, _show: Session) -> None:
        def entries(*numbers: int, epoch: str = "i") -> Message:
            told = [{"id": n, "at": 0, "kind": "direct", "by": "bob", "key": f"k{n}"} for n in numbers]
            return {"type": "inbox", "epoch": epoch, "upto": numbers[-1], "entries": told}

        async def ids(count: int) -> list[int]:
            stream = live.inbox()
            return [(await anext(stream)).id for _ in range(count)]

        [socket] = server.sockets
        socket.say(**entries(1, 2))
        await asyncio.sleep(1)
        stream = live.inbox()
        first = await anext(stream)
        assert await ids(2) == [1, 2]
        await live.acknowledge(first)
        socket.say(**entries(2, 3))
        assert await ids(2) == [2, 3]
        assert [(await anext(stream)).id for _ in range(2)] == [2, 3]
        socket.say(**entries(1, epoch="j"))
        await asyncio.sleep(1)
        assert await ids(1) == [1]

    play_in_session(act)
