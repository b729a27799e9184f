"""Refusals that several parts give."""

from collections.abc import Callable

import pytest

from realtime.protocol.codes import Code, Refusal
from realtime.protocol.refusals import contended, key_used, no_such_session, session_ended


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (no_such_session, Code.NOT_FOUND),
        (session_ended, Code.CONFLICT),
        (key_used, Code.CONFLICT),
        (contended, Code.UNAVAILABLE),
    ],
)
def test_each_is_a_new_one(make: Callable[[], Refusal], code: Code) -> None:
    one, two = make(), make()
    assert one is not two
    assert one.code == two.code == code
    # Raised again and again, one of them would remember where it was each time.
    with pytest.raises(Refusal) as raised:
        raise one
    assert raised.value.__traceback__ is not None
    assert make().__traceback__ is None


def test_what_more_they_say() -> None:
    assert session_ended().state == "ended"
    assert contended().retry_after_ms == 100
