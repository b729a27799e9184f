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


def test_a_refusal_is_counted_and_not_timed() -> None:
    tally = tokens._Tally()
    tally.take(first=True, given=True, late_ns=1)
    tally.take(first=False, given=False, late_ns=1)
    assert (tally.done, tally.refused, tally.first.count, tally.again.count) == (2, 1, 1, 0)
