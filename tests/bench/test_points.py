import pytest

from bench.capacity import Costs, Memory, Pace
from bench.points import Seen, amounts, foreseen, holdings, model_of
from tests.bench.growth_samples import COSTS, MEMORY, POINTS, point


def test_the_model_finds_what_the_points_were_made_of() -> None:
    model = model_of(POINTS)
    for name in Costs.__struct_fields__:
        assert getattr(model.costs, name) == pytest.approx(getattr(COSTS, name), rel=1e-4, abs=1e-9), name
    for name in Memory.__struct_fields__:
        assert getattr(model.memory, name) == pytest.approx(getattr(MEMORY, name), rel=1e-4, abs=1e-3), name
    assert model.cpu.r_squared == pytest.approx(1)
    assert [model.fitted(seen) for seen in POINTS] == pytest.approx([seen.cpu for seen in POINTS], rel=1e-4)


def test_what_a_point_spends_and_holds_is_in_the_order_of_what_it_costs() -> None:
    seen = point("sessions", 10, viewers=100, sessions=10, rate=50)
    spent = dict(zip(Costs.__struct_fields__, amounts(seen), strict=True))
    assert spent == {
        "second": 1, "append": seen.appends, "message": seen.stored, "hint": seen.hints, "heard": seen.heard,
        "write": seen.writes, "delivery": seen.deliveries, "viewer": 100,
    }  # fmt: skip
    held = dict(zip(Memory.__struct_fields__, holdings(seen), strict=True))
    assert held == {"process": 1, "viewer": 100, "session": 10, "event": seen.kept}


def test_a_load_is_what_was_asked_for() -> None:
    rooms = point("sessions", 10, viewers=100, sessions=10, rate=50).load
    assert (rooms.viewers, rooms.sessions, rooms.rate, rooms.elsewhere) == (100, 10, 5, 0)
    assert point("heard", 50, viewers=10, rate=50, elsewhere=True).load.elsewhere == 1


def test_what_is_foreseen_has_nothing_counted() -> None:
    seen: Seen = point("viewers", 1000, viewers=1000, rate=20)
    share, writes = foreseen(model_of(POINTS), seen.load, Pace(0.08, 0.004, 4, 32))
    assert writes == 20_000
    assert share == pytest.approx(seen.cpu, rel=1e-3)
