"""How a session follows its log, in virtual time; `test_live.py` has it at a real server."""

import asyncio

import pytest

from stagewire_client import Event, Full, Gap, Position, Session, Settings, Stagewire
from stagewire_client.messages import Joined
from stagewire_client.view import View
from tests.clients.python.playing import play_in_session, seqs
from tests.clients.python.scripted import REPLAY, SESSION, Message, Server, Socket


def test_what_was_missed_is_given_first() -> None:
    async def act(server: Server, _live: Stagewire, show: Session) -> None:
        server.append("eve", "new")
        assert seqs([await anext(show.__aiter__()) for _ in range(4)]) == [3, 4, 5, 6]

    play_in_session(act, logged=5, since=Position("a", 2))


def test_what_is_too_long_ago_is_a_gap() -> None:
    async def act(_server: Server, _live: Stagewire, show: Session) -> None:
        assert await anext(show.__aiter__()) == Gap(3, 50)

    play_in_session(act, logged=50, since=Position("a", 2))


def test_older_events_are_fetched_and_held() -> None:
    async def act(_server: Server, _live: Stagewire, show: Session) -> None:
        assert [event.seq for event in await show.older(4)] == [7, 8, 9, 10]
        assert [message.seq for message in show.messages()] == [7, 8, 9, 10]
        assert len(await show.older()) == 6
        assert await show.older() == []

    play_in_session(act, logged=10)


def test_what_is_left_out_is_fetched_and_given_in_its_place() -> None:
    async def act(server: Server, _live: Stagewire, show: Session) -> None:
        server.skip(3)
        server.append("eve", "heard")
        assert seqs([await anext(show.__aiter__()) for _ in range(4)]) == [1, 2, 3, 4]

    play_in_session(act)


def test_a_silent_hole_is_noticed_by_the_heartbeat() -> None:
    async def act(server: Server, _live: Stagewire, show: Session) -> None:
        server.tells = False
        server.append("eve", "not told")
        assert seqs([await anext(show.__aiter__())]) == [1]
        assert asyncio.get_running_loop().time() < 21
        await asyncio.sleep(21)
        assert show.proven == Position("a", 1)

    play_in_session(act)


def test_a_heartbeat_of_another_epoch_has_the_session_joined_anew() -> None:
    async def act(server: Server, _live: Stagewire, show: Session) -> None:
        server.append("eve", "before")
        await asyncio.sleep(1)
        server.epoch = "b"
        await asyncio.sleep(20)
        assert [type(await anext(show.__aiter__())) for _ in range(2)] == [Event, Gap]
        assert show.position == Position("b", 1)

    play_in_session(act)


def test_a_hole_that_nothing_fills_is_looked_into_at_a_decent_pace() -> None:
    async def act(server: Server, _live: Stagewire, show: Session) -> None:
        for socket in server.sockets:
            socket.say(type="skipped", session=SESSION, skipped=1, first=1, last=1)
        await asyncio.sleep(200)
        asked = [command["type"] for command in server.heard]
        assert 5 < asked.count("history") < 60
        server.append("eve", "late")
        assert seqs([await anext(show.__aiter__())]) == [1]

    play_in_session(act)


def test_a_refused_history_is_tried_by_joining_again() -> None:
    async def act(server: Server, _live: Stagewire, show: Session) -> None:
        def refuse(socket: Socket, command: Message) -> None:
            socket.say(type="error", re=command["id"], code="internal", message="no")

        vars(server)["_on_history"] = refuse
        server.skip(3)
        assert seqs([await anext(show.__aiter__()) for _ in range(3)]) == [1, 2, 3]

    play_in_session(act)


def test_another_reader_has_what_comes_from_then_on() -> None:
    async def act(server: Server, _live: Stagewire, show: Session) -> None:
        server.append("eve", "one")
        await asyncio.sleep(1)
        late = show.events()
        server.append("eve", "two")
        assert seqs([await anext(late)]) == [2]
        assert seqs([await anext(show.__aiter__()) for _ in range(2)]) == [1, 2]

    play_in_session(act)


def test_a_reader_who_is_too_slow_is_told_so() -> None:
    async def act(server: Server, _live: Stagewire, show: Session) -> None:
        for number in range(10):
            server.append("eve", f"text {number}")
        await asyncio.sleep(1)
        assert await anext(show.__aiter__()) == Gap(1, 6)
        assert seqs([await anext(show.__aiter__())]) == [7]

    play_in_session(act, settings=Settings(stream=4))


def test_what_is_written_is_bounded() -> None:
    async def act(server: Server, _live: Stagewire, show: Session) -> None:
        server.flows = False
        server.stall()
        for number in range(3):
            show.send(f"text {number}")
        with pytest.raises(Full):
            show.send("one more")
        assert [sent.draft.text for sent in show.pending] == ["text 0", "text 1", "text 2"]

    play_in_session(act, settings=Settings(pending=3))


def test_a_long_outage_is_a_gap() -> None:
    async def act(server: Server, _live: Stagewire, show: Session) -> None:
        server.append("eve", "before")
        server.drop(1006)
        for _ in range(REPLAY + 1):
            server.append("eve", "meanwhile")
        await asyncio.sleep(5)
        assert [await anext(show.__aiter__()) for _ in range(2)][1] == Gap(2, REPLAY + 2)

    play_in_session(act)


def test_a_page_is_not_held_where_it_finds_no_room() -> None:
    async def act(server: Server, _live: Stagewire, show: Session) -> None:
        for number in range(10):
            server.append("eve", f"new {number}")
            await asyncio.sleep(1)
            await show.older(1)
        assert len(show.timeline._events) <= 4

    play_in_session(act, logged=10, settings=Settings(window=4))


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

    play_in_session(act, logged=10)


def joined(epoch: str, seq: int) -> Joined:
    snapshot = View(SESSION, "alice", None, 10).snapshot
    return Joined(
        session=snapshot, role="viewer", position=Position(epoch, seq), events=[], complete=False, audience={}
    )
