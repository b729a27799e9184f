"""P6: all readers see the same order, consecutive, each event once. Whatever happens to connections, nodes and logs."""

import asyncio
import time
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from websockets.exceptions import ConnectionClosed

from tests.properties.conftest import QUICK
from tests.properties.effort import tried
from tests.properties.world import PATIENCE, Reader, World, mute, raw, shown, unmute
from tests.support.nodes import Message
from tokens.access import AccessRole

WHOEVER = range(4)
MODERATOR = 3
WHO = st.sampled_from(WHOEVER)
NODE = st.integers(0, 1)
HOW = st.sampled_from(["resume", "resume", "last", "anew"])
MINUTE = 60_000


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Chat(RuleBasedStateMachine):
    """One session, two users (one of them with two devices) and a moderator, on two nodes.

    The model is what was acknowledged. Readers check by themselves that what they hear follows what they have.
    """

    world: World

    @initialize()
    def begin(self) -> None:
        """Create the session."""
        self.session = self.run(self.world.nodes[0].session())
        bob: dict[str, int] = {}
        self.readers = [
            Reader(self.session, "bob", bob),
            Reader(self.session, "eve", {}),
            Reader(self.session, "bob", bob),
            Reader(self.session, "mod", {}, AccessRole.MODERATOR),
        ]
        self.node_of = [0, 1, 1, 0]
        # By key: what was said, and what was answered. And what nobody knows of, as its connection was lost.
        self.said: dict[str, Message] = {}
        self.acked: dict[str, Message] = {}
        self.unknown: list[str] = []
        self.killed = self.restored = False
        self.run(self._return(*WHOEVER))

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Let the nodes run until something is done."""
        return self.world.run(work)

    def teardown(self) -> None:
        """See whether everything has come to the same end."""
        if not hasattr(self, "readers"):
            return
        try:
            self.run(self._return(*WHOEVER))
            self.run(self._settle())
            self.run(self._compare())
        finally:
            for node in self.world.nodes:
                unmute(node)
            self.run(self._part())

    async def _part(self) -> None:
        for reader in self.readers:
            await reader.close()

    # What readers do.

    @rule(who=WHO, node=NODE, how=HOW)
    def join(self, who: int, node: int, how: str) -> None:
        """Connect and join."""
        self.run(self._join(who, node, how))

    async def _return(self, *whoever: int) -> None:
        """Have them back who are away."""
        for who in whoever:
            if not self.readers[who].joined:
                await self._join(who, self.node_of[who], "resume")

    async def _join(self, who: int, node: int, how: str) -> None:
        reader, self.node_of[who] = self.readers[who], node
        await reader.connect(self.world.nodes[node], now=now_ms())
        since, (epoch, _) = reader.position, await self.world.head(self.session)
        joined = await reader.join(how)
        if how == "resume" and since and since["epoch"] == epoch and not joined["complete"]:
            # Nobody begins anew without a reason, wherever the node has got to by then.
            assert joined["position"]["seq"] - since["seq"] > QUICK["replay_limit"]

    @rule(who=WHO, how=HOW)
    def join_again(self, who: int, how: str) -> None:
        """Join again on the same connection, if there is one."""
        if self.readers[who].client is not None:
            assert self.run(self.readers[who].join(how))["type"] == "joined"

    @rule(who=WHO, how=st.sampled_from(["leave", "close", "drop"]))
    def go(self, who: int, how: str) -> None:
        """Go, in one way or another."""
        if self.readers[who].client is not None:
            self.run(getattr(self.readers[who], how)())

    @rule(who=WHO, count=st.integers(1, 3), minutes=st.integers(0, 2))
    def send(self, who: int, count: int, minutes: int) -> None:
        """Send messages in one go, perhaps as if written before."""
        self.run(self._return(who))
        self.run(self._say(who, [self._message(minutes) for _ in range(count)]))

    @rule(counts=st.lists(st.integers(0, 3), min_size=4, max_size=4))
    def send_together(self, counts: list[int]) -> None:
        """Everyone sends at once, on both nodes."""
        self.run(self._together([(who, count) for who, count in enumerate(counts) if self.readers[who].joined]))

    async def _together(self, talking: list[tuple[int, int]]) -> None:
        await asyncio.gather(*(self._say(who, [self._message(0) for _ in range(count)]) for who, count in talking))

    @rule(who=WHO, pick=st.integers(0, 20), delete=st.booleans(), minutes=st.integers(0, 2))
    def change(self, who: int, pick: int, delete: bool, minutes: int) -> None:
        """Edit or delete a message."""
        reader = self.readers[who]
        posts = [
            self.acked[key]["seq"]
            for key, said in self.said.items()
            if key in self.acked and said["type"] == "chat.send" and (who == MODERATOR or said["by"] == reader.user)
        ]
        if not posts or (who == MODERATOR and not delete):
            return
        self.run(self._return(who))
        command: Message = {
            "type": "chat.edit",
            "text": f"edit {len(self.said)}",
            "edited_at": now_ms() - minutes * MINUTE,
        }
        if delete:
            command = {"type": "chat.delete"}
        self.run(self._say(who, [{**command, "seq": posts[pick % len(posts)], "key": str(uuid4())}]))

    def _message(self, minutes: int) -> Message:
        sent_at = {"sent_at": now_ms() - minutes * MINUTE} if minutes else {}
        return {"type": "chat.send", "key": str(uuid4()), "text": f"message {len(self.said)}", **sent_at}

    async def _say(self, who: int, commands: list[Message]) -> None:
        reader = self.readers[who]
        await self._send(who, commands)
        async with asyncio.timeout(PATIENCE):
            while not all(command["key"] in reader.acks for command in commands):
                await reader.hear()
        for command in commands:
            self._acknowledge(command["key"], reader.acks[command["key"]])
        # What one says in a row is stored in that row.
        seqs = [self.acked[command["key"]]["seq"] for command in commands]
        assert seqs == sorted(set(seqs))

    async def _send(self, who: int, commands: list[Message]) -> None:
        reader = self.readers[who]
        assert reader.client is not None
        for number, command in enumerate(commands):
            self.said[command["key"]] = {**command, "by": reader.user}
            fields = {name: value for name, value in command.items() if name != "type"}
            await reader.client.send(command["type"], id=10_000 + number, session=self.session, **fields)

    def _acknowledge(self, key: str, ack: Message) -> None:
        answered = {"seq": ack["seq"], "at": ack["at"]}
        # The same key, the same answer.
        assert self.acked.setdefault(key, answered) == answered
        if key in self.unknown:
            self.unknown.remove(key)

    # What goes wrong.

    @rule(who=WHO)
    def send_and_vanish(self, who: int) -> None:
        """Send a message, and lose the connection before the answer."""
        self.run(self._return(who))
        message = self._message(0)
        self.unknown.append(message["key"])
        self.run(self._send(who, [message]))
        self.run(self.readers[who].drop())

    @precondition(lambda self: self.unknown)
    @rule(who=WHO, pick=st.integers(0, 5))
    def send_again(self, who: int, pick: int) -> None:
        """Send again what nobody knows of."""
        key = self.unknown[pick % len(self.unknown)]
        if self.said[key]["by"] == self.readers[who].user:
            self.run(self._return(who))
            said = {name: value for name, value in self.said[key].items() if name != "by"}
            self.run(self._say(who, [said]))

    @rule(node=NODE, lost=st.booleans())
    def lose_hints(self, node: int, lost: bool) -> None:
        """Have the hints of a node get lost, or arrive."""
        (mute if lost else unmute)(self.world.nodes[node])

    @precondition(lambda self: not self.killed)
    @rule(node=NODE, count=st.integers(0, 2))
    def kill(self, node: int, count: int) -> None:
        """End a node that has told nobody of the last that it stored. Its readers go on at the other one."""
        self.killed = True
        self.run(self._kill(node, count))

    async def _kill(self, node: int, count: int) -> None:
        mute(self.world.nodes[node])
        there = [who for who in WHOEVER if self.readers[who].client is not None and self.node_of[who] == node]
        talking = [who for who in there if self.readers[who].joined]
        for who in talking[:1]:
            await self._say(who, [self._message(0) for _ in range(count)])
        _, head = await self.world.head(self.session)
        for who in talking[:1]:
            await self.readers[who].reach(head)
        for who in there:
            await self.readers[who].drop()
        for who in talking:
            await self._join(who, 1 - node, "resume")
        await self.world.kill(node)

    @precondition(lambda self: not self.restored)
    @rule(lose=st.integers(0, 3), who=WHO)
    def restore(self, lose: int, who: int) -> None:
        """Put the log back, in another epoch; one goes on talking as if nothing had happened."""
        self.restored = True
        self.run(self._restore(lose, who))

    async def _restore(self, lose: int, who: int) -> None:
        # What nobody knows of has come to its end first, so that the model knows what was put back.
        await self._settle()
        await self.world.restore(self.session, lose)
        _, head = await self.world.head(self.session)
        self.acked = {key: ack for key, ack in self.acked.items() if ack["seq"] <= head}
        following = [reader for reader in self.readers if reader.joined]
        if self.readers[who] in following:
            message = self._message(0)
            self.unknown.append(message["key"])
            # The next check may have been faster.
            with suppress(ConnectionClosed):
                await self._send(who, [message])
        assert [await reader.closed() for reader in following] == [4003] * len(following)
        # A node that nobody follows it on sees it a little later: who came back before would be sent away again.
        await self.world.until_all_know(self.session)

    # What must be true.

    @rule()
    def settle(self) -> None:
        """Wait until everyone has everything, and compare."""
        self.run(self._settle())

    async def _settle(self) -> None:
        for node in self.world.nodes:
            await node.node.writer.drain()
        epoch, head = await self.world.head(self.session)
        log = await self.world.log(self.session)
        assert [record.seq for record in log] == list(range(1, head + 1))
        for reader in self.readers:
            if reader.joined:
                await reader.reach(head)
                assert reader.position == {"epoch": epoch, "seq": head}
                reader.check(log)

    async def _compare(self) -> None:
        log = await self.world.log(self.session)
        stored = {record.key: record for record in log}
        for key, ack in self.acked.items():
            record = stored[key]
            assert (record.seq, record.at, record.kind) == (ack["seq"], ack["at"], _KINDS[self.said[key]["type"]])
        keys = [record.key for record in log if record.key]
        assert len(keys) == len(set(keys))
        assert set(keys) <= set(self.acked) | set(self.unknown)
        everything = shown(raw(self.session, log))
        for reader in self.readers:
            if reader.joined:
                assert shown([*reader.held.values(), *await self._before(reader)]) == everything

    async def _before(self, reader: Reader) -> list[Message]:
        """Give all that came before what a reader holds, page by page, the newest first."""
        assert reader.client is not None
        events: list[Message] = []
        before = reader.began + 1
        while before > 1:
            page = await reader.client.ask("history", session=self.session, before=before, limit=5)
            assert [event["seq"] for event in page["events"]] == list(range(max(before - 5, 1), before))
            events += reversed(page["events"])
            before = page["events"][0]["seq"]
        return events


_KINDS = {"chat.send": "chat.posted", "chat.edit": "chat.edited", "chat.delete": "chat.deleted"}


@pytest.mark.timeout(600)
def test_every_reader_has_one_run_of_the_log_or_is_told_that_it_begins_anew(world: World) -> None:
    machine = type("ChatOfTheWorld", (Chat,), {"world": world})
    run_state_machine_as_test(machine, settings=tried(20, steps=25))
