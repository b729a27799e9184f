"""A node whose clock is wrong, and whose code may be: `python -m tests.faults.node CLOCK [BROKEN] serve`.

The file CLOCK holds one double, native: by how many seconds the clock is wrong. It may change at any time.
"""

import mmap
import struct
import sys
import time
from pathlib import Path

OFFSET = struct.Struct("d")


def set_clock(file: Path, seconds: float) -> None:
    """Have the clocks that follow `file` be wrong by so many seconds."""
    if not file.exists():
        file.write_bytes(bytes(OFFSET.size))
    # In place: what is mapped must not be another file.
    with file.open("r+b") as opened:
        opened.write(OFFSET.pack(seconds))


def follow_clock(file: Path) -> None:
    """Make this process's wall clock wrong. The monotonic clock is right on any machine, and stays so."""
    with file.open("rb") as opened:
        shared = mmap.mmap(opened.fileno(), OFFSET.size, access=mmap.ACCESS_READ)
    seconds, nanoseconds = time.time, time.time_ns
    time.time = lambda: seconds() + OFFSET.unpack_from(shared)[0]
    time.time_ns = lambda: nanoseconds() + int(OFFSET.unpack_from(shared)[0] * 1_000_000_000)


def main() -> int:
    """Serve."""
    clock, *broken, command = sys.argv[1:]
    # Before the server is imported, which takes the clock's functions by name.
    follow_clock(Path(clock))
    from realtime import cli  # noqa: PLC0415 - see above
    from tests.faults.broken import BREAKS  # noqa: PLC0415 - see above

    for name in broken:
        BREAKS[name]()
    return cli.main([command])


if __name__ == "__main__":
    sys.exit(main())
