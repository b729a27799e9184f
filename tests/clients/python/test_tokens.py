"""Where a client's access tokens come from, and what becomes of those that end, in virtual time."""

import asyncio
import logging

import pytest

from stagewire_client import Failed, NotSignedIn, Reason, Stagewire, State
from tests.clients.python.playing import now, play, until
from tests.clients.python.scripted import Message, Server, Socket


class Tokens:
    """Gives tokens, and notes for what."""

    def __init__(self) -> None:
        self.asked: list[bool] = []
        self.error: BaseException | None = None

    async def __call__(self, stale: bool) -> str:
        self.asked.append(stale)
        if self.error is not None:
            raise self.error
        return f"token {len(self.asked)}"


def test_an_expired_token_is_replaced() -> None:
    tokens = Tokens()

    async def act(server: Server, live: Stagewire) -> None:
        await live.connect()
        server.drop(4300)
        statuses = live.statuses()
        assert (await until(statuses, State.OFFLINE)).reason is Reason.EXPIRED
        await until(statuses, State.ONLINE)
        server.drop(1006)
        await until(statuses, State.ONLINE)

    server = play(act, token=tokens)
    assert tokens.asked == [False, True, False]
    assert server.tokens == ["token 1", "token 2", "token 3"]


def test_who_has_but_one_token_fails_with_it() -> None:
    async def act(server: Server, live: Stagewire) -> None:
        await live.connect()
        server.drop(4300)
        statuses = live.statuses()
        assert (await until(statuses, State.FAILED)).reason is Reason.EXPIRED
        # The server knows better than a client whose clock may be wrong.
        live.retry()
        await until(statuses, State.ONLINE)

    play(act)


def test_who_is_not_signed_in_is_told_so() -> None:
    tokens = Tokens()
    tokens.error = NotSignedIn()

    async def act(_server: Server, live: Stagewire) -> None:
        with pytest.raises(Failed, match="There is no access token"):
            await live.connect()

    play(act, token=tokens)


def test_a_source_of_tokens_that_breaks_is_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    tokens = Tokens()
    tokens.error = KeyError("out of order")

    async def act(_server: Server, live: Stagewire) -> None:
        statuses = live.statuses()
        assert (await until(statuses, State.OFFLINE)).reason is Reason.TOKEN
        tokens.error = None
        await until(statuses, State.ONLINE)

    with caplog.at_level(logging.ERROR, "stagewire_client"):
        play(act, token=tokens)
    assert "there is no access token" in caplog.text


def test_a_token_that_is_about_to_end_is_refreshed_in_time(caplog: pytest.LogCaptureFixture) -> None:
    tokens = Tokens()

    async def act(server: Server, live: Stagewire) -> None:
        def take(socket: Socket, command: Message) -> None:
            refreshed.append((now(), command["token"]))
            socket.say(type="token", re=command["id"], expires_at=10**12)

        refreshed: list[tuple[float, str]] = []
        vars(server)["_on_token_refresh"] = take
        await live.connect()
        began = now()
        warn(server)
        await asyncio.sleep(60)
        [(at, token)] = refreshed
        assert at - began <= 30
        assert token == "token 2"
        tokens.error = KeyError("out of order")
        warn(server)
        await asyncio.sleep(60)
        assert live.status.state is State.ONLINE

    with caplog.at_level(logging.WARNING, "stagewire_client"):
        play(act, token=tokens)
    assert tokens.asked == [False, True, True]
    assert "there is no fresh access token" in caplog.text


def warn(server: Server) -> None:
    for socket in server.sockets:
        socket.say(type="token.expiring", expires_in_ms=60_000)


def test_who_has_but_one_token_is_not_asked_for_another() -> None:
    async def act(server: Server, live: Stagewire) -> None:
        await live.connect()
        warn(server)
        await asyncio.sleep(60)
        assert live.status.online

    assert [command["type"] for command in play(act).heard if command["type"] != "pong"] == ["hello"]


def test_a_source_of_tokens_that_is_cancelled_is_asked_again() -> None:
    tokens = Tokens()
    tokens.error = asyncio.CancelledError()

    async def act(_server: Server, live: Stagewire) -> None:
        statuses = live.statuses()
        assert (await until(statuses, State.OFFLINE)).reason is Reason.TOKEN
        tokens.error = None
        await until(statuses, State.ONLINE)

    play(act, token=tokens)


def test_a_source_of_tokens_that_hangs_is_told_as_such() -> None:
    async def hang(_stale: bool) -> str:
        try:
            await asyncio.sleep(3600)
        finally:
            raise KeyError("and breaks in the end")

    async def act(_server: Server, live: Stagewire) -> None:
        assert (await until(live.statuses(), State.OFFLINE)).reason is Reason.TOKEN
        assert now() == 10

    play(act, token=hang)
