from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from persistence.log import Record
from realtime.domain import timeline as served
from realtime.domain.course import Course
from realtime.feed import event_of
from realtime.protocol import events as wire
from stagewire_client.messages import Event, Position
from stagewire_client.timeline import Compared, Message, Timeline, display, fuller
from tests.clients.python.vectors import cases
from tests.support.chats import chats

SHOWN = cases("timeline.json", "shown")
WINDOWS = cases("timeline.json", "windows")
SESSION = "01932c07-3a6e-7cc0-8000-000000000001"
# Of what the log does, for whom the vectors are not.
FILLING = {"session": SESSION, "media_ms": 0}


def named(case: dict[str, Any]) -> str:
    return str(case["name"])


@pytest.mark.parametrize("case", SHOWN, ids=named)
def test_the_vectors_are_shown_as_they_say(case: dict[str, Any]) -> None:
    events = msgspec.convert(case["events"], list[Event])
    shown = msgspec.convert(case["shown"], list[Message])
    for seed in range(10):
        again = [*events, *events]
        Random(seed).shuffle(again)
        assert display(again) == shown


@pytest.mark.parametrize("case", SHOWN, ids=named)
def test_the_server_shows_the_vectors_as_they_say(case: dict[str, Any]) -> None:
    events = [
        msgspec.convert({**FILLING, **event, "type": "event"}, wire.Event) for event in raw_bodies(case["events"])
    ]
    timeline = served.absorb({}, [fact for event in events if (fact := served.read(event))])
    expected = [(m["seq"], {n: v for n, v in m.items() if n not in ("seq", "at", "by") and v}) for m in case["shown"]]
    assert [(seq, msgspec.to_builtins(body)) for seq, body in served.display(timeline)] == expected


def raw_bodies(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**event, "body": msgspec.Raw(msgspec.json.encode(event["body"]))} for event in events]


@pytest.mark.parametrize("case", WINDOWS, ids=named)
def test_the_windows_of_the_vectors_move_as_they_say(case: dict[str, Any]) -> None:
    timeline = Timeline(100)
    for step in case["steps"]:
        gives = perform(timeline, step)
        assert gives == step.get("gives", [])
        for name in ("head", "oldest", "missing"):
            assert getattr(timeline, name) == step.get(name, getattr(timeline, name)), step


def perform(timeline: Timeline, step: dict[str, Any]) -> list[int]:
    if "reset" in step:
        timeline.reset(msgspec.convert(step["reset"], Position))
    if "expect" in step:
        timeline.expect(step["expect"])
    return [event.seq for event in timeline.merge(msgspec.convert(step.get("merge", []), list[Event]))]


def message(seq: int) -> Event:
    return Event(seq=seq, at=seq, kind="chat.posted", by="bob", body={"text": f"message {seq}"})


def begun(seq: int = 0, capacity: int = 100) -> Timeline:
    timeline = Timeline(capacity)
    timeline.reset(Position("a", seq))
    return timeline


def test_a_timeline_has_no_position_before_it_begins() -> None:
    assert Timeline(10).position is None
    assert begun(4).position == Position("a", 4)


def test_a_head_says_whether_all_is_there() -> None:
    timeline = begun(4)
    assert timeline.compare(Position("a", 4)) is Compared.COMPLETE
    assert timeline.compare(Position("b", 4)) is Compared.ANEW
    assert timeline.compare(Position("a", 5)) is Compared.BEHIND
    timeline.merge([message(5)])
    assert timeline.compare(Position("a", 5)) is Compared.COMPLETE


def test_no_more_is_held_than_there_is_room_for() -> None:
    timeline = begun(capacity=3)
    assert [event.seq for event in timeline.merge(map(message, range(1, 8)))] == [1, 2, 3, 4, 5, 6, 7]
    assert [event.seq for event in timeline.events()] == [5, 6, 7]
    assert timeline.more
    assert timeline.room == 0
    timeline.merge([message(4)])
    assert timeline.oldest == 5
    # What is too far ahead is known to be missing, and is not kept.
    timeline.merge([message(11)])
    assert timeline.missing
    assert timeline.merge(map(message, range(8, 11))) == [message(8), message(9), message(10)]
    assert timeline.missing


def test_the_window_shows_its_messages() -> None:
    timeline = begun()
    timeline.merge([message(1), Event(seq=2, at=9, kind="chat.edited", by="bob", body={"seq": 1, "text": "better"})])
    assert [shown.text for shown in timeline.messages()] == ["better"]
    assert not timeline.more


def test_of_two_tellings_the_one_that_knows_more_is_held() -> None:
    first, again = message(1), Event(seq=1, at=1, kind="chat.posted", by="bob", body={"deleted": True})
    assert fuller(first, again) == fuller(again, first) == again
    started = Event(seq=1, at=1, kind="session.started", by="bob", body={"state": "live", "version": 2})
    assert fuller(started, started) is started


@given(st.integers(0, 5), st.permutations(range(1, 15)), st.lists(st.integers(1, 14)))
def test_events_in_any_order_and_any_number_are_given_out_once_and_in_order(
    start: int, order: list[int], again: list[int]
) -> None:
    timeline, given_out = begun(start), list[int]()
    for seq in [*order, *again]:
        given_out.extend(event.seq for event in timeline.merge([message(seq)]))
    assert given_out == list(range(start + 1, 15))
    assert [event.seq for event in timeline.events()] == list(range(1, 15))
    assert not timeline.missing


def read(event: wire.Event) -> Event:
    return msgspec.json.decode(msgspec.json.encode(event), type=Event)


@given(chats(), st.data())
def test_the_server_and_the_client_show_the_same(records: list[Record], data: st.DataObject) -> None:
    """Whatever is told, as it was written or again, in any order, comes to the same on both sides."""
    log = [event_of(SESSION, record, Course()) for record in records]
    known = served.absorb({}, [fact for event in log if (fact := served.read(event))])
    told = [
        served.retell(event, known.get(fact.seq if (fact := served.read(event)) else 0, served.Message()))
        for event in data.draw(st.lists(st.sampled_from(log))) if log
    ] if log else []  # fmt: skip
    heard = data.draw(st.permutations([*log, *told]))
    shown = [(message.seq, message.text, message.reply_to, message.deleted) for message in display(map(read, heard))]
    theirs = [(seq, body.text, body.reply_to, body.deleted) for seq, body in served.display(known)]
    assert shown == theirs
