"""Losses of network outputs, and what the outputs mean: logits, or numbers in units of the label's spread.

| kind       | outputs k         | loss of one row                         | prediction                  |
|------------|-------------------|-----------------------------------------|-----------------------------|
| binary     | 1 logit, capped   | cross-entropy                           | sigmoid                     |
| multiclass | logits            | cross-entropy                           | softmax                     |
| squared    | 1 number          | squared error                           | middle + spread * output    |
| absolute   | 1 number          | absolute error                          | the same                    |
| quantile   | one number a level | pinball loss, mean over the levels      | the same, ascending by level |

The cap of a logit o is 12 tanh(o / 12): a network that is trained for long never claims a probability beyond 6e-6.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from headrace.networks.training.torch_import import require_torch

Kind = Literal["binary", "multiclass", "squared", "absolute", "quantile"]
Floats = NDArray[np.float64]

_CAP = 12.0


@dataclass(frozen=True, kw_only=True)
class Objective:
    """A kind of loss with the scale of the label.

    Attributes:
        kind: See the table of this module.
        outputs: Outputs of the network, k.
        middle, spread: Of the label, for numbers.
        levels: Of quantiles.
    """

    kind: Kind
    outputs: int = 1
    middle: float = 0.0
    spread: float = 1.0
    levels: tuple[float, ...] = ()

    @classmethod
    def fit(cls, kind: Kind, label: Floats, *, classes: int = 1, levels: tuple[float, ...] = ()) -> Objective:
        """Return the objective for labels [n].

        Args:
            kind: Kind of the loss.
            label: Labels.
            classes: Number of classes of a multiclass label.
            levels: Levels of quantiles.
        """
        if kind in ("binary", "multiclass"):
            return cls(kind=kind, outputs=classes if kind == "multiclass" else 1)
        middle = float(np.mean(label) if kind == "squared" else np.median(label))
        spread = float(np.std(label) if kind == "squared" else np.mean(np.abs(label - middle)))
        usable = spread if np.isfinite(spread) and spread > 0 else 1.0
        return cls(kind=kind, outputs=max(1, len(levels)), middle=middle, spread=usable, levels=levels)

    def targets(self, label: Floats) -> NDArray[Any]:
        """Return what the loss compares outputs with: class positions, or numbers in units of the spread [n]."""
        if self.kind == "multiclass":
            return label.astype(np.int64)
        if self.kind == "binary":
            return label.astype(np.float32)
        return ((label - self.middle) / self.spread).astype(np.float32)

    def loss(self, outputs: Any, targets: Any, weight: Any) -> Any:
        """Return the weighted mean loss of outputs [n, members, k]; every member of an ensemble has its own loss."""
        torch = require_torch()
        functional = torch.nn.functional
        if self.kind == "multiclass":
            repeated = targets[:, None].expand(outputs.shape[:2])
            each = functional.cross_entropy(outputs.flatten(0, 1), repeated.flatten(), reduction="none")
            each = each.view(outputs.shape[:2])
        elif self.kind == "binary":
            single = _capped(outputs[..., 0])
            each = functional.binary_cross_entropy_with_logits(
                single, targets[:, None].expand_as(single), reduction="none"
            )
        else:
            difference = targets[:, None, None] - outputs
            each = self._number_loss(difference).mean(dim=2)
        rows = each.mean(dim=1)
        return rows.mean() if weight is None else (rows * weight).sum() / weight.sum()

    def _number_loss(self, difference: Any) -> Any:
        torch = require_torch()
        if self.kind == "squared":
            return difference**2
        if self.kind == "absolute":
            return difference.abs()
        levels = torch.as_tensor(self.levels, dtype=difference.dtype, device=difference.device)
        return torch.maximum(levels * difference, (levels - 1) * difference)

    def predictions(self, outputs: Any) -> Floats:
        """Return predictions [n, k] of outputs [n, members, k]: the mean of the members, on the label's scale."""
        torch = require_torch()
        if self.kind == "multiclass":
            mean = torch.softmax(outputs, dim=2).mean(dim=1)
        elif self.kind == "binary":
            mean = torch.sigmoid(_capped(outputs)).mean(dim=1)
        else:
            mean = self.middle + self.spread * outputs.mean(dim=1)
        values = np.asarray(mean.numpy(), dtype=np.float64)
        return np.sort(values, axis=1) if self.kind == "quantile" else values

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Objective:
        return cls(**{**data, "levels": tuple(data["levels"])})


def _capped(logits: Any) -> Any:
    return _CAP * (logits / _CAP).tanh()
