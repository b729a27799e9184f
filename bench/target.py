"""The server that is measured, by its addresses, and the little that is asked of its side API."""

import http.client
from collections.abc import Callable
from ipaddress import AddressValueError, IPv4Address
from time import time
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from bench.errors import BenchError
from bench.machine import Cores
from tokens.access import AccessRole, AccessSettingsError, SharedSecret, mint

HOST_USER: Final = "bench-host"
_TIMEOUT_SECONDS: Final = 10.0
_OK: Final = range(200, 300)


class Address(Struct, frozen=True):
    """Where something listens: an IPv4 address of this machine's loopback, and a port."""

    host: str
    port: int


class Measurable(Protocol):
    """What a measurement has to know of a server; see `Target`."""

    @property
    def websocket(self) -> Address:
        """Give where load goes."""

    @property
    def secret(self) -> str:
        """Give what signs the tokens of its users."""

    @property
    def pid(self) -> int | None:
        """Give its process, if that can be measured."""

    @property
    def cores(self) -> Cores | None:
        """Give how the machine is divided, if it is."""

    def head(self, session: str) -> int:
        """Give the newest seq of a session's log."""


def address(url: str, schemes: tuple[str, ...]) -> Address:
    """Read a URL. Load goes nowhere but to 127.0.0.0/8.

    Raises:
        BenchError: the URL is another kind, or points elsewhere.
    """
    parts = urlsplit(url)
    host = "127.0.0.1" if parts.hostname == "localhost" else parts.hostname or ""
    try:
        port = parts.port
    except ValueError:
        port = None
    if parts.scheme not in schemes or port is None:
        raise BenchError(f"{url!r} is not {schemes[0]}://ADDRESS:PORT")
    if not _loopback(host):
        raise BenchError(f"{url!r} is not on this machine: load goes to 127.0.0.0/8 only")
    return Address(host, port)


def _loopback(host: str) -> bool:
    try:
        return IPv4Address(host).is_loopback
    except AddressValueError:
        return False


def samples(exposition: str) -> dict[str, float]:
    """Read Prometheus' text format: a name, with its labels, and a value on each line that is no comment."""
    lines = (line.rpartition(" ") for line in exposition.splitlines() if line and not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


class Target(Struct, frozen=True):
    """A server. Without `pid`, what it takes is not measured; `cores` says how the machine was divided.

    One that was started for the run can be asked for more: its database, to be killed and started `again`, which
    gives its next pid, and for `another` node on the same stores, which runs on the other cores.
    """

    websocket: Address
    http: Address
    secret: str
    pid: int | None
    cores: Cores | None
    database_url: str | None = None
    again: Callable[[], int] | None = None
    another: Callable[[], "Target"] | None = None

    def live_session(self, **settings: Any) -> str:
        """Create a session with these settings, start it, and give its id."""
        session = str(self._call("POST", "/v1/sessions", {"title": "A benchmark", **settings})["id"])
        self._call("POST", f"/v1/sessions/{session}/start")
        return session

    def state(self, session: str) -> str:
        """Give the state that a session has."""
        return str(self._call("GET", f"/v1/sessions/{session}")["state"])

    def head(self, session: str) -> int:
        """Give the newest seq of a session's log."""
        return int(self._call("GET", f"/v1/sessions/{session}/events?limit=1")["events"][-1]["seq"])

    def counters(self) -> dict[str, float]:
        """Give the server's metrics, by their names with the labels, as Prometheus would read them."""
        return samples(self._request("GET", "/metrics").decode())

    def ready(self) -> bool:
        """Tell whether the server is ready for traffic."""
        try:
            self._call("GET", "/readyz")
        except BenchError:
            return False
        return True

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        return msgspec.json.decode(self._request(method, path, body))

    def _request(self, method: str, path: str, body: Any = None) -> bytes:
        connection = http.client.HTTPConnection(self.http.host, self.http.port, timeout=_TIMEOUT_SECONDS)
        headers = {"Authorization": f"Bearer {self._token()}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, None if body is None else msgspec.json.encode(body), headers)
            response = connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException) as exc:
            raise BenchError(f"the side API does not answer: {exc}") from None
        finally:
            connection.close()
        if response.status not in _OK:
            raise BenchError(f"{method} {path}: {response.status} {answer[:200].decode(errors='replace')}")
        return answer

    def request(self, path: str, user: str) -> bytes:
        """Give a POST without a body by a viewer, as it goes over a connection that is kept open."""
        lines = (
            f"POST {path} HTTP/1.1",
            f"Host: {self.http.host}:{self.http.port}",
            f"Authorization: Bearer {self.viewer(user)}",
            "Content-Length: 0",
        )
        return "".join(f"{line}\r\n" for line in (*lines, "")).encode("ascii")

    def viewer(self, user: str) -> str:
        """Give an access token of a viewer."""
        return self._token(user, AccessRole.VIEWER)

    def _token(self, user: str = HOST_USER, role: AccessRole = AccessRole.SELLER) -> str:
        try:
            secret = SharedSecret(self.secret)
        except AccessSettingsError as exc:
            raise BenchError(str(exc)) from None
        return mint(user, role, secret, int(time()), 3600, synthetic=True)
