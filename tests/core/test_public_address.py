"""Addresses that a webhook may go to, and those that it may not."""

from ipaddress import ip_address, ip_network

import pytest

from app.core.public_address import is_allowed

PUBLIC = ("93.184.215.14", "1.1.1.1", "2606:4700:4700::1111", "2a00:1450:4001:80b::200e")
# Public IPv4 addresses within IPv6 ones.
CARRIED = ("::ffff:1.1.1.1", "64:ff9b::101:101")
FORBIDDEN = (
    *("127.0.0.1", "127.8.9.10", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "192.168.1.1"),
    *("100.64.0.1", "169.254.169.254", "169.254.170.2", "198.18.0.1", "192.0.0.192", "192.0.2.1"),
    *("224.0.0.1", "239.1.2.3", "240.0.0.1", "255.255.255.255", "168.63.129.16", "100.100.100.200"),
    *("::", "::1", "fe80::1", "fe80::1%1", "fc00::1", "fd00:ec2::254", "ff02::1", "ff0e::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "::1.1.1.1"),
    *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a9fe:a9fe", "2002:7f00:1::1"),
    *("2002:a9fe:a9fe::", "2001:0:102:304::", "2001:db8::1", "100::1", "fec0::1", "3fff::1"),
)


@pytest.mark.parametrize("address", [*PUBLIC, *CARRIED])
def test_public(address: str) -> None:
    assert is_allowed(ip_address(address), ())


@pytest.mark.parametrize("address", FORBIDDEN)
def test_forbidden(address: str) -> None:
    assert not is_allowed(ip_address(address), ())


@pytest.mark.parametrize(
    ("address", "network", "allowed"),
    [
        ("10.1.2.3", "10.1.0.0/16", True),
        ("10.2.2.3", "10.1.0.0/16", False),
        ("::ffff:10.1.2.3", "10.1.0.0/16", True),
        ("fd00::5", "fd00::/8", True),
        ("64:ff9b::a01:203", "10.1.0.0/16", False),
        ("127.0.0.1", "10.0.0.0/8", False),
    ],
)
def test_networks_of_the_settings(address: str, network: str, allowed: bool) -> None:
    assert is_allowed(ip_address(address), (ip_network(network),)) is allowed
