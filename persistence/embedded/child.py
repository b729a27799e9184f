"""Server processes which end with us, whatever ends us."""

import contextlib
import ctypes
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

import msgspec

# <linux/prctl.h>, <linux/ipc.h>
_PR_SET_PDEATHSIG = 1
_IPC_RMID = 0
_libc = ctypes.CDLL(None)


class Account(msgspec.Struct, frozen=True):
    """Whom a server runs as."""

    uid: int
    gid: int


def spawn(
    command: Sequence[str],
    *,
    account: Account,
    log: IO[bytes],
    keep: int,
    dying: signal.Signals,
    stdin: int = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    """Start `command` in a session of its own, where the terminal's Ctrl-C does not reach it.

    `keep` is a file descriptor that it and all its descendants hold open as long as they live.
    The kernel sends it `dying` when the calling thread ends, hence the main thread.

    Raises:
        OSError: the program cannot be run.
        RuntimeError: the caller is not the main thread.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("embedded servers end with the thread that started them: start them from the main one")
    other = account.uid != os.geteuid()
    return subprocess.Popen(  # noqa: S603 - the program lies in a wheel, the arguments are ours
        command,
        stdin=stdin,
        stdout=log,
        stderr=log,
        # Nothing of ours may steer it: PGDATA, PGOPTIONS, LD_LIBRARY_PATH, the locale.
        env={"PATH": os.defpath, "LC_ALL": "C"},
        # Where we stand may be closed to the other account.
        cwd="/",
        user=account.uid if other else None,
        group=account.gid if other else None,
        extra_groups=[] if other else None,
        pass_fds=[keep],
        start_new_session=True,
        preexec_fn=tie_to(os.getpid(), dying),  # noqa: PLW1509 - it takes no lock: two system calls
    )


def tie_to(parent: int, dying: signal.Signals) -> Callable[[], None]:
    """What a child runs first, so that the kernel sends it `dying` when the thread that started it ends."""

    # A change of user clears the tie; Popen calls this after it.
    def tie() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, int(dying), 0, 0, 0)
        if os.getppid() != parent:  # it died before the tie held: no signal will come
            os._exit(1)

    return tie


def kill_family(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL a process and its children, stopped ones too, and collect it."""
    if process.poll() is not None:
        return  # its number may be another's by now
    # Read first: orphans are no longer listed. Each is in a session of its own.
    children = _children_of(process.pid)
    process.kill()
    for child in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    process.wait()


def _children_of(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def remove_shared_memory(creator: int, owner: Account) -> None:
    """Remove the System V segments that a killed process left in the kernel."""
    listed = Path("/proc/sysvipc/shm")  # some kernels have none
    for line in listed.read_text().splitlines()[1:] if listed.exists() else ():
        _key, segment, _permissions, _size, made_by, _last, _attached, uid, *_ = line.split()
        if (int(made_by), int(uid)) == (creator, owner.uid):
            _libc.shmctl(int(segment), _IPC_RMID, None)
