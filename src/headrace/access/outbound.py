"""Guard the connections of a block of code: none goes to a private, loopback, link-local or metadata address.

An alert's webhook is called from inside the network, so whoever chooses its address could make this machine call what
only it can reach: a cloud's metadata service, a database, a router. That is server-side request forgery (CWE-918).

The check is made where a connection is made, by Python's audit event `socket.connect` (PEP 578): the address there is
the one that the socket connects to, so a name that resolves to something else a moment later (DNS rebinding) cannot
pass, and whichever library connects is checked. A name that was not resolved is refused. The check covers the thread
that enters the block; the processes that a channel would start are not covered.
"""

from __future__ import annotations

import ipaddress
import socket
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from typing import Any

from headrace.core.errors import DeclarationError

Network = ipaddress.IPv4Network | IPv6Network

#: Prefixes of IPv6 addresses that contain an IPv4 address at these bits: NAT64 (RFC 6052), 6to4 (RFC 3056).
_CARRIERS = ((IPv6Network("64:ff9b::/96"), 0), (IPv6Network("2002::/16"), 80))
_FAMILIES = frozenset({socket.AF_INET, socket.AF_INET6})


class RefusedAddressError(OSError):
    """A connection that the guard refused; an OSError, as libraries expect of a connection that fails."""


@dataclass(kw_only=True)
class Guard:
    """The guard of one block.

    Attributes:
        networks: Networks that are allowed although they are not public.
        refused: Addresses that were refused, in order.
    """

    networks: tuple[Network, ...] = ()
    refused: list[str] = field(default_factory=list)

    def check(self, host: str) -> None:
        """Check the address of a connection.

        Raises:
            RefusedAddressError: It is not public and not allowed, or it is a name.
        """
        if not is_allowed(host, self.networks):
            self.refused.append(host)
            raise RefusedAddressError(f"{host} is not a public address")


_GUARD: ContextVar[Guard | None] = ContextVar("guard", default=None)


@contextmanager
def guarded_connections(networks: Iterable[Network] = ()) -> Iterator[Guard]:
    """Check all connections that this thread makes in the block.

    Args:
        networks: Networks that are allowed although they are not public.
    """
    _install()
    guard = Guard(networks=tuple(networks))
    token = _GUARD.set(guard)
    try:
        yield guard
    finally:
        _GUARD.reset(token)


def is_allowed(host: str, networks: Iterable[Network] = ()) -> bool:
    """Whether an address is public, or in one of the networks; False for a name.

    Args:
        host: Address, with or without an IPv6 zone.
        networks: Allowed networks.
    """
    try:
        address = _plain(ipaddress.ip_address(host.partition("%")[0]))
    except ValueError:
        return False
    if any(address in network for network in networks if network.version == address.version):
        return True
    return address.is_global and not address.is_multicast


def parse_networks(text: str, *, where: str) -> tuple[Network, ...]:
    """Return the networks of a text such as `127.0.0.0/8, fd00::/8`.

    Raises:
        DeclarationError: A part is no network.
    """
    networks = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        try:
            networks.append(ipaddress.ip_network(part))
        except ValueError:
            raise DeclarationError(f"{part!r} is no network", where=where, fix="write it as 127.0.0.0/8") from None
    return tuple(networks)


def _plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address that an IPv6 address carries; others as they are."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    for network, shift in _CARRIERS:
        if address in network:
            return IPv4Address((int(address) >> shift) & 0xFFFFFFFF)
    return address


@cache
def _install() -> None:
    """Add the hook to this process, once: it cannot be removed, and does nothing outside a block."""
    sys.addaudithook(_on_event)


def _on_event(event: str, arguments: tuple[Any, ...]) -> None:
    if event not in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        return
    guard = _GUARD.get()
    if guard is None:
        return
    connection, address = arguments[0], arguments[-1]
    if connection.family in _FAMILIES and isinstance(address, tuple):
        guard.check(str(address[0]))
