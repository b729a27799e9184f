import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from persistence.log import Head, Record
from persistence.sessions import Session, Span
from realtime.domain import timeline
from realtime.domain.course import Course
from realtime.domain.replay import Window
from realtime.feed import Document, Feed, encode, event_of, view_of
from realtime.protocol.codec import JSON, MSGPACK
from realtime.protocol.events import Event
from realtime.protocol.replies import MediaClock
from realtime.protocol.session_settings import SessionSettings
from realtime.protocol.types import Position
from tests.support.chats import chats as talks

ID = "01932c07-3a6e-7cc0-8000-000000000001"
KEY = "5f0c3b1e-9d7a-4e52-8a3c-2f1b6d9e0c4a"


def stored(head: int = 0, version: int = 1) -> Session:
    return Session(
        id=ID,
        host="alice",
        title="A show",
        state="scheduled",
        version=version,
        created_at=5,
        started_at=None,
        ended_at=None,
        reason=None,
        former=None,
        ends_at=None,
        spans=[],
        head=Head("e", head),
    )


def chat(seq: int) -> Record:
    return Record(seq, 100 + seq, "chat.posted", "bob", KEY, f'{{"text":"{seq}"}}')


def chats(first: int, last: int) -> list[Record]:
    return [chat(seq) for seq in range(first, last + 1)]


def seqs(documents: list[Document]) -> list[int]:
    return [document.seq for document in documents]


def in_json(documents: list[bytes]) -> list[int]:
    return [msgspec.json.decode(document)["seq"] for document in documents]


# The head when the feed is opened, and offers of events in any order, with any repetition.
HEADS = st.integers(0, 5)
OFFERS = st.lists(st.lists(st.integers(1, 20), max_size=6), max_size=12)


@given(head=HEADS, offers=OFFERS)
def test_each_event_is_given_out_once_in_order_as_soon_as_all_before_it_are_there(
    head: int, offers: list[list[int]]
) -> None:
    feed = Feed(stored(head), capacity=100)
    seen = set(range(1, head + 1))
    reached = head
    for offer in offers:
        seen.update(offer)
        ready = feed.offer(chat(seq) for seq in offer)
        first, reached = reached + 1, next(seq for seq in range(1, 22) if seq not in seen) - 1
        assert seqs(ready) == list(range(first, reached + 1))
        assert feed.head == reached
        assert feed.hole == (max(seen, default=0) > reached)


@given(head=HEADS, capacity=st.integers(1, 4), offers=OFFERS, noticed=st.integers(0, 25))
@example(head=0, capacity=2, offers=[[9, 8]], noticed=0)
@example(head=0, capacity=1, offers=[[9], [2]], noticed=20)
def test_reading_on_from_the_head_closes_any_hole(
    head: int, capacity: int, offers: list[list[int]], noticed: int
) -> None:
    feed = Feed(stored(head), capacity)
    given_out = [seq for offer in offers for seq in seqs(feed.offer(map(chat, offer)))]
    feed.expect(noticed)
    known = max([head, noticed, *(seq for offer in offers for seq in offer)])
    while feed.hole:
        before = feed.head
        given_out += seqs(feed.offer(chats(feed.head + 1, min(feed.head + capacity, known))))
        assert feed.head > before
    assert given_out == list(range(head + 1, known + 1))


@given(capacity=st.integers(1, 4), offers=OFFERS)
def test_memory_is_bounded(capacity: int, offers: list[list[int]]) -> None:
    feed = Feed(stored(), capacity)
    for offer in offers:
        feed.offer(map(chat, offer))
        assert len(feed._early) <= capacity
        assert feed.window.head - feed.window.oldest < capacity


@given(
    head=HEADS,
    capacity=st.integers(1, 6),
    more=st.integers(0, 6),
    after=st.integers(0, 14),
    before=st.integers(0, 14),
)
def test_what_lies_in_memory_can_be_had_from_anywhere_to_anywhere(
    head: int, capacity: int, more: int, after: int, before: int
) -> None:
    feed = Feed(stored(head), capacity)
    feed.warm(chats(1, head))
    feed.offer(chats(head + 1, head + more))
    newest = list(range(1, head + more + 1))[-capacity:]
    assert feed.window == Window("e", head + more, head + more - len(newest) + 1)
    assert in_json(feed.between(after, before)) == [seq for seq in newest if after < seq < before]


def test_a_cold_feed_remembers_nothing() -> None:
    feed = Feed(stored(head=7), capacity=10)
    assert feed.window == Window("e", 7, 8)
    assert feed.between(0, 100) == []
    assert feed.position == Position("e", 7)
    assert not feed.hole


def test_warming_stops_at_the_head() -> None:
    feed = Feed(stored(head=3), capacity=10)
    feed.warm(chats(2, 5))
    assert feed.window == Window("e", 3, 2)
    # What was read beyond the head has not been given out: it still comes in its turn.
    assert seqs(feed.offer(chats(4, 5))) == [4, 5]
    assert in_json(feed.between(0, 100)) == [2, 3, 4, 5]


@pytest.mark.parametrize(("known", "hole"), [([], False), ([3, 1], False), ([4], True), ([4, 2], True)])
def test_the_log_may_be_known_to_go_on(known: list[int], hole: bool) -> None:
    feed = Feed(stored(head=3), capacity=10)
    for seq in known:
        feed.expect(seq)
    assert feed.hole == hole
    feed.offer([chat(4)])
    assert not feed.hole


def test_an_event_is_encoded_as_its_push() -> None:
    [document] = Feed(stored(), capacity=1).offer([chat(1)])
    assert document.json == encode(ID, chat(1), Course())
    assert msgspec.json.decode(document.json) == {
        "type": "event",
        "session": ID,
        "seq": 1,
        "at": 101,
        "media_ms": 0,
        "kind": "chat.posted",
        "by": "bob",
        "key": KEY,
        "body": {"text": "1"},
    }


def moved(seq: int, kind: str, state: str, version: int) -> Record:
    return Record(seq, 100 + seq, kind, "alice", None, f'{{"state": "{state}", "version": {version}}}')


LIFE = [
    moved(1, "session.created", "scheduled", 1),
    moved(2, "session.started", "live", 2),
    chat(3),
    moved(4, "session.paused", "paused", 3),
    moved(5, "session.resumed", "live", 4),
    moved(6, "session.ended", "ended", 5),
]


@given(order=st.permutations(LIFE), data=st.data())
def test_session_events_move_the_snapshot_in_order(order: list[Record], data: st.DataObject) -> None:
    feed = Feed(stored(), capacity=10)
    for record in order:
        feed.offer(data.draw(st.lists(st.sampled_from(order), max_size=2)))
        feed.offer([record])
    assert (feed.view.state, feed.view.version) == ("ended", 5)
    assert (feed.view.started_at, feed.view.ended_at) == (102, 106)
    assert feed.head == 6


@pytest.mark.parametrize(("until", "state"), [(1, "scheduled"), (3, "live"), (4, "paused"), (5, "live"), (6, "ended")])
def test_the_snapshot_is_that_of_the_head(until: int, state: str) -> None:
    feed = Feed(stored(), capacity=1)
    feed.offer(LIFE[:until])
    assert feed.view.state == state


def test_events_that_the_snapshot_has_seen_do_not_move_it_back() -> None:
    feed = Feed(stored(head=0, version=9), capacity=10)
    before = feed.view
    feed.offer(LIFE)
    assert feed.view is before


def test_a_stored_session_as_clients_see_it() -> None:
    spans = [Span(1, "scheduled", 5, 0), Span(2, "live", 6, 0), Span(3, "ended", 17, 11)]
    session = msgspec.structs.replace(
        stored(), state="ended", version=3, started_at=6, ended_at=17, reason="too_long", spans=spans
    )
    session = msgspec.structs.replace(session, settings='{"links":false,"later":1}', members={"bob": "cohost"})
    assert msgspec.structs.asdict(view_of(session)) == {
        "id": ID,
        "host": "alice",
        "title": "A show",
        "state": "ended",
        "version": 3,
        "created_at": 5,
        "since": 17,
        "media": MediaClock(11, 17, running=False),
        "started_at": 6,
        "ended_at": 17,
        "reason": "too_long",
        "ends_at": None,
        "settings": SessionSettings(links=False),
        "members": {"bob": "cohost"},
    }


def turn(seq: int, kind: str, **more: object) -> Record:
    body = msgspec.json.encode({"state": "live", "version": seq, **more}).decode()
    return Record(seq, 100 + seq, kind, "alice", None, body)


def test_a_feed_learns_how_everyone_stands() -> None:
    feed = Feed(stored(), capacity=10, allowed=["bob"])
    counts = []
    for record in (
        turn(1, "session.created"),
        turn(2, "session.updated", changes={"private": True}),
        turn(3, "session.role", user="carl", role="moderator"),
        turn(4, "session.guests", allowed=["eve", "zoe"], removed=["bob"]),
        turn(5, "session.guests", allowed=[], removed=["zoe", "joe"]),
        turn(6, "session.paused"),
    ):
        feed.offer([record])
        counts.append(feed.standings)
    assert counts == [0, 1, 2, 3, 4, 4]
    assert (feed.view.settings.private, feed.view.members, feed.allowed) == (True, {"carl": "moderator"}, {"eve"})


def test_nobody_is_told_the_names_of_guests() -> None:
    record = turn(1, "session.guests", allowed=["eve"], removed=["bob"], ends_at=9)
    public = {"state": "live", "version": 1, "ends_at": 9}
    [document] = Feed(stored(), capacity=10).offer([record])
    for told in (document.json, encode(ID, record, Course())):
        assert msgspec.json.decode(told)["body"] == public
    warm = Feed(stored(head=1), capacity=10)
    warm.warm([record])
    assert msgspec.json.decode(warm.between(0, 2)[0])["body"] == public


def test_nobody_has_noticed_or_left_anything_yet() -> None:
    feed = Feed(stored(), capacity=1)
    assert feed.hole_since is None
    assert feed.idle_since is None


# What became of messages


def edited(seq: int, message: int, text: str, at: int = 0) -> Record:
    body = msgspec.json.encode({"seq": message, "text": text}).decode()
    return Record(seq, at or 100 + seq, "chat.edited", "bob", KEY, body)


def deleted(seq: int, message: int) -> Record:
    return Record(seq, 100 + seq, "chat.deleted", "bob", KEY, f'{{"seq":{message}}}')


def told(records: list[Record], known: list[Record]) -> list[Event]:
    """Tell records again with all that is known, as the view `told_events` does."""
    facts = [fact for record in known if (fact := timeline.read(event_of(ID, record, Course())))]
    messages = timeline.absorb({}, facts)
    events = []
    for record in records:
        event = event_of(ID, record, Course())
        fact = timeline.read(event)
        events.append(timeline.retell(event, messages[fact.seq]) if fact else event)
    return events


def parsed(documents: list[bytes]) -> list[object]:
    return [msgspec.json.decode(document) for document in documents]


def all_of(feed: Feed) -> list[object]:
    return parsed(feed.between(0, feed.head + 1))


def retold(records: list[Record], known: list[Record]) -> list[object]:
    return parsed([msgspec.json.encode(event) for event in told(records, known)])


@given(log=talks(), data=st.data())
def test_memory_tells_everything_with_what_became_of_it_whatever_the_order_of_arrival(
    log: list[Record], data: st.DataObject
) -> None:
    feed = Feed(stored(), capacity=20)
    for record in data.draw(st.permutations(log)):
        feed.offer([record])
        assert all_of(feed) == retold(log[: feed.head], log[: feed.head])
    assert feed.head == len(log)


def as_told(record: Record, known: list[Record]) -> Record:
    [event] = told([record], known)
    return msgspec.structs.replace(record, body=bytes(event.body).decode())


@given(log=talks(), data=st.data())
def test_what_was_read_from_postgres_may_know_more_than_the_head(log: list[Record], data: st.DataObject) -> None:
    head = data.draw(st.integers(0, len(log)))
    known = log[: data.draw(st.integers(head, len(log)))]
    feed = Feed(stored(head), capacity=20)
    feed.warm(as_told(record, known) for record in log[:head])
    assert all_of(feed) == retold(log[:head], known)
    for record in log[head:]:
        feed.offer([data.draw(st.sampled_from([record, as_told(record, log)]))])
    assert all_of(feed) == retold(log, log)


@given(log=talks(most=20), capacity=st.integers(1, 6), data=st.data())
def test_a_small_memory_shows_the_same_to_who_knows_the_rest(
    log: list[Record], capacity: int, data: st.DataObject
) -> None:
    feed = Feed(stored(), capacity)
    live = [msgspec.json.decode(document.json, type=Event) for record in log for document in feed.offer([record])]
    memory = [msgspec.json.decode(document, type=Event) for document in feed.between(0, feed.head + 1)]
    assert [event.seq for event in memory] == list(range(1, feed.head + 1))[-capacity:]

    def shown(events: list[Event]) -> object:
        return timeline.display(timeline.absorb({}, [fact for event in events if (fact := timeline.read(event))]))

    everything = shown([event_of(ID, record, Course()) for record in log])
    assert shown(live) == everything
    # A page of what came before, told later, and what memory has: in any order.
    page = told(log[: max(feed.head - capacity, 0)], log)
    assert shown(data.draw(st.permutations([*page, *memory]))) == everything
    # Nothing is kept of messages that memory has no change of.
    changes = [event for event in memory if event.kind in ("chat.edited", "chat.deleted")]
    assert sum(changed.changes for changed in feed._changed.values()) == len(changes)
    assert 0 not in [changed.changes for changed in feed._changed.values()]


@given(log=talks(), data=st.data())
def test_no_text_of_a_deleted_message_is_left_in_memory(log: list[Record], data: st.DataObject) -> None:
    feed = Feed(stored(), capacity=20)
    for record in data.draw(st.permutations(log)):
        feed.offer([record])
    for record in log:
        if record.kind == "chat.deleted":
            message = msgspec.json.decode(record.body)["seq"]
            about = [one.seq for one in log if message in (one.seq, msgspec.json.decode(one.body).get("seq"))]
            held = str(list(feed._ring)) + str(feed._changed)
            assert not [seq for seq in about if f'"text of {seq}"' in held or f"'text of {seq}'" in held]


def test_the_latest_edit_is_told_and_the_stamp_says_which_it_is() -> None:
    feed = Feed(stored(), capacity=10)
    documents = feed.offer([chat(1), edited(2, 1, "two"), edited(3, 1, "late", at=50), edited(4, 1, "four")])
    live = [msgspec.json.decode(document.json)["body"] for document in documents]
    assert live == [
        {"text": "1"},
        {"seq": 1, "text": "two"},
        {"seq": 1, "text": "two", "edited": {"at": 102, "seq": 2}},
        {"seq": 1, "text": "four"},
    ]
    four = {"text": "four", "edited": {"at": 104, "seq": 4}}
    again = [msgspec.json.decode(document)["body"] for document in feed.between(0, 5)]
    assert again == [four, {"seq": 1, **four}, {"seq": 1, **four}, {"seq": 1, "text": "four"}]


def test_finding_an_event_in_memory() -> None:
    feed = Feed(stored(head=4), capacity=3)
    assert feed.find(4) is None
    feed.warm(chats(1, 4))
    feed.offer([edited(5, 3, "new"), deleted(6, 4)])
    assert [feed.find(seq) is not None for seq in range(9)] == [False] * 4 + [True] * 3 + [False] * 2
    assert feed.find(4) == event_of(ID, msgspec.structs.replace(chat(4), body='{"deleted":true}'), Course())
    assert Feed(stored(), capacity=3).find(1) is None


def test_many_edits_of_one_message_cost_no_more_than_others() -> None:
    """Each edit touches itself alone; the others are told anew when somebody asks for them."""
    feed = Feed(stored(), capacity=10)
    feed.offer([chat(1), *(edited(seq, 1, f"{seq}") for seq in range(2, 10))])
    before = [document.json for document in feed._ring]
    [last] = feed.offer([edited(10, 1, "last")])
    assert [document.json for document in feed._ring] == [*before, last.json]
    assert [event["body"]["text"] for event in all_of(feed)] == ["last"] * 10  # type: ignore[index] # as parsed


@given(log=talks(most=20), capacity=st.integers(1, 8), shared=st.sampled_from([0, 700, 1 << 20]), data=st.data())
def test_what_is_shared_is_what_each_would_have_been_told_alone(
    log: list[Record], capacity: int, shared: int, data: st.DataObject
) -> None:
    # One that shares, and one that encodes for each anew.
    sharing, alone = Feed(stored(), capacity, shared=shared), Feed(stored(), capacity)
    for record in log:
        for feed in (sharing, alone):
            feed.offer([record])
        for after, codec in data.draw(st.lists(st.tuples(st.integers(0, 20), st.sampled_from([JSON, MSGPACK])))):
            before = data.draw(st.integers(after, 21))
            told = bytes(sharing.slice(codec, after, before))
            assert told == bytes(codec.array(alone.between(after, before)))
            decode = msgspec.msgpack.decode if codec.binary else msgspec.json.decode
            assert decode(told) == parsed(alone.between(after, before))


def test_a_slice_is_encoded_once_until_something_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    feed = Feed(stored(), capacity=10, shared=1 << 20)
    feed.offer(chats(1, 5))
    encoded: list[tuple[int, int]] = []
    between = feed.between

    def counted(after: int, before: int) -> list[bytes]:
        encoded.append((after, before))
        return between(after, before)

    monkeypatch.setattr(feed, "between", counted)
    for _ in range(3):
        for codec in (JSON, MSGPACK):
            feed.slice(codec, 2, 6)
    assert encoded == [(2, 6), (2, 6)]
    feed.offer(chats(6, 6))
    feed.slice(JSON, 2, 7)
    feed.slice(JSON, 2, 6)
    assert len(encoded) == 4


def test_no_text_of_a_deleted_message_is_kept_for_others() -> None:
    feed = Feed(stored(), capacity=10, shared=1 << 20)
    feed.offer([Record(1, 100, "chat.posted", "bob", KEY, '{"text":"regretted"}')])
    assert b"regretted" in bytes(feed.slice(JSON, 0, 2))
    feed.offer([Record(2, 101, "chat.deleted", "bob", KEY, '{"seq":1}')])
    assert not feed._slices._known
