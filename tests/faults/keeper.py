"""Keeps the processes of a stage, as a program of its own: `python -m tests.faults.keeper FOLDER`.

A small process that does nothing else can start and kill without holding up what is measured. It takes
orders from its standard input and answers on its standard output, one JSON object a line. A node that ends
unasked is started again, as operators have it done. When its input ends, everything ends with it; the data stay.
"""

import contextlib
import os
import select
import signal
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from random import Random
from time import monotonic
from typing import Final

import msgspec
import psutil
from msgspec import Struct

from persistence.embedded import EmbeddedError, Postgres, Valkey
from persistence.embedded.child import tie_to
from persistence.embedded.server import Server

POLL_SECONDS: Final = 0.2
# A node that ends by itself is started again after so long.
AGAIN_SECONDS: Final = 0.5


class Do(StrEnum):
    """What can be ordered."""

    START = "start"
    KILL = "kill"
    STOP = "stop"
    GO_ON = "go on"
    KILL_BACKEND = "kill backend"
    CPU = "cpu"


class Order(Struct, frozen=True):
    """One order. `arguments` and `environ` are a node's, at its first start."""

    do: Do
    what: str
    arguments: list[str] = []
    environ: dict[str, str] = {}


class Answer(Struct, frozen=True):
    """What came of an order: the URL of a server that was started, seconds of CPU time, or what failed.

    `ended` says how often a node has ended by itself.
    """

    url: str = ""
    cpu: float = 0.0
    ended: int = 0
    error: str = ""


class Kept(ABC):
    """A process and its children."""

    ended = 0
    spent = 0.0

    @property
    @abstractmethod
    def pid(self) -> int:
        """Give its number."""

    @abstractmethod
    def start(self) -> str:
        """Start it; give its URL, if it has one."""

    @abstractmethod
    def end(self) -> None:
        """SIGKILL it and its children."""

    def kill(self) -> None:
        """End it, and remember what it took."""
        self.spent = self.cpu()
        self.end()

    def family(self) -> list[psutil.Process]:
        """Give it and its children."""
        with contextlib.suppress(psutil.Error, EmbeddedError):
            process = psutil.Process(self.pid)
            return [process, *process.children(recursive=True)]
        return []

    def signal(self, number: signal.Signals) -> None:
        """Send all of them a signal."""
        for process in self.family():
            with contextlib.suppress(psutil.Error):
                process.send_signal(number)

    def cpu(self) -> float:
        """Give the seconds of CPU time that it has taken, over all its lives."""
        return self.spent + sum(map(_cpu, self.family()))

    @abstractmethod
    def look_after(self, now: float) -> None:
        """Start it again if it must not have ended."""


class KeptServer(Kept):
    """Postgres or Valkey."""

    def __init__(self, server: Server) -> None:
        self.server = server

    @property
    def pid(self) -> int:
        """Give the number of its first process."""
        return self.server.pid

    def start(self) -> str:
        """Start it, and wait until it answers."""
        return self.server.start()

    def end(self) -> None:
        """End it as a crash would."""
        self.server.kill()

    def kill_backend(self, random: Random) -> None:
        """SIGKILL one of Postgres's processes that serve clients; Postgres recovers from that by itself."""
        serving = [process for process in self.family() if _serves_clients(process)]
        if serving:
            with contextlib.suppress(psutil.Error):
                random.choice(serving).kill()

    def look_after(self, now: float) -> None:
        """Leave it alone: it ends when it is told to."""


class KeptNode(Kept):
    """A node."""

    def __init__(self, order: Order, log: Path) -> None:
        self._order = order
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._due: float | None = None

    @property
    def pid(self) -> int:
        """Give its number."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> str:
        """Start it, without waiting."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *self._order.arguments],
                env=self._order.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=tie_to(os.getpid(), signal.SIGKILL),  # noqa: PLW1509 - it takes no lock
            )
        return ""

    def end(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = self._due = None

    def look_after(self, now: float) -> None:
        """Start it again a little after it has ended by itself."""
        if self._process is not None and self._process.poll() is not None:
            self.ended += 1
            self._process, self._due = None, now + AGAIN_SECONDS
        if self._due is not None and now >= self._due:
            self._due = None
            self.start()


def servers(folder: Path) -> tuple[Postgres, Valkey]:
    """Give the servers that a stage has in its folder."""
    return Postgres(folder / "postgres"), Valkey(folder / "valkey")


class Keeper:
    """Carries out orders."""

    def __init__(self, folder: Path) -> None:
        postgres, valkey = servers(folder)
        self._folder = folder
        self._random = Random(str(folder))
        self._postgres = KeptServer(postgres)
        self._kept: dict[str, Kept] = {"postgres": self._postgres, "redis": KeptServer(valkey)}

    def carry_out(self, order: Order) -> Answer:
        """Carry out one order, and say what came of it."""
        kept = self._kept.get(order.what)
        if kept is None:
            kept = self._kept[order.what] = KeptNode(order, self._folder / f"{order.what}.log")
        url, cpu = "", 0.0
        match order.do:
            case Do.START:
                url = kept.start()
            case Do.KILL:
                kept.kill()
            case Do.STOP:
                kept.signal(signal.SIGSTOP)
            case Do.GO_ON:
                kept.signal(signal.SIGCONT)
            case Do.KILL_BACKEND:
                self._postgres.kill_backend(self._random)
            case Do.CPU:
                cpu = kept.cpu()
        return Answer(url, cpu, kept.ended)

    def look_after(self) -> None:
        """Start again what must not have ended."""
        for kept in self._kept.values():
            kept.look_after(monotonic())

    def close(self) -> None:
        """End everything, stopped processes too."""
        for kept in reversed(self._kept.values()):
            kept.end()


def _cpu(process: psutil.Process) -> float:
    with contextlib.suppress(psutil.Error):
        times = process.cpu_times()
        return float(times.user + times.system)
    return 0.0


def _serves_clients(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return "[local]" in " ".join(process.cmdline())
    return False


def orders(keeper: Keeper) -> Iterator[Order]:
    """Give the orders as they come, until the input ends; look after the processes between them."""
    waiting = b""
    while True:
        keeper.look_after()
        if not select.select([0], [], [], POLL_SECONDS)[0]:
            continue
        data = os.read(0, 65_536)
        if not data:
            return
        *lines, waiting = (waiting + data).split(b"\n")
        for line in lines:
            yield msgspec.json.decode(line, type=Order)


def main() -> None:
    """Keep processes until nobody is left who gives orders."""
    folder = Path(sys.argv[1])
    # Whoever ends us is told by the input's end, too; this only makes sure that we still clean up.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    keeper = Keeper(folder)
    try:
        for order in orders(keeper):
            try:
                answer = keeper.carry_out(order)
            except (EmbeddedError, OSError) as exc:
                answer = Answer(error=f"{order.do} {order.what}: {exc}")
            os.write(1, msgspec.json.encode(answer) + b"\n")
    finally:
        keeper.close()


if __name__ == "__main__":
    main()
