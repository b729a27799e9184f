import pytest

from bench.errors import BenchError
from bench.target import Address, address, samples


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


def test_metrics_are_read_by_name_and_labels() -> None:
    exposition = """# HELP joins Joins, by source.
# TYPE joins counter
joins_total{source="memory"} 12.0
words{text="two words"} 1.5e+06
"""
    assert samples(exposition) == {'joins_total{source="memory"}': 12, 'words{text="two words"}': 1_500_000}
