"""Options on the command line, from where they are declared: the fields of a scenario's `Options`.

A field is an int with its bounds, a bool or a str, and says what it means:
`viewers: Annotated[int, Meta(ge=1, le=100_000, description="connections")] = 1000` is `--viewers N`.
"""

import argparse
import typing
from collections.abc import Callable
from typing import Any

from msgspec import Meta, Struct, structs


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
    read = _bounded(meta) if kind is int else str
    parser.add_argument(flag, type=read, default=default, metavar="N" if kind is int else "TEXT", help=text)


def _bounded(meta: Meta) -> Callable[[str], int]:
    def count(given: str) -> int:
        number = int(given)
        if not meta.ge <= number <= meta.le:  # type: ignore[operator] # every int has both
            raise argparse.ArgumentTypeError(f"{number} is not from {meta.ge} to {meta.le}")
        return number

    return count
