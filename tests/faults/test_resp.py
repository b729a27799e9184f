"""Replies are found however they are cut, and hints among them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.faults.resp import Splitter, is_hint

SUBSCRIBED = b"*3\r\n$9\r\nsubscribe\r\n$3\r\nabc\r\n:1\r\n"
HINTS = [
    b"*3\r\n$7\r\nmessage\r\n$3\r\nabc\r\n$5\r\nx\r\ny\n\r\n",
    b">3\r\n$7\r\nmessage\r\n$3\r\nabc\r\n$0\r\n\r\n",
    b">3\r\n$8\r\nsmessage\r\n$3\r\nabc\r\n$2\r\n*1\r\n",
]
OTHERS = [
    SUBSCRIBED,
    b"+OK\r\n",
    b"-ERR wrong\r\n",
    b":12\r\n",
    b"$-1\r\n",
    b"*-1\r\n",
    b"*0\r\n",
    b"_\r\n",
    b"*2\r\n*1\r\n:1\r\n$2\r\n\r\n\r\n",
    b"%2\r\n+a\r\n:1\r\n+b\r\n~1\r\n#t\r\n",
    b"|1\r\n+ttl\r\n:5\r\n$2\r\nab\r\n",
    b"=7\r\ntxt:abc\r\n",
    b"!3\r\nERR\r\n",
]


@given(st.lists(st.sampled_from(HINTS + OTHERS)), st.data())
def test_replies_are_whole_again_however_they_are_cut(replies: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(replies)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    splitter = Splitter()
    found = [
        reply
        for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)
        for reply in splitter.feed(stream[begin:end])
    ]
    assert found == replies


@pytest.mark.parametrize("reply", HINTS)
def test_hints_are_known(reply: bytes) -> None:
    assert is_hint(reply)


@pytest.mark.parametrize("reply", OTHERS)
def test_nothing_else_is_taken_for_a_hint(reply: bytes) -> None:
    assert not is_hint(reply)
