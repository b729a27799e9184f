"""A session, in virtual time; `test_live.py` has it at a real server."""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import pytest

from stagewire_client import Ack, Event, Full, Gap, Lost, Position, Refused, Session, Settings, Stagewire
from stagewire_client.messages import Joined
from stagewire_client.view import Typists, View
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

    server = play(act)
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


def test_signals_are_not_said_while_it_is_away() -> None:
    async def act(server: Server, _live: Stagewire, show: Session) -> None:
        server.reachable = False
        server.drop(1006)
        await asyncio.sleep(0.01)
        assert not show.typing(on=True)
        assert not show.react("heart")

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


def test_a_session_may_be_joined_in_the_moment_in_which_the_connection_ends() -> None:
    async def act(server: Server, live: Stagewire, _show: Session) -> None:
        server.drop(1006)
        joining = []
        for number in range(20):
            joining.append(asyncio.create_task(live.join(f"{SESSION[:-2]}{number + 10}")))
            await asyncio.sleep(0)
        assert len(await asyncio.gather(*joining)) == 20

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
        assert (live._following._sessions, live._following._tasks) == ({}, {})

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


def said(server: Server, kind: str) -> list[Message]:
    return [command for command in server.heard if command["type"] == kind]


def test_what_the_others_know_of_typing_is_not_said_again() -> None:
    async def act(server: Server, _live: Stagewire, show: Session) -> None:
        assert not show.typing(on=False)
        for _ in range(40):
            show.typing(on=True)
            await asyncio.sleep(0.1)
        assert [command["on"] for command in said(server, "typing")] == [True, True]
        assert show.typing(on=False)
        assert show.typing(on=True)
        await show.send("said")
        assert not show.typing(on=False)
        assert show.typing(on=True)
        server.drop(1006)
        await asyncio.sleep(5)
        assert show.typing(on=True)

    play(act)


def test_what_the_player_does_is_said_for_as_long_as_it_plays_and_after_a_reconnect() -> None:
    async def act(server: Server, _live: Stagewire, show: Session) -> None:
        def told() -> list[str]:
            return [command["state"] for command in said(server, "playback")]

        show.playback("playing")
        show.playback("playing")
        await asyncio.sleep(25)
        assert told() == ["playing"] * 3
        for socket in server.sockets:
            socket.say(type="quality", quality="poor")
        await asyncio.sleep(60)
        assert 5 <= len(told()) <= 6
        show.playback("paused")
        await asyncio.sleep(60)
        assert told()[-2:] == ["playing", "paused"]
        before = len(told())
        server.drop(1006)
        await asyncio.sleep(60)
        assert told()[before:] == ["paused"]

    play(act)


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

    play(act)


def test_a_moderator_who_moves_a_session_does_not_run_it() -> None:
    async def act(_server: Server, _live: Stagewire, show: Session) -> None:
        await show.pause()
        assert show.hosting is None

    play(act)


def test_tokens_for_the_video_go_on_after_a_reconnect() -> None:
    async def act(server: Server, _live: Stagewire, show: Session) -> None:
        def token(number: int) -> Message:
            times = {"expires_at": 10**12, "renew_at": 10**12}
            return {"session": SESSION, "token": f"t{number}", "app_id": "a", "channel": "c", "uid": 1, **times}

        def give(socket: Socket, command: Message) -> None:
            asked.append(command)
            if len(asked) > 2:
                socket.say(type="error", re=command["id"], code="conflict", message="it has ended")
            else:
                socket.say(type="agora.token", re=command["id"], role="viewer", **token(len(asked)))

        asked: list[Message] = []
        vars(server)["_on_agora_token"] = give
        tokens = show.agora_tokens()
        assert (await show.agora_token()).token == "t1"
        for socket in server.sockets:
            socket.say(type="agora.token", role="viewer", **token(7))
        assert (await anext(tokens)).token == "t7"
        server.drop(1006)
        assert (await anext(tokens)).token == "t2"
        server.drop(1006)
        await asyncio.sleep(5)
        assert len(asked) == 3
        assert (await show.send("hi")).seq == 1

    play(act)


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


def test_a_page_of_a_log_that_has_begun_anew_meanwhile_is_not_held() -> None:
    async def act(server: Server, _live: Stagewire, show: Session) -> None:
        def begin_anew(socket: Socket, command: Message) -> None:
            server.epoch = "b"
            events, server.log = server.log[-1:], [*server.log]
            Server._on_join(server, socket, {"id": 0})
            show._view.enter(show.position, joined("b", len(server.log)))
            socket.say(type="history", re=command["id"], session=SESSION, events=events, more=True)

        vars(server)["_on_history"] = begin_anew
        assert [event.seq for event in await show.older(1)] == [10]
        assert show.messages() == []

    play(act, said=10)


def joined(epoch: str, seq: int) -> Joined:
    snapshot = View(SESSION, "alice", None, 10).snapshot
    return Joined(
        session=snapshot, role="viewer", position=Position(epoch, seq), events=[], complete=False, audience={}
    )


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

    play(act)


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

    play(act)
