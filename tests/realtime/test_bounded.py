"""Memories that forget."""

from collections import Counter, OrderedDict

from realtime.bounded import keep, uncount


def test_the_oldest_is_forgotten_and_what_comes_again_is_the_newest() -> None:
    known: OrderedDict[str, int] = OrderedDict()
    for key, value in [("a", 1), ("b", 2), ("a", 3), ("c", 4)]:
        keep(known, key, value, 2)
    assert list(known.items()) == [("a", 3), ("c", 4)]


def test_what_there_is_none_of_any_more_is_forgotten() -> None:
    counts = Counter({"a": 2, "b": 1})
    uncount(counts, "a")
    uncount(counts, "b")
    assert counts == {"a": 1}
    assert "b" not in counts
