"""The names that local services are asked by: what a request's Host header may say."""

from __future__ import annotations

import socket
from collections.abc import Iterable

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
WILDCARD = frozenset({"0.0.0.0", "::", "[::]", ""})


def allowed_hosts(host: str, extra: Iterable[str] = ()) -> tuple[str, ...]:
    """The names, without ports, that a service listening on a host is asked by.

    Args:
        host: What it listens on. A wildcard address stands for the machine's name and every address it has.
        extra: Further names: a proxy's, or that of the machine that a container's port is mapped to. `*` is any name.
    """
    own_names = _names_of_this_machine() if host in WILDCARD else (literal(host),)
    return tuple(dict.fromkeys(name.lower() for name in (*LOOPBACK, *own_names, *map(literal, extra))))


def reachable(host: str) -> str:
    """The host to ask a service at that listens on a host, as it stands in a URL."""
    return "127.0.0.1" if host in WILDCARD else literal(host)


def literal(host: str) -> str:
    """A host as it stands in a URL: IPv6 addresses in brackets."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def _names_of_this_machine() -> tuple[str, ...]:
    import psutil

    internet = (socket.AF_INET, socket.AF_INET6)
    addresses = (
        address for addresses in psutil.net_if_addrs().values() for address in addresses if address.family in internet
    )
    return (socket.gethostname(), *(literal(address.address.partition("%")[0]) for address in addresses))
