"""The replay: any configuration of the space, answered in a fraction of a millisecond instead of by training.

table = load_table("concrete")
table.space, table.loss(config), table.best
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.surrogate.model import Interpolator, Kernel, Scale, cross_validated
from benchmarks.surrogate.space import DIGITS, SPACE, coordinates_of
from headrace.core.errors import NotFoundError
from headrace.models.space import Config, Space, Value
from headrace.search.space import sample

FOLDER = Path(__file__).parent / "tables"
#: Those that are stored, in the order of their names.
TABLES: tuple[str, ...] = tuple(sorted(path.stem for path in FOLDER.glob("*.parquet")))


@dataclass(frozen=True, kw_only=True)
class SurrogateTable:
    """Measured configs [n] of one table with their losses [n] (lower is better), and what lies between them.

    kernels: of the Gaussian process of each family. error: of the interpolation, cross-validated: r2 (of z), rho and
    rho_best (rank correlation over all, and over the best quarter), mae (of the loss). draws: random configs that
    `random_at_100` looks at.
    """

    name: str
    configs: tuple[Config, ...]
    losses: NDArray[np.float64]
    kernels: Mapping[str, Kernel]
    error: Mapping[str, float] = field(default_factory=dict)
    space: Space = SPACE
    draws: int = 20_000

    @property
    def best(self) -> float:
        """The least loss that was measured."""
        return float(self.losses.min())

    def loss(self, config: Mapping[str, Value]) -> float:
        """What training this config would give, about: within `error`, and the same each time."""
        return float(self.losses_at([config])[0])

    def losses_at(self, configs: Sequence[Mapping[str, Value]]) -> NDArray[np.float64]:
        """[n]: the loss of each config."""
        z = np.array(
            [math.sqrt(self.kernels[str(one["family"])].noise) * _standard_normal(self.name, one) for one in configs]
        )
        for family, half in self._halves.items():
            own = [at for at, config in enumerate(configs) if config["family"] == family]
            if own:
                z[own] += half.predict(coordinates_of(family, [configs[at] for at in own]))
        return self._scale.loss(z)

    @cached_property
    def random_at_100(self) -> float:
        """The loss that the median run of random search has reached after 100 trials.

        No run is needed: the median of the least of n draws is the quantile 1 - .5^(1/n) of one draw.
        """
        rng = np.random.default_rng(0)
        drawn = self.losses_at([sample(self.space, rng) for _ in range(self.draws)])
        return float(np.quantile(drawn, 1 - 0.5 ** (1 / 100)))

    @cached_property
    def _scale(self) -> Scale:
        return Scale.of(self.losses)

    @cached_property
    def _halves(self) -> Mapping[str, Interpolator]:
        return {family: Interpolator(*self._measured(family), kernel) for family, kernel in self.kernels.items()}

    def _measured(self, family: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(coordinates, z) of the configs of a family."""
        own = [at for at, config in enumerate(self.configs) if config["family"] == family]
        return coordinates_of(family, [self.configs[at] for at in own]), self._scale.z(self.losses[own])


def _standard_normal(name: str, config: Mapping[str, Value]) -> float:
    """A number that belongs to this config: the roughness of a loss that one seed gave."""
    text = json.dumps([name, sorted(config.items())], default=str)
    return float(np.random.default_rng(zlib.crc32(text.encode())).standard_normal())


@cache
def load_table(name: str) -> SurrogateTable:
    """A stored table, ready to be asked."""
    if name not in TABLES:
        raise NotFoundError(f"no table {name!r}", where=str(FOLDER), found=TABLES, fix="make bench-tables makes it")
    stored = pq.read_table(FOLDER / f"{name}.parquet")
    facts = {key.decode(): value.decode() for key, value in (stored.schema.metadata or {}).items()}
    configs = [
        {key: _shortened(value) for key, value in row.items() if value is not None}
        for row in stored.drop_columns(["loss", "rounds", "seconds"]).to_pylist()
    ]
    return SurrogateTable(
        name=name,
        configs=tuple(configs),
        losses=stored["loss"].to_numpy().astype(np.float64),
        kernels={family: Kernel.from_json(kernel) for family, kernel in json.loads(facts["kernels"]).items()},
        error=json.loads(facts["error"]),
    )


def _shortened(value: Value) -> Value:
    """Undoes what storing a number in four bytes added to its digits."""
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def learnt(configs: Sequence[Config], losses: NDArray[np.float64]) -> dict[str, Any]:
    """What a table stores beside its losses: {"kernels": by family, "error": of the interpolation}."""
    from scipy.stats import spearmanr

    scale = Scale.of(losses)
    z, predicted = scale.z(losses), np.empty_like(losses)
    kernels: dict[str, Kernel] = {}
    for family in sorted({str(config["family"]) for config in configs}):
        own = np.array([config["family"] == family for config in configs])
        X = coordinates_of(family, [config for config in configs if config["family"] == family])
        kernels[family] = Kernel.learn(X, z[own])
        predicted[own] = cross_validated(X, z[own], kernels[family])
    best = losses <= np.quantile(losses, 0.25)
    error = {
        "r2": 1 - float(np.mean((predicted - z) ** 2) / np.var(z)),
        "rho": float(spearmanr(predicted, z).statistic),
        "rho_best": float(spearmanr(predicted[best], z[best]).statistic),
        "mae": float(np.mean(np.abs(scale.loss(predicted) - losses))),
    }
    return {"kernels": {family: asdict(kernel) for family, kernel in kernels.items()}, "error": error}
