import pytest
from msgspec import structs

from bench.conductor import Measured
from bench.errors import BenchError
from bench.looks import Look
from bench.machine import Reading, Ticks, Usage
from bench.pace import SECOND
from bench.points import Spot
from bench.scenarios import growth
from bench.scenarios.growth import Options
from tests.bench.seen import measured, result

SMALL = Options(idle="10", viewers="100,1000", rates="50", sessions="1,20", heard="200")


def test_in_each_series_one_thing_grows() -> None:
    found = [(spot.series, spot.x, spot.viewers, spot.sessions, spot.rate) for spot in growth.grid(SMALL)]
    assert found == [
        ("idle", 10, 10, 1, 0),
        ("viewers", 100, 100, 1, 20),
        ("viewers", 1000, 1000, 1, 20),
        ("rate", 50, 1000, 1, 50),
        # 5,000 deliveries/s, whatever the sessions.
        ("sessions", 1, 1000, 1, 5),
        ("sessions", 20, 1000, 20, 100),
        ("heard", 200, growth.LISTENERS, 1, 200),
    ]
    assert [spot.elsewhere for spot in growth.grid(SMALL)] == [False] * 6 + [True]


def test_idle_viewers_are_watched_for_a_round_of_heartbeats() -> None:
    times = [spot.seconds for spot in growth.grid(SMALL)]
    # Hints, which are counted by the second, for half of one.
    assert (times[0], times[1], times[-1]) == (growth.BEAT_SECONDS, 4, growth.BEAT_SECONDS // 2)


def test_points_are_in_order_and_may_be_left_out() -> None:
    options = Options(idle="-", viewers="1000, 10", rates="-", sessions="-", heard="-")
    assert [spot.x for spot in growth.grid(options)] == [10, 1000]


def test_what_is_no_list_is_refused() -> None:
    with pytest.raises(BenchError, match="--viewers"):
        growth.grid(structs.replace(SMALL, viewers="100001"))


def test_more_sessions_than_viewers_are_refused() -> None:
    with pytest.raises(BenchError, match="--sessions"):
        growth.grid(structs.replace(SMALL, fixed_viewers=10))


def test_longer_and_larger_points_are_said_to_take_longer() -> None:
    idle, small, large, *_ = growth.grid(SMALL)
    times = [growth.seconds_of(SMALL, spot) for spot in (small, large, idle)]
    assert times == sorted(times)
    assert times[0] > SMALL.seconds


def parts(series: str, rate: int, sessions: int = 1, *, elsewhere: bool = False) -> list[dict[str, int]]:
    spot = Spot(
        series=series, x=1, viewers=20, seconds=1, rate=rate, sessions=sessions, elsewhere=elsewhere
    )  # fmt: skip
    return growth.divide(SMALL, spot)


def test_clients_are_divided_as_the_load_asks_for() -> None:
    assert parts("idle", 0) == [{"viewers": 20}]
    assert parts("rate", 20)[-1] == {"senders": 2, "samples": 18, "size": 100}
    assert parts("sessions", 20, 5)[-1] == {"senders": 5, "samples": 15, "size": 100}
    assert parts("heard", 200, elsewhere=True) == [{"viewers": 0, "samples": 20}, {"senders": 20, "size": 100}]
    assert parts("heard", 2000, elsewhere=True)[0] == {"viewers": 15, "samples": 5}


def looked(at: int, cpu: float, **counted: float) -> Look:
    names = {
        "appends": "stagewire_commit_seconds_count",
        "appending": "stagewire_commit_seconds_sum",
        "flushes": "stagewire_commit_to_socket_seconds_count",
        "stored": 'stagewire_events_appended_total{outcome="new"}',
        "hints": 'stagewire_hints_total{direction="received"}',
        "deliveries": "stagewire_deliveries_total",
    }
    counters = {names[name]: value for name, value in counted.items()}
    return Look(at * SECOND, counters, Usage(at * SECOND, cpu, 2048, 1024))


def whole() -> Measured:
    found = measured(result(deliveries=4000), messages=3000)
    readings = (Reading(None, Ticks(0, 0), None), Reading(None, Ticks(60, 100), None))
    return structs.replace(found, readings=readings)


def test_a_point_is_told_by_the_second() -> None:
    spot = Spot(series="sessions", x=2, viewers=20, sessions=2, rate=100, seconds=2)
    looks = (
        looked(0, 1.0, deliveries=1000, stored=50, appends=10, appending=1.0),
        looked(2, 2.0, deliveries=3000, stored=250, appends=50, appending=1.2, flushes=100),
    )
    seen = growth.seen(spot, whole(), *looks)
    assert (seen.cpu, seen.rss) == (0.5, 2 << 20)
    assert (seen.stored, seen.heard, seen.appends, seen.deliveries) == (100, 0, 20, 1000)
    # 50 flushes a second, each to the 10 viewers of a session.
    assert seen.writes == 500
    assert seen.append_ms == pytest.approx(5)
    assert seen.others == pytest.approx(0.1)
    # No more than two sessions keep.
    assert seen.kept == 2000
    assert seen.p50 == pytest.approx(3, rel=0.01)
    assert seen.broken == []


def test_what_another_node_stores_is_heard() -> None:
    spot = Spot(series="heard", x=100, viewers=10, rate=100, seconds=2, elsewhere=True)
    seen = growth.seen(spot, whole(), looked(0, 0), looked(2, 0.1, deliveries=2000, hints=150))
    assert (seen.heard, seen.hints, seen.stored, seen.append_ms) == (100, 75, 0, None)


def test_without_a_core_of_its_own_nobody_knows_of_others() -> None:
    spot = Spot(series="idle", x=10, viewers=10, seconds=2)
    assert growth.seen(spot, measured(result()), looked(0, 0), looked(2, 0)).others is None
