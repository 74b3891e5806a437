"""The client's address, taken from the right end of X-Forwarded-For."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.client_address import (
    TrustedProxies,
    client_address,
    limited_network,
    names_this_machine,
)

ROUTERS = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "trusted", "client"),
    [
        # Nobody is trusted: the header is anybody's.
        ("198.51.100.1", ["203.0.113.7"], 0, "198.51.100.1"),
        ("198.51.100.1", ["203.0.113.7"], (), "198.51.100.1"),
        ("198.51.100.1", [], 1, "198.51.100.1"),
        # Heroku: one router, which adds the client's address to what it sent.
        ("10.1.2.3", ["203.0.113.7"], 1, "203.0.113.7"),
        ("10.1.2.3", ["1.1.1.1, 203.0.113.7"], 1, "203.0.113.7"),
        ("10.1.2.3", ["1.1.1.1", "203.0.113.7"], 1, "203.0.113.7"),
        ("10.1.2.3", ["203.0.113.7", "198.51.100.9"], 2, "203.0.113.7"),
        ("10.1.2.3", ["203.0.113.7"], 2, "203.0.113.7"),
        ("10.1.2.3", ["127.0.0.1, unknown, 203.0.113.7"], 1, "203.0.113.7"),
        # By network: as far as trusted proxies reach.
        ("10.1.2.3", ["1.1.1.1, 203.0.113.7"], ROUTERS, "203.0.113.7"),
        ("10.1.2.3", ["1.1.1.1, 203.0.113.7, 10.9.9.9"], ROUTERS, "203.0.113.7"),
        ("10.1.2.3", ["10.0.0.1, 10.0.0.2"], ROUTERS, "10.0.0.1"),
        ("203.0.113.7", ["10.0.0.1"], ROUTERS, "203.0.113.7"),
        ("fd00::1", ["2001:db8::7"], ROUTERS, "2001:db8::7"),
        ("::ffff:10.1.2.3", ["203.0.113.7"], ROUTERS, "203.0.113.7"),
        # How else an address may be written.
        ("10.1.2.3", ["203.0.113.7:4711"], 1, "203.0.113.7"),
        ("10.1.2.3", ["[2001:db8::7]:4711"], 1, "2001:db8::7"),
        ("10.1.2.3", ["[2001:db8::7]"], 1, "2001:db8::7"),
        ("10.1.2.3", ["2001:DB8:0:0::7"], 1, "2001:db8::7"),
        ("10.1.2.3", ["::ffff:203.0.113.7"], 1, "203.0.113.7"),
        ("fe80::1%eth0", [], 0, "fe80::1"),
        # What a trusted proxy says and is no address says nothing, and nothing else is believed.
        ("10.1.2.3", ["203.0.113.7, unknown"], 1, None),
        ("10.1.2.3", ["203.0.113.7, _hidden"], ROUTERS, None),
        ("10.1.2.3", ["203.0.113.7,"], 1, None),
        ("10.1.2.3", [""], ROUTERS, None),
        ("10.1.2.3", ["\xff\x00"], 1, None),
        ("testclient", [], 0, None),
        # What is long is read from its end, and never half an entry.
        ("10.1.2.3", ["1.1.1.1, " * 7000 + "203.0.113.7"], 1, "203.0.113.7"),
        ("10.1.2.3", ["10.0.0.1, " * 7000 + "10.0.0.2"], ROUTERS, None),
        ("10.1.2.3", ["9" * 7000 + "203.0.113.7"], 1, None),
        ("10.1.2.3", ["1" + "203.0.113.7".rjust(2048, " ")], 1, None),
    ],
)
def test_the_address_is_what_the_last_trusted_proxy_saw(
    peer: str, forwarded: list[str], trusted: TrustedProxies, client: str | None
) -> None:
    headers = tuple(text.encode("latin-1") for text in forwarded)
    assert client_address(peer, headers, trusted) == client


@given(st.lists(st.binary(max_size=30), max_size=4), st.sampled_from([0, 1, 3, ROUTERS]))
def test_whatever_is_sent_the_answer_is_an_address_or_none(
    sent: list[bytes], trusted: TrustedProxies
) -> None:
    found = client_address("10.0.0.1", tuple(sent), trusted)
    if found is not None:
        assert str(ip_address(found)) == found


@given(st.lists(st.binary(max_size=30), max_size=4), st.ip_addresses())
def test_what_the_client_sends_changes_nothing(sent: list[bytes], client: object) -> None:
    added = str(client).encode()
    alone = client_address("10.0.0.1", (added,), 1)
    assert client_address("10.0.0.1", (*sent, added), 1) == alone
    joined = b",".join([*sent, added])
    assert client_address("10.0.0.1", (joined,), 1) == alone


def test_a_subscriber_with_ipv6_is_one_client() -> None:
    assert limited_network("203.0.113.7") == "203.0.113.7"
    assert limited_network("2001:db8:1:2:3:4:5:6") == "2001:db8:1:2::/64"
    assert limited_network("2001:db8:1:2::1") == limited_network("2001:db8:1:2:ffff::")
    assert limited_network("fe80::1%eth0") == "fe80::/64"
    # An IPv4 client of a socket that takes both is no IPv6 subscriber.
    assert limited_network("::ffff:203.0.113.7") == "203.0.113.7"


def test_who_has_no_address_is_counted_too() -> None:
    assert limited_network(None) == "unknown"
    assert limited_network("/run/proxy.sock") == "/run/proxy.sock"
    assert limited_network("a:b:c") == "a:b:c"
    assert limited_network("a" * 5000) == "a" * 255


def test_which_hosts_are_this_machine() -> None:
    for host in ("localhost", "LocalHost:8000", "127.0.0.1:80", "[::1]", "[::1]:8000"):
        assert names_this_machine(host), host
    for host in ("", "localhost.example.com", "127.0.0.1.example.com:80", "::1", "localhost:x"):
        assert not names_this_machine(host), host
