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
from typing import Any, Final

import msgspec
from msgspec import structs

from bench.conductor import measure
from bench.contestants import EACH, FLOORS, GATHERING, STAGEWIRE, Contestant, Outcome, alike
from bench.crew import crew
from bench.dialects import ROOM
from bench.errors import BenchError
from bench.looks import Ends, Look
from bench.machine import Cores, divide, raise_file_limit, require_files
from bench.pace import Schedule
from bench.peers import FLOOR, PEERS, LeftOut, Peer, Prepared, cache_folder
from bench.peers.floor import Pour
from bench.process import await_ready, free_port, last_words, listening, running
from bench.progress import step
from bench.run import Place, connect_seconds, plans, target
from bench.scenarios import fanout
from bench.scenarios.fanout import Options
from bench.target import Address

EVERYBODY: Final = (STAGEWIRE, *FLOORS, *PEERS)
_DELIVERIES: Final = "stagewire_deliveries_total"
_FLUSHES: Final = "stagewire_commit_to_socket_seconds_count"


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
        """Have a floor say it by itself.

        Raises:
            BenchError: it is gone.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(msgspec.json.encode(told).decode() + "\n")
            self._process.stdin.flush()
        except OSError:
            raise BenchError("the floor ended unasked") from None


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
                ends = Ends(server)
                measured = measure(server, sessions, workers, partial(fanout.load, load), ends.watch)
        figures = fanout.summarise(load.viewers, measured)
        before, after = ends.looks
        gathered = events_per_write(before, after, load.viewers)
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


def events_per_write(before: Look, after: Look, viewers: int) -> float:
    """Give how many events were in a write to one of so many viewers, on average: a flush writes to each once."""
    deliveries, flushes = (after.counters[name] - before.counters[name] for name in (_DELIVERIES, _FLUSHES))
    return max(1.0, deliveries / max(1.0, flushes * viewers))


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
            process = stack.enter_context(running(prepared.command(address.port, folder), cores.server, log))
        except OSError as exc:
            raise BenchError(f"the server did not start: {exc}") from None
        await_ready(lambda: listening(address.port), process, log)
        with last_words(lambda: process, log):
            yield Room(address, process, cores)
