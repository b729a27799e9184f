"""What is said and heard in a session and not kept, and the video's tokens, in virtual time."""

import asyncio

from stagewire_client import Session, Stagewire
from stagewire_client.view import Typists
from tests.clients.python.playing import play_in_session, said
from tests.clients.python.scripted import SESSION, Message, Server, Socket


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

    play_in_session(act)


def test_signals_are_not_said_while_it_is_away() -> None:
    async def act(server: Server, _live: Stagewire, show: Session) -> None:
        server.reachable = False
        server.drop(1006)
        await asyncio.sleep(0.01)
        assert not show.typing(on=True)
        assert not show.react("heart")

    play_in_session(act)


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

    play_in_session(act)


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

    play_in_session(act)


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

    play_in_session(act)
