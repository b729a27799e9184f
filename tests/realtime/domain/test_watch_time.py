import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.domain.watch_time import Note, WatchTime

BOB = ("s", "bob")


def test_who_is_there_without_watching() -> None:
    time = WatchTime(10)
    time.see(*BOB, 1)
    time.see(*BOB, 4)
    assert time.take(9) == {BOB: Note(1, 4, 1, 1)}
    assert time.take(9) == {}


def test_who_watches_is_noted_at_each_take() -> None:
    time = WatchTime(10)
    time.start(*BOB, 1)
    time.start(*BOB, 2)
    assert time.take(4) == {BOB: Note(1, 4, 1, 4, 3)}
    assert time.take(9) == {BOB: Note(4, 9, 4, 9, 5)}
    time.stop(*BOB, 10)
    time.stop(*BOB, 11)
    assert time.take(12) == {BOB: Note(9, 10, 9, 10, 1)}
    assert time.take(13) == {}


def test_nobody_watches_for_longer_than_is_believed() -> None:
    """However late that is noticed."""
    time = WatchTime(10)
    time.start(*BOB, 1, until=3)
    time.start(*BOB, 2, until=4)
    assert time.take(9) == {BOB: Note(1, 4, 1, 4, 3)}
    time.stop(*BOB, 10)
    assert time.take(11)[BOB].watched == 0
    time.start(*BOB, 20, until=22)
    time.stop(*BOB, 30)
    assert time.take(31) == {BOB: Note(20, 22, 20, 22, 2)}
    time.start(*BOB, 40, until=42)
    # Of another who knows, without an end.
    time.start(*BOB, 41)
    assert time.take(49) == {BOB: Note(40, 49, 40, 49, 9)}


def test_pauses_are_not_watched() -> None:
    time = WatchTime(10)
    time.see(*BOB, 0)
    time.start(*BOB, 1)
    time.stop(*BOB, 3)
    time.start(*BOB, 5)
    time.stop(*BOB, 6)
    time.see(*BOB, 8)
    assert time.take(9) == {BOB: Note(0, 8, 1, 6, 3)}


def test_what_could_not_be_written_goes_with_what_came_since() -> None:
    time = WatchTime(10)
    time.start(*BOB, 1)
    kept = time.take(3)
    time.see("s", "eve", 4)
    time.keep(kept)
    assert len(time) == 2
    assert time.take(5) == {BOB: Note(1, 5, 1, 5, 4), ("s", "eve"): Note(4, 4, 4, 4)}


def test_the_oldest_give_way() -> None:
    time = WatchTime(2)
    for n, user in enumerate(("bob", "eve", "zoe")):
        time.see("s", user, n)
    assert (set(time.take(3)), time.lost) == ({("s", "eve"), ("s", "zoe")}, 1)
    kept = {("s", user): Note(0, 0, 0, 0) for user in ("ann", "bob")}
    time.see("s", "eve", 4)
    time.keep(kept)
    assert (set(time.take(5)), time.lost) == ({("s", "bob"), ("s", "eve")}, 2)


STEPS = st.lists(st.tuples(st.sampled_from(["start", "stop", "take", "fail"]), st.integers(0, 5)), max_size=30)


@given(steps=STEPS)
def test_everything_watched_is_noted_once(steps: list[tuple[str, int]]) -> None:
    time, now, watching, watched, noted = WatchTime(10), 0, False, 0, 0.0
    for step, seconds in steps:
        now += seconds
        watched += seconds * watching
        if step == "start":
            time.start(*BOB, now)
            watching = True
        elif step == "stop":
            time.stop(*BOB, now)
            watching = False
        else:
            notes = time.take(now)
            for note in notes.values():
                assert note.since <= note.began <= note.ended <= note.until <= now
                assert note.watched <= note.ended - note.began
            if step == "fail":
                time.keep(notes)
            else:
                noted += sum(note.watched for note in notes.values())
    noted += sum(note.watched for note in time.take(now).values())
    assert noted == pytest.approx(watched)
