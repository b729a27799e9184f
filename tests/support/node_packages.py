"""Programs for Node that tests run: installed once for each lock file, among the user's caches."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

INSTALL_SECONDS = 300


def installed(sources: Path) -> Path:
    """Give a folder with all of `sources`, and what its lock file names; make it once.

    Skips the test where there is no Node, or nothing can be fetched.
    """
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stagewire-tests"
    folder = caches / f"{sources.name}-{_fingerprint(sources)}"
    if not folder.exists():
        caches.mkdir(parents=True, exist_ok=True)
        # What is interrupted half-way must not be taken for the whole.
        with TemporaryDirectory(dir=caches) as half:
            made = Path(half) / "made"
            shutil.copytree(sources, made)
            _install(made)
            made.rename(folder)
    return folder


def _install(folder: Path) -> None:
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=True)
    except subprocess.SubprocessError as exc:
        pytest.skip(f"`{' '.join(command)}` failed: {exc}")


def _fingerprint(folder: Path) -> str:
    contents = b"".join(path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file())
    return hashlib.sha256(contents).hexdigest()[:12]
