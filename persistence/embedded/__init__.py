"""Postgres and Valkey without an installation, for `stagewire dev` and for the tests.

    with embedded(Path(".stagewire")) as servers:
        serve(servers.database_url, servers.redis_url)

They run as our children and end with us, also when we are killed; the next start recovers.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from persistence.embedded.errors import EmbeddedError
from persistence.embedded.postgres import Postgres
from persistence.embedded.server import stop_all
from persistence.embedded.valkey import Valkey

__all__ = ["EmbeddedError", "Postgres", "Servers", "Valkey", "embedded", "stop_all"]


class Servers(msgspec.Struct, frozen=True):
    """Both servers, running."""

    postgres: Postgres
    valkey: Valkey
    database_url: str
    redis_url: str


@contextmanager
def embedded(folder: Path, *, report: Callable[[str], None] = lambda _: None) -> Iterator[Servers]:
    """Run both servers on `folder`, and stop them at the end.

    Raises:
        EmbeddedError: one of them cannot start; none is left running.
    """
    postgres = Postgres(folder / "postgres", report=report)
    valkey = Valkey(folder / "valkey", report=report)
    try:
        yield Servers(postgres, valkey, postgres.start(), valkey.start())
    finally:
        stop_all(postgres, valkey)
