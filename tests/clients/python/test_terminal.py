"""`stagewire chat` as a process, on a pipe, at a real server."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from stagewire_client.terminal import default_folder, typed
from tests.support.nodes import SECRET, RunningNode, serving, token
from tests.support.processes import bare_environment, free_port

SENT_WITHIN = 20.0


class Chat:
    """A process that somebody types into."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.shown: list[str] = []

    def type(self, *lines: str) -> None:
        """Type lines."""
        assert self.process.stdin is not None
        self.process.stdin.write("".join(f"{line}\n" for line in lines).encode())

    async def until(self, words: str) -> str:
        """Wait for a line with these words."""
        assert self.process.stdout is not None
        async with asyncio.timeout(SENT_WITHIN):
            while line := (await self.process.stdout.readline()).decode():
                self.shown.append(line.rstrip("\n"))
                if words in line:
                    return line
        raise AssertionError(f"{words!r} is not among {self.shown}")

    async def end(self) -> tuple[int, str]:
        """Wait for its end, and give its exit code and its last words."""
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        async with asyncio.timeout(SENT_WITHIN):
            self.shown.extend((await self.process.stdout.read()).decode().splitlines())
            words = (await self.process.stderr.read()).decode()
            return await self.process.wait(), words


@asynccontextmanager
async def chatting(
    url: str, session: str, folder: Path, user: str = "alice", *more: str, **environment: str
) -> AsyncIterator[Chat]:
    """Run `stagewire chat`, with more arguments and variables."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "realtime", "chat", session, "--url", url, "--user", user),
        *("--outbox", str(folder), *more),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={
            **bare_environment(),
            "STAGEWIRE_JWT_SECRET": SECRET,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "TZ": "UTC",
            **environment,
        },
    )
    try:
        yield Chat(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        process._transport.close()  # type: ignore[attr-defined] # of what it has left in its pipes


@pytest.fixture
async def node(migrated: str, redis_url: str) -> AsyncIterator[RunningNode]:
    async with serving(migrated, redis_url) as running:
        yield running


async def test_a_token_need_not_stand_on_the_command_line(node: RunningNode, tmp_path: Path) -> None:
    session = await node.session()
    carols = {"STAGEWIRE_TOKEN": token("carol")}
    async with chatting(node.websocket, session, tmp_path, **carols) as chat:
        chat.type("It is me")
        await chat.until(" carol: It is me")
    async with chatting(node.websocket, session, tmp_path, "alice", "--token", token("dave"), **carols) as chat:
        chat.type("And me")
        await chat.until(" dave: And me")


async def test_two_terminals_talk(node: RunningNode, tmp_path: Path) -> None:
    session = await node.session()
    async with chatting(node.websocket, session, tmp_path) as alice:
        await alice.until("A show, by host: live")
        assert len(alice.shown) == 1
        alice.type("Hello there")
        await alice.until(" alice: Hello there")
        alice.type("/nonsense", "", "//quit is a word")
        await alice.until("There is no /nonsense")
        await alice.until(" alice: /quit is a word")
        async with chatting(node.websocket, session, tmp_path, "bob") as bob:
            await bob.until(" alice: Hello there")
            await alice.until("bob came.")
            bob.type("Hi, Alice", "/who")
            await alice.until(" bob: Hi, Alice")
            await bob.until("alice, bob")
            bob.type("/quit")
            assert await bob.end() == (0, "")
        alice.type("/quit")
        assert await alice.end() == (0, "")


async def test_what_comes_from_a_pipe_is_all_sent_before_the_end(node: RunningNode, tmp_path: Path) -> None:
    session = await node.session()
    async with chatting(node.websocket, session, tmp_path) as chat:
        # More than wait at a time.
        chat.type(*(f"line {number}" for number in range(150)), "x" * 1001)
        assert chat.process.stdin is not None
        chat.process.stdin.write(b"the end has no end")
        chat.process.stdin.close()
        assert await chat.end() == (0, "")
    assert any(line.startswith("-- Not sent") and line.endswith("x" * 1001) for line in chat.shown)
    async with node.client("bob") as reader:
        await reader.join(session)
        page = await reader.ask("history", session=session, limit=200)
    texts = [event["body"]["text"] for event in page["events"] if event["kind"] == "chat.posted"]
    assert texts == [*(f"line {number}" for number in range(150)), "the end has no end"]


async def test_it_ends_when_nobody_reads_it_any_more(node: RunningNode, tmp_path: Path) -> None:
    session = await node.session()
    async with chatting(node.websocket, session, tmp_path) as chat:
        await chat.until("A show, by host")
        transport = chat.process._transport.get_pipe_transport(1)  # type: ignore[attr-defined] # nothing public closes it
        transport.close()
        chat.type("Is anybody there?")
        async with asyncio.timeout(SENT_WITHIN):
            assert await chat.process.wait() == 0
        assert chat.process.stderr is not None
        assert await chat.process.stderr.read() == b""


async def test_it_survives_a_restart_of_the_server(migrated: str, redis_url: str, tmp_path: Path) -> None:
    ports = {"port": free_port(), "http_port": free_port()}
    async with serving(migrated, redis_url, **ports) as node:
        session = await node.session()
        chat = await (chats := chatting(node.websocket, session, tmp_path)).__aenter__()
        await chat.until("A show, by host")
    try:
        await chat.until("Trying again in")
        chat.type("Is anybody there?")
        async with serving(migrated, redis_url, **ports):
            await chat.until("Connected again.")
            await chat.until(" alice: Is anybody there?")
            chat.type("/quit")
            assert await chat.end() == (0, "")
    finally:
        await chats.__aexit__(None, None, None)


async def test_what_is_left_at_the_end_is_sent_by_the_next_one(migrated: str, redis_url: str, tmp_path: Path) -> None:
    ports = {"port": free_port(), "http_port": free_port()}
    async with serving(migrated, redis_url, **ports) as node:
        session, url = await node.session(), node.websocket
        chats = chatting(url, session, tmp_path)
        chat = await chats.__aenter__()
        await chat.until("A show, by host")
    await chat.until("Trying again in")
    chat.type("Remember this", "And this", "/quit")
    await chat.until("2 not sent yet")
    assert await chat.end() == (0, "")
    await chats.__aexit__(None, None, None)
    assert kept_in(tmp_path) == 2
    async with serving(migrated, redis_url, **ports), chatting(url, session, tmp_path) as again:
        await again.until(" alice: Remember this")
        await again.until(" alice: And this")
        again.type("/quit")
        assert await again.end() == (0, "")
    assert kept_in(tmp_path) == 0


def kept_in(folder: Path) -> int:
    return len(list(folder.rglob("*.json")))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--token", "nonsense"], "The server did not accept the access token."),
        (["--user", "not a user"], "a user is 1 to 64"),
    ],
)
async def test_what_cannot_work_is_said(node: RunningNode, tmp_path: Path, arguments: list[str], words: str) -> None:
    session = await node.session()
    async with chatting(node.websocket, session, tmp_path, "alice", *arguments) as chat:
        code, said = await chat.end()
    assert code == 1
    assert words in said


async def test_a_session_that_does_not_exist_is_said(node: RunningNode, tmp_path: Path) -> None:
    async with chatting(node.websocket, "01932c07-3a6e-7cc0-8000-000000000001", tmp_path) as chat:
        assert await chat.end() == (1, "stagewire: no such session\n")


def test_what_is_kept_lies_where_programs_keep_their_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "stagewire"
    monkeypatch.setenv("XDG_STATE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_folder() == tmp_path / ".local/state/stagewire"


async def lines_of(descriptor: int) -> list[str]:
    async with asyncio.timeout(5):
        return [line async for line in typed(descriptor)]


async def test_a_descriptor_that_does_not_block_is_waited_for() -> None:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    lines = asyncio.create_task(lines_of(reading))
    await asyncio.sleep(0.05)
    os.write(writing, b"one\r\ntw")
    await asyncio.sleep(0.05)
    os.write(writing, b"o\nthree")
    os.close(writing)
    assert await lines == ["one", "two", "three"]
    os.close(reading)


async def test_a_terminal_that_is_gone_is_the_end(tmp_path: Path) -> None:
    folder = os.open(tmp_path, os.O_RDONLY)
    assert await lines_of(folder) == []
    os.close(folder)


async def test_a_line_without_an_end_is_cut(tmp_path: Path) -> None:
    (tmp_path / "long").write_bytes(b"x" * 200_000)
    file = os.open(tmp_path / "long", os.O_RDONLY)
    lines = await lines_of(file)
    assert max(map(len, lines)) <= 2 * 65_536
    assert sum(map(len, lines)) == 200_000
    os.close(file)
