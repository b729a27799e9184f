"""All routes of the side API: endpoints, health, metrics, documents, and the studio."""

import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import msgspec
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from realtime.gate import Gate
from realtime.http.endpoints import Context
from realtime.http.health import Health
from realtime.http.page import assembled
from realtime.http.serving import Serving, json_response, refused
from realtime.http.table import ENDPOINTS
from realtime.http.throttle import Throttle
from realtime.protocol.codes import Code, Refusal
from realtime.settings import Settings
from realtime.specs.documents import DOCUMENTS, served
from realtime.telemetry.exposition import exposition

_HERE: Final = Path(__file__).parent
# Installed, the client lies beside the studio; in a checkout, where it is developed.
_SDK: Final = next(f for f in (_HERE / "sdk", _HERE.parents[1] / "clients/js/src") if f.is_dir())
_FOLDERS: Final = {"studio": _HERE / "studio", "sdk": _SDK}
# Where the SDK finds its servers: docs.agora.io, "Firewall requirements".
_AGORA: Final = "https://*.agora.io:* https://*.sd-rtn.com:* wss://*.agora.io:* wss://*.sd-rtn.com:*"
_HOST: Final = re.compile(r"([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?")
# Told rather than guessed: what the system's own table says of .js differs from place to place.
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_CODES: Final = {404: Code.NOT_FOUND, 413: Code.TOO_LARGE, 500: Code.INTERNAL}


def build(context: Context, health: Health, websocket_port: Callable[[], int]) -> Starlette:
    """Give the application. `websocket_port` is asked once the server listens."""
    app = Starlette(
        routes=[
            *_api(context),
            *_specifications(context.node.settings),
            *_operations(health),
            *Studio(context.node.settings, websocket_port).routes(),
        ],
        exception_handlers={HTTPException: _on_http_error},
    )
    # The redirect for a slash too many would lead to whatever host the request names.
    app.router.redirect_slashes = False
    return app


def guarded(app: ASGIApp, gate: Gate) -> ASGIApp:
    """Let each address ask only so often. What is signed comes from few addresses, and is checked at little cost."""
    return Throttle(app, gate, frozenset(endpoint.path for endpoint in ENDPOINTS if endpoint.signature))


def _api(context: Context) -> list[BaseRoute]:
    methods: dict[str, dict[str, Serving]] = {}
    for endpoint in served(context.node.settings):
        methods.setdefault(endpoint.path, {})[endpoint.method] = Serving(endpoint, context)
    return [Route(path, _by_method(found), methods=list(found)) for path, found in methods.items()]


def _specifications(settings: Settings) -> list[BaseRoute]:
    return [Route(f"/{name}.json", _giving(make(settings))) for name, make in DOCUMENTS.items()]


def _giving(document: dict[str, Any]) -> Callable[[Request], Awaitable[Response]]:
    encoded = msgspec.json.encode(document)

    async def give(_: Request) -> Response:
        return Response(encoded, media_type="application/json")

    return give


def _by_method(served: dict[str, Serving]) -> Callable[[Request], Awaitable[Response]]:
    """Give one handler for a path, so that a wrong method is told all the right ones."""

    async def answer(request: Request) -> Response:
        # Starlette adds HEAD to GET.
        return await served["GET" if request.method == "HEAD" else request.method].answer(request)

    return answer


def _operations(health: Health) -> list[BaseRoute]:
    async def healthz(_: Request) -> Response:
        return json_response({"status": "ok"})

    async def readyz(_: Request) -> Response:
        readiness = await health.readiness()
        return json_response(readiness, 200 if readiness.ready else 503)

    async def metrics(_: Request) -> Response:
        return Response(await exposition(), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    return [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)]


class Studio:
    """The page at `/`: plain files, under a policy that runs nothing but them and, for video, Agora's SDK."""

    def __init__(self, settings: Settings, websocket_port: Callable[[], int]) -> None:
        self._dev = settings.dev
        self._sdk = settings.agora_sdk if settings.agora_app_id else None
        self._websocket_url = settings.websocket_url
        self._websocket_port = websocket_port
        self._page = assembled(_FOLDERS["studio"])
        # Whatever is asked for is looked up here, so no path leads out of the folder.
        self._files = {
            f"{name}/{file.relative_to(folder).as_posix()}": file
            for name, folder in _FOLDERS.items()
            for file in folder.rglob("*")
            if file.suffix in _TYPES
        }

    def routes(self) -> list[BaseRoute]:
        """Give the routes of the page, its settings and its files."""
        return [
            Route("/", self._index),
            Route("/studio/settings.json", self._settings),
            *(Route(f"/{folder}/{{name:path}}", self._file_of(folder)) for folder in _FOLDERS),
        ]

    async def _index(self, request: Request) -> Response:
        return Response(self._page, headers=self._headers(request), media_type="text/html")

    async def _settings(self, _: Request) -> Response:
        return json_response(
            {
                "websocket_url": self._websocket_url or None,
                "websocket_port": self._websocket_port(),
                "dev": self._dev,
                "agora_sdk": self._sdk,
            }
        )

    def _file_of(self, folder: str) -> Callable[[Request], Awaitable[Response]]:
        async def file(request: Request) -> Response:
            return self._serve(f"{folder}/{request.path_params['name']}", request)

        return file

    def _serve(self, name: str, request: Request) -> Response:
        file = self._files.get(name)
        if file is None:
            return refused(Refusal(Code.NOT_FOUND, "no such page"))
        return FileResponse(file, headers=self._headers(request), media_type=_TYPES[file.suffix])

    def _headers(self, request: Request) -> dict[str, str]:
        return {
            "Content-Security-Policy": self._policy(request),
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-cache",
        }

    def _policy(self, request: Request) -> str:
        scripts, connections = "'self'", f"'self' {self._websocket(request)}"
        # The SDK writes markup in places of its own, so only where it is not loaded can that be forbidden.
        rest = "require-trusted-types-for 'script'; trusted-types 'none'"
        if self._sdk:
            scripts, connections, rest = f"'self' {self._sdk}", f"{connections} {_AGORA}", "worker-src blob:"
        return (
            f"default-src 'none'; script-src {scripts}; style-src 'self'; img-src 'self'; connect-src {connections}; "
            f"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; {rest}"
        )

    def _websocket(self, request: Request) -> str:
        """Give the WebSocket's origin: as it is set, or the port on the host by which the page was asked for."""
        if self._websocket_url:
            return "/".join(self._websocket_url.split("/")[:3])
        host = _HOST.fullmatch(request.headers.get("host", ""))
        return f"ws://{host[1]}:{self._websocket_port()}" if host else ""


async def _on_http_error(_: Request, exc: Exception) -> Response:
    """Refuse in our own words what the framework refuses."""
    assert isinstance(exc, HTTPException)
    response = refused(Refusal(_CODES.get(exc.status_code, Code.BAD_REQUEST), exc.detail))
    response.status_code = exc.status_code
    response.headers.update(exc.headers or {})
    return response
