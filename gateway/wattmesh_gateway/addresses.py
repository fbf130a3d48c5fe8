"""Which hosts a subscriber may be reached at: names, and addresses of machines that serve others.

An address that only the machine itself or its own link can mean is where clouds keep their metadata (169.254.169.254);
nobody trades there, so nobody is sent there. What a name resolves to is for the network to guard.
"""

from __future__ import annotations

import ipaddress
import re

_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?", re.ASCII)
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
METADATA = (ipaddress.ip_address("fd00:ec2::254"),)
"""Metadata services that have no link-local address."""


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
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    if address.is_link_local or address.is_unspecified or address.is_multicast or address in METADATA:
        return f"{address} is no address of a subscriber: it is link-local, multicast, unspecified or for metadata"
    return None
