import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.domain.inbox import MAX_MENTIONS, NOTHING, Share, follows, mentioned, serves, share, whole


@pytest.mark.parametrize(
    ("given_to", "acked", "dropped", "after", "end", "expected"),
    [
        # Nothing was ever there, and then something was.
        (NOTHING, 0, 0, 0, 0, Share(0, 0, 0)),
        (NOTHING, 0, 0, 0, 3, Share(0, 3, 0)),
        # What is acknowledged is not lost; what gave way is.
        (NOTHING, 5, 0, 5, 8, Share(0, 8, 0)),
        (NOTHING, 2, 5, 5, 8, Share(0, 8, 3)),
        (NOTHING, 5, 3, 5, 5, Share(0, 5, 0)),
        (NOTHING, 2, 5, 5, 5, Share(0, 5, 3)),
        # Who had a part gets the rest.
        (6, 2, 0, 4, 8, Share(2, 8, 0)),
        (8, 2, 0, 4, 8, Share(4, 8, 0)),
        (9, 2, 0, 4, 8, Share(5, 9, 0)),
        # Another device has acknowledged what this one had not seen yet.
        (3, 6, 0, 6, 8, Share(0, 8, 0)),
        (3, 4, 6, 6, 8, Share(0, 8, 2)),
    ],
)
def test_shares(given_to: int, acked: int, dropped: int, after: int, end: int, expected: Share) -> None:
    assert share(given_to, acked, dropped, after, end) == expected


@pytest.mark.parametrize(
    ("given_to", "gone", "after", "end", "served"),
    [
        (NOTHING, 0, 0, 0, True),
        (NOTHING, 3, 3, 5, True),
        (3, 0, 3, 5, True),
        (4, 0, 3, 5, True),
        (1, 3, 3, 3, True),
        # It has all of it already.
        (5, 0, 3, 5, False),
        (6, 0, 3, 5, False),
        # It needs what lies before.
        (NOTHING, 2, 3, 5, False),
        (2, 0, 3, 5, False),
    ],
)
def test_whom_a_page_serves(given_to: int, gone: int, after: int, end: int, *, served: bool) -> None:
    assert serves(given_to, gone, after, end) is served


@given(st.data())
def test_pages_in_a_row_give_everything_once(data: st.DataObject) -> None:
    """Whatever is acknowledged or dropped meanwhile: given, acknowledged and lost are all that there was."""
    seq = data.draw(st.integers(0, 12))
    acked = dropped = told = 0
    reached = NOTHING
    got: list[int] = []
    while reached < seq:
        acked = data.draw(st.integers(acked, seq))
        dropped = data.draw(st.integers(dropped, seq))
        after = max(reached, acked, dropped)
        end = min(seq, after + data.draw(st.integers(0 if reached == NOTHING or after > reached else 1, 3)))
        part = share(reached, acked, dropped, after, end)
        new = list(range(after + 1, end + 1))[part.first :]
        assert not new or follows(max(reached, acked, dropped), new)
        got += new
        told += part.lost
        assert part.upto >= max(reached, 0)
        reached = part.upto
    assert got == sorted(set(got))
    assert told <= seq - len(got)
    missing = set(range(acked + 1, seq + 1)) - set(got)
    assert len(missing) <= told


def test_what_follows() -> None:
    assert follows(4, [5, 6, 7])
    assert follows(4, [])
    for seqs in ([6], [5, 7], [4, 5], [6, 5], [5, 5]):
        assert not follows(4, seqs)


def test_what_is_whole() -> None:
    assert whole(4, [5, 6, 7], 7, 50)
    assert whole(4, [5, 6, 7], 100, 3)
    assert whole(4, [], 4, 50)
    assert whole(4, [], 3, 50)
    for seqs, seq in (([5, 6], 7), ([5, 7], 6), ([6, 7], 7), ([5], 4), ([], 5)):
        assert not whole(4, seqs, seq, 50)


@pytest.mark.parametrize(
    ("text", "users"),
    [
        ("no one", []),
        ("@bob", ["bob"]),
        ("hi @bob, @eve! (@zoe) @a_b-C9.", ["bob", "eve", "zoe", "a_b-C9"]),
        ("@bob and @bob", ["bob"]),
        ("@ann talks to herself, and to @bob", ["bob"]),
        ("bob@example.com", []),
        ("über@bob", []),
        ("こんにちは@bobさん", ["bob"]),
        ("@@bob @ bob @", []),
        ("@bob@eve", ["bob"]),
        ("@" + "x" * 64, ["x" * 64]),
        ("@" + "x" * 65, []),
        ("@bób", ["b"]),
        ("@a @b @c @d @e @f @g", ["a", "b", "c", "d", "e"]),
        ("@ann @a @b @c @d @e @f", ["a", "b", "c", "d", "e"]),
        ("line\n@bob\n", ["bob"]),
        ("@{bob} @*bob @../bob", []),
    ],
)
def test_who_is_mentioned(text: str, users: list[str]) -> None:
    assert mentioned(text, "ann") == users


@given(st.text(st.sampled_from("@@@ab_-.\u00e9 \n"), max_size=1000))
def test_only_so_many_are_mentioned_and_only_by_name(text: str) -> None:
    found = mentioned(text, "a")
    assert len(found) == len(set(found)) <= MAX_MENTIONS
    assert "a" not in found
    for user in found:
        assert f"@{user}" in text
        assert user.isascii()
        assert 1 <= len(user) <= 64


@pytest.mark.parametrize("text", ["@" * 4000, "@a" * 2000, ("@" + "a" * 65) * 60, "a@" * 2000, "@ann " * 800])
def test_hostile_texts_take_no_longer_than_others(text: str) -> None:
    began = time.process_time()
    for _ in range(20):
        mentioned(text, "ann")
    assert time.process_time() - began < 0.5
