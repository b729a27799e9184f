from pathlib import Path

import msgspec
import pytest

from bench import peers
from bench.dialects import DIALECTS
from bench.peers import PEERS, LeftOut

NODE = ("ws", "socket.io")


def test_everybody_speaks_something_and_says_how_it_is_set() -> None:
    for peer in (peers.FLOOR, *PEERS.values()):
        assert peer.dialect in DIALECTS
        assert peer.settings


def test_what_is_written_in_python_is_run_as_a_module(tmp_path: Path) -> None:
    prepared = PEERS["websockets"].prepare(tmp_path)
    assert prepared.version.startswith("websockets ")
    assert prepared.command(9, tmp_path)[1:] == ["-m", "bench.peers.websockets_room", "9"]


@pytest.mark.parametrize(("name", "program"), [*((name, "node") for name in NODE), ("centrifugo", "centrifugo")])
def test_who_is_not_there_is_left_out(name: str, program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LeftOut, match=f"{program} is not on the PATH"):
        PEERS[name].prepare(tmp_path)


def test_what_cannot_be_installed_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, script in (("node", "exit 0"), ("npm", "exit 1")):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(LeftOut, match=r"`npm ci .*` failed"):
        PEERS["ws"].prepare(tmp_path / "cache")
    # Nothing that the next run would take for the whole.
    assert not list((tmp_path / "cache").iterdir())


def test_what_is_installed_is_not_installed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    npm = tmp_path / "npm"
    npm.write_text(
        '#!/bin/sh\nmkdir -p node_modules/ws && echo \'{"version": "8.0"}\' > node_modules/ws/package.json\n'
        f"echo installed >> {tmp_path}/log\n"
    )
    node = tmp_path / "node"
    node.write_text("#!/bin/sh\necho v99\n")
    for program in (npm, node):
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    first, prepared = (PEERS["ws"].prepare(tmp_path / "cache") for _ in range(2))
    assert first.version == prepared.version == "ws 8.0, Node v99"
    node_path, script, port = prepared.command(9, tmp_path)
    assert (node_path, port) == ("node", "9")
    assert Path(script).read_text().startswith("// A chat room on ws")
    assert (tmp_path / "log").read_text() == "installed\n"


def test_the_lock_file_names_no_registry() -> None:
    lock = msgspec.json.decode((Path(peers.__file__).parent / "package-lock.json").read_bytes())
    packages = [package for path, package in lock["packages"].items() if path]
    assert {"ws", "socket.io"} <= {path.rpartition("/")[2] for path in lock["packages"]}
    assert all("resolved" not in package and "integrity" in package for package in packages)


def test_centrifugo_gets_a_file_with_its_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "centrifugo"
    program.write_text("#!/bin/sh\necho Centrifugo v6.0.0\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    prepared = PEERS["centrifugo"].prepare(tmp_path / "cache")
    assert prepared.version == "Centrifugo v6.0.0"
    _, _, path = prepared.command(9, tmp_path)
    settings = msgspec.json.decode(Path(path).read_bytes())
    assert settings == peers.centrifugo_settings(9)
    assert settings["http_server"] == {"address": "127.0.0.1", "port": 9}
    assert settings["channel"]["without_namespace"]["allow_publish_for_client"] is True


def test_the_cache_is_the_users_unless_another_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert peers.cache_folder("") == Path("/caches/stagewire-bench")
    assert peers.cache_folder("/elsewhere") == Path("/elsewhere")
