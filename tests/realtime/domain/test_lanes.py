"""What a reader who is behind gets: control, samples of the chat, and word of every gap."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from realtime.domain.lanes import Gap, Lane, Missed, Parcel

BATCHES = st.lists(st.tuples(st.floats(0, 2), st.lists(st.sampled_from(Lane), max_size=8)), max_size=12)


def parcels(lanes: list[Lane], after: int) -> list[Parcel]:
    """Make a run of parcels; of events, those after a `seq`."""
    made = []
    for lane in lanes:
        after += lane is not Lane.SIGNAL
        made.append(Parcel(b"", lane, after if lane is not Lane.SIGNAL else 0))
    return made


@given(batches=BATCHES)
def test_what_comes_is_consecutive_or_says_what_is_missing(batches: list[tuple[float, list[Lane]]]) -> None:
    missed, now, head, reached, signals, samples = Missed(), 0.0, 0, 0, 0, []
    for wait, lanes in batches:
        now += wait
        batch = parcels(lanes, head)
        head += len(lanes) - lanes.count(Lane.SIGNAL)
        signals += lanes.count(Lane.SIGNAL)
        for given_ in missed.select(batch, now, 1.0):
            if isinstance(given_, Gap):
                assert given_.first == reached + 1
                assert given_.size == given_.last - reached > 0
                reached = given_.last
            else:
                assert given_.lane is not Lane.SIGNAL
                assert given_.seq == reached + 1
                reached += 1
                if given_.lane is Lane.CHAT:
                    samples.append(now)
    for gap in missed.settle():
        assert gap == Gap(reached + 1, head)
        reached = gap.last
    assert reached == head
    assert missed.signals == signals
    assert missed.settle() == []
    assert all(later - earlier >= 1.0 for earlier, later in pairwise(samples))


def test_the_newest_message_is_the_sample_and_then_none_for_a_while() -> None:
    missed = Missed()
    chat = [Parcel(b"", Lane.CHAT, seq) for seq in range(1, 8)]
    assert missed.select(chat[:3], 10.0, 1.0) == [Gap(1, 2), chat[2]]
    assert missed.select(chat[3:5], 10.9, 1.0) == []
    assert missed.select(chat[5:], 11.0, 1.0) == [Gap(4, 6), chat[6]]
    assert missed.settle() == []


def test_control_comes_and_the_gap_before_it_is_told_first() -> None:
    missed = Missed()
    missed.select([Parcel(b"", Lane.CHAT, 1)], 0.0, 1.0)
    ended = Parcel(b"", Lane.CONTROL, 4)
    talk = [Parcel(b"", Lane.CHAT, 2), Parcel(b"", Lane.CHAT, 3)]
    assert missed.select([*talk, Parcel(b"", Lane.SIGNAL), ended], 0.5, 1.0) == [Gap(2, 3), ended]
    assert missed.signals == 1
