"""When each connection of a node that is about to stop should come back elsewhere."""


def slots(count: int, rate: float, deadline_ms: int) -> list[int]:
    """Give after how many milliseconds each of `count` connections goes: `rate` a second, the rest at the deadline."""
    return [min(int(number * 1000 / rate), deadline_ms) for number in range(count)]
