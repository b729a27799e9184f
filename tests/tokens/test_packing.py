import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tokens.errors import TokenMalformed
from tokens.packing import MAX_TOKEN_CHARS, Reader, armour, pack_privileges, pack_string, unarmour


@given(st.binary(max_size=512))
def test_armour_comes_off_again(data: bytes) -> None:
    assert unarmour(armour(data)) == data


@pytest.mark.parametrize(
    "text",
    ["A", "AA", "AA=", "AB==", "AA==\n", " AA==", "AA==AA==", "A-_=", "A\x00==", "ÀA==", "\ud800", "===="],
)
def test_another_spelling_of_base64_is_refused(text: str) -> None:
    with pytest.raises(TokenMalformed):
        unarmour(text)


def test_the_longest_text_is_read_and_a_longer_one_is_not() -> None:
    assert len(unarmour("A" * MAX_TOKEN_CHARS)) == MAX_TOKEN_CHARS * 3 // 4
    with pytest.raises(TokenMalformed):
        unarmour("A" * (MAX_TOKEN_CHARS + 4))


@given(st.binary(max_size=100), st.dictionaries(st.integers(0, 0xFFFF), st.integers(0, 2**32 - 1), max_size=9))
def test_what_was_packed_is_read_in_order(data: bytes, expiries: dict[int, int]) -> None:
    reader = Reader(b"\x02\x01\x04\x03\x02\x01" + pack_string(data) + pack_privileges(expiries) + b"rest")
    assert (reader.u16(), reader.u32()) == (0x0102, 0x01020304)
    assert reader.string() == data
    assert reader.privileges() == expiries
    assert reader.rest() == b"rest"
    with pytest.raises(TokenMalformed):
        reader.end()


def test_the_end_is_where_nothing_is_left() -> None:
    Reader(b"").end()


@given(st.integers(1, 17))
@example(17)
def test_a_cut_value_is_refused(cut: int) -> None:
    whole = pack_string(b"abc") + pack_privileges({1: 5, 2: 6})
    reader = Reader(whole[:-cut])

    def read() -> None:
        reader.string()
        reader.privileges()

    with pytest.raises(TokenMalformed):
        read()


@pytest.mark.parametrize(
    "pairs",
    [
        pytest.param("0100 00000000 0100 00000000", id="twice the same"),
        pytest.param("0200 00000000 0100 00000000", id="out of order"),
    ],
)
def test_privileges_must_ascend(pairs: str) -> None:
    with pytest.raises(TokenMalformed):
        Reader(bytes.fromhex("0200" + pairs)).privileges()


def test_text_is_ascii() -> None:
    assert Reader(pack_string(b"room")).text() == "room"
    with pytest.raises(TokenMalformed):
        Reader(pack_string("é".encode())).text()
