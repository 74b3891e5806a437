"""Which addresses are of the public internet, so that a stranger's URL may lead there. Pure.

Everything else belongs to somebody's network: private and shared ranges, link-local ones with the
metadata services of clouds (169.254.169.254, fd00:ec2::254), loopback, multicast, unspecified and
reserved ones (IANA's registries of special-purpose addresses, RFC 6890). An IPv6 address that
carries an IPv4 one is as public as that: mapped (RFC 4291 section 2.5.5.2) and NAT64 (RFC 6052).
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Final

from app.core.client_address import Address, Networks

_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
_NAT64: Final = IPv6Network("64:ff9b::/96")
# Not public, though `is_global` of some or all Pythons calls them so.
_SPECIAL: Final[tuple[IPv4Network | IPv6Network, ...]] = (
    ip_network("168.63.129.16"),  # in Azure's networks: metadata, DHCP
    ip_network("192.0.0.0/24"),  # IETF protocol assignments (RFC 6890); Oracle's metadata
    ip_network("192.88.99.0/24"),  # 6to4 relays (RFC 7526)
    ip_network("2001::/23"),  # IETF protocol assignments: Teredo (RFC 4380), ORCHID, benchmarks
    ip_network("2002::/16"),  # 6to4 (RFC 3056)
    ip_network("3fff::/20"),  # documentation (RFC 9637)
)


def is_allowed(address: Address, networks: Networks) -> bool:
    """Whether the address is public, or within one of these networks.

    A mapped address is within the networks of its IPv4 address.
    """
    if isinstance(address, IPv6Address):
        # A zone (fe80::1%eth0) is no part of the address.
        address = address.ipv4_mapped or IPv6Address(int(address))
    return any(address in network for network in networks) or _is_public(address)


def _is_public(address: Address) -> bool:
    if address in _NAT64:
        return _is_public(IPv4Address(int(address) & 0xFFFFFFFF))
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    is_special = address.is_multicast or any(address in network for network in _SPECIAL)
    return address.is_global and not is_special
