from hypothesis import given
from hypothesis import strategies as st

from realtime.domain.drain import slots


def test_connections_go_at_the_rate_until_the_deadline() -> None:
    assert slots(5, 2, 10_000) == [0, 500, 1000, 1500, 2000]
    assert slots(5, 2, 1200) == [0, 500, 1000, 1200, 1200]
    assert slots(0, 2, 1200) == []


@given(count=st.integers(0, 300), rate=st.floats(0.5, 10_000), deadline=st.integers(0, 60_000))
def test_no_second_has_more_than_the_rate_before_the_deadline(count: int, rate: float, deadline: int) -> None:
    found = slots(count, rate, deadline)
    assert len(found) == count
    assert found == sorted(found)
    early = [at for at in found if at < deadline]
    for at in early:
        assert sum(at <= other < at + 1000 for other in early) <= rate + 1
