import itertools
from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from persistence.log import Record
from realtime.domain.course import Course
from realtime.domain.timeline import (
    Edit,
    Fact,
    Message,
    Post,
    Step,
    Timeline,
    absorb,
    body,
    changed,
    display,
    merge,
    posted,
    read,
    retell,
    story,
)
from realtime.feed import event_of
from realtime.protocol.events import ChangeBody, ChatBody, Event, Kind, SessionBody, Stamp
from tests.support.chats import chats

SESSION = "01932c07-3a6e-7cc0-8000-000000000001"

# Few values, so that facts meet in the same messages.
SEQS = st.integers(1, 4)
TIMES = st.integers(0, 3)
TEXTS = st.sampled_from(["", "a", "b"])


@st.composite
def facts(draw: st.DrawFn) -> Fact:
    """What a log could say: whatever is said of one event is always the same."""
    seq = draw(SEQS)
    kind = draw(st.sampled_from(["post", "merged post", "edit", "gone post", "deletion", "silenced edit"]))
    at, reply_to = seq * 10, seq - 1 or None
    if kind.endswith("post"):
        edited = Stamp(draw(TIMES), 9) if kind == "merged post" else None
        text = {"post": f"first of {seq}", "merged post": f"ninth at {edited}", "gone post": ""}[kind]
        return posted(seq, at, f"user{seq}", ChatBody(text, reply_to, edited, kind == "gone post"))
    if kind == "deletion":
        return changed(Kind.CHAT_DELETED, 99, 5, ChangeBody(seq))
    edit_at, edit_seq = draw(TIMES), draw(st.integers(5, 8))
    text = f"edit {edit_seq} at {edit_at}"
    silenced = kind == "silenced edit"
    return changed(Kind.CHAT_EDITED, edit_seq, edit_at, ChangeBody(seq, "" if silenced else text, None, silenced))


@given(st.lists(facts()), st.randoms(use_true_random=False))
def test_any_order_and_any_repetition_gives_the_same_timeline(log: list[Fact], random: object) -> None:
    again = [*log, *log]
    random.shuffle(again)  # type: ignore[attr-defined] # Hypothesis's Random
    assert absorb({}, again) == absorb({}, log)


@given(*[st.lists(facts())] * 3)
def test_merging_is_commutative_associative_and_idempotent(one: list[Fact], two: list[Fact], three: list[Fact]) -> None:
    a, b, c = (absorb({}, log).get(1, Message()) for log in (one, two, three))
    assert merge(a, b) == merge(b, a)
    assert merge(merge(a, b), c) == merge(a, merge(b, c))
    assert merge(a, a) == a


@given(st.lists(facts()), st.integers(0, 10))
def test_history_merged_by_the_server_and_the_rest_live_end_the_same(log: list[Fact], cut: int) -> None:
    """A page that has everything up to some point merged in says the same as the events themselves."""
    page = [
        posted(seq, message.post.at, message.post.by, body(message.post, message))
        for seq, message in absorb({}, log[:cut]).items()
        if message.post
    ]
    assert display(absorb(absorb({}, page), log)) == display(absorb({}, log))


POST = posted(1, 10, "bob", ChatBody("first", reply_to=7))
EDIT = changed(Kind.CHAT_EDITED, 2, 20, ChangeBody(1, "second"))
LATER = changed(Kind.CHAT_EDITED, 3, 20, ChangeBody(1, "third"))
OFFLINE = changed(Kind.CHAT_EDITED, 4, 15, ChangeBody(1, "written before, sent after"))
GONE = changed(Kind.CHAT_DELETED, 5, 12, ChangeBody(1))


@pytest.mark.parametrize(
    ("log", "shown"),
    [
        ([POST], ChatBody("first", 7)),
        ([POST, EDIT], ChatBody("second", 7, Stamp(20, 2))),
        ([POST, EDIT, LATER], ChatBody("third", 7, Stamp(20, 3))),
        ([POST, EDIT, LATER, OFFLINE], ChatBody("third", 7, Stamp(20, 3))),
        ([POST, OFFLINE, EDIT], ChatBody("second", 7, Stamp(20, 2))),
        ([POST, GONE], ChatBody(reply_to=7, deleted=True)),
        ([POST, GONE, LATER], ChatBody(reply_to=7, deleted=True)),
    ],
)
def test_the_later_edit_wins_and_a_deletion_beats_any(log: list[Fact], shown: ChatBody) -> None:
    for order in itertools.permutations(log):
        assert display(absorb({}, order)) == [(1, shown)]


def test_messages_are_displayed_by_the_moment_they_belong_to() -> None:
    late = posted(9, 5, "eve", ChatBody("written offline"))
    same = posted(3, 10, "eve", ChatBody("at the same moment"))
    assert [seq for seq, _ in display(absorb({}, [POST, late, same]))] == [9, 1, 3]


def test_what_is_only_hinted_at_is_not_displayed() -> None:
    timeline: Timeline = absorb({}, [EDIT, GONE])
    assert timeline == {1: Message(edit=Edit(20, 2, "second"), deleted=True)}
    assert display(timeline) == []
    assert absorb(timeline, [POST])[1].post == Post(10, "bob", "first", 7)


def event(seq: int, at: int, kind: Kind, said: ChatBody | ChangeBody | SessionBody, by: str = "bob") -> Event:
    return Event(
        session=SESSION, seq=seq, at=at, media_ms=0, kind=kind, by=by, body=msgspec.Raw(msgspec.json.encode(said))
    )


def bodies(events: Iterable[Event]) -> list[dict[str, object]]:
    return [msgspec.json.decode(event.body) for event in events]


def learn(events: Iterable[Event]) -> Timeline:
    return absorb({}, [fact for event in events if (fact := read(event))])


FIRST = event(1, 10, Kind.CHAT_POSTED, ChatBody("first", reply_to=7))
SECOND = event(2, 20, Kind.CHAT_EDITED, ChangeBody(1, "second"))
THIRD = event(3, 20, Kind.CHAT_EDITED, ChangeBody(1, "third"))
LATE = event(4, 15, Kind.CHAT_EDITED, ChangeBody(1, "written before, sent after"))
BEGUN = event(6, 30, Kind.SESSION_STARTED, SessionBody("live", 2))
DELETION = event(5, 12, Kind.CHAT_DELETED, ChangeBody(1))


def test_every_event_of_a_chat_says_something_of_one_message() -> None:
    assert [read(one) for one in (FIRST, SECOND, DELETION)] == [POST, EDIT, GONE]
    assert read(BEGUN) is None


def test_an_edit_that_was_told_again_speaks_for_the_edit_that_it_names() -> None:
    told = ChangeBody(1, "third", edited=Stamp(20, 3))
    assert changed(Kind.CHAT_EDITED, 2, 20, told) == Fact(1, Message(edit=Edit(20, 3, "third")))
    gone = ChangeBody(1, deleted=True)
    assert changed(Kind.CHAT_EDITED, 2, 20, gone) == Fact(1, Message(deleted=True))


@pytest.mark.parametrize(
    ("known", "told"),
    [
        ([], [{"text": "first", "reply_to": 7}, {"seq": 1, "text": "second"}]),
        ([SECOND], [{"text": "second", "reply_to": 7, "edited": {"at": 20, "seq": 2}}, {"seq": 1, "text": "second"}]),
        ([LATE, SECOND], [{"text": "second", "reply_to": 7, "edited": {"at": 20, "seq": 2}},
                          {"seq": 1, "text": "second"}]),
        ([SECOND, THIRD], [{"text": "third", "reply_to": 7, "edited": {"at": 20, "seq": 3}},
                           {"seq": 1, "text": "third", "edited": {"at": 20, "seq": 3}}]),
        ([DELETION, THIRD], [{"reply_to": 7, "deleted": True}, {"seq": 1, "deleted": True}]),
    ],
)  # fmt: skip
def test_what_is_told_again_has_what_became_of_the_message(known: list[Event], told: list[dict[str, object]]) -> None:
    message = learn(known).get(1, Message())
    assert bodies(retell(one, message) for one in (FIRST, SECOND)) == told


def test_only_the_body_is_told_otherwise() -> None:
    told = retell(FIRST, learn([THIRD])[1])
    assert msgspec.structs.replace(told, body=FIRST.body) == FIRST


def test_deletions_and_what_is_no_chat_are_told_as_they_are() -> None:
    assert retell(DELETION, learn([THIRD])[1]) is DELETION
    assert retell(BEGUN, learn([THIRD])[1]) is BEGUN


@given(chats(), st.data())
def test_telling_anything_again_with_any_knowledge_changes_nothing(records: list[Record], data: st.DataObject) -> None:
    """Whatever a reader hears, as written or again, in any order: in the end it shows the same."""
    log = [event_of(SESSION, record, Course()) for record in records]
    told = []
    for one in data.draw(st.lists(st.sampled_from(log or [BEGUN]))):
        knowledge = learn(data.draw(st.lists(st.sampled_from(log or [BEGUN]))))
        told.append(retell(one, knowledge.get(fact.seq if (fact := read(one)) else 0, Message())))
    heard = data.draw(st.permutations([*log, *told]))
    assert display(learn(heard)) == display(learn(log))


@given(chats(), st.data())
def test_telling_again_what_was_told_again_adds_up(records: list[Record], data: st.DataObject) -> None:
    log = [event_of(SESSION, record, Course()) for record in records]
    one, other = (learn(data.draw(st.permutations(log))[: data.draw(st.integers(0, 12))]) for _ in range(2))
    for event in log:
        seq = fact.seq if (fact := read(event)) else 0
        first, second = one.get(seq, Message()), other.get(seq, Message())
        assert bodies([retell(retell(event, first), second)]) == bodies([retell(event, merge(first, second))])


@given(chats())
def test_no_text_of_a_deleted_message_is_told_again(records: list[Record]) -> None:
    log = [event_of(SESSION, record, Course()) for record in records]
    timeline = learn(log)
    for one in log:
        fact = read(one)
        if fact and timeline[fact.seq].deleted:
            assert "text" not in bodies([retell(one, timeline[fact.seq])])[0]


def test_a_story_has_every_text_before_and_after() -> None:
    moderated = msgspec.structs.replace(DELETION, by="mod")
    assert story(FIRST, [moderated, SECOND, THIRD, LATE]) == [
        Step(4, 15, "bob", "chat.edited", "first", "written before, sent after"),
        Step(2, 20, "bob", "chat.edited", "written before, sent after", "second"),
        Step(3, 20, "bob", "chat.edited", "second", "third"),
        Step(5, 12, "mod", "chat.deleted", "third"),
    ]
    assert story(FIRST, []) == []
    assert b"after" not in msgspec.json.encode(story(FIRST, [DELETION])[0])


@given(chats())
def test_a_story_ends_with_what_is_displayed(records: list[Record]) -> None:
    log = [event_of(SESSION, record, Course()) for record in records]
    for seq, shown in display(learn(log)):
        post = next(one for one in log if one.seq == seq)
        changes = [one for one in log if one.seq != seq and (fact := read(one)) and fact.seq == seq]
        steps = story(post, changes)
        assert [step.before for step in steps[1:]] == [step.after or step.before for step in steps[:-1]]
        if steps and not shown.deleted:
            assert steps[-1].after == shown.text
        assert shown.deleted == any(step.after is None for step in steps)
