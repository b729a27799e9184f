"""What comes back when another server is asked, whatever it says, or doesn't."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from realtime import calling
from realtime.calling import MAX_ANSWER, CallError, call

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@asynccontextmanager
async def saying(
    answer: bytes, *, then_silence: bool = False, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Run a server that gives this answer, and keeps what it was asked."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.read(65_536))
        writer.write(answer)
        if then_silence:
            await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield f"http{'s' if tls else ''}://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked


async def test_a_request_is_sent_as_it_was_given() -> None:
    async with saying(OK) as (url, asked):
        assert await call("DELETE", f"{url}/a/b?c=d", {"Authorization": "Basic x"}, b"body", 5) == (200, b"{}")
    head, _, body = asked[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert (lines[0], body) == ("DELETE /a/b?c=d HTTP/1.1", b"body")
    assert {"Authorization: Basic x", "Content-Length: 4", f"Host: {url.removeprefix('http://')}"} <= set(lines)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 503 Busy\r\n\r\nlater", (503, b"later")),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", (302, b"")),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n", (200, b"{}")),
    ],
    ids=["an error", "another place", "in chunks"],
)
async def test_any_answer_is_given(answer: bytes, expected: tuple[int, bytes]) -> None:
    async with saying(answer) as (url, _):
        assert await call("GET", url, {}, b"", 5) == expected


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-x\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * MAX_ANSWER,
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 1000 + b"\r\n",
    ],
    ids=["nothing", "no HTTP", "cut", "too much", "too many headers"],
)
async def test_what_is_no_answer(answer: bytes) -> None:
    async with saying(answer) as (url, _):
        with pytest.raises(CallError):
            await call("GET", url, {}, b"", 5)


async def test_silence_is_waited_for_so_long() -> None:
    async with saying(OK[:-1], then_silence=True) as (url, _):
        with pytest.raises(CallError, match=r"no answer within 0\.2 s"):
            await call("GET", url, {}, b"", 0.2)


async def test_nobody_is_there() -> None:
    with pytest.raises(CallError, match="Refused"):
        await call("GET", "http://127.0.0.1:1", {}, b"", 5)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Make a certificate of this machine that nobody has signed, with its key."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "both.pem"
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    path.write_bytes(secret + made.public_bytes(pem))
    return path


async def test_nothing_is_said_to_whom_nobody_vouches_for(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate)
    async with saying(OK, tls=tls) as (url, asked):
        with pytest.raises(CallError, match="CERTIFICATE_VERIFY_FAILED"):
            await call("GET", url, {"Authorization": "Basic x"}, b"", 5)
        assert asked == []
        trusting = ssl.create_default_context(cafile=str(certificate))
        monkeypatch.setattr(calling, "_trusted", lambda: trusting)
        assert await call("GET", url, {}, b"", 5) == (200, b"{}")
