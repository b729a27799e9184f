"""A chat room on websockets' own asyncio server: `python -m bench.peers.websockets_room PORT`.

Each message is encoded once and given to all by `broadcast`, which frames it for each connection.
"""

import sys
from time import time
from typing import Any

import msgspec
import uvloop
from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosed


class Room:
    """Who is there, and how much was said."""

    def __init__(self) -> None:
        self._members: set[ServerConnection] = set()
        self._seq = 0

    async def talk(self, connection: ServerConnection) -> None:
        """Serve one connection for as long as it lives."""
        try:
            async for message in connection:
                await self._take(connection, msgspec.json.decode(message))
        except ConnectionClosed:
            pass
        finally:
            self._members.discard(connection)

    async def _take(self, connection: ServerConnection, message: dict[str, Any]) -> None:
        if message["type"] == "join":
            self._members.add(connection)
            await connection.send('{"type":"joined"}')
            return
        self._seq += 1
        event = {
            "type": "event",
            "seq": self._seq,
            "at": int(time() * 1000),
            "user": message["user"],
            "text": message["text"],
        }
        broadcast(self._members, msgspec.json.encode(event), text=True)


async def main(port: int) -> None:
    """Serve until the process is ended."""
    async with serve(Room().talk, "127.0.0.1", port, compression=None, ping_interval=None, backlog=4096) as server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
