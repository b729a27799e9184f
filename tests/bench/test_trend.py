import pytest

from bench.trend import Trend, trend


def test_what_stays_where_it_is() -> None:
    points = [(float(at), 50.0) for at in range(100)]
    assert trend(points, 0) == Trend(50, 50, 0, 0)


def test_growth_is_told_in_percent_and_by_the_hour() -> None:
    points = [(float(at), 100 + at / 10) for at in range(1000)]
    found = trend(points, 500)
    assert found is not None
    assert found.first == pytest.approx(100 + 52.45 - 0.0, abs=0.1)
    assert found.percent == pytest.approx(100 * (found.last - found.first) / found.first)
    assert found.per_hour == pytest.approx(360)


def test_what_happens_before_things_have_settled_does_not_count() -> None:
    points = [(0.0, 10.0), (10.0, 20.0), (20.0, 20.0)]
    assert trend(points, 10) == Trend(20, 20, 0, 0)


def test_one_look_is_no_trend_and_nothing_does_not_grow() -> None:
    assert trend([(1.0, 1.0)], 0) is None
    assert trend([(0.0, 0.0), (1.0, 1.0)], 0) == Trend(0, 1, 0, 3600)
