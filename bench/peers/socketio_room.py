"""A chat room on python-socketio and uvicorn: `python -m bench.peers.socketio_room PORT`.

`emit` to a room encodes a message once. Events of one connection are handled in turn, which spares a task for each.
"""

import sys
from time import time
from typing import Any

import socketio
import uvicorn

ROOM = "bench"
# Longer than any run: heartbeats are not what is measured.
NEVER = 3600


def room() -> Any:
    """Give the application."""
    server = socketio.AsyncServer(
        async_mode="asgi", transports=["websocket"], async_handlers=False, ping_interval=NEVER, ping_timeout=NEVER
    )
    said = 0

    @server.event  # type: ignore[untyped-decorator] # python-socketio has no types
    async def join(sid: str) -> str:
        await server.enter_room(sid, ROOM)
        return "joined"

    @server.event  # type: ignore[untyped-decorator] # python-socketio has no types
    async def chat(_sid: str, message: dict[str, Any]) -> None:
        nonlocal said
        said += 1
        at = int(time() * 1000)
        event = {"type": "event", "seq": said, "at": at, "user": message["user"], "text": message["text"]}
        await server.emit("event", event, room=ROOM)

    return socketio.ASGIApp(server)


def main(port: int) -> None:
    """Serve until the process is ended."""
    uvicorn.run(
        room(),
        host="127.0.0.1",
        port=port,
        loop="uvloop",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        ws_ping_interval=None,
        backlog=4096,
        lifespan="off",
        access_log=False,
        log_level="warning",
    )


if __name__ == "__main__":
    main(int(sys.argv[1]))
