import time
from io import StringIO

from rich.console import Console

from bench import progress


def test_a_terminal_shows_what_is_being_done() -> None:
    console = Console(file=StringIO(), force_terminal=True, record=True, width=80)
    with progress.shown(console), progress.step("connecting", of=10) as step:
        step.done(5)
        until = time.monotonic_ns() + 700_000_000
        progress.sleep_until(until, "measuring")
        assert time.monotonic_ns() >= until
    assert "connecting" in console.export_text(clear=False)
    assert "measuring" in console.export_text()


def test_nobody_sees_anything_elsewhere() -> None:
    console = Console(file=StringIO(), record=True)
    with progress.shown(console), progress.step("connecting") as step:
        step.done(1)
    assert console.export_text() == ""
    with progress.step("outside") as step:
        step.done(1)
