"""Which server of a cluster holds which slot: https://valkey.io/topics/cluster-spec/."""

from collections.abc import Sequence
from typing import Any

from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

from persistence.redis_url import Address


def slot_of(key: str | bytes) -> int:
    """Give the slot of a key or a channel: of what stands between its braces, if it has any."""
    return key_slot(key.encode() if isinstance(key, str) else key)


class Slots:
    """A cluster's servers, and which slots each of its masters holds."""

    def __init__(self, answer: Sequence[Sequence[Any]], asked: Address) -> None:
        """Read what `CLUSTER SLOTS` answers: ranges of `first, last, [host, port, …], replicas…`.

        `asked` is whom we asked: a server that does not know its own address leaves the host empty.
        """
        self._holders: list[Address | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
        self.members: set[Address] = set()
        for low, high, *servers in answer:
            addresses = [_address(server, asked) for server in servers]
            self._holders[low : high + 1] = [addresses[0]] * (high + 1 - low)
            self.members.update(addresses)

    def holder(self, slot: int) -> Address | None:
        """Give the master of a slot; None if nobody holds it."""
        return self._holders[slot]

    def move(self, slot: int, to: Address) -> None:
        """Take note of a slot that has another master now."""
        self._holders[slot] = to

    @property
    def masters(self) -> set[Address]:
        """Give all who hold a slot."""
        return {holder for holder in self._holders if holder is not None}


def _address(server: Sequence[Any], asked: Address) -> Address:
    host, port, *_ = server
    return (host.decode() if isinstance(host, bytes) else host) or asked[0], int(port)
