"""The parts of `make conformance` that need no wstest."""

import asyncio
import sys
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.conformance.autobahn import run
from tests.conformance.echo import connection
from tests.conformance.judging import faults

OK = {"behavior": "OK", "behaviorClose": "OK"}


async def test_the_echo() -> None:
    async with await asyncio.get_running_loop().create_server(connection, "127.0.0.1", 0) as listening:
        url = f"ws://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1/ws"
        async with connect(url, max_size=None) as client:
            for message in ("", "text", b"", b"\xff", "x" * (1 << 20), b"y" * (16 << 20)):
                await client.send(message)
                assert await client.recv() == message
            await client.send(["fra", "gments"])
            assert await client.recv() == "fragments"
            await client.send(b"\xff", text=True)
            with pytest.raises(ConnectionClosed):
                await client.recv()
            assert client.close_code == 1007


@pytest.mark.parametrize(
    ("case", "behavior", "close", "passes"),
    [
        ("1.1.1", "OK", "OK", True),
        ("7.13.1", "INFORMATIONAL", "INFORMATIONAL", True),
        ("3.2", "NON-STRICT", "OK", True),
        ("7.1.5", "FAILED", "WRONG CODE", True),
        ("1.1.1", "NON-STRICT", "OK", False),
        ("3.2", "FAILED", "OK", False),
        ("1.1.1", "UNIMPLEMENTED", "OK", False),
        ("1.1.1", "OK", "UNCLEAN", False),
    ],
)
def test_what_passes(case: str, behavior: str, close: str, passes: bool) -> None:
    report = {"stagewire": {"1.1.2": OK, case: {"behavior": behavior, "behaviorClose": close}}}
    assert (faults(report) == []) == passes


def test_a_report_without_cases_is_none() -> None:
    assert faults({}) == faults({"stagewire": {}}) == ["no case was run"]


async def test_a_suite_that_fails_is_told(tmp_path: Path) -> None:
    broken = tmp_path / "wstest"
    broken.write_text(f"#!{sys.executable}\nraise SystemExit(3)\n")
    broken.chmod(0o755)
    assert await run(str(broken), tmp_path) == ["wstest ended with 3, and no report"]
