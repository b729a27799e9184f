"""Fetches one small document over HTTP/1.1 (RFC 9112): asynchronously, with one deadline for all of it.

Redirects are not followed and no proxy is asked: whoever answers for the address that was set is believed, and nobody
else.
"""

import asyncio
import ssl
from http.client import HTTPException, HTTPResponse
from io import BytesIO
from typing import Any, Final, cast
from urllib.parse import SplitResult, urlsplit

# Beside the document: the status line and the headers.
_HEAD_BYTES: Final = 16_384
_CHUNK: Final = 16_384


class FetchError(Exception):
    """There is no such document now. The message says why, for the operator."""


async def fetch(url: str, *, timeout: float, limit: int) -> bytes:  # noqa: ASYNC109 - it is a part of the contract
    """Give the document at an `http` or `https` URL: of `limit` bytes at most, within `timeout` seconds.

    Raises:
        FetchError
    """
    place = urlsplit(url)
    try:
        async with asyncio.timeout(timeout):
            answer = await _ask(place, limit + _HEAD_BYTES)
        return _document(answer, limit)
    except TimeoutError:
        raise FetchError(f"no answer within {timeout:g} s") from None
    except (OSError, HTTPException, ValueError) as exc:
        raise FetchError(f"{type(exc).__name__}: {exc}"[:200]) from None


async def _ask(place: SplitResult, limit: int) -> bytes:
    assert place.hostname is not None
    secure = place.scheme == "https"
    # It reads the certificates of all authorities from a file.
    context = await asyncio.to_thread(ssl.create_default_context) if secure else None
    reader, writer = await asyncio.open_connection(place.hostname, place.port or (443 if secure else 80), ssl=context)
    try:
        writer.write(_request(place))
        return await _all(reader, limit)
    finally:
        # Nothing more is said: there is no need to wait for the other side's goodbye.
        writer.transport.abort()


def _request(place: SplitResult) -> bytes:
    path = (place.path or "/") + (f"?{place.query}" if place.query else "")
    lines = (
        f"GET {path} HTTP/1.1",
        f"Host: {place.netloc}",
        "Accept: application/json",
        "Accept-Encoding: identity",
        "User-Agent: stagewire",
        "Connection: close",
    )
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode("ascii")


async def _all(reader: asyncio.StreamReader, limit: int) -> bytes:
    answer = bytearray()
    while chunk := await reader.read(_CHUNK):
        answer += chunk
        if len(answer) > limit:
            raise ValueError("the answer is too large")
    return bytes(answer)


class _Received:
    """What has been received, in place of a socket."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def makefile(self, _mode: str) -> BytesIO:
        """Give it as a file."""
        return BytesIO(self._answer)


def _document(answer: bytes, limit: int) -> bytes:
    response = HTTPResponse(cast("Any", _Received(answer)))
    response.begin()
    if response.status != 200:  # noqa: PLR2004 - the number is the name
        raise ValueError(f"status {response.status}")
    document = response.read()
    if len(document) > limit:
        raise ValueError("the document is too large")
    return document
