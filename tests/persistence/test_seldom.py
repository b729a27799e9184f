from typing import Any

from persistence.seldom import EVERY, Seldom


class Lines:
    """A logger that keeps what it is given."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def warning(self, event: str, **about: Any) -> None:
        """Keep a line."""
        self.lines.append((event, about))


def test_it_is_told_at_once_and_then_seldom_and_how_often_it_was_left_out() -> None:
    lines, now = Lines(), 1000.0
    seldom = Seldom(lines, lambda: now)
    seldom.warning("lost", count=1)
    assert lines.lines == [("lost", {"count": 1})]
    for n in range(7):
        now = 1000.0 + n
        seldom.warning("lost", count=n)
    assert len(lines.lines) == 1
    now = 1000.0 + EVERY
    seldom.warning("lost", count=9)
    assert lines.lines[1:] == [("lost", {"count": 9, "left_out": 7})]
    now += EVERY
    seldom.warning("lost")
    assert lines.lines[2:] == [("lost", {})]


def test_each_event_has_its_own_time() -> None:
    lines = Lines()
    seldom = Seldom(lines, lambda: 5.0)
    for event in ("lost", "stopped", "lost", "stopped"):
        seldom.warning(event)
    assert [event for event, _ in lines.lines] == ["lost", "stopped"]
