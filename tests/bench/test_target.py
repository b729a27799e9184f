import pytest

from bench.errors import BenchError
from bench.target import Address, address


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("ws://127.0.0.1:8000", Address("127.0.0.1", 8000)),
        ("ws://127.0.0.9:80/v1/ws", Address("127.0.0.9", 80)),
        ("ws://localhost:8000", Address("127.0.0.1", 8000)),
    ],
)
def test_addresses_of_the_loopback(url: str, expected: Address) -> None:
    assert address(url, ("ws",)) == expected


@pytest.mark.parametrize("url", ["ws://10.0.0.1:8000", "ws://127.example.com:8000", "ws://[::1]:8000", "ws://x:1"])
def test_load_goes_nowhere_else(url: str) -> None:
    with pytest.raises(BenchError, match=r"127\.0\.0\.0/8 only"):
        address(url, ("ws",))


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000", "ws://127.0.0.1", "ws://127.0.0.1:x", "127.0.0.1:8000", ""])
def test_what_is_no_such_url(url: str) -> None:
    with pytest.raises(BenchError, match="is not ws://ADDRESS:PORT"):
        address(url, ("ws",))
