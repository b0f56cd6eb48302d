"""The OpenMP runtime that LightGBM's wheel expects from the system: `libgomp.so.1` on Linux.

A bare Debian has none, and installing one takes root. scikit-learn's wheel brings the same library, but under a name of
its own (`libgomp-e985bcbb.so.1.0.0`), by which LightGBM does not find it. So a copy that carries the standard name is
loaded first: the dynamic loader then takes LightGBM's request as answered.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
import tempfile
from functools import cache
from pathlib import Path

from headrace.core.errors import UnavailableError

_NAME = "libgomp.so.1"


@cache
def ensure_openmp() -> None:
    """Make `libgomp.so.1` loadable in this process, on Linux. Call it before LightGBM is imported.

    Raises:
        UnavailableError: Neither the system nor scikit-learn's wheel has the library.
    """
    # The library reads it once, when it is loaded: waiting threads release their core. If they spin, a fit on a busy
    # machine takes up to 25 times as long.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if not sys.platform.startswith("linux") or _loads(_NAME):
        return
    for bundled in _bundled():
        if _loads_renamed(bundled):
            return
    raise UnavailableError(
        f"LightGBM needs the system library {_NAME}, which is not installed",
        where="OpenMP",
        fix="install it (Debian and Ubuntu: apt-get install libgomp1; Fedora: dnf install libgomp)",
    )


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library, mode=ctypes.RTLD_GLOBAL)
    except OSError:
        return False
    return True


def _bundled() -> list[Path]:
    """The copies of libgomp that scikit-learn's wheel brings."""
    spec = importlib.util.find_spec("sklearn")
    if spec is None or spec.origin is None:
        return []
    return sorted((Path(spec.origin).parents[1] / "scikit_learn.libs").glob("libgomp-*.so*"))


def _loads_renamed(bundled: Path) -> bool:
    """Load a copy whose own name (its SONAME) is the standard one: shorter than the old, so it fits into its place."""
    old, new = bundled.name.encode(), _NAME.encode()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / _NAME
        copy.write_bytes(bundled.read_bytes().replace(old + b"\0", new + b"\0" * (len(old) - len(new) + 1)))
        return _loads(str(copy))
