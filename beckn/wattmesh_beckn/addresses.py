"""Which hosts a subscriber may be reached at: names, and addresses of machines that serve others.

An address that only the machine itself or its own link can mean is where clouds keep their metadata (169.254.169.254);
nobody trades there, so nobody is sent there: not by the url in the registry, nor by what its name resolves to.
"""

from __future__ import annotations

import errno
import ipaddress
import re
import socket
from typing import Any

_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?", re.ASCII)
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
METADATA = frozenset(
    map(
        ipaddress.ip_address,
        (
            "100.100.100.200",  # Alibaba Cloud
            "168.63.129.16",  # Azure
            "192.0.0.192",  # Oracle Cloud
            "fd00:42::42",  # Scaleway
            "fd00:ec2::254",  # AWS
            "fd20:ce::254",  # Google Cloud
        ),
    )
)
"""Metadata services that have no link-local address."""
_LOOPBACK = ipaddress.IPv6Address("::1")
_TRANSLATED = tuple(
    map(
        ipaddress.IPv6Network,
        (
            "::/96",  # IPv4-compatible, RFC 4291
            "::ffff:0:0:0/96",  # IPv4-translated, RFC 2765
            "64:ff9b::/96",  # NAT64, RFC 6052
            "64:ff9b:1::/48",  # NAT64 of a network's own, RFC 8215
        ),
    )
)
"""Where the last 32 bits are an IPv4 address."""
_OWN_NAT64 = ipaddress.IPv6Network("64:ff9b:1::/48")
_PLACES = ((6, 7, 9, 10), (7, 9, 10, 11), (9, 10, 11, 12))
"""In which bytes it is where a network's own prefix has 48, 56 or 64 bits (RFC 6052, section 2.2)."""
_ISATAP = (bytes.fromhex("00005efe"), bytes.fromhex("02005efe"))
"""Before the last 32 bits, whatever the prefix: an IPv4 address that is tunnelled to (RFC 5214)."""


def host_problem(host: str) -> str | None:
    """What is wrong with a url's host (lower case, an IPv6 address without its brackets), or None when it is sound."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if not _NAME.fullmatch(host):
            return "names no host to call: a name has letters, digits, dots and hyphens"
        if _NUMBER.fullmatch(host.rpartition(".")[2]):
            return "names no host to call: an IPv4 address is written as four decimal numbers"
        return None
    return _address_problem(address)


def guarded_socket(info: tuple[int, int, int, str, tuple[Any, ...]]) -> socket.socket:
    """A socket for an address that `getaddrinfo` gave; OSError when no subscriber can be there.

    Names are judged here, when they are resolved: who registers one may make it mean something else later.
    """
    family, kind, protocol, _, address = info
    if problem := _address_problem(ipaddress.ip_address(address[0])):
        raise OSError(errno.EACCES, problem)
    return socket.socket(family, kind, protocol)


def _address_problem(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str | None:
    for meant in (address, *_within(address)):
        if meant.is_link_local or meant.is_unspecified or meant.is_multicast or meant in METADATA:
            return f"{address} is no address of a subscriber: it is link-local, multicast, unspecified or for metadata"
    return None


def _within(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> list[ipaddress.IPv4Address]:
    """IPv4 addresses that a translator or tunnel makes of an IPv6 address."""
    if address.version == 4 or address == _LOOPBACK:
        return []
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in _OWN_NAT64:
        own = [ipaddress.IPv4Address(bytes(address.packed[at] for at in places)) for places in _PLACES]
        found += [one for one in own if not one.is_unspecified]  # most of them are of another length of prefix
    if address.packed[8:12] in _ISATAP or any(address in network for network in _TRANSLATED):
        found.append(ipaddress.IPv4Address(address.packed[-4:]))
    return [one for one in found if one is not None]
