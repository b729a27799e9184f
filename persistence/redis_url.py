"""What `REDIS_URL` says: one server, a set watched by Sentinels, or a cluster.

    redis://[USER:PASSWORD@]HOST[:6379][/DB]
    unix://[USER:PASSWORD@]/PATH[?db=DB]
    redis+sentinel://[USER:PASSWORD@]HOST[:26379][,HOST…]/SERVICE[/DB][?sentinel_user=…&sentinel_password=…]
    redis+cluster://[USER:PASSWORD@]HOST[:6379][,HOST…]

`rediss` instead of `redis` is TLS, to the Sentinels too, and takes the options in `TLS_OPTIONS`.
What is not a letter, a digit or one of `-._~` is percent-encoded in names, passwords and paths.
"""

import re
from collections.abc import Mapping
from enum import Enum
from typing import Final
from urllib.parse import parse_qsl, unquote

from msgspec import Struct

from persistence.errors import Misconfigured

Address = tuple[str, int]

TLS_OPTIONS: Final = frozenset(["ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs", "ssl_check_hostname"])
_SENTINEL_OPTIONS: Final = frozenset(["sentinel_user", "sentinel_password"])
# RFC 3986, but for several hosts, which `urlsplit` can't be trusted with.
_URL: Final = re.compile(
    r"(?P<scheme>[a-z+]+)://(?:(?P<user>[^:/?#]*)(?::(?P<password>[^/?#]*))?@)?(?P<hosts>[^@/?#]*)"
    r"(?P<path>/[^?#]*)?(?:\?(?P<options>[^#]*))?"
)
_HOST: Final = re.compile(
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[0-9A-Za-z._-]+))(?::(?P<port>[0-9]{1,5}))?", re.ASCII
)
_DB: Final = re.compile(r"[0-9]{1,9}", re.ASCII)
_LAST_PORT: Final = 65_535


class Kind(Enum):
    """Who answers: one server at an address or a socket, the master that Sentinels name, a cluster."""

    SERVER = "server"
    SOCKET = "socket"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


_SCHEMES: Final = {
    "redis": (Kind.SERVER, False),
    "rediss": (Kind.SERVER, True),
    "unix": (Kind.SOCKET, False),
    "redis+sentinel": (Kind.SENTINEL, False),
    "rediss+sentinel": (Kind.SENTINEL, True),
    "redis+cluster": (Kind.CLUSTER, False),
    "rediss+cluster": (Kind.CLUSTER, True),
}
_PORTS: Final = {Kind.SERVER: 6379, Kind.SENTINEL: 26_379, Kind.CLUSTER: 6379}


class Target(Struct, frozen=True, kw_only=True):
    """Whom to connect to, and how. What the kind has no use for is empty.

    `tls` holds redis-py's options of a TLS connection, and is None for a plain one.
    """

    kind: Kind
    hosts: tuple[Address, ...] = ()
    path: str = ""
    service: str = ""
    db: int = 0
    user: str = ""
    password: str = ""
    sentinel_user: str = ""
    sentinel_password: str = ""
    tls: Mapping[str, str | bool] | None = None


def parse(url: str) -> Target:
    """Read a URL. No message quotes any part of it: where it is malformed, any part may be the password.

    Raises:
        Misconfigured
    """
    found = _URL.fullmatch(url)
    if found is None or found["scheme"] not in _SCHEMES:
        raise _wrong(f"is malformed, or does not begin with one of {', '.join(f'{name}://' for name in _SCHEMES)}")
    kind, secure = _SCHEMES[found["scheme"]]
    options = _options(kind, secure, found["options"] or "")
    path = found["path"] or ""
    service, db = _service_and_db(kind, path, options)
    return Target(
        kind=kind,
        hosts=_hosts(kind, found["hosts"], path),
        path=unquote(path) if kind is Kind.SOCKET else "",
        service=service,
        db=db,
        user=unquote(found["user"] or ""),
        password=unquote(found["password"] or ""),
        sentinel_user=options.get("sentinel_user", ""),
        sentinel_password=options.get("sentinel_password", ""),
        tls=_tls(options) if secure else None,
    )


def _wrong(what: str) -> Misconfigured:
    return Misconfigured(f"the URL of Redis {what} (are names and passwords percent-encoded?)")


def _options(kind: Kind, secure: bool, written: str) -> dict[str, str]:
    known = TLS_OPTIONS if secure else frozenset[str]()
    if kind is Kind.SENTINEL:
        known |= _SENTINEL_OPTIONS
    if kind in (Kind.SERVER, Kind.SOCKET):
        known |= {"db"}
    options = dict(parse_qsl(written, keep_blank_values=True))
    if not options.keys() <= known:
        raise _wrong(f"has an option that it cannot have; it can have {', '.join(sorted(known)) or 'none'}")
    return options


def _hosts(kind: Kind, written: str, path: str) -> tuple[Address, ...]:
    if kind is Kind.SOCKET:
        if written or not path:
            raise _wrong("must name a socket by its whole path, as in unix:///run/valkey.sock")
        return ()
    hosts = tuple(_address(host, _PORTS[kind]) for host in written.split(","))
    if kind is Kind.SERVER and len(hosts) > 1:
        raise _wrong("names several hosts: that is for redis+sentinel:// and redis+cluster://")
    return hosts


def _address(written: str, usual_port: int) -> Address:
    found = _HOST.fullmatch(written)
    if found is None:
        raise _wrong("must name its hosts as HOST or HOST:PORT, with commas between several")
    port = int(found["port"] or usual_port)
    if not 0 < port <= _LAST_PORT:
        raise _wrong(f"has a port that is not from 1 to {_LAST_PORT}")
    return found["v6"] or found["name"], port


def _service_and_db(kind: Kind, path: str, options: Mapping[str, str]) -> tuple[str, int]:
    if kind is Kind.SOCKET:
        return "", _db(options.get("db", "0"))
    first, _, rest = path.removeprefix("/").partition("/")
    if kind is Kind.SENTINEL:
        if not first:
            raise _wrong("must name the service that the Sentinels watch, as in redis+sentinel://HOST:26379/SERVICE")
        return unquote(first), _db(rest or "0")
    if rest:
        raise _wrong("has a path that is not the number of a database")
    db = _db(options.get("db", first or "0"))
    if kind is Kind.CLUSTER and db:
        raise _wrong("names a database: a cluster has only number 0")
    return "", db


def _db(written: str) -> int:
    if not _DB.fullmatch(written):
        raise _wrong("has a database that is not a number")
    return int(written)


def _tls(options: Mapping[str, str]) -> dict[str, str | bool]:
    given: dict[str, str | bool] = {name: value for name, value in options.items() if name in TLS_OPTIONS}
    if given.get("ssl_cert_reqs", "required") not in ("none", "optional", "required"):
        raise _wrong("has an ssl_cert_reqs that is not none, optional or required")
    check = given.get("ssl_check_hostname", "true")
    if check not in ("true", "false"):
        raise _wrong("has an ssl_check_hostname that is not true or false")
    return {**given, "ssl_check_hostname": check == "true"}
