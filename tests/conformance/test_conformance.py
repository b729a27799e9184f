"""Our own server conforms to the transcripts, and what does not conform is told."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import jsonschema_rs
import pytest

from realtime.protocol.codec import Format
from realtime.settings import Settings
from realtime.specs import asyncapi
from tests.conformance import __main__ as command
from tests.conformance.checking import Checked, check, conforms, freezing, minting, table
from tests.conformance.player import Stage
from tests.conformance.transcript import FOLDER, Need, all_transcripts, parse
from tests.support.nodes import SECRET, RunningNode, serving
from tests.support.served import ServedNode, served

TRANSCRIPTS = {transcript.name: transcript for transcript in all_transcripts()}
ALONE = {"silence", "drain"}
LIMITED = {"limits", "slow"}
MINT = minting(SECRET)
AGORA = {"agora_app_id": "970CA35de60c44645bbae8a215061b33", "agora_certificate": "5CFd2fd1755d40ecb72977518be15d3b"}
HELLO = 'alice connects\nalice → {"type":"hello","id":1,"token":"<alice seller>"}\n'


class Schemas:
    """Holds all that a server says against its AsyncAPI document."""

    def __init__(self) -> None:
        document = asyncapi.document(Settings(), "0")
        self._of = {
            name: jsonschema_rs.Draft202012Validator({**message["payload"], "components": document["components"]})
            for name, message in document["components"]["messages"].items()
        }
        self.seen: set[str] = set()

    def validate(self, message: dict[str, Any]) -> None:
        """Let pass what the document describes."""
        kind = message["type"] if message["type"] != "signal" else f"signal.{message['kind']}"
        name = f"reply.{kind}" if "re" in message or f"push.{kind}" not in self._of else f"push.{kind}"
        self._of[name].validate(message)
        self.seen.add(name)


@pytest.fixture(scope="module")
def schemas() -> Schemas:
    return Schemas()


def stage_of(url: str, **more: Any) -> Stage:
    return Stage(url=url, mint=MINT, **more)


async def played(text: str, url: str) -> Checked:
    [one] = await check([parse("x", text)], [stage_of(url, within=2.0)])
    return one


async def test_our_server_conforms(migrated: str, redis_url: str, schemas: Schemas) -> None:
    transcripts = [transcript for name, transcript in TRANSCRIPTS.items() if name not in ALONE | LIMITED]
    needs = frozenset([Need.AGORA, Need.FREEZING, Need.PATIENCE])
    async with serving(migrated, redis_url, **AGORA) as node:
        freeze = freezing(node.http, MINT)
        stages = [
            stage_of(node.websocket, fmt=fmt, has=needs, freeze=freeze, listener=schemas.validate) for fmt in Format
        ]
        checked = await check(transcripts, stages)
    assert conforms(checked), table(checked)
    assert {verdict.outcome for one in checked for verdict in one.verdicts} == {"ok"}
    assert {
        "reply.joined",
        "reply.error",
        "push.event",
        "push.inbox",
        "push.removed",
        "push.agora.token",
    } <= schemas.seen


async def test_our_server_conforms_where_its_limits_are_reached(
    migrated: str, redis_url: str, schemas: Schemas
) -> None:
    async with serving(migrated, redis_url, rate_limits=True) as node:
        stage = stage_of(
            node.websocket, has=frozenset([Need.PATIENCE, Need.LIMITS]), listener=schemas.validate, within=20.0
        )
        checked = await check([TRANSCRIPTS[name] for name in sorted(LIMITED)], [stage])
    assert {verdict.outcome for one in checked for verdict in one.verdicts} == {"ok"}, table(checked)
    assert "push.skipped" in schemas.seen


async def test_our_server_conforms_in_silence_and_when_it_is_stopped(
    migrated: str, redis_url: str, schemas: Schemas
) -> None:
    hurried = {
        "STAGEWIRE_HELLO_TIMEOUT": "0.5",
        "STAGEWIRE_HEARTBEAT": "2",
        # Beyond the life of the shortest token.
        "STAGEWIRE_SILENCE": "4",
        "STAGEWIRE_JWT_LEEWAY": "0",
    }

    with served(migrated, redis_url, **hurried) as node:
        stage = stage_of(
            node.websocket,
            has=frozenset([Need.PATIENCE, Need.DRAIN]),
            drain=stopping(node),
            listener=schemas.validate,
        )
        checked = await check([TRANSCRIPTS[name] for name in sorted(ALONE)], [stage])
        assert node.process.wait(10) == 0
    assert {verdict.outcome for one in checked for verdict in one.verdicts} == {"ok"}, table(checked)


def stopping(node: ServedNode) -> Callable[[], Awaitable[None]]:
    async def stop() -> None:
        node.process.send_signal(signal.SIGTERM)

    return stop


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ('alice ← {"type":"welcome","re":2}', "re is 1 instead of 2"),
        ('alice ← {"type":"welcome","re":1,"user":"bob"}', "user is 'alice-"),
        ('alice ← {"type":"welcome","re":1,"colour":"red"}', "colour is missing"),
        ("alice ← close 4401", "instead of 4401"),
        (
            'alice ← {"type":"welcome","re":1}\nalice ← {"type":"drain"}',
            'does not hear {"type":"drain"} within 2 s',
        ),
        ('alice ← {"type":"welcome","re":1}\nalice → text []\nalice ← {"type":"ack"}', "a close with 4400"),
    ],
)
async def test_what_deviates_is_told(node: RunningNode, lines: str, why: str) -> None:
    one = await played(f"# X\n## A\n{HELLO}{lines}\n## B\nalice disconnects\n", node.websocket)
    first, second = one.verdicts
    assert first.outcome == "deviates"
    assert why in first.why
    assert second.outcome == "not reached"
    assert not conforms([one])
    assert f"deviates    A\n              {first.why}\n  not reached B" in table([one])
    assert table([one]).endswith("2 rows: 0 ok, 1 deviates, 1 not reached")


async def test_what_comes_many_times_comes_once_at_least_and_until_the_row_ends(node: RunningNode) -> None:
    wrong = 'alice → 3 times {"type":"pong","id":7,"loud":true}\n'
    told = 'alice ← many times {"type":"error","re":7}\n'
    ends = 'alice → {"type":"pong","id":8}\nalice ← {"type":"ack","re":8}\n'
    welcome = 'alice ← {"type":"welcome"}\n'
    for lines, outcome in (
        (wrong + told + ends, "ok"),
        (told, "deviates"),
        (wrong + told + "## B\n" + ends, "deviates"),
    ):
        one = await played(f"# X\n## A\n{HELLO}{welcome}{lines}", node.websocket)
        assert one.verdicts[-1].outcome == outcome, table([one])


async def test_a_server_that_does_not_freeze_deviates(node: RunningNode) -> None:
    transcript = parse("x", "# X\n## A\nneeds freezing\nalice connects\nthe server freezes alice\n")
    strangers = freezing(node.http, minting("another secret, as long as the one that the nodes know of"))
    stage = stage_of(node.websocket, has=frozenset([Need.FREEZING]), freeze=strangers)
    [one] = await check([transcript], [stage])
    assert one.verdicts[0].outcome == "deviates"
    assert "is answered with 401" in one.verdicts[0].why


async def test_what_a_server_has_not_is_skipped(node: RunningNode) -> None:
    [one] = await check([TRANSCRIPTS["agora"]], [stage_of(node.websocket)])
    assert {verdict.outcome for verdict in one.verdicts} == {"skipped"}
    assert one.verdicts[0].why == "needs agora"
    assert not conforms([one])


async def test_no_server_deviates() -> None:
    one = await played(f"# X\n## A\n{HELLO}", "ws://127.0.0.1:9/v1/ws")
    assert one.verdicts[0].outcome == "deviates"


async def test_the_command_tells_by_its_exit_code(node: RunningNode, tmp_path: Any) -> None:
    wrong = tmp_path / "wrong.txt"
    wrong.write_text(f"# X\n## A\n{HELLO}alice ← close 4401\n")
    for folder, code, counted in ((tmp_path, 1, "1 rows: 0 ok, 1 deviates"), (FOLDER, 0, " rows: ")):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.conformance", node.websocket, "--secret", SECRET),
            *("--format", "json", "--transcripts", str(folder), "--only", "wrong", "--only", "history"),
            stdout=subprocess.PIPE,
        )
        said, _ = await process.communicate()
        assert process.returncode == code, said.decode()
        assert counted in said.decode()


def test_the_command_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--help"])
    assert "autobahn" in capsys.readouterr().out
