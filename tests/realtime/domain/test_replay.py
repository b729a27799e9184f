from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from realtime.domain.replay import Replay, Source, Span, Window, ahead, plan, span
from realtime.protocol.codes import Code, Refusal
from realtime.protocol.types import Position

LIMIT = 5
# A log of ten events, of which the node remembers the last three.
WINDOW = Window("e", 10, 8)
NOTHING, MEMORY, RESET = Source.NOTHING, Source.MEMORY, Source.RESET


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        pytest.param(None, Replay(NOTHING, 10), id="no position"),
        pytest.param(Position("e", 10), Replay(NOTHING, 10), id="at the head"),
        pytest.param(Position("e", 9), Replay(MEMORY, 9), id="one behind"),
        pytest.param(Position("e", 7), Replay(MEMORY, 7), id="just before the oldest in memory"),
        pytest.param(Position("e", 6), Replay(RESET, 10), id="one more"),
        pytest.param(Position("e", 0), Replay(RESET, 10), id="the beginning"),
        pytest.param(Position("e", 11), Replay(RESET, 10), id="above the head"),
        pytest.param(Position("f", 10), Replay(RESET, 10), id="another epoch"),
        pytest.param(Position("f", 9), Replay(RESET, 10), id="another epoch, behind"),
    ],
)
def test_plans(since: Position | None, expected: Replay) -> None:
    assert plan(since, WINDOW, LIMIT) == expected


def test_memory_gives_no_more_than_the_limit() -> None:
    assert plan(Position("e", 5), Window("e", 10, 1), LIMIT) == Replay(MEMORY, 5)
    assert plan(Position("e", 4), Window("e", 10, 1), LIMIT) == Replay(RESET, 10)


@given(
    head=st.integers(0, 12),
    held=st.integers(0, 12),
    since=st.none() | st.builds(Position, st.sampled_from("ef"), st.integers(0, 14)),
    limit=st.integers(0, 14),
)
@example(head=3, held=0, since=Position("e", 3), limit=0)
def test_a_reader_gets_each_event_up_to_the_head_once_or_is_told_to_start_anew(
    head: int, held: int, since: Position | None, limit: int
) -> None:
    oldest = max(head - held, 0) + 1
    replay = plan(since, Window("e", head, oldest), limit)
    given_events = list(range(replay.after + 1, head + 1))
    known = since is not None and since.epoch == "e" and since.seq <= head
    missed = list(range(since.seq + 1, head + 1)) if since and known else []
    if since is None or (known and len(missed) <= limit and all(seq >= oldest for seq in missed)):
        assert given_events == missed
        assert (replay.source is NOTHING) == (missed == [])
        assert replay.source is not RESET
    else:
        assert replay == Replay(RESET, head)


def page_of(head: int, before: int | None, after: int | None, limit: int) -> tuple[list[int], bool]:
    """Give a page by looking at every event, and whether the log goes on beyond it."""
    log = list(range(1, head + 1))
    if after is not None:
        above = [seq for seq in log if seq > after]
        return above[:limit], len(above) > limit
    below = [seq for seq in log if before is None or seq < before]
    return below[-limit:], len(below) > limit


@pytest.mark.parametrize(("head", "limit"), list(product(range(7), range(1, 8))))
def test_pages_of_every_small_log(head: int, limit: int) -> None:
    for before, after in [(None, None), *((n, None) for n in range(10)), *((None, n) for n in range(10))]:
        found = span(head, before, after, limit)
        assert (list(range(found.first, found.last + 1)), found.more) == page_of(head, before, after, limit)


@given(head=st.integers(0, 2**53), edge=st.integers(0, 2**53), limit=st.integers(1, 200))
def test_a_page_lies_within_the_log_and_within_its_limit(head: int, edge: int, limit: int) -> None:
    for found in (span(head, edge, None, limit), span(head, None, edge, limit), span(head, None, None, limit)):
        assert found.last - found.first + 1 <= limit
        assert found.first >= 1
        assert found.last <= head


@given(head=st.integers(0, 60), limit=st.integers(1, 9), forwards=st.booleans())
def test_turning_pages_reads_the_whole_log_once(head: int, limit: int, forwards: bool) -> None:
    page = span(head, None, 0, limit) if forwards else span(head, None, None, limit)
    read = [page]
    while page.more:
        page = span(head, None, page.last, limit) if forwards else span(head, page.first, None, limit)
        read.append(page)
    pages = [list(range(page.first, page.last + 1)) for page in (read if forwards else reversed(read))]
    assert [seq for page in pages for seq in page] == list(range(1, head + 1))


def test_a_page_has_one_edge() -> None:
    with pytest.raises(Refusal) as refused:
        span(10, 5, 5, 5)
    assert refused.value.code is Code.BAD_REQUEST
    assert span(10, 5, None, 5) == Span(1, 4, more=False)


@pytest.mark.parametrize(
    ("since", "further"),
    [(None, False), (Position("e", 10), False), (Position("e", 11), True), (Position("f", 11), False)],
)
def test_a_reader_may_have_more_than_the_node(since: Position | None, further: bool) -> None:
    assert ahead(since, Window("e", 10, 1)) is further
