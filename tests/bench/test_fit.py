import random
from collections.abc import Sequence

import pytest

from bench.fit import fit

COSTS = [0.01, 40e-6, 0.0, 5e-6, 0.3e-6]
ROWS = [
    [1, 0, 0, 0, 0],
    [1, 20, 20, 20_000, 20_000],
    [1, 1000, 40, 40_000, 1_000_000],
    [1, 200, 300, 70_000, 200_000],
    [1, 5000, 7, 10_000, 10_000],
    [1, 50, 11, 50_000, 50_000],
    [1, 50, 900, 500, 700],
]


def cost_of(row: Sequence[float]) -> float:
    return sum(amount * cost for amount, cost in zip(row, COSTS, strict=True))


def test_the_costs_that_made_it_are_found() -> None:
    found = fit(ROWS, [cost_of(row) for row in ROWS], 0.001)
    assert found.costs == pytest.approx(COSTS, rel=1e-6, abs=1e-12)
    assert found.r_squared == pytest.approx(1)
    assert found.worst < 1e-9


def test_noise_moves_them_a_little_and_is_told() -> None:
    noise = random.Random(7)
    many = [[1.0, noise.uniform(0, 2000), 0.0, noise.uniform(0, 1e5), noise.uniform(0, 1e6)] for _ in range(200)]
    found = fit(many, [cost_of(row) * noise.uniform(0.95, 1.05) for row in many], 0.001)
    assert found.costs == pytest.approx(COSTS, rel=0.1, abs=1e-12)
    assert 0.9 < found.r_squared < 1
    assert 0.03 < found.worst < 0.1


def test_nothing_costs_less_than_nothing() -> None:
    # By itself the second column would have to be paid for.
    found = fit([[1, 0], [1, 1], [1, 2]], [3.0, 2.0, 1.0], 0.1)
    assert found.costs[1] == 0
    # The errors count by their part of the cost: 1 at 1 as much as 3 at 3.
    assert found.costs[0] == pytest.approx((1 / 3 + 1 / 2 + 1) / (1 / 9 + 1 / 4 + 1))
    assert found.r_squared < 0


def test_small_costs_matter_as_much_as_large_ones_unless_they_are_too_small_to_tell() -> None:
    rows, costs = [[1.0], [1.0]], [1.0, 100.0]
    assert fit(rows, costs, 0.001).costs[0] < 2
    assert fit(rows, costs, 100.0).costs == pytest.approx([50.5])
    assert fit(rows, costs, 100.0).worst == pytest.approx(0.495)


def test_what_never_was_there_costs_nothing() -> None:
    assert fit([[0, 1], [0, 2]], [5.0, 10.0], 1).costs == [0, pytest.approx(5)]


def test_what_costs_nothing_has_no_costs() -> None:
    found = fit([[1, 1], [1, 2]], [0.0, 0.0], 1)
    assert (found.costs, found.r_squared, found.worst) == ([0, 0], 1, 0)
