"""The access matrix, cell by cell against a node: each command, by each role, in each state, joined and not."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import product
from typing import Any, Final, get_args
from uuid import uuid4

import pytest
from msgspec import Struct

from realtime.domain.access import RIGHTS, Role
from realtime.domain.session import State
from realtime.protocol.commands import AnyCommand
from tests.persistence.conftest import until
from tests.support.nodes import Client, Message, RunningNode, serving, token
from tokens.access import AccessRole

ANN = token("ann", AccessRole.SELLER)
USERS: Final = {Role.HOST: "ann", Role.COHOST: "cat", Role.MODERATOR: "mod", Role.VIEWER: "vic"}
STEPS: Final = {
    State.SCHEDULED: [],
    State.LIVE: ["start"],
    State.PAUSED: ["start", "pause"],
    State.INTERRUPTED: ["start"],
    State.ENDED: ["end"],
}
SERVED = frozenset(str(command.__struct_config__.tag) for command in get_args(AnyCommand))
NAMES = [name for name in RIGHTS if name.partition(" ")[0] in SERVED]
MOVES = frozenset(["session.start", "session.pause", "session.resume", "session.end"])
# By these a host whose session is interrupted comes back to it first.
RETURNS = frozenset(["join", "session.start", "session.pause"])
# To those for whom a private session is not there, this tells that it is: they may ask to be let in.
TELLING = frozenset(["join"])
AGORA: Final = {
    "agora_app_id": "970CA35de60c44645bbae8a215061b33",
    "agora_certificate": "5CFd2fd1755d40ecb72977518be15d3b",
}
UNKNOWN = "01932c07-3a6e-7cc0-8000-000000000001"


@pytest.fixture
async def node(migrated: str, redis_url: str) -> AsyncIterator[RunningNode]:
    async with serving(migrated, redis_url, timer_ms=20, host_overlap_ms=0, **AGORA) as running:
        yield running


class Scene(Struct):
    """A session in some state, whoever acts, and the messages of theirs and of somebody else."""

    node: RunningNode
    actor: Client
    session: str
    own: int = 1
    others: int = 1

    def fields(self, name: str) -> Message:
        """Give what a command says besides its session."""
        key = str(uuid4())
        fields: dict[str, Message] = {
            "playback": {"state": "playing"},
            "typing": {"on": True},
            "react": {"kind": "heart"},
            "chat.send": {"key": key, "text": "hi"},
            "chat.edit": {"key": key, "seq": self.own, "text": "mine still"},
            "chat.delete": {"key": key, "seq": self.own},
            "chat.delete of others": {"key": key, "seq": self.others},
            "session.update": {"title": "Another"},
            "session.answer": {"user": "nobody", "accept": True},
            "session.role": {"user": "zoe", "role": "moderator"},
        }
        return fields.get(name, {})

    async def ask(self, name: str) -> Message:
        """Have the actor say a command."""
        return await self.actor.ask(name.partition(" ")[0], session=self.session, **self.fields(name))

    async def state(self) -> str:
        """Give the state that is stored."""
        return (await self.node.node.lifecycle.find(self.session)).state


@asynccontextmanager
async def scene(node: RunningNode, role: Role, state: State, *, joined: bool) -> AsyncIterator[Scene]:
    """Set a scene."""
    # Their own connection would bring an interrupted session back: an admin hosts it as well.
    admin = role is Role.HOST and state is State.INTERRUPTED
    user, standing = ("root", AccessRole.ADMIN) if admin else (USERS[role], AccessRole.VIEWER)
    limits = {"grace": 0} if state is State.INTERRUPTED else {}
    created = await node.request("POST", "/v1/sessions", ANN, json={"title": "A show", "limits": limits})
    session = created.json()["id"]
    for named in (Role.COHOST, Role.MODERATOR):
        path = f"/v1/sessions/{session}/members/{USERS[named]}"
        assert (await node.request("PUT", path, ANN, json={"role": named})).status_code == 200
    async with node.client(user, standing) as actor, node.client("oli") as oli:
        await actor.join(session)
        await oli.join(session)
        own, others = (await actor.say(session, "mine"))["seq"], (await oli.say(session, "theirs"))["seq"]
        await actor.ask("leave", session=session)
        await put_into(node, session, state)
        if joined:
            assert (await actor.join(session))["role"] == role
        yield Scene(node, actor, session, own, others)


async def put_into(node: RunningNode, session: str, state: State) -> None:
    for step in STEPS[state]:
        assert (await node.request("POST", f"/v1/sessions/{session}/{step}", ANN)).status_code == 200
    if state is State.INTERRUPTED:
        async with node.client("ann") as ann:
            await ann.join(session)

        async def interrupted() -> bool:
            return (await node.node.lifecycle.find(session)).state == State.INTERRUPTED

        await until(interrupted)


def expected(name: str, role: Role, state: State, *, joined: bool) -> str | None:
    verdict = RIGHTS[name].verdict(role, state, joined=joined)
    if name == "session.takeover" and role is Role.HOST and state is State.INTERRUPTED:
        # It is the admin who asks here.
        return "forbidden"
    if verdict is None and name == "session.answer":
        # Nobody has asked.
        return "not_found"
    return verdict


@pytest.mark.parametrize("joined", [True, False], ids=["joined", "not joined"])
@pytest.mark.parametrize(("role", "state"), list(product(Role, State)))
async def test_cells(node: RunningNode, role: Role, state: State, joined: bool) -> None:
    back = role is Role.COHOST and state is State.INTERRUPTED
    if back and joined:
        pytest.skip("a co-host who joins an interrupted session brings it back")
    names = [name for name in NAMES if not (back and name in RETURNS)]
    answers: dict[str, Any] = {}
    moving = [name for name in names if name in MOVES and expected(name, role, state, joined=joined) is None]
    async with scene(node, role, state, joined=joined) as here:
        for name in names:
            if name not in moving:
                answers[name] = (await here.ask(name)).get("code")
                await restore(here, name, joined=joined)
        assert await here.state() == state
    for name in moving:
        async with scene(node, role, state, joined=joined) as here:
            answers[name] = (await here.ask(name)).get("code")
    assert answers == {name: expected(name, role, state, joined=joined) for name in names}


async def restore(here: Scene, name: str, *, joined: bool) -> None:
    """Put the membership back that a command has changed."""
    if name == "leave" and joined:
        await here.actor.join(here.session)
    elif name == "join" and not joined:
        await here.actor.ask("leave", session=here.session)


@pytest.mark.parametrize("state", State)
async def test_from_outside_a_private_session_is_like_one_that_does_not_exist(node: RunningNode, state: State) -> None:
    created = await node.request("POST", "/v1/sessions", ANN, json={"title": "A show", "private": True})
    session = created.json()["id"]
    if state is not State.INTERRUPTED:
        await put_into(node, session, state)
    async with node.client("vic") as vic:
        for name in NAMES:
            there, nowhere = [Scene(node, vic, each) for each in (session, UNKNOWN)]
            answers = [await each.ask(name) for each in (there, nowhere)]
            told = [{k: v for k, v in answer.items() if k not in ("re", "session")} for answer in answers]
            if name in TELLING:
                assert [answer["code"] for answer in told] == ["forbidden", "not_found"]
            else:
                assert told[0] == told[1], name
        for method, path, body in REQUESTS:
            paths = [f"/v1/sessions/{each}{path}" for each in (session, UNKNOWN)]
            asked = [await node.request(method, each, token("vic"), json=body) for each in paths]
            assert [answer.status_code for answer in asked] == [404, 404], path
            assert asked[0].content == asked[1].content


REQUESTS: list[tuple[str, str, Any]] = [
    ("GET", "", None),
    ("GET", "/summary", None),
    ("GET", "/events", None),
    ("GET", "/events/1/edits", None),
    ("GET", "/audience", None),
    ("GET", "/search?q=hi", None),
    ("GET", "/guests", None),
    ("PATCH", "", {"title": "Mine"}),
    ("PUT", "/members/vic", {"role": "cohost"}),
    ("POST", "/guests", {"allow": ["vic"]}),
    ("POST", "/guests/vic", {"accept": True}),
    ("POST", "/agora-token", None),
    ("POST", "/start", None),
    ("POST", "/pause", None),
    ("POST", "/resume", None),
    ("POST", "/end", None),
]
