"""The studio's pure modules, by the tests beside this file that Node runs."""

import shutil
import subprocess
from pathlib import Path

import pytest

TESTS = sorted(Path(__file__).with_name("studio").glob("*.test.mjs"))
NODE = shutil.which("node")


@pytest.mark.skipif(NODE is None, reason="there is no Node to run the studio's modules")
def test_the_studios_modules() -> None:
    assert TESTS
    ran = subprocess.run([str(NODE), "--test", *TESTS], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
