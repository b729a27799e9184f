"""Before all of the side API: from where a request comes, and how often each address may ask."""

from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from realtime.gate import Gate
from realtime.http.serving import refused
from realtime.limiting import too_often


class Throttle:
    """Passes on what is not too often, and says whose it is. The paths in `exempt` are for others to guard."""

    def __init__(self, app: ASGIApp, gate: Gate, exempt: Collection[str]) -> None:
        self._app = app
        self._gate = gate
        self._exempt = exempt

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        serve = self._app
        if scope["type"] == "http":
            peer, port = scope["client"] or ("", 0)
            address = self._gate.address_of(peer, Headers(scope=scope).getlist("x-forwarded-for"))
            scope["client"] = address, port
            if scope["path"] not in self._exempt and (wait := self._gate.wait_ms(address)):
                serve = refused(too_often(wait))
        await serve(scope, receive, send)
