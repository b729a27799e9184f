"""P8: no interleaving of joins, leaves, sends and errors leaks anything to one who may not see it."""

import asyncio
import re
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
WHAT = [
    *("join", "join", "resume elsewhere", "leave", "send", "send", "edit", "delete", "typing", "history", "malformed"),
    # By the host: who may come to the session at all; and what only those may ever read.
    *("private", "private", "public", "allow", "allow", "remove", "secret", "secret"),
]
HOSTS = frozenset(["private", "public", "allow", "remove", "secret"])
HOST = token("host", AccessRole.SELLER)
STEPS = st.lists(st.tuples(st.sampled_from(WHAT), WHO, WHERE), min_size=10, max_size=40)
NAMES = {"send": "chat.send", "edit": "chat.edit", "delete": "chat.delete", "typing": "typing"}


class Doors:
    """Whom each session is there for, and who may know which secret: also who is let in after it was said."""

    def __init__(self, sessions: list[str]) -> None:
        self.private = dict.fromkeys(sessions, False)
        self.allowed: dict[str, set[str]] = {session: set() for session in sessions}
        self._secrets: list[tuple[str, set[str]]] = []

    def admits(self, session: str, user: str) -> bool:
        """Tell whether a session is there for a user."""
        return not self.private[session] or user in self.allowed[session]

    def open(self, session: str) -> None:
        """Let all that was said be known to those for whom the session is there now."""
        for where, known in self._secrets:
            if where == session:
                known.update(user for user in USERS if self.admits(session, user))

    def whisper(self, session: str) -> str:
        """Give a text that only they may know."""
        self._secrets.append((session, {user for user in USERS if self.admits(session, user)}))
        return f"secret {len(self._secrets) - 1}."

    def check(self, user: str, message: Message) -> None:
        """Make sure that a user may know what a message tells."""
        for number in re.findall(r"secret (\d+)", str(message)):
            assert user in self._secrets[int(number)][1], (user, message)


class Guest:
    """A client that may have joined any of the sessions, and knows which of them it may hear of."""

    def __init__(self, client: Client, sessions: list[str], doors: Doors) -> None:
        self.client = client
        self.sessions = sessions
        self.doors = doors
        self.reached: dict[str, Message] = {}
        self.told: set[str] = set()
        client.listener = self.take

    def take(self, message: Message) -> None:
        """Check that a message is of a session that was joined, and says nothing of another one."""
        kind = message["type"]
        self.doors.check(self.client.user, message)
        if kind == "joined":
            session = message["session"]["id"]
            self._read(session, message["events"])
            self.reached[session] = message["position"]
        elif kind == "removed":
            # Nothing of the session may come after it, until it is joined again.
            del self.reached[message["session"]]
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
    doors = Doors(sessions)
    async with AsyncExitStack() as stack:
        guests = []
        for number, user in enumerate(USERS):
            fmt = Format.MSGPACK if number == 1 else Format.JSON
            client = await stack.enter_async_context(world.nodes[number % 2].client(user, fmt=fmt))
            guests.append(Guest(client, sessions, doors))
        host = await stack.enter_async_context(world.nodes[0].client("host", AccessRole.SELLER))
        for session in sessions:
            await host.join(session)
        said: list[list[int]] = [[] for _ in sessions]
        for guest in guests[:STRANGER]:
            await guest.client.join(sessions[0])
        for what, who, where in steps:
            if what in HOSTS:
                await _open_or_close(world, host, doors, what, sessions[where], USERS[who])
                continue
            reply = await _do(guests[who], what, sessions, where, said[where])
            if who == STRANGER and what in ("leave", "malformed"):
                continue
            if sessions[where] not in guests[who].reached and what not in ("leave", "malformed"):
                assert (reply["type"], reply["code"]) == ("error", "forbidden"), (what, reply)
        for guest in guests:
            await _hear_all(world, guest)
        await _search(world, sessions, doors)


async def _hear_all(world: World, guest: Guest) -> None:
    """Make sure that nothing that was due is missing, either."""
    for session in list(guest.reached):
        _, head = await world.head(session)
        async with asyncio.timeout(PATIENCE):
            while guest.reached.get(session, {"seq": head})["seq"] < head:
                await guest.client.receive()
    # And whatever else was on its way has come before this.
    await guest.client.ask("pong")
    for session in guest.reached:
        assert guest.doors.admits(session, guest.client.user)


async def _open_or_close(world: World, host: Client, doors: Doors, what: str, session: str, user: str) -> None:
    path = f"/v1/sessions/{session}"
    if what == "secret":
        assert (await host.say(session, f"of {list(doors.private).index(session)}. {doors.whisper(session)}"))["seq"]
    elif what == "remove":
        removed = await world.nodes[1].request("POST", f"{path}/guests", HOST, json={"remove": [user]})
        assert removed.is_success
        doors.allowed[session].discard(user)
    elif what == "allow":
        doors.allowed[session].add(user)
        doors.open(session)
        let_in = await world.nodes[1].request("POST", f"{path}/guests", HOST, json={"allow": [user]})
        assert let_in.is_success
    else:
        await host.ask("session.update", session=session, private=what == "private")
        doors.private[session] = what == "private"
        doors.open(session)


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


async def _search(world: World, sessions: list[str], doors: Doors) -> None:
    for number, session in enumerate(sessions):
        for path, query in (("search", {"q": "of"}), ("events", {"limit": 200})):
            url = f"/v1/sessions/{session}/{path}"
            reply = await world.nodes[0].request("GET", url, token("eve"), params=query)
            doors.check("eve", reply.json())
            assert reply.status_code == (200 if doors.admits(session, "eve") else 404)
            for event in reply.json().get("events", ()):
                assert event["session"] == session
                assert event["body"].get("text", f"of {number}.").startswith(f"of {number}.")
