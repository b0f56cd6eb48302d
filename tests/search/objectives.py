"""Cheap objectives that worker processes can import quickly: well behaved, told to fail, or worse."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from headrace.models.callback import NoCallback, TrialCallback
from headrace.models.space import Config

_EATEN: list[Any] = []


@dataclass(frozen=True)
class Bowl:
    """(x - 1)^2, plus a shift. fail, die: configs with x above these raise, or kill their own process.

    gate: a FIFO that each trial reads one byte from first, so that a test decides how far the study gets.
    """

    fail: float = 9.0
    die: float = 9.0
    gate: str = ""

    def fingerprint(self) -> str:
        return f"bowl {self.fail} {self.die}"

    def __call__(self, config: Config) -> Mapping[str, Any]:
        if self.gate:
            handle = os.open(self.gate, os.O_RDWR)
            os.read(handle, 1)
            os.close(handle)
        x = float(config["x"])  # type: ignore[arg-type]
        if x > self.die:
            os.kill(os.getpid(), signal.SIGKILL)
        if x > self.fail:
            raise ValueError("x is too large")
        return {"loss": (x - 1) ** 2 + float(config.get("shifted.by") or 0), "pid": os.getpid()}


@dataclass(frozen=True)
class Misbehaving:
    """The loss is x, but `how` happens first to configs of that x: it hangs, eats memory, leaves, or crashes."""

    how: Mapping[float, str]

    def fingerprint(self) -> str:
        return "misbehaving"

    def __call__(self, config: Config) -> Mapping[str, Any]:
        how = self.how.get(float(config["x"]))  # type: ignore[arg-type]
        if how == "hang":
            threading.Event().wait()
        while how == "eat":
            _EATEN.append(np.ones(1_000_000))
        if how == "exit":
            os._exit(7)
        if how == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        return {"loss": config["x"]}


@dataclass(frozen=True)
class Climb:
    """A curve that falls from 10 to (x - 1)^2 over its rounds, told at each; rungs at a quarter and a half.

    pause: additions that each round computes, so that it takes a while.
    """

    rounds: int = 40
    pause: int = 0

    def fingerprint(self) -> str:
        return "climb"

    def __call__(self, config: Config) -> Mapping[str, Any]:
        return self.evaluate_rungs(config, NoCallback())

    def evaluate_rungs(self, config: Config, callback: TrialCallback) -> Mapping[str, Any]:
        end = (float(config["x"]) - 1) ** 2  # type: ignore[arg-type]
        loss = 10.0
        for done in range(1, self.rounds + 1):
            loss = end + (10 - end) * (1 - done / self.rounds)
            sum(range(self.pause))
            callback.on_round(loss)
            if done * 4 in (self.rounds, 2 * self.rounds):
                callback.on_rung(f"round {done}", loss)
        return {"loss": loss, "pid": os.getpid()}


class NeverArrives(Bowl):
    """Where the processes that receive it die of it, as those do that miss a package."""

    def __reduce__(self) -> tuple[object, tuple[int]]:
        return os._exit, (3,)
