from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.e2e.windows import Windows, find_browser, launched
from tests.support.servers import DevServer, dev_server


# Of one module each: see `launched`.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as running:
        yield running


@pytest.fixture(scope="module")
def server() -> Iterator[DevServer]:
    """Run a server whose heart beats fast enough to see what depends on it, and not too fast for a busy machine."""
    find_browser()
    with dev_server(STAGEWIRE_HEARTBEAT="1") as running:
        yield running


@pytest.fixture
def windows(server: DevServer, browser: Browser) -> Iterator[Windows]:
    opened = Windows(browser, server.url)
    yield opened
    opened.close()
