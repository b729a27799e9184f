import pytest

from realtime.protocol.codes import HTTP_STATUS, Close, Code, Refusal


def test_every_code_has_an_http_status_that_tells_of_an_error() -> None:
    assert set(HTTP_STATUS) == set(Code)
    assert all(400 <= status < 600 for status in HTTP_STATUS.values())


def test_what_the_server_is_to_blame_for_is_not_put_on_the_client() -> None:
    ours = {code for code, status in HTTP_STATUS.items() if status >= 500}
    assert ours == {Code.UNAVAILABLE, Code.NOT_CONFIGURED, Code.INTERNAL}


@pytest.mark.parametrize(
    ("close", "first", "last"),
    [
        *((close, 1000, 1015) for close in Close if close < 3000),
        (Close.DRAIN, 4000, 4299),
        (Close.SLOW_CONSUMER, 4000, 4299),
        (Close.HEARTBEAT_LOST, 4000, 4299),
        (Close.UNAVAILABLE, 4000, 4299),
        (Close.TOKEN_EXPIRED, 4300, 4399),
        (Close.BAD_FRAME, 4400, 4999),
        (Close.NOT_AUTHENTICATED, 4400, 4999),
        (Close.NO_HELLO, 4400, 4999),
        (Close.TOO_LARGE, 4400, 4999),
    ],
)
def test_a_close_code_lies_in_the_range_that_says_what_to_do(close: Close, first: int, last: int) -> None:
    assert first <= close <= last


def test_a_refusal_carries_what_its_receiver_needs() -> None:
    plain = Refusal(Code.CONFLICT, "no")
    assert (plain.code, plain.message, plain.retry_after_ms, plain.state) == ("conflict", "no", None, None)
    full = Refusal(Code.UNAVAILABLE, "later", retry_after_ms=5, state="live")
    assert (full.retry_after_ms, full.state) == (5, "live")
    assert full.args == (Code.UNAVAILABLE, "later")
