from typing import Any

import pytest
from msgspec import structs

from bench import outlook
from bench.capacity import Load, flush_seconds, latest, work
from bench.outlook import Results
from bench.plots import Lines
from bench.points import model_of
from bench.tables import Quantity, across, markdown
from tests.bench.growth_samples import COSTS, PACE, POINTS

GROWN = Results(
    points=POINTS,
    model=model_of(POINTS),
    target=55,
    delay_ms=105,
    crowd=100_000,
    tick_ms=80,
    lanes=4,
    fill=32,
    ring_events=1000,
)


def rows(results: Results, title: str) -> dict[str, list[Any]]:
    (table,) = [table for table in outlook.tables(results) if table.title.startswith(title)]
    return {str(row[0]): [cell.value if isinstance(cell, Quantity) else cell for cell in row[1:]] for row in table.rows}


def test_the_pace_is_the_settings_and_the_fastest_append() -> None:
    assert GROWN.pace == PACE
    slower = [*POINTS, structs.replace(POINTS[2], append_ms=9.0)]
    assert structs.replace(GROWN, points=slower).pace == PACE
    quiet = structs.replace(GROWN, points=[seen for seen in POINTS if not seen.spot.rate])
    assert quiet.pace.append == 0


def test_the_points_stand_beside_what_the_model_makes_of_them() -> None:
    found = rows(GROWN, "points")
    assert len(found) == len(POINTS)
    viewers, messages, deliveries, writes, foreseen, cpu, fitted, guessed, *_ = found["viewers 1,000"]
    assert (viewers, messages, deliveries, writes, foreseen) == (1000, 20, 20_000, 20_000, 20_000)
    assert cpu == pytest.approx(fitted)
    assert cpu == pytest.approx(guessed, rel=1e-3)


def test_what_everything_costs_is_told() -> None:
    assert rows(GROWN, "what everything costs")["a write to a socket"] == [pytest.approx(6)]
    assert rows(GROWN, "what everything takes")["a connection"] == [pytest.approx(7000 / 1024)]


def test_a_core_takes_what_the_model_says_and_no_more() -> None:
    found = rows(GROWN, "capacity")
    viewers, flush, in_time, then, per_gib = found["one session, 50 messages/s"]
    assert work(Load(viewers, rate=50), COSTS, PACE).whole <= 0.55 < work(Load(viewers + 1, rate=50), COSTS, PACE).whole
    assert flush == pytest.approx(1000 * flush_seconds(Load(viewers, rate=50), COSTS, PACE))
    assert latest(Load(in_time, rate=50), COSTS, PACE) <= 0.105 < latest(Load(in_time + 1, rate=50), COSTS, PACE)
    assert then == pytest.approx(100 * work(Load(in_time, rate=50), COSTS, PACE).whole)
    assert per_gib == (2**30 - (64 << 20) - 5000 - 400_000) // 7000
    idle = found["viewers who only watch"]
    assert idle[0] == pytest.approx((0.55 - 0.005) / 3.1e-6, rel=1e-3)
    assert idle[1:4] == ["", "", ""]
    assert found["rooms of 10, a message of each in 30 s"][2:4] == ["", ""]


def test_what_leaves_no_time_for_bursts_is_not_in_time() -> None:
    dear = structs.replace(GROWN.model, costs=structs.replace(COSTS, second=0.6))
    found = rows(structs.replace(GROWN, model=dear), "capacity")["one session, 50 messages/s"]
    assert found[:2] == [0, ""]
    assert 79 < found[3] <= 80


def test_a_core_without_limits_is_said_to_be_one() -> None:
    free = structs.replace(GROWN.model, costs=structs.replace(COSTS, viewer=0.0))
    found = rows(structs.replace(GROWN, model=free), "capacity")
    assert found["viewers who only watch"][0] == "more than 1,000,000"


def test_many_nodes_share_a_crowd() -> None:
    found = rows(GROWN, "100,000 viewers in one session, on cores that are busy for 55 % at most, and")
    nodes, each, *parts, whole, _flush, last = found["50 messages/s"]
    assert each == round(100_000 / nodes)
    assert last <= 105
    assert whole == pytest.approx(sum(parts))
    # One less is too few.
    assert latest(outlook.share_of(100_000, 50, nodes - 1), COSTS, PACE) > 0.105
    assert outlook.share_of(100_000, 50, 4) == Load(25_000, rate=50, elsewhere=0.75)


def test_where_nothing_was_heard_nothing_is_said_of_many_nodes() -> None:
    alone = structs.replace(GROWN, points=[seen for seen in POINTS if not seen.spot.elsewhere])
    assert len(outlook.tables(alone)) == len(outlook.tables(GROWN)) - 2


def test_no_number_of_nodes_may_be_enough() -> None:
    slow = structs.replace(
        GROWN, target=1, model=structs.replace(GROWN.model, costs=structs.replace(COSTS, second=0.5))
    )
    assert (
        rows(slow, "100,000 viewers in one session, on cores that are busy for 1 % at most, and")["5 messages/s"][0]
        == "none are enough"
    )


def test_tables_are_told_over_several_runs_and_in_markdown() -> None:
    for first, second in zip(outlook.tables(GROWN), outlook.tables(GROWN), strict=True):
        assert markdown(across([first, second])).startswith(f"### {first.title}\n")


def test_each_series_is_plotted_with_its_curve() -> None:
    plots = outlook.plots(GROWN)
    by_title = {plot.title: plot for plot in plots}
    assert list(by_title) == [f"Server CPU by {name}" for name in ("idle", "viewers", "rate", "sessions", "heard")]
    plot = by_title["Server CPU by sessions"]
    assert isinstance(plot, Lines)
    (curve,) = plot.lines.values()
    assert (curve[0][0], curve[-1][0]) == pytest.approx((1, 500))
    assert [x for x, _ in plot.dots["measured"]] == [1, 10, 500]
    # Where the series has its points, both are alike.
    assert curve[0][1] == pytest.approx(plot.dots["measured"][0][1], rel=1e-2)


def test_a_series_of_one_point_has_no_way_to_go() -> None:
    assert [x for x, _ in outlook.between(POINTS[:1])] == [100]


def test_notes_say_how_well_it_fits_and_who_else_was_there() -> None:
    told = " ".join(outlook.notes(GROWN))
    assert "100.0 % of the variance" in told
    assert "appends of 4 ms, on 4 lanes" in told
    assert "others were on the machine" not in told
    busy = [structs.replace(seen, others=0.5, failed_first="no port") for seen in POINTS]
    told = " ".join(outlook.notes(structs.replace(GROWN, points=busy)))
    assert "up to 50 points" in told
    assert "viewers 1,000 was measured a second time; at first: no port" in told


def test_what_was_broken_is_told_with_its_point() -> None:
    torn = structs.replace(POINTS[2], broken=["3 deliveries missing"])
    assert outlook.broken(structs.replace(GROWN, points=[torn])) == ["3 deliveries missing (viewers 100)"]
