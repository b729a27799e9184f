import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.domain.timeline import (
    Edit,
    Fact,
    Message,
    Post,
    Timeline,
    absorb,
    body,
    changed,
    display,
    merge,
    posted,
)
from realtime.protocol.events import ChangeBody, ChatBody, Kind, Stamp

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
