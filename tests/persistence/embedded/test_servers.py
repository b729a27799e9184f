from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest
import redis

from persistence.embedded import EmbeddedError, Postgres, Servers, Valkey, stop_all
from tests.support.databases import fresh_database, query
from tests.support.processes import BUS, free_port, wait_until


def command(url: str, *words: str) -> Any:
    with redis.Redis.from_url(url, decode_responses=True) as client:
        return client.execute_command(*words)


def test_postgres_is_durable_and_speaks_utf8(servers: Servers) -> None:
    def shown(name: str) -> Any:
        return query(servers.database_url, f"SHOW {name}")

    assert [shown("fsync"), shown("synchronous_commit"), shown("full_page_writes")] == ["on", "on", "on"]
    assert [shown("data_checksums"), shown("server_encoding"), shown("timezone")] == ["on", "UTF8", "UTC"]
    assert query(servers.database_url, "SELECT current_user || '@' || current_database()") == "stagewire@stagewire"
    assert query(servers.database_url, "SELECT datlocale FROM pg_database WHERE datname = 'stagewire'") == "C.UTF-8"


def test_without_a_port_nothing_listens_on_the_network(servers: Servers) -> None:
    for server in (servers.postgres, servers.valkey):
        assert [c for c in psutil.Process(server.pid).net_connections("inet") if c.status == "LISTEN"] == []


def test_only_their_account_can_reach_the_sockets_and_the_data(servers: Servers) -> None:
    for path in (servers.postgres.data, servers.valkey.data, servers.valkey.data.parent / "run"):
        assert path.stat().st_mode & 0o777 == 0o700


def test_a_fresh_database_is_empty_and_goes_away(servers: Servers, database_url: str) -> None:
    with fresh_database(servers.database_url) as url:
        query(url, "CREATE TABLE kept ()")
        name = query(url, "SELECT current_database()")
    assert query(servers.database_url, f"SELECT count(*) FROM pg_database WHERE datname = '{name}'") == 0
    assert query(database_url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0


@pytest.mark.parametrize("key", ["one", "two"])
def test_each_test_gets_a_valkey_without_keys(redis_url: str, key: str) -> None:
    assert command(redis_url, "DBSIZE") == 0
    command(redis_url, "SET", key, "1")


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_postgres_keeps_its_data(postgres: Postgres, end: str) -> None:
    url = postgres.start()
    query(url, f"CREATE TABLE kept_{end} AS SELECT 7 AS n")
    pid = postgres.pid
    getattr(postgres, end)()
    assert not postgres.running
    assert not psutil.pid_exists(pid)
    assert postgres.start() == url
    assert query(url, f"SELECT n FROM kept_{end}") == 7


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_valkey_keeps_its_data(valkey: Valkey, end: str) -> None:
    url = valkey.start()
    command(url, "SET", "kept", "7")
    getattr(valkey, end)()
    assert valkey.start() == url
    assert command(url, "GET", "kept") == "7"


def test_postgres_on_a_port_asks_for_the_password(postgres: Postgres) -> None:
    postgres.port = free_port()
    url = postgres.start()
    assert f"@127.0.0.1:{postgres.port}/" in url
    assert query(url, "SELECT 1") == 1
    with pytest.raises(asyncpg.InvalidPasswordError):
        query(f"postgresql://stagewire:guess@127.0.0.1:{postgres.port}/stagewire", "SELECT 1")


def test_a_lost_password_is_named(folder: Path) -> None:
    server = Postgres(folder / "postgres", port=free_port())
    server.start()
    server.stop()
    lost = server.data.parent / "password"
    lost.unlink()
    with pytest.raises(EmbeddedError, match=f"cannot use {lost}: No such file"):
        server.start()
    assert not server.running
    server.erase()


def test_valkey_on_a_port(valkey: Valkey) -> None:
    valkey.port = free_port()
    assert valkey.start() == f"redis://127.0.0.1:{valkey.port}"
    assert command(valkey.url, "PING") is True


def test_valkey_serves_as_a_cluster_node(folder: Path) -> None:
    # Its bus takes the port 10,000 above.
    port = free_port(beside=BUS)
    server = Valkey(folder, port=port, extra={"cluster-enabled": "yes", "appendfsync": "always"})
    url = server.start()
    assert command(url, "CLUSTER", "ADDSLOTSRANGE", "0", "16383") == "OK"
    wait_until(lambda: "cluster_state:ok" in command(url, "CLUSTER", "INFO"))
    assert command(url, "CONFIG", "GET", "appendfsync") == {"appendfsync": "always"}
    server.stop()


def test_valkey_serves_as_a_sentinel(valkey: Valkey, folder: Path) -> None:
    valkey.port = free_port()
    valkey.start()
    sentinel = Valkey(folder / "sentinel", extra={"sentinel monitor main": f"127.0.0.1 {valkey.port} 1"})
    url = sentinel.start()
    assert command(url, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main") == ["127.0.0.1", str(valkey.port)]
    stop_all(sentinel, valkey)


def test_erasing_leaves_nothing(server: Postgres | Valkey, folder: Path) -> None:
    mine = type(server)(folder / "mine")
    mine.erase()
    mine.start()
    mine.stop()
    mine.erase()
    assert not mine.data.exists()
    assert not mine.folder.exists()


def test_a_long_log_is_set_aside(valkey: Valkey) -> None:
    valkey.folder.mkdir()
    valkey.log.write_bytes(b"x" * (1 << 20) + b"\n")
    valkey.start()
    assert valkey.log.read_bytes()[:2] != b"xx"
    assert (valkey.folder / "server.log.1").stat().st_size == (1 << 20) + 1
