"""A session, in virtual time; `test_live.py` has it at a real server."""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import pytest

from stagewire_client import Ack, Event, Full, Gap, Lost, Position, Refused, Session, Settings, Stagewire
from stagewire_client.view import Typists
from tests.clients.python import virtual
from tests.clients.python.scripted import REPLAY, SESSION, Message, Server, Socket, client

Act = Callable[[Server, Stagewire, Session], Awaitable[None]]


def play(act: Act, *, said: int = 0, since: Position | None = None, **options: Any) -> Server:
    """Have a client join, and do something with it."""

    async def run() -> Server:
        server = Server()
        for number in range(said):
            server.append("eve", f"text {number}")
        beating = asyncio.create_task(server.beat())
        async with client(server, Random(1), **options) as live:
            await act(server, live, await live.join(SESSION, since=since))
        beating.cancel()
        return server

    return virtual.run(run())


def seqs(told: list[Event | Gap]) -> list[int]:
    return [one.seq if isinstance(one, Event) else 0 for one in told]


def test_what_was_missed_is_given_first() -> None:
    async def act(server: Server, _live: Stagewire, show: Session) -> None:
        server.append("eve", "new")
        assert seqs([await anext(show.__aiter__()) for _ in range(4)]) == [3, 4, 5, 6]

    play(act, said=5, since=Position("a", 2))


def test_what_is_too_long_ago_is_a_gap() -> None:
    async def act(_server: Server, _live: Stagewire, show: Session) -> None:
        assert await anext(show.__aiter__()) == Gap(3, 50)

    play(act, said=50, since=Position("a", 2))


def test_older_events_are_fetched_and_held() -> None:
    async def act(_server: Server, _live: Stagewire, show: Session) -> None:
        assert [event.seq for event in await show.older(4)] == [7, 8, 9, 10]
        assert [message.seq for message in show.messages()] == [7, 8, 9, 10]
        assert len(await show.older()) == 6
        assert await show.older() == []

    play(act, said=10)


def test_what_is_left_out_is_fetched_and_given_in_its_place() -> None:
    async def act(server: Server, _live: Stagewire, show: Session) -> None:
        server.skip(3)
        server.append("eve", "heard")
        assert seqs([await anext(show.__aiter__()) for _ in range(4)]) == [1, 2, 3, 4]

    play(act)


def test_a_silent_hole_is_noticed_by_the_heartbeat() -> None:
    async def act(server: Server, _live: Stagewire, show: Session) -> None:
        server.tells = False
        server.append("eve", "not told")
        assert seqs([await anext(show.__aiter__())]) == [1]
        assert asyncio.get_running_loop().time() < 21
        await asyncio.sleep(21)
        assert show.proven == Position("a", 1)

    play(act)


def test_a_heartbeat_of_another_epoch_has_the_session_joined_anew() -> None:
    async def act(server: Server, _live: Stagewire, show: Session) -> None:
        server.append("eve", "before")
        await asyncio.sleep(1)
        server.epoch = "b"
        await asyncio.sleep(20)
        assert [type(await anext(show.__aiter__())) for _ in range(2)] == [Event, Gap]
        assert show.position == Position("b", 1)

    play(act)


def test_a_hole_that_nothing_fills_is_looked_into_at_a_decent_pace() -> None:
    async def act(server: Server, _live: Stagewire, show: Session) -> None:
        for socket in server.sockets:
            socket.say(type="skipped", session=SESSION, skipped=1, first=1, last=1)
        await asyncio.sleep(200)
        asked = [command["type"] for command in server.heard]
        assert 5 < asked.count("history") < 60
        server.append("eve", "late")
        assert seqs([await anext(show.__aiter__())]) == [1]

    play(act)


def test_a_refused_history_is_tried_by_joining_again() -> None:
    async def act(server: Server, _live: Stagewire, show: Session) -> None:
        def refuse(socket: Socket, command: Message) -> None:
            socket.say(type="error", re=command["id"], code="internal", message="no")

        vars(server)["_on_history"] = refuse
        server.skip(3)
        assert seqs([await anext(show.__aiter__()) for _ in range(3)]) == [1, 2, 3]

    play(act)


def test_another_reader_has_what_comes_from_then_on() -> None:
    async def act(server: Server, _live: Stagewire, show: Session) -> None:
        server.append("eve", "one")
        await asyncio.sleep(1)
        late = show.events()
        server.append("eve", "two")
        assert seqs([await anext(late)]) == [2]
        assert seqs([await anext(show.__aiter__()) for _ in range(2)]) == [1, 2]

    play(act)


def test_a_reader_who_is_too_slow_is_told_so() -> None:
    async def act(server: Server, _live: Stagewire, show: Session) -> None:
        for number in range(10):
            server.append("eve", f"text {number}")
        await asyncio.sleep(1)
        assert await anext(show.__aiter__()) == Gap(1, 6)
        assert seqs([await anext(show.__aiter__())]) == [7]

    play(act, settings=Settings(stream=4))


def test_signals_are_given_and_remembered() -> None:
    async def act(server: Server, _live: Stagewire, show: Session) -> None:
        signals = show.signals()
        for socket in server.sockets:
            socket.say(type="signal", session=SESSION, kind="typing", users=["eve", "alice"], count=2)
            socket.say(type="signal", session=SESSION, kind="audience", audience={"users": 2}, present=["eve"])
            socket.say(type="signal", session="another", kind="audience", audience={"users": 9})
        assert [(await anext(signals)).kind for _ in range(2)] == ["typing", "audience"]
        assert show.typists.users == ("eve",)
        assert (show.audience.numbers, show.audience.present) == ({"users": 2}, ("eve",))
        await asyncio.sleep(10)
        assert show.typists == Typists()

    play(act)


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

    play(act)


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

    play(act)


def test_what_is_asked_is_not_waited_for_for_ever() -> None:
    async def act(server: Server, _live: Stagewire, show: Session) -> None:
        server.reachable = False
        server.drop(1006)
        began = asyncio.get_running_loop().time()
        with pytest.raises(Lost):
            await show.end()
        assert asyncio.get_running_loop().time() - began == 30

    play(act)


def test_what_can_be_asked_is_what_the_protocol_has() -> None:
    async def act(_server: Server, _live: Stagewire, show: Session) -> None:
        await show.start()
        await show.resume("back")
        await show.take_over()
        await show.update(slow_mode=5)
        await show.appoint("bob", "cohost")
        assert show.typing(on=True)
        await asyncio.sleep(0.1)

    server = play(act)
    said = [{n: v for n, v in c.items() if n not in ("id", "key", "session")} for c in server.heard[2:]]
    assert said == [
        {"type": "session.start"},
        {"type": "session.resume", "reason": "back"},
        {"type": "session.takeover"},
        {"type": "session.update", "slow_mode": 5},
        {"type": "session.role", "user": "bob", "role": "cohost"},
        {"type": "typing", "on": True},
    ]


def test_signals_are_not_said_while_it_is_away() -> None:
    async def act(server: Server, _live: Stagewire, show: Session) -> None:
        server.reachable = False
        server.drop(1006)
        await asyncio.sleep(0.01)
        assert not show.typing(on=True)
        assert not show.playback("playing")

    play(act)


def test_what_is_written_is_bounded() -> None:
    async def act(server: Server, _live: Stagewire, show: Session) -> None:
        server.flows = False
        server.stall()
        for number in range(3):
            show.send(f"text {number}")
        with pytest.raises(Full):
            show.send("one more")
        assert [sent.draft.text for sent in show.pending] == ["text 0", "text 1", "text 2"]

    play(act, settings=Settings(pending=3))


def test_a_long_outage_is_a_gap() -> None:
    async def act(server: Server, _live: Stagewire, show: Session) -> None:
        server.append("eve", "before")
        server.drop(1006)
        for _ in range(REPLAY + 1):
            server.append("eve", "meanwhile")
        await asyncio.sleep(5)
        assert [await anext(show.__aiter__()) for _ in range(2)][1] == Gap(2, REPLAY + 2)

    play(act)


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

    play(act)


def test_what_may_not_be_joined_again_is_let_go() -> None:
    async def act(server: Server, live: Stagewire, show: Session) -> None:
        vars(server)["_on_join"] = lambda socket, command: socket.say(
            type="error", re=command["id"], code="forbidden", message="the session is private"
        )
        server.drop(1006)
        with pytest.raises(Refused, match="private"):
            await anext(show.__aiter__())
        await asyncio.sleep(0)
        assert (live._sessions, live._following) == ({}, {})

    play(act)


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

    play(act)


def test_a_page_is_not_held_where_it_finds_no_room() -> None:
    async def act(server: Server, _live: Stagewire, show: Session) -> None:
        for number in range(10):
            server.append("eve", f"new {number}")
            await asyncio.sleep(1)
            await show.older(1)
        assert len(show.timeline._events) <= 4

    play(act, said=10, settings=Settings(window=4))
