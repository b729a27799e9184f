"""The gate: from where connections and requests come, and how many of them are let in."""

from collections import Counter
from collections.abc import Sequence
from http import HTTPStatus
from time import monotonic
from typing import Final

import structlog

from persistence.seldom import Seldom
from realtime.bounded import uncount
from realtime.domain.addresses import Networks, believed, subject_of
from realtime.domain.limits import Action, Bucket, Limit
from realtime.limiting import Limits
from realtime.settings import Settings
from realtime.transport import Connection

# Sockets of one address above its limit that still get an answer to their handshake; any more are just cut.
ANSWERED: Final = 100
seldom_log = Seldom(structlog.get_logger("gate"))


class Gate:
    """Lets connections and requests in, by the addresses that they come from."""

    def __init__(self, limits: Limits, settings: Settings) -> None:
        self._limits = limits
        self._trusted = Networks(settings.trusted_proxies)
        self._unlimited = Networks(settings.unlimited_addresses)
        self._most = settings.max_connections
        self._most_of_one = settings.address_connections
        self._pace = Limit(settings.handshake_rate, settings.handshake_rate)
        self._handshakes = Bucket(self._pace, monotonic())
        # How many connections each address has here.
        self._connections: Counter[str] = Counter()

    def meet(self, connection: Connection, there: int) -> None:
        """Count a connection where it comes from; what comes through a proxy is known by its handshake only.

        So many are `there` with it. Whoever connects first has a place: were that decided by the handshakes, a crowd
        whose sockets are all open before the first of it shakes hands would keep itself out, down to the last.
        """
        if not self._trusted.has(connection.address):
            self._count(connection)
            if self._connections[connection.counted] > self._most_of_one + ANSWERED:
                connection.close(HTTPStatus.TOO_MANY_REQUESTS)
        if there > self._most:
            connection.crowded = HTTPStatus.SERVICE_UNAVAILABLE

    def admit(self, connection: Connection, forwarded: Sequence[str]) -> HTTPStatus:
        """Tell whether a handshake is welcome."""
        if connection.crowded is HTTPStatus.SERVICE_UNAVAILABLE:
            return connection.crowded
        if not connection.counted:
            connection.address = believed(connection.address, forwarded, self._trusted)
            self._count(connection)
        if connection.crowded or (connection.counted and self._limits.wait_ms_of(connection.counted, Action.HANDSHAKE)):
            # Where this is a proxy's, all its clients count as one, and the operator must know.
            seldom_log.warning("address refused", address=connection.counted, forwarded=bool(forwarded))
            return HTTPStatus.TOO_MANY_REQUESTS
        # Last, so that one address that is refused takes nobody's turn.
        if self._handshakes.take(self._pace, monotonic()):
            return HTTPStatus.SERVICE_UNAVAILABLE
        return HTTPStatus.SWITCHING_PROTOCOLS

    def part(self, connection: Connection) -> None:
        """Count a connection no more."""
        if connection.counted:
            uncount(self._connections, connection.counted)

    def address_of(self, peer: str, forwarded: Sequence[str]) -> str:
        """Give where an HTTP request comes from."""
        return believed(peer, forwarded, self._trusted)

    def wait_ms(self, address: str) -> int:
        """Let an HTTP request in, and give 0; or give how many milliseconds must pass before."""
        return 0 if self._unlimited.has(address) else self._limits.wait_ms_of(subject_of(address), Action.HTTP)

    def _count(self, connection: Connection) -> None:
        # Who is gone already has no address.
        if connection.address and not self._unlimited.has(connection.address):
            connection.counted = subject_of(connection.address)
            self._connections[connection.counted] += 1
            if self._connections[connection.counted] > self._most_of_one:
                connection.crowded = HTTPStatus.TOO_MANY_REQUESTS
