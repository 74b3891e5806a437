"""The address of a client behind trusted proxies. Pure.

Each proxy appends the address of its own client to `X-Forwarded-For`; entries further left came
with the request, and may be anything. So the list is read from the right, and only as far as a
trusted proxy added the entry.
"""

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Networks = tuple[IPv4Network | IPv6Network, ...]
Address = IPv4Address | IPv6Address
# The number of proxies in front of the service, or the networks that they are in.
TrustedProxies = int | Networks

# Some proxies add a port: 192.0.2.1:5000, [2001:db8::1]:5000.
_WITH_PORT = re.compile(r"\[([^\]]+)\](?::\d+)?|([^:]+):\d+")
_PORT = re.compile(r":\d+$")
_IPV6_NETWORK = 64
# Read of X-Forwarded-For, from its end: what is further left came with the request, of any size.
_READ_BYTES = 2048
_MAX_NAME = 255


def client_address(
    peer: str, forwarded_for: tuple[bytes, ...], trusted: TrustedProxies
) -> str | None:
    """The client's address; `peer` is the one that connected, `forwarded_for` all such headers.

    None where it cannot be known, because a trusted proxy sent something that is no address. With
    a number of proxies, the service must be reachable through them alone: a client that connects
    directly could claim any address.
    """
    hops = [*_listed(forwarded_for), peer]
    if isinstance(trusted, int):
        found = _parsed(hops[max(0, len(hops) - 1 - trusted)])
    else:
        while True:
            found = _parsed(hops.pop())
            if found is None or not hops or not _is_in(found, trusted):
                break
    return None if found is None else str(found)


def limited_network(address: str | None) -> str:
    """The name under which all that one client may ask from is counted.

    An IPv6 subscriber has a whole /64. What is no address counts as it is, None as `unknown`.
    """
    if address is None:
        return "unknown"
    parsed = _parsed(address)
    if isinstance(parsed, IPv6Address):
        return str(ip_network((parsed, _IPV6_NETWORK), strict=False))
    return address[:_MAX_NAME] if parsed is None else str(parsed)


def names_this_machine(host: str) -> bool:
    """Whether a Host header, with or without a port, is a loopback name."""
    return _PORT.sub("", host).lower() in {"localhost", "127.0.0.1", "[::1]"}


def _listed(headers: Iterable[bytes]) -> list[str]:
    whole = b",".join(headers)
    if not whole:
        return [""] * len(tuple(headers))
    hops = [hop.strip() for hop in whole[-_READ_BYTES:].decode("latin-1").split(",")]
    if len(whole) > _READ_BYTES:
        hops[0] = ""  # the rest of one, which may look like another
    return hops


def _parsed(text: str) -> Address | None:
    ported = _WITH_PORT.fullmatch(text)
    try:
        address = ip_address((ported[1] or ported[2]) if ported else text)
    except ValueError:
        return None
    # An IPv4 client of a socket that takes both. A zone (fe80::1%eth0) is no part of the address.
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or IPv6Address(int(address))
    return address


def _is_in(address: Address, networks: Networks) -> bool:
    return any(address in network for network in networks)
