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

# Of an answer's body, and of its status line and headers.
MAX_BODY: Final = 1 << 20
_MAX_HEAD: Final = 16_384
_CHUNK: Final = 16_384
NO_HEADERS: Final[Mapping[str, str]] = {}


class CallError(Exception):
    """There was no answer that could be read. The message says why, for the operator."""


async def call(
    method: str,
    url: str,
    headers: Mapping[str, str] = NO_HEADERS,
    body: bytes | None = None,
    *,
    seconds: float,
    most: int = MAX_BODY,
) -> tuple[int, bytes]:
    """Send a request to an `http` or `https` URL; give the status and the body of the answer, of `most` bytes.

    Raises:
        CallError
    """
    try:
        place = urlsplit(url)
        async with asyncio.timeout(seconds):
            answer = await _ask(place, _request(method, place, headers, body), most + _MAX_HEAD)
        return _read(method, answer, most)
    except TimeoutError:
        raise CallError(f"no answer within {seconds:g} s") from None
    except (OSError, HTTPException, ValueError, OverflowError) as exc:
        # Of these the last one comes of a length that no memory could hold.
        raise CallError(f"{type(exc).__name__}: {exc}"[:200]) from None


async def _ask(place: SplitResult, request: bytes, most: int) -> bytes:
    if place.hostname is None:
        raise ValueError("the URL names no host")
    secure = place.scheme == "https"
    # To read the certificates of the world takes long, for a loop.
    context = await asyncio.to_thread(_trusted) if secure else None
    reader, writer = await asyncio.open_connection(place.hostname, place.port or (443 if secure else 80), ssl=context)
    try:
        writer.write(request)
        return await _all(reader, most)
    finally:
        # Nothing more is said: there is no need to wait for the other side's goodbye.
        writer.transport.abort()


@cache
def _trusted() -> ssl.SSLContext:
    return ssl.create_default_context()


def _request(method: str, place: SplitResult, headers: Mapping[str, str], body: bytes | None) -> bytes:
    path = (place.path or "/") + (f"?{place.query}" if place.query else "")
    sent = {
        "Host": place.netloc,
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "User-Agent": "stagewire",
        "Connection": "close",
        **({} if body is None else {"Content-Type": "application/json", "Content-Length": str(len(body))}),
        **headers,
    }
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items())]
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode("ascii") + (body or b"")


async def _all(reader: asyncio.StreamReader, most: int) -> bytes:
    answer = bytearray()
    while chunk := await reader.read(_CHUNK):
        answer += chunk
        if len(answer) > most:
            raise ValueError("the answer is too large")
    return bytes(answer)


class _Received:
    """What has been received, in place of a socket."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def makefile(self, _mode: str) -> BytesIO:
        """Give it as a file."""
        return BytesIO(self._answer)


def _read(method: str, answer: bytes, most: int) -> tuple[int, bytes]:
    response = HTTPResponse(cast("Any", _Received(answer)), method=method)
    response.begin()
    body = response.read()
    if len(body) > most:
        raise ValueError("the body is too large")
    return response.status, body
