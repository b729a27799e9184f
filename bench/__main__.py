"""`python -m bench SCENARIO`: measures a Stagewire on this machine."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from msgspec import Meta, structs
from rich.console import Console

from bench import machine, progress, report
from bench.errors import BenchError
from bench.options import add_options, bounded
from bench.run import Place
from bench.scenarios import (
    clients,
    compare,
    crowd,
    fanout,
    floor,
    growth,
    idle,
    ingest,
    mixed,
    rooms,
    slow,
    soak,
    storm,
    tokens,
)
from bench.tables import middle_of

FAILED: Final = 1
# As a shell tells of what Ctrl-C has ended.
INTERRUPTED: Final = 130
RUNS: Final = Meta(ge=1, le=100, description="run it so often, and give medians and spread (default: 1)")
# Columns of a file, which needs no terminal's width.
PAPER: Final = 160
SCENARIOS: Final = (
    clients,
    compare,
    crowd,
    fanout,
    floor,
    growth,
    idle,
    ingest,
    mixed,
    rooms,
    slow,
    soak,
    storm,
    tokens,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one scenario; give the exit code: 0 if it ran and no promise was broken."""
    given = vars(_parser().parse_args(arguments))
    scenario = given.pop("scenario")
    try:
        report.require_folders(given["json"], given["report"])
        with progress.shown(Console(stderr=True)):
            made = _run(scenario, given)
        _tell(made, scenario, given)
    except BenchError as exc:
        print(f"bench: {exc}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("bench: interrupted", file=sys.stderr)
        return INTERRUPTED
    return FAILED if made.broken else 0


def _tell(made: report.Report, scenario: Any, given: dict[str, Any]) -> None:
    report.show(made, scenario, Console(width=None if sys.stdout.isatty() else PAPER))
    try:
        if given["json"]:
            report.save(made, given["json"])
        if given["report"]:
            report.write(made, report.tables_of(made, scenario), report.plots_of(made, scenario), given["report"])
    except OSError as exc:
        raise BenchError(f"the report cannot be written: {exc}") from None


def _run(scenario: Any, given: dict[str, Any]) -> report.Report:
    shape = machine.machine()
    options = scenario.Options(**_only(given, scenario.Options))
    runs = [_run_once(scenario, options, given, number) for number in range(given["runs"])]
    name = name_of(scenario)
    results = middle_of(runs)
    return report.Report(
        scenario=name,
        command=report.command(name, given),
        options=structs.asdict(options),
        commit=machine.commit(),
        versions=machine.versions(),
        settings=report.harmless(os.environ),
        machine=shape,
        results=results,
        runs=runs,
        notes=report.notes_of(results, scenario),
        broken=list(dict.fromkeys(broken for each in runs for broken in scenario.broken(each))),
    )


def _run_once(scenario: Any, options: Any, given: dict[str, Any], number: int) -> Any:
    with progress.step(f"run {number + 1} of {given['runs']}"):
        return scenario.run(options, Place(**_only(given, Place)))


def name_of(scenario: Any) -> str:
    """Give the name of a scenario: its module's."""
    return str(scenario.__name__.rpartition(".")[2])


def _only(given: dict[str, Any], kind: Any) -> dict[str, Any]:
    return {name: given[name] for name in kind.__struct_fields__ if name in given}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measures a Stagewire on this machine.")
    scenarios = parser.add_subparsers(required=True, metavar="SCENARIO")
    for scenario in SCENARIOS:
        about = str(scenario.__doc__).splitlines()[0]
        told = scenarios.add_parser(name_of(scenario), help=about, description=about)
        told.set_defaults(scenario=scenario)
        add_options(told, scenario.Options)
        _add_place(told)
    return parser


def _add_place(scenario: argparse.ArgumentParser) -> None:
    place = scenario.add_argument_group("a server that runs already, in place of one that is started for the run")
    place.add_argument("--url", metavar="ws://127.0.0.1:PORT", help="its WebSocket")
    place.add_argument("--http", metavar="http://127.0.0.1:PORT", help="its side API")
    place.add_argument("--secret", help="its JWT secret")
    place.add_argument("--pid", type=int, help="its process, to measure what it takes")
    output = scenario.add_argument_group("what becomes of it")
    output.add_argument("--runs", type=bounded(RUNS), default=1, metavar="N", help=RUNS.description)
    output.add_argument("--json", type=Path, metavar="FILE", help="also write everything there")
    output.add_argument("--report", type=Path, metavar="DIR", help="also write tables and plots there")


if __name__ == "__main__":
    # As Ctrl-C does, so that whatever was started is stopped on the way out.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
