"""What is remembered of encoded slices, and how much of it."""

from msgspec import Raw

from realtime.protocol.codec import Format
from realtime.slices import Slices


def ask(slices: Slices, after: int, size: int) -> bool:
    """Ask for a slice of so many bytes; tell whether it had to be encoded."""
    encoded: list[int] = []

    def encode() -> Raw:
        encoded.append(after)
        return Raw(b"." * size)

    assert bytes(slices.give((Format.JSON, after, 9), encode)) == b"." * size
    return bool(encoded)


def test_each_is_encoded_once() -> None:
    slices = Slices(10_000)
    assert [ask(slices, after, 100) for after in (1, 2, 1, 2)] == [True, True, False, False]
    slices.forget()
    assert ask(slices, 1, 100)


def test_those_who_come_next_drive_out_those_who_came_first() -> None:
    slices = Slices(1000)
    assert [ask(slices, after, 400) for after in (1, 2, 2, 1)] == [True, True, False, True]


def test_what_is_too_large_is_not_remembered_and_drives_nobody_out_for_long() -> None:
    slices = Slices(1000)
    assert [ask(slices, 1, 2000), ask(slices, 1, 2000), ask(slices, 2, 100), ask(slices, 2, 100)] == [
        True,
        True,
        True,
        False,
    ]
    assert slices._size < 1000


def test_many_small_ones_count_for_more_than_their_bytes() -> None:
    slices = Slices(10_000)
    for after in range(1000):
        ask(slices, after, 2)
    assert len(slices._known) < 40
