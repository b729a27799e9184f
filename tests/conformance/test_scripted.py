"""Both ways agree: the scripted server satisfies the player, and the player the scripted server."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from realtime.protocol.codec import Format
from stagewire_client import Event, Session, Stagewire, State
from tests.conformance.__main__ import main
from tests.conformance.checking import Checked, conforms, minting, table
from tests.conformance.player import Player, Stage, Verdict
from tests.conformance.scripted import Scripted, serves
from tests.conformance.transcript import (
    CLIENTS,
    Away,
    Drain,
    Freeze,
    Need,
    Transcript,
    Wait,
    all_transcripts,
    parse,
)
from tests.support.node_packages import INSTALL_SECONDS, installed
from tests.support.nodes import SECRET

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
TRANSCRIPTS = {one.name: one for one in [*all_transcripts(), *all_transcripts(CLIENTS)]}
SESSION = "01a2005f-d154-73d5-9c84-369facddab2d"
NOW = 1_800_000_000_000
HEAD = '# X\n## A\nalice connects\nalice → {"type":"hello","id":1}\nalice ← {"type":"welcome","re":1}\n'
JOINED = 'alice ← {"type":"joined","session":{"id":"S"},"position":{"seq":2},"events":[],"complete":true}\n'


def hurried(transcript: Transcript) -> Transcript:
    """Give it without the times in which nothing happens, and without what is done to a server alone."""
    return transcript._replace(
        rows=[
            row._replace(steps=[step for step in row.steps if not isinstance(step, Wait | Away | Drain | Freeze)])
            for row in transcript.rows
        ]
    )


async def met(told: Transcript, played: Transcript, fmt: Format = Format.JSON) -> tuple[list[Verdict], list[Verdict]]:
    """Give the player's verdicts on a server that says what is told, and those of that server."""
    scripted = Scripted(told, NOW, within=2.0)
    async with scripted.serving() as port:
        url = f"ws://127.0.0.1:{port}/v1/ws"
        stage = Stage(url, minting(SECRET), fmt, within=2.0, has=frozenset(Need))
        player = Player(played, stage, "")

        async def serve() -> list[Verdict]:
            return [verdict async for verdict in scripted.play()]

        serving = asyncio.create_task(serve())
        verdicts = [verdict async for verdict in player.play()]
        return verdicts, await serving


@pytest.mark.parametrize("fmt", Format, ids=lambda fmt: fmt.name)
# The player takes what is missing for a deviation, which a client fetches.
@pytest.mark.parametrize("name", [one.name for one in TRANSCRIPTS.values() if serves(one) and one.name != "following"])
async def test_they_agree(name: str, fmt: Format) -> None:
    transcript = hurried(TRANSCRIPTS[name])
    for verdicts in await met(transcript, transcript, fmt):
        assert [(verdict.outcome, verdict.why) for verdict in verdicts] == [("ok", "")] * len(transcript.rows)


async def deviation(lines: str) -> str:
    transcript = parse("x", f"{HEAD}{lines}")
    (verdict,), _ = await met(transcript, transcript)
    return verdict.why


@pytest.mark.parametrize(
    ("seqs", "why"), [([3, 4], ""), ([4], "event 4 after 2"), ([3, 3], "event 3 after 3"), ([3, 2], "event 2 after 3")]
)
async def test_events_out_of_order_deviate(seqs: list[int], why: str) -> None:
    events = "".join(f'alice ← {{"type":"event","session":"S","seq":{seq}}}\n' for seq in seqs)
    assert why in await deviation(JOINED + events)
    assert bool(why) == bool(await deviation(JOINED + events))


async def test_what_is_no_message_deviates() -> None:
    async def babble(socket: ServerConnection) -> None:
        await socket.send("hello yourself")
        await socket.wait_closed()

    async with serve(babble, "127.0.0.1", 0, subprotocols=[Subprotocol(Format.JSON)]) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        player = Player(parse("x", HEAD), Stage(url, minting(SECRET)), "")
        [verdict] = [verdict async for verdict in player.play()]
    assert verdict.why.startswith("alice hears what is no message")


async def test_what_was_skipped_is_no_hole() -> None:
    skipped = 'alice ← {"type":"skipped","session":"S","skipped":3,"first":3,"last":5}\n'
    assert await deviation(f'{JOINED}{skipped}alice ← {{"type":"event","session":"S","seq":6}}\n') == ""


async def first(scripted: Scripted) -> Verdict:
    return await anext(scripted.play())


async def test_a_client_that_says_something_else_deviates() -> None:
    told, said = (parse("x", f'{HEAD}alice → {{"type":"leave","session":"{one}"}}\n') for one in "ST")
    _, (verdict,) = await met(told, said)
    assert verdict.why == 'alice says {"type":"leave","session":"T"}: session is to be \'S\''


async def test_a_client_that_says_nothing_deviates() -> None:
    told, said = parse("x", f'{HEAD}alice → {{"type":"pong"}}\n## B\nalice disconnects\n'), parse("x", HEAD)
    _, verdicts = await met(told, said)
    assert [verdict.outcome for verdict in verdicts] == ["deviates", "not reached"]
    assert "within 2 s" in verdicts[0].why or "1000" in verdicts[0].why


async def test_a_client_may_choose_ids_and_keys_and_answers_pings_when_it_likes() -> None:
    transcript = parse(
        "x",
        '# X\n## A\nbob connects\nbob → {"type":"chat.send","id":4,"key":"K","text":"Hi"}\n'
        'bob ← {"type":"ack","re":4,"key":"K","at":1700000000000}\n',
    )
    scripted = Scripted(transcript, NOW, only="bob")
    async with scripted.serving() as port, connect(f"ws://127.0.0.1:{port}/v1/ws") as socket:
        serving = asyncio.create_task(first(scripted))
        for said in ({"type": "pong"}, {"type": "chat.send", "id": 77, "key": "L", "text": "Hi", "sent_at": 5}):
            await socket.send(msgspec.json.encode(said).decode())
        assert msgspec.json.decode(await socket.recv()) == {"type": "ack", "re": 77, "key": "L", "at": NOW}
        assert (await serving).outcome == "ok"


async def test_a_client_that_comes_back_too_soon_deviates() -> None:
    told = parse("x", f"{HEAD}alice ← close 4403\n## B\nalice stays away 2 s\n")
    said = parse("x", f"{HEAD}alice ← close 4403\n## B\nalice/2 connects\n")
    _, verdicts = await met(told, said)
    assert [(verdict.outcome, verdict.why) for verdict in verdicts] == [("ok", ""), ("deviates", "the client connects")]


async def test_a_client_that_makes_another_key_deviates() -> None:
    lines = "".join(f'alice → {{"type":"chat.send","id":{n},"key":"K","text":"Hi"}}\n' for n in (2, 3))
    told = parse("x", HEAD + lines)
    said = parse("x", HEAD + lines.replace('"id":3,"key":"K"', '"id":3,"key":"L"'))
    _, (verdict,) = await met(told, said)
    assert verdict.why.endswith("another key than before")


async def test_history_is_answered_from_what_was_told() -> None:
    events = "".join(f'alice ← {{"type":"event","session":"S","seq":{seq}}}\n' for seq in (3, 4, 5))
    told = parse("x", f'{HEAD}{JOINED}{events}alice → {{"type":"leave"}}\n')
    asked = 'alice → {"type":"history","id":2,"session":"S","limit":2%s}\n'
    given = 'alice ← {"type":"history","re":2,"events":%s,"more":%s}\n'
    pages = [
        ("", "45", "true"),
        (',"before":4', "3", "false"),
        (',"after":3', "45", "false"),
        (',"after":2', "34", "true"),
    ]
    lines = "".join(asked % where + given % (page(*map(int, seqs)), more) for where, seqs, more in pages)
    said = parse("x", f'{HEAD}{JOINED}{events}{lines}alice → {{"type":"leave"}}\n')
    for verdicts in await met(told, said):
        assert [(verdict.outcome, verdict.why) for verdict in verdicts] == [("ok", "")]


def page(*seqs: int) -> str:
    return msgspec.json.encode([{"type": "event", "seq": seq} for seq in seqs]).decode()


async def test_the_command_serves_no_slow_reader(capsys: pytest.CaptureFixture[str]) -> None:
    served = await asyncio.to_thread(main, ["serve", "--only", "slow"])
    assert served == 1
    assert "recovery" in capsys.readouterr().err


async def test_the_command_serves() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-u", "-m", "tests.conformance", "serve", "--only", "history"), stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    url = (await process.stdout.readline()).decode().split()[-1]
    player = Player(TRANSCRIPTS["history"], Stage(url, minting(SECRET)), "")
    verdicts = [verdict async for verdict in player.play()]
    assert {verdict.outcome for verdict in verdicts} == {"ok"}
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    assert b"8 rows: 8 ok, 0 deviates" in said


# With which code the clients end, and what they show then.
ENDS = {
    "recovery": (4403, ["Here we are again"]),
    "following": (
        4499,
        [
            # What was deleted has no text, and keeps its place.
            *("Hello", "Say that again?", "Again", "6", "", "Eight", "Again", "Say that again?", "Again"),
            *("Left out 12", "Left out 13", "Left out 14", "Fifteen", "Say that again?", "Again"),
        ],
    ),
}


@pytest.mark.timeout(INSTALL_SECONDS + 60)
@pytest.mark.parametrize("name", ENDS)
async def test_the_javascript_client_comes_back(name: str) -> None:
    code, shown = ENDS[name]
    folder = installed(HERE / "javascript")
    async with scripted(name) as (url, verdicts):
        process = await asyncio.create_subprocess_exec(
            *("node", "recover.mjs", str(ROOT / "clients/js/src/index.js"), url, SESSION),
            cwd=folder,
            stdout=subprocess.PIPE,
        )
        checked = await verdicts()
        if not conforms(checked):
            process.kill()
        said, _ = await process.communicate()
    assert conforms(checked), table(checked)
    assert msgspec.json.decode(said) == {"code": code, "shown": shown}


@pytest.mark.parametrize("name", ENDS)
async def test_the_python_client_comes_back(name: str) -> None:
    code, shown = ENDS[name]
    async with scripted(name) as (url, verdicts):
        bob = asyncio.create_task(recover(url))
        checked = await verdicts()
        if not conforms(checked):
            bob.cancel()
        assert conforms(checked), table(checked)
        assert await bob == (code, shown)


async def recover(url: str) -> tuple[int | None, list[str]]:
    """Do what bob's client does; give with which code it has failed for good, and what it shows then."""

    async def token(_: bool) -> str:
        return "whatever"

    async def repeat(show: Session) -> None:
        async for event in show:
            if isinstance(event, Event) and event.body.get("text") == "Say that again?":
                show.send("Again")

    async with Stagewire(url, token=token) as live:
        show = await live.join(SESSION)
        show.send("Hello")
        repeating = asyncio.create_task(repeat(show))
        async for status in live.statuses():
            if status.state == State.FAILED:
                break
        repeating.cancel()
        return status.close_code, [message.text for message in show.messages()]


@asynccontextmanager
async def scripted(name: str) -> AsyncIterator[tuple[str, Callable[[], Awaitable[list[Checked]]]]]:
    """Give the URL of a server that plays a transcript, and what waits for its verdicts."""
    transcript = TRANSCRIPTS[name]
    server = Scripted(transcript, time.time_ns() // 1_000_000, within=20.0)

    async def verdicts() -> list[Checked]:
        return [Checked(transcript, Format.JSON, [verdict async for verdict in server.play()])]

    async with server.serving() as port:
        yield f"ws://127.0.0.1:{port}/v1/ws", verdicts
