from io import StringIO
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import Struct, structs
from rich.console import Console

from bench import report
from bench.errors import BenchError
from bench.machine import Machine
from bench.plots import Bars
from bench.report import Report
from bench.tables import Table
from bench.tally import Percentiles
from tests.bench.samples import FIGURES


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
    runs=[RESULTS],
    notes=["The others were busy."],
    broken=["3 deliveries missing"],
)
TABLES = report.tables_of(MADE, None)


def test_the_command_repeats_the_run_and_keeps_the_secret() -> None:
    given: dict[str, Any] = {
        "viewers": 20,
        "hello_only": True,
        "quiet": False,
        "url": "ws://127.0.0.1:1",
        "pid": None,
        "secret": "s3cret",
        "json": Path("/somewhere/out.json"),
        "report": Path("/somewhere"),
        "peers_folder": "/somewhere",
        "against": "",
        "rates": "50, 200",
    }
    told = "python -m bench idle --viewers 20 --hello-only --url ws://127.0.0.1:1 --rates '50, 200'"
    assert report.command("idle", given) == told


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


def test_folders_are_there_before_they_are_needed(tmp_path: Path) -> None:
    report.require_folders(tmp_path / "one/out.json", tmp_path / "other/report")
    assert [path.is_dir() for path in (tmp_path / "one", tmp_path / "other/report")] == [True, True]
    assert not list((tmp_path / "one").iterdir())
    report.require_folders(None, None)
    with pytest.raises(BenchError, match="nothing can be written into /proc/nowhere"):
        report.require_folders(None, Path("/proc/nowhere"))


def test_the_screen_shows_figures_command_machine_and_what_broke() -> None:
    console = Console(record=True, width=60, file=StringIO())
    report.show(MADE, None, console)
    shown = console.export_text()
    for text in (
        "deliveries",
        "49,978 /s",
        "The others were busy.",
        MADE.command,
        "2 cores of A CPU, 23.5 GiB",
        "BROKEN: 3 deliveries missing",
    ):
        assert text in shown


def test_the_folder_holds_tables_plots_and_everything(tmp_path: Path) -> None:
    report.require_folders(None, tmp_path / "new")
    report.write(MADE, TABLES, report.plots_of(MADE, None), tmp_path / "new")
    page = (tmp_path / "new/report.md").read_text("utf-8")
    for text in (
        "| deliveries | 49,978 /s |",
        "![Latencies](fanout-1.png)",
        "- The others were busy.",
        "- **Broken**: 3 deliveries missing",
        f"- Command: `{MADE.command}`",
        "- Commit: 0123456789",
        "- Settings: the default ones",
        "- Versions: uvloop 1",
    ):
        assert text in page
    assert (tmp_path / "new/fanout-1.png").read_bytes().startswith(b"\x89PNG")
    assert msgspec.json.decode((tmp_path / "new/report.json").read_bytes()) == msgspec.to_builtins(MADE)


def test_several_runs_are_told_as_medians_with_their_spread() -> None:
    other = structs.replace(RESULTS, server_cpu_percent=50.0)
    (table,) = report.tables_of(structs.replace(MADE, runs=[RESULTS, other, other]), None)
    assert ("server cpu", "50 % (47.2 to 50)") in table.rows
    assert "Medians of 2 runs" in report.page(structs.replace(MADE, runs=[RESULTS, other]), [table], [])


def test_it_is_said_when_others_were_on_the_core() -> None:
    assert report.notes_of(FIGURES, None) == []
    (note,) = report.notes_of(structs.replace(FIGURES, server_core_busy_percent=80.0), None)
    assert "by up to 50 points" in note
    assert report.notes_of(RESULTS, None) == []


def test_a_scenario_may_have_tables_plots_and_notes_of_its_own() -> None:
    bars = Bars("Own", "ms", [], {})

    class Scenario:
        @staticmethod
        def tables(_: Results) -> list[Table]:
            return [Table(("a",), [("own",)])]

        @staticmethod
        def plots(_: Results) -> list[Bars]:
            return [bars]

        @staticmethod
        def notes(_: Results) -> list[str]:
            return ["Own."]

    assert report.tables_of(MADE, Scenario) == [Table(("a",), [("own",)])]
    assert report.plots_of(MADE, Scenario) == [bars]
    assert report.notes_of(RESULTS, Scenario) == ["Own."]
