"""What is published of the JavaScript client, as others install it: the README's program, for types and for Node."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import requests

from tests.support.node_packages import INSTALL_SECONDS, installed
from tests.support.nodes import token
from tests.support.served import served
from tokens.access import AccessRole

PACKAGE = Path(__file__).parents[2] / "clients" / "js"
README = (PACKAGE / "README.md").read_text("utf-8")
ADDRESS = "wss://live.example.com/v1/ws"
# What the page has that the program is for.
PAGE = """
import type { Audience, ChatMessage } from "@stagewire/client";
declare const sessionId: string;
declare function showBanner(message: string, retry: () => void): void;
declare function draw(message: ChatMessage): void;
declare function drawAudience(numbers: Audience["numbers"], present: string[] | null): void;
"""
NODE = """
import WebSocket from "ws";
Object.assign(globalThis, { WebSocket });
const fetch = async () => new Response(process.env.TOKEN);
const sessionId = process.env.SESSION;
const draw = ({ text }) => console.log(text);
const drawAudience = () => {};
"""
# What is stored is acknowledged, and its event may come a little later.
END = """
if (!show.messages.length) await new Promise((told) => show.on("chat", told));
live.close();
"""


def _ran(*command: str, cwd: Path, **environment: str) -> str:
    ran = subprocess.run(
        command, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a project that has the package as it would be published, and nothing else but what Node lacks."""
    package, folder = installed(PACKAGE), tmp_path_factory.mktemp("project")
    [packed] = json.loads(_ran("npm", "pack", "--json", "--pack-destination", str(folder), cwd=package))
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    quiet = ("--offline", "--no-audit", "--no-fund")
    _ran("npm", "install", *quiet, str(folder / packed["filename"]), cwd=folder)
    modules = folder / "node_modules"
    (modules / "@types").mkdir()
    for name in ("ws", "@types/node"):
        (modules / name).symlink_to(package / "node_modules" / name)
    return folder


@pytest.fixture(scope="module")
def program() -> str:
    """Give the README's program."""
    return str(re.findall(r"```js\n(.*?)```", README, flags=re.DOTALL)[0])


@pytest.mark.timeout(INSTALL_SECONDS + 120)
@pytest.mark.parametrize(("module", "resolution"), [("NodeNext", "NodeNext"), ("ESNext", "Bundler")])
def test_it_has_types(project: Path, program: str, module: str, resolution: str) -> None:
    (project / "example.ts").write_text(PAGE + program)
    options = {"strict": True, "noEmit": True, "target": "ES2022", "module": module, "moduleResolution": resolution}
    config = {"compilerOptions": {**options, "lib": ["ES2022", "DOM"], "types": []}, "files": ["example.ts"]}
    (project / "tsconfig.json").write_text(json.dumps(config))
    _ran(str(PACKAGE / "node_modules/.bin/tsc"), "--project", ".", cwd=project)


@pytest.mark.timeout(INSTALL_SECONDS + 120)
def test_it_runs_in_node(project: Path, program: str, migrated: str, redis_url: str) -> None:
    seller = token("anna", AccessRole.SELLER)
    with served(migrated, redis_url) as node:
        headers = {"Authorization": f"Bearer {seller}"}
        created = requests.post(f"{node.http}/v1/sessions", json={"title": "A show"}, headers=headers, timeout=10)
        (project / "example.js").write_text(NODE + program.replace(ADDRESS, node.websocket) + END)
        said = _ran("node", "example.js", cwd=project, TOKEN=seller, SESSION=created.json()["id"])
    assert {"connecting", "online", "acked", "hi"} <= set(said.split())
