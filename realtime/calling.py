"""Asks another server over HTTP/1.1 (RFC 9112): asynchronously, with one deadline for all of it.

No redirect is followed and no proxy asked: whoever answers for the address that was set is believed, and nobody else.
"""

import asyncio
import ssl
from collections.abc import Mapping
from functools import cache
from http.client import HTTPException, HTTPResponse
from io import BytesIO
from typing import Any, Final, cast
from urllib.parse import SplitResult, urlsplit

# Of an answer, its status line and headers included.
MAX_ANSWER: Final = 1 << 20
_CHUNK: Final = 16_384


class CallError(Exception):
    """There was no answer that could be read. The message says why, for the operator."""


async def call(method: str, url: str, headers: Mapping[str, str], body: bytes, seconds: float) -> tuple[int, bytes]:
    """Send a request to an `http` or `https` URL; give the status and the body of the answer, of 1 MiB at most.

    Raises:
        CallError
    """
    place = urlsplit(url)
    try:
        async with asyncio.timeout(seconds):
            answer = await _ask(place, _request(method, place, headers, body))
        return _read(method, answer)
    except TimeoutError:
        raise CallError(f"no answer within {seconds:g} s") from None
    except (OSError, HTTPException, ValueError) as exc:
        raise CallError(f"{type(exc).__name__}: {exc}"[:200]) from None


async def _ask(place: SplitResult, request: bytes) -> bytes:
    assert place.hostname is not None
    secure = place.scheme == "https"
    # To read the certificates of the world takes long, for a loop.
    context = await asyncio.to_thread(_trusted) if secure else None
    reader, writer = await asyncio.open_connection(place.hostname, place.port or (443 if secure else 80), ssl=context)
    try:
        writer.write(request)
        return await _all(reader)
    finally:
        # Nothing more is said: there is no need to wait for the other side's goodbye.
        writer.transport.abort()


@cache
def _trusted() -> ssl.SSLContext:
    return ssl.create_default_context()


def _request(method: str, place: SplitResult, headers: Mapping[str, str], body: bytes) -> bytes:
    path = (place.path or "/") + (f"?{place.query}" if place.query else "")
    fixed = {
        "Host": place.netloc,
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "User-Agent": "stagewire",
        "Connection": "close",
    }
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in {**fixed, **headers}.items())]
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode("ascii") + body


async def _all(reader: asyncio.StreamReader) -> bytes:
    answer = bytearray()
    while chunk := await reader.read(_CHUNK):
        answer += chunk
        if len(answer) > MAX_ANSWER:
            raise ValueError("the answer is too large")
    return bytes(answer)


class _Received:
    """What has been received, in place of a socket."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def makefile(self, _mode: str) -> BytesIO:
        """Give it as a file."""
        return BytesIO(self._answer)


def _read(method: str, answer: bytes) -> tuple[int, bytes]:
    response = HTTPResponse(cast("Any", _Received(answer)), method=method)
    response.begin()
    return response.status, response.read()
