"""An issuer of access tokens: keys, tokens signed by them, and a server on 127.0.0.1 that publishes its key set."""

import asyncio
import json
import re
import ssl
import time
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

Private: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class Key:
    """A pair of keys; `jwk` is the public one as a key set has it."""

    def __init__(self, kid: str, private: Private) -> None:
        self.kid = kid
        self.private = private
        self.algorithm = "ES256" if isinstance(private, ec.EllipticCurvePrivateKey) else "RS256"
        public = private.public_key()
        made = ECAlgorithm.to_jwk(public) if self.algorithm == "ES256" else RSAAlgorithm.to_jwk(public)  # type: ignore[arg-type] # the algorithm says which
        self.jwk: dict[str, Any] = {**json.loads(made), "kid": kid, "alg": self.algorithm, "use": "sig"}
        self.jwk.pop("key_ops", None)

    @property
    def pem(self) -> bytes:
        """Give the public key as people pass it on."""
        return self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def sign(self, claims: dict[str, Any], **header: Any) -> str:
        """Give a token that says this, with more in its header if that is given."""
        return jwt.encode(claims, self.private, self.algorithm, {"kid": self.kid, **header})


def elliptic(kid: str) -> Key:
    """Give a key for ES256."""
    return Key(kid, ec.generate_private_key(ec.SECP256R1()))


def rsa_key(kid: str, bits: int = 2048) -> Key:
    """Give a key for RS256."""
    return Key(kid, rsa.generate_private_key(65537, bits))


def says(user: str = "alice", **more: Any) -> dict[str, Any]:
    """Give claims that hold for ten minutes."""
    return {"sub": user, "exp": int(time.time()) + 600, **more}


def key_set(*keys: Key) -> bytes:
    """Give the document that publishes keys."""
    return json.dumps({"keys": [key.jwk for key in keys]}).encode()


def b64(data: bytes) -> str:
    """Encode as tokens do."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


class Publisher:
    """A server of key sets. `answer` is what whoever asks will get; `gate` holds that back while it is clear."""

    def __init__(self, scheme: str) -> None:
        self._scheme = scheme
        self.port = 0
        self.asked: list[bytes] = []
        self.answer = b""
        self.gate = asyncio.Event()
        self.gate.set()
        self._heard = asyncio.Condition()

    async def until_asked(self, more: int = 1) -> None:
        """Wait until it was asked so often again. Whatever was asked before the last time has its answer then."""
        wanted = len(self.asked) + more
        async with asyncio.timeout(5), self._heard:
            await self._heard.wait_for(lambda: len(self.asked) >= wanted)

    @property
    def url(self) -> str:
        """Give where the key set is."""
        return f"{self._scheme}://127.0.0.1:{self.port}/keys?v=1"

    def publish(self, *keys: Key) -> None:
        """Publish these keys from now on."""
        self.say(key_set(*keys))

    def say(self, document: bytes, status: str = "200 OK", *headers: str) -> None:
        """Answer so from now on."""
        lines = (f"HTTP/1.1 {status}", f"Content-Length: {len(document)}", *headers, "", "")
        self.answer = "\r\n".join(lines).encode() + document

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"Content-Length: (\d+)", head)
        self.asked.append(head + await reader.readexactly(int(length[1]) if length else 0))
        answer = self.answer
        async with self._heard:
            self._heard.notify_all()
        await self.gate.wait()
        writer.write(answer)
        writer.close()


@asynccontextmanager
async def publishing(*keys: Key, context: ssl.SSLContext | None = None) -> AsyncIterator[Publisher]:
    """Publish keys on a free port; with a `context`, by TLS."""
    publisher = Publisher("https" if context else "http")
    publisher.publish(*keys)
    server = await asyncio.start_server(publisher.serve, "127.0.0.1", 0, ssl=context)
    publisher.port = server.sockets[0].getsockname()[1]
    try:
        yield publisher
    finally:
        publisher.gate.set()
        server.close()
        await server.wait_closed()
