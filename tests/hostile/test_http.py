"""Requests to the side API that break the rules, each with the status and the code that it gets."""

import gzip
import json
from typing import Any

import msgspec
import pytest

from tests.hostile.attacker import Attacker
from tests.hostile.conftest import Stage
from tests.support.nodes import token
from tokens.access import AccessRole

HOST = "Host: localhost"
NOWHERE = "01932c07-3a6e-7cc0-8000-000000000001"


def said(line: str, *headers: str, host: str = HOST, body: bytes = b"") -> bytes:
    """Give a request as it is written, without any help."""
    fields = [line, *([host] if host else []), *headers, "", ""]
    return "\r\n".join(fields).encode("latin-1") + body


def bearer() -> str:
    return f"Authorization: Bearer {token('mallory', AccessRole.SELLER)}"


def post(body: bytes, *headers: str, path: str = "/v1/sessions", kind: str = "application/json") -> bytes:
    length = f"Content-Length: {len(body)}"
    return said(f"POST {path} HTTP/1.1", bearer(), f"Content-Type: {kind}", length, *headers, body=body)


def get(target: str, *headers: str) -> bytes:
    return said(f"GET {target} HTTP/1.1", bearer(), *headers)


def titled(title: bytes) -> bytes:
    return post(b'{"title":%b}' % title)


def chunked(body: bytes, *headers: str) -> bytes:
    return said(
        "POST /v1/sessions HTTP/1.1", bearer(), "Content-Type: application/json",
        "Transfer-Encoding: chunked", *headers, body=body,
    )  # fmt: skip


GOOD = b'{"title":"x"}'
DEEP = b'{"title":"x","metadata":' + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"}"
BAD, GONE, WHO = (400, "bad_request"), (404, "not_found"), (401, "unauthenticated")
# uvicorn's own: what is no HTTP never reaches the API.
NO_HTTP = (400, None)

REQUESTS: dict[str, tuple[bytes, tuple[int, str | None]]] = {
    "no request": (b"\0\xff\r\n\r\n", NO_HTTP),
    "no version": (b"GET /\r\n\r\n", NO_HTTP),
    "no host": (said("GET /healthz HTTP/1.1", host=""), NO_HTTP),
    "two hosts": (said("GET /healthz HTTP/1.1", "Host: b"), NO_HTTP),
    "a host that is spoofed": (said("GET /healthz HTTP/1.1", host="Host: evil.example"), (200, None)),
    "a host that is none": (said("GET / HTTP/1.1", host="Host: '; script-src *"), (200, None)),
    "a space in the target": (said("GET /he althz HTTP/1.1"), NO_HTTP),
    "a byte above ASCII in the target": (said("GET /\xff HTTP/1.1"), NO_HTTP),
    "a line feed in a header": (said("GET /healthz HTTP/1.1", "X: a\nY: b"), (200, None)),
    "a NUL in a header": (said("GET /healthz HTTP/1.1", "X: a\0b"), NO_HTTP),
    "a space before the colon": (said("GET /healthz HTTP/1.1", "X : a"), NO_HTTP),
    "a head of 65,537 bytes, and no end": (said("GET /healthz HTTP/1.1", f"X: {'x' * 70_000}")[:65_537], NO_HTTP),
    "an unknown method": (said("BREW / HTTP/1.1"), (405, "bad_request")),
    "TRACE": (said("TRACE /v1/sessions HTTP/1.1", bearer()), (405, "bad_request")),
    "a method for another path": (said("DELETE /v1/sessions HTTP/1.1", bearer()), (405, "bad_request")),
    "an upgrade": (said("GET /healthz HTTP/1.1", "Connection: Upgrade", "Upgrade: websocket"), (200, None)),
    "an upgrade to HTTP/2": (said("GET /healthz HTTP/1.1", "Connection: Upgrade", "Upgrade: h2c"), (200, None)),
    "an absolute target": (said("GET http://evil.example/healthz HTTP/1.1"), GONE),
    "a length and chunks": (chunked(b"0\r\n\r\n", "Content-Length: 5"), BAD),
    "two lengths": (post(GOOD, "Content-Length: 1"), NO_HTTP),
    "the same length twice": (post(GOOD, f"Content-Length: {len(GOOD)}"), (201, None)),
    "a negative length": (said("POST /v1/sessions HTTP/1.1", bearer(), "Content-Length: -1"), NO_HTTP),
    "a length with a sign": (said("POST /v1/sessions HTTP/1.1", bearer(), "Content-Length: +1"), NO_HTTP),
    "a length of 5,000 digits": (said("POST /v1/sessions HTTP/1.1", f"Content-Length: {'9' * 5000}"), NO_HTTP),
    "a length of 2^63": (
        said(
            "POST /v1/sessions HTTP/1.1",
            bearer(),
            "Content-Type: application/json",
            f"Content-Length: {2**63}",
            body=b"x" * 66_000,
        ),
        (413, "too_large"),
    ),
    "another coding": (chunked(b"0\r\n\r\n").replace(b": chunked", b": gzip, chunked"), NO_HTTP),
    "a coding with a tab": (chunked(b"0\r\n\r\n").replace(b": chunked", b": \x0bchunked"), NO_HTTP),
    "chunked twice": (chunked(b"0\r\n\r\n", "Transfer-Encoding: chunked"), NO_HTTP),
    "chunks": (chunked(b"%x\r\n%b\r\n0\r\n\r\n" % (len(GOOD), GOOD)), (201, None)),
    "a chunk with an extension": (chunked(b"%x;a=b\r\n%b\r\n0\r\n\r\n" % (len(GOOD), GOOD)), (201, None)),
    "a chunk of 2^64": (chunked(b"1" + b"0" * 16 + b"\r\n" + b"x" * 70_000), (413, "too_large")),
    "a chunk with 0x": (chunked(b"0x5\r\nhello\r\n0\r\n\r\n"), NO_HTTP),
    "a negative chunk": (chunked(b"-1\r\n"), NO_HTTP),
    "a negative chunk of nobody's": (
        said("POST /v1/sessions HTTP/1.1", "Transfer-Encoding: chunked", body=b"-1\r\n"),
        NO_HTTP,
    ),
    "900 chunks": (chunked(b"1\r\n \r\n" * 900 + b"%x\r\n%b\r\n0\r\n\r\n" % (len(GOOD), GOOD)), (201, None)),
    "chunks over the limit": (chunked(b"400\r\n%b\r\n" % (b" " * 1024) * 70), (413, "too_large")),
    "70,000 chunks of one byte": (chunked(b"1\r\nx\r\n" * 70_000), NO_HTTP),
    "70,000 chunks of nobody's": (
        said("POST /v1/agora/events HTTP/1.1", "Transfer-Encoding: chunked", body=b"1\r\nx\r\n" * 70_000),
        BAD,
    ),
    "a chunk with an extension of 17,000 bytes": (chunked(b"5;" + b"x" * 17_000), NO_HTTP),
    "a head of 25,000 bytes": (get("/healthz", *["X: " + "y" * 1000] * 25), NO_HTTP),
    "10,000 header lines": (get("/healthz", *["X: y"] * 10_000), NO_HTTP),
    "a body over the limit": (post(b" " * 65_537), (413, "too_large")),
    "a body of another type": (post(GOOD, kind="text/plain"), BAD),
    "a form": (post(b"title=x", kind="application/x-www-form-urlencoded"), BAD),
    "no type": (said("POST /v1/sessions HTTP/1.1", bearer(), "Content-Length: 13", body=GOOD), BAD),
    "another alphabet": (post(GOOD.decode().encode("utf-16"), kind="application/json; charset=utf-16"), BAD),
    "a packed body": (post(gzip.compress(GOOD), "Content-Encoding: gzip"), BAD),
    "no body": (post(b""), BAD),
    "null": (post(b"null"), BAD),
    "an array": (post(b"[]"), BAD),
    "65,000 brackets": (post(b"[" * 65_000), BAD),
    "an object 5,000 deep": (post(DEEP), BAD),
    "metadata with 5,000 digits": (post(b'{"title":"x","metadata":{"a":%b}}' % (b"9" * 5000)), BAD),
    "metadata with NaN": (post(b'{"title":"x","metadata":{"a":NaN}}'), BAD),
    "metadata with 1e999": (post(b'{"title":"x","metadata":{"a":1e999}}'), BAD),
    "metadata with NUL": (post(b'{"title":"x","metadata":{"a":"\\u0000"}}'), BAD),
    "metadata with a lone surrogate": (post(b'{"title":"x","metadata":{"a":"\\ud800"}}'), BAD),
    "metadata with a NUL as a name": (post(b'{"title":"x","metadata":{"\\u0000":1}}'), BAD),
    "a field twice": (post(b'{"title":"x","title":"y"}'), (201, None)),
    "an unknown field": (post(b'{"title":"x","admin":true}'), BAD),
    "__proto__": (post(b'{"title":"x","__proto__":{}}'), BAD),
    "a byte-order mark": (post(b"\xef\xbb\xbf" + GOOD), BAD),
    "not UTF-8": (titled(b'"\xff"'), BAD),
    "a lone surrogate": (titled(b'"\\ud800"'), BAD),
    "a title of NULs": (titled(b'"\\u0000\\u0000"'), BAD),
    "a title of nothing to see": (titled(b'"\\u200b\\u202e"'), BAD),
    "a title of 60,000 characters": (titled(b'"%b"' % (b"x" * 60_000)), (413, "too_large")),
    "a title that is a number": (titled(b"5"), BAD),
    "a title that is null": (titled(b"null"), BAD),
    "a key that is no UUID": (post(b'{"title":"x","key":"x"}'), BAD),
    "a cover that is a script": (post(b'{"title":"x","cover":"javascript:alert(1)"}'), BAD),
    "a cover with credentials": (post(b'{"title":"x","cover":"https://a:b@example.com/"}'), BAD),
    "two slashes": (get("//v1/sessions"), GONE),
    "a slash at the end": (said("GET /v1/sessions/ HTTP/1.1", bearer(), host="Host: evil.example"), GONE),
    "no slash at the end": (get("/studio"), GONE),
    "more than an id": (get(f"/v1/sessions/{NOWHERE}/x"), GONE),
    "dots": (get("/studio/../../settings.py"), GONE),
    "encoded dots": (get("/studio/%2e%2e/%2e%2e/settings.py"), GONE),
    "twice encoded dots": (get("/studio/%252e%252e/settings.py"), GONE),
    "encoded slashes": (get("/v1%2fsessions"), (200, None)),
    "a backslash": (get("/studio/..\\settings.py"), GONE),
    "an encoded NUL in the path": (get("/studio/index.html%00.png"), GONE),
    "a fragment": (get("/v1/sessions#x"), GONE),
    "a path of 10,000 bytes": (get("/" + "x" * 10_000), GONE),
    "an id that is none": (get("/v1/sessions/x"), BAD),
    "an id in capitals": (get(f"/v1/sessions/{NOWHERE.upper()}"), BAD),
    "an id and a line feed": (get(f"/v1/sessions/{NOWHERE}%0a"), BAD),
    "an id and a NUL": (get(f"/v1/sessions/{NOWHERE}%00"), BAD),
    "an id that nothing has": (get(f"/v1/sessions/{NOWHERE}"), GONE),
    "a user and a line feed": (get("/v1/users/bob%0a/followers/mallory"), BAD),
    "a user that is none": (get("/v1/users/@server/followers/mallory"), BAD),
    "a seq of 5,000 digits": (get(f"/v1/sessions/{NOWHERE}/events/{'9' * 5000}/edits"), BAD),
    "a seq of -1": (get(f"/v1/sessions/{NOWHERE}/events/-1/edits"), BAD),
    "a seq in other digits": (get(f"/v1/sessions/{NOWHERE}/events/%D9%A1/edits"), BAD),
    "a limit of 0": (get("/v1/sessions?limit=0"), BAD),
    "a limit of 1e1": (get("/v1/sessions?limit=1e1"), (200, None)),
    "a limit with a space": (get("/v1/sessions?limit=%201"), BAD),
    "a limit with an underscore": (get("/v1/sessions?limit=1_0"), BAD),
    "a limit of 5,000 digits": (get(f"/v1/sessions?limit={'9' * 5000}"), BAD),
    "a limit in other digits": (get("/v1/sessions?limit=%D9%A1"), BAD),
    "a parameter twice": (get("/v1/sessions?limit=1&limit=2"), BAD),
    "an unknown parameter": (get("/v1/sessions?admin=1"), BAD),
    "1,500 parameters": (get("/v1/sessions?" + "&".join(f"a{n}=1" for n in range(1500))), BAD),
    "a broken escape": (get("/v1/sessions?q=%zz"), (200, None)),
    "words that are not UTF-8": (get("/v1/sessions?q=%ff%fe"), (200, None)),
    "a NUL to find": (get("/v1/sessions?q=%00a"), (200, None)),
    "only a NUL to find": (get("/v1/sessions?q=%00"), BAD),
    "wildcards to find": (get("/v1/sessions?q=%25%5f%5c"), (200, None)),
    "SQL to find": (get("/v1/sessions?q=%27%3B%20DROP%20TABLE%20sessions%3B--"), (200, None)),
    "a state that is none": (get("/v1/sessions?state=live%0a"), BAD),
    "a state after a comma": (get("/v1/sessions?state=live,"), BAD),
    "a range beyond the end": (get("/studio/main.js", "Range: bytes=999999999-"), (416, None)),
    "1,000 ranges": (get("/studio/main.js", "Range: bytes=" + ",".join(f"{n}-{n}" for n in range(1000))), (200, None)),
    "ranges that overlap": (get("/studio/main.js", "Range: bytes=" + ",".join(["0-"] * 1000)), (200, None)),
}


@pytest.mark.parametrize(("sent", "expected"), REQUESTS.values(), ids=REQUESTS)
def test_requests(stage: Stage, sent: bytes, expected: tuple[int, str | None]) -> None:
    with Attacker(stage.node.http_port) as attacker:
        attacker.send(sent)
        assert attacker.response() == expected


AUTHORIZATIONS: dict[str, str | None] = {
    "none": None,
    "empty": "",
    "only the scheme": "Bearer",
    "the scheme and a space": "Bearer ",
    "another scheme": "Basic {token}",
    "no scheme": "{token}",
    "two tokens": "Bearer {token} {token}",
    "two tokens with a comma": "Bearer {token}, Bearer {token}",
    "quotes": 'Bearer "{token}"',
    "a parameter": "Bearer token={token}",
    "a tab": "Bearer\t{token}",
    "bytes above ASCII": "Bearer {token}\xff",
    "8,192 characters": f"Bearer {'x' * 8192}",
    "100 KiB of dots": f"Bearer {'.' * 12_000}",
}


@pytest.mark.parametrize("given", AUTHORIZATIONS.values(), ids=AUTHORIZATIONS)
def test_authorizations(stage: Stage, given: str | None) -> None:
    line = [] if given is None else [f"Authorization: {given.format(token=token('mallory'))}"]
    with Attacker(stage.node.http_port) as attacker:
        attacker.send(said("GET /v1/sessions HTTP/1.1", *line))
        assert attacker.response() == WHO


def test_a_token_elsewhere_is_no_token(stage: Stage) -> None:
    good = token("mallory")
    for request in (
        said(f"GET /v1/sessions?access_token={good} HTTP/1.1"),
        said("GET /v1/sessions HTTP/1.1", f"Cookie: token={good}; Authorization=Bearer {good}"),
        said("GET /v1/sessions HTTP/1.1", f"X-Authorization: Bearer {good}", f"Proxy-Authorization: Bearer {good}"),
    ):
        with Attacker(stage.node.http_port) as attacker:
            attacker.send(request)
            assert attacker.response() == WHO


def test_who_holds_two_tokens_holds_none(stage: Stage) -> None:
    with Attacker(stage.node.http_port) as attacker:
        attacker.send(said("GET /v1/sessions HTTP/1.1", bearer(), "Authorization: Bearer x.y.z"))
        assert attacker.response() == WHO


def test_what_is_smuggled_behind_a_refusal_is_not_served(stage: Stage) -> None:
    smuggled = post(b'{"title":"smuggled"}')
    with Attacker(stage.node.http_port) as attacker:
        attacker.send(chunked(b"0\r\n\r\n", "Content-Length: 5") + smuggled)
        assert attacker.response() == BAD
        assert attacker.rest() == b""


def test_pipelined_requests_are_answered_in_their_order(stage: Stage) -> None:
    with Attacker(stage.node.http_port) as attacker:
        attacker.send(b"".join(get(f"/v1/sessions?limit={n % 2}") for n in range(200)))
        assert [attacker.response()[0] for _ in range(200)] == [400, 200] * 100


def test_refusals_tell_a_code_and_a_sentence_and_nothing_else(stage: Stage) -> None:
    with Attacker(stage.node.http_port) as attacker:
        attacker.send(get("/v1/sessions/x"))
        body: Any = json.loads(attacker.body()[1])
        assert body.keys() == {"error"}
        assert body["error"].keys() == {"code", "message"}
        assert not any(word in msgspec.json.encode(body).decode() for word in ("Traceback", ".py", "SELECT", "asyncpg"))
