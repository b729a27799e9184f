"""P13: what is acknowledged is in Postgres, and timelines converge whatever the order of arrival."""

import asyncio
from random import Random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from tests.properties.effort import tried
from tests.properties.world import Reader, World, raw, shown
from tests.support.nodes import Message
from tokens.access import AccessRole

pytestmark = pytest.mark.timeout(300)
USERS = ["bob", "eve", "bob", "mod"]
# What may be stored as it is, and what may not be stored at all.
GOOD = st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1, max_size=20)
BAD = st.sampled_from(["", " \n", "\u200b", "x" * 1001, "\0"])
# Few keys, so that some are used twice: again for the same, or for something else.
KEYS = st.integers(0, 5).map(lambda n: str(UUID(int=n)))


class Wish(Struct, frozen=True):
    """What somebody sends: `target` is the seq of the event to change."""

    type: str
    key: str
    text: str
    target: int


WISHES = st.builds(
    Wish,
    type=st.sampled_from(["chat.send", "chat.send", "chat.edit", "chat.delete"]),
    key=KEYS,
    text=GOOD | GOOD | BAD,
    target=st.integers(1, 8),
)
PLANS = st.lists(st.lists(WISHES, max_size=5), min_size=4, max_size=4)


@tried(20)
@given(plans=PLANS, seed=st.integers(0, 2**32))
def test_acknowledged_is_stored_and_refused_is_not(world: World, plans: list[list[Wish]], seed: int) -> None:
    log, heard = world.run(_talk(world, plans))
    everything = shown(log)
    for events in heard:
        # Each reader by itself, and whatever else, in whatever order and however often.
        assert shown(events) == everything
    # Not drawn by Hypothesis, as nobody knows how much there is to shuffle.
    random = Random(seed)
    pool = [event for events in heard for event in events]
    again = [*random.choice(heard), *random.choices(pool, k=10)]
    random.shuffle(again)
    assert shown(again) == everything


async def _talk(world: World, plans: list[list[Wish]]) -> tuple[list[Message], list[list[Message]]]:
    """Have four devices carry out their plans at once; give the log, and what each has heard."""
    session = await world.nodes[0].session()
    readers = [
        Reader(session, user, {}, AccessRole.MODERATOR if user == "mod" else AccessRole.VIEWER) for user in USERS
    ]
    try:
        for number, reader in enumerate(readers):
            await reader.connect(world.nodes[number % 2])
            await reader.join("anew")
        answers = await asyncio.gather(*map(_carry_out, readers, plans))
        epoch, head = await world.head(session)
        stored = raw(session, await world.log(session))
        for user, plan, replies in zip(USERS, plans, answers, strict=True):
            for wish, reply in zip(plan, replies, strict=True):
                _compare(user, wish, reply, stored)
        answered = {reply["seq"] for replies in answers for reply in replies if reply["type"] == "ack"}
        assert {event["seq"] for event in stored[2:]} == answered
        heard = []
        for reader in readers:
            await reader.reach(head)
            assert reader.position == {"epoch": epoch, "seq": head}
            heard.append([*reader.held.values(), *await _told_again(reader)])
        return stored, heard
    finally:
        for reader in readers:
            await reader.close()


async def _carry_out(reader: Reader, plan: list[Wish]) -> list[Message]:
    assert reader.client is not None
    replies = []
    for wish in plan:
        fields: dict[str, Any] = {"key": wish.key}
        if wish.type != "chat.send":
            fields["seq"] = wish.target
        if wish.type != "chat.delete":
            fields["text"] = wish.text
        replies.append(await reader.client.ask(wish.type, session=reader.session, **fields))
    return replies


def _compare(user: str, wish: Wish, reply: Message, stored: list[Message]) -> None:
    if reply["type"] == "ack":
        event = stored[reply["seq"] - 1]
        body: Message = {} if wish.type == "chat.send" else {"seq": wish.target}
        if wish.type != "chat.delete":
            body["text"] = event["body"]["text"]
            assert body["text"].casefold() == event["body"]["text"].casefold()
        assert (event["seq"], event["at"], event["by"], event["key"], event["body"]) == (
            reply["seq"], reply["at"], user, wish.key, body,
        )  # fmt: skip
    else:
        assert reply["code"] in ("bad_request", "too_large", "conflict", "forbidden", "not_found"), reply


async def _told_again(reader: Reader) -> list[Message]:
    """Read everything once more, as it is told to who comes late."""
    assert reader.client is not None
    page = await reader.client.ask("history", session=reader.session, after=0, limit=200)
    again: list[Message] = page["events"]
    joined = await reader.join("last")
    return [*again, *joined["events"]]
