"""`python -m bench SCENARIO`: measures a Stagewire on this machine."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from msgspec import structs
from rich.console import Console

from bench import machine, report
from bench.errors import BenchError
from bench.run import Place
from bench.scenarios import crowd, fanout, idle, tokens

FAILED: Final = 1
# Beyond these a run would say more about the machine than about the server.
_MOST: Final = {
    "viewers": 100_000,
    "users": 100_000,
    "rate": 100_000,
    "seconds": 600,
    "warmup": 60,
    "settle": 60,
    "processes": 64,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one scenario; give the exit code: 0 if it ran and no promise was broken."""
    given = vars(_parser().parse_args(arguments))
    scenario = given.pop("scenario")
    try:
        made = _run(scenario, given)
    except BenchError as exc:
        print(f"bench: {exc}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return FAILED
    if given["json"]:
        report.save(made, given["json"])
    report.show(made, Console())
    return FAILED if made.broken else 0


def _run(scenario: Any, given: dict[str, Any]) -> report.Report:
    shape = machine.machine()
    options = scenario.Options(**_only(given, scenario.Options))
    results = scenario.run(options, Place(**_only(given, Place)))
    name = scenario.__name__.rpartition(".")[2]
    return report.Report(
        scenario=name,
        command=report.command(name, given),
        options=structs.asdict(options),
        commit=machine.commit(),
        versions=machine.versions(),
        settings=report.harmless(os.environ),
        machine=shape,
        results=results,
        broken=scenario.broken(results),
    )


def _only(given: dict[str, Any], kind: Any) -> dict[str, Any]:
    return {name: given[name] for name in kind.__struct_fields__ if name in given}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measures a Stagewire on this machine.")
    scenarios = parser.add_subparsers(required=True, metavar="SCENARIO")

    scenario = scenarios.add_parser("fanout", help="one session, many viewers, a steady rate of messages")
    scenario.set_defaults(scenario=fanout)
    _add_count(scenario, "viewers", fanout.Options, "connections that join the session, senders included")
    _add_count(scenario, "rate", fanout.Options, "messages per second, in all")
    _add_count(scenario, "seconds", fanout.Options, "length of the measurement")
    _add_count(scenario, "warmup", fanout.Options, "seconds of load before it")
    _add_count(scenario, "processes", fanout.Options, "load processes for the viewers")
    _add_count(scenario, "senders", fanout.Options, "viewers that send; 0 is one per 10 messages/s")
    _add_count(scenario, "samples", fanout.Options, "viewers that check and time everything; 0 is up to 20")
    _add_count(scenario, "size", fanout.Options, "characters of a message")
    _add_place(scenario)

    scenario = scenarios.add_parser("idle", help="connections that only stay: memory and CPU")
    scenario.set_defaults(scenario=idle)
    _add_count(scenario, "viewers", idle.Options, "connections")
    _add_count(scenario, "seconds", idle.Options, "length of each of both measurements")
    _add_count(scenario, "settle", idle.Options, "seconds of rest before each")
    _add_count(scenario, "processes", idle.Options, "load processes")
    scenario.add_argument("--hello-only", action="store_true", help="say hello, but join no session")
    _add_place(scenario)

    scenario = scenarios.add_parser("tokens", help="Agora tokens: built, and asked for over HTTP")
    scenario.set_defaults(scenario=tokens)
    _add_count(scenario, "users", tokens.Options, "who ask in turn, one token each")
    _add_count(scenario, "rate", tokens.Options, "requests per second")
    _add_count(scenario, "seconds", tokens.Options, "length of the measurement")
    _add_place(scenario)

    scenario = scenarios.add_parser("crowd", help="Agora tokens: asked for by all viewers at the same moment")
    scenario.set_defaults(scenario=crowd)
    _add_count(scenario, "viewers", crowd.Options, "connections that have joined the session")
    _add_place(scenario)
    return parser


def _add_count(scenario: argparse.ArgumentParser, name: str, options: Any, text: str) -> None:
    default = next(field.default for field in structs.fields(options) if field.name == name)
    most = _MOST.get(name, 1000)
    least = 0 if default == 0 or name in ("warmup", "settle") else 1

    def count(given: str) -> int:
        number = int(given)
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(f"{number} is not from {least} to {most}")
        return number

    scenario.add_argument(f"--{name}", type=count, default=default, metavar="N", help=f"{text} (default: {default})")


def _add_place(scenario: argparse.ArgumentParser) -> None:
    place = scenario.add_argument_group("a server that runs already, in place of one that is started for the run")
    place.add_argument("--url", metavar="ws://127.0.0.1:PORT", help="its WebSocket")
    place.add_argument("--http", metavar="http://127.0.0.1:PORT", help="its side API")
    place.add_argument("--secret", help="its JWT secret")
    place.add_argument("--pid", type=int, help="its process, to measure what it takes")
    scenario.add_argument("--json", type=Path, metavar="FILE", help="also write everything there")


if __name__ == "__main__":
    # As Ctrl-C does, so that whatever was started is stopped on the way out.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
