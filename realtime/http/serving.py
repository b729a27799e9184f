"""From a request to an endpoint and back: tokens, bodies, and what a refusal looks like over HTTP."""

import asyncio
from collections.abc import Coroutine
from time import perf_counter
from typing import Any, Final

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from realtime.answers import refusal_for
from realtime.http.endpoints import Call, Context, Endpoint, Signed
from realtime.protocol.codes import HTTP_STATUS, Code, Refusal
from realtime.telemetry import metrics
from tokens.access import Identity

BEARER: Final = "Bearer"


class Failure(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a request was refused."""

    code: str
    message: str
    retry_after_ms: int | None = None
    state: str | None = None


class FailureBody(msgspec.Struct, frozen=True):
    """The body of every refusal."""

    error: Failure


class Serving:
    """Serves one endpoint."""

    def __init__(self, endpoint: Endpoint, context: Context) -> None:
        self._endpoint = endpoint
        self._context = context

    async def answer(self, request: Request) -> Response:
        """Answer a request, whatever happens."""
        began = perf_counter()
        response = await self._answer(request)
        metrics.REQUESTS.labels(self._endpoint.path, str(response.status_code)).observe(perf_counter() - began)
        return response

    async def _answer(self, request: Request) -> Response:
        try:
            call = await self._read(request)
            reply = await self._endpoint.handle(self._context, call)
        except Exception as exc:  # noqa: BLE001 - whatever it is, the asker must learn of it
            return refused(refusal_for(exc, self._endpoint.path), self._endpoint.signature or BEARER)
        return json_response(reply, self._endpoint.status)

    async def _read(self, request: Request) -> Call:
        endpoint = self._endpoint
        who = None if endpoint.public else await self._identify(request)
        if who is not None:
            self._context.node.limits.check(who, endpoint.counted_as)
        call = Call(
            who=who,
            path=_convert(request.path_params, endpoint.parameters) if request.path_params else None,
            query=_convert(_query(request), endpoint.query) if endpoint.query else None,
            body=await self._body(request),
            address=request.client.host if request.client else "",
        )
        if who is not None:
            # The body may have been sent slowly, so as to be carried out when its sender is not welcome any more.
            self._context.node.identities.recheck(who)
        return call

    async def _body(self, request: Request) -> Any:
        settings, endpoint = self._context.node.settings, self._endpoint
        if endpoint.body is None or (endpoint.body_optional and _empty(request)):
            return None
        content = await _content(request, settings.http_body, settings.http_timeout)
        if endpoint.signature is None:
            return _decode(content, endpoint.body)
        given = request.headers.getlist(endpoint.signature)
        return Signed(content, given[0] if len(given) == 1 else "")

    async def _identify(self, request: Request) -> Identity:
        given = request.headers.getlist("authorization")
        # Of two tokens, what stands in front of this server may have checked the other one.
        scheme, _, token = (given[0] if len(given) == 1 else "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Refusal(Code.UNAUTHENTICATED, "a Bearer token is required")
        identified = self._context.node.identities.identify(token.strip())
        return await identified if isinstance(identified, Coroutine) else identified


def json_response(content: Any, status: int = 200) -> Response:
    """Answer with JSON."""
    return Response(msgspec.json.encode(content), status, media_type="application/json")


def refused(refusal: Refusal, challenge: str = BEARER) -> Response:
    """Answer with a refusal; `challenge` says how to prove who one is, where that is what is missing."""
    metrics.REFUSALS.count(refusal.code)
    failure = Failure(refusal.code, refusal.message, refusal.retry_after_ms, refusal.state)
    response = json_response(FailureBody(failure), HTTP_STATUS[refusal.code])
    if refusal.code is Code.UNAUTHENTICATED:
        response.headers["WWW-Authenticate"] = challenge
    if refusal.retry_after_ms is not None:
        response.headers["Retry-After"] = str(-(-refusal.retry_after_ms // 1000))
    return response


def _query(request: Request) -> dict[str, str]:
    pairs = request.query_params.multi_items()
    if len(pairs) != len(dict(pairs)):
        raise Refusal(Code.BAD_REQUEST, "a query parameter is given twice")
    return dict(pairs)


def _convert(values: dict[str, str], shape: type) -> Any:
    try:
        return msgspec.convert(values, shape, strict=False)
    except msgspec.ValidationError as exc:
        raise Refusal(Code.BAD_REQUEST, str(exc)) from None


def _empty(request: Request) -> bool:
    return request.headers.get("content-length", "0") == "0" and "transfer-encoding" not in request.headers


async def _content(request: Request, limit: int, seconds: float) -> bytes:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refusal(Code.BAD_REQUEST, "the body must be application/json")
    try:
        async with asyncio.timeout(seconds):
            return await _collect(request, limit)
    except TimeoutError:
        raise Refusal(Code.BAD_REQUEST, "the body took too long") from None
    except ClientDisconnect:
        raise Refusal(Code.BAD_REQUEST, "the body broke off") from None


def _decode(content: bytes, shape: Any) -> Any:
    try:
        return msgspec.json.decode(content, type=shape)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise Refusal(Code.BAD_REQUEST, str(exc)[:200]) from None


async def _collect(request: Request, limit: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise Refusal(Code.TOO_LARGE, f"at most {limit} bytes")
    return bytes(body)
