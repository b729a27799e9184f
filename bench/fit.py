"""A cost as a sum of what it is made of, by least squares. Pure."""

from collections.abc import Sequence
from itertools import combinations
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

# Below zero by so little is zero, as floating point numbers go.
_NOTHING: Final = -1e-12
_Array = NDArray[np.float64]


class Fit(Struct, frozen=True):
    """How much each amount costs, and how well that explains what was seen.

    `r_squared` is the share of the costs' variance that is explained; `worst` the greatest error, as a part of the
    cost, or of the least cost that counts where that is more.
    """

    costs: list[float]
    r_squared: float
    worst: float


def fit(amounts: Sequence[Sequence[float]], costs: Sequence[float], least: float) -> Fit:
    """Find what each of the amounts costs, at zero or more, so that the errors' squares are the least.

    A row of amounts belongs to each cost. Errors count by their part of the cost, so that small ones matter as much as
    large ones; but costs below `least`, which is as fine as they are measured, count as `least`.

    With bounds at zero, what solves this is the free solution of some of the columns, with the others at zero
    (Lawson and Hanson, Solving Least Squares Problems, 1974, chapter 23). There are few, so all are tried.
    """
    table, seen = np.asarray(amounts, float), np.asarray(costs, float)
    scale = np.maximum(np.abs(seen), least)
    found = _best(table / scale[:, None], seen / scale)
    errors = table @ found - seen
    spread = float(((seen - seen.mean()) ** 2).sum())
    explained = 1 - float((errors**2).sum()) / spread if spread else 1.0
    return Fit([float(cost) for cost in found], explained, float(np.abs(errors / scale).max()))


def _best(table: _Array, seen: _Array) -> _Array:
    """Give the best of all solutions that have nothing below zero; to cost nothing at all is one."""
    columns = [column for column in range(table.shape[1]) if table[:, column].any()]
    best, error = np.zeros(table.shape[1]), float((seen**2).sum())
    for size in range(1, len(columns) + 1):
        for chosen in map(list, combinations(columns, size)):
            solved = np.linalg.lstsq(table[:, chosen], seen, rcond=None)[0]
            left = float(((table[:, chosen] @ solved - seen) ** 2).sum())
            if solved.min() >= _NOTHING and left < error:
                best, error = np.zeros(table.shape[1]), left
                best[chosen] = np.maximum(solved, 0.0)
    return best
