"""The tutorial about live chat, done as it says: its site, its page, two users."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import copytree

import pytest
import requests
from playwright.sync_api import Browser, Locator, Page, expect

from tests.e2e.windows import find_browser
from tests.support.nodes import SECRET, token
from tests.support.processes import free_port, wait_until
from tests.support.servers import DevServer, dev_server
from tokens.access import AccessRole

ROOT = Path(__file__).parent.parent.parent
TUTORIAL = (ROOT / "docs/tutorials/live-chat.md").read_text("utf-8")


def block(language: str) -> str:
    [found] = re.findall(rf"```{language}\n(.*?)```", TUTORIAL, flags=re.DOTALL)
    return str(found)


@pytest.fixture(scope="module")
def port() -> int:
    find_browser()
    return free_port()


@pytest.fixture(scope="module")
def server(port: int) -> Iterator[DevServer]:
    with dev_server(STAGEWIRE_JWT_SECRET=SECRET, STAGEWIRE_ORIGINS=f"http://127.0.0.1:{port}") as running:
        yield running


@contextmanager
def site(folder: Path, server: DevServer, port: int) -> Iterator[str]:
    copytree(ROOT / "clients/js/src", folder / "site/stagewire")
    (folder / "site/index.html").write_text(block("html").replace("ws://127.0.0.1:8000/v1/ws", server.websocket))
    (folder / "site.py").write_text(block("python").replace("8080", str(port)))
    with subprocess.Popen(
        [sys.executable, "site.py"],
        cwd=folder,
        env={**os.environ, "STAGEWIRE_JWT_SECRET": SECRET},
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            wait_until(lambda: answers(port))
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def answers(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/", timeout=5).ok
    except requests.ConnectionError:
        return False


@contextmanager
def opened(browser: Browser, url: str) -> Iterator[Page]:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(url)
        yield page


def test_two_talk_and_what_is_written_offline_goes_out(
    browser: Browser, server: DevServer, port: int, tmp_path: Path
) -> None:
    seller = {"Authorization": f"Bearer {token('alice', AccessRole.SELLER)}"}
    created = requests.post(f"{server.url}/v1/sessions", json={"title": "Autumn coats"}, headers=seller, timeout=10)
    session = created.json()["id"]
    with (
        site(tmp_path, server, port) as url,
        opened(browser, f"{url}/?user=bob&session={session}") as bob,
        opened(browser, f"{url}/?user=carol&session={session}") as carol,
    ):
        say(bob, "Hello <b>carol</b>")
        expect(lines(carol)).to_have_text(["bob: Hello <b>carol</b>"])
        server.kill()
        say(bob, "Still there?")
        expect(lines(bob)).to_have_text(["bob: Hello <b>carol</b>", "… Still there?"])
        server.start()
        both = ["bob: Hello <b>carol</b>", "bob: Still there?"]
        for page in (bob, carol):
            expect(lines(page)).to_have_text(both, timeout=30_000)


def say(page: Page, text: str) -> None:
    page.get_by_label("Message").fill(text)
    page.get_by_role("button", name="Send").click()


def lines(page: Page) -> Locator:
    return page.locator("#chat li")
