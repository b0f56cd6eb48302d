"""The prediction API while a challenger is in shadow: what scoring every request twice costs an answer.

The challenger is the champion's bundle under another version, so it costs what a usual challenger costs. Its home is a
copy, because both servers run at once and follow the ledger of their home.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks.serving_peers import Server, headrace
from headrace.lake.store import Lake
from headrace.models.bundle import Bundle
from headrace.registry.client import connect
from headrace.registry.ledger import Ledger
from headrace.registry.models import download, register
from headrace.registry.rollouts import Rollouts

PROBLEM = "flights"


@contextmanager
def in_shadow(home: Path, sync: str) -> Iterator[Server]:
    """The API of a copy of a home, whose challenger is in shadow.

    Args:
        home: Home folder with a champion.
        sync: HEADRACE_LOG_SYNC.
    """
    with tempfile.TemporaryDirectory(dir=home.parent) as folder:
        copied = Path(folder) / "home"
        shutil.copytree(home, copied)
        begin_shadow(copied)
        with headrace(copied, sync) as server:
            yield server


def begin_shadow(home: Path) -> None:
    """Begin the rollout of a copy of the champion."""
    champion, version = register_copy(home)
    at_us = Lake(home, PROBLEM).clock() or 0
    Rollouts(Ledger(home, PROBLEM)).begin(version, champion=champion, reason="a benchmark", at_us=at_us)


def register_copy(home: Path) -> tuple[str, str]:
    """Register the champion's bundle as another version; returns the champion and the other version."""
    uri = f"sqlite:///{home / 'mlflow' / 'mlflow.db'}"
    champion = Ledger(home, PROBLEM).champion()
    if champion is None:
        raise SystemExit("the home has no champion of the flights")
    bundle = Bundle.load(download(PROBLEM, champion.version, uri, home))
    other = replace(
        bundle, facts={**bundle.facts, "copy_of": champion.version}, reference=bundle.read_reference(),
        gate=bundle.gate_rows(), held_out=bundle.read_held_out(), folder=None, manifest=None,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        other.save(Path(folder) / "bundle")
        version = register(
            Path(folder) / "bundle", problem=PROBLEM, metrics={}, tracking_uri=uri, root=home,
            run_id=str(connect(uri).get_model_version(PROBLEM, champion.version).run_id),
        )  # fmt: skip
    return champion.version, version


def scored_share(port: int) -> float:
    """Share of the answers that the challenger scored too; the others were dropped, because too many waited."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        text = answer.read().decode()

    def total(name: str) -> float:
        return sum(float(value) for value in re.findall(rf"^{name}{{.*}} (\S+)$", text, re.MULTILINE))

    scored, dropped = total("headrace_rollout_requests"), total("headrace_rollout_dropped")
    return scored / (scored + dropped) if scored + dropped else 0.0
