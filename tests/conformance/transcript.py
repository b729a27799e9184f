"""Transcripts: what clients say, and what a server answers and pushes, in the order in which it happens.

The form is told in tests/vectors/transcripts/README.md.
"""

import re
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

FOLDER: Final = Path(__file__).parent.parent / "vectors/transcripts"
# What only a scripted server does, for clients.
CLIENTS: Final = FOLDER / "clients"
# Stands for a key that was never used.
FRESH: Final = "<key>"
_LINE: Final = re.compile(
    r"(?P<actor>[a-z]+(?:/\d)?) (?P<word>connects|disconnects|reads nothing|reads on|waits|stays away|→|←) ?"
    r"(?P<rest>.*)"
)
_DRAIN: Final = "the server drains"
_FREEZE: Final = re.compile(r"the server (?P<un>un)?freezes (?P<user>[a-z]+)")
_LOG: Final = "the log has "
_TIMES: Final = re.compile(r"(?P<times>\d+|many) times (?P<rest>.*)")


class Need(Enum):
    """What a row needs that not every server has, or not every tester."""

    PATIENCE = "patience"
    DRAIN = "drain"
    AGORA = "agora"
    FREEZING = "freezing"
    LIMITS = "limits"


class Connect(NamedTuple):
    """A client opens a connection."""

    actor: str


class Disconnect(NamedTuple):
    """A client closes its connection."""

    actor: str


class Read(NamedTuple):
    """A client takes nothing away any more, however much waits for it; or reads on."""

    actor: str
    on: bool


class Wait(NamedTuple):
    """A client lets some time pass."""

    actor: str
    seconds: float


class Away(NamedTuple):
    """A client does not connect for some time."""

    actor: str
    seconds: float


class Say(NamedTuple):
    """A client sends something, once or more often: a message, or text that is none, or bytes."""

    actor: str
    message: Any
    times: int = 1


class Hear(NamedTuple):
    """A client receives something: a message, or the close of its connection, as a number.

    What comes `many` times comes once at least, and may come again until the row ends.
    """

    actor: str
    message: Any
    many: bool = False


class Drain(NamedTuple):
    """The server is told to stop."""


class Freeze(NamedTuple):
    """An admin freezes a user, or lets the user in again."""

    user: str
    frozen: bool


class Log(NamedTuple):
    """The log has an event that nobody is told, as if that had been lost."""

    event: Any


Step: TypeAlias = Connect | Disconnect | Read | Wait | Away | Say | Hear | Drain | Freeze | Log


class Row(NamedTuple):
    """One statement about the wire, and the steps that prove it; they go on from those of the rows before."""

    statement: str
    needs: frozenset[Need]
    steps: list[Step]


class Transcript(NamedTuple):
    """The rows of a file."""

    name: str
    title: str
    rows: list[Row]


class Unreadable(Exception):
    """The file is no transcript."""


def all_transcripts(folder: Path = FOLDER) -> list[Transcript]:
    """Read all files."""
    return [parse(path.stem, path.read_text("utf-8")) for path in sorted(folder.glob("*.txt"))]


def parse(name: str, text: str) -> Transcript:
    """Read a transcript.

    Raises:
        Unreadable
    """
    head, *sections = re.split(r"^## ", text, flags=re.MULTILINE)
    title = head.strip().removeprefix("# ")
    if not sections or "\n" in title:
        raise Unreadable(f"{name}: a line `# title`, and then rows that begin with `## statement`")
    return Transcript(name, title, [_row(name, section) for section in sections])


def _row(name: str, section: str) -> Row:
    statement, *lines = (line.strip() for line in section.splitlines())
    needs = frozenset(Need(line.removeprefix("needs ")) for line in lines if line.startswith("needs "))
    return Row(statement, needs, list(_steps(name, lines)))


def _steps(name: str, lines: list[str]) -> Iterator[Step]:
    for line in lines:
        if line and not line.startswith(("needs ", "//")):
            yield _step(name, line)


def _step(name: str, line: str) -> Step:
    if line == _DRAIN:
        return Drain()
    if frozen := _FREEZE.fullmatch(line):
        return Freeze(frozen["user"], frozen["un"] is None)
    if line.startswith(_LOG):
        return Log(_read(line.removeprefix(_LOG)))
    found = _LINE.fullmatch(line)
    if found is None:
        raise Unreadable(f"{name}: {line}")
    actor, word, rest = found.groups()
    often = _TIMES.fullmatch(rest)
    try:
        if often is not None:
            return _repeated(actor, word, often["times"], _read(often["rest"]))
        return _WORDS[word](actor, _read(rest) if rest else None)
    except ValueError as exc:
        raise Unreadable(f"{name}: {line}: {exc}") from None


def _repeated(actor: str, word: str, times: str, message: Any) -> Step:
    if word == "←" and times == "many":
        return Hear(actor, message, many=True)
    if word == "→":
        return Say(actor, message, int(times))
    raise ValueError("clients say something so many times, and hear it many times")


_WORDS: Final[dict[str, Callable[[str, Any], Step]]] = {
    "connects": lambda actor, _: Connect(actor),
    "disconnects": lambda actor, _: Disconnect(actor),
    "reads nothing": lambda actor, _: Read(actor, on=False),
    "reads on": lambda actor, _: Read(actor, on=True),
    "waits": Wait,
    "stays away": Away,
    "→": Say,
    "←": Hear,
}


def _read(rest: str) -> Any:
    """Give what a line is about: white space, bytes, text, a close, seconds, or a message."""
    if many := re.fullmatch(r"(\d+) bytes", rest):
        return " " * int(many[1])
    if seconds := re.fullmatch(r"([\d.]+) s", rest):
        return float(seconds[1])
    word, _, more = rest.partition(" ")
    match word:
        case "bytes":
            return bytes.fromhex(more)
        case "text":
            return more
        case "close":
            return int(more)
        case _:
            return msgspec.json.decode(rest)
