"""P8: no interleaving of joins, leaves, sends and errors leaks anything to one who may not see it."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.protocol.codec import Format
from tests.properties.effort import tried
from tests.properties.world import PATIENCE, World
from tests.support.nodes import Client, Message, token
from tokens.access import AccessRole

pytestmark = pytest.mark.timeout(300)
SESSIONS = 2
# The last one knows no session's secrets: it never joins any.
USERS = ["bob", "eve", "bob", "stranger"]
STRANGER = 3
WHO, WHERE = st.integers(0, len(USERS) - 1), st.integers(0, SESSIONS - 1)
WHAT = ["join", "join", "resume elsewhere", "leave", "send", "send", "edit", "delete", "typing", "history", "malformed"]
STEPS = st.lists(st.tuples(st.sampled_from(WHAT), WHO, WHERE), min_size=10, max_size=40)
NAMES = {"send": "chat.send", "edit": "chat.edit", "delete": "chat.delete", "typing": "typing"}


class Guest:
    """A client that may have joined any of the sessions, and knows which of them it may hear of."""

    def __init__(self, client: Client, sessions: list[str]) -> None:
        self.client = client
        self.sessions = sessions
        self.reached: dict[str, Message] = {}
        self.told: set[str] = set()
        client.listener = self.take

    def take(self, message: Message) -> None:
        """Check that a message is of a session that was joined, and says nothing of another one."""
        kind = message["type"]
        if kind == "joined":
            session = message["session"]["id"]
            self._read(session, message["events"])
            self.reached[session] = message["position"]
        elif kind == "left":
            self.reached.pop(message["session"], None)
        elif kind == "ping":
            assert set(message["heads"]) <= set(self.reached)
        elif kind == "history":
            assert message["session"] in self.reached
            self._read(message["session"], message["events"])
        elif "re" not in message and kind != "quality":
            assert message["session"] in self.reached, message
            if kind == "event":
                assert message["seq"] == self.reached[message["session"]]["seq"] + 1
                self.reached[message["session"]] = {**self.reached[message["session"]], "seq": message["seq"]}
                self._read(message["session"], [message])
        # Whatever it is: nothing in it is of a session that was not joined.
        for number, session in enumerate(self.sessions):
            if session not in self.reached and kind != "left":
                assert f"of {number}." not in str(message)

    def _read(self, session: str, events: list[Message]) -> None:
        number = self.sessions.index(session)
        for event in events:
            assert event["session"] == session
            text = event["body"].get("text", f"of {number}.")
            assert text.startswith(f"of {number}."), event


@tried(20)
@given(steps=STEPS)
def test_nobody_hears_of_a_session_that_was_not_joined(world: World, steps: list[tuple[str, int, int]]) -> None:
    world.run(_story(world, steps))


async def _story(world: World, steps: list[tuple[str, int, int]]) -> None:
    sessions = [await world.nodes[n % 2].session() for n in range(SESSIONS)]
    async with AsyncExitStack() as stack:
        guests = []
        for number, user in enumerate(USERS):
            fmt = Format.MSGPACK if number == 1 else Format.JSON
            client = await stack.enter_async_context(world.nodes[number % 2].client(user, fmt=fmt))
            guests.append(Guest(client, sessions))
        said: list[list[int]] = [[] for _ in sessions]
        for guest in guests[:STRANGER]:
            await guest.client.join(sessions[0])
        for what, who, where in steps:
            reply = await _do(guests[who], what, sessions, where, said[where])
            if who == STRANGER and what in ("leave", "malformed"):
                continue
            if sessions[where] not in guests[who].reached and what not in ("leave", "malformed"):
                assert (reply["type"], reply["code"]) == ("error", "forbidden"), (what, reply)
        # Nothing that was due is missing, either.
        for guest in guests:
            for session in list(guest.reached):
                _, head = await world.head(session)
                async with asyncio.timeout(PATIENCE):
                    while guest.reached[session]["seq"] < head:
                        await guest.client.receive()
            # And whatever else was on its way has come before this.
            await guest.client.ask("pong")
        await _search(world, sessions)


async def _do(guest: Guest, what: str, sessions: list[str], where: int, said: list[int]) -> Message:
    session, client = sessions[where], guest.client
    stranger = client.user == "stranger"
    if what in ("join", "resume elsewhere") and not stranger:
        # Another session's position is none of this one.
        other = guest.reached.get(sessions[where - 1]) if what == "resume elsewhere" else None
        reply = await client.join(session, **({"since": other} if other else {}))
        assert not (other and (reply["complete"] or reply["events"]))
        return reply
    if what == "leave":
        return await client.ask("leave", session=session)
    if what == "malformed":
        reply = await client.ask("chat.send", session=session, text=1, key=str(uuid4()))
        assert reply["code"] == "bad_request"
        return reply
    fields: dict[str, dict[str, Any]] = {
        "send": {"key": str(uuid4()), "text": f"of {where}. by {client.user}"},
        "edit": {"key": str(uuid4()), "text": f"of {where}. edited", "seq": said[-1] if said else 3},
        "delete": {"key": str(uuid4()), "seq": said[-1] if said else 3},
        "typing": {"on": True},
    }
    reply = await client.ask(NAMES.get(what, "history"), session=session, **fields.get(what, {}))
    if what == "send" and reply["type"] == "ack":
        said.append(reply["seq"])
    return reply


async def _search(world: World, sessions: list[str]) -> None:
    for number, session in enumerate(sessions):
        for path, query in (("search", {"q": "of"}), ("events", {"limit": 200})):
            url = f"/v1/sessions/{session}/{path}"
            reply = await world.nodes[0].request("GET", url, token("ann", AccessRole.VIEWER), params=query)
            for event in reply.json()["events"]:
                assert event["session"] == session
                assert event["body"].get("text", f"of {number}.").startswith(f"of {number}.")
