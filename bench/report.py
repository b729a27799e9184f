"""What a benchmark says at the end: tables and plots for people, and JSON, with all that one needs to repeat it."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Final

import msgspec
import rich.table
from msgspec import Struct
from rich.console import Console

from bench.errors import BenchError
from bench.machine import Machine, neighbours
from bench.plots import Plot, draw, latencies_of
from bench.tables import Table, across, markdown, table_of

# More columns than these leave no room for the spread on a screen.
MOST_COLUMNS: Final = 4
# What tells a run where its output goes, or is a secret.
_UNTOLD: Final = ("secret", "json", "report", "peers_folder")


class Report(Struct, frozen=True, kw_only=True):
    """One command. `runs` are the scenario's own structs, whose fields' endings are their units; `results` the medians.

    `notes` say what a reader must know to judge the figures.
    """

    scenario: str
    command: str
    options: dict[str, Any]
    commit: str
    versions: dict[str, str]
    settings: dict[str, str]
    machine: Machine
    results: Struct
    runs: list[Struct]
    notes: list[str]
    broken: list[str]


def command(scenario: str, options: dict[str, Any]) -> str:
    """Give the command line that repeats a run, without its secret and where its output went."""
    given = {name: value for name, value in options.items() if value not in (None, "") and name not in _UNTOLD}
    words = [word for name, value in given.items() if value is not False for word in _words(name, value)]
    return shlex.join(["python", "-m", "bench", scenario, *words])


def harmless(environ: Mapping[str, str]) -> dict[str, str]:
    """Give the server's settings that the environment changes, without those that are secrets."""
    secret = ("SECRET", "CERTIFICATE", "URL")
    ours = {name: value for name, value in environ.items() if name.startswith("STAGEWIRE_")}
    return {name: value for name, value in sorted(ours.items()) if not name.endswith(secret)}


def _words(name: str, value: Any) -> list[str]:
    flag = "--" + name.replace("_", "-")
    return [flag] if value is True else [flag, str(value)]


def tables_of(report: Report, scenario: Any, *, spread: bool = True) -> list[Table]:
    """Give what to show of all runs: a scenario's own tables, if it has any, or one of all its results."""
    tables: Any = getattr(scenario, "tables", lambda results: [table_of(results)])
    return [across(same, spread=spread) for same in zip(*(tables(results) for results in report.runs), strict=True)]


def notes_of(results: Struct, scenario: Any) -> list[str]:
    """Give what a reader must know to judge the figures: a scenario's own notes, or whether others were on the core."""
    notes: Any = getattr(scenario, "notes", _neighbours_of)
    return list(notes(results))


def _neighbours_of(results: Struct) -> list[str]:
    busy, used = (getattr(results, f"server_{of}_percent", None) for of in ("core_busy", "cpu"))
    return [] if busy is None or used is None else neighbours(busy - used)


def plots_of(report: Report, scenario: Any) -> list[Plot]:
    """Give the plots: a scenario's own, if it has any, or its latencies."""
    plots: Any = getattr(scenario, "plots", latencies_of)
    return list(plots(report.results))


def show(report: Report, scenario: Any, console: Console) -> None:
    """Print the tables; those with many columns without the spread, for which there is no room."""
    kinds = (tables_of(report, scenario, spread=spread) for spread in (True, False))
    for full, bare in zip(*kinds, strict=True):
        _print(report, full if len(full.headings) <= MOST_COLUMNS else bare, console)
    for line in (*report.notes, report.command, shape(report.machine)):
        console.print(line, soft_wrap=True, highlight=False)
    for line in report.broken:
        console.print(f"BROKEN: {line}", style="bold red")


def _print(report: Report, given: Table, console: Console) -> None:
    title = " · ".join(filter(None, (report.scenario, given.title, report.commit)))
    table = rich.table.Table(title=title, title_justify="left", show_header=any(given.headings), pad_edge=False)
    for number, heading in enumerate(given.headings):
        table.add_column(heading, justify="right" if number else "left", no_wrap=not number)
    for row in given.rows:
        table.add_row(*map(str, row))
    console.print(table)


def shape(machine: Machine) -> str:
    """Describe a machine in a line."""
    return f"{machine.cores} cores of {machine.cpu}, {machine.memory_gib:g} GiB, {machine.system}, {machine.python}"


def require_folders(file: Path | None, folder: Path | None) -> None:
    """Make the folders of a file and a report, if they are wanted: after a long run is too late to find they can't be.

    Raises:
        BenchError: they can't be made, or written to.
    """
    for needed in (file and file.parent, folder):
        try:
            if needed is not None:
                needed.mkdir(parents=True, exist_ok=True)
                TemporaryFile(dir=needed).close()
        except OSError as exc:
            raise BenchError(f"nothing can be written into {needed}: {exc.strerror}") from None


def save(report: Report, path: Path) -> None:
    """Write the JSON.

    Raises:
        OSError: it cannot be written.
    """
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")


def write(report: Report, tables: Sequence[Table], plots: Sequence[Plot], folder: Path) -> None:
    """Write a folder: `report.md` with the tables and everything that one needs to repeat it, plots, and the JSON.

    Raises:
        OSError: it cannot be written.
    """
    pictures = [f"{report.scenario}-{number}.png" for number in range(1, len(plots) + 1)]
    for plot, name in zip(plots, pictures, strict=True):
        draw(plot, folder / name)
    (folder / "report.md").write_text(page(report, tables, list(zip(plots, pictures, strict=True))), "utf-8")
    save(report, folder / "report.json")


def page(report: Report, tables: Sequence[Table], pictures: Sequence[tuple[Plot, str]]) -> str:
    """Give the report in Markdown."""
    runs = f"Medians of {len(report.runs)} runs (least to most)." if len(report.runs) > 1 else "One run."
    return "\n".join(
        [
            f"## {report.scenario}\n\n{runs}\n",
            *map(markdown, tables),
            *(f"![{plot.title}]({name})\n" for plot, name in pictures),
            *(f"- {line}" for line in report.notes),
            *(f"- **Broken**: {line}" for line in report.broken),
            f"- Command: `{report.command}`",
            f"- Commit: {report.commit}",
            f"- Machine: {shape(report.machine)}",
            f"- Settings: {_listed(report.settings) or 'the default ones'}",
            f"- Versions: {_listed(report.versions)}\n",
        ]
    )


def _listed(named: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in named.items())
