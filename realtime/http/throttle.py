"""Before all of the side API: how often each address may ask."""

from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from realtime.gate import Gate
from realtime.http.serving import refused
from realtime.limiting import too_often


class Throttle:
    """Passes on what is not too often. The paths in `exempt` are for others to guard."""

    def __init__(self, app: ASGIApp, gate: Gate, exempt: Collection[str]) -> None:
        self._app = app
        self._gate = gate
        self._exempt = exempt

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        serve = self._app
        if scope["type"] == "http" and scope["path"] not in self._exempt:
            forwarded = Headers(scope=scope).getlist("x-forwarded-for")
            peer = scope["client"][0] if scope["client"] else ""
            if wait := self._gate.wait_ms(peer, forwarded):
                serve = refused(too_often(wait))
        await serve(scope, receive, send)
