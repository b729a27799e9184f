"""What Hypothesis draws for the fuzzing: mutations of a corpus."""

from collections.abc import Sequence
from typing import Final

from hypothesis import strategies as st

_SPLICES: Final = [b"\0", b"\xff", b"\xc1", b"{", b"[", b'"', b"\\ud800", b"9" * 400, b"1e999", b"\xdf\xff\xff\xff\xff"]


@st.composite
def mutated(draw: st.DrawFn, corpus: Sequence[bytes]) -> bytes:
    """Draw one of a corpus, with parts cut, doubled, changed, or taken from another one."""
    data = draw(st.sampled_from(corpus))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + 8)))
        part = draw(
            st.sampled_from(_SPLICES)
            | st.binary(max_size=4)
            | st.just(data[start:end] * 2)
            | st.sampled_from(corpus).map(lambda other: other[:64])
        )
        data = data[:start] + part + data[end:]
    return data
