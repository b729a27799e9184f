"""What a benchmark says at the end: a table for people, and JSON with everything that one needs to repeat it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from bench.machine import Machine

UNITS: Final = {"_us": "µs", "_ms": "ms", "_s": "s", "_per_s": "/s", "_percent": "%", "_kib": "KiB", "_mib": "MiB"}
_THOUSAND: Final = 1000


class Report(Struct, frozen=True, kw_only=True):
    """One run. `results` is the scenario's own struct; its fields' endings are their units."""

    scenario: str
    command: str
    options: dict[str, Any]
    commit: str
    versions: dict[str, str]
    settings: dict[str, str]
    machine: Machine
    results: Struct
    broken: list[str]


def command(scenario: str, options: dict[str, Any]) -> str:
    """Give the command line that repeats a run, without its secret and where its output went."""
    given = {name: value for name, value in options.items() if value is not None and name not in ("secret", "json")}
    words = [_word(name, value) for name, value in given.items() if value is not False]
    return " ".join(["python -m bench", scenario, *words])


def harmless(environ: Mapping[str, str]) -> dict[str, str]:
    """Give the server's settings that the environment changes, without those that are secrets."""
    secret = ("SECRET", "CERTIFICATE", "URL")
    ours = {name: value for name, value in environ.items() if name.startswith("STAGEWIRE_")}
    return {name: value for name, value in sorted(ours.items()) if not name.endswith(secret)}


def _word(name: str, value: Any) -> str:
    flag = "--" + name.replace("_", "-")
    return flag if value is True else f"{flag} {value}"


def rows(results: Struct) -> list[tuple[str, str]]:
    """Give a label and a text for each figure, those of nested structs too."""
    found: list[tuple[str, str]] = []
    for field in results.__struct_fields__:
        value = getattr(results, field)
        name, unit = split_unit(field)
        if isinstance(value, Struct):
            found += [
                (f"{name} {inner}", _text(getattr(value, inner), unit or "ms")) for inner in value.__struct_fields__
            ]
        else:
            found.append((name, "not measured" if value is None else _text(value, unit)))
    return found


def split_unit(field: str) -> tuple[str, str]:
    """Divide a field's name into words and a unit."""
    ending = max((e for e in UNITS if field.endswith(e)), key=len, default="")
    return field.removesuffix(ending).replace("_", " "), UNITS.get(ending, "")


def _text(value: float, unit: str) -> str:
    number = f"{value:,.0f}" if isinstance(value, int) or value >= _THOUSAND else f"{value:.3g}"
    return f"{number} {unit}".strip()


def show(report: Report, console: Console) -> None:
    """Print the table."""
    table = Table(title=f"{report.scenario} · {report.commit}", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for label, text in rows(report.results):
        table.add_row(label, text)
    console.print(table)
    shape = report.machine
    console.print(
        f"{report.command}\n{shape.cores} cores of {shape.cpu}, {shape.system}, {shape.python}", soft_wrap=True
    )
    for line in report.broken:
        console.print(f"BROKEN: {line}", style="bold red")


def save(report: Report, path: Path) -> None:
    """Write the JSON."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
