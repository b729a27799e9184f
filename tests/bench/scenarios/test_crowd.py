from msgspec import structs

from bench.scenarios import crowd
from bench.tally import Percentiles

GOOD = crowd.Results(
    viewers=10, refused=0, unanswered=0, token_ms=Percentiles(1, 2, 3, 4), server_cpu_per_token_us=None
)


def test_what_was_promised() -> None:
    assert crowd.broken(GOOD) == []
    assert crowd.broken(structs.replace(GOOD, refused=2, unanswered=1)) == ["2 refused", "1 without an answer"]
