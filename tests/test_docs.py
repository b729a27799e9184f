"""The pages say what the code does: each statement here that a program can check is checked."""

import asyncio
import json
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect

from realtime import reference
from realtime.environment import TOKEN, name_of
from realtime.http.table import ENDPOINTS
from realtime.protocol import commands
from realtime.protocol.codes import HTTP_STATUS, Close
from realtime.protocol.events import Kind, Push
from realtime.protocol.replies import Reply
from realtime.settings import Settings
from tests.support.nodes import RunningNode, serving, token
from tokens.access import AccessRole

ROOT = Path(__file__).parent.parent
PROTOCOL = (ROOT / "docs/protocol.md").read_text("utf-8")
OPERATIONS = (ROOT / "docs/operations.md").read_text("utf-8")
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("clients/*/README.md")])
PROMETHEUS = ROOT / "deploy/prometheus"
COMMANDS = {str(c.__struct_config__.tag): c for c in commands.AnyCommand.__args__}

needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")


def section(page: str, heading: str) -> str:
    """Give what stands below a heading, up to the next one of its kind."""
    level = heading.partition(" ")[0]
    return page.split(f"\n{heading}\n", 1)[1].split(f"\n{level} ", 1)[0]


def test_the_tables_of_operations_are_what_the_code_says(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(OPERATIONS, "utf-8")
    reference.main([str(page)])
    assert page.read_text("utf-8") == OPERATIONS, "run: python -m realtime.reference docs/operations.md"


def test_the_access_matrix_of_the_protocol_is_what_the_code_says() -> None:
    assert reference.fill(PROTOCOL) == PROTOCOL, "run: python -m realtime.reference docs/protocol.md"
    assert "| `session.end` | yes |  |  |  | scheduled, live, paused, interrupted |  |" in PROTOCOL


def test_the_tables_hold_every_setting_and_every_metric() -> None:
    settings, metrics = reference.settings_table(), reference.metrics_table()
    assert settings.count("\n") == 2 + len(Settings.__struct_fields__)
    for row in (
        r"| `STAGEWIRE_LOG_FORMAT` | `json` or `console`. | `json` or `console` | `json` |",
        r"| `STAGEWIRE_PORT` | The WebSocket port. 0 takes a free one. | 0 to 65,535 | `8000` |",
        r"| `STAGEWIRE_JWT_LEEWAY` | Seconds that clocks may differ. | 0 to 300 | `5` |",
    ):
        assert row in settings.splitlines()
    assert "| `stagewire_joins_total` | counter | `source` |" in metrics
    assert "| `stagewire_connections` | gauge | `format` |" in metrics


def links() -> Iterator[tuple[Path, str]]:
    for page in PAGES:
        text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if not re.match(r"[a-z]+://", target):
                yield page, target


@pytest.mark.parametrize(("page", "target"), [pytest.param(p, t, id=f"{p.name}:{t}") for p, t in links()])
def test_links_lead_somewhere(page: Path, target: str) -> None:
    path, _, anchor = target.partition("#")
    found = page.parent / unquote(path) if path else page
    assert found.exists()
    if anchor:
        assert anchor in {slug(h) for h in re.findall(r"^#+ (.+)$", found.read_text("utf-8"), flags=re.MULTILINE)}


def slug(heading: str) -> str:
    """Give a heading's anchor, as code hosts make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_described_with_all_its_fields(name: str) -> None:
    described = {"hello": "## Hello, and access tokens", "join": "## Joining and resuming"}
    where = described.get(name) or next(h for h in PROTOCOL.splitlines() if h.startswith("### ") and f"`{name}`" in h)
    text = section(PROTOCOL, where)
    for field in msgspec.structs.fields(COMMANDS[name]):
        assert field.name == "id" or f"`{field.name}`" in text


@pytest.mark.parametrize("message", [*Reply.__subclasses__(), *Push.__subclasses__()], ids=lambda m: m.__name__)
def test_every_message_of_the_server_is_described_with_all_its_fields(message: type[msgspec.Struct]) -> None:
    assert f"`{message.__struct_config__.tag}`" in PROTOCOL
    assert [f.name for f in msgspec.structs.fields(message) if f"`{f.name}`" not in PROTOCOL] == []


def test_every_code_is_described() -> None:
    errors, closes = section(PROTOCOL, "## Errors"), section(PROTOCOL, "## Closes")
    for code, status in HTTP_STATUS.items():
        assert f"| `{code}` | {status} |" in errors
    for close in Close:
        assert re.search(rf"^\|.*\b{int(close)}\b", closes, re.MULTILINE)
    for kind in Kind:
        assert f"`{kind}`" in PROTOCOL


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda e: f"{e.method} {e.path}")
def test_every_endpoint_is_described(endpoint: Any) -> None:
    text = section(PROTOCOL, "## The HTTP side API")
    # Four of them share a row.
    alone, _, last = endpoint.path.rpartition("/")
    assert f"`{endpoint.method} {endpoint.path}" in text or (alone in text and f"`/{last}`" in text)


def test_every_log_message_is_described() -> None:
    sources = [p for folder in ("realtime", "persistence", "tokens") for p in (ROOT / folder).rglob("*.py")]
    found = {
        message
        for source in sources
        for message in re.findall(r"log\.(?:info|warning|error|exception)\(\s*\"([^\"]+)\"", source.read_text("utf-8"))
    }
    assert "append failed" in found
    assert sorted(message for message in found if f"`{message}`" not in section(OPERATIONS, "## Logs")) == []


def test_the_code_map_has_every_module() -> None:
    code = section((ROOT / "docs/architecture.md").read_text("utf-8"), "## The code")
    listed = set(re.findall(r"`([\w/]+\.py)`", code))
    modules = {
        module.relative_to(ROOT / folder).as_posix()
        for folder in ("realtime", "persistence", "tokens", "clients/python/stagewire_client")
        for module in (ROOT / folder).rglob("*.py")
    }
    # What a package's own file says is said in the lines of its modules.
    assert {module for module in modules - listed if not module.endswith("__init__.py")} == set()
    assert listed - modules == set()


def test_every_setting_that_a_page_or_a_container_names_exists() -> None:
    known = {name_of(field) for field in Settings.__struct_fields__} | {TOKEN}
    for path in [*PAGES, ROOT / "Dockerfile", *ROOT.glob("deploy/**/*.y*ml")]:
        named = set(re.findall(r"\bSTAGEWIRE_[A-Z_]*[A-Z]\b", path.read_text("utf-8")))
        assert named <= known, path


def test_the_alerts_use_metrics_that_exist() -> None:
    alerts = (PROMETHEUS / "alerts.yml").read_text("utf-8")
    exposed = set(re.findall(r"^\| `(\w+)` \| (\w+)", reference.metrics_table(), re.MULTILINE))
    known = {
        name + suffix
        for name, kind in exposed
        for suffix in (("_bucket", "_count", "_sum") if kind == "histogram" else ("",))
    }
    used = set(re.findall(r"\bstagewire_\w+", alerts))
    assert used
    assert used <= known


@needs_promtool
@pytest.mark.parametrize(
    "check", ["check config prometheus.yml", "check rules alerts.yml", "test rules alerts_test.yml"]
)
def test_prometheus_takes_its_files(check: str) -> None:
    done = subprocess.run(["promtool", *check.split()], cwd=PROMETHEUS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_test() -> None:
    alerts = re.findall(r"alert: (\w+)", (PROMETHEUS / "alerts.yml").read_text("utf-8"))
    tested = (PROMETHEUS / "alerts_test.yml").read_text("utf-8")
    assert [alert for alert in alerts if f'"{alert}"' not in tested] == []


@pytest.fixture
async def node(migrated: str, redis_url: str) -> AsyncIterator[RunningNode]:
    """Run a node as `make dev` does, but for the ports."""
    async with serving(migrated, redis_url) as running:
        yield running


async def test_the_first_conversation_of_the_readme_runs(node: RunningNode) -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    script = re.findall(r"```python\n(.*?)```", readme, flags=re.DOTALL)[0]
    script = script.replace("ws://127.0.0.1:8000/v1/ws", node.websocket).replace("http://127.0.0.1:8001", node.http)
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    printed, complaints = await running.communicate()
    assert running.returncode == 0, complaints.decode()
    assert "'type': 'history'" in printed.decode()
    assert "pushed:" in printed.decode()


async def test_the_conversation_of_the_protocol_plays_again(node: RunningNode) -> None:
    lines = re.findall(r"^([→←]) (\{.*\})$", section(PROTOCOL, "## A conversation"), flags=re.MULTILINE)
    assert len(lines) > 30
    await Replay(lines, node).run()


class Replay:
    """Says a transcript's `→` lines to a server, and expects what looks like its `←` lines.

    What a server chooses anew each time is taken over from the first line that shows it.
    """

    def __init__(self, lines: list[tuple[str, str]], node: RunningNode) -> None:
        self._lines = lines
        self._node = node
        self._now_called: dict[str, str] = {}

    async def run(self) -> None:
        text = "".join(line for _, line in self._lines)
        [session] = set(re.findall(r'"session":"([0-9a-f-]{36})"', text))
        self._now_called = {session: await self._node.session("alice", live=False)}
        async with connect(self._node.websocket) as socket:
            await self._play(socket)

    async def _play(self, socket: ClientConnection) -> None:
        expected: list[Any] = []
        for arrow, line in [*self._lines, ("→", "")]:
            if arrow == "←":
                expected.append(json.loads(line))
                continue
            while expected:
                self._tick_off(expected, json.loads(await asyncio.wait_for(socket.recv(), 5)))
            if line:
                await socket.send(self._translated(line))

    def _translated(self, line: str) -> str:
        for then, now in self._now_called.items():
            line = line.replace(then, now)
        return line.replace("eyJhbGci…", token("alice", AccessRole.SELLER))

    def _tick_off(self, expected: list[Any], received: Any) -> None:
        alike = next((one for one in expected if shape(one) == shape(received)), None)
        # These come when they come.
        assert alike is not None or received["type"] in ("signal", "ping", "quality"), (received, expected)
        if alike is not None:
            expected.remove(alike)
            if alike["type"] == "joined":
                self._now_called[alike["position"]["epoch"]] = received["position"]["epoch"]


CHANGES_EACH_TIME = frozenset(
    [
        "now",
        "at",
        "expires_at",
        "created_at",
        "since",
        "ms",
        "media_ms",
        "ends_at",
        "started_at",
        "ended_at",
        "connection",
        "session",
        "id",
        "epoch",
        "title",
    ]
)


def shape(message: Any) -> Any:
    """Give a message without what may differ each time; the names of its fields stay."""
    if isinstance(message, list):
        return [shape(item) for item in message]
    if not isinstance(message, dict):
        return message
    return {
        name: shape(value) if isinstance(value, dict) or name not in CHANGES_EACH_TIME else ...
        for name, value in message.items()
    }
