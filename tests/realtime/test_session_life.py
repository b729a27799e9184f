"""One node, real sockets: hello, join, chat, history, typing, and a session from its creation to its end."""

from typing import Any
from uuid import uuid4

import pytest

from realtime.protocol.codec import Format
from tests.support.nodes import Client, Message, RunningNode, audience, token
from tokens.access import AccessRole


async def test_two_people_chat(node: RunningNode) -> None:
    session = await node.session("ann")
    async with node.client("ann", AccessRole.SELLER) as ann, node.client("bob") as bob:
        joined = await ann.join(session)
        assert joined["role"] == "host"
        assert joined["session"]["state"] == "live"
        assert joined["events"] == []
        assert joined["complete"] is True
        assert (await bob.join(session))["role"] == "viewer"

        key = str(uuid4())
        ack = await bob.say(session, "hi", key)
        assert ack == {"type": "ack", "re": ack["re"], "key": key, "seq": 3, "at": ack["at"]}
        assert (await ann.until_event(seq=3)) == {
            "type": "event",
            "session": session,
            "seq": 3,
            "at": ack["at"],
            "media_ms": ack["at"] - joined["session"]["started_at"],
            "kind": "chat.posted",
            "by": "bob",
            "key": key,
            "body": {"text": "hi"},
        }
        assert (await ann.say(session, "hello Bob"))["seq"] == 4
        assert (await bob.until_event(seq=4))["body"] == {"text": "hello Bob"}
        assert [event["seq"] for event in bob.events()] == [3, 4]


async def test_the_same_key_again_gets_the_first_answer_again(node: RunningNode) -> None:
    session = await node.session()
    async with node.client("bob") as bob:
        await bob.join(session)
        key = str(uuid4())
        first = await bob.say(session, "once", key)
        again = await bob.say(session, "once", key)
        assert (again["seq"], again["at"]) == (first["seq"], first["at"])
        other = await bob.say(session, "something else", key)
        assert (other["type"], other["code"]) == ("error", "conflict")
        page = await bob.ask("history", session=session)
        assert [event["body"].get("text") for event in page["events"]] == [None, None, "once"]


async def test_a_repetition_is_answered_after_the_end_too(node: RunningNode) -> None:
    session = await node.session("ann")
    async with node.client("ann", AccessRole.SELLER) as ann:
        await ann.join(session)
        key = str(uuid4())
        first = await ann.say(session, "goodbye", key)
        await ann.ask("session.end", session=session)
        again = await ann.say(session, "goodbye", key)
        assert (again["type"], again["seq"], again["at"]) == ("ack", first["seq"], first["at"])
        assert (await ann.say(session, "one more"))["state"] == "ended"


async def test_without_an_id_only_a_refusal_is_told(node: RunningNode) -> None:
    session = await node.session()
    async with node.client("bob") as bob:
        await bob.send("join", session=session)
        await bob.send("chat.send", session=session, key=str(uuid4()), text="heard")
        await bob.send("history", session=session)
        await bob.send("typing", session=session, on=True)
        await bob.send("pong")
        await bob.send("session.end", session=session)
        seen: list[Message] = []
        while not seen or seen[-1]["type"] != "error":
            seen.append(await bob.receive())
        assert seen[-1]["code"] == "forbidden"
        assert "re" not in seen[-1]
        assert {message["type"] for message in seen[:-1]} <= {"event", "signal"}


async def test_the_formats_tell_the_same(node: RunningNode) -> None:
    session = await node.session()
    async with node.client("bob") as bob, node.client("eve", fmt=Format.MSGPACK) as eve:
        await bob.join(session)
        since = (await eve.join(session))["position"]
        await eve.say(session, "packed ✓")
        await bob.say(session, "plain ✓")
        last = {"seq": 4}
        await bob.until_event(**last)
        await eve.until_event(**last)
        assert bob.events() == eve.events()
        assert (await eve.join(session, since=since))["events"] == bob.events()
        assert (await eve.ask("history", session=session, after=2))["events"] == bob.events()


async def test_a_session_ends_for_everyone(node: RunningNode) -> None:
    session = await node.session("ann", live=False)
    async with node.client("ann", AccessRole.SELLER) as ann, node.client("bob") as bob:
        await ann.join(session)
        await bob.join(session)
        assert (await bob.ask("session.start", session=session))["code"] == "forbidden"
        for command, state in [("start", "live"), ("pause", "paused"), ("resume", "live"), ("end", "ended")]:
            ack = await ann.ask(f"session.{command}", session=session)
            event = await bob.until_event(seq=ack["seq"])
            assert event["body"]["state"] == state
        again = await ann.ask("session.start", session=session)
        assert (again["code"], again["state"]) == ("conflict", "ended")
        late = await bob.say(session, "too late")
        assert (late["code"], late["state"]) == ("conflict", "ended")
    async with node.client("eve") as eve:
        assert (await eve.join(session))["session"]["state"] == "ended"


async def test_a_session_is_created_over_the_socket(node: RunningNode) -> None:
    async with node.client("ann", AccessRole.SELLER) as ann, node.client("bob") as bob:
        created = await ann.ask("session.create", title=" Ann's  ")
        assert (created["type"], created["session"]["title"], created["session"]["host"]) == ("session", "Ann's", "ann")
        session = created["session"]["id"]
        assert (await ann.ask("session.start", session=session))["seq"] == 2
        assert (await bob.join(session))["session"]["state"] == "live"
        assert (await bob.ask("session.create", title="Bob's"))["code"] == "forbidden"
        assert (await ann.ask("session.create", title=" "))["code"] == "bad_request"


async def test_resume_gives_what_was_missed(node: RunningNode) -> None:
    session = await node.session()
    async with node.client("bob") as bob:
        since = (await bob.join(session))["position"]
    async with node.client("eve") as eve:
        await eve.join(session)
        for n in range(5):
            await eve.say(session, f"message {n}")
    async with node.client("bob") as bob:
        joined = await bob.join(session, since=since)
        assert [event["seq"] for event in joined["events"]] == [3, 4, 5, 6, 7]
        assert joined["position"] == {"epoch": since["epoch"], "seq": 7}
        assert joined["complete"] is True


@pytest.mark.parametrize(
    "since", [{"epoch": "another", "seq": 2}, {"seq": 3}, {"seq": 2**53 - 1}], ids=["other epoch", "above", "far above"]
)
async def test_an_impossible_position_is_answered_with_a_reset(node: RunningNode, since: dict[str, Any]) -> None:
    session = await node.session()
    async with node.client("bob") as bob:
        position = (await bob.join(session))["position"]
        joined = await bob.join(session, since={**position, **since})
        assert (joined["complete"], joined["events"], joined["position"]) == (False, [], position)


async def test_history_comes_in_pages(node: RunningNode) -> None:
    session = await node.session()
    async with node.client("bob") as bob:
        await bob.join(session)
        for n in range(10):
            await bob.say(session, f"message {n}")

        async def page(**fields: int) -> tuple[list[int], bool]:
            reply = await bob.ask("history", session=session, **fields)
            return [event["seq"] for event in reply["events"]], reply["more"]

        assert await page(limit=3) == ([10, 11, 12], True)
        assert await page(before=3) == ([1, 2], False)
        assert await page(before=10, limit=2) == ([8, 9], True)
        assert await page(after=10) == ([11, 12], False)
        assert await page(after=4, limit=2) == ([5, 6], True)
        assert await page(after=99) == ([], False)
        assert (await bob.ask("history", session=session, before=2, after=2))["code"] == "bad_request"


async def test_who_leaves_receives_nothing_more(node: RunningNode) -> None:
    session = await node.session()
    async with node.client("bob") as bob, node.client("eve") as eve:
        await bob.join(session)
        await eve.join(session)
        assert (await eve.ask("leave", session=session))["type"] == "left"
        await bob.say(session, "are you there?")
        assert (await eve.say(session, "no"))["code"] == "forbidden"
        assert eve.events() == []


async def test_sessions_do_not_mix(node: RunningNode) -> None:
    one, two = await node.session(), await node.session()
    async with node.client("bob") as bob, node.client("eve") as eve:
        await bob.join(one)
        await eve.join(two)
        await bob.say(one, "in one")
        await eve.say(two, "in two")
        await bob.until_event()
        await eve.until_event()
        assert [event["body"]["text"] for event in bob.events()] == ["in one"]
        assert [event["body"]["text"] for event in eve.events()] == ["in two"]


async def test_a_second_join_gives_everything_once(node: RunningNode) -> None:
    session = await node.session()
    async with node.client("bob") as bob, node.client("eve") as eve:
        await eve.join(session)
        position = (await bob.join(session))["position"]
        await eve.say(session, "one")
        again = await bob.join(session, since=position)
        assert [event["seq"] for event in again["events"]] == [3]
        await eve.say(session, "two")
        await bob.until_event(seq=4)
        after = [event["seq"] for event in bob.events() if event["seq"] > again["position"]["seq"]]
        assert after == [4]
        assert again["audience"] == audience(2, 2, chatters=1)


async def test_the_audience_is_counted_in_users_and_connections(node: RunningNode) -> None:
    session = await node.session()
    async with node.client("bob") as bob, node.client("bob") as phone, node.client("robot", synthetic=True) as robot:
        assert (await robot.join(session))["audience"] == audience(0, 0)
        assert (await bob.join(session))["audience"] == audience(1, 1)
        assert (await phone.join(session))["audience"] == audience(2, 1)
        await bob.until(kind="audience", audience=audience(2, 1))
        await phone.socket.close()
        await bob.until(kind="audience", audience=audience(1, 1))


async def test_commands_are_carried_out_in_their_order(node: RunningNode) -> None:
    """Nothing waits for a reply: the cold join is awaited before the send that follows it."""
    session = await node.session()
    async with node.client("bob") as bob:
        await bob.send("join", id=101, session=session)
        await bob.send("chat.send", id=102, session=session, key=str(uuid4()), text="right behind")
        await bob.send("history", id=103, session=session, after=2**40)
        replies = [message async for message in _replies(bob, 3)]
        assert [reply["type"] for reply in replies] == ["joined", "history", "ack"] or [
            reply["type"] for reply in replies
        ] == ["joined", "ack", "history"]


async def _replies(client: Client, count: int) -> Any:
    while count:
        message = await client.receive()
        if "re" in message:
            count -= 1
            yield message


async def test_an_unknown_session_is_not_found(node: RunningNode) -> None:
    async with node.client("bob") as bob:
        unknown = "01890000-0000-7000-8000-000000000000"
        assert (await bob.join(unknown))["code"] == "not_found"
        assert (await bob.say(unknown, "hello?"))["code"] == "forbidden"


async def test_hello_is_said_once(node: RunningNode) -> None:
    async with node.client("bob") as bob:
        assert (await bob.ask("hello", token=token("eve")))["code"] == "conflict"
        assert (await bob.ask("pong"))["type"] == "ack"


async def test_text_is_cleaned_before_it_is_stored(node: RunningNode) -> None:
    session = await node.session()
    async with node.client("bob") as bob:
        await bob.join(session)
        await bob.say(session, "  a\u0000b\u202e \x1b[31mred  ")
        assert (await bob.until_event())["body"]["text"] == "ab [31mred"
        assert (await bob.say(session, "\u200b"))["code"] == "bad_request"
        assert (await bob.say(session, "x" * 1001))["code"] == "too_large"
