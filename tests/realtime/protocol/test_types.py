from typing import Any

import msgspec
import pytest
from hypothesis import given

from realtime.protocol.types import MAX_INTEGER, CommandId, Epoch, Millis, Position, Seq, SessionId
from tests.realtime.protocol.strategies import NUMBERS, SESSIONS

ZEROS = "00000000-0000-0000-0000-000000000000"
integers = pytest.mark.parametrize("kind", [CommandId, Seq, Millis])


def convert(value: Any, kind: Any) -> Any:
    """Read a value as it may stand in a frame."""
    return msgspec.json.decode(msgspec.json.encode(value), type=kind)


@integers
@given(number=NUMBERS)
def test_integers_are_read_exactly(kind: Any, number: int) -> None:
    assert convert(number, kind) == number


@integers
@pytest.mark.parametrize("value", [-1, MAX_INTEGER + 1, MAX_INTEGER + 2, 2**63, 2**64, "5", 5.0, 5.5, True, None, []])
def test_other_integers_are_refused(kind: Any, value: Any) -> None:
    with pytest.raises(msgspec.ValidationError):
        convert(value, kind)


def test_the_largest_integer_is_the_largest_that_a_double_counts_to() -> None:
    assert float(MAX_INTEGER) + 1 == float(MAX_INTEGER + 1)
    assert float(MAX_INTEGER + 1) + 1 == float(MAX_INTEGER + 1)


@given(session=SESSIONS)
def test_a_session_id_is_a_uuid_in_lower_case(session: str) -> None:
    assert convert(session, SessionId) == session


@pytest.mark.parametrize(
    "value",
    [
        "",
        "x",
        ZEROS[:-1],
        ZEROS + "0",
        ZEROS + "\n",
        "\n" + ZEROS,
        " " + ZEROS,
        ZEROS.replace("-", ""),
        "{" + ZEROS + "}",
        "urn:uuid:" + ZEROS,
        ZEROS[:-1] + "A",
        ZEROS[:-1] + "g",
        ZEROS[:-1] + "\u0660",
        "../" + ZEROS[3:],
        5,
        None,
    ],
    ids=repr,
)
def test_no_other_session_id_is_taken(value: Any) -> None:
    with pytest.raises(msgspec.ValidationError):
        convert(value, SessionId)


@pytest.mark.parametrize(("epoch", "good"), [("", False), ("e", True), ("e" * 64, True), ("e" * 65, False)])
def test_an_epoch_has_1_to_64_characters(epoch: str, good: bool) -> None:
    if good:
        assert convert(epoch, Epoch) == epoch
        return
    with pytest.raises(msgspec.ValidationError):
        convert(epoch, Epoch)


def test_positions_are_values() -> None:
    assert convert({"seq": 4, "epoch": "e"}, Position) == Position("e", 4)
    assert Position("e", 4) != Position("f", 4)
    assert Position("e", 4) != Position("e", 5)


@pytest.mark.parametrize("value", [{"epoch": "e"}, {"seq": 1}, {"epoch": "e", "seq": 1, "x": 0}, ["e", 1], None])
def test_a_position_has_these_two_fields(value: Any) -> None:
    with pytest.raises(msgspec.ValidationError):
        convert(value, Position)
