"""Memories that forget the oldest of what they know."""

from collections import OrderedDict

from realtime.bounded import keep


def test_the_oldest_is_forgotten_and_what_comes_again_is_the_newest() -> None:
    known: OrderedDict[str, int] = OrderedDict()
    for key, value in [("a", 1), ("b", 2), ("a", 3), ("c", 4)]:
        keep(known, key, value, 2)
    assert list(known.items()) == [("a", 3), ("c", 4)]
