"""What comes back when another server is asked: one that answers well, badly, too much, slowly, or not at all."""

import asyncio
import time
from pathlib import Path

import pytest

from realtime import calling
from realtime.calling import CallError, call
from tests.support.certificates import self_signed
from tests.support.issuers import publishing

MOST = 1000


async def test_a_request_is_sent_as_it_was_given() -> None:
    async with publishing() as server:
        server.say(b"{}")
        asked = await call("DELETE", server.url, {"Authorization": "Basic x"}, b"body", seconds=5)
        assert asked == (200, b"{}")
    head, _, body = server.asked[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert (lines[0], body) == ("DELETE /keys?v=1 HTTP/1.1", b"body")
    assert {"Authorization: Basic x", "Content-Length: 4", f"Host: 127.0.0.1:{server.port}"} <= set(lines)


async def test_who_only_asks_sends_no_body() -> None:
    async with publishing() as server:
        await call("GET", server.url, seconds=5)
    assert b"Content-" not in server.asked[0]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 503 Busy\r\n\r\nlater", (503, b"later")),
        (b"HTTP/1.1 204 No Content\r\n\r\n", (204, b"")),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", (302, b"")),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n", (200, b"{}")),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * MOST, (200, b"x" * MOST)),
    ],
    ids=["an error", "nothing to say", "another place", "in chunks", "as much as may be"],
)
async def test_any_answer_is_given(answer: bytes, expected: tuple[int, bytes]) -> None:
    async with publishing() as server:
        server.answer = answer
        assert await call("GET", server.url, seconds=5, most=MOST) == expected


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "RemoteDisconnected"),
        (b"SSH-2.0-OpenSSH\r\n", "BadStatusLine"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nit", "IncompleteRead"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 30 + b"\r\n\r\nit", "OverflowError"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nit", "IncompleteRead"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 30 + b"\r\nit", "OverflowError"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (MOST + 1), "the body is too large"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1_000_000, "the answer is too large"),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 1000 + b"\r\n", "HTTPException"),
    ],
    ids=[
        "nothing",
        "no HTTP",
        "cut",
        "a length beyond all",
        "no chunks",
        "a chunk beyond all",
        "a bit too much",
        "far too much",
        "too many headers",
    ],
)
async def test_what_is_no_answer(answer: bytes, reason: str) -> None:
    async with publishing() as server:
        server.answer = answer
        with pytest.raises(CallError, match=reason):
            await call("GET", server.url, seconds=5, most=MOST)


async def test_whoever_does_not_answer_is_not_waited_for() -> None:
    async with publishing() as server:
        server.gate.clear()
        began = time.monotonic()
        with pytest.raises(CallError, match=r"no answer within 0\.2 s"):
            await call("GET", server.url, seconds=0.2)
        assert time.monotonic() - began < 2


async def test_nobody_is_there() -> None:
    async with publishing() as server:
        url = server.url
    with pytest.raises(CallError, match="Refused"):
        await call("GET", url, seconds=5)


@pytest.mark.parametrize("url", ["https://:443/keys", "https://[::1/keys", "https://127.0.0.1:x/keys", "http://ä/keys"])
async def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(CallError, match=r"\w+Error: "):
        await call("GET", url, seconds=5)


async def test_a_call_can_be_cancelled() -> None:
    async with publishing() as server:
        server.gate.clear()
        task = asyncio.create_task(call("GET", server.url, seconds=5))
        await server.until_asked()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_nothing_is_said_to_whom_nobody_vouches_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, context = self_signed(tmp_path)
    async with publishing(context=context) as server:
        server.say(b"{}")
        with pytest.raises(CallError, match="CERTIFICATE_VERIFY_FAILED"):
            await call("GET", server.url, {"Authorization": "Basic x"}, seconds=5)
        assert server.asked == []
        # The certificates of the world are read once; here they are others.
        calling._trusted.cache_clear()
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        try:
            assert await call("GET", server.url, seconds=5) == (200, b"{}")
        finally:
            calling._trusted.cache_clear()
