from typing import Any

import pytest

from persistence.slots import Slots, slot_of

ANSWER: list[list[Any]] = [
    [0, 8191, [b"10.0.0.1", 7000, b"id", []], [b"10.0.0.2", 7001, b"id", []]],
    [8192, 8192, [b"10.0.0.2", 7001, b"id"]],
    [8194, 16_383, [b"", 7002, b"id"]],
]


@pytest.mark.parametrize(
    ("key", "slot"),
    [
        # From the specification, and as `CLUSTER KEYSLOT` of a real server says.
        ("123456789", 12_739),
        (b"123456789", 12_739),
        ("sw:{abc}:hints", 7638),
        ("sw:{abc}:users:node", 7638),
        ("{abc}", 7638),
        ("abc", 7638),
    ],
)
def test_keys_with_one_tag_have_one_slot(key: str, slot: int) -> None:
    assert slot_of(key) == slot


def test_who_holds_what() -> None:
    slots = Slots(ANSWER, ("seed", 6379))
    assert [slots.holder(slot) for slot in (0, 8191, 8192, 8193, 8194, 16_383)] == [
        ("10.0.0.1", 7000),
        ("10.0.0.1", 7000),
        ("10.0.0.2", 7001),
        None,
        ("seed", 7002),
        ("seed", 7002),
    ]
    assert slots.masters == slots.members == {("10.0.0.1", 7000), ("10.0.0.2", 7001), ("seed", 7002)}


def test_a_slot_that_moves() -> None:
    slots = Slots(ANSWER[:1], ("seed", 6379))
    assert slots.masters == {("10.0.0.1", 7000)}
    assert slots.members == {("10.0.0.1", 7000), ("10.0.0.2", 7001)}
    slots.move(5, ("10.0.0.9", 7009))
    assert (slots.holder(4), slots.holder(5)) == (("10.0.0.1", 7000), ("10.0.0.9", 7009))


def test_nobody_holds_anything() -> None:
    slots = Slots([], ("seed", 6379))
    assert (slots.holder(0), slots.masters, slots.members) == (None, set(), set())
