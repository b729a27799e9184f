"""Frames, read back by websockets' own core."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from realtime.frames import FORMS, WINDOW_BITS, WORTHWHILE, Form, to_frame, to_small_frame
from realtime.protocol.codec import Format

SIZES = [0, 1, 125, 126, 127, 128, 65_535, 65_536, 70_000]


def read(data: bytes, *, compressed: bool) -> Frame:
    """Read a frame, which must be all that there is."""
    reader = StreamReader()
    reader.feed_data(data)
    extensions = [PerMessageDeflate(True, True, WINDOW_BITS, WINDOW_BITS)] if compressed else []
    parsing = Frame.parse(reader.read_exact, mask=False, extensions=extensions)
    with pytest.raises(StopIteration) as done:
        next(parsing)
    assert not reader.buffer
    frame: Any = done.value.value
    assert isinstance(frame, Frame)
    return frame


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("binary", [False, True])
def test_a_message_is_one_frame(size: int, binary: bool) -> None:
    frame = read(to_frame(b"x" * size, binary=binary), compressed=False)
    assert (frame.opcode, frame.fin, frame.data) == (Opcode.BINARY if binary else Opcode.TEXT, True, b"x" * size)


@given(payload=st.binary(max_size=10_000), binary=st.booleans())
@example(payload=b"", binary=False)
@example(payload=b"x" * (1 << WINDOW_BITS) * 3, binary=True)
def test_a_compressed_message_is_read_as_it_was(payload: bytes, binary: bool) -> None:
    frame = read(to_small_frame(payload, binary=binary), compressed=True)
    assert (frame.opcode, frame.fin, frame.data) == (Opcode.BINARY if binary else Opcode.TEXT, True, payload)


def test_what_repeats_gets_smaller_and_what_is_small_is_left_alone() -> None:
    assert len(to_small_frame(b"again and " * 100)) < 100
    assert to_small_frame(b"x" * (WORTHWHILE - 1)) == to_frame(b"x" * (WORTHWHILE - 1))


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_each_form_has_the_document_in_its_own_way(form: Form) -> None:
    frame = read(form.frame(b'{"a":"' + b"x" * WORTHWHILE + b'"}'), compressed=form.compressed)
    assert (frame.opcode is Opcode.BINARY) is (form.format is Format.MSGPACK)
    assert b"x" * WORTHWHILE in frame.data
