"""One small document over HTTP: from servers that answer well, badly, too much, slowly, or not at all."""

import asyncio
import time
from pathlib import Path

import pytest

from realtime.fetching import FetchError, fetch
from tests.support.certificates import self_signed
from tests.support.issuers import publishing

LIMIT = 1000


async def test_a_document_is_fetched() -> None:
    async with publishing() as publisher:
        publisher.say(b"it")
        assert await fetch(publisher.url, timeout=5, limit=LIMIT) == b"it"
        [request] = publisher.asked
        assert request.startswith(b"GET /keys?v=1 HTTP/1.1\r\n")
        assert f"\r\nHost: 127.0.0.1:{publisher.port}\r\n".encode() in request


async def test_a_document_may_come_in_chunks() -> None:
    async with publishing() as publisher:
        publisher.answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nit\r\n3\r\n is\r\n0\r\n\r\n"
        assert await fetch(publisher.url, timeout=5, limit=LIMIT) == b"it is"


async def test_a_document_comes_by_tls_from_a_server_that_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, context = self_signed(tmp_path)
    async with publishing(context=context) as publisher:
        publisher.say(b"it")
        with pytest.raises(FetchError, match="CERTIFICATE_VERIFY_FAILED"):
            await fetch(publisher.url, timeout=5, limit=LIMIT)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert await fetch(publisher.url, timeout=5, limit=LIMIT) == b"it"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "RemoteDisconnected"),
        (b"SSH-2.0-OpenSSH\r\n", "BadStatusLine"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nit", "IncompleteRead"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nit", "IncompleteRead"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nit", "status 404"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", "status 302"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "status 204"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (LIMIT + 1), "the document is too large"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1_000_000, "the answer is too large"),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n", "HTTPException"),
    ],
)
async def test_an_answer_that_is_none_is_an_error(answer: bytes, reason: str) -> None:
    async with publishing() as publisher:
        publisher.answer = answer
        with pytest.raises(FetchError, match=reason):
            await fetch(publisher.url, timeout=5, limit=LIMIT)


async def test_a_document_of_the_limit_is_fetched() -> None:
    async with publishing() as publisher:
        publisher.say(b"x" * LIMIT)
        assert len(await fetch(publisher.url, timeout=5, limit=LIMIT)) == LIMIT


async def test_whoever_does_not_answer_is_not_waited_for() -> None:
    async with publishing() as publisher:
        publisher.gate.clear()
        began = time.monotonic()
        with pytest.raises(FetchError, match=r"no answer within 0\.2 s"):
            await fetch(publisher.url, timeout=0.2, limit=LIMIT)
        assert time.monotonic() - began < 2


async def test_nobody_there_is_an_error() -> None:
    async with publishing() as publisher:
        url = publisher.url
    with pytest.raises(FetchError, match="ConnectionRefusedError"):
        await fetch(url, timeout=5, limit=LIMIT)


async def test_a_fetch_can_be_cancelled() -> None:
    async with publishing() as publisher:
        publisher.gate.clear()
        task = asyncio.create_task(fetch(publisher.url, timeout=5, limit=LIMIT))
        await publisher.until_asked()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
