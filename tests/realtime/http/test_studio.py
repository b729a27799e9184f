from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from realtime.environment import SettingsError, load
from realtime.http import site
from realtime.http.site import Studio
from realtime.settings import Settings

FOLDER = Path(site.__file__).with_name("studio")
CLIENT = Path(__file__).parents[3] / "clients/js/src"
SERVED = sorted(
    [f"/studio/{file.relative_to(FOLDER)}" for file in FOLDER.rglob("*.*") if file.suffix not in (".json", ".html")]
    + [f"/sdk/{file.name}" for file in CLIENT.glob("*.js")]
)


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = Starlette(routes=Studio(Settings(dev=True), websocket_port=lambda: 8000).routes())
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8001") as client:
        yield client


def policy(response: httpx.Response) -> dict[str, str]:
    """Give the directives of a response's Content-Security-Policy."""
    directives = response.headers["content-security-policy"].split(";")
    return {name: values for name, _, values in (directive.strip().partition(" ") for directive in directives)}


async def test_the_page_runs_nothing_but_its_own_files(client: httpx.AsyncClient) -> None:
    response = await client.get("/")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert policy(response) == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self'",
        "connect-src": "'self' ws://127.0.0.1:8000",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("path", SERVED)
async def test_every_file_says_what_it_is(client: httpx.AsyncClient, path: str) -> None:
    response = await client.get(path)
    types = {
        ".css": "text/css; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".svg": "image/svg+xml",
    }
    assert response.status_code == 200
    assert response.headers["content-type"] == types[Path(path).suffix]
    assert response.headers["x-content-type-options"] == "nosniff"
    assert policy(response)["default-src"] == "'none'"


@pytest.mark.parametrize("path", ["/", *(path for path in SERVED if path.endswith(".js"))])
async def test_no_file_writes_markup_or_styles_into_the_page(client: httpx.AsyncClient, path: str) -> None:
    text = (await client.get(path)).text
    for trick in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        ".style",
        " style=",
        "onclick=",
    ):
        assert trick not in text


async def test_its_settings(client: httpx.AsyncClient) -> None:
    response = await client.get("/studio/settings.json")
    assert response.json() == {"websocket_url": None, "websocket_port": 8000, "dev": True, "agora_sdk": None}


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("wss://live.example.com/v1/ws", "wss://live.example.com"),
        ("ws://[::1]:8443/behind/a/proxy/v1/ws", "ws://[::1]:8443"),
    ],
)
async def test_the_websocket_may_be_elsewhere(url: str, origin: str) -> None:
    transport = httpx.ASGITransport(Starlette(routes=Studio(Settings(websocket_url=url), lambda: 8000).routes()))
    async with httpx.AsyncClient(transport=transport, base_url="https://live.example.com") as client:
        page, told = await client.get("/"), await client.get("/studio/settings.json")
    assert policy(page)["connect-src"] == f"'self' {origin}"
    assert told.json()["websocket_url"] == url


async def test_with_an_app_id_agoras_sdk_may_run_and_find_its_servers() -> None:
    sdk = "https://sdk.example/AgoraRTC.js"
    settings = Settings(agora_app_id="a" * 32, agora_certificate="b" * 32, agora_sdk=sdk)
    transport = httpx.ASGITransport(Starlette(routes=Studio(settings, lambda: 8000).routes()))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8001") as client:
        page, told = await client.get("/"), await client.get("/studio/settings.json")
    assert told.json()["agora_sdk"] == sdk
    found = policy(page)
    assert found["script-src"] == f"'self' {sdk}"
    assert found["connect-src"].split()[:3] == ["'self'", "ws://127.0.0.1:8000", "https://*.agora.io:*"]
    assert found["worker-src"] == "blob:"
    assert (found["default-src"], found["frame-ancestors"]) == ("'none'", "'none'")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://sdk.example/AgoraRTC.js",
        "https://sdk.example",
        "https://sdk.example/a.js https://evil.example/b.js",
        "https://sdk.example/a.js; connect-src *",
        "https://sdk.example/a.js,b.js",
        "https://*/a.js",
        "https://sdk.example/a.js\n",
    ],
)
def test_an_sdk_cannot_widen_the_policy(url: str) -> None:
    with pytest.raises(SettingsError, match="STAGEWIRE_AGORA_SDK"):
        load({"STAGEWIRE_AGORA_SDK": url})


@pytest.mark.parametrize(
    "url",
    [
        "https://live.example.com/v1/ws",
        "wss://live.example.com",
        "wss://*/v1/ws",
        "wss://live.example.com; script-src */v1/ws",
        "wss://live.example.com/v1/ws wss://evil.example/",
        "wss://live.example.com/v1/ws\n",
    ],
)
def test_nor_can_an_address_of_the_websocket(url: str) -> None:
    with pytest.raises(SettingsError, match="STAGEWIRE_WEBSOCKET_URL"):
        load({"STAGEWIRE_WEBSOCKET_URL": url})


@pytest.mark.parametrize(
    "path",
    [
        "/studio/nothing.js",
        "/studio/",
        "/studio/views",
        "/studio/package.json",
        "/studio/index.html",
        "/studio/parts/dialogs.html",
        "/studio/../site.py",
        "/studio/%2e%2e/site.py",
        "/studio/..%2fsite.py",
        "/studio/views/../../site.py",
        "/studio//main.js",
        "/studio/main.js%00",
        "/sdk/",
        "/sdk/../package.json",
        "/sdk/main.js",
    ],
)
async def test_nothing_else_is_served(client: httpx.AsyncClient, path: str) -> None:
    response = await client.get(httpx.URL("http://127.0.0.1:8001", raw_path=path.encode()))
    assert response.status_code == 404


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("localhost:8001", "ws://localhost:8000"),
        ("stage.example", "ws://stage.example:8000"),
        ("[::1]:8001", "ws://[::1]:8000"),
        ("[::1]", "ws://[::1]:8000"),
        ("evil.example; script-src *", ""),
        ("evil.example:8001 'unsafe-inline'", ""),
        ("evil.example:8001,*", ""),
        ("*", ""),
        ("a:b:c", ""),
        ("", ""),
    ],
)
async def test_a_spoofed_host_cannot_widen_the_policy(client: httpx.AsyncClient, host: str, origin: str) -> None:
    response = await client.get("/", headers={"Host": host})
    assert policy(response)["connect-src"].split() == ["'self'", *origin.split()]
    assert policy(response)["script-src"] == "'self'"
