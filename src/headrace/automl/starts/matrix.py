"""The matrix of losses of configurations on data sets, measured by `make portfolio`; for the first configurations.

| symbol | meaning                                                              | shape  |
|--------|----------------------------------------------------------------------|--------|
| L      | cross-validated loss of configuration c on data set t; NaN if failed | [t, c] |
| R      | loss on a common scale: 0 is the best on the data set, 1 the median  | [t, c] |
| S      | CPU seconds of the fits                                              | [t, c] |
| F      | properties of the data sets (`properties`)                           | [t, f] |

`matrix.json` beside this module is the shipped matrix. It was computed from tables that PyPI packages carry and holds
none of their rows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headrace.automl.task.task import Floats
from headrace.models.space import Config

_FILE = "matrix.json"
#: Significant digits of stored numbers.
_DIGITS = 6
#: Cost of a trial beside its fits (preparation, transfer, storage), in mean trials.
_OVERHEAD = 0.25


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """Losses of configurations on data sets.

    Attributes:
        configs: Configurations [c] of the joint space; parameters of the target included.
        tables: Names of the data sets [t].
        losses: L.
        test_losses: Loss on rows that no fold has [t, c].
        seconds: S.
        prepare_s: CPU seconds of a configuration's preparation [t, c], which configurations can share.
        properties: F.
        random: Which configurations were drawn at random [c]; the others were written by hand.
        recipe: How it was computed: versions, rows, folds.
    """

    configs: tuple[Config, ...]
    tables: tuple[str, ...]
    losses: Floats
    test_losses: Floats
    seconds: Floats
    prepare_s: Floats
    properties: Floats
    random: NDArray[np.bool_]
    recipe: Mapping[str, Any]

    def without(self, table: str) -> Matrix:
        """Return the matrix without one data set."""
        return self._rows([position for position, name in enumerate(self.tables) if name != table])

    def of_families(self, families: Sequence[str]) -> Matrix:
        """Return the matrix of the configurations of some families."""
        return self.of_configs([c for c, config in enumerate(self.configs) if config["family"] in families])

    def of_configs(self, columns: Sequence[int]) -> Matrix:
        """Return the matrix of some configurations, given by position."""
        c = list(columns)
        return replace(
            self, configs=tuple(self.configs[one] for one in c), losses=self.losses[:, c], random=self.random[c],
            test_losses=self.test_losses[:, c], seconds=self.seconds[:, c], prepare_s=self.prepare_s[:, c],
        )  # fmt: skip

    def relative(self) -> Floats:
        """Return R, limited to [0, 1]: a configuration that is worse than the median is not told apart from it."""
        return _relative(self.losses)

    def relative_of_both(self) -> Floats:
        """Return the mean of R and of the same from the test losses: two measurements hold less noise than one."""
        return (_relative(self.losses) + _relative(self.test_losses)) / 2

    def relative_cost(self) -> Floats:
        """Return the cost of each configuration in mean trials [c]: its CPU time and what every trial costs."""
        ratio = self.seconds / np.maximum(np.nanmean(self.seconds, axis=1, keepdims=True), 1e-9)
        return np.asarray(ratio.mean(axis=0)) + _OVERHEAD

    def _rows(self, rows: list[int]) -> Matrix:
        return replace(
            self, tables=tuple(self.tables[one] for one in rows), losses=self.losses[rows],
            test_losses=self.test_losses[rows], seconds=self.seconds[rows], prepare_s=self.prepare_s[rows],
            properties=self.properties[rows],
        )  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values, rounded to six digits."""
        arrays = {name: _rounded(getattr(self, name)) for name in _ARRAYS}
        return {"recipe": dict(self.recipe), "tables": self.tables, "configs": self.configs,
                "random": self.random.tolist(), **arrays}  # fmt: skip

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Matrix:
        """Return what `to_json` wrote."""
        arrays = {name: np.array(data[name], dtype=np.float64) for name in _ARRAYS}
        return cls(
            configs=tuple(data["configs"]), tables=tuple(data["tables"]), recipe=data["recipe"],
            random=np.array(data["random"], dtype=np.bool_), **arrays,
        )  # fmt: skip


_ARRAYS = ("losses", "test_losses", "seconds", "prepare_s", "properties")


@lru_cache(maxsize=1)
def shipped_matrix() -> Matrix:
    """Read the matrix of this package."""
    return Matrix.from_json(json.loads(files(__package__).joinpath(_FILE).read_text()))


def _relative(losses: Floats) -> Floats:
    """Return R; 1 on a data set that no configuration could learn, such as classes by a family of numbers."""
    learnt = np.isfinite(losses).any(axis=1, keepdims=True)
    known = np.where(learnt, losses, 0.0)
    best = np.nanmin(known, axis=1, keepdims=True)
    spread = np.nanmedian(known, axis=1, keepdims=True) - best
    scaled = np.nan_to_num((known - best) / np.where(spread > 0, spread, 1.0), nan=1.0)
    return np.where(learnt, np.clip(scaled, 0.0, 1.0), 1.0)


def _rounded(values: Floats) -> list[list[float | None]]:
    return [[float(f"{value:.{_DIGITS}g}") if np.isfinite(value) else None for value in row] for row in values]
