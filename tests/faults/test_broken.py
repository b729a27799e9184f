"""Builds with a defect each: the harness finds all of them, by name."""

import pytest

from tests.faults.broken import BREAKS
from tests.faults.keeper import servers
from tests.faults.plan import Kind
from tests.faults.report import Options, words
from tests.faults.storm import run
from tests.support.databases import scratch

# What reveals each defect, and as what.
REVEALED = {
    "ack-before-commit": (Kind.POSTGRES_KILL, "lost"),
    "hint-without-check": (Kind.HINTS_DROPPED, "silent hole"),
    "position-moved-twice": (Kind.CLIENTS_CUT, "silent hole"),
    "keys-forgotten": (Kind.CLIENTS_CUT, "duplicate"),
}


def test_every_defect_has_its_fault() -> None:
    assert REVEALED.keys() == BREAKS.keys()


@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", BREAKS)
async def test_a_broken_build_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Nodes that compare their heads with Postgres send their readers away from a log that goes back. That is no
    # reason for the harness not to notice.
    monkeypatch.setenv("STAGEWIRE_HEAD_CHECK_MS", "600000")
    kind, promise = REVEALED[name]
    options = Options(
        minutes=0.01,
        nodes=2,
        sessions=2,
        writers=6,
        readers=6,
        rate=300,
        most=1,
        healing=0,
        kinds=[kind],
        broken=name,
    )
    with scratch() as folder:
        report = await run(options, folder, print)
        for server in servers(folder):
            server.erase()
    assert report.broken.get(promise), words(report)
