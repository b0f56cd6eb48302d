"""A fitted model whose LightGBM members predict by compiled trees, for serving: the same bits in less time.

Families without compiled trees stay as they are. A model that cannot be compiled (linear trees, an unusual objective)
stays with LightGBM, and the log says why.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headrace.core.errors import DataError
from headrace.models.design import Design, Predictions
from headrace.models.ensemble import FittedEnsemble
from headrace.models.families.lightgbm import FittedLightGBM
from headrace.models.families.protocol import Fitted
from headrace.models.trees.forest import Forest
from headrace.models.trees.outputs import Scores, conversion
from headrace.models.two_part import FittedTwoPart

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class CompiledLightGBM:
    """A LightGBM model with compiled prediction.

    Attributes:
        source: The model; it explains predictions and is what `save` writes.
        forest: Its trees.
        convert: Raw scores [n, k] to predictions [n, k].
    """

    source: FittedLightGBM
    forest: Forest
    convert: Callable[[Scores], Scores]

    @property
    def rounds(self) -> int | None:
        return self.source.rounds

    def predict(self, design: Design, *, threads: int = 1) -> Predictions:
        """Predict [n]: the probability of a true label, or a number. Always one thread."""
        return self.convert(self.forest.raw(design.X))[:, 0]

    def contributions(self, design: Design) -> NDArray[np.float64]:
        """Return the Shapley values [n, d] of the raw score, computed by LightGBM."""
        return self.source.contributions(design)

    def save(self, folder: Path) -> None:
        self.source.save(folder)


def compiled(fitted: Fitted) -> Fitted:
    """Return the model with compiled trees where that is possible."""
    if isinstance(fitted, FittedEnsemble):
        members = tuple(replace(member, fitted=compiled(member.fitted)) for member in fitted.members)
        return replace(fitted, members=members)
    if isinstance(fitted, FittedTwoPart):
        return replace(fitted, occurrence=compiled(fitted.occurrence), amount=compiled(fitted.amount))
    if not isinstance(fitted, FittedLightGBM):
        return fitted
    try:
        forest = Forest.from_text(fitted.booster.model_to_string())
    except DataError as error:
        _log.warning("LightGBM predicts: %s", error.what)
        return fitted
    convert = conversion(forest.objective)
    if convert is None or forest.n_outputs != 1:
        _log.warning("LightGBM predicts: the objective %s is not compiled", " ".join(forest.objective))
        return fitted
    return CompiledLightGBM(source=fitted, forest=forest, convert=convert)
