"""A trained network for tables: predictions, Shapley values, masks of TabNet, and its file in safetensors.

Predictions are computed in float64 on the CPU, so that a row alone has the prediction that it has among others.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headrace.core.errors import CorruptError, DataError
from headrace.core.files import write_bytes
from headrace.models.design import Design, Predictions
from headrace.models.figures import ModelFigure
from headrace.networks.families.attribution import shapley_values
from headrace.networks.families.inputs import Arrays, Inputs
from headrace.networks.training.losses import Objective
from headrace.networks.training.torch_import import one_thread, require_torch

_FILE = "network.safetensors"
_FORMAT = "1"
#: Rows that are predicted at a time.
_CHUNK = 8_192

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FittedNetwork:
    """A trained network.

    Attributes:
        spec: JSON form of its `NetworkSpec`.
        inputs: From a design matrix to the network's inputs.
        objective: What the outputs mean.
        weights: Name -> array, float32.
        trained_rounds: Rounds of its training.
        background: Rows [b, d] that Shapley values are relative to.
    """

    spec: dict[str, Any]
    inputs: Inputs
    objective: Objective
    weights: dict[str, NDArray[Any]]
    trained_rounds: int
    background: NDArray[np.float32]

    @property
    def rounds(self) -> int | None:
        return self.trained_rounds

    @cached_property
    def network(self) -> Any:
        """The network in float64, ready to predict; made at its first use."""
        torch = require_torch()
        from headrace.networks.families.network import NetworkSpec, TableNetwork

        with torch.random.fork_rng(devices=[]):
            network = TableNetwork(NetworkSpec.from_json(self.spec))
        network.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in self.weights.items()})
        return network.double_precision().eval()

    def predict(self, design: Design, *, threads: int = 1) -> Predictions:
        """Predict [n]: a probability or a number."""
        return self.predict_columns(design)[:, 0]

    def predict_columns(self, design: Design) -> Floats:
        """Predict [n, k], as in `training.losses`."""
        return self._predict_arrays(self.inputs.transform(design))

    def _predict_arrays(self, arrays: Arrays) -> Floats:
        torch = require_torch()
        parts = [np.empty((0, self.objective.outputs))]
        with torch.inference_mode(), one_thread():
            for start in range(0, len(arrays), _CHUNK):
                some = slice(start, start + _CHUNK)
                numbers = torch.from_numpy(arrays.numbers[some].astype(np.float64))
                outputs = self.network(numbers, torch.from_numpy(arrays.codes[some]))
                parts.append(self.objective.predictions(outputs))
        return np.concatenate(parts)

    def raw(self, X: NDArray[np.float32], design: Design) -> Floats:
        """Return the raw output [n] of rows X [n, d]: log-odds of a probability, or a number."""
        p = self.predict(Design(X=X, names=design.names, categorical=design.categorical))
        if self.objective.kind != "binary":
            return p
        return np.log(p) - np.log1p(-p)  # finite, because logits are capped

    def contributions(self, design: Design) -> Floats:
        """Estimate the Shapley values [n, d] of the raw output from sampled permutations (`families.attribution`)."""
        return shapley_values(lambda X: self.raw(X, design), design.X, self.background)

    def masks(self, design: Design) -> Floats:
        """Return TabNet's masks [n, steps, d]: the share of attention of each step on each column of the design.

        Raises:
            DataError: The network is no TabNet.
        """
        return self.attention(design)[0]

    def attention(self, design: Design) -> tuple[Floats, Floats]:
        """Return TabNet's masks [n, steps, d] and their aggregate [n, d].

        The aggregate weights the steps of a row by what they add to its output (Arik & Pfister, 2021); a row sums to 1.

        Raises:
            DataError: The network is no TabNet.
        """
        if self.spec["body"] != "tabnet":
            raise DataError("only TabNet has masks", where="masks", found=[self.spec["body"]])
        torch = require_torch()
        arrays = self.inputs.transform(design)
        with torch.inference_mode(), one_thread():
            x = self.network.embed(torch.from_numpy(arrays.numbers.astype(np.float64)), torch.from_numpy(arrays.codes))
            explained, masks = self.network.body.encoder.forward_masks(x)
        owners = np.repeat(self.inputs.owners, self.network.input_sizes)
        steps = np.stack([self._by_column(mask.numpy(), owners) for mask in masks.values()], axis=1)
        aggregate = self._by_column(explained.numpy(), owners)
        total = aggregate.sum(axis=1, keepdims=True)
        return steps, aggregate / np.where(total > 0, total, 1.0)

    def _by_column(self, mask: Floats, owners: NDArray[np.int64]) -> Floats:
        """Sum a mask [n, inputs] over the inputs of each column of the design."""
        summed = np.zeros((len(mask), self.inputs.columns))
        for column in np.unique(owners):
            summed[:, column] = mask[:, owners == column].sum(axis=1)
        return summed

    def figures(
        self, design: Design, names: Mapping[str, str], categories: Mapping[str, Sequence[str]]
    ) -> list[ModelFigure]:
        """Draw the vectors of categories and TabNet's attention; see `families.figures`."""
        from headrace.networks.families.figures import network_figures

        return network_figures(self, design, names, categories)

    def category_vectors(self) -> dict[int, Floats]:
        """Return category column -> its vectors [levels, size]; the first is that of missing and unseen levels."""
        return {
            column: np.asarray(self.weights[f"vectors.{at}.weight"], dtype=np.float64)
            for at, column in enumerate(self.inputs.categorical)
        }

    def save(self, folder: Path) -> None:
        write_bytes(folder / _FILE, self.to_bytes())

    def to_bytes(self) -> bytes:
        """Return the network as the bytes of a safetensors file, which cannot execute code."""
        from safetensors.numpy import save

        facts = {
            "format": _FORMAT,
            "spec": self.spec,
            "inputs": self.inputs.to_json(),
            "objective": self.objective.to_json(),
            "rounds": self.trained_rounds,
        }
        arrays = {f"weights.{name}": np.ascontiguousarray(value) for name, value in self.weights.items()}
        arrays["background"] = np.ascontiguousarray(self.background)
        return bytes(save(arrays, metadata={"headrace": json.dumps(facts)}))

    @classmethod
    def from_bytes(cls, data: bytes, *, where: str = "network") -> FittedNetwork:
        """Read a network that `to_bytes` wrote.

        Raises:
            CorruptError: The bytes are no such network.
        """
        require_torch()
        from safetensors.numpy import load

        try:
            size = int.from_bytes(data[:8], "little")
            facts = json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["headrace"])
            if facts["format"] != _FORMAT:
                raise CorruptError(f"network format {facts['format']!r} is not known", where=where, found=[_FORMAT])
            arrays = load(data)
            fitted = cls(
                spec=facts["spec"],
                inputs=Inputs.from_json(facts["inputs"]),
                objective=Objective.from_json(facts["objective"]),
                weights={
                    name.removeprefix("weights."): value for name, value in arrays.items() if name != "background"
                },
                trained_rounds=int(facts["rounds"]),
                background=arrays["background"],
            )
            fitted.network  # noqa: B018  a network whose weights do not fit its spec is found here
        except CorruptError:
            raise
        except Exception as error:
            raise CorruptError(f"not a network ({type(error).__name__}: {error})", where=where) from None
        return fitted

    @classmethod
    def load(cls, folder: Path) -> FittedNetwork:
        """Read the file of a folder.

        Raises:
            CorruptError: The file is missing, or no network.
        """
        path = folder / _FILE
        try:
            data = path.read_bytes()
        except OSError as error:
            raise CorruptError(f"cannot be read ({error})", where=str(path)) from None
        return cls.from_bytes(data, where=str(path))
