"""LightGBM runs where the system has no OpenMP runtime: on the one that scikit-learn's wheel brings."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.core import openmp
from headrace.core.errors import UnavailableError

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux asks the system for libgomp.so.1")

_TRAIN = """
from pathlib import Path
from headrace.core import openmp
assert openmp._loads_renamed(openmp._bundled()[0])
import lightgbm, numpy
data = lightgbm.Dataset(numpy.arange(400.0).reshape(100, 4), numpy.arange(100.0))
lightgbm.train({"verbosity": -1, "num_threads": 2}, data, 3)
maps = Path("/proc/self/maps").read_text().splitlines()
print(sorted({line.split("/", 1)[1].rsplit("/", 1)[-1] for line in maps if "libgomp.so.1" in line}))
"""


@linux
def test_lightgbm_trains_on_the_bundled_copy() -> None:
    """In a process of its own: what a process has once loaded stays loaded."""
    done = subprocess.run([sys.executable, "-c", _TRAIN], capture_output=True, text=True, check=True)
    # the copy is the only one under that name, and its file is gone already
    assert done.stdout.strip() == "['libgomp.so.1 (deleted)']"


@linux
def test_waiting_threads_release_their_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library reads the variable once, when it is loaded."""
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    policies: list[str | None] = []
    monkeypatch.setattr(openmp, "_loads", lambda library: policies.append(os.environ.get("OMP_WAIT_POLICY")) is None)
    openmp.ensure_openmp.__wrapped__()
    assert policies == ["PASSIVE"]


@linux
def test_without_any_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openmp, "_loads", lambda library: False)
    monkeypatch.setattr(openmp, "_bundled", list[Path])
    with pytest.raises(UnavailableError, match="apt-get install libgomp1"):
        openmp.ensure_openmp.__wrapped__()
