"""Autobahn's fuzzing client against our transport: `make conformance`.

`wstest` is that of the package autobahntestsuite, which runs on Python 2.7; `WSTEST` may name another one.
"""

import asyncio
import json
import os
import shutil
import tempfile
from pathlib import Path

import uvloop

from tests.conformance.echo import connection
from tests.conformance.judging import faults

# Compression is not offered.
EXCLUDED = ["12.*", "13.*"]


async def run(wstest: str, folder: Path) -> list[str]:
    """Serve while `wstest` runs; give what is wrong."""
    listening = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        spec = folder / "fuzzingclient.json"
        spec.write_text(json.dumps(specification(port, folder)))
        process = await asyncio.create_subprocess_exec(wstest, "-m", "fuzzingclient", "-s", str(spec))
        code = await process.wait()
    report = folder / "index.json"
    if code or not report.exists():
        return [f"wstest ended with {code}, and no report"]
    return faults(json.loads(report.read_text()))


def specification(port: int, folder: Path) -> dict[str, object]:
    """Say what `wstest` is to do."""
    server = {"agent": "stagewire", "url": f"ws://127.0.0.1:{port}/v1/ws"}
    return {"servers": [server], "outdir": str(folder), "cases": ["*"], "exclude-cases": EXCLUDED}


def main() -> int:
    """Give the exit code: 0 if all is well, or cannot be tried here."""
    wstest = shutil.which(os.environ.get("WSTEST", "wstest"))
    if wstest is None:
        print("wstest is not installed: the conformance was not tried (pip install autobahntestsuite, Python 2.7)")
        return 0
    with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
        found = uvloop.run(run(wstest, Path(folder)))
    print("\n".join(found) or "conforms")
    return 1 if found else 0
