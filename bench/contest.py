"""The same load against one server after another: each alone, on the same core, with the same load processes."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from typing import IO, Any, Final

import msgspec
from msgspec import structs

from bench.conductor import measure
from bench.contestants import EACH, FLOORS, GATHERING, STAGEWIRE, Contestant, Outcome, alike
from bench.crew import crew
from bench.dialects import ROOM
from bench.errors import BenchError
from bench.machine import Cores, divide, raise_file_limit, require_files
from bench.pace import SECOND, Schedule, Window
from bench.peers import FLOOR, PEERS, LeftOut, Peer, Prepared, cache_folder
from bench.peers.floor import Pour
from bench.process import free_port, listening, running
from bench.progress import sleep_until, step
from bench.run import Place, connect_seconds, plans, target
from bench.scenarios import fanout
from bench.scenarios.fanout import Options
from bench.target import Address, Target

EVERYBODY: Final = (STAGEWIRE, *FLOORS, *PEERS)
READY_SECONDS: Final = 20.0
_POLL_SECONDS: Final = 0.05
_TAIL_BYTES: Final = 2000
# Counting is over by the end of the window, and then the load is over, too.
_SHORTLY_NS: Final = SECOND // 10


class Room:
    """A room on another server; as far as a measurement goes, a session on a Stagewire."""

    def __init__(self, websocket: Address, process: subprocess.Popen[str], cores: Cores) -> None:
        self.websocket = websocket
        self.secret = token_hex(32)
        self.pid = process.pid
        self.cores = cores
        self._process = process
        self._schedule = Schedule(0, 1, 0)

    def head(self, _session: str) -> int:
        """Count what has been said by now, if senders are in time: that many events everybody must get."""
        return self._schedule.reached(time.monotonic_ns())

    def expect(self, schedule: Schedule) -> None:
        """Take note of what will be said."""
        self._schedule = schedule

    def pour(self, told: Pour) -> None:
        """Have a floor say it by itself."""
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(told).decode() + "\n")
        self._process.stdin.flush()


class Contest:
    """All that take part, prepared once, and then measured as often as one likes."""

    def __init__(self, names: list[str], place: Place, peers_folder: str) -> None:
        self._place = place
        self._cache = cache_folder(peers_folder)
        self._prepared: dict[str, Prepared] = {}
        self.contestants = [self._enter(name) for name in names]
        # Events in each write of Stagewire's, by rate, for a floor to do the same.
        self._gathered: dict[int, float] = {}

    @property
    def present(self) -> list[str]:
        """Name those who take part."""
        return [each.name for each in self.contestants if not each.left_out]

    def _enter(self, name: str) -> Contestant:
        if name == STAGEWIRE:
            return Contestant(name, "", "everything on: logins, a durable log, acks, heartbeats, metrics")
        peer = peer_of(name)
        try:
            with step(f"preparing {name}"):
                prepared = self._prepared[name] = peer.prepare(self._cache)
        except LeftOut as exc:
            return Contestant(name, "", peer.settings, str(exc))
        each = ", a write for each event" if name == EACH else ""
        return Contestant(name, prepared.version, peer.settings + each)

    def meet(self, name: str, load: Options) -> Outcome:
        """Measure one contestant under a load, on a server of its own."""
        with step(f"{name}: {load.rate:,} messages/s to {load.viewers:,} viewers"):
            try:
                return self._stagewire(load) if name == STAGEWIRE else self._peer(name, load)
            except BenchError as exc:
                return Outcome(name, load.rate, None, failed=str(exc))

    def _stagewire(self, load: Options) -> Outcome:
        with target(self._place, load.viewers) as server:
            sessions = [server.live_session()]
            with crew(plans(server, sessions, fanout.divide(load)), within=connect_seconds(load.viewers)) as workers:
                writes = _Writes(server)
                measured = measure(server, sessions, workers, partial(fanout.load, load), writes.watch)
        figures = fanout.summarise(load.viewers, measured)
        gathered = writes.events_each(load.viewers)
        self._gathered[load.rate] = gathered
        return Outcome(STAGEWIRE, load.rate, figures, gathered)

    def _peer(self, name: str, load: Options) -> Outcome:
        floor = name in FLOORS
        gathered = alike(self._gathered, load.rate) if name == GATHERING else 1.0
        with _serving(self._prepared[name], load.viewers) as room:
            parts = [{**part, "dialect": peer_of(name).dialect} for part in divided(load, talking=not floor)]
            with crew(plans(room, [ROOM], parts), within=connect_seconds(load.viewers)) as workers:
                go = fanout.load(load)
                schedule = go.acts["chat"]
                assert isinstance(schedule, Schedule)
                room.expect(schedule)
                if floor:
                    room.pour(Pour(schedule, load.size, joined=name == GATHERING, events_per_write=gathered))
                figures = fanout.summarise(load.viewers, measure(room, [ROOM], workers, lambda: go))
        return Outcome(name, load.rate, structs.replace(figures, ack_ms=None), gathered if floor else None)


def peer_of(name: str) -> Peer:
    """Give a peer by its name; the floors are one program."""
    return FLOOR if name in FLOORS else PEERS[name]


def divided(load: Options, *, talking: bool) -> list[dict[str, Any]]:
    """Divide the clients as for a Stagewire; where nobody is to talk, those who would only listen."""
    parts: list[dict[str, Any]] = [dict(part) for part in fanout.divide(load)]
    if not talking:
        parts[-1]["viewers"] = parts[-1].pop("senders")
    return parts


class _Writes:
    """Watches how often Stagewire writes, by its own metrics."""

    def __init__(self, server: Target) -> None:
        self._server = server
        self._deliveries = self._flushes = 0.0

    def watch(self, window: Window) -> None:
        """Look at the beginning of the window, and just before its end."""
        before = self._server.counters()
        sleep_until(window.end - _SHORTLY_NS, "measuring")
        after = self._server.counters()
        grown = {name: after[name] - before.get(name, 0) for name in after}
        self._deliveries = grown["stagewire_deliveries_total"]
        self._flushes = grown["stagewire_commit_to_socket_seconds_count"]

    def events_each(self, viewers: int) -> float:
        """Give how many events were in a write to one of so many viewers, on average."""
        return max(1.0, self._deliveries / max(1.0, self._flushes * viewers))


@contextmanager
def _serving(prepared: Prepared, viewers: int) -> Iterator[Room]:
    require_files(raise_file_limit(), viewers, "the server")
    cores, address = divide(os.sched_getaffinity(0)), Address("127.0.0.1", free_port())
    with ExitStack() as stack:
        stack.callback(os.sched_setaffinity, 0, os.sched_getaffinity(0))
        os.sched_setaffinity(0, cores.others)
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="stagewire-bench-")))
        log = stack.enter_context((folder / "server.log").open("w+"))
        try:
            process = stack.enter_context(running(prepared.command(address.port), cores.server, log))
        except OSError as exc:
            raise BenchError(f"the server did not start: {exc}") from None
        _await_ready(address, process, log)
        yield Room(address, process, cores)


def _await_ready(address: Address, process: subprocess.Popen[str], log: IO[str]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not listening(address.port):
        if process.poll() is not None or time.monotonic() > deadline:
            log.seek(0)
            raise BenchError(f"the server did not start: {log.read()[-_TAIL_BYTES:].strip()}")
        time.sleep(_POLL_SECONDS)
