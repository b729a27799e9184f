"""Peers that take their time, or vanish: how long they are waited for, what they cost, and who notices."""

import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
import psutil
import pytest

from tests.hostile.attacker import Attacker, identified
from tests.hostile.conftest import Stage
from tests.hostile.test_http import bearer, get, said
from tests.support.frames import TEXT, frame, request
from tests.support.processes import wait_until

# Bytes that one half-open socket may cost the server.
COST = 32_768
MANY = 1500
# And one that has sent as much of its handshake as it may.
LONG_COST = 65_536
LONG = 400
WAIT = 2.0


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    return {
        "STAGEWIRE_HELLO_TIMEOUT": "2",
        "STAGEWIRE_HTTP_TIMEOUT": "2",
        "STAGEWIRE_CLOSE_TIMEOUT": "1",
        "STAGEWIRE_SLOW_TIMEOUT": "2",
        "STAGEWIRE_MAX_OUTGOING": "131072",
    }


def sockets_of(stage: Stage) -> int:
    return len(psutil.Process(stage.node.process.pid).net_connections("tcp"))


@contextmanager
def many(port: int, first: bytes, count: int = MANY) -> Iterator[list[socket.socket]]:
    """Open sockets from several addresses, and say the same on each."""
    with ExitStack() as stack:
        opened = []
        for n in range(count):
            peer = socket.create_connection(
                ("127.0.0.1", port), timeout=10, source_address=(f"127.0.1.{n % 200 + 1}", 0)
            )
            stack.callback(peer.close)
            peer.sendall(first)
            opened.append(peer)
        yield opened


HALF = b"GET /v1/ws HTTP/1.1\r\nHost: a\r\nX: "


@pytest.mark.parametrize("first", [b"", HALF, request()], ids=["silent", "half", "whole"])
def test_thousands_of_half_open_sockets_are_let_go(stage: Stage, first: bytes) -> None:
    """Nothing, half a handshake, or a whole one and no hello."""
    before = sockets_of(stage)
    rss = psutil.Process(stage.node.process.pid).memory_info().rss
    began = time.monotonic()
    with many(stage.node.websocket_port, first):
        wait_until(lambda: stage.node.status("/healthz") == 200)
        grown = psutil.Process(stage.node.process.pid).memory_info().rss - rss
        assert grown < MANY * COST
        wait_until(lambda: sockets_of(stage) <= before + 2, within=20)
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    "first",
    [HALF + b"y" * 7000 + b"\r\nX: " + b"y" * 8000, HALF + b"y\r\n" + b"X: y\r\n" * 120, (HALF + b"y" * 8000) * 10],
    ids=["two lines", "many lines", "too much"],
)
def test_half_a_long_handshake_costs_little(stage: Stage, first: bytes) -> None:
    rss = psutil.Process(stage.node.process.pid).memory_info().rss
    with many(stage.node.websocket_port, first, LONG):
        wait_until(lambda: stage.node.status("/healthz") == 200)
        assert psutil.Process(stage.node.process.pid).memory_info().rss - rss < LONG * LONG_COST


@pytest.mark.parametrize("first", [b"", b"GET / HTTP/1.1\r\nHost: a\r\nX: "], ids=["silent", "half"])
def test_the_side_api_lets_half_open_sockets_go_too(stage: Stage, first: bytes) -> None:
    before = sockets_of(stage)
    with many(stage.node.http_port, first):
        wait_until(lambda: sockets_of(stage) <= before + 2, within=20)


def drip(attacker: Attacker, data: bytes, pause: float = 0.1, within: float = 10.0) -> float:
    """Send byte by byte until the server has had enough; give the seconds until then."""
    began = time.monotonic()
    attacker.socket.settimeout(pause)
    for byte in data * 1000:
        attacker.send(bytes([byte]))
        try:
            if attacker.socket.recv(1, socket.MSG_PEEK) == b"":
                return time.monotonic() - began
        except TimeoutError:
            assert time.monotonic() - began < within
            continue
        except ConnectionResetError:
            pass
        return time.monotonic() - began
    raise AssertionError


def test_a_handshake_byte_by_byte(stage: Stage) -> None:
    with Attacker(stage.node.websocket_port) as attacker:
        attacker.send(b"GET /v1/ws HTTP/1.1\r\n")
        assert drip(attacker, b"X: y\r\n") < WAIT + 3


def test_a_hello_byte_by_byte(stage: Stage) -> None:
    with Attacker(stage.node.websocket_port) as attacker:
        attacker.shake_hands()
        assert drip(attacker, frame(TEXT, b" " * 16_000)) < WAIT + 3
        attacker.socket.settimeout(10)
        assert list(attacker.messages()) == [4408]


def test_a_request_byte_by_byte(stage: Stage) -> None:
    with Attacker(stage.node.http_port) as attacker:
        attacker.send(b"GET / HTTP/1.1\r\n")
        assert drip(attacker, b"X: y\r\n") < WAIT + 3
        attacker.socket.settimeout(10)
        assert attacker.response() == (408, None)
        assert attacker.rest() == b""


def test_a_second_request_byte_by_byte(stage: Stage) -> None:
    with Attacker(stage.node.http_port) as attacker:
        attacker.send(get("/v1/sessions"))
        assert attacker.response()[0] == 200
        attacker.send(b"GET / HTTP/1.1\r\n")
        assert drip(attacker, b"X: y\r\n") < WAIT + 3


def test_a_body_byte_by_byte(stage: Stage) -> None:
    with Attacker(stage.node.http_port) as attacker:
        attacker.send(
            said("POST /v1/sessions HTTP/1.1", bearer(), "Content-Type: application/json", "Content-Length: 50000")
        )
        assert drip(attacker, b" ") < WAIT + 3
        attacker.socket.settimeout(10)
        assert attacker.response() == (400, "bad_request")
        # The rest of the body is not waited for, either.
        assert drip(attacker, b" ") < WAIT + 3


def test_who_does_not_read_responses(stage: Stage) -> None:
    before = sockets_of(stage)
    with many(stage.node.http_port, get("/studio/session.js") * 200, count=20):
        wait_until(lambda: sockets_of(stage) <= before + 2, within=20)


def test_who_asks_and_never_reads(stage: Stage) -> None:
    before = closed_as_slow(stage)
    with identified(stage.node.websocket_port) as attacker:
        attacker.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        attacker.socket.settimeout(1)
        # It is not read any more, as it does not read.
        with pytest.raises(TimeoutError):
            ask_on(attacker, stage.session)
        wait_until(lambda: closed_as_slow(stage) > before, within=20)


def ask_on(attacker: Attacker, session: str) -> None:
    """Ask for answers that are longer than the questions, more than all buffers on the way could hold."""
    for _ in range(1000):
        attacker.send(attacker.wrap(b'{"type":"join","id":1,"session":"%b"}' % session.encode()) * 100)


def closed_as_slow(stage: Stage) -> float:
    """Count the connections that were closed with 4001."""
    metrics = httpx.get(f"{stage.node.http}/metrics").text
    found = re.search(r'^stagewire_closes_total\{code="4001"\} (.+)$', metrics, re.MULTILINE)
    return float(found[1]) if found else 0.0


@pytest.mark.parametrize("cut", [1, 5, 100])
def test_who_vanishes_within_a_frame(stage: Stage, cut: int) -> None:
    before = sockets_of(stage)
    for _ in range(50):
        with identified(stage.node.websocket_port) as attacker:
            attacker.say(type="join", id=1, session=stage.session)
            attacker.send(frame(TEXT, b"x" * 10_000)[:cut])
            attacker.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    wait_until(lambda: sockets_of(stage) <= before, within=20)


def test_a_frame_that_never_ends_holds_nobody_up(stage: Stage) -> None:
    with identified(stage.node.websocket_port) as attacker:
        attacker.send(bytes([0x81, 0xFE]) + (16_000).to_bytes(2, "big") + b"mask")
        stage.bystander.check()
