"""Options on the command line, from where they are declared: the fields of a scenario's `Options`.

A field is an int with its bounds, a bool or a str, and says what it means:
`viewers: Annotated[int, Meta(ge=1, le=100_000, description="connections")] = 1000` is `--viewers N`.
What several scenarios can be told has one name and one meaning in all of them: these are below.
"""

import argparse
import typing
from collections.abc import Callable
from typing import Annotated, Any, Final

from msgspec import Meta, Struct, structs

from bench.errors import BenchError

MOST_VIEWERS: Final = 100_000
MOST_RATE: Final = 100_000

Rate = Annotated[int, Meta(ge=1, le=MOST_RATE, description="messages per second, in all")]
Seconds = Annotated[int, Meta(ge=1, le=600, description="seconds that are measured")]
Warmup = Annotated[int, Meta(ge=0, le=60, description="seconds of load before them")]
Processes = Annotated[int, Meta(ge=1, le=64, description="load processes for the viewers")]
Size = Annotated[int, Meta(ge=1, le=1_000, description="characters of a message")]


def add_options(parser: argparse.ArgumentParser, options: type[Struct]) -> None:
    """Add what a scenario can be told."""
    hints = typing.get_type_hints(options, include_extras=True)
    for field in structs.fields(options):
        kind, meta = typing.get_args(hints[field.name])
        _add(parser, field.name, kind, meta, field.default)


def _add(parser: argparse.ArgumentParser, name: str, kind: Any, meta: Meta, default: Any) -> None:
    flag = "--" + name.replace("_", "-")
    if kind is bool:
        parser.add_argument(flag, action="store_true", help=meta.description)
        return
    text = f"{meta.description} (default: {default})" if default != "" else meta.description
    read = bounded(meta) if kind is int else str
    parser.add_argument(flag, type=read, default=default, metavar="N" if kind is int else "TEXT", help=text)


def bounded(meta: Meta) -> Callable[[str], int]:
    """Give what reads a number within its bounds, for argparse."""

    def number(given: str) -> int:
        found = int(given)
        if not meta.ge <= found <= meta.le:  # type: ignore[operator] # every int has both
            raise argparse.ArgumentTypeError(f"{found} is not from {meta.ge} to {meta.le}")
        return found

    return number


def numbers(flag: str, text: str, most: int) -> list[int]:
    """Read an option that is several numbers, with commas.

    Raises:
        BenchError: one is none.
    """
    found = [int(word) if word.strip().isdecimal() else 0 for word in text.split(",")]
    if not all(1 <= number <= most for number in found):
        raise BenchError(f"{flag}: {text!r} is not a list of numbers from 1 to {most:,}")
    return found
