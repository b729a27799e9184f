"""All scenarios once, tiny, with everything real: the server, its stores, the load processes."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.__main__ import main
from bench.machine import divide
from bench.server import under_test


@pytest.fixture(scope="module")
def server() -> Iterator[list[str]]:
    """One server for the module, and the arguments that lead to it."""
    with under_test(divide(os.sched_getaffinity(0))) as started:
        yield [
            f"--url=ws://{started.websocket.host}:{started.websocket.port}",
            f"--http=http://{started.http.host}:{started.http.port}",
            f"--secret={started.secret}",
            f"--pid={started.pid}",
        ]


def run(tmp_path: Path, *arguments: str) -> Any:
    path = tmp_path / "out.json"
    assert main([*arguments, "--json", str(path)]) == 0
    return msgspec.json.decode(path.read_bytes())


def test_fanout(server: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = run(tmp_path, "fanout", *server, "--viewers=20", "--rate=50", "--seconds=1", "--warmup=0", "--samples=3")
    results = made["results"]
    assert results["messages"] == 50
    # On a busy machine many come after the window; none is missing in the end.
    assert 0 < results["deliveries"] <= 1000
    assert results["latencies"] == 3 * 50
    assert results["latency_ms"]["p50"] > 0
    assert results["ack_ms"]["p50"] > 0
    assert results["server_rss_mib"] > 10
    assert (results["missing"], results["duplicated"], results["out_of_order"], results["refused"]) == (0, 0, 0, 0)
    assert made["broken"] == []
    assert "server cpu per delivery" in capsys.readouterr().out


def test_rooms(server: list[str], tmp_path: Path) -> None:
    made = run(tmp_path, "rooms", *server, "--sessions=5", "--each=4", "--rate=50", "--seconds=1", "--warmup=0")
    results = made["results"]
    assert (results["connections"], results["sessions"], results["messages"]) == (20, 5, 50)
    assert 0 < results["deliveries"] <= 200
    assert (results["missing"], results["duplicated"], results["not_acked"]) == (0, 0, 0)


def test_slow(server: list[str], tmp_path: Path) -> None:
    load = ("--viewers=20", "--rate=50", "--seconds=1", "--warmup=0", "--rounds=1")
    results = run(tmp_path, "slow", *server, *load)["results"]
    assert (results["connections"], results["stalled"], results["missing"]) == (20, 1, 0)
    assert results["p99_ratio"] > 0


def test_ingest(tmp_path: Path) -> None:
    made = run(tmp_path, "ingest", "--sessions=3", "--senders=3", "--flight=10", "--seconds=1", "--warmup=0")
    results = made["results"]
    assert results["messages"] > 30
    assert results["acked_per_s"] > 0
    assert results["batch"] >= 1
    assert results["ratio_to_asyncpg"] > 0
    assert (results["missing"], results["not_acked"], results["refused"]) == (0, 0, 0)


def test_storm_of_cut_sockets(server: list[str], tmp_path: Path) -> None:
    load = ("--viewers=40", "--rate=20", "--seconds=3", "--warmup=1", "--spread=100")
    results = run(tmp_path, "storm", *server, *load)["results"]
    assert (results["resumed"], results["resumed_from_memory"]) == (38, 38)
    assert (results["began_anew"], results["missing"], results["connections_lost"]) == (0, 0, 0)


def test_storm_of_a_killed_server(tmp_path: Path) -> None:
    load = ("--kill", "--viewers=40", "--rate=20", "--seconds=8", "--warmup=1", "--spread=100")
    results = run(tmp_path, "storm", *load)["results"]
    assert results["resumed"] == 40
    assert results["server_back_ms"] > 0
    assert (results["missing"], results["acked_and_lost"], results["not_acked"]) == (0, 0, 0)


def test_mixed(server: list[str], tmp_path: Path) -> None:
    load = ("--viewers=40", "--rate=10", "--seconds=3", "--warmup=0", "--scenes=60")
    made = run(tmp_path, "mixed", *server, *load)
    results = made["results"]
    assert (results["scenes"], results["state"]) == (3, "live")
    assert results["returns"] >= 1
    for figure in ("latency_ms", "ack_ms", "burst_ack_ms", "reaction_ack_ms", "page_ms", "letter_ms", "return_ms"):
        assert results[figure]["p50"] > 0
    assert results["refused"] == 0
    assert made["broken"] == []


def test_soak(server: list[str], tmp_path: Path) -> None:
    load = ("--viewers=30", "--rate=5", "--seconds=4", "--warmup=0", "--every=1")
    made = run(tmp_path, "soak", *server, *load, f"--report={tmp_path}")
    results = made["results"]
    assert len(results["looks"]) == 3
    assert results["rss"]["first"] > 10
    assert results["files"]["first"] > 30
    assert (tmp_path / "soak-1.png").exists()


def test_growth(server: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # Only a server that was started for the run can have another node beside it: nothing is heard here.
    few = ("--fixed-viewers=20", "--fixed-rate=20", "--fixed-deliveries=100", "--seconds=1", "--beat=1", "--warmup=0")
    load = ("--idle=10", "--viewers=10,40", "--rates=50", "--sessions=5", "--heard=20")
    made = run(tmp_path, "growth", *server, *load, *few)
    seen = {f"{point['spot']['series']} {point['spot']['x']}": point for point in made["results"]["points"]}
    assert list(seen) == ["idle 10", "viewers 10", "viewers 40", "rate 50", "sessions 5"]
    assert seen["idle 10"]["deliveries"] == 0
    assert 300 <= seen["viewers 40"]["deliveries"] <= 1000
    # Each of 20 messages has a flush of its own, to 40 viewers.
    assert 10 * 40 <= seen["viewers 40"]["writes"] <= 1000
    assert seen["sessions 5"]["stored"] > 10
    assert seen["sessions 5"]["rss"] > 10 << 20
    assert made["broken"] == []
    told = capsys.readouterr()
    assert "growth: 6 points, about" in told.err
    assert "viewers per core" in told.out


def test_growth_on_another_node(tmp_path: Path) -> None:
    none = ("--idle=-", "--viewers=-", "--rates=-", "--sessions=-")
    made = run(tmp_path, "growth", *none, "--heard=50", "--seconds=1", "--warmup=0", f"--report={tmp_path}")
    (seen,) = made["results"]["points"]
    assert seen["stored"] == 0
    assert 30 <= seen["heard"] <= 60
    assert "viewers in one session" in (tmp_path / "report.md").read_text("utf-8")
    assert (tmp_path / "growth-1.png").exists()


def test_growth_without_points_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    none = ("--idle=-", "--viewers=-", "--rates=-", "--sessions=-", "--heard=-")
    assert main(["growth", *none]) == 1
    assert "no points" in capsys.readouterr().err


def test_idle(server: list[str], tmp_path: Path) -> None:
    made = run(tmp_path, "idle", *server, "--viewers=20", "--seconds=1", "--settle=0")
    assert made["results"]["connections"] == 20
    assert made["results"]["server_rss_mib"] > 10


def test_tokens(server: list[str], tmp_path: Path) -> None:
    made = run(tmp_path, "tokens", *server, "--users=20", "--rate=50", "--seconds=1")
    results = made["results"]
    assert (results["requests"], results["refused"]) == (50, 0)
    assert results["first_ms"]["p50"] > 0
    assert results["again_ms"]["p50"] > 0
    assert results["server_cpu_per_request_us"] > 0


def test_clients(server: list[str], tmp_path: Path) -> None:
    results = run(tmp_path, "clients", *server, "--clients=10", "--rate=20", "--seconds=1")["results"]
    assert (results["events"], results["missing"], results["not_acked"]) == (200, 0, 0)
    assert results["latency_ms"]["p50"] > 0
    assert results["ack_ms"]["p50"] > 0
    assert results["client_cpu_per_event_us"] > 0


def test_crowd(server: list[str], tmp_path: Path) -> None:
    results = run(tmp_path, "crowd", *server, "--viewers=100")["results"]
    assert (results["viewers"], results["refused"], results["unanswered"]) == (100, 0, 0)
    assert results["token_ms"]["p50"] > 0
    # So few may take less time than the smallest that is told.
    assert results["server_cpu_per_token_us"] >= 0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--url", "ws://10.0.0.1:8000", "--http", "http://127.0.0.1:1", "--secret", "s"], "127.0.0.0/8 only"),
        (["--url", "ws://127.0.0.1:8000"], "--url, --http and --secret go together"),
        (["--pid", "1"], "--url, --http and --secret go together"),
        (["--json", "/proc/nowhere/out.json"], "nothing can be written into /proc/nowhere"),
        (["--viewers", "100000"], "files open"),
        (["--url=ws://127.0.0.1:1", "--http=http://127.0.0.1:1", f"--secret={'s' * 32}"], "side API does not answer"),
    ],
)
def test_what_cannot_be_run_is_said_in_a_line(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fanout", *arguments]) == 1
    assert complaint in capsys.readouterr().err


def test_counts_are_bounded(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["fanout", "--seconds", "601"])
    assert "601 is not from 1 to 600" in capsys.readouterr().err


@pytest.fixture
def short() -> list[str]:
    return ["--viewers=10", "--seconds=1", "--warmup=0"]


def test_floor(server: list[str], short: list[str], tmp_path: Path) -> None:
    made = run(tmp_path, "floor", *server, *short, "--rate=50", f"--report={tmp_path / 'report'}")
    outcomes = {outcome["contestant"]: outcome["figures"] for outcome in made["results"]["outcomes"]}
    assert list(outcomes) == ["stagewire", "floor", "floor-each"]
    for figures in outcomes.values():
        assert (figures["messages"], figures["missing"], figures["out_of_order"]) == (50, 0, 0)
        assert figures["latency_ms"]["p50"] > 0
        # What so little takes may be less than a tick of the clock.
        assert figures["server_cpu_per_delivery_us"] is not None
    assert "| floor-each | " in (tmp_path / "report/report.md").read_text("utf-8")


@pytest.mark.parametrize("peer", ["websockets", "python-socketio"])
def test_compare(short: list[str], peer: str, tmp_path: Path) -> None:
    made = run(tmp_path, "compare", *short, f"--against={peer}", "--rates=30,60", "--runs=2")
    assert len(made["runs"]) == 2
    slow, fast = made["results"]["outcomes"]
    assert (slow["rate"], slow["figures"]["messages"], slow["figures"]["missing"]) == (30, 30, 0)
    assert (fast["rate"], fast["figures"]["messages"], fast["figures"]["missing"]) == (60, 60, 0)
    assert fast["figures"]["deliveries"] > 500
    assert fast["figures"]["latencies"] > 0
    assert any(note.startswith(f"{peer} (") for note in made["notes"])


@pytest.mark.parametrize("arguments", [["--rates=many"], ["--against=nobody"]])
def test_what_cannot_be_compared_is_said_in_a_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *arguments]) == 1
    assert arguments[0].partition("=")[0] in capsys.readouterr().err
