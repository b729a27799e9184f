"""Sessions with many messages, which nobody has to type."""

import json
from collections.abc import Mapping
from uuid import uuid4

import httpx
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.support.servers import DevServer

# What is not read yet is kept for the sender up to a bound, after which it is sent away.
AT_ONCE = 100


def dev_token(server: DevServer, user: str, role: str) -> str:
    """Have an access token minted."""
    token: str = httpx.post(f"{server.url}/dev/token", json={"user": user, "role": role}).json()["token"]
    return token


def a_long_talk(server: DevServer, length: int) -> str:
    """Create a session with so many messages, and give its id."""
    headers = {"Authorization": f"Bearer {dev_token(server, 'alice', 'seller')}"}
    session: str = httpx.post(f"{server.url}/v1/sessions", json={"title": "Long"}, headers=headers).json()["id"]
    go_on(server, session, range(length))
    return session


def go_on(server: DevServer, session: str, numbers: range) -> None:
    """Have alice write messages with these numbers."""
    messages = [{"type": "chat.send", "text": f"Message {number}"} for number in numbers]
    carry_out(server, dev_token(server, "alice", "seller"), session, *messages)


def carry_out(server: DevServer, token: str, session: str, *wanted: Mapping[str, object]) -> None:
    """Have commands carried out that change a session's log, on a connection of their own."""
    with connect(server.websocket, subprotocols=[Subprotocol("stagewire.v1.json")]) as socket:
        socket.send(json.dumps({"id": 1, "type": "hello", "token": token}))
        socket.send(json.dumps({"id": 2, "type": "join", "session": session}))
        for begin in range(0, len(wanted), AT_ONCE):
            _carry_out(socket, session, wanted[begin : begin + AT_ONCE])


def _carry_out(socket: ClientConnection, session: str, wanted: tuple[Mapping[str, object], ...]) -> None:
    keys = [str(uuid4()) for _ in wanted]
    for key, command in zip(keys, wanted, strict=True):
        socket.send(json.dumps({"id": 3, "session": session, "key": key, **command}))
    # Nothing may be left unread, which would hold up the close: the last event comes after all answers.
    while not ((message := json.loads(socket.recv(10)))["type"] == "event" and message["key"] == keys[-1]):
        pass
