"""Host names of local services: which values the Host header of a request may have."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
WILDCARD = frozenset({"0.0.0.0", "::", "[::]", ""})


def allowed_hosts(host: str, extra: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the host names, without ports, by which a service may be addressed.

    Args:
        host: Host on which it listens. A wildcard address stands for the machine's name and all its addresses.
        extra: Further names: of a proxy, or of the machine that a container's port is mapped to. `*` allows any name.
    """
    own_names = _names_of_this_machine() if host in WILDCARD else (literal(host),)
    return tuple(dict.fromkeys(name.lower() for name in (*LOOPBACK, *own_names, *map(literal, extra))))


def reachable(host: str) -> str:
    """Return the host of the URL of a service that listens on a host."""
    return "127.0.0.1" if host in WILDCARD else literal(host)


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine reach a service that listens on a host."""
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def literal(host: str) -> str:
    """Return a host as written in a URL: IPv6 addresses in brackets."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def _names_of_this_machine() -> tuple[str, ...]:
    import psutil

    internet = (socket.AF_INET, socket.AF_INET6)
    addresses = (
        address for addresses in psutil.net_if_addrs().values() for address in addresses if address.family in internet
    )
    return (socket.gethostname(), *(literal(address.address.partition("%")[0]) for address in addresses))
