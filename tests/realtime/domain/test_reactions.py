"""Reactions on several nodes: nothing is counted twice, nothing is told one by one, and memory is bounded."""

from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from realtime.domain.reactions import KIND_MS, Burst, Tally, Unsaved

GAP = 10
KINDS = ["heart", "fire", "clap"]
REACTIONS = st.lists(st.tuples(st.integers(0, 15), st.integers(0, 2), st.sampled_from(KINDS)), max_size=40)


@given(REACTIONS)
def test_every_node_tells_every_reaction_of_all_nodes_once_and_in_bursts(
    reactions: list[tuple[int, int, str]],
) -> None:
    nodes = [Tally(GAP, 5) for _ in range(3)]
    told: list[Counter[str]] = [Counter() for _ in nodes]
    times: list[list[int]] = [[] for _ in nodes]
    now = 0

    def tell() -> None:
        for number, node in enumerate(nodes):
            if burst := node.burst(now):
                told[number].update(burst.counts)
                times[number].append(now)
                assert all(count > 0 for count in burst.counts.values())
                for other in nodes[:number] + nodes[number + 1 :]:
                    other.hear(burst.own, now)

    for pause, node, kind in [*reactions, (3 * GAP, 0, "")]:
        for _ in range(pause):
            now += 1
            tell()
        assert not kind or nodes[node].add(kind, now)
        tell()
    assert told == [Counter(kind for _, _, kind in reactions)] * 3
    for bursts in times:
        assert all(after - before >= GAP for before, after in pairwise(bursts))
    assert all(node.idle(now) is not bool(reactions) for node in nodes)
    assert all(node.idle(now + KIND_MS) for node in nodes)


def test_the_first_reaction_is_told_at_once() -> None:
    tally = Tally(GAP, 5)
    assert tally.burst(0) is None
    tally.add("heart", 0)
    assert tally.burst(0) == Burst({"heart": 1}, {"heart": 1})
    tally.add("heart", 1)
    tally.hear({"heart": 5, "fire": 2}, 2)
    assert tally.burst(9) is None
    assert tally.burst(10) == Burst({"heart": 6, "fire": 2}, {"heart": 1})
    tally.hear({"fire": 1}, 30)
    assert tally.burst(30) == Burst({"fire": 1}, {})


def test_there_are_so_many_kinds_at_a_time() -> None:
    tally = Tally(GAP, 2)
    assert tally.add("heart", 0)
    tally.hear({"fire": 1, "clap": 9}, 5)
    assert not tally.add("clap", 6)
    assert tally.burst(6) == Burst({"heart": 1, "fire": 1}, {"heart": 1})
    assert tally.add("heart", KIND_MS - 1)
    assert not tally.add("clap", KIND_MS + 4)
    # The fire has gone out.
    assert tally.add("clap", KIND_MS + 5)


@given(
    st.lists(st.sampled_from([("s", "heart"), ("s", "fire"), ("t", "heart"), "send", "lose", "answer"]), max_size=60)
)
def test_every_reaction_is_added_once_however_often_an_answer_is_lost(steps: list[tuple[str, str] | str]) -> None:
    unsaved, counted, stored, done = Unsaved(10), Counter[tuple[str, str]](), Counter[tuple[str, str]](), 0

    def send(*, arrives: bool, answered: bool) -> None:
        nonlocal done
        if batch := unsaved.batch():
            # As the database does it.
            if arrives and batch.number > done:
                stored.update(batch.counts)
                done = batch.number
            if answered:
                unsaved.settle()

    for step in steps:
        if isinstance(step, tuple):
            assert unsaved.add(*step)
            counted[step] += 1
        else:
            send(arrives=step != "lose", answered=step == "answer")
    for _ in range(2):
        send(arrives=True, answered=True)
    assert stored == counted
    assert len(unsaved) == 0
    assert unsaved.batch() is None


def test_what_waits_to_be_added_is_bounded() -> None:
    unsaved = Unsaved(2)
    assert unsaved.add("s", "heart")
    assert unsaved.batch() is not None
    assert unsaved.add("s", "heart")
    assert unsaved.add("s", "heart")
    assert not unsaved.add("t", "heart")
    assert len(unsaved) == 2
    unsaved.settle()
    assert unsaved.add("t", "heart")
    second = unsaved.batch()
    assert second is not None
    assert (second.number, second.counts) == (2, {("s", "heart"): 2, ("t", "heart"): 1})
