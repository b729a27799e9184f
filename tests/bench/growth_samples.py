"""Points of a growth as a server would have them whose costs are known."""

from typing import Any

from bench.capacity import Costs, Load, Memory, Pace, appends, flushes, hints
from bench.points import Seen, Spot, amounts, holdings

COSTS = Costs(
    second=0.005, append=400e-6, message=50e-6, hint=200e-6, heard=20e-6, write=6e-6, delivery=0.2e-6, viewer=3.1e-6
)  # fmt: skip
MEMORY = Memory(process=64 << 20, viewer=7000, session=5000, event=400)
PACE = Pace(tick=0.08, append=0.004, lanes=4, fill=32)


def point(series: str, x: int, **spot: Any) -> Seen:
    asked = Spot(series=series, x=x, seconds=4, **spot)
    load = Load(asked.viewers, asked.sessions, asked.rate / asked.sessions, float(asked.elsewhere))
    values: dict[str, Any] = {
        "spot": asked,
        "appends": appends(load, PACE),
        "stored": 0.0 if asked.elsewhere else float(asked.rate),
        "hints": hints(load, PACE),
        "heard": float(asked.rate) if asked.elsewhere else 0.0,
        "writes": asked.viewers * flushes(load, COSTS, PACE),
        "deliveries": asked.viewers * load.rate,
        "kept": min(asked.rate * 5, 1000 * asked.sessions),
        "others": 0.02,
        "append_ms": 4.0 if asked.rate else None,
        "p50": 5.0 if asked.rate else None,
        "p99": 20.0 if asked.rate else None,
        "broken": [],
    }
    empty = Seen(**values, cpu=0.0, rss=0.0)
    cpu = sum(c * a for c, a in zip(_listed(COSTS), amounts(empty), strict=True))
    rss = sum(c * a for c, a in zip(_listed(MEMORY), holdings(empty), strict=True))
    return Seen(**values, cpu=cpu, rss=rss)


def _listed(costs: Costs | Memory) -> list[float]:
    return [getattr(costs, name) for name in costs.__struct_fields__]


POINTS = [
    point("idle", 100, viewers=100),
    point("idle", 10_000, viewers=10_000),
    *(point("viewers", viewers, viewers=viewers, rate=20) for viewers in (100, 1000, 10_000)),
    *(point("rate", rate, viewers=1000, rate=rate) for rate in (50, 200, 2000)),
    *(point("sessions", n, viewers=1000, sessions=n, rate=5 * n) for n in (1, 10, 500)),
    *(point("heard", rate, viewers=10, rate=rate, elsewhere=True) for rate in (100, 1000, 3000)),
]
