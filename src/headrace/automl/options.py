"""The options of a search, checked once."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any

from headrace.automl.families import TABLE_FAMILIES
from headrace.automl.validation.guess import MODES, Mode
from headrace.core.errors import DeclarationError
from headrace.models.space import Config
from headrace.schema import Racing


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of a search.

    Attributes:
        seconds: Wall-clock time of everything, None for no limit.
        trials: Number of configurations, None for no limit. With one worker and no `seconds`, results are reproducible.
        folds: Number of folds, None to choose by the size of the table.
        validation: How rows are validated.
        time: Column of times.
        groups: Column of groups.
        families: Names of families, None for all.
        portfolio: First configurations, best first. None for the shipped portfolio and a warm start from similar data
            sets; empty for a list that was written by hand.
        searcher: Name of the searcher.
        racing: Rule that stops configurations after a fold, None for none.
        cost_tolerance: None for the best ensemble; else the cheapest whose out-of-fold loss exceeds that of the best
            by at most this share of the difference to the loss of a constant prediction, by every loss that selects.
            Members then have one model instead of one a fold.
        constructions: Whether constructed columns are a choice.
        ensemble: Whether an ensemble is selected; otherwise the best configuration is the model.
        stack: Whether a second level of models is tried (not with cost_tolerance, nor where rows are ordered in time).
        calibrate: Whether probabilities are calibrated.
        workers: Parallel configurations, 0 for one a core.
        memory_gb: Memory of all workers, None for no limit.
        seed: Of all random numbers.

    Raises:
        DeclarationError: A value is out of its range.
    """

    seconds: float | None = 60.0
    trials: int | None = None
    folds: int | None = None
    validation: Mode = "auto"
    time: str | None = None
    groups: str | None = None
    families: Sequence[str] | None = None
    portfolio: Sequence[Config] | None = None
    searcher: str = "auto"
    racing: Racing | None = field(default_factory=Racing)
    cost_tolerance: float | None = None
    constructions: bool = True
    ensemble: bool = True
    stack: bool = True
    calibrate: bool = True
    workers: int = 0
    memory_gb: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.seconds is None and self.trials is None:
            raise DeclarationError("a search without a budget never ends", where="automl", fix="give seconds or trials")
        for name, kind in (("seconds", Real), ("memory_gb", Real), ("trials", Integral), ("folds", Integral)):
            _require_positive(name, getattr(self, name), kind)
        if self.validation not in MODES:
            raise DeclarationError(f"no validation {self.validation!r}", where="validation", found=MODES)
        if isinstance(self.families, str):
            raise DeclarationError(
                f"{self.families!r} is no list of families", where="families", fix=f"write ({self.families!r},)"
            )
        for config in self.portfolio or ():
            _require_family(config)
        if self.cost_tolerance is not None and not 0 <= self.cost_tolerance < 1:
            raise DeclarationError("cost_tolerance must be in [0, 1)", where="automl", found=[self.cost_tolerance])

    @property
    def n_workers(self) -> int:
        """Number of worker processes."""
        if self.workers:
            return self.workers
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _require_positive(name: str, value: Any, kind: type) -> None:
    number = isinstance(value, kind) and not isinstance(value, bool)
    if value is not None and not (number and 0 < value < math.inf):
        of_kind = "whole number" if kind is Integral else "number"
        raise DeclarationError(f"{name} must be a positive {of_kind}, not {value!r}", where="automl")


def _require_family(config: Any) -> None:
    family = config.get("family") if isinstance(config, Mapping) else None
    if family not in TABLE_FAMILIES:
        raise DeclarationError(
            f"{config!r} is no configuration of a family", where="portfolio", found=TABLE_FAMILIES,
            fix="write it as {'family': 'linear', 'linear.strength': 1.0}",
        )  # fmt: skip
