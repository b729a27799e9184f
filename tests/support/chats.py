"""Chats that Hypothesis makes up: logs of messages, of edits, also late ones, and of deletions."""

import msgspec
from hypothesis import strategies as st

from persistence.log import Record
from realtime.protocol.events import ChangeBody, ChatBody, Kind

KEY = "5f0c3b1e-9d7a-4e52-8a3c-2f1b6d9e0c4a"
# The newest moment; events happened up to `MAX_AGE` before it, so that they meet and cross.
NOW = 100
MAX_AGE = 3


def _body(draw: st.DrawFn, seq: int, kind: Kind, messages: list[int]) -> ChatBody | ChangeBody:
    text = f"text of {seq}"
    if kind is Kind.CHAT_POSTED:
        return ChatBody(text, draw(st.sampled_from([None, *messages])))
    target = draw(st.sampled_from(messages))
    return ChangeBody(target, text if kind is Kind.CHAT_EDITED else "")


@st.composite
def chats(draw: st.DrawFn, first: int = 1, most: int = 12) -> list[Record]:
    """Give records from the seq `first` on, as they were written. Everyone changes only what is there already."""
    records: list[Record] = []
    messages: list[int] = []
    for seq in range(first, first + draw(st.integers(0, most))):
        kind = draw(st.sampled_from([Kind.CHAT_POSTED, Kind.CHAT_EDITED, Kind.CHAT_EDITED, Kind.CHAT_DELETED]))
        if not messages:
            kind = Kind.CHAT_POSTED
        body = _body(draw, seq, kind, messages)
        if kind is Kind.CHAT_POSTED:
            messages.append(seq)
        age = draw(st.integers(0, MAX_AGE))
        records.append(Record(seq, NOW - age, kind, "bob", KEY, msgspec.json.encode(body).decode()))
    return records
