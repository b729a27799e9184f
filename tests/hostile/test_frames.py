"""Frames and handshakes that break the rules, each with the answer that it gets."""

import zlib

import pytest

from tests.hostile.attacker import CUT, LAST, Attacker, answers, identified
from tests.hostile.conftest import Stage
from tests.support.frames import BINARY, CLOSE, PING, TEXT, frame, request

CONT = 0x0
FIN, RSV1, RSV2, RSV3 = 0x80, 0x40, 0x20, 0x10
PONG = b'{"type":"pong","id":1}'


def close(code: int, reason: bytes = b"") -> bytes:
    return frame(CLOSE, code.to_bytes(2, "big") + reason)


def declared(size: int, opcode: int = TEXT) -> bytes:
    """Give the head of a frame that says how long it is, and nothing behind it."""
    return bytes([FIN | opcode, 0xFF]) + size.to_bytes(8, "big") + b"mask"


def deflated() -> bytes:
    """Give what permessage-deflate makes of a megabyte, had it been agreed (RFC 7692)."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(b" " * (1 << 20)) + packer.flush(zlib.Z_SYNC_FLUSH)[:-4]


FRAMES: dict[str, tuple[bytes, list[str | int]]] = {
    **{f"reserved opcode {code:#x}": (frame(code, b"x"), [1002]) for code in (3, 4, 5, 6, 7, 0xB, 0xC, 0xD, 0xE, 0xF)},
    "RSV1 with no extension": (frame(TEXT, PONG, rsv=RSV1), [1002]),
    "RSV2": (frame(TEXT, PONG, rsv=RSV2), [1002]),
    "RSV3": (frame(TEXT, PONG, rsv=RSV3), [1002]),
    "RSV1 on a ping": (frame(PING, b"", rsv=RSV1), [1002]),
    "a compressed frame": (frame(TEXT, deflated(), rsv=RSV1), [1002]),
    "unmasked": (frame(TEXT, PONG, mask=False), [1002]),
    "an unmasked close": (frame(CLOSE, b"\x03\xe8", mask=False), [1002]),
    "a mask of zeros": (bytes([FIN | TEXT, 0x80 | len(PONG)]) + b"\0\0\0\0" + PONG, ["ack"]),
    "a ping of 126 bytes": (frame(PING, b"x" * 126), [1002]),
    "a ping that declares 2^63-1": (declared(2**63 - 1, PING), [4413]),
    "a ping of 65,536 bytes": (frame(PING, b"x" * 65_536), [4413]),
    "a fragmented ping": (frame(PING, b"x", fin=False), [1002]),
    "a fragmented close": (frame(CLOSE, b"\x03\xe8", fin=False), [1002]),
    "a pong that nobody asked for": (frame(0xA, b"x"), []),
    "an orphan continuation": (frame(CONT, PONG), [1002]),
    "a text within a text": (frame(TEXT, b"{", fin=False) + frame(TEXT, b"}"), [1002]),
    "a binary within a text": (frame(TEXT, b"{", fin=False) + frame(BINARY, b"}"), [1002]),
    "a ping between fragments": (
        frame(TEXT, PONG[:5], fin=False) + frame(PING, b"x") + frame(CONT, PONG[5:]),
        ["ack"],
    ),
    "a message byte by byte": (
        frame(TEXT, b"", fin=False)
        + b"".join(frame(CONT, bytes([byte]), fin=False) for byte in PONG)
        + frame(CONT, b""),
        ["ack"],
    ),
    "100,000 fragments of one byte": (
        frame(TEXT, b"x", fin=False) + frame(CONT, b"x", fin=False) * 100_000,
        [4429],
    ),
    "100,000 empty fragments": (
        frame(TEXT, PONG, fin=False) + frame(CONT, b"", fin=False) * 100_000 + frame(CONT, b""),
        [4429],
    ),
    "fragments of another format": (frame(BINARY, b"\x80", fin=False), [4400]),
    "binary where text was agreed": (frame(BINARY, b"\x80"), [4400]),
    "a length of 2^63-1": (declared(2**63 - 1), [4413]),
    "a length of 2^63": (declared(2**63), [4413]),
    "a length of 2^64-1": (declared(2**64 - 1), [4413]),
    "a byte too many": (frame(TEXT, b"x" * 16_385), [4413]),
    "as many bytes as may be": (frame(TEXT, PONG + b" " * (16_384 - len(PONG))), ["ack"]),
    "a length in more bytes than it needs": (
        bytes([FIN | TEXT, 0xFF]) + len(PONG).to_bytes(8, "big") + b"\0\0\0\0" + PONG,
        ["ack"],
    ),
    "text that is not UTF-8": (frame(TEXT, b'"\xff"'), [1007]),
    "a broken sequence over two fragments": (frame(TEXT, b'"\xe2', fin=False) + frame(CONT, b'\x28\xa1"'), [1007]),
    "a character over two fragments": (
        frame(TEXT, b'{"id":1,"type":"pong","\xe2', fin=False) + frame(CONT, b'\x82\xac":1}'),
        ["bad_request"],
    ),
    "close 1000": (close(1000), [1000]),
    "close without a code": (frame(CLOSE, b""), [0]),
    "close of one byte": (frame(CLOSE, b"\x03"), [1002]),
    **{f"close {code}": (close(code), [1002]) for code in (0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65_535)},
    "close 4999": (close(4999), [4999]),
    "close with a reason that is not UTF-8": (close(1000, b"\xff"), [1007]),
    "close with a reason of 124 bytes": (close(1000, b"x" * 124), [1002]),
    "commands behind a close": (close(1000) + frame(TEXT, PONG) * 100, [1000]),
    "150 pings": (frame(PING, b"x" * 125) * 150, []),
    "a ping flood": (frame(PING, b"x" * 125) * 20_000, [4429]),
    "a flood of pongs": (frame(0xA, b"") * 20_000, [4429]),
    "20,000 commands at once": (frame(TEXT, b'{"type":"pong"}') * 20_000, []),
}


@pytest.mark.parametrize(("sent", "expected"), FRAMES.values(), ids=FRAMES)
def test_frames(stage: Stage, sent: bytes, expected: list[str | int]) -> None:
    with identified(stage.node.websocket_port) as attacker:
        assert answers(attacker, sent) == expected


def header(line: str) -> bytes:
    return request(extra=f"{line}\r\n")


HANDSHAKES: dict[str, tuple[bytes, int]] = {
    "a good one": (request(), 101),
    "compression asked for": (header("Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover"), 101),
    "a query that is no query": (request("/v1/ws?%ff%00=&&;%u0041"), 101),
    "two hosts": (request(host="Host: a\r\nHost: b\r\n"), 400),
    "no host": (request(host=""), 400),
    "two upgrades": (header("Upgrade: h2c"), 426),
    "two versions": (header("Sec-WebSocket-Version: 8"), 400),
    "another version": (request().replace(b"Version: 13", b"Version: 8"), 400),
    "two keys": (header("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), 400),
    "a key that is too short": (request().replace(b"dGhlIHNhbXBsZSBub25jZQ==", b"c2hvcnQ="), 400),
    "a key that is no base64": (request().replace(b"dGhlIHNhbXBsZSBub25jZQ==", b"????????????????????????"), 400),
    "no upgrade": (request().replace(b"Upgrade: websocket\r\n", b""), 426),
    "a header line of 9,000 bytes": (header(f"X: {'x' * 9000}"), 431),
    "300 headers": (request(extra="X: y\r\n" * 300), 431),
    "three header lines of 6,000 bytes": (request(extra=f"X: {'x' * 6000}\r\n" * 3), 431),
    "a head of 17,000 bytes that does not end": (
        request(extra=f"X: {'x' * 100}\r\n" * 120)[:-2] + b"X: " + b"x" * 5000,
        431,
    ),
    "a head of 15,000 bytes": (request(extra=f"X: {'x' * 5000}\r\n" * 3)[:-2] + b"\r\n", 101),
    "a target of 9,000 bytes": (request(f"/v1/ws?{'x' * 9000}"), 414),
    "a header without a colon": (header("nonsense"), 400),
    "a header name with a space": (header("X Y: z"), 400),
    "a folded header": (header("X: y\r\n z"), 400),
    "a NUL in a header": (header("X: a\0b"), 400),
    "bare line feeds": (request().replace(b"\r\n", b"\n"), 400),
    "HTTP/1.0": (request().replace(b"HTTP/1.1", b"HTTP/1.0"), 505),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "a POST": (request().replace(b"GET", b"POST"), 405),
    "a body": (header("Content-Length: 5") + b"hello", 400),
    "a chunked body": (header("Transfer-Encoding: chunked") + b"0\r\n\r\n", 400),
    "another path": (request("/v1/ws/"), 404),
    "a path with dots": (request("/v1/../v1/ws"), 404),
    "an absolute target": (request("http://localhost/v1/ws"), 404),
    "TLS": (bytes.fromhex("16030100f1010000ed0303") + b"\0" * 50 + b"\n", 400),
    "nonsense": (b"\0\xff\n\r\n\r\n", 400),
    "another origin": (header("Origin: https://elsewhere.example"), 403),
    "the origin null": (header("Origin: null"), 403),
}


@pytest.mark.parametrize(("sent", "expected"), HANDSHAKES.values(), ids=HANDSHAKES)
def test_handshakes(stage: Stage, sent: bytes, expected: int) -> None:
    with Attacker(stage.node.websocket_port) as attacker:
        attacker.send(sent)
        status, headers = attacker.head()
        assert status == expected
        assert "sec-websocket-extensions" not in headers


@pytest.mark.parametrize("fits", [b"{", b"\xff"])
def test_data_before_the_handshake_ends_waits_for_it(stage: Stage, fits: bytes) -> None:
    with Attacker(stage.node.websocket_port) as attacker:
        attacker.send(request() + frame(TEXT, fits))
        assert attacker.head()[0] == 101
        assert list(attacker.messages()) == [4400 if fits == b"{" else 1007]


STRANGERS: dict[str, tuple[bytes, list[str | int]]] = {
    "a command": (frame(TEXT, b'{"id":1,"type":"typing"}'), ["bad_request", 4401]),
    "a pong": (frame(TEXT, PONG), ["unauthenticated", 4401]),
    "a join": (
        frame(TEXT, b'{"id":1,"type":"join","session":"01932c07-3a6e-7cc0-8000-000000000001"}'),
        ["unauthenticated", 4401],
    ),
    "a forged token": (frame(TEXT, b'{"id":1,"type":"hello","token":"x.y.z"}'), ["unauthenticated", 4401]),
    "a token of 8,193 characters": (
        frame(TEXT, b'{"id":1,"type":"hello","token":"%b"}' % (b"x" * 8193)),
        ["bad_request", 4401],
    ),
    "a token of 100 KiB": (frame(TEXT, b'{"id":1,"type":"hello","token":"%b"}' % (b"x" * 102_400)), [4413]),
    "no token": (frame(TEXT, b'{"id":1,"type":"hello"}'), ["bad_request", 4401]),
    "a ping first": (frame(PING, b"") + frame(TEXT, PONG), ["unauthenticated", 4401]),
    "nothing, and away": (b"", [CUT]),
}


@pytest.mark.parametrize(("sent", "expected"), STRANGERS.values(), ids=STRANGERS)
def test_before_hello(stage: Stage, sent: bytes, expected: list[str | int]) -> None:
    with Attacker(stage.node.websocket_port) as attacker:
        attacker.shake_hands()
        if not sent:
            attacker.socket.shutdown(1)
        attacker.send(sent)
        found = [m if isinstance(m, int) else m.get("code") for m in attacker.messages()]
        assert found == expected


def test_the_last_id_is_the_largest_that_may_be(stage: Stage) -> None:
    with identified(stage.node.websocket_port) as attacker:
        attacker.say(type="pong", id=LAST + 1)
        assert answers(attacker) == ["bad_request"]
