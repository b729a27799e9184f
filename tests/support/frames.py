"""Handshakes and frames made by hand (RFC 6455, sections 4 and 5), also those that no library would send."""

import os

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
TEXT, BINARY, CLOSE, PING = 0x1, 0x2, 0x8, 0x9


def request(path: str = "/v1/ws", *, extra: str = "", host: str = "Host: localhost\r\n") -> bytes:
    """Give the client's half of a handshake."""
    return (
        f"GET {path} HTTP/1.1\r\n{host}Upgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{extra}\r\n"
    ).encode()


def frame(opcode: int, payload: bytes, *, fin: bool = True, mask: bool = True, rsv: int = 0) -> bytes:
    """Give a client's frame."""
    head = bytes([(0x80 if fin else 0) | rsv | opcode])
    size, flag = len(payload), 0x80 if mask else 0
    if size < 126:
        head += bytes([flag | size])
    elif size < 2**16:
        head += bytes([flag | 126]) + size.to_bytes(2, "big")
    else:
        head += bytes([flag | 127]) + size.to_bytes(8, "big")
    if not mask:
        return head + payload
    key = os.urandom(4)
    return head + key + bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))
