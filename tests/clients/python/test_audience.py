from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagewire_client.audience import Audience, after, told
from stagewire_client.messages import Signal
from tests.clients.python.vectors import cases

NUMBERS = {"connections": 3, "users": 2, "watching": 0, "chatters": 1}
USERS = st.lists(st.sampled_from("abcde"), unique=True)


def signal(**fields: object) -> Signal:
    return Signal(session="", kind="audience", **fields)  # type: ignore[arg-type] # whatever a test gives


def test_a_join_tells_numbers_and_the_list_where_there_is_one() -> None:
    assert told(NUMBERS, ["bob", "alice"]) == Audience(NUMBERS, ("alice", "bob"))
    assert told(NUMBERS, None) == Audience(NUMBERS, None)


def test_a_signal_with_the_list_replaces_it() -> None:
    assert after(Audience(), signal(audience=NUMBERS, present=["bob"])) == Audience(NUMBERS, ("bob",))


def test_a_signal_with_changes_changes_it() -> None:
    known = told({}, ["alice", "bob"])
    assert after(known, signal(audience=NUMBERS, joined=["carol"], left=["bob"])).present == ("alice", "carol")
    assert after(known, signal(audience=NUMBERS, joined=[], left=[])).present == ("alice", "bob")


def test_a_signal_with_numbers_alone_takes_the_list_away() -> None:
    assert after(told({}, ["alice"]), signal(audience=NUMBERS)) == Audience(NUMBERS, None)


def test_changes_of_a_list_that_is_not_known_make_none() -> None:
    assert after(Audience(NUMBERS), signal(audience=NUMBERS, joined=["bob"], left=[])).present is None


def test_a_signal_without_numbers_leaves_them() -> None:
    assert after(Audience(NUMBERS), signal()).numbers == NUMBERS


@given(USERS, st.lists(st.tuples(USERS, USERS)))
def test_the_same_changes_again_change_nothing(present: list[str], changes: list[tuple[list[str], list[str]]]) -> None:
    audience = told({}, present)
    for joined, left in changes:
        once = after(audience, signal(joined=joined, left=left))
        assert after(once, signal(joined=joined, left=left)) == once
        audience = once


@pytest.mark.parametrize("case", cases("audience.json", "cases"), ids=lambda case: str(case["name"]))
def test_the_vectors_of_the_audience_come_out_as_they_say(case: dict[str, Any]) -> None:
    audience = told(case["joined"]["audience"], case["joined"].get("present"))
    assert shown(audience) == (case["numbers"], case["present"])
    for step in case["steps"]:
        audience = after(audience, signal(**step["signal"]))
        assert shown(audience) == (step["numbers"], step["present"]), step


def shown(audience: Audience) -> tuple[object, list[str] | None]:
    return audience.numbers, None if audience.present is None else list(audience.present)
