"""What is alike, and what is not."""

from typing import Any

import pytest

from tests.conformance.matching import Differs, Names, compare


@pytest.fixture
def names() -> Names:
    return Names(["alice", "al"], "-7", ["K1"])


def difference(told: Any, found: Any, names: Names) -> str | None:
    try:
        compare(told, found, names)
    except Differs as exc:
        return str(exc)
    return None


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ({"a": 1, "b": [True, "x"]}, {"a": 1, "b": [True, "x"], "more": 2}),
        ({"by": "alice"}, {"by": "alice-7"}),
        ({"members": {"al": "cohost"}}, {"members": {"al-7": "cohost"}}),
        ({"text": "@alice and @albert"}, {"text": "@alice-7 and @albert"}),
        ({"message": "no"}, {"message": "nein"}),
        ({"now": 1, "heartbeat_ms": 20}, {"now": 2, "heartbeat_ms": 30}),
        ({"key": "K1"}, {"key": "K1"}),
        ({"key": "made by the server"}, {"key": "another"}),
        ({"session": "S", "heads": {"S": {"epoch": "E"}}}, {"session": "T", "heads": {"T": {"epoch": "F"}}}),
        ([{"at": 5}, {"created_at": 5}, {"at": 9}], [{"at": 50}, {"created_at": 50}, {"at": 51}]),
        ({"type": "joined", "audience": {"users": 1}}, {"type": "joined", "audience": {"users": 2}}),
        ({"id": 1}, {"id": 1}),
        (4401, 4401),
    ],
)
def test_alike(told: Any, found: Any, names: Names) -> None:
    assert difference(told, found, names) is None


@pytest.mark.parametrize(
    ("told", "found", "where"),
    [
        ({"a": {"b": 1}}, {"a": {"b": 2}}, "a.b is 2 instead of 1"),
        ({"a": 1}, {}, "a is missing"),
        ({"a": 1}, {"a": True}, "a is True instead of 1"),
        ({"a": 1}, {"a": "1"}, "a is '1' instead of 1"),
        ({"a": {}}, {"a": []}, "a is [] instead of {}"),
        ({"by": "alice"}, {"by": "alice"}, "by is 'alice' instead of 'alice-7'"),
        ({"events": [1]}, {"events": [1, 2]}, "events has 2 instead of 1"),
        ([1, 2], [2, 1], "[0] is 2 instead of 1"),
        ({"message": "no"}, {"message": None}, "message is None instead of 'no'"),
        ({"now": 1}, {"now": "soon"}, "now is 'soon' instead of 1"),
        ({"key": "K1"}, {"key": "K2"}, "key is 'K2' instead of 'K1'"),
        (
            [{"session": "S"}, {"session": "S"}],
            [{"session": "T"}, {"session": "U"}],
            "[1].session is 'U'",
        ),
        ([{"at": 5}, {"at": 5}], [{"at": 50}, {"at": 51}], "[1].at is 51 instead of 5"),
        ([{"at": 5}, {"at": 9}], [{"at": 50}, {"at": 49}], "[1].at is 49 instead of 9"),
        ([{"at": 5}, {"at": 3}], [{"at": 50}, {"at": 51}], "[1].at is 51 instead of 3"),
        (
            {"type": "signal", "audience": {"users": 1}},
            {"type": "signal", "audience": {"users": 2}},
            "audience.users is 2",
        ),
        (4401, 4300, "it is 4300 instead of 4401"),
        (4401, {"type": "pong"}, "it is {'type': 'pong'} instead of 4401"),
    ],
)
def test_not_alike(told: Any, found: Any, where: str, names: Names) -> None:
    assert where in (difference(told, found, names) or "nothing")


def test_what_is_tried_in_a_copy_is_not_known(names: Names) -> None:
    assert names.copy().name("S", "T")
    assert names.name("S", "U")
    assert not names.copy().name("S", "T")
    assert names.translate(["S", {"S": "alice"}, 5]) == ["U", {"U": "alice-7"}, 5]
