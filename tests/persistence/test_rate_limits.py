import pytest

from persistence.errors import Rejected
from persistence.postgres import Postgres
from persistence.rate_limits import RateLimits


async def test_a_limit_is_changed_and_changed_again(postgres: Postgres) -> None:
    limits = RateLimits(postgres)
    assert await limits.all() == []
    await limits.change("chat", "viewer", 2.5, 5, "ann")
    await limits.change("join", "staff", 1.0, 1, "ann")
    await limits.change("chat", "viewer", 0.5, 7, "bea")
    stored = {(one.action, one.role): one for one in await limits.all()}
    assert stored.keys() == {("chat", "viewer"), ("join", "staff")}
    changed = stored["chat", "viewer"]
    assert (changed.rate, changed.burst, changed.changed_by) == (0.5, 7, "bea")
    assert changed.changed_at >= stored["join", "staff"].changed_at > 1_700_000_000_000


@pytest.mark.parametrize(
    ("rate", "burst"), [(0.0, 1), (-1.0, 1), (1e7, 1), (1.0, 0), (1.0, 2_000_000), (float("nan"), 1)]
)
async def test_what_is_out_of_bounds_is_rejected(postgres: Postgres, rate: float, burst: int) -> None:
    with pytest.raises(Rejected):
        await RateLimits(postgres).change("typing", "viewer", rate, burst, "ann")
