from msgspec import structs

from bench.scenarios import tokens
from bench.tally import Percentiles

GOOD = tokens.Results(
    built_007_per_s=15_000,
    built_006_per_s=1,
    shared_per_s=1,
    requests=10,
    refused=0,
    first_ms=Percentiles(1, 2, 3, 4),
    again_ms=None,
    server_cpu_percent=None,
    server_cpu_per_request_us=None,
)


def test_what_was_promised() -> None:
    assert tokens.broken(GOOD) == []
    assert tokens.broken(structs.replace(GOOD, built_007_per_s=14_999, refused=2)) == [
        "14,999 tokens built in a second, 15,000 promised",
        "2 requests refused",
    ]
