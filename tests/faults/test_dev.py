"""`stagewire dev` as its user meets it: started, killed, started again, started twice, stopped."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from persistence.embedded import Servers
from tests.support.databases import fresh_database, query, scratch
from tests.support.nodes import SECRET, Target
from tests.support.processes import alive, family, free_port, wait_until
from tests.support.servers import DevServer, dev_server


@pytest.fixture(scope="module")
def dev() -> Iterator[DevServer]:
    with dev_server(STAGEWIRE_JWT_SECRET=SECRET) as server:
        yield server


def run(*arguments: object, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "realtime", *map(str, arguments)],
        env={**os.environ, **settings},
        text=True,
        capture_output=True,
        check=False,
        timeout=30,
    )


async def test_what_was_acknowledged_survives_kill_nine(dev: DevServer) -> None:
    target = Target(dev.port, dev.http_port)
    session = await target.session("ann")
    async with target.client("bob") as bob:
        position = (await bob.join(session))["position"]
        acks = [await bob.say(session, f"message {n}") for n in range(10)]
    processes = family(dev.pid)
    assert {"postgres", "valkey-server"} <= {process.name() for process in processes}
    dev.kill()
    wait_until(lambda: not any(map(alive, processes)), within=5)
    dev.start()
    async with target.client("bob") as bob:
        joined = await bob.join(session, since=position)
        assert joined["complete"] is True
        assert [(event["seq"], event["at"]) for event in joined["events"]] == [(ack["seq"], ack["at"]) for ack in acks]
        assert (await bob.say(session, "and on it goes"))["seq"] == acks[-1]["seq"] + 1


def test_a_second_start_on_the_same_folder_is_refused(dev: DevServer) -> None:
    free = {"STAGEWIRE_PORT": "0", "STAGEWIRE_HTTP_PORT": "0"}
    second = run("dev", "--folder", dev.folder / "data", **free)
    assert second.returncode == 1
    assert second.stderr.count("\n") == 1
    assert "is already running on" in second.stderr


def test_a_taken_port_is_told_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = run("dev", "--folder", tmp_path, STAGEWIRE_PORT=str(port))
    assert refused.returncode == 1
    assert refused.stderr == f"stagewire: cannot listen on 127.0.0.1:{port}: Address already in use\n"


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("STAGEWIRE_PORT", "many", "STAGEWIRE_PORT is 'many': Expected `int`, got `str`"),
        ("STAGEWIRE_PROT", "8000", "there is no setting STAGEWIRE_PROT"),
        ("STAGEWIRE_JWT_SECRET", "short", "32 bytes"),
    ],
)
def test_a_wrong_setting_is_told_in_one_line(tmp_path: Path, name: str, value: str, told: str) -> None:
    refused = run("dev", "--folder", tmp_path, **{"STAGEWIRE_HTTP_PORT": "0", "STAGEWIRE_PORT": "0", name: value})
    assert refused.returncode == 1
    assert told in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_a_folder_that_cannot_be_used_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused = run("dev", "--folder", tmp_path / "file" / "data", STAGEWIRE_PORT="0", STAGEWIRE_HTTP_PORT="0")
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1


def test_serve_says_what_it_lacks(servers_less: dict[str, str]) -> None:
    assert run("serve", **servers_less).stderr == "stagewire: DATABASE_URL is not set\n"
    unmigrated = {**servers_less, "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "REDIS_URL": "redis://x"}
    refused = run("serve", **unmigrated, STAGEWIRE_JWT_SECRET=SECRET)
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)


@pytest.fixture
def servers_less(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    for name in ("DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    return {"STAGEWIRE_PORT": "0", "STAGEWIRE_HTTP_PORT": "0"}


def test_a_token_is_minted_with_the_folders_secret(tmp_path: Path) -> None:
    minted = run("token", "alice", "--role", "seller", "--folder", tmp_path)
    assert minted.returncode == 0
    assert minted.stdout.count(".") == 2
    assert run("token", "alice", "--folder", tmp_path).returncode == 0
    assert (tmp_path / "jwt-secret").stat().st_mode & 0o077 == 0
    refused = run("token", "no spaces", "--folder", tmp_path)
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)


@pytest.mark.parametrize("command", ["", "dev", "serve", "token", "migrate", "new-epochs", "schema"])
def test_every_command_has_help(command: str) -> None:
    helped = run(*command.split(), "--help")
    assert helped.returncode == 0
    assert helped.stdout.startswith("usage: stagewire")


def test_ctrl_c_stops_everything_within_two_seconds() -> None:
    with scratch() as folder:
        server = DevServer(folder, {})
        server.start()
        processes = family(server.pid)
        with socket.create_connection(("127.0.0.1", server.port)):
            began = time.monotonic()
            server.stop()
        assert time.monotonic() - began < 2.0
        assert not any(map(alive, processes))
        assert server.log.startswith("Making a database in")
        assert "http://127.0.0.1:" in server.log


@pytest.fixture
def worker_urls(servers: Servers) -> Iterator[dict[str, str]]:
    with fresh_database(servers.database_url) as url:
        yield {"DATABASE_URL": url, "REDIS_URL": servers.redis_url}


def test_workers_share_the_ports_and_are_replaced(worker_urls: dict[str, str]) -> None:
    ports = {"STAGEWIRE_PORT": str(free_port()), "STAGEWIRE_HTTP_PORT": str(free_port())}
    assert run("migrate", **worker_urls).returncode == 0
    assert run("migrate", **worker_urls).stdout == "up to date\n"
    with subprocess.Popen(
        [sys.executable, "-m", "realtime", "serve", "--workers", "2"],
        env={**os.environ, **worker_urls, **ports, "STAGEWIRE_JWT_SECRET": SECRET},
        stderr=subprocess.DEVNULL,
        process_group=0,
    ) as supervisor:
        try:
            wait_until(lambda: _listeners(supervisor.pid) == 2, within=20)
            first = psutil.Process(supervisor.pid).children()[0]
            first.kill()
            wait_until(lambda: not alive(first) and _listeners(supervisor.pid) == 2, within=20)
        finally:
            supervisor.send_signal(signal.SIGTERM)
            assert supervisor.wait(20) == 0


def test_logs_begin_anew_from_the_command_line(worker_urls: dict[str, str]) -> None:
    unmigrated = run("new-epochs", **worker_urls)
    assert (unmigrated.returncode, unmigrated.stderr.count("\n")) == (1, 1)
    assert run("migrate", **worker_urls).returncode == 0
    created = "create_session('ann', 'A show', NULL, '{}', '{}')"
    query(worker_urls["DATABASE_URL"], f"SELECT add_partitions(86400000, 1), {created}")
    assert run("new-epochs", **worker_urls).stdout == "1 logs begin anew\n"


def test_a_postgres_that_forgets_is_refused_in_one_line_unless_it_is_allowed(worker_urls: dict[str, str]) -> None:
    url = worker_urls["DATABASE_URL"]
    query(url, f"ALTER DATABASE {urlsplit(url).path[1:]} SET synchronous_commit = off")
    secret = {"STAGEWIRE_JWT_SECRET": SECRET}
    for command in ("migrate", "serve"):
        refused = run(command, **worker_urls, **secret)
        assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
        assert "synchronous_commit off" in refused.stderr
        assert "STAGEWIRE_ALLOW_UNSAFE_POSTGRES" in refused.stderr
    allowed = run("migrate", **worker_urls, STAGEWIRE_ALLOW_UNSAFE_POSTGRES="true")
    assert allowed.returncode == 0
    assert "postgres unsafe" in allowed.stdout + allowed.stderr


def _listeners(supervisor: int) -> int:
    workers = psutil.Process(supervisor).children()
    return sum(bool(_listening(worker)) for worker in workers)


def _listening(worker: psutil.Process) -> list[object]:
    try:
        return [c for c in worker.net_connections() if c.status == psutil.CONN_LISTEN]
    except psutil.Error:
        return []
