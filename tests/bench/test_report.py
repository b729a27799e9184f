from io import StringIO
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from rich.console import Console

from bench import report
from bench.machine import Machine
from bench.report import Report
from bench.tally import Percentiles


class Results(Struct, frozen=True):
    connections: int
    deliveries_per_s: float
    latency_ms: Percentiles | None
    ack_ms: Percentiles | None
    server_cpu_per_delivery_us: float
    server_cpu_percent: float


RESULTS = Results(1000, 49_978.2, Percentiles(4.44, 21.44, 31.8, 1234.5), None, 0.4731, 47.2)
MADE = Report(
    scenario="fanout",
    command="python -m bench fanout --viewers 1000",
    options={"viewers": 1000},
    commit="0123456789",
    versions={"uvloop": "1"},
    settings={},
    machine=Machine(2, "A CPU", 23.5, "Linux 6 x86_64", "CPython 3.11.7"),
    results=RESULTS,
    broken=["3 deliveries missing"],
)


def test_figures_carry_the_units_of_their_names() -> None:
    assert report.rows(RESULTS) == [
        ("connections", "1,000"),
        ("deliveries", "49,978 /s"),
        ("latency p50", "4.44 ms"),
        ("latency p99", "21.4 ms"),
        ("latency p999", "31.8 ms"),
        ("latency max", "1,234 ms"),
        ("ack", "not measured"),
        ("server cpu per delivery", "0.473 µs"),
        ("server cpu", "47.2 %"),
    ]


def test_the_command_repeats_the_run_and_keeps_the_secret() -> None:
    given: dict[str, Any] = {
        "viewers": 20,
        "hello_only": True,
        "quiet": False,
        "url": "ws://127.0.0.1:1",
        "pid": None,
        "secret": "s3cret",
        "json": Path("/somewhere/out.json"),
    }
    assert report.command("idle", given) == "python -m bench idle --viewers 20 --hello-only --url ws://127.0.0.1:1"


def test_settings_from_the_environment_are_told_and_secrets_are_not() -> None:
    environ = {
        "STAGEWIRE_TICK_MS": "20",
        "STAGEWIRE_JWT_SECRET": "s3cret",
        "STAGEWIRE_AGORA_CERTIFICATE": "s3cret",
        "DATABASE_URL": "postgresql://u:s3cret@h/d",
        "HOME": "/home/somebody",
    }
    assert report.harmless(environ) == {"STAGEWIRE_TICK_MS": "20"}


def test_the_file_holds_everything(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    report.save(MADE, path)
    assert msgspec.json.decode(path.read_bytes()) == msgspec.to_builtins(MADE)


def test_the_screen_shows_figures_command_machine_and_what_broke() -> None:
    console = Console(record=True, width=60, file=StringIO())
    report.show(MADE, console)
    shown = console.export_text()
    for text in ("deliveries", "49,978 /s", MADE.command, "2 cores of A CPU", "BROKEN: 3 deliveries missing"):
        assert text in shown
