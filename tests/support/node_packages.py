"""What tests take from npm: installed beside its lock file, again only where that has changed."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

INSTALL_SECONDS = 300


def installed(folder: Path) -> Path:
    """Give a folder when what its lock file names is in its `node_modules`.

    Skips the test where there is no Node, or nothing can be fetched.
    """
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    locked = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()
    # The last that is written: what was interrupted half-way is not taken for the whole.
    mark = folder / "node_modules" / ".installed"
    if not mark.exists() or mark.read_text() != locked:
        _install(folder)
        mark.write_text(locked)
    return folder


def _install(folder: Path) -> None:
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"`{' '.join(command)}` took more than {INSTALL_SECONDS} s")
    # A lock file that does not fit to its package is our mistake, and no network's.
    assert "EUSAGE" not in ran.stderr, ran.stderr
    if ran.returncode:
        errors = [line for line in ran.stderr.splitlines() if line.startswith("npm error")]
        pytest.skip(f"`{' '.join(command)}` failed: {'; '.join(errors[:2])}")
