"""Import PyTorch at its first use, choose the device, and run code on one thread with random numbers of its own."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from headrace.core.errors import UnavailableError


@cache  # an error is not cached
def require_torch() -> Any:
    """Return the module torch.

    Raises:
        UnavailableError: A package of the extra `neural` is not installed.
    """
    missing = [
        name
        for name in ("torch", "safetensors", "rtdl_num_embeddings", "tabm")
        if importlib.util.find_spec(name) is None
    ]
    if missing:
        raise UnavailableError(
            f"neural networks need the package {missing[0]}",
            where="headrace.networks",
            fix="pip install 'headrace[neural]' (docs/networks.md)",
        )
    import torch

    return torch


def choose_device(requested: str = "auto") -> str:
    """Return the device to train on: "cuda" where there is a GPU, else "cpu".

    Args:
        requested: "auto", "cpu" or "cuda".

    Raises:
        UnavailableError: A GPU is requested and there is none.
    """
    present = bool(require_torch().cuda.is_available())
    if requested == "auto":
        return "cuda" if present else "cpu"
    if requested == "cuda" and not present:
        raise UnavailableError("there is no GPU that PyTorch can use", where="device", fix="use 'auto' or 'cpu'")
    return requested


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread: sums of several threads differ in their last bits, and small networks gain nothing."""
    torch = require_torch()
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class RandomState:
    """Random numbers of one network, apart from those of all others in the process.

    Args:
        seed: Of the sequence.
    """

    def __init__(self, seed: int) -> None:
        torch = require_torch()
        self._state = torch.Generator().manual_seed(seed).get_state()

    @contextmanager
    def use(self) -> Iterator[None]:
        """Draw from this sequence inside the block; the process's own sequence continues after it."""
        torch = require_torch()
        with torch.random.fork_rng(devices=[]):
            torch.set_rng_state(self._state)
            yield
            self._state = torch.get_rng_state()
