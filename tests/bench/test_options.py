import argparse
from typing import Annotated

import pytest
from msgspec import Meta, Struct

from bench.errors import BenchError
from bench.options import add_options, numbers


class Options(Struct, frozen=True, kw_only=True):
    viewers: Annotated[int, Meta(ge=1, le=1000, description="connections")] = 10
    hello_only: Annotated[bool, Meta(description="say hello")] = False
    against: Annotated[str, Meta(description="whom to meet")] = "all"
    folder: Annotated[str, Meta(description="where to keep things")] = ""


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser()
    add_options(made, Options)
    return made


def test_every_field_is_an_option_with_its_default() -> None:
    assert vars(parser().parse_args([])) == {"viewers": 10, "hello_only": False, "against": "all", "folder": ""}
    given = parser().parse_args(["--viewers=1000", "--hello-only", "--against", "one", "--folder=/x"])
    assert vars(given) == {"viewers": 1000, "hello_only": True, "against": "one", "folder": "/x"}


@pytest.mark.parametrize("given", ["0", "1001", "many"])
def test_numbers_are_bounded(given: str) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["--viewers", given])


def test_help_says_what_each_means() -> None:
    told = parser().format_help()
    for text in ("--viewers N", "connections (default: 10)", "say hello", "whom to meet (default: all)"):
        assert text in told
    assert "where to keep things (" not in told


def test_several_numbers_are_read() -> None:
    assert numbers("--rates", "50, 200,1000", 1000) == [50, 200, 1000]


@pytest.mark.parametrize("text", ["", "0", "50,", "1001", "fast", "-5", "1.5"])
def test_what_is_no_list_of_numbers_is_refused(text: str) -> None:
    with pytest.raises(BenchError, match=r"--rates: .* is not a list of numbers from 1 to 1,000"):
        numbers("--rates", text, 1000)
