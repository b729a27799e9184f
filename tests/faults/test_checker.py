"""The checker finds every kind of lie, and no lie in the truth."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.faults.checker import Entry, Fate, History, Run, Send, broken, check

LOG = [
    Entry(1, "host", None, None),
    Entry(2, "ann", "a1", "one"),
    Entry(3, "bob", "b1", "two"),
    Entry(4, "ann", "a2", "three"),
]
SENDS = [
    Send("ann", "a1", "one", 1.0, 2.0, Fate.ACKED, 2),
    Send("bob", "b1", "two", 1.5, 3.0, Fate.ACKED, 3),
    Send("ann", "a2", "three", 3.5, 4.0, Fate.UNKNOWN),
    Send("bob", "b2", "four", 5.0, 6.0, Fate.REFUSED),
    Send("bob", "b3", "five", 7.0, 8.0, Fate.UNKNOWN),
]
READERS = {"eve": [Run(1, LOG[1:3]), Run(3, LOG[3:])], "zoe": [Run(1, LOG[1:2]), Run(4, [], reset=True)]}
TRUTH = History(SENDS, LOG, READERS, [Run(1, LOG[1:])])


def test_the_truth_passes() -> None:
    assert check(TRUTH) == []


def turn(number: int, seq: int, attempts: int = 1, connection: int = 7) -> Send:
    """Give one of ann's two messages, both of which were on their way at the same time."""
    entry = LOG[seq - 1]
    return Send("ann", entry.key or "", entry.text or "", number, 9.0, Fate.ACKED, seq, connection, number, attempts)


@pytest.mark.parametrize(
    "sends",
    [
        pytest.param([turn(1, 2), turn(2, 4, attempts=2)], id="in turn"),
        pytest.param([turn(1, 4, attempts=2), turn(2, 2)], id="it had to be sent again, which holds up nobody"),
        pytest.param([turn(1, 4, connection=6), turn(2, 2)], id="over two connections"),
        pytest.param([turn(1, 4), turn(2, 4)], id="the same message twice"),
        pytest.param(
            [SENDS[0], Send("ann", "a1", "not one", 3.0, 4.0, Fate.REFUSED)], id="the key was taken, and kept its text"
        ),
    ],
)
def test_what_is_allowed_passes(sends: list[Send]) -> None:
    others = [send for send in SENDS if send.key not in {send.key for send in sends}]
    assert check(instead(sends=[*sends, *others])) == []


def test_broken_promises_are_counted_by_name() -> None:
    lies = check(instead(sends=[turn(1, 4), turn(2, 2), SENDS[1]], log=[*LOG, LOG[0]]))
    assert broken(lies) == {"hole": 1, "out of turn": 1}


def instead(**parts: object) -> History:
    return msgspec.structs.replace(TRUTH, **parts)


@pytest.mark.parametrize(
    ("history", "told"),
    [
        (instead(log=[*LOG[:1], *LOG[2:]]), "hole: the log's entry 2"),
        (instead(log=[*LOG, Entry(5, "bob", "b1", "two")]), "duplicate"),
        (instead(log=LOG[:3], sends=[Send("ann", "a2", "three", 3.5, 4.0, Fate.ACKED, 4)], readers={}), "lost"),
        (instead(sends=[Send("ann", "a1", "another", 1.0, 2.0, Fate.ACKED, 2)]), "lost"),
        (instead(sends=[Send("ann", "a1", "one", 1.0, 2.0, Fate.ACKED, 3)]), "lost"),
        (instead(sends=[Send("ann", "a1", "one", 1.0, 2.0, Fate.REFUSED)]), "refused and stored"),
        (
            instead(
                sends=[
                    Send("bob", "b1", "two", 1.0, 2.0, Fate.ACKED, 3),
                    Send("ann", "a1", "one", 2.5, 3.0, Fate.ACKED, 2),
                ]
            ),
            "reordered",
        ),
        (instead(readers={"eve": [Run(1, [LOG[1], LOG[3]])]}), "silent hole"),
        (instead(readers={"eve": [Run(1, [LOG[1], LOG[1]])]}), "repeated"),
        (instead(readers={"eve": [Run(1, [LOG[2], LOG[1]])]}), "repeated"),
        (instead(readers={"eve": [Run(1, LOG[1:2]), Run(3, LOG[3:])]}), "silent hole"),
        (instead(readers={"eve": [Run(1, LOG[1:3]), Run(2, LOG[2:])]}), "silent hole"),
        (instead(readers={"eve": [Run(1, [Entry(2, "ann", "a1", "another")])]}), "another story"),
        (instead(sends=[turn(1, 4), turn(2, 2)]), "out of turn"),
        (instead(sends=SENDS[:2]), "invented: nobody sent what the log holds at 4"),
        (instead(sends=[turn(1, 4), turn(2, 2, attempts=2)]), "out of turn"),
        (instead(pages=[Run(1, [LOG[1], LOG[3]])]), "silent hole: a page"),
        (instead(pages=[Run(0, [LOG[1]])]), "silent hole: a page"),
        (instead(readers={"eve": [Run(-1, [Entry(0, "ann", "a9", "before the beginning")])]}), "another story"),
        (instead(readers={"eve": [Run(4, [Entry(5, "ann", "a9", "never stored")])]}), "another story"),
    ],
)
def test_a_lie_is_found(history: History, told: str) -> None:
    assert any(line.startswith(told) for line in check(history)), check(history)


@given(st.lists(st.integers(1, 3), max_size=30), st.data())
def test_any_history_of_an_honest_log_passes(sizes: list[int], data: st.DataObject) -> None:
    """Batches of concurrent sends, each acknowledged in some order after all of it was appended."""
    log, sends, clock = [Entry(1, "host", None, None)], [], 0.0
    for number, size in enumerate(sizes):
        for n in data.draw(st.permutations(range(size))):
            key = f"{number}-{n}"
            log.append(Entry(len(log) + 1, f"user{n}", key, key))
            sends.append(Send(f"user{n}", key, key, clock, clock + 1 + n / 10, Fate.ACKED, len(log)))
        clock += 2
    cut = data.draw(st.integers(1, len(log)))
    assert check(History(sends, log, {"eve": [Run(1, log[1:cut]), Run(max(cut, 1), log[max(cut, 1) :])]})) == []
