"""How a client comes and comes back, in virtual time."""

import asyncio
import logging
from random import Random

import pytest

from stagewire_client import Failed, Reason, Stagewire, StagewireError, State, Status
from tests.clients.python import virtual
from tests.clients.python.playing import now, play, until
from tests.clients.python.scripted import SESSION, Message, Server, Socket, client


def test_it_goes_from_connecting_to_online_and_ends_when_it_is_closed() -> None:
    told: list[Status] = []

    async def act(_server: Server, live: Stagewire) -> None:
        async def collect() -> None:
            told.extend([status async for status in statuses])

        statuses = live.statuses()
        collecting = asyncio.create_task(collect())
        assert live.status == Status(state=State.OFFLINE, reason=Reason.IDLE)
        await live.connect()
        assert live.user == "alice"
        assert live.now == int(now() * 1000)
        await live.close()
        await live.close()
        await collecting

    server = play(act)
    assert [status.state for status in told] == [State.CONNECTING, State.ONLINE, State.OFFLINE]
    assert told[-1].reason is Reason.IDLE
    [hello] = server.heard
    assert {name: hello[name] for name in ("token", "client", "now")} == {
        "token": "a token", "client": "stagewire-python/0.1.0", "now": 50,
    }  # fmt: skip


def test_it_says_which_device_it_is_where_it_is_told() -> None:
    async def act(_server: Server, live: Stagewire) -> None:
        await live.connect()

    assert play(act, device="the kitchen").heard[0]["device"] == "the kitchen"


def test_it_waits_longer_with_every_failure_and_says_when_it_lasts() -> None:
    async def act(server: Server, live: Stagewire) -> None:
        statuses = live.statuses()
        server.reachable = False
        told = [await until(statuses, State.OFFLINE) for _ in range(8)]
        assert {status.reason for status in told} == {Reason.UNREACHABLE}
        assert [status.lasting for status in told] == [False] * 3 + [True] * 5
        assert all(status.retry_in <= min(20, 0.5 * 2**n) for n, status in enumerate(told))
        assert max(status.retry_in for status in told) > 4
        # Whoever asks for it does not wait.
        began = now()
        server.reachable = True
        live.retry()
        await live.connect()
        assert now() - began < 0.1

    play(act)


def test_it_waits_for_as_long_as_a_full_server_asks_for() -> None:
    async def act(server: Server, live: Stagewire) -> None:
        server.reachable, server.retry_after = False, 33.0
        assert (await until(live.statuses(), State.OFFLINE)).retry_in == 33

    play(act)


def test_a_dial_that_hangs_is_given_up() -> None:
    async def act(server: Server, live: Stagewire) -> None:
        server.takes_calls.clear()
        await until(live.statuses(), State.OFFLINE)
        assert now() == 10

    play(act)


def test_a_drain_that_told_the_moment_is_followed_at_once() -> None:
    async def act(server: Server, live: Stagewire) -> None:
        await live.connect()
        statuses = live.statuses()
        for socket in list(server.sockets):
            socket.say(type="drain", reconnect_in_ms=1200, deadline_ms=20000)
        server.drop(4000)
        status = await until(statuses, State.OFFLINE)
        assert (status.reason, status.retry_in, status.close_code) == (Reason.DRAIN, 0, 4000)
        await until(statuses, State.ONLINE)

    play(act)


@pytest.mark.parametrize("code", [4400, 4401, 4403, 4409, 4429, 4999])
def test_a_final_close_is_a_failure_until_somebody_tries_again(code: int) -> None:
    async def act(server: Server, live: Stagewire) -> None:
        await live.connect()
        statuses = live.statuses()
        server.drop(code)
        status = await until(statuses, State.FAILED)
        assert status.lasting
        assert status.sentence
        with pytest.raises(Failed) as failed:
            await live.join(SESSION)
        assert failed.value.status == status
        await asyncio.sleep(1000)
        assert len(server.dialled) == 1
        live.retry()
        await until(statuses, State.ONLINE)
        await live.join(SESSION)

    play(act)


def test_a_refused_hello_says_when_to_come_back() -> None:
    def refuse(socket: Socket, command: Message) -> bool:
        error = {"code": "unavailable", "message": "no", "retry_after_ms": 44_000}
        socket.say(type="error", re=command["id"], **error)
        socket.cut(4003)
        return False

    async def act(server: Server, live: Stagewire) -> None:
        server.answers_hello = refuse
        status = await until(live.statuses(), State.OFFLINE)
        assert (status.reason, status.retry_in) == (Reason.UNAVAILABLE, 44)

    play(act)


def test_a_server_that_refuses_and_does_not_close_is_left() -> None:
    def refuse(socket: Socket, command: Message) -> bool:
        socket.say(type="error", re=command["id"], code="internal", message="no")
        return False

    async def act(server: Server, live: Stagewire) -> None:
        server.answers_hello = refuse
        await until(live.statuses(), State.OFFLINE)
        assert now() == pytest.approx(2.05)

    play(act)


def test_a_server_that_does_not_answer_hello_is_left() -> None:
    async def act(server: Server, live: Stagewire) -> None:
        server.answers_hello = lambda _socket, _command: False
        assert (await until(live.statuses(), State.OFFLINE)).reason is Reason.SILENT
        assert now() == pytest.approx(10.05)

    play(act)


def test_silence_degrades_a_connection_and_then_ends_it() -> None:
    async def act(server: Server, live: Stagewire) -> None:
        await live.connect()
        began, statuses = now(), live.statuses()
        server.stall()
        assert (await until(statuses, State.DEGRADED)).reason is Reason.POOR_QUALITY
        assert now() - began == pytest.approx(25)
        assert (await until(statuses, State.OFFLINE)).reason is Reason.SILENT
        assert now() - began == pytest.approx(45)
        await until(statuses, State.ONLINE)

    play(act)


def test_a_sign_of_life_makes_it_good_again() -> None:
    async def act(server: Server, live: Stagewire) -> None:
        await live.connect()
        statuses = live.statuses()
        server.stall()
        await until(statuses, State.DEGRADED)
        for socket in server.sockets:
            socket.flows = True
        began = now()
        await until(statuses, State.ONLINE)
        assert now() - began < 20
        assert len(server.dialled) == 1

    play(act)


def test_the_servers_word_degrades_a_connection() -> None:
    async def act(server: Server, live: Stagewire) -> None:
        await live.connect()
        statuses = live.statuses()
        for quality, state in (("poor", State.DEGRADED), ("fair", State.ONLINE)):
            for socket in server.sockets:
                socket.say(type="quality", quality=quality, rtt_ms=500)
            await until(statuses, state)
        assert live.quality is not None
        assert (live.quality.quality, live.quality.rtt_ms) == ("fair", 500)

    play(act)


def test_each_attempt_may_go_elsewhere() -> None:
    urls = iter("abc")

    async def act(server: Server, live: Stagewire) -> None:
        statuses = live.statuses()
        await until(statuses, State.ONLINE)
        for _ in range(2):
            server.drop(1006)
            await until(statuses, State.ONLINE)

    assert play(act, url=lambda: next(urls)).dialled == ["a", "b", "c"]


def test_a_defect_is_told_and_raised_at_the_end() -> None:
    async def act(_server: Server, live: Stagewire) -> None:
        def broken(_: object) -> None:
            raise ZeroDivisionError

        live._connection._told = broken
        statuses = live.statuses()
        assert (await until(statuses, State.FAILED)).reason is Reason.DEFECT
        with pytest.raises(Failed):
            await live.connect()

    with pytest.raises(ExceptionGroup) as raised:
        play(act)
    assert raised.group_contains(ZeroDivisionError)


def test_whoever_closes_while_it_connects_need_not_wait() -> None:
    async def act(server: Server, live: Stagewire) -> None:
        server.flows = False
        await asyncio.sleep(0.1)
        await live.close()
        assert now() < 3

    play(act)


def test_asking_for_a_retry_while_it_is_online_changes_nothing() -> None:
    async def act(server: Server, live: Stagewire) -> None:
        await live.connect()
        live.retry()
        await asyncio.sleep(1)
        server.reachable = False
        statuses = live.statuses()
        server.drop(1006)
        lost = now()
        waits = (await until(statuses, State.OFFLINE)).retry_in
        await until(statuses, State.CONNECTING)
        assert now() - lost == pytest.approx(waits)
        assert waits > 0

    play(act)


def test_who_came_too_often_comes_back() -> None:
    async def act(server: Server, live: Stagewire) -> None:
        def refuse(socket: Socket, command: Message) -> bool:
            error = {"code": "rate_limited", "message": "too many connections", "retry_after_ms": 3000}
            socket.say(type="error", re=command["id"], **error)
            socket.cut(4429)
            return False

        server.answers_hello = refuse
        status = await until(live.statuses(), State.OFFLINE)
        assert (status.reason, status.retry_in) == (Reason.FLOOD, 3)
        server.answers_hello = lambda _socket, _command: True
        await live.connect()

    play(act)


def test_a_url_that_cannot_be_had_is_asked_for_again(caplog: pytest.LogCaptureFixture) -> None:
    urls = iter(["a", "b"])

    def url() -> str:
        if not caplog.records:
            raise KeyError("out of order")
        return next(urls)

    async def act(_server: Server, live: Stagewire) -> None:
        assert (await until(live.statuses(), State.OFFLINE)).reason is Reason.UNREACHABLE
        await live.connect()

    with caplog.at_level(logging.ERROR, "stagewire_client"):
        assert play(act, url=url).dialled == ["a"]


def test_it_may_be_closed_by_several_and_by_those_who_do_not_wait_for_it() -> None:
    async def act(server: Server, live: Stagewire) -> None:
        server.flows = False
        await asyncio.sleep(0.1)
        hasty = asyncio.create_task(live.close())
        await asyncio.sleep(0.1)
        hasty.cancel()
        await asyncio.gather(live.close(), live.close())
        assert live.status.reason is Reason.IDLE
        # Nothing is left but the heart of the server, and this.
        assert len(asyncio.all_tasks()) == 2

    play(act)


def test_asking_to_connect_begins_it_and_only_once() -> None:
    async def act() -> None:
        server = Server()
        live = client(server, Random(1))
        await asyncio.gather(live.connect(), live.connect())
        live.open()
        await live.close()
        assert len(server.dialled) == 1
        with pytest.raises(StagewireError, match="closed"):
            await live.connect()

    virtual.run(act())
