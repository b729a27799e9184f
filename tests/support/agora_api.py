"""A server that speaks Agora's kicking rules, and does what one could make of them."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

AUTHORIZATION = "Basic aWQ6c2VjcmV0"
CREDENTIALS = {"agora_customer_id": "id", "agora_customer_secret": "secret"}


class AgoraApi:
    """The rules that stand, and all calls; the first answers may be other ones, raw."""

    def __init__(self) -> None:
        self.url = ""
        self.rules: dict[int, dict[str, Any]] = {}
        self.calls: list[tuple[str, Any]] = []
        self.spoilt: list[bytes | None] = []
        self._changed = asyncio.Condition()

    def of(self, session: str, uid: int | None = None) -> list[list[str]]:
        """Give what is forbidden to a user in a channel, or to all in it, rule by rule."""
        return [r["privileges"] for r in self.rules.values() if (r["cname"], r.get("uid")) == (session, uid)]

    async def until_called(self, calls: int) -> None:
        """Wait for so many calls in all."""
        async with asyncio.timeout(10), self._changed:
            await self._changed.wait_for(lambda: len(self.calls) >= calls)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one call."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii")
        start, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        body = await reader.readexactly(int(headers["content-length"]))
        method, target, _ = start.split(" ")
        answer = self._answer(method, target, headers, body)
        if answer is None:
            # Silence, until the caller gives up.
            await reader.read()
        else:
            writer.write(answer)
        writer.close()
        async with self._changed:
            self._changed.notify_all()

    def _answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> bytes | None:
        place = urlsplit(target)
        said = json.loads(body) if body else parse_qs(place.query)
        self.calls.append((method, said))
        if self.spoilt:
            return self.spoilt.pop(0)
        if headers["authorization"] != AUTHORIZATION or place.path != "/dev/v1/kicking-rule":
            return http(401, {"message": "Unauthorized"})
        if method == "DELETE" and said["id"] not in self.rules:
            return http(404, {"message": "Not found"})
        return http(200, {"status": "success", **self._obey(method, said)})

    def _obey(self, method: str, said: dict[str, Any]) -> dict[str, Any]:
        if method == "POST":
            rule = len(self.calls)
            self.rules[rule] = said
            return {"id": rule}
        if method == "DELETE":
            del self.rules[said["id"]]
            return {"id": said["id"]}
        return {"rules": [{"id": rule, **about} for rule, about in self.rules.items()]}


def http(status: int, said: Any) -> bytes:
    """Give an answer as bytes."""
    body = json.dumps(said).encode()
    return f"HTTP/1.1 {status} x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@asynccontextmanager
async def agora_api() -> AsyncIterator[AgoraApi]:
    """Serve on a free port."""
    api = AgoraApi()
    server = await asyncio.start_server(api.serve, "127.0.0.1", 0)
    api.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield api
    finally:
        server.close()
        await server.wait_closed()
