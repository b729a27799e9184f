"""Whose address counts: the peer's own, or what proxies that are trusted say of it."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
# Who gets one IPv6 address from a provider gets 2⁶⁴ of them.
_IPV6_PREFIX: Final = 64


class Networks:
    """Some networks, as a setting names them: addresses and CIDR blocks, separated by commas.

    Raises:
        ValueError: one is no address and no block.
    """

    def __init__(self, setting: str) -> None:
        self._networks: list[IPv4Network | IPv6Network] = [
            ip_network(part.strip()) for part in setting.split(",") if part.strip()
        ]

    def has(self, address: str) -> bool:
        """Tell whether an address lies in one of them."""
        if not self._networks:
            return False
        found = _parse(address)
        return found is not None and any(found in network for network in self._networks)


def believed(peer: str, forwarded: Sequence[str], trusted: Networks) -> str:
    """Give the address of a client: the last one of the way here that is no trusted proxy's.

    `forwarded` are the values of `X-Forwarded-For`, to which each proxy adds, at the end, who has connected to it. What
    stands before the first address that is not trusted, anyone may have written.
    """
    address = peer
    for said in reversed(",".join(forwarded).split(",")):
        if not trusted.has(address):
            break
        found = _parse(_bare(said))
        if found is None:
            break
        address = str(found)
    return address


def subject_of(address: str) -> str:
    """Give what is counted as one: an IPv4 address, or 64 bits of an IPv6 one."""
    found = _parse(address)
    if isinstance(found, IPv6Address):
        return str(ip_network((found, _IPV6_PREFIX), strict=False))
    return address if found is None else str(found)


def _bare(said: str) -> str:
    """Take off a port, with which some proxies write addresses, and the brackets that an IPv6 one has then."""
    said = said.strip()
    if said.startswith("["):
        return said[1:].partition("]")[0]
    return said.partition(":")[0] if said.count(":") == 1 else said


@lru_cache(4096)
def _parse(address: str) -> Address | None:
    try:
        found = ip_address(address)
    except ValueError:
        return None
    if isinstance(found, IPv6Address):
        # The same client, whichever kind of socket it has reached; and without a zone, which may be any text.
        return found.ipv4_mapped or IPv6Address(int(found))
    return found
